"""``tradecore universe``: which symbols may be entered, and which guest keeps out which, and why (R5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from tradecore.cli.options import json_option, sets_option, state_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tradecore.engine.engine import Engine
    from tradecore.ports.clock import Clock

_LENGTH = "1s"


class Line(NamedTuple):
    """One symbol."""

    symbol: str
    kept: bool
    by: tuple[str, ...]
    """Guests that keep it out; those that spoke of it where none does."""
    reason: str


class Told(NamedTuple):
    """What universe guests said last."""

    at_ms: int
    guests: tuple[str, ...]
    lines: tuple[Line, ...]


@click.group(invoke_without_command=True)
@click.pass_context
def universe(context: click.Context) -> None:
    """See which symbols may be entered, and why others may not."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@universe.command()
@state_option
@click.option(
    "--profile", metavar="NAME", help="Ask the guests of a profile now, on paper and kept nowhere, instead of a run."
)
@click.option(
    "--for", "for_", metavar="LENGTH", help="With --profile: market time to go on for before the last asking, as 24h."
)
@sets_option
@json_option
@click.pass_context
def show(
    context: click.Context, *, state: Path, profile: str | None, for_: str | None, sets: Sequence[str], as_json: bool
) -> None:
    """Print each symbol, whether it is kept or removed, by whom, and why.

    A run is read beside its process: what it was told when it last asked. Times are market time, UTC.
    """
    from tradecore.cli.paper import facts, print_json
    from tradecore.errors import UsageError

    if profile is None and (for_ is not None or sets):
        raise UsageError("--for and --set: expected with --profile, was without")
    given = context.get_parameter_source("state")
    if profile is not None and given is not None and given.name == "COMMANDLINE":
        raise UsageError("expected --profile or --state, was both")
    text = _of_state(state) if profile is None else _of_profile(profile, for_, sets)
    told = _read(text)
    if as_json:
        print_json({"at_ms": told.at_ms, "guests": list(told.guests), "symbols": facts(list(told.lines))})
        return
    _show(told)


def _of_state(state: Path) -> str:
    from tradecore.cli.kept import find
    from tradecore.model.places import UNIVERSE
    from tradecore.store.queries import open_reader

    with open_reader(find(state).store) as reader:
        fact = reader.memory(UNIVERSE).get(UNIVERSE)
    return fact.text if fact is not None else ""


class _Ear:
    """Hears what the guests of a short run said last (`app.session.Screen`)."""

    def __init__(self) -> None:
        self.text = ""
        self._engine: Engine | None = None

    def begin(self, engine: Engine, clock: Clock, stop_at_ms: int | None) -> None:
        self._engine = engine

    def end(self) -> None:
        from tradecore.model.places import UNIVERSE

        if self._engine is not None:
            self.text = self._engine.desk.recall(UNIVERSE)


def _of_profile(profile: str, for_: str | None, sets: Sequence[str]) -> str:
    """Run for a moment, on paper and kept nowhere: the guests are asked as a run asks them."""
    import os

    from tradecore.app import Options, execute, prepare

    flags = {"--for": f"run.for={for_ or _LENGTH}", "--speed": "run.speed=max"}
    prepared = prepare(Options(profile, os.environ, tuple(sets), None, flags))
    if prepared.source is None:
        from tradecore.app.floor_real import RealMaker

        flags = {"--for": flags["--for"], "--mode": "run.mode=paper", "--speed": "run.speed=1"}
        prepared = prepare(Options(profile, os.environ, tuple(sets), None, flags))
        maker = RealMaker(prepared)
    else:
        maker = None
    ear = _Ear()
    execute(prepared, ear, maker=maker)
    return ear.text


def _read(text: str) -> Told:
    """Read what was said; no text: nobody was asked."""
    if not text:
        return Told(0, (), ())
    said = json.loads(text)
    return Told(said["at_ms"], tuple(said["guests"]), tuple(_line(*item) for item in said["symbols"].items()))


def _line(symbol: str, words: Sequence[Sequence[object]]) -> Line:
    against = [(str(by), str(reason)) for by, keep, reason in words if not keep]
    spoken = against or [(str(by), str(reason)) for by, _, reason in words]
    many = len(spoken) > 1
    reasons = [f"{by}: {reason}" if many else reason for by, reason in spoken]
    return Line(symbol, not against, tuple(by for by, _ in spoken), "; ".join(reasons))


def _show(told: Told) -> None:
    from tradecore.cli.paper import console, table
    from tradecore.cli.write import moment

    out = console()
    if not told.at_ms:
        out.print("no universe guest was asked: every symbol of the market is kept")
        return
    shown = table("symbol", "", "by", "why", wide=("why",))
    for line in sorted(told.lines, key=lambda line: (not line.kept, line.symbol)):
        shown.add_row(line.symbol, "kept" if line.kept else "removed", ", ".join(line.by), line.reason)
    out.print(shown)
    kept = sum(line.kept for line in told.lines)
    counts: Mapping[str, int] = _by_guest(told)
    whose = ", ".join(f"{count} by {name}" for name, count in counts.items())
    out.print(
        f"{kept} of {len(told.lines)} kept, {len(told.lines) - kept} removed{f' ({whose})' if whose else ''}, "
        f"asked {moment(told.at_ms)}"
    )


def _by_guest(told: Told) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in told.lines:
        for name in () if line.kept else line.by:
            counts[name] = counts.get(name, 0) + 1
    return counts
