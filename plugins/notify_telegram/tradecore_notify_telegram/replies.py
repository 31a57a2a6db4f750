"""What people read: views of the run and news of it, as plain lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from tradecore import Because, Blocked, Operate, Portfolio
from tradecore.channels.words import line
from tradecore.model.position import ClosedPosition, Position
from tradecore.model.units import canonical, exact_sum, minus, ratio, times
from tradecore_notify_telegram.commands import FORMS
from tradecore_notify_telegram.people import may

_ROWS: Final = 20
_CENT: Final = Decimal("0.01")
_DAY_MS: Final = 86_400_000
_HUNDRED: Final = Decimal(100)


def status(operate: Operate) -> str:
    """Trading state and money."""
    p, trading = operate.portfolio(), operate.trading()
    until = f" until {_moment(trading.expires_ms)}" if trading.expires_ms is not None else ""
    lines = [
        f"{trading.state}{until}, by {line(trading.actor)}: {line(trading.reason)}",
        f"equity {money(p.equity)} {p.currency} (day opened at {money(p.equity_day_open)})",
        f"free {money(p.free)}, reserved {money(p.reserved)}, exposure {money(p.exposure)}",
        f"{len(p.positions)} positions, {len(operate.intents())} intents, {len(operate.unknown())} unknown orders",
        f"{p.trades_today} trades today, as of {_moment(p.as_of_ms)} UTC",
    ]
    locks = [
        f"{line(lock.symbol, 40)} until {_moment(lock.expires_ms)}" for lock in p.locks if lock.expires_ms > p.as_of_ms
    ]
    if locks:
        lines.append(f"locked: {', '.join(locks[:_ROWS])}")
    held = operate.quarantines()
    if held:
        lines.append(f"quarantined: {line(', '.join(sorted(held)))}")
    return "\n".join(lines)


def positions(operate: Operate) -> str:
    """Open positions."""
    p = operate.portfolio()
    return _rows([_position(one, p) for one in p.positions], "no open positions")


def _position(one: Position, p: Portfolio) -> str:
    mark = p.marks.get(one.symbol)
    parts = [f"{line(one.symbol, 40)} {canonical(one.quantity)} from {canonical(one.average_price.normalize())}"]
    if mark is not None:
        gain = times(minus(mark, one.average_price), one.quantity)
        share = times(ratio(minus(mark, one.average_price), one.average_price), _HUNDRED)
        parts.append(f"now {canonical(mark)} ({money(gain, sign=True)}, {share:+.2f} %)")
    levels = [f"{name} {canonical(level)}" for name, level in (("stop", one.levels.stop), ("take", one.levels.take))
              if level is not None]  # fmt: skip
    return ", ".join([*parts, *levels, _length(p.as_of_ms - one.opened_ms)])


def profit(operate: Operate) -> str:
    """Closed trades of today and of all that are known."""
    p = operate.portfolio()
    today = [one for one in p.closed if one.closed_ms // _DAY_MS == p.as_of_ms // _DAY_MS]
    change = minus(p.equity, p.equity_day_open)
    return "\n".join(
        [
            f"today: {_trades(today, p.currency)}",
            f"newest {len(p.closed)}: {_trades(p.closed, p.currency)}",
            f"equity today {money(change, sign=True)} {p.currency}, highest {money(p.equity_day_peak)}",
        ]
    )  # fmt: skip


def _trades(closed: Sequence[ClosedPosition], currency: str) -> str:
    if not closed:
        return "no closed trades"
    won = sum(one.realised_pnl_quote > 0 for one in closed)
    total = exact_sum(one.realised_pnl_quote for one in closed)
    return f"{money(total, sign=True)} {currency} in {len(closed)} trades, {100 * won / len(closed):.0f} % won"


def intents(operate: Operate) -> str:
    """Live intents."""
    now_ms = operate.portfolio().as_of_ms
    rows = [
        f"{row.intent.side} {line(row.intent.symbol, 40)} {canonical(row.intent.quantity)} up to "
        f"{canonical(row.intent.price_cap)}: {row.state}, {_length(now_ms - row.intent.created_ms)}"
        for row in operate.intents()
    ]
    return _rows(rows, "no live intents")


def unknown(operate: Operate) -> str:
    """Orders without proof."""
    rows = [
        f"{one.side} {line(one.symbol, 40)} {canonical(one.request.quantity)} at {canonical(one.request.price)}: "
        f"{one.state}"
        for one in operate.unknown()
    ]
    return _rows(rows, "every order is proven")


def because(found: Because, symbol: str) -> str:
    """Why there were no more trades."""
    lines = [
        f"{symbol or 'all symbols'}, {_moment(found.first_ms)} to {_moment(found.last_ms)} UTC:",
        f"{found.candidates} candidates, {found.created} became intents",
    ]
    lines += [
        f"{_share(one, found.candidates)} {line(one.outcome, 60)} by {line(one.by, 60)}" for one in found.reasons[:8]
    ]
    if found.refusals:
        whole = sum(one.times for one in found.refusals)
        lines.append(f"{whole} signals refused:")
        lines += [
            f"{_share(one, whole)} {line(one.outcome, 60)} by {line(one.by, 60)}"
            + (f" ({line(one.limit, 60)})" if one.limit else "")
            for one in found.refusals[:8]
        ]
    return "\n".join(lines)


def _share(one: Blocked, whole: int) -> str:
    return f"{100 * one.times / whole:.1f} %" if whole else "-"


def help_for(role: str) -> str:
    """What somebody may."""
    return "\n".join(f"{form.usage}: {form.says}" for form in FORMS.values() if may(role, form.role))


def money(value: Decimal, *, sign: bool = False) -> str:
    """An amount with two decimals."""
    rounded = value.quantize(_CENT)
    return f"{rounded:+,}" if sign else f"{rounded:,}"


def _rows(rows: list[str], none: str) -> str:
    more = [f"and {len(rows) - _ROWS} more"] if len(rows) > _ROWS else []
    return "\n".join([*rows[:_ROWS], *more]) or none


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%m-%d %H:%M")


def _length(ms: int) -> str:
    seconds = max(0, ms // 1_000)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
