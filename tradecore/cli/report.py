"""The end of a run in figures, and what to type next."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tradecore.cli.paper import place, program, table
from tradecore.cli.write import counted, length, money, percent, share, signed
from tradecore.model.units import minus, ratio

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tradecore.app import Outcome


def report(out: Console, outcome: Outcome, folder: Path | None, *, named: bool) -> None:
    """Print the end of a run.

    Args:
        folder: Where it is kept; ``None``: nowhere.
        named: True where a person named the folder, so that it must be named again.
    """
    found: dict[str, Any] = outcome.summary
    out.print()
    ended = f"ended: {found['ended']}, after {length(int(found['wall_s'] * 1_000))} of wall time, run {found['run_id']}"
    out.print(ended, style="bold", soft_wrap=True)
    shown = table("", "", wide=("",))
    shown.show_header = False
    for name, text in _lines(found, kept=folder is not None):
        shown.add_row(name, text)
    out.print(shown)
    _outcomes(out, found)
    for title, lines in (
        ("not at their end", found["pending"]),
        ("quarantined plugins", found["quarantined"]),
        ("phases of the end that failed", found["failed_phases"]),
    ):
        if lines:
            out.print(f"\n{title}:", style="bold red")
            for line in lines:
                out.print(f"  {line}", soft_wrap=True)
    _next(out, folder, named)


def _lines(found: dict[str, Any], *, kept: bool) -> list[tuple[str, str]]:
    # stops and takes are ours, not orders at the venue: whoever ends a run must know
    alone = "; nobody leads them until the next start" if kept and found["positions_open"] else ""
    start, end, currency = Decimal(found["equity_start"]), Decimal(found["equity_end"]), found["currency"]
    gain = minus(end, start)
    part = f", {percent(ratio(gain, start))}" if start else ""
    rate = f"{100 * found['fill_rate']:.1f} %" if found["fill_rate"] is not None else "-"
    books = "balanced" if found["ledger_balanced"] else "NOT BALANCED"
    lines = [
        ("market", f"{found['rows']:,} rows of {length(found['timeframe_ms'])}, {found['symbols']} symbols, "
                   f"{found['gaps']:,} gaps"),
        ("candidates", f"{found['candidates']:,}, of them {found['signals']:,} signals"),
        ("intents", counted(found["intents"])),
        ("orders", f"{found['orders_sent']:,} sent, {found['orders_filled']:,} filled, "
                   f"{found['orders_partly_filled']:,} partly; fill rate {rate}"),
        ("not filled", counted(found["orders_failed"])),
        ("positions", f"{found['positions_closed']:,} closed, {found['positions_open']:,} open{alone}"),
        ("realised PnL", f"{signed(Decimal(found['realised_pnl']))} {currency}"),
        ("fees", f"{money(Decimal(found['fees']))} {currency}"),
        ("equity", f"{money(start)} to {money(end)} {currency} ({signed(gain)}{part})"),
        ("reserved", f"{money(Decimal(found['reserved']))} {currency}, {found['pending_intents']} intents pending"),
        ("ledger", f"{books}, unexplained drift {found['unexplained_drift']} {currency}"),
        ("trading", f"{found['trading_state']}, {found['slow_cycles']} slow cycles, "
                    f"{found['events_dropped']} events dropped"),
    ]  # fmt: skip
    if found["errors"]:
        lines.append(("errors", counted(found["errors"])))
    return lines


def _outcomes(out: Console, found: dict[str, Any]) -> None:
    """Why each candidate was traded or not, the most frequent first."""
    if not found["outcomes"]:
        return
    shown = table("what became of candidates", "count", "share", right=("count", "share"))
    for reason, count in sorted(found["outcomes"].items(), key=lambda item: (-item[1], item[0])):
        shown.add_row(reason, f"{count:,}", share(count, found["candidates"]))
    out.print()
    out.print(shown)


def _next(out: Console, folder: Path | None, named: bool) -> None:
    me = program()
    out.print()
    if folder is None:
        out.print("The run was kept in a temporary folder, which is gone. Keep the next one:")
        out.print(f"  {me} run --state DIR ...", soft_wrap=True)
        return
    state = f" --state {place(folder)}" if named else ""
    out.print(f"The run is kept in {place(folder)}. What to type next:", soft_wrap=True)
    commands = ("status", "why --top", "query trades", "query orders", "query intents --since 30m", "ledger check")
    for command in commands:
        out.print(f"  {me} {command}{state}", soft_wrap=True)
