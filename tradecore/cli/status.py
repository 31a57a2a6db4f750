"""``tradecore status``: what the run on a state folder does now, read beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tradecore.cli.options import json_option, state_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from tradecore.cli.kept import Kept
    from tradecore.model.intent import IntentRow
    from tradecore.model.lock import Lock
    from tradecore.model.position import Position
    from tradecore.model.records import Command, Memory, Run, TradingRecord
    from tradecore.store.lease import LeaseRow
    from tradecore.store.queries import Reader


class Now(NamedTuple):
    """A run as its store shows it."""

    newest_ms: int
    """Newest market time in the store; all ages are counted from it."""
    run: Run | None
    trading: TradingRecord | None
    figures: Mapping[str, Any]
    """The engine's last snapshot of derived figures; empty before the first."""
    positions: Sequence[Position]
    intents: Sequence[IntentRow]
    unknown: Sequence[str]
    """Orders without proof, one line each."""
    quarantines: Mapping[str, str]
    """``plugin.hook`` to the fault that led there."""
    locks: Sequence[Lock]
    """In force, soonest end first."""
    commands: Sequence[Command]
    """Asked and not yet carried out, oldest first."""
    lease: LeaseRow | None
    """Who writes the store, or wrote it last; ``None``: nobody ever did under a lease."""
    wall_ms: int
    """This machine's time: a lease is of the wall."""


@click.command()
@state_option
@json_option
def status(state: Path, as_json: bool) -> None:
    """Say whether a run goes on, and what it holds. Times are market time, UTC."""
    from tradecore.cli.kept import find, holder
    from tradecore.cli.paper import print_json
    from tradecore.store.queries import open_reader

    kept = find(state)
    with open_reader(kept.store) as reader:
        now = _read(reader)
    runs = holder(kept.folder)
    if as_json:
        print_json(_facts(kept, runs, now))
    else:
        _show(kept, runs, now)


def _read(reader: Reader) -> Now:
    from tradecore.cli.kept import newest_ms
    from tradecore.clocks.clock import SystemClock
    from tradecore.model.intent import INTENT_LIVE
    from tradecore.model.order import ATTEMPT_UNPROVEN
    from tradecore.model.records import CommandState

    memory, at_ms = reader.memory(), newest_ms(reader)
    told = memory.get("status")
    attempts = [attempt for state in sorted(ATTEMPT_UNPROVEN) for attempt in reader.orders(1_000, state=state)]
    asked = [command for command in reader.commands(1_000) if command.state is CommandState.ASKED]
    return Now(
        newest_ms=at_ms,
        run=reader.last_run(),
        trading=reader.trading(),
        figures=json.loads(told.text) if told is not None and told.text else {},
        positions=reader.open_positions(),
        intents=[row for state in sorted(INTENT_LIVE) for row in reader.intents(1_000, state=state)],
        unknown=[f"{a.symbol} {a.side} {a.request.quantity} at {a.request.price}: {a.state}" for a in attempts],
        quarantines={
            ".".join(key.split("/")[1:3]): fact.text
            for key, fact in memory.items()
            if key.startswith("quarantine/") and fact.text
        },
        locks=_locks(memory, at_ms),
        commands=list(reversed(asked)),
        lease=reader.lease(),
        wall_ms=SystemClock().now_ms(),
    )


def _locks(memory: Mapping[str, Memory], at_ms: int) -> Sequence[Lock]:
    """Locks in force, soonest end first; the engine's words for them are imported only where there are any."""
    from tradecore.model.records import LOCK

    if not any(key.startswith(LOCK) and fact.text for key, fact in memory.items()):
        return ()
    from tradecore.engine.locks import locks_in

    return sorted(locks_in(memory.values(), at_ms), key=lambda lock: (lock.expires_ms, lock.symbol))


def _facts(kept: Kept, runs: str | None, now: Now) -> dict[str, object]:
    from tradecore.cli.paper import facts

    at_ms = now.figures.get("at_ms")
    return {
        "state": str(kept.folder),
        "running": runs is not None,
        "holder": runs,
        "lease": _lease_facts(now),
        "market_time_ms": now.newest_ms,
        "run": facts(now.run),
        "trading": facts(now.trading),
        "figures": dict(now.figures),
        "figures_age_ms": now.newest_ms - at_ms if at_ms is not None else None,
        "positions": facts(list(now.positions)),
        "intents": facts(list(now.intents)),
        "unknown_orders": list(now.unknown),
        "quarantines": dict(now.quarantines),
        "locks": facts(list(now.locks)),
        "pending_commands": facts(list(now.commands)),
    }


def _show(kept: Kept, runs: str | None, now: Now) -> None:
    from tradecore.cli.paper import console

    out = console()
    for name, text in _lines(kept, runs, now):
        out.print(f"{name:<12}{text}", soft_wrap=True)
    _show_positions(out, now)
    _show_intents(out, now)
    for title, lines in (
        ("orders without proof", now.unknown),
        ("quarantined", [f"{where}: {fault}" for where, fault in now.quarantines.items()]),
        ("locked for entries", [_lock(lock) for lock in now.locks]),
        ("commands not yet carried out", [_command(command) for command in now.commands]),
    ):
        if lines:
            out.print(f"\n{title}", style="bold")
            for line in lines:
                out.print(f"  {line}", soft_wrap=True)


def _lines(kept: Kept, runs: str | None, now: Now) -> list[tuple[str, str]]:
    from tradecore.cli.paper import place
    from tradecore.cli.write import length, moment

    lines = [("state", place(kept.folder)), ("running", f"yes, {runs}" if runs else "no")]
    if now.lease is not None:
        lines.append(("writer", _writer(now.lease, now.wall_ms)))
    run = now.run
    if run is None:
        return [*lines, ("run", "none yet")]
    begun = f"{run.run_id}, number {run.number}, profile {run.profile}, seed {run.seed}, from {moment(run.started_ms)}"
    lines.append(("run", begun))
    if run.ended_ms is not None:
        lines.append(("ended", f"{moment(run.ended_ms)}: {run.reason}"))
    elif runs is None:
        lines.append(("ended", "without a word (killed); the next start on this state resumes it"))
    if now.trading is not None:
        t = now.trading
        until = f", until {moment(t.expires_ms)}" if t.expires_ms is not None else ""
        lines.append(("trading", f"{t.state} since {moment(t.since_ms)} by {t.actor}: {t.reason}{until}"))
    else:
        lines.append(("trading", "ACTIVE since the first start"))
    lines.append(("market time", f"{moment(now.newest_ms)} UTC"))
    if now.figures:
        # before the figures: they may be half a minute of the wall old, which is much market time of a fast run
        age = length(max(0, now.newest_ms - int(now.figures["at_ms"])))
        lines.append(
            ("figures of", f"{moment(int(now.figures['at_ms']))} UTC, {age} old; the next two lines are as of then")
        )
        lines.append(("money", _money(now.figures)))
        lines.append(("work", _work(now.figures)))
        if (oldest := now.figures.get("marks_age_ms")) is not None:
            # a row's close may lie a moment ahead of the clock that reads it
            lines.append(("prices", f"positions were valued by prices up to {length(max(0, int(oldest)))} old then"))
    return lines


def _lease_facts(now: Now) -> dict[str, object] | None:
    """Write the lease for machines; times are of the wall."""
    lease = now.lease
    if lease is None:
        return None
    return {
        "epoch": lease.epoch, "host": lease.holder.host, "pid": lease.holder.pid, "run_id": lease.run_id,
        "taken_ms": lease.taken_ms, "renewed_ms": lease.renewed_ms, "left_ms": lease.left_ms(now.wall_ms),
        "released": lease.released,
    }  # fmt: skip


def _writer(lease: LeaseRow, wall_ms: int) -> str:
    from tradecore.cli.write import length

    if lease.released:
        return f"nobody; epoch {lease.epoch} was {lease.shown}"
    age = f"renewed {length(max(0, wall_ms - lease.renewed_ms))} ago"
    left = lease.left_ms(wall_ms)
    return f"{lease.shown}, epoch {lease.epoch}, {age}{'' if left else ', silent for too long: may be replaced'}"


def _money(figures: Mapping[str, Any]) -> str:
    from decimal import Decimal

    from tradecore.cli.write import money

    parts = [f"{name} {money(Decimal(figures[name]))}" for name in ("equity", "free", "reserved", "exposure")]
    return f"{', '.join(parts)} {figures['currency']}"


def _work(figures: Mapping[str, Any]) -> str:
    return (
        f"{figures['rows']:,} rows, {figures['signals']:,} signals, {figures['orders_sent']:,} orders sent in this run"
    )


def _show_positions(out: Console, now: Now) -> None:
    from tradecore.cli.paper import table
    from tradecore.cli.write import length, price
    from tradecore.model.units import canonical

    out.print(f"\nopen positions: {len(now.positions) or 'none'}", style="bold")
    if not now.positions:
        return
    shown = table(
        "symbol", "quantity", "entry", "stop", "take", "age", "state", "by",
        right=("quantity", "entry", "stop", "take", "age"),
    )  # fmt: skip
    for p in now.positions:
        shown.add_row(
            p.symbol, canonical(p.quantity), price(p.average_price),
            price(p.levels.stop) if p.levels.stop is not None else "-",
            price(p.levels.take) if p.levels.take is not None else "-",
            length(now.newest_ms - p.opened_ms), str(p.state), p.plugin,
        )  # fmt: skip
    out.print(shown)


def _show_intents(out: Console, now: Now) -> None:
    from tradecore.cli.paper import table
    from tradecore.cli.write import length, price
    from tradecore.model.units import canonical

    out.print(f"\nlive intents: {len(now.intents) or 'none'}", style="bold")
    if not now.intents:
        return
    shown = table("symbol", "side", "quantity", "cap", "state", "age", right=("quantity", "cap", "age"))
    for row in now.intents:
        intent = row.intent
        shown.add_row(
            intent.symbol, str(intent.side), canonical(intent.quantity), price(intent.price_cap), str(row.state),
            length(now.newest_ms - intent.created_ms),
        )  # fmt: skip
    out.print(shown)


def _lock(lock: Lock) -> str:
    from tradecore.cli.write import moment

    what = "all symbols" if lock.symbol == "*" else lock.symbol
    return f"{what} until {moment(lock.expires_ms)} by {lock.plugin} ({lock.rule}): {lock.reason}"


def _command(command: Command) -> str:
    words = " ".join(part for part in (command.verb, command.argument) if part)
    return f"{words} by {command.actor}" + (f": {command.reason}" if command.reason else "")
