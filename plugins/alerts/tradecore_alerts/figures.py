"""The figures that rules look at, each from the account and from what was counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final, NamedTuple

from tradecore import Portfolio, Reason
from tradecore.model.position import PositionState
from tradecore.model.units import ZERO, canonical, minus, ratio, times
from tradecore_alerts.counts import HALTED, OUTCOME, Counts
from tradecore_alerts.rules import EVENTS, Rule

_HUNDRED: Final = Decimal(100)
_SHOWN: Final = Decimal("0.01")
_EXIT_LATE_MS: Final = 300_000
_TOP: Final = 3
_DAY_S: Final = 86_400
_NOT_A_REASON: Final = frozenset({Reason.INTENT_CREATED.value})


class Figure(NamedTuple):
    """One measured figure."""

    value: Decimal
    text: str
    """What to tell people of it."""


class Seen(NamedTuple):
    """What rules are judged by at one look."""

    now_ms: int
    observed_ms: int
    """How long the account has been watched without a pause."""
    portfolio: Portfolio
    counts: Counts
    peak: Decimal
    """Highest equity of the last 24 h."""
    limit: Decimal
    """Most exposure that is allowed, account currency."""
    looked_ms: int
    """When the look before this one was: what was too much in between counts, too."""
    leaving: Mapping[str, int]
    """Position to the moment since when its exit has been tried without an end."""


def figure(rule: Rule, seen: Seen) -> Figure | None:
    """Measure what a rule looks at; ``None``: too little is known to say."""
    if rule.measure.startswith(EVENTS):
        kind = rule.measure.removeprefix(EVENTS)
        if rule.op in {">", ">="}:
            count = seen.counts.most(rule.measure, rule.window_s, seen.now_ms, seen.looked_ms)
        else:
            count = seen.counts.total(rule.measure, rule.window_s, seen.now_ms)
        return Figure(Decimal(count), f"{count} events {kind} in {_length(rule.window_s)}")
    return _MEASURES[rule.measure](rule, seen)


def exposure_limit(own_quote: Decimal, limits: Mapping[str, str], equity: Decimal) -> Decimal:
    """The least limit of the exposure that is in force; without any it is the equity.

    Args:
        own_quote: The owner's word; 0: none.
        limits: Keys of settings to their values: money, or a share of the equity where the key ends in ``_pct``.
        equity: Account currency.
    """
    if own_quote:
        return own_quote
    found = [equity]
    for key, text in limits.items():
        value = _number(text)
        if value is not None:
            found.append(times(equity, ratio(value, _HUNDRED)) if key.endswith("_pct") else value)
    return min(found)


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and value > 0 else None


def _drawdown(rule: Rule, seen: Seen) -> Figure | None:
    if seen.peak <= 0:
        return None
    fall = _percent(minus(seen.peak, seen.portfolio.equity), seen.peak)
    money = f"{_money(seen.portfolio.equity)} of {_money(seen.peak)} {seen.portfolio.currency}"
    return Figure(fall, f"equity {_shown(fall)} % below its highest of 24 h: {money}")


def _cancel_rate(rule: Rule, seen: Seen) -> Figure | None:
    ended = seen.counts.total("ended", rule.window_s, seen.now_ms)
    if not ended or ended < rule.sample:
        return None
    canceled = seen.counts.total("canceled", rule.window_s, seen.now_ms)
    rate = _percent(Decimal(canceled), Decimal(ended))
    return Figure(rate, f"{canceled} of {ended} orders of {_length(rule.window_s)} were cancelled ({_shown(rate)} %)")


def _hits(rule: Rule, seen: Seen) -> Figure | None:
    count = seen.counts.most_hits(rule.window_s, seen.now_ms, seen.looked_ms)
    return Figure(Decimal(count), f"{count} requests held back in {_length(rule.window_s)} by the rate limit")


def _exposure(rule: Rule, seen: Seen) -> Figure | None:
    if seen.limit <= 0:
        return None
    share = _percent(seen.portfolio.exposure, seen.limit)
    money = f"{_money(seen.portfolio.exposure)} of {_money(seen.limit)} {seen.portfolio.currency}"
    return Figure(share, f"exposure {_shown(share)} % of its limit: {money}")


def _venue_lost(rule: Rule, seen: Seen) -> Figure | None:
    down = [text for name, text in sorted(seen.counts.latches.items()) if text and name in {"venue", "prices"}]
    return Figure(Decimal(bool(down)), "; ".join(down) or "venue and prices answer")


def _unhealthy(rule: Rule, seen: Seen) -> Figure | None:
    first_ms = min(seen.now_ms - rule.window_s * 1_000, seen.looked_ms)
    found = [text for at_ms, text in seen.counts.notes if at_ms > first_ms]
    store = seen.counts.latches.get("store", "")
    if store:
        found.append(store)
    text = found[-1] if found else "nothing was found unwell"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Figure(Decimal(len(found)), text + more)


def _win_rate(rule: Rule, seen: Seen) -> Figure | None:
    closed = seen.portfolio.closed
    if not closed or len(closed) < rule.sample:
        return None
    newest = closed[-rule.sample :] if rule.sample else closed
    won = sum(one.realised_pnl_quote > 0 for one in newest)
    rate = _percent(Decimal(won), Decimal(len(newest)))
    return Figure(rate, f"{won} of the newest {len(newest)} positions ended with a gain ({_shown(rate)} %)")


def _trades(rule: Rule, seen: Seen) -> Figure | None:
    if seen.observed_ms < rule.window_s * 1_000:
        return None
    count = seen.counts.total("opened", rule.window_s, seen.now_ms)
    return Figure(Decimal(count), f"{count} positions opened in {_length(rule.window_s)}{_because(seen)}")


def _activity(rule: Rule, seen: Seen) -> Figure | None:
    if seen.observed_ms < rule.window_s * 1_000:
        return None
    entries, fills = (seen.counts.total(key, rule.window_s, seen.now_ms) for key in ("entries", "fills"))
    head = f"{entries} entries and {fills} fills in {_length(rule.window_s)}"
    return Figure(Decimal(entries + fills), head + _because(seen))


def _because(seen: Seen) -> str:
    """The reasons why candidates became nothing, the most frequent of the last day first."""
    found = [(name, n) for name, n in seen.counts.top(OUTCOME, seen.now_ms) if name not in _NOT_A_REASON]
    if not found:
        return "; no candidate was judged"
    whole = sum(n for _, n in found)
    parts = [f"{name} {_shown(_percent(Decimal(n), Decimal(whole)))} %" for name, n in found[:_TOP]]
    return f"; why not: {', '.join(parts)} of {whole} candidates of 24 h"


def _stuck(rule: Rule, seen: Seen) -> Figure | None:
    """Positions that the core cannot sell, and exits that have taken too long."""
    stuck = {}
    for one in seen.portfolio.positions:
        late_ms = seen.now_ms - seen.leaving.get(one.position_id, seen.now_ms)
        if one.state is PositionState.UNSELLABLE:
            stuck[one.symbol] = "cannot be sold"
        elif HALTED + one.symbol in seen.counts.latches:
            stuck[one.symbol] = "cannot be left while its symbol is shut"
        elif late_ms > _EXIT_LATE_MS:
            stuck[one.symbol] = f"its exit has taken {_length(late_ms // 1_000)}"
    text = "; ".join(f"{symbol}: {why}" for symbol, why in sorted(stuck.items()))
    return Figure(Decimal(len(stuck)), text or "every position can be left")


_MEASURES: Final[Mapping[str, Callable[[Rule, Seen], Figure | None]]] = MappingProxyType(
    {
        "drawdown_pct": _drawdown, "cancel_rate_pct": _cancel_rate, "rate_limit_hits": _hits,
        "exposure_pct": _exposure, "venue_lost": _venue_lost, "unhealthy": _unhealthy, "win_rate_pct": _win_rate,
        "trades": _trades, "activity": _activity, "stuck_positions": _stuck,
    }
)  # fmt: skip


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return times(ratio(part, whole), _HUNDRED) if whole else ZERO


def _shown(value: Decimal) -> str:
    return canonical(value.quantize(_SHOWN))


def _money(value: Decimal) -> str:
    return f"{value.quantize(_SHOWN)}"


def _length(seconds: int) -> str:
    for unit, size in (("d", _DAY_S), ("h", 3_600), ("min", 60)):
        if seconds >= size and (seconds % size == 0 or unit == "min"):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
