"""``tradecore why``: what became of candidates, and the whole life of one intent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tradecore.cli.options import json_option, state_option
from tradecore.cli.when import when, when_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from tradecore.cli.why_entries import Entries
    from tradecore.cli.why_exits import Exits
    from tradecore.journal.why import Why
    from tradecore.journal.why_day import Cell, Denial
    from tradecore.journal.why_newest import Newest

_BAR = 24
_SPARKS = " ▁▂▃▄▅▆▇█"
_HINTS = {
    "NOT_TRADABLE": "no data for the symbol in those rows",
    "WARMING_UP": "a signal guest wants more rows before it than there were",
    "STALE_DATA": "the row was too old when it was judged",
    "NO_WISHER": "no signal guest is there, or every one failed or is in quarantine: tradecore status",
    "THRESHOLD_NOT_MET": "no condition was met; the nearest misses stand below",
    "FILTER_REFUSED": "a condition was met, a filter said no",
    "FILTER_SILENT": "a filter gave no answer: entries in its scope are shut",
    "TRADING_HALTED": "the trading state is HALTED: tradecore resume",
    "LOCKED": "a lock keeps entries away: tradecore status shows it, tradecore unlock lifts it",
    "TRADING_REDUCING": "the trading state is REDUCING: tradecore resume",
    "ENTRIES_HALTED": "a follow guest failed: open positions could not be led",
    "SYMBOL_HALTED": "the venue does not let it be bought",
    "SIZE_MISSING": "no sizing guest is there, or one gave no answer",
    "RISK_MISSING": "no risk guest is there, or one gave no answer",
    "ROUTER_MISSING": "no routing guest is there",
}


@click.command()
@click.argument("what", required=False, metavar="[SYMBOL|ID]")
@when_options
@click.option("--top", is_flag=True, help="What blocks most over all symbols (the same as no SYMBOL).")
@click.option(
    "--what-if",
    "what_if",
    multiple=True,
    metavar="KEY=VALUE",
    help="Ask the real plugins the stored questions again under another setting; may be given often.",
)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 10_000), help="Rows per table at most.")
@state_option
@json_option
def why(
    *, what: str | None, since: str | None, until: str | None, top: bool, what_if: tuple[str, ...], limit: int,
    state: Path, as_json: bool,
) -> None:  # fmt: skip
    """Say why candidates became no trades, or tell the life of an intent.

    Without an argument: what blocks most. With SYMBOL: the same for one symbol, and how near it came over time. With
    the ID of an intent, a signal or an order: everything from the signal to the ledger. The last 24 hours of market
    time unless --since says otherwise.
    """
    from tradecore.cli.kept import find
    from tradecore.errors import SettingsError
    from tradecore.model.places import JOURNAL_FOLDER

    if top and what is not None:
        raise SettingsError(f"--top: expected no symbol and no id beside it, was {what!r}")
    kept = find(state)
    journal = kept.folder / JOURNAL_FOLDER
    if what_if:
        from tradecore.cli.why_what_if import answer

        answer(kept, what_if, symbol=_symbol(what), since=since, until=until, limit=limit, as_json=as_json)
    elif what is not None and "/" not in what:
        from tradecore.cli.why_life import tell

        tell(kept.folder, journal, what, as_json=as_json)
    else:
        _answer(kept, journal, _symbol(what), since=since, until=until, limit=limit, as_json=as_json)


def _symbol(what: str | None) -> str | None:
    return what.upper() if what is not None else None


def span_of(journal: Path, since: str | None, until: str | None) -> tuple[int, int]:
    """The span of market time asked about: the last day of the journal where nothing is said.

    Raises:
        StateFolderError: If the journal is empty.
        SettingsError: If one end cannot be read.
    """
    from tradecore.errors import StateFolderError
    from tradecore.journal.query_lines import newest_ns

    newest = newest_ns(journal)
    if newest is None:
        raise StateFolderError(f"expected a journal with lines in {journal}, found none")
    newest_ms = newest // 1_000_000
    found = when(newest_ms, since or "24h", until)
    assert found.since_ms is not None
    return found.since_ms, found.until_ms if found.until_ms is not None else newest_ms + 1


def _answer(
    kept: Any, journal: Path, symbol: str | None, *, since: str | None, until: str | None, limit: int, as_json: bool
) -> None:
    """Sum up, and print."""
    from tradecore.cli.kept import open_rows
    from tradecore.cli.left_out import say_left_out
    from tradecore.cli.paper import facts, print_json
    from tradecore.cli.why_entries import entries_of
    from tradecore.cli.why_exits import exits_of
    from tradecore.journal.why import nearest
    from tradecore.journal.why import why as sum_up
    from tradecore.journal.why_newest import newest

    since_ms, until_ms = span_of(journal, since, until)
    found = sum_up(journal, since_ms, until_ms, symbol)
    untold = newest(journal, since_ms, until_ms)
    near = nearest(journal, since_ms, until_ms, limit) if symbol is None else ()
    with open_rows(kept) as rows:
        trading = rows.trading()
        entries = entries_of(rows, since_ms, until_ms, symbol)
        left_out = list(found.left_out)
        exits = exits_of(rows, journal, since_ms, until_ms, symbol, left_out)
    if as_json:
        print_json(
            {
                "state": str(kept.folder), "symbol": symbol, "since_ms": found.first_ms, "until_ms": found.last_ms,
                "candidates": found.candidates, "created": found.created, "refused_signals": found.refused,
                "newest": facts(untold), "trading": facts(trading), "reasons": facts(list(found.cells)),
                "refusals": [_denial_facts(one, found.refused) for one in found.denials],
                "nearest": facts(list(near)), "line": facts(list(found.line)), "entries": facts(entries),
                "exits": facts(exits), "left_out": facts(left_out),
            }
        )  # fmt: skip
        return
    _show(found, untold, near, symbol, trading, limit, entries, exits)
    say_left_out(left_out)


def _denial_facts(one: Denial, refused: int) -> dict[str, Any]:
    from tradecore.cli.paper import facts

    found: dict[str, Any] = facts(one)
    found["share"] = one.times / refused if refused else None
    found["mean"] = one.total / one.times if one.least is not None else None
    found["margin"] = _beyond(one)
    return found


def _show(  # noqa: PLR0917 - one answer, in the order in which it is printed
    found: Why,
    untold: Newest,
    near: Sequence[Cell],
    symbol: str | None,
    trading: Any,
    limit: int,
    entries: Entries,
    exits: Exits,
) -> None:
    from tradecore.cli.paper import console
    from tradecore.cli.why_entries import show_entries
    from tradecore.cli.why_exits import show_exits
    from tradecore.cli.write import length, moment

    out = console()
    about = symbol or "all symbols"
    span = f"{moment(found.first_ms)} to {moment(found.last_ms)} UTC ({length(found.last_ms - found.first_ms)})"
    out.print(f"{about}, {span}", style="bold", soft_wrap=True)
    out.print(
        f"{found.candidates:,} candidates, {found.refused:,} signals refused, {found.created:,} became intents",
        soft_wrap=True,
    )
    _say_newest(out, untold, symbol)
    if trading is not None and str(trading.state) != "ACTIVE":
        out.print(f"trading state is {trading.state} since {moment(trading.since_ms)}: {trading.reason}", style="red")
    if not found.candidates and not found.refused and not untold.rows:
        out.print("nothing was judged in that time: was the run alive, and is the symbol in its universe?")
    _show_reasons(out, found, limit)
    _show_refusals(out, found, limit)
    show_entries(out, entries, limit)
    show_exits(out, exits, limit)
    if found.line:
        _show_line(out, found)
    elif near:
        _show_nearest(out, near)


def _say_newest(out: Console, untold: Newest, symbol: str | None) -> None:
    """Say what the sums do not hold yet, so that figures of a running process are not taken for all."""
    from tradecore.cli.write import clock_time, counted

    if not untold.rows:
        return
    rows = f"the newest {untold.rows:,} rows, {clock_time(untold.first_ms)} to {clock_time(untold.last_ms)}"
    if symbol is not None:
        out.print(f"{rows} are told of one symbol once their five minutes are over", soft_wrap=True)
        return
    what = f"{untold.candidates:,} candidates, {counted(untold.outcomes)}"
    out.print(f"besides {rows}, told by guest and symbol once their five minutes are over: {what}", soft_wrap=True)


def _show_reasons(out: Console, found: Why, limit: int) -> None:
    from tradecore.cli.paper import table
    from tradecore.cli.write import share

    if not found.cells:
        return
    shown = table("what became of candidates", "by", "count", "share", "", right=("count", "share"))
    for cell in found.cells[:limit]:
        shown.add_row(
            cell.outcome, cell.by, f"{cell.times:,}", share(cell.times, found.candidates),
            bar(cell.times, found.candidates),
        )  # fmt: skip
    out.print()
    out.print(shown)
    _say_more(out, [cell.times for cell in found.cells[limit:]], found.candidates)
    for cell in found.cells[:3]:
        if cell.outcome in _HINTS:
            out.print(f"  {cell.outcome}: {_HINTS[cell.outcome]}", soft_wrap=True)


def _show_refusals(out: Console, found: Why, limit: int) -> None:
    from tradecore.cli.paper import table
    from tradecore.cli.write import share

    if not found.denials:
        return
    names = ("refused after a signal", "by", "limit", "measured", "allowed", "count", "share", "")
    shown = table(*names, right=("count", "share"), wide=("by", "limit", "measured", "allowed"))
    for one in found.denials[:limit]:
        allowed = f"{_plain(one.threshold)} {one.unit}".rstrip() if one.threshold is not None else "-"
        shown.add_row(
            one.outcome, one.by, one.limit or "-", measured(one), allowed, f"{one.times:,}",
            share(one.times, found.refused), bar(one.times, found.refused, 8),
        )  # fmt: skip
    out.print()
    out.print(shown)
    _say_more(out, [one.times for one in found.denials[limit:]], found.refused)
    for one in found.denials[:3]:
        out.print(f"  {in_words(one, found.refused)}", soft_wrap=True)


def _say_more(out: Console, times: Sequence[int], whole: int) -> None:
    """Say what a table was cut short by, so that its shares add up."""
    from tradecore.cli.write import share

    if times:
        out.print(f"  and {len(times)} more with {sum(times):,}, {share(sum(times), whole)}; --limit N shows them")


def _show_line(out: Console, found: Why) -> None:
    """Draw how near one symbol came over time: the higher the bar, the nearer."""
    from tradecore.cli.write import moment

    margins = [point.margin for point in found.line]
    known = [margin for margin in margins if margin is not None]
    if not known:
        return
    out.print()
    step = max(1, -(-len(margins) // 72))
    buckets = [[m for m in margins[at : at + step] if m is not None] for at in range(0, len(margins), step)]
    out.print(f"how near, {moment(found.line[0].start_ms)} to {moment(found.line[-1].start_ms)}:", soft_wrap=True)
    out.print(sparkline([min(some, default=None) for some in buckets]), soft_wrap=True)
    marks = [
        any(point.signals for point in found.line[at : at + step]) for at in range(0, len(found.line), step)
    ]  # fmt: skip
    if any(marks):
        out.print("".join("^" if mark else " " for mark in marks) + "  ^ signals that were refused", soft_wrap=True)
    best = min(
        (cell for cell in found.cells if cell.margin is not None), key=lambda cell: cell.margin or 0.0, default=None
    )
    out.print(f"nearest {100 * min(known):.3g} %, farthest {100 * max(known):.3g} % from the threshold")
    if best is not None:
        out.print(f"nearest at {moment(best.row_ms)}: {_miss(best)}", soft_wrap=True)


def _show_nearest(out: Console, near: Sequence[Cell]) -> None:
    from tradecore.cli.paper import table
    from tradecore.cli.write import moment

    shown = table("nearest misses", "value", "threshold", "off by", "time (UTC)", "by", right=("value", "threshold"))
    for cell in near:
        shown.add_row(
            cell.symbol, f"{cell.value:.6g}", f"{cell.threshold:.6g} {cell.unit}", f"{100 * (cell.margin or 0):.3g} %",
            moment(cell.row_ms), cell.by,
        )  # fmt: skip
    out.print()
    out.print(shown)


def _miss(cell: Cell) -> str:
    return f"{cell.by} {cell.value:.6g} against {cell.threshold:.6g} {cell.unit}, {cell.outcome}"


def bar(part: int, whole: int, width: int = _BAR) -> str:
    """Draw a share as a bar; anything above nothing shows."""
    if not part or not whole:
        return ""
    return "█" * max(1, round(width * part / whole))


def sparkline(margins: Sequence[float | None]) -> str:
    """Draw margins over time, the nearest the highest; a gap where nothing was measured."""
    known = [margin for margin in margins if margin is not None]
    low, high = min(known), max(known)
    width = high - low or 1.0
    return "".join(
        " " if margin is None else _SPARKS[8 - round(7 * (margin - low) / width)] for margin in margins
    )  # fmt: skip


def measured(one: Denial) -> str:
    """What was measured where it refused: the mean, and its range where it has one."""
    if one.least is None or one.most is None:
        return "-"
    mean = _plain(one.total / one.times)
    return mean if one.least == one.most else f"{mean} ({_plain(one.least)} to {_plain(one.most)})"


def _plain(value: float) -> str:
    """Write what was measured without an exponent where its whole part is too long for six digits."""
    return f"{value:.0f}" if abs(value) >= 100_000 else f"{value:.6g}"


def _beyond(one: Denial) -> float | None:
    """How far the mean lies beyond the limit, relative to it; ``None`` where nothing was measured."""
    if one.least is None or not one.threshold:
        return None
    return (one.total / one.times - one.threshold) / abs(one.threshold)


def in_words(one: Denial, refused: int) -> str:
    """Say one line of the refusals as a sentence."""
    from tradecore.cli.write import share

    head = f"{share(one.times, refused)} of refusals: "
    if one.least is None or one.threshold is None:
        return head + f"{one.outcome} by {one.by}" + (f", last: {one.detail}" if one.detail else "")
    unit = f" {one.unit}" if one.unit else ""
    beyond = _beyond(one)
    far = f" ({beyond:+.0%})" if beyond is not None else ""
    return (
        head
        + f"{one.limit} {_plain(one.total / one.times)}{unit} over a limit of {_plain(one.threshold)} by {one.by}{far}"
    )
