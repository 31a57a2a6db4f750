"""What the engine does about a refusal: each code of a venue asks for one action (R18), and each is taken once.

An order that was refused is never sent again as it was. Where the cause was ours to mend (filters, clock, rate) it is
mended once per intent and the next attempt is made anew; where it was not, the intent ends, and symbol or account are
kept from running into the same wall.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tradecore.engine.desk import Desk
from tradecore.engine.halts import halt_entries
from tradecore.engine.skew import SkewWatch
from tradecore.engine.tradable import Tradable
from tradecore.model.instrument import refusal_of
from tradecore.model.intent import Intent
from tradecore.model.order import Attempt, Placement, PlacementKind
from tradecore.model.reasons import Reason
from tradecore.model.units import IntentId

AUTH = "auth"
"""Cause of a halt: the venue does not take the key any more."""
_AUTH_CLASS = "AUTH"
_CLOCK_CLASS = "CLOCK"
_RATE_CLASS = "RATE"
_OFF_FILTER = frozenset({Reason.PRICE_OFF_TICK, Reason.QUANTITY_OFF_LOT, Reason.NOTIONAL_BELOW_MIN})


class Remedies:
    """Takes the actions. Made before what sends; `reconcile` and `cancel_entries` are put in by the engine."""

    def __init__(self, desk: Desk, tradable: Tradable, skew: SkewWatch) -> None:
        self._desk = desk
        self._tradable = tradable
        self._skew = skew
        self._tried: dict[IntentId, set[str]] = {}
        self._halting = False
        self.reconcile: Callable[[str], Awaitable[None]] | None = None
        """Reads balances, orders and the trades of one symbol; ``None``: nobody can."""
        self.cancel_entries: Callable[[Reason], None] | None = None
        desk.trouble_listeners.append(self._told)

    def forget(self, intent_id: IntentId) -> None:
        """Drop what was tried for an intent: it has ended."""
        self._tried.pop(intent_id, None)

    async def refused(self, intent: Intent, attempt: Attempt, placement: Placement) -> bool:
        """Act on an order that the venue, or the door to it, refused.

        Returns:
            True: the cause is mended, and the router may be asked for a new attempt.
        """
        action = placement.action
        if placement.kind is PlacementKind.NOT_SENT:
            if placement.reason not in _OFF_FILTER:
                return False
            action = "RELOAD_INSTRUMENTS"
        text = f"{placement.code or placement.reason}: {placement.detail}"
        match action:
            case "RELOAD_INSTRUMENTS":
                return await self._reloaded(intent, attempt)
            case "HALT_SYMBOL":
                await self._tradable.halt(intent.symbol, text)
            case "HALT_ENTRIES":
                await self._key_lost(text)
            case "SYNC_CLOCK":
                if self._first(intent, action):
                    await self._skew.check()
                    return True
            case "WAIT":  # the limiter has been told; the next attempt waits there for its turn
                return placement.error_class == _RATE_CLASS and self._first(intent, action)
            case "RECONCILE":
                if self.reconcile is not None:
                    await self.reconcile(intent.symbol)
            case _:
                pass  # GIVE_UP and codes that ask for nothing: the same order would be refused again
        return False

    def _first(self, intent: Intent, action: str) -> bool:
        """Tell whether a remedy is taken for the first time for an intent."""
        tried = self._tried.setdefault(intent.intent_id, set())
        if action in tried:
            return False
        tried.add(action)
        return True

    async def _reloaded(self, intent: Intent, attempt: Attempt) -> bool:
        """Read filters anew, once per intent; True where the ones in force now would have refused the order."""
        if not self._first(intent, "RELOAD_INSTRUMENTS"):
            return False
        request, before = attempt.request, self._desk.instruments[intent.symbol]
        if refusal_of(before, intent.side, request.quantity, request.price) is not None:
            return True  # somebody has read them since the order was made
        return await self._tradable.reload() and self._desk.instruments[intent.symbol] != before

    async def look_again(self, symbol: str, refresh: Callable[[], Awaitable[bool]]) -> None:
        """Read what kept a position from being sold: the venue's list, others' orders, or the balances alone.

        Args:
            refresh: Reads the balances.
        """
        instrument = self._desk.instruments[symbol]
        if not instrument.can_sell:
            await self._tradable.reload()
        if self.reconcile is not None and self._desk.books.foreign_locks.get(instrument.base):
            await self.reconcile(symbol)
        else:
            await refresh()

    # Trouble that reads and cancels tell of -------------------------------------------------------------------

    def _told(self, error_class: str, text: str) -> None:
        """Act, beside whoever met it, on trouble with key or clock; must not wait."""
        if self._halting or error_class not in {_AUTH_CLASS, _CLOCK_CLASS}:
            return
        self._halting = True
        self._desk.spawn(self._act(error_class, text), f"venue says {error_class}")

    async def _act(self, error_class: str, text: str) -> None:
        try:
            if error_class == _AUTH_CLASS:
                await self._key_lost(text)
            else:
                await self._skew.check()
        finally:
            self._halting = False

    async def _key_lost(self, text: str) -> None:
        """Halt entries until an operator resumes or a start finds the key good; cancels and exits are still tried."""
        news = await halt_entries(self._desk, AUTH, f"the venue does not take the key: {text}")
        if news and self.cancel_entries is not None:
            self.cancel_entries(Reason.TRADING_HALTED)
