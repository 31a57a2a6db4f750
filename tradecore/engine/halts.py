"""Halts that end by themselves: a cause stops entries, durably, until a later look finds it gone (R21, R33)."""

from __future__ import annotations

from tradecore.engine.desk import Desk
from tradecore.model.events import TradingStateChanged
from tradecore.model.lost import STORE_BEHIND
from tradecore.model.portfolio import TradingState
from tradecore.model.records import Memory, TradingRecord

_CORE = "core"
_HALTED = "halted/"
"""Key of the fact that a cause has halted entries."""
_BEFORE = "halted_before"
"""Fact: the trading state before the first cause."""


async def halt_entries(desk: Desk, cause: str, text: str) -> bool:
    """Halt entries for a cause that will be looked at again; exits and cancels go on. Durable, with an alarm.

    A second cause adds to the first; entries go on when all are lifted. An operator's own word is left alone.

    Args:
        cause: One word: ``clock``, ``auth`` or ``venue``.
        text: What was found, for people.
    Returns:
        False where the cause was in force already.
    """
    key = f"{_HALTED}{cause}"
    now = desk.clock.now_ms()
    async with desk.transaction() as work:
        old = desk.books.trading.state
        if desk.recall(key) and old is TradingState.HALTED:
            return False
        work.put(Memory(key, text, now))
        if old is not TradingState.HALTED:
            work.put(TradingRecord(TradingState.HALTED, _CORE, f"{cause}: {text}", now), Memory(_BEFORE, str(old), now))
            work.tell(TradingStateChanged(str(old), str(TradingState.HALTED), _CORE, f"{cause}: {text}", None))
    desk.alert(f"{cause}_halt", "critical", text)
    return True


def is_halted(desk: Desk, cause: str) -> bool:
    """Tell whether a cause halts entries."""
    return bool(desk.recall(f"{_HALTED}{cause}"))


async def lift_halt(desk: Desk, cause: str, text: str) -> None:
    """Take back what `halt_entries` did for a cause; whoever else stopped entries keeps them stopped.

    Args:
        cause: The one that is over; one that was never in force is no matter.
        text: What is well again, for people.
    """
    key = f"{_HALTED}{cause}"
    if not desk.recall(key):
        return
    now = desk.clock.now_ms()
    async with desk.transaction() as work:
        work.put(Memory(key, "", now))
        others = [k for k in desk.books.memory if k.startswith(_HALTED) and k != key]
        trading = desk.books.trading
        if others or trading.state is not TradingState.HALTED or trading.actor != _CORE:
            return
        # differences with the venue found meanwhile stop entries on their own account
        reducing = desk.recall(_BEFORE) == TradingState.REDUCING or bool(
            desk.recall("drift") or desk.recall(STORE_BEHIND)
        )
        new = TradingState.REDUCING if reducing else TradingState.ACTIVE
        work.put(TradingRecord(new, _CORE, text, now), Memory(_BEFORE, "", now))
        work.tell(TradingStateChanged(str(trading.state), str(new), _CORE, text, None))
    desk.alert(f"{cause}_halt_over", "info", text)
