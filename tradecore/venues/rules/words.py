"""What a venue's words are made of: codes with class, action and operator text (R18), statuses, forms of ids.

A code is listed with ``refuses=True`` only where the venue's documents leave no doubt that no order was made: the
allow-list of reference orders.md 2.3. A code that is not listed proves nothing, so it stays UNKNOWN.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tradecore.model.order import VenueStatus
from tradecore.model.reasons import Reason


class ErrorClass(enum.StrEnum):
    """What kind of trouble a code names."""

    FUNDS = "FUNDS"
    FILTER = "FILTER"
    SYMBOL = "SYMBOL"
    AUTH = "AUTH"
    RATE = "RATE"
    CLOCK = "CLOCK"
    PARAMETER = "PARAMETER"
    LIMIT = "LIMIT"
    MISSING = "MISSING"
    DUPLICATE = "DUPLICATE"
    BUSY = "BUSY"


class Action(enum.StrEnum):
    """What to do about it."""

    RECONCILE = "RECONCILE"
    """Read balances, open orders and trades once; shrink to what is free, else mark unsellable. Never resend."""
    RELOAD_INSTRUMENTS = "RELOAD_INSTRUMENTS"
    HALT_SYMBOL = "HALT_SYMBOL"
    HALT_ENTRIES = "HALT_ENTRIES"
    WAIT = "WAIT"
    SYNC_CLOCK = "SYNC_CLOCK"
    LOOK_UP = "LOOK_UP"
    GIVE_UP = "GIVE_UP"
    """Drop the order: the same one would be refused again."""


class Variant(NamedTuple):
    """A narrower meaning of a code, told by its message."""

    pattern: re.Pattern[str]
    reason: Reason
    error_class: ErrorClass
    action: Action
    text: str


class CodeRule(NamedTuple):
    """One code of a venue."""

    code: str
    error_class: ErrorClass
    action: Action
    text: str
    """For the operator: what it means, lower case."""
    refuses: bool = True
    """True where it proves that no order was made."""
    reason: Reason = Reason.VENUE_REJECTED
    variants: tuple[Variant, ...] = ()

    def narrowed(self, message: str) -> CodeRule:
        """The rule as its message narrows it; the rule itself where no variant matches."""
        for variant in self.variants:
            if variant.pattern.search(message):
                return self._replace(
                    reason=variant.reason,
                    error_class=variant.error_class,
                    action=variant.action,
                    text=variant.text,
                )
        return self


class Said(NamedTuple):
    """An error as the venue worded it."""

    code: str
    message: str


def flat_error(payload: Mapping[str, Any], success: frozenset[str]) -> Said | None:
    """Read ``{"code": -1013, "msg": "..."}``; ``None`` where the answer is no error.

    Args:
        success: Values of ``code`` that are no error.
    """
    raw = payload.get("code")
    code = "" if raw is None else str(raw).strip()
    if not code or code in success:
        return None
    return Said(code, str(payload.get("msg") or payload.get("message") or ""))


def as_it_stands(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """An answer that is itself the order, in Binance's field names; an empty one is none."""
    return payload or None


def nothing(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """An answer whose form nobody described: it acknowledges nothing."""
    return None


class VenueRules(NamedTuple):
    """How to read one venue's answers."""

    name: str
    codes: Mapping[str, CodeRule]
    order_id: re.Pattern[str]
    """What an order id looks like; anything else is no id."""
    statuses: Mapping[str, VenueStatus]
    missing_codes: frozenset[str]
    """Codes of "no such order"."""
    success_codes: frozenset[str] = frozenset()
    """Values of ``code`` that are no error."""
    duplicate: re.Pattern[str] = re.compile(r"duplicat|repeat|already exist", re.IGNORECASE)
    """A message like this says that an earlier order of ours may live: never a refusal."""
    error_of: Callable[[Mapping[str, Any], frozenset[str]], Said | None] = flat_error
    """Finds the error in an answer."""
    placed: Callable[[Mapping[str, Any]], Mapping[str, Any] | None] = as_it_stands
    """Finds the acknowledged order in the answer to a placement, in Binance's field names; ``None``: there is none."""
    canceled: Callable[[Mapping[str, Any]], Mapping[str, Any] | None] = as_it_stands
    """The same for the answer to a cancel; an empty one acknowledges without naming the order."""
    raw: bool = True
    """True where orders, trades and balances come in Binance's field names."""

    @property
    def described(self) -> bool:
        """True where this module knows the form of the venue's acknowledgements."""
        return self.placed is not nothing

    def judged(self, said: Said) -> CodeRule | None:
        """The rule of an error, narrowed by its message; ``None``: a code that is not listed."""
        rule = self.codes.get(said.code)
        return rule.narrowed(said.message) if rule else None


def variant(pattern: str, reason: Reason, error_class: ErrorClass, action: Action, text: str) -> Variant:
    """A narrower meaning, whatever the case of its letters."""
    return Variant(re.compile(pattern, re.IGNORECASE), reason, error_class, action, text)


def table(rules: Iterable[CodeRule]) -> Mapping[str, CodeRule]:
    """Codes by name; one that is listed twice is a bug."""
    found: dict[str, CodeRule] = {}
    for rule in rules:
        assert rule.code not in found, rule.code
        found[rule.code] = rule
    return MappingProxyType(found)


_S = VenueStatus
BINANCE_STATUSES: Final[Mapping[str, VenueStatus]] = MappingProxyType(
    {
        "NEW": _S.OPEN,
        "PENDING_NEW": _S.OPEN,
        "PARTIALLY_FILLED": _S.OPEN,
        "FILLED": _S.FILLED,
        "CANCELED": _S.CANCELED,
        "REJECTED": _S.REJECTED,
        "EXPIRED": _S.EXPIRED,
        "EXPIRED_IN_MATCH": _S.EXPIRED,
    }
)
UNIFIED_STATUSES: Final[Mapping[str, VenueStatus]] = MappingProxyType(
    # ccxt's words. "closed" is no word of ours: venues/ccxt/parsed.py makes FILLED or CANCELED of it by the quantities.
    {
        "open": _S.OPEN,
        "FILLED": _S.FILLED,
        "canceled": _S.CANCELED,
        "expired": _S.EXPIRED,
        "rejected": _S.REJECTED,
    }
)

OFF_LOT: Final = variant(
    "LOT_SIZE|quantity scale", Reason.QUANTITY_OFF_LOT, ErrorClass.FILTER, Action.RELOAD_INSTRUMENTS, "quantity off lot"
)
"""Both Binance and MEXC word a quantity off its step like this."""
