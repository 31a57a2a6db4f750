"""What an operator may ask of a run: rows in its store, which the running process polls and answers."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from tradecore.cli.options import F, json_option, state_option

if TYPE_CHECKING:
    from pathlib import Path

    from tradecore.model.records import Command
    from tradecore.store.queries import Reader

_POLL_S = 0.1


def _steering(*, reason_needed: bool) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        options = (
            json_option,
            click.option(
                "--wait", default=5.0, show_default=True, type=click.FloatRange(0, 3_600), metavar="SECONDS",
                help="How long to wait for the run's answer.",
            ),
            state_option,
            # no default at all where it is needed: click takes even None for an answer
            click.option(
                "--reason", metavar="TEXT", help="Why; is written down.",
                **({"required": True} if reason_needed else {"default": ""}),
            ),
        )  # fmt: skip
        for option in options:
            function = option(function)
        return function

    return decorate


_for_option = click.option(
    "--for", "length", default="", metavar="DURATION",
    help="End it by itself after so much market time, as 30m or 2h; without, it lasts until resumed.",
)  # fmt: skip


@click.command()
@_for_option
@_steering(reason_needed=True)
def halt(length: str, reason: str, state: Path, wait: float, as_json: bool) -> int:
    """Shut entries and cancel open buys; exits go on."""
    return _ask("halt", _seconds(length), reason=reason, state=state, wait=wait, as_json=as_json)


@click.command()
@_for_option
@_steering(reason_needed=True)
def reduce(length: str, reason: str, state: Path, wait: float, as_json: bool) -> int:
    """Allow exits only, until resumed."""
    return _ask("reduce", _seconds(length), reason=reason, state=state, wait=wait, as_json=as_json)


@click.command()
@_steering(reason_needed=True)
def resume(reason: str, state: Path, wait: float, as_json: bool) -> int:
    """Open entries again after halt or reduce."""
    return _ask("resume", "", reason=reason, state=state, wait=wait, as_json=as_json)


@click.command("exit")
@click.argument("symbol", metavar="SYMBOL|all")
@_steering(reason_needed=False)
def exit_(symbol: str, reason: str, state: Path, wait: float, as_json: bool) -> int:
    """Sell the position in SYMBOL, or all positions."""
    wanted = "all" if symbol.lower() == "all" else symbol.upper()
    return _ask("exit", wanted, reason=reason, state=state, wait=wait, as_json=as_json)


@click.command()
@_steering(reason_needed=False)
def stop(reason: str, state: Path, wait: float, as_json: bool) -> int:
    """End the run as Ctrl-C does."""
    return _ask("stop", "", reason=reason, state=state, wait=wait, as_json=as_json)


@click.command()
@click.argument("plugin", metavar="PLUGIN[.HOOK]")
@_steering(reason_needed=False)
def release(plugin: str, reason: str, state: Path, wait: float, as_json: bool) -> int:
    """Lift a plugin's quarantine, for one hook or all."""
    return _ask("release", plugin, reason=reason, state=state, wait=wait, as_json=as_json)


@click.command()
@click.argument("symbol", metavar="SYMBOL|all")
@_steering(reason_needed=True)
def unlock(symbol: str, reason: str, state: Path, wait: float, as_json: bool) -> int:
    """Lift the locks on SYMBOL ('*': those on the whole account), or all locks, before their time."""
    wanted = "all" if symbol.lower() == "all" else symbol.upper()
    return _ask("unlock", wanted, reason=reason, state=state, wait=wait, as_json=as_json)


def _seconds(length: str) -> str:
    """Turn the length of a trading state into whole seconds; empty stays empty: no end.

    Raises:
        SettingsError: If it is no length, or below a second.
    """
    from tradecore.errors import SettingsError
    from tradecore.settings.duration import duration_s

    if not length:
        return ""
    seconds = int(duration_s(length))
    if seconds < 1:
        raise SettingsError(f"--for: expected at least 1s, was {length!r}")
    return str(seconds)


def _ask(verb: str, argument: str, *, reason: str, state: Path, wait: float, as_json: bool) -> int:
    """Write a command, wait for its answer, say what became of it; the exit code is 1 where it was refused."""
    from tradecore.cli.kept import find, holder
    from tradecore.cli.paper import facts, place, print_json
    from tradecore.clocks.clock import SystemClock
    from tradecore.clocks.ids import RandomIds
    from tradecore.model.records import Command, CommandState
    from tradecore.store.queries import open_reader, put_command

    kept = find(state)
    with open_reader(kept.store) as reader:
        if verb == "release":
            _require_quarantine(reader, argument)
        command = Command(RandomIds(SystemClock()).new("command"), verb, argument, reason, _actor())
        put_command(kept.store, command)
        runs = holder(kept.folder)
        answer = _answer(reader, command, wait if runs is not None else 0.0)
    if as_json:
        print_json({"state": str(kept.folder), "running": runs is not None, "command": facts(answer)})
    elif answer.state is not CommandState.ASKED:
        click.echo(f"{verb}: {'refused: ' if answer.state is CommandState.REFUSED else ''}{answer.result}")
    elif runs is None:
        click.echo(f"{verb}: written down; nobody is running on {place(kept.folder)}, the next start carries it out")
    else:
        click.echo(f"{verb}: written down; {runs} has not answered within {wait:g} s, it looks once per row of market")
    return 1 if answer.state is CommandState.REFUSED else 0


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"uid {os.getuid()}"


def _answer(reader: Reader, command: Command, wait_s: float) -> Command:
    """Poll until the command has its answer or the time is over; returns it as it then stands."""
    from tradecore.model.records import CommandState

    until_s = time.monotonic() + wait_s
    while True:
        found = reader.command(command.command_id) or command
        if found.state is not CommandState.ASKED or time.monotonic() >= until_s:
            return found
        time.sleep(_POLL_S)


def _require_quarantine(reader: Reader, wanted: str) -> None:
    """Refuse to release what is not in quarantine.

    Raises:
        SettingsError: Naming what is.
    """
    from tradecore.errors import SettingsError
    from tradecore.settings.wording import nearest

    held = [".".join(key.split("/")[1:3]) for key, fact in reader.memory("quarantine/").items() if fact.text]
    names = {*held, *(name.partition(".")[0] for name in held)}
    if wanted not in names:
        there = ", ".join(held) or "none"
        raise SettingsError(
            f"release: expected a plugin or plugin.hook in quarantine ({there}), was {wanted!r}{nearest(wanted, names)}"
        )
