"""``tradecore run``: trade, show how it goes, and say what came of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from tradecore.cli.options import json_option, plugins_option, profile_option, sets_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from tradecore.app import Prepared, Screen
    from tradecore.app.floor import FloorMaker
    from tradecore.cli.start import EarlySignals

_FOR_KEY = "run.for"
_FOR_VARIABLE = "TRADECORE_RUN__FOR"


@click.command()
@profile_option
@plugins_option
@click.option("--for", "for_", metavar="LENGTH", help="Market time to run for, such as 60s or 2h.")
@click.option("--speed", metavar="1|60|max|N", help="Market seconds per second of the wall; max is virtual time.")
@click.option("--seed", metavar="N", help="Start of every random draw.")
@click.option("--data", metavar="FOLDER", help="Trade over the candle files in FOLDER, to their end unless --for.")
@click.option("--from", "from_", metavar="TIME", help="First moment of the files, ISO 8601 UTC.")
@click.option("--to", metavar="TIME", help="Moment after the last of the files, ISO 8601 UTC.")
@click.option("--timeframe", metavar="LENGTH", help="Length of a row: of the candle files, or of the made-up market.")
@click.option(
    "--state",
    metavar="DIR",
    help="Keep the run in DIR, or go on with the one there; latest is the newest below state/.",
)
@sets_option
@json_option
@click.pass_obj
def run(
    early: EarlySignals | None,
    *,
    profile: str,
    plugins: str | None,
    for_: str | None,
    speed: str | None,
    seed: str | None,
    data: str | None,
    from_: str | None,
    to: str | None,
    timeframe: str | None,
    state: str | None,
    sets: Sequence[str],
    as_json: bool,
) -> int:
    """Trade until the time is up, the data ends, or Ctrl-C.

    The profile demo needs no keys and no network: it trades on a built-in venue. Without --state a run on virtual time
    (--speed max) keeps nothing; any other is kept below state/.
    """
    from pathlib import Path

    from tradecore.app import Options, execute, prepare
    from tradecore.app.prepare import state_folder
    from tradecore.cli.opening import say_start
    from tradecore.cli.paper import console, print_json
    from tradecore.cli.report import report

    flags = _flags(
        for_=for_, speed=speed, seed=seed, data=data, from_=from_, to=to, timeframe=timeframe, to_end=_to_end(sets)
    )
    options = Options(profile, os.environ, sets, plugins, flags, Path(state) if state is not None else None)
    prepared = prepare(options)
    _refuse_unused(prepared, from_, to)
    maker: FloorMaker | None = None
    if prepared.source is None:
        from tradecore.app.floor_real import RealMaker

        maker = RealMaker(prepared)
    undo = early.undo if early is not None else None
    before = _known_states(options.state)
    folder = state_folder(prepared)
    if folder is not None:
        if undo is not None:
            undo(lambda: _forget(folder, before))
        prepared = prepared._replace(options=options._replace(state=folder))
        _refuse_unusable(folder)
    out = console(err=as_json)
    say_start(out, prepared, folder)
    for line in prepared.warnings:
        click.echo(f"tradecore: note: {line}", err=True)
    screen = _screen(out, prepared)
    outcome = execute(prepared, screen, last=True, maker=maker, undo=undo)
    report(out, outcome, folder, named=state is not None)
    if as_json:
        print_json(outcome.summary)
    return outcome.exit_code


def _refuse_unusable(folder: Path) -> None:
    """Refuse a state folder before anything is said of the run: in use, not to be written, of another schema."""
    from tradecore.model.places import STORE_FILE
    from tradecore.store.instance import InstanceLock
    from tradecore.store.queries import open_reader

    with InstanceLock(folder):
        if "TRADECORE_STORE__URL" not in os.environ and (folder / STORE_FILE).exists():
            open_reader(folder / STORE_FILE).close()


def _known_states(wanted: Path | None) -> tuple[bool, str]:
    """Tell whether the folder that was asked for is there already, and which run is the newest by name."""
    from tradecore.store.folder import LATEST, STATE_ROOT, named_state

    link = STATE_ROOT / LATEST
    # unlike Path.exists it says no where a folder above may not be entered: the lock then names it
    return wanted is not None and os.path.exists(named_state(wanted)), os.readlink(link) if link.is_symlink() else ""


def _forget(folder: Path, before: tuple[bool, str]) -> None:
    """Take back a folder that was made for a run which never began; one with anything in it stays."""
    from contextlib import suppress

    from tradecore.store.folder import LATEST, STATE_ROOT
    from tradecore.store.instance import LOCK_NAME

    existed, newest = before
    if existed:
        return
    with suppress(OSError):  # the process ends: what cannot be taken back is an empty folder
        if os.listdir(folder) == [LOCK_NAME]:
            (folder / LOCK_NAME).unlink()
        folder.rmdir()
        link = STATE_ROOT / LATEST
        if link.is_symlink() and os.readlink(link) == folder.name:
            link.unlink()
            if newest:
                link.symlink_to(newest)


def _to_end(sets: Sequence[str]) -> bool:
    """True where nobody but the profile says for how long to run."""
    return _FOR_VARIABLE not in os.environ and not any(text.partition("=")[0].strip() == _FOR_KEY for text in sets)


def _flags(
    *,
    for_: str | None,
    speed: str | None,
    seed: str | None,
    data: str | None,
    from_: str | None,
    to: str | None,
    timeframe: str | None,
    to_end: bool,
) -> Mapping[str, str]:
    """Write options as settings, by the label under which `config` and error messages name them."""
    flags = {
        flag: f"{key}={value}"
        for flag, key, value in (
            ("--for", _FOR_KEY, for_),
            ("--speed", "run.speed", speed),
            ("--seed", "run.seed", seed),
            ("--from", "market.start", from_),
            ("--to", "market.stop", to),
            ("--timeframe", "market.timeframe", timeframe),
            # one of the two is read; which, only the merged settings know
            ("--timeframe LENGTH", "market.generated.timeframe", timeframe),
        )
        if value is not None
    }
    if data is not None:
        flags["--data"] = "market.source=files"
        flags["--data FOLDER"] = f"market.folder={json.dumps(data, ensure_ascii=False)}"
        if for_ is None and to_end:
            flags["--data to its end"] = f'{_FOR_KEY}=""'
    return flags


def _refuse_unused(prepared: Prepared, from_: str | None, to: str | None) -> None:
    """Refuse options that would do nothing.

    Raises:
        SettingsError: Naming the option.
    """
    from tradecore.errors import SettingsError

    for flag, value in (("--from", from_), ("--to", to)):
        if value is not None and (prepared.source is None or prepared.settings.market.source == "generated"):
            raise SettingsError(f"{flag}: expected a market of candle files (--data FOLDER), was a made-up market")


def _screen(out: Console, prepared: Prepared) -> Screen:
    """Choose who shows the run: a live screen, a progress bar on virtual time, or plain lines."""
    from tradecore.cli.lines import BarScreen, LineScreen
    from tradecore.cli.live import LiveScreen

    if not out.is_terminal or out.is_dumb_terminal:
        return LineScreen(out, prepared)
    return BarScreen(out, prepared) if prepared.virtual else LiveScreen(out, prepared)
