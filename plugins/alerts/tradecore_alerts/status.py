"""One rule over time: it has to hold for a while before it is told, and to be over for a while before that is told."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Phase(enum.StrEnum):
    """Where a rule stands."""

    QUIET = "quiet"
    PENDING = "pending"
    """Met, but not yet for long enough, or too soon after the last time."""
    FIRING = "firing"
    CLEARING = "clearing"
    """Told, and over, but not yet for long enough."""


class Told(enum.StrEnum):
    """What a step says to people."""

    NOTHING = ""
    FIRED = "fired"
    RESOLVED = "resolved"


class Timing(NamedTuple):
    """How patient a rule is, ms of market time, each >= 0."""

    for_ms: int
    clear_ms: int
    cooldown_ms: int


class Status(NamedTuple):
    """What is remembered of one rule."""

    phase: Phase = Phase.QUIET
    since_ms: int = 0
    """When it came into `phase`."""
    fired_ms: int | None = None
    """When it was last told; ``None``: never."""


def step(status: Status, met: bool | None, now_ms: int, timing: Timing) -> tuple[Status, Told]:
    """Move a rule on by one look.

    Args:
        status: As the last look left it.
        met: Whether the rule's condition holds now; ``None``: nobody knows, which neither fires nor resolves.
        now_ms: Market time, never less than at the last look.
        timing: The rule's patience.
    """
    moved = _entered(status, met, now_ms)
    lasted_ms = now_ms - moved.since_ms
    cooled = moved.fired_ms is None or now_ms - moved.fired_ms >= timing.cooldown_ms
    if moved.phase is Phase.PENDING and met and lasted_ms >= timing.for_ms and cooled:
        return Status(Phase.FIRING, now_ms, now_ms), Told.FIRED
    if moved.phase is Phase.CLEARING and met is False and lasted_ms >= timing.clear_ms:
        return Status(Phase.QUIET, now_ms, moved.fired_ms), Told.RESOLVED
    return moved, Told.NOTHING


def _entered(status: Status, met: bool | None, now_ms: int) -> Status:
    """The phase that what is seen now leads to, before any time has passed in it."""
    wanted = Phase.PENDING if met else Phase.QUIET
    if status.phase in {Phase.FIRING, Phase.CLEARING}:
        wanted = Phase.CLEARING if met is False else Phase.FIRING
    return status if wanted is status.phase else Status(wanted, now_ms, status.fired_ms)
