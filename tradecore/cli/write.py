"""Figures and moments as people read them: exact where they are money, short where they are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from tradecore.model.position import Position
from tradecore.model.units import ROUNDED, canonical, minus, plus, times

_CENT = Decimal("0.01")
_LENGTHS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))


def moment(at_ms: int | None) -> str:
    """Write a market moment in UTC; a dash for ``None``."""
    if at_ms is None:
        return "-"
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock_time(at_ms: int) -> str:
    """Write a market moment's time of day in UTC."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%H:%M:%S")


def length(ms: int) -> str:
    """Write a length of time by its two greatest units, as ``1h05m``; below ten seconds with tenths."""
    if ms < 0:
        return "-" + length(-ms)
    if ms < 10_000:
        return f"{ms / 1_000:.1f}s".replace(".0s", "s")
    for (size, name), (below, small) in pairwise(_LENGTHS):
        if ms >= size:
            rest = ms % size // below
            return f"{ms // size}{name}{rest:02d}{small}" if rest else f"{ms // size}{name}"
    return f"{ms // 1_000}s"


def age(ms: int) -> str:
    """Write a length of time in five cells or fewer, as ``13s``, ``29m``, ``1h05m``."""
    return f"{ms // 1_000}s" if ms < 60_000 else f"{ms // 60_000}m" if ms < 3_600_000 else length(ms)


def money(value: Decimal) -> str:
    """Write an amount of the account's currency to the cent, with thousands apart."""
    rounded = value.quantize(_CENT, ROUND_HALF_EVEN, ROUNDED)
    return f"{rounded:,}" if rounded else "0.00"


def signed(value: Decimal) -> str:
    """Write a gain or a loss to the cent with its sign."""
    text = money(value)
    return text if text.startswith("-") or text == "0.00" else f"+{text}"


def percent(value: Decimal) -> str:
    """Write a ratio as per cent with its sign."""
    return f"{value * 100:+.2f} %"


def price(value: Decimal, tick: Decimal | None = None, cells: int = 99) -> str:
    """Write a price on its tick, or to six significant digits where the tick is not known.

    Args:
        cells: Longest text; a longer one becomes an exponent form, because a price that is cut is a wrong one.
    """
    text = short(value)
    if tick is not None and tick > 0:
        step = tick.normalize(ROUNDED) if tick < 1 else Decimal(1)
        text = f"{value.quantize(step, ROUND_HALF_EVEN, ROUNDED):f}"
    return text if len(text) <= cells else f"{value:.{max(0, cells - 6)}e}"


def short(value: Decimal, digits: int = 6) -> str:
    """Write a number to so many significant digits, without exponent or trailing zeros; whole parts stay whole."""
    if not value:
        return "0"
    step = Decimal(1).scaleb(min(0, value.adjusted() - digits + 1))
    return canonical(value.quantize(step, ROUND_HALF_EVEN, ROUNDED))


def figure(value: float, unit: str) -> str:
    """Write a measured value with its unit; a ratio about one is shown as the per cent that it lies above or below."""
    if unit == "ratio":
        return f"{(value - 1) * 100:+.2f} %"
    return f"{value:.4g} {unit}".rstrip()


def unrealised(position: Position, mark: Decimal) -> Decimal:
    """What a position has made and would make at its mark, fees so far paid, quote units."""
    held = times(position.quantity, mark)
    return minus(minus(plus(position.sold_quote, held), position.bought_quote), position.fees_quote)


def share(part: int, whole: int) -> str:
    """Write a part of a whole as per cent."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def counted(counts: Mapping[str, int]) -> str:
    """Write counts by name, the greatest first; a dash for none."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ordered) or "-"
