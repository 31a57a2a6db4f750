"""Levels of a position from the plans of its follow guests, and which of them a price meets. Pure rules.

Highest stop, lowest take, highest add, earliest leave. Several met at once: time, stop, take, close, add.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore.market.answers import Plan
from tradecore.model.position import Levels, Position
from tradecore.model.reasons import Reason
from tradecore.model.units import decimal_of, price_of


class Trigger(NamedTuple):
    """What was met: why to sell, or to add."""

    reason: Reason
    by: str
    level: Decimal | None
    """The price level; ``None`` for time and for a guest's own condition at a close."""


class Followed(NamedTuple):
    """The plans of all guests for one position, combined."""

    levels: Levels
    leave_by: str
    """The first guest that wants to leave at the close just seen; empty: none."""
    memo: Mapping[str, str]


def combine(
    position: Position, plans: Sequence[tuple[str, Plan]], closed_at: int, open_at: int, now_ms: int
) -> Followed:
    """Combine the guests' plans.

    Args:
        closed_at: Index in the plans' arrays of the row that has just closed; -1 if it was not asked for.
        open_at: Index of the row that is open now.
        now_ms: Market time, written into the levels.
    """
    levels = Levels(set_ms=now_ms)
    leave_by = ""
    memo = dict(position.memo)
    inputs: dict[str, str] = {}
    for guest, plan in plans:
        levels = _with_plan(levels, guest, plan, open_at)
        if plan.leave is not None and closed_at >= 0 and bool(plan.leave[closed_at]) and not leave_by:
            leave_by = guest
        if plan.memo is not None:
            memo = {k: v for k, v in memo.items() if not k.startswith(f"{guest}.")}
            memo.update({f"{guest}.{key}": text for key, text in plan.memo.items()})
        inputs.update({f"{guest}.{key}": text for key, text in plan.inputs.items()})
    return Followed(levels._replace(inputs=inputs), leave_by, memo)


def _with_plan(levels: Levels, guest: str, plan: Plan, at: int) -> Levels:
    stop, take, add = (_price(array, at) for array in (plan.stop, plan.take, plan.add))
    if stop is not None and (levels.stop is None or stop > levels.stop):
        reason = plan.stop_reason if isinstance(plan.stop_reason, Reason) else plan.stop_reason[at]
        levels = levels._replace(stop=stop, stop_by=guest, stop_reason=reason)
    if take is not None and (levels.take is None or take < levels.take):
        levels = levels._replace(take=take, take_by=guest)
    if add is not None and plan.add_quote is not None and (levels.add is None or add > levels.add):
        levels = levels._replace(add=add, add_by=guest, add_quote=decimal_of(repr(float(plan.add_quote))))
    if plan.leave_at_ms is not None and (levels.leave_at_ms is None or plan.leave_at_ms < levels.leave_at_ms):
        levels = levels._replace(leave_at_ms=int(plan.leave_at_ms), leave_by=guest)
    return levels


def _price(array: object, at: int) -> Decimal | None:
    if array is None:
        return None
    value = float(array[at])  # type: ignore[index]  # an array of a checked Plan
    return price_of(value) if math.isfinite(value) and value > 0 else None


def with_silent(new: Levels, old: Levels, answered: Collection[str]) -> Levels:
    """Keep in force what guests had set that gave no answer now, by the same rules: highest stop, lowest take.

    Args:
        new: What the guests say that answered.
        old: The levels in force.
        answered: Names of the guests whose answers are in `new`.
    """
    if old.stop is not None and old.stop_by not in answered and (new.stop is None or old.stop > new.stop):
        new = new._replace(stop=old.stop, stop_by=old.stop_by, stop_reason=old.stop_reason)
    if old.take is not None and old.take_by not in answered and (new.take is None or old.take < new.take):
        new = new._replace(take=old.take, take_by=old.take_by)
    if old.add is not None and old.add_by not in answered and (new.add is None or old.add > new.add):
        new = new._replace(add=old.add, add_by=old.add_by, add_quote=old.add_quote)
    at_ms = old.leave_at_ms
    if at_ms is not None and old.leave_by not in answered and (new.leave_at_ms is None or at_ms < new.leave_at_ms):
        new = new._replace(leave_at_ms=at_ms, leave_by=old.leave_by)
    return new


def same_levels(old: Levels, new: Levels) -> bool:
    """Tell whether two sets of levels say the same, whenever and from whatever they were made."""
    return old._replace(set_ms=0, inputs={}) == new._replace(set_ms=0, inputs={})


def trigger_of(levels: Levels, price: Decimal, now_ms: int) -> Trigger | None:
    """Tell which level a price at a moment meets, in the documented order; ``None``: none."""
    if levels.leave_at_ms is not None and now_ms >= levels.leave_at_ms:
        return Trigger(Reason.TIME_TO_LIVE, levels.leave_by, None)
    if levels.stop is not None and price <= levels.stop:
        return Trigger(levels.stop_reason, levels.stop_by, levels.stop)
    if levels.take is not None and price >= levels.take:
        return Trigger(Reason.TAKE_PROFIT, levels.take_by, levels.take)
    if levels.add is not None and price <= levels.add:
        return Trigger(Reason.ADD, levels.add_by, levels.add)
    return None
