"""The three tiers and the moves between them: pure functions of what was closed and where one stands."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.position import ClosedPosition
from tradecore.model.units import canonical, ratio, times

_HUNDRED = Decimal(100)
_SHOWN = Decimal("0.1")


class Tier(enum.StrEnum):
    """How far the signals are trusted."""

    LOW_TRUST = "LOW_TRUST"
    NORMAL = "NORMAL"
    HIGH_TRUST = "HIGH_TRUST"


_ORDER = (Tier.LOW_TRUST, Tier.NORMAL, Tier.HIGH_TRUST)


class Standing(NamedTuple):
    """Where the guest stands, and since when: what its job keeps durably."""

    tier: Tier
    since_ms: int
    """Trades closed before this moment say nothing of this tier."""
    why: str

    @property
    def state(self) -> Mapping[str, object]:
        """As JSON can hold it."""
        return {"tier": str(self.tier), "since_ms": self.since_ms, "why": self.why}


class Rules(NamedTuple):
    """When to move."""

    up_pct: Decimal
    up_trades: int
    """Trades that a move up needs; the win rate is that of the newest so many."""
    down_pct: Decimal
    down_trades: int
    """Trades that a move down needs."""


def standing_of(last: Mapping[str, object] | None, now_ms: int) -> Standing:
    """Read where the guest stood; what cannot be read begins low, counting from now."""
    tier, since = (last or {}).get("tier"), (last or {}).get("since_ms")
    if isinstance(tier, str) and tier in set(Tier) and isinstance(since, int):
        return Standing(Tier(tier), since, str((last or {}).get("why", "")))
    return Standing(Tier.LOW_TRUST, now_ms, "starts low")


def moved(standing: Standing, closed: Sequence[ClosedPosition], rules: Rules, now_ms: int) -> Standing:
    """Take one step up or down, or none; after a step only newer trades count.

    Args:
        standing: Where the guest stands.
        closed: Finished positions, oldest first.
        rules: When to move.
        now_ms: Market time.
    """
    found = [one for one in closed if one.closed_ms > standing.since_ms][-rules.up_trades :]
    count = len(found)
    if not count:
        return standing
    rate = times(ratio(Decimal(sum(one.realised_pnl_quote > 0 for one in found)), Decimal(count)), _HUNDRED)
    place = _ORDER.index(standing.tier)
    shown = f"win rate {canonical(rate.quantize(_SHOWN))} % over {count} trades"
    if rate > rules.up_pct and count >= rules.up_trades and place + 1 < len(_ORDER):
        return _step(standing, _ORDER[place + 1], shown, now_ms)
    if rate < rules.down_pct and count >= rules.down_trades and place > 0:
        return _step(standing, _ORDER[place - 1], shown, now_ms)
    return standing


def lowered(standing: Standing, closed: Sequence[ClosedPosition], why: str, now_ms: int) -> Standing:
    """Fall to the lowest tier; one that stands there already stays, and counts its trades anew.

    Counting anew matters: what was won before the breaker tripped is no reason to trust again, at its second trip as
    little as at its first.
    """
    if standing.tier is not Tier.LOW_TRUST:
        return _step(standing, Tier.LOW_TRUST, why, now_ms)
    counted = any(one.closed_ms > standing.since_ms for one in closed)
    return Standing(Tier.LOW_TRUST, now_ms, why) if counted or standing.why != why else standing


def _step(standing: Standing, tier: Tier, why: str, now_ms: int) -> Standing:
    return Standing(tier, now_ms, f"{standing.tier} to {tier}: {why}")
