"""Draws the live screen for a terminal of any size: panes have fixed places, so that nothing jumps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group
from rich.text import Text

from tradecore.cli.write import clock_time, figure, length, moment, money, percent, price, short, signed
from tradecore.model.portfolio import TradingState
from tradecore.model.units import minus, price_of, ratio

if TYPE_CHECKING:
    from decimal import Decimal

    from tradecore.cli.live import Held, Picture, Price, Why, Working

_TWO_COLUMNS = 150
"""Columns from which two columns of panes stand side by side."""
_GAP = 3
_STATE_STYLE = {
    TradingState.ACTIVE: "bold green",
    TradingState.REDUCING: "bold yellow",
    TradingState.HALTED: "bold red",
}
Cell = tuple[str, str]
"""Text and style."""


class Column(NamedTuple):
    """One column of a pane."""

    title: str
    width: int
    """Least width; 0 takes what is left."""
    right: bool = False
    rank: int = 0
    """Columns of the highest rank are left out first where there is no room; 0 always stays."""


class Pane(NamedTuple):
    """A titled table."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]
    """Cells of all columns after the first, whose title is the pane's."""


def draw(picture: Picture, width: int, height: int) -> Group:
    """Draw a picture into `width` x `height` cells."""
    head = _head(picture, width)
    room = height - len(head) - 1
    market, held, working, why = _market(picture), _positions(picture), _intents(picture), _reasons(picture)
    if width >= _TWO_COLUMNS:
        left_width = 76
        left = _stack([(market, room - 1)], left_width)
        shares = _shares(room - 5, (0.4, 0.2))
        right = _stack(list(zip((held, working, why), shares, strict=True)), width - left_width - _GAP)
        body = _beside(left, right, left_width, room)
    else:
        rows = max(4, room - 7)
        shares = _shares(rows, (0.3, 0.12, 0.22))
        body = _stack(list(zip((held, working, why, market), shares, strict=True)), width)
    return Group(*head, Text(), *body[:room])


def _shares(rows: int, parts: tuple[float, ...]) -> list[int]:
    """Share rows out; the last pane takes the rest."""
    given = [max(1, round(rows * part)) for part in parts]
    return [*given, max(1, rows - sum(given))]


# The head ---------------------------------------------------------------------------------------------------------


def _head(picture: Picture, width: int) -> list[Text]:
    at = picture.progress
    gain = minus(at.equity, at.equity_start)
    gained = f"{signed(gain)}, {percent(ratio(gain, at.equity_start))}" if at.equity_start else signed(gain)
    first = _fit(
        [
            (picture.title, "bold"), (str(at.trading), _STATE_STYLE[at.trading]), (picture.trading_by, "yellow"),
            (f"quarantined {', '.join(picture.quarantined)}" if picture.quarantined else "", "bold red"),
            (f"{picture.symbols} symbols", ""), ("Ctrl-C ends", "dim"),
        ],
        width,
    )  # fmt: skip
    money_line = _fit(
        [
            (f"equity {money(at.equity)} {at.currency}", "bold"), (f"({gained})", _sign_style(gain)),
            (f"free {money(picture.free)}", ""), (f"reserved {money(picture.reserved)}", ""),
            (f"exposure {money(picture.exposure)}", ""), (f"realised {signed(at.realised_pnl)}", ""),
        ],
        width,
    )  # fmt: skip
    filled = at.orders_filled + at.orders_partly_filled
    counts = _fit(
        [
            (f"rows {at.rows:,}", ""), (f"signals {at.signals:,}", ""),
            (f"orders {at.orders_sent:,} sent, {filled:,} filled", ""),
            (f"positions {at.positions} open, {at.positions_closed:,} closed", ""),
            (f"events dropped {at.dropped:,}", "bold red" if at.dropped else ""),
        ],
        width,
    )  # fmt: skip
    return [first, _progress(picture, width), money_line, counts]


def _progress(picture: Picture, width: int) -> Text:
    at = picture.progress
    row = f"row closed {length(at.at_ms - picture.row_ms)} ago" if picture.row_ms is not None else "no row yet"
    line = Text(f"{moment(at.at_ms)} UTC  ", no_wrap=True)
    if at.fraction is None or at.end_ms is None:
        line.append(f"{length(at.at_ms - at.begun_ms)} so far  {row}")
        return line
    ends = f" {at.fraction:4.0%} of {length(at.end_ms - at.begun_ms)}, {row}"
    room = max(0, min(60, width - len(line) - len(ends)))
    done = round(room * at.fraction)
    line.append("━" * done, "green").append("━" * (room - done), "bright_black").append(ends)
    return line


def _fit(parts: Sequence[Cell], width: int) -> Text:
    """Set parts beside each other as far as they fit; the first always stays."""
    line = Text(no_wrap=True, overflow="ellipsis")
    for text, style in parts:
        if text and (not line or len(line) + 2 + len(text) <= width):
            line.append("  " if line else "").append(text, style)
    return line


# Panes ------------------------------------------------------------------------------------------------------------


def _positions(picture: Picture) -> Pane:
    columns = (
        Column("", 11), Column("quantity", 11, right=True), Column("entry", 10, right=True),
        Column("mark", 10, right=True), Column("PnL", 9, right=True), Column("", 8, right=True, rank=1),
        Column("stop", 10, right=True), Column("take", 10, right=True, rank=2), Column("age", 7, right=True),
        Column("leaving", 14, rank=3),
    )  # fmt: skip
    now_ms = picture.progress.at_ms
    return Pane("positions", columns, [_position(held, now_ms) for held in picture.held])


def _position(held: Held, now_ms: int) -> Sequence[Cell]:
    p = held.position
    style = _sign_style(held.pnl)
    return (
        (p.symbol, "bold"), (short(p.quantity), ""), (price(p.average_price, held.tick), ""),
        (price(held.mark, held.tick) if held.mark is not None else "-", ""), (signed(held.pnl), style),
        (percent(held.part), style), _level(p.levels.stop, held.tick), _level(p.levels.take, held.tick),
        (length(now_ms - p.opened_ms), ""), (str(p.close_reason or ""), "yellow"),
    )  # fmt: skip


def _level(value: Decimal | None, tick: Decimal) -> Cell:
    return (price(value, tick), "") if value is not None else ("-", "dim")


def _intents(picture: Picture) -> Pane:
    columns = (
        Column("", 11), Column("side", 4), Column("quantity", 11, right=True), Column("cap", 10, right=True),
        Column("state", 8), Column("age", 6, right=True), Column("newest order", 0),
    )  # fmt: skip
    now_ms = picture.progress.at_ms
    return Pane("open intents", columns, [_intent(working, now_ms) for working in picture.working])


def _intent(working: Working, now_ms: int) -> Sequence[Cell]:
    intent = working.row.intent
    newest = f"{working.attempts}: {working.newest}" if working.attempts else "none yet"
    return (
        (intent.symbol, "bold"), (str(intent.side), "green" if intent.side == "buy" else "red"),
        (short(intent.quantity), ""), (price(intent.price_cap, working.tick), ""), (str(working.row.state), ""),
        (length(now_ms - intent.created_ms), ""), (newest, ""),
    )  # fmt: skip


def _reasons(picture: Picture) -> Pane:
    columns = (Column("", 11), Column("age", 7, right=True), Column("why a signal was not traded", 0))
    now_ms = picture.progress.at_ms

    def row(why: Why) -> Sequence[Cell]:
        return ((why.symbol, "bold"), (length(now_ms - why.at_ms), ""), (why.text, ""))

    return Pane("reasons", columns, [row(why) for why in picture.reasons])


def _market(picture: Picture) -> Pane:
    closed = f" at {clock_time(picture.row_ms)}" if picture.row_ms is not None else ""
    columns = (
        Column("", 11), Column("price now", 12, right=True), Column("since start", 11, right=True),
        Column("value" + closed, 17, right=True), Column("needs", 9, right=True), Column("by", 0),
    )  # fmt: skip
    return Pane("market", columns, [_price(one) for one in picture.prices])


def _price(one: Price) -> Sequence[Cell]:
    value = figure(one.value, one.unit) if one.value is not None else ""
    needs = figure(one.threshold, one.unit) if one.value is not None else ""
    change = f"{one.since_start:+.2%}".replace("%", " %") if one.since_start is not None else ""
    return (
        (one.symbol, "bold cyan" if one.held else "bold"),
        (price(price_of(one.price), one.tick) if one.price is not None else "never traded", ""),
        (change, _sign_style(one.since_start or 0)), (value, ""), (needs, "dim"), (one.plugin, "dim"),
    )  # fmt: skip


def _sign_style(value: Decimal | float) -> str:
    return "red" if value < 0 else "green" if value > 0 else ""


# Layout -----------------------------------------------------------------------------------------------------------


def _stack(panes: Sequence[tuple[Pane, int]], width: int) -> list[Text]:
    """Set panes under each other, each with its rows and an empty line after it."""
    lines: list[Text] = []
    for pane, rows in panes:
        if lines:
            lines.append(Text())
        lines += _pane(pane, width, rows)
    return lines


def _pane(pane: Pane, width: int, most: int) -> list[Text]:
    """Draw a pane into exactly one header line and `most` rows."""
    chosen = _chosen(pane.columns, width)
    fixed = sum(pane.columns[i].width or 0 for i in chosen) + len(chosen) - 1
    widths = [pane.columns[i].width or max(8, width - fixed) for i in chosen]
    title = f"{pane.title} {len(pane.rows)}" if pane.rows else pane.title
    if len(pane.rows) > most:
        title = f"{pane.title} {most}/{len(pane.rows)}"
    header = Text(no_wrap=True)
    for place, (i, size) in enumerate(zip(chosen, widths, strict=True)):
        column = pane.columns[i]
        words = title if place == 0 else column.title
        # a title may be wider than its column: the name of the pane reaches into the gap of the next
        header.append(words.rjust(size) if column.right else words.ljust(size)[: max(size, len(title))])
        header.append("" if place == 0 and len(words) > size else " ")
    header.truncate(width)
    header.stylize("bold reverse" if pane.rows else "reverse")
    header.pad_right(max(0, width - len(header)))
    lines = [header]
    for cells in list(pane.rows)[:most]:
        line = Text(no_wrap=True)
        for i, size in zip(chosen, widths, strict=True):
            text, style = cells[i]
            cut = text if len(text) <= size else text[: size - 1] + "…"
            line.append(cut.rjust(size) if pane.columns[i].right else cut.ljust(size), style).append(" ")
        line.truncate(width)
        lines.append(line)
    if not pane.rows:
        lines.append(Text("none", "dim"))
    return lines + [Text()] * (most + 1 - len(lines))


def _chosen(columns: Sequence[Column], width: int) -> list[int]:
    """Leave columns out, the highest rank first, until the others fit."""
    chosen = list(range(len(columns)))
    while sum((columns[i].width or 8) + 1 for i in chosen) - 1 > width:
        last = max(chosen, key=lambda i: (columns[i].rank, i))
        if columns[last].rank == 0:
            break
        chosen.remove(last)
    return chosen


def _beside(left: list[Text], right: list[Text], left_width: int, most: int) -> list[Text]:
    lines = []
    for number in range(min(most, max(len(left), len(right)))):
        line = left[number].copy() if number < len(left) else Text()
        line.no_wrap = True
        line.truncate(left_width)
        line.pad_right(max(0, left_width - len(line)) + _GAP)
        if number < len(right):
            line.append_text(right[number])
        lines.append(line)
    return lines
