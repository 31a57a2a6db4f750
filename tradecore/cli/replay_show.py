"""What a replay found, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tradecore.app.redeciding import Redecided
    from tradecore.cli.replay import Replayed
    from tradecore.engine.replaying import Rebuilt

_SHOWN = 10
"""Findings and differences that people see; JSON has up to a thousand."""


def json_of(folder: Path, found: Replayed) -> dict[str, Any]:
    """All of it as JSON values; money as text."""
    from tradecore.cli.paper import facts

    verified, rebuilt = found.verified, found.rebuilt
    answer: dict[str, Any] = {
        "state": str(folder),
        "run": facts(found.run),
        "equal": found.equal,
        "chain": {"ok": verified.ok, **facts(verified)},
        "rebuilt": _rebuilt_facts(rebuilt, found),
        "store": {
            "equal": found.compared.equal,
            "compared": "all" if found.whole else "events, fills and ledger entries",
            "differences": facts(list(found.compared.differences)),
            "differences_total": found.compared.total,
        },
        "broken": found.broken,
    }
    if found.redecided is not None:
        answer["decisions"] = facts(found.redecided)
    return answer


def _rebuilt_facts(rebuilt: Rebuilt, found: Replayed) -> dict[str, Any]:
    from tradecore.cli.paper import facts
    from tradecore.model.units import ZERO, minus

    before = found.run.realised_before if found.run is not None else ZERO
    return {
        "first_sequence": rebuilt.first_sequence,
        "last_sequence": rebuilt.sequence,
        "at_ns": rebuilt.at_ns,
        "events": rebuilt.events,
        "fills": rebuilt.fills,
        "ledger_entries": rebuilt.entries,
        "partial": rebuilt.partial,
        "trading_state": rebuilt.state,
        "cash": facts(_cash(rebuilt)),
        "realised_quote": facts(rebuilt.realised),
        "run_realised_quote": facts(minus(rebuilt.realised, before)),
        "fees": facts(rebuilt.fees),
        "positions": [
            {"position_id": key, **facts(known.position), "sequence": known.sequence}
            for key, known in _open_positions(rebuilt)
        ],
        "positions_closed": len(rebuilt.positions) - len(_open_positions(rebuilt)),
        "open_intents": {key: facts(known) for key, known in rebuilt.intents.items() if known.live},
        "open_orders": {key: facts(known) for key, known in rebuilt.attempts.items() if known.live},
        "reserved": {key: facts(known) for key, known in rebuilt.reservations.items()},
    }


def _cash(rebuilt: Rebuilt) -> dict[str, Any]:
    from tradecore.engine.books import ASSETS

    return {
        coin: amount for (account, coin), amount in sorted(rebuilt.balances.items()) if account == ASSETS and amount
    }


def _open_positions(rebuilt: Rebuilt) -> list[tuple[str, Any]]:
    from tradecore.model.position import PositionState

    return [
        (key, known) for key, known in rebuilt.positions.items() if known.position.state is not PositionState.CLOSED
    ]


def show(folder: Path, found: Replayed) -> None:
    """Print it for people."""
    from tradecore.cli.paper import console, place

    out = console()
    _show_chain(out, found)
    _show_rebuilt(out, found)
    if found.broken:
        out.print(f"store     not compared: the journal of {place(folder)} could not be read: {found.broken}")
    else:
        _show_differences(out, found)
    if found.redecided is not None:
        _show_decisions(out, found.redecided)


def _show_chain(out: Console, found: Replayed) -> None:
    verified = found.verified
    gone = sum(one.files for one in verified.gone)
    policy = f", {gone} older files gone by policy" if gone else ""
    word = "whole" if verified.ok else "BROKEN"
    out.print(f"chain     {word}: {verified.lines:,} lines in {verified.files} files{policy}")
    for one in verified.findings[:_SHOWN]:
        line = f" line {one.line}" if one.line else ""
        seq = f" (seq {one.seq})" if one.seq else ""
        out.print(f"          {one.what}: {one.file}{line}{seq}: {one.detail}", soft_wrap=True)
    if len(verified.findings) > _SHOWN:
        out.print(f"          and {len(verified.findings) - _SHOWN} more; --json shows all")


def _show_rebuilt(out: Console, found: Replayed) -> None:
    from tradecore.cli.paper import table
    from tradecore.cli.write import short, signed
    from tradecore.model.units import ZERO, minus

    rebuilt, run = found.rebuilt, found.run
    if run is not None:
        ended = f"ended: {run.ended}" if run.ended else "not ended"
        out.print(f"run       {run.number}, {run.run_id}, profile {run.profile}, {ended}")
    begin = f", the first {rebuilt.first_sequence - 1:,} are gone" if rebuilt.partial else ""
    counts = f"{rebuilt.events:,} booked events{begin}, {rebuilt.fills:,} fills, {rebuilt.entries:,} ledger entries"
    out.print(f"rebuilt   {counts}")
    before = run.realised_before if run is not None else ZERO
    fees = ", ".join(f"{short(amount)} {coin}" for coin, amount in sorted(rebuilt.fees.items())) or "none"
    closed = len(rebuilt.positions) - len(_open_positions(rebuilt))
    in_run = signed(minus(rebuilt.realised, before))
    out.print(f"profit    {signed(rebuilt.realised)} realised over {closed:,} round trips, {in_run} in this run")
    out.print(f"fees      {fees}")
    live = sum(known.live for known in rebuilt.intents.values())
    orders = sum(known.live for known in rebuilt.attempts.values())
    out.print(f"open      {len(_open_positions(rebuilt))} positions, {live} intents, {orders} orders")
    cash = ", ".join(f"{short(amount, 12)} {coin}" for coin, amount in _cash(rebuilt).items()) or "none"
    out.print(f"coins     {cash}", soft_wrap=True)
    if _open_positions(rebuilt):
        shown = table("position", "symbol", "quantity", "average", "event", right=("quantity", "average", "event"))
        for key, known in _open_positions(rebuilt):
            position = known.position
            shown.add_row(
                key, position.symbol, f"{position.quantity:f}", short(position.average_price, 8), f"{known.sequence:,}"
            )
        out.print(shown)


def _show_differences(out: Console, found: Replayed) -> None:
    compared = found.compared
    what = "everything" if found.whole else "events, fills and ledger entries (a later run went on from here)"
    if compared.equal:
        out.print(f"store     equal in {what}")
        return
    out.print(f"store     DIFFERENT: {compared.total:,} differences; the first:")
    for one in compared.differences[:_SHOWN]:
        event = f"event {one.sequence:,}" if one.sequence else "no event"
        out.print(f"          {event}: {one.what}: journal {one.journal}, {one.where} {one.other}", soft_wrap=True)
    if compared.total > _SHOWN:
        out.print(f"          and {compared.total - _SHOWN:,} more; --json shows them")


def _show_decisions(out: Console, found: Redecided) -> None:
    from tradecore.cli.write import moment, signed

    out.print()
    changed = [f"{name} {a or 'absent'} -> {b or 'absent'}" for name, (a, b) in found.guests.items() if a != b]
    out.print(f"decisions {found.asked:,} asked again: {found.same:,} the same, {found.total:,} differ", soft_wrap=True)
    if changed:
        out.print(f"          {', '.join(changed)}", soft_wrap=True)
    if found.untold:
        why = ", ".join(f"{name} ({count:,})" for name, count in list(found.untold_why.items())[:3])
        out.print(f"          {found.untold:,} cannot be answered, since this was not kept: {why}", soft_wrap=True)
    for fault in found.faults[:3]:
        out.print(f"          {fault}", soft_wrap=True)
    if not found.differing:
        return
    first = found.differing[0]
    at = moment(first.at_ns // 1_000_000)
    out.print(f"first     {at} {first.symbol} {first.question}, signal {first.signal_id}, line {first.seq}")
    for name, then, now in first.changed:
        out.print(f"          {name}: {then} -> {now}", soft_wrap=True)
    out.print(f"          {first.effect}, {signed(first.effect_quote)} quote")
    for name, (count, total) in sorted(found.effects.items(), key=lambda item: -item[1][0]):
        out.print(f"effect    {name}: {count:,} times, {signed(total)} quote")
    if found.results_quote:
        out.print(f"          the trades not made brought {signed(found.results_quote)} in the end")
    out.print(f"by        {', '.join(f'{name} {count:,}' for name, count in found.by.items())}", soft_wrap=True)
