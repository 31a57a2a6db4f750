"""The rungs of a ladder, and which one is next: read from the attempts' labels, so that a restart changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore import AttemptView, TimeInForce
from tradecore.model.units import canonical


class Rung(NamedTuple):
    """One order of the ladder."""

    label: str
    """Unique in its ladder, as ``IOC 10 bps 1/2``."""
    time_in_force: TimeInForce
    premium_bps: Decimal
    ttl_ms: int


def rungs_of(steps: Iterable[tuple[TimeInForce, Decimal, int, int]]) -> tuple[Rung, ...]:
    """Make one rung per order out of steps (time in force, premium in bps, orders, time to live in ms)."""
    return tuple(
        Rung(f"{time_in_force} {canonical(premium_bps)} bps {number}/{orders}", time_in_force, premium_bps, ttl_ms)
        for time_in_force, premium_bps, orders, ttl_ms in steps
        for number in range(1, orders + 1)
    )


def next_rung(rungs: Sequence[Rung], attempts: Sequence[AttemptView], wanted: TimeInForce | None = None) -> Rung | None:
    """Find the rung after the last attempt's.

    Args:
        rungs: The whole ladder.
        attempts: Attempts so far, oldest first. A rung once passed never comes again.
        wanted: Only a rung of this time in force will do; ``None`` takes any.
    Returns:
        ``None`` where the ladder ends.
    """
    start = 0
    if attempts:
        place = {rung.label: number for number, rung in enumerate(rungs)}
        # An attempt of another ladder (settings changed in between, the core's own) counts as one rung, so that the
        # number of orders stays bounded whatever the labels say.
        start = place.get(attempts[-1].label, len(attempts) - 1) + 1
    return next((rung for rung in rungs[start:] if wanted is None or rung.time_in_force is wanted), None)
