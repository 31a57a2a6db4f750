"""Draws the live screen for a terminal of any size: panes have fixed places, so that nothing jumps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group
from rich.text import Text

from tradecore.cli.write import age, clock_time, figure, length, moment, money, percent, price, short, signed
from tradecore.model.portfolio import TradingState
from tradecore.model.units import minus, price_of, ratio

if TYPE_CHECKING:
    from decimal import Decimal

    from tradecore.cli.live import Held, Picture, Price, Why, Working

_ALARM_MS = 600_000
"""The newest alarm stays in sight for so long, market time."""
_TWO_COLUMNS = 150
"""Columns from which two columns of panes stand side by side."""
_GAP = 3
_PRICE = 10
"""Cells of a price."""
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
        left_width = 80
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
    filled = at.orders_filled + at.orders_partly_filled
    figures = [
        (f"equity {money(at.equity)} {at.currency}", "bold"), (f"({gained})", _sign_style(gain)),
        (f"free {money(picture.free)}", ""), (f"reserved {money(picture.reserved)}", ""),
        (f"exposure {money(picture.exposure)}", ""), (f"realised {signed(at.realised_pnl)}", ""),
        (f"rows {at.rows:,}", ""), (f"signals {at.signals:,}", ""),
        (f"orders {at.orders_sent:,} sent, {filled:,} filled", ""),
        (f"positions {at.positions} open, {at.positions_closed:,} closed", ""),
        (f"events dropped {at.dropped:,}", "bold red" if at.dropped else ""),
    ]  # fmt: skip
    alarm = at.alarms[-1] if at.alarms else None
    fresh = alarm is not None and at.at_ms - alarm.at_ms < _ALARM_MS
    shown = [_fit([(f"{moment(alarm.at_ms)}  {alarm.text}", "bold red")], width)] if alarm is not None and fresh else []
    return [first, _progress(picture, width), *shown, *_packed(figures, width)]


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
    """Set parts beside each other as far as they fit in one line."""
    return _packed([part for part in parts if part[0]], width)[0]


def _packed(parts: Sequence[Cell], width: int) -> list[Text]:
    """Set parts beside each other, and on a new line where one does not fit."""
    lines = [Text(no_wrap=True, overflow="ellipsis")]
    for text, style in parts:
        if lines[-1] and len(lines[-1]) + 2 + len(text) > width:
            lines.append(Text(no_wrap=True, overflow="ellipsis"))
        lines[-1].append("  " if lines[-1] else "").append(text, style)
    return lines


# Panes ------------------------------------------------------------------------------------------------------------


def _positions(picture: Picture) -> Pane:
    columns = (
        Column("", 11), Column("qty", 9, right=True), Column("entry", _PRICE, right=True),
        Column("mark", _PRICE, right=True), Column("PnL", 8, right=True), Column("", 8, right=True, rank=1),
        Column("stop", _PRICE, right=True), Column("take", _PRICE, right=True), Column("age", 5, right=True),
        Column("leaving", 14, rank=2),
    )  # fmt: skip
    now_ms = picture.progress.at_ms
    return Pane("positions", columns, [_position(held, now_ms) for held in picture.held])


def _position(held: Held, now_ms: int) -> Sequence[Cell]:
    p = held.position
    style = _sign_style(held.pnl)
    return (
        (p.symbol, "bold"), (short(p.quantity), ""), (price(p.average_price, held.tick, _PRICE), ""),
        (price(held.mark, held.tick, _PRICE) if held.mark is not None else "-", ""), (signed(held.pnl), style),
        (percent(held.part), style), _level(p.levels.stop, held.tick), _level(p.levels.take, held.tick),
        (age(now_ms - p.opened_ms), ""), (str(p.close_reason or ""), "yellow"),
    )  # fmt: skip


def _level(value: Decimal | None, tick: Decimal) -> Cell:
    return (price(value, tick, _PRICE), "") if value is not None else ("-", "dim")


def _intents(picture: Picture) -> Pane:
    columns = (
        Column("", 12), Column("side", 4), Column("quantity", 9, right=True), Column("cap", _PRICE, right=True),
        Column("state", 8), Column("age", 5, right=True), Column("newest order", 0),
    )  # fmt: skip
    now_ms = picture.progress.at_ms
    return Pane("intents", columns, [_intent(working, now_ms) for working in picture.working])


def _intent(working: Working, now_ms: int) -> Sequence[Cell]:
    intent = working.row.intent
    newest = f"{working.attempts}: {working.newest}" if working.attempts else "none yet"
    return (
        (intent.symbol, "bold"), (str(intent.side), "green" if intent.side == "buy" else "red"),
        (short(intent.quantity), ""), (price(intent.price_cap, working.tick, _PRICE), ""), (str(working.row.state), ""),
        (age(now_ms - intent.created_ms), ""), (newest, ""),
    )  # fmt: skip


def _reasons(picture: Picture) -> Pane:
    columns = (Column("", 11), Column("age", 5, right=True), Column("why a signal was not traded", 0))
    now_ms = picture.progress.at_ms

    def row(why: Why) -> Sequence[Cell]:
        return ((why.symbol, "bold"), (age(now_ms - why.at_ms), ""), (why.text, ""))

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
    header = Text(_header(pane.columns, chosen, widths, title)[:width].ljust(width), no_wrap=True)
    header.stylize("bold reverse" if pane.rows else "reverse")
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


def _header(columns: tuple[Column, ...], chosen: Sequence[int], widths: Sequence[int], title: str) -> str:
    """Write the titles of columns; the pane's own may reach over its column, as far as the next word."""
    words = [
        columns[i].title.rjust(size) if columns[i].right else columns[i].title.ljust(size)
        for i, size in zip(chosen[1:], widths[1:], strict=True)
    ]
    rest = " " * (widths[0] + 1) + " ".join(words)
    room = len(rest) - len(rest.lstrip()) - 1
    return title[:room].ljust(room) + rest[room:]


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
