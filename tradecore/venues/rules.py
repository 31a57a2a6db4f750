"""What each venue's words mean: codes with class, action and operator text (R18), statuses, forms of ids.

A code is listed with ``refuses=True`` only where the venue's documents leave no doubt that no order was made: the
allow-list of reference orders.md 2.3. A code that is not listed proves nothing, so it stays UNKNOWN.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

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


_C, _A, _R = ErrorClass, Action, Reason


def _variant(pattern: str, reason: Reason, error_class: ErrorClass, action: Action, text: str) -> Variant:
    return Variant(re.compile(pattern, re.IGNORECASE), reason, error_class, action, text)


def _table(rules: Iterable[CodeRule]) -> Mapping[str, CodeRule]:
    table: dict[str, CodeRule] = {}
    for rule in rules:
        assert rule.code not in table, rule.code
        table[rule.code] = rule
    return MappingProxyType(table)


_LOT = _variant("LOT_SIZE|quantity scale", _R.QUANTITY_OFF_LOT, _C.FILTER, _A.RELOAD_INSTRUMENTS, "quantity off lot")
_FILTERS = (
    _variant("PRICE_FILTER", _R.PRICE_OFF_TICK, _C.FILTER, _A.RELOAD_INSTRUMENTS, "price off tick or out of range"),
    _LOT,
    _variant("NOTIONAL", _R.NOTIONAL_BELOW_MIN, _C.FILTER, _A.RELOAD_INSTRUMENTS, "notional out of range"),
    _variant("PERCENT_PRICE", _R.PRICE_MOVED, _C.FILTER, _A.GIVE_UP, "price too far from the market"),
    _variant("MAX_NUM_ORDERS", _R.VENUE_REJECTED, _C.LIMIT, _A.WAIT, "too many open orders on the symbol"),
    _variant("closed|halt|not allowed", _R.SYMBOL_HALTED, _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not trading"),
)
_NEW_ORDER_REJECTED = (
    _variant("insufficient", _R.INSUFFICIENT_FUNDS, _C.FUNDS, _A.RECONCILE, "less free than asked; read balances once"),
    _variant("closed|halt|disabled", _R.SYMBOL_HALTED, _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not trading"),
    _variant("immediately match", _R.PRICE_MOVED, _C.FILTER, _A.GIVE_UP, "post-only order would have taken"),
)

#: Source: Binance spot errors.md and filters.md (a5e0bc3, 2026-07-21); allow-list of reference orders.md 2.3.
_BINANCE_CODES = _table(
    (
        CodeRule("-1000", _C.BUSY, _A.LOOK_UP, "unknown error of the venue", refuses=False),
        CodeRule("-1001", _C.BUSY, _A.LOOK_UP, "venue disconnected inside", refuses=False),
        CodeRule("-1002", _C.AUTH, _A.HALT_ENTRIES, "key is not authorised"),
        CodeRule("-1003", _C.RATE, _A.WAIT, "too many requests"),
        CodeRule("-1006", _C.BUSY, _A.LOOK_UP, "unexpected answer inside the venue; fate unknown", refuses=False),
        CodeRule("-1007", _C.BUSY, _A.LOOK_UP, "time-out inside the venue; fate unknown", refuses=False),
        CodeRule("-1008", _C.BUSY, _A.WAIT, "venue is overloaded", refuses=False),
        CodeRule("-1013", _C.FILTER, _A.RELOAD_INSTRUMENTS, "order breaks a filter", variants=_FILTERS),
        CodeRule("-1014", _C.PARAMETER, _A.GIVE_UP, "order composition is not supported"),
        CodeRule("-1015", _C.LIMIT, _A.WAIT, "too many new orders"),
        CodeRule("-1020", _C.PARAMETER, _A.GIVE_UP, "operation is not supported"),
        CodeRule("-1021", _C.CLOCK, _A.SYNC_CLOCK, "time stamp outside the receive window"),
        CodeRule("-1022", _C.AUTH, _A.HALT_ENTRIES, "signature is not valid"),
        CodeRule("-1100", _C.PARAMETER, _A.GIVE_UP, "illegal characters in a parameter"),
        CodeRule("-1101", _C.PARAMETER, _A.GIVE_UP, "too many parameters"),
        CodeRule("-1102", _C.PARAMETER, _A.GIVE_UP, "a parameter is missing or malformed"),
        CodeRule("-1111", _C.FILTER, _A.RELOAD_INSTRUMENTS, "too many decimals", reason=_R.PRICE_OFF_TICK),
        CodeRule("-1115", _C.PARAMETER, _A.GIVE_UP, "time in force is not valid"),
        CodeRule("-1116", _C.PARAMETER, _A.GIVE_UP, "order type is not valid"),
        CodeRule("-1121", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not known", reason=_R.SYMBOL_HALTED),
        CodeRule("-2010", _C.PARAMETER, _A.GIVE_UP, "new order rejected", variants=_NEW_ORDER_REJECTED),
        CodeRule("-2011", _C.MISSING, _A.LOOK_UP, "no such open order; it may have filled", refuses=False),
        CodeRule("-2013", _C.MISSING, _A.LOOK_UP, "no such order", refuses=False),
        CodeRule("-2014", _C.AUTH, _A.HALT_ENTRIES, "key is malformed"),
        CodeRule("-2015", _C.AUTH, _A.HALT_ENTRIES, "key, address or permission is not valid"),
        CodeRule("-2026", _C.MISSING, _A.LOOK_UP, "order is archived", refuses=False),
    )
)

_OVERSOLD = "less base coin than asked (fee taken in base, or coin locked): refresh, shrink to what is free"
#: Source: MEXC spot v3 error codes; allow-list of reference orders.md 2.3; 30005 of section 1 (no lack of buyers).
_MEXC_CODES = _table(
    (
        CodeRule("429", _C.RATE, _A.WAIT, "too many requests"),
        CodeRule("500", _C.BUSY, _A.LOOK_UP, "internal error; fate unknown", refuses=False),
        CodeRule("501", _C.BUSY, _A.LOOK_UP, "internal error; fate unknown", refuses=False),
        CodeRule("503", _C.BUSY, _A.LOOK_UP, "service not available; fate unknown", refuses=False),
        CodeRule("504", _C.BUSY, _A.LOOK_UP, "time-out inside the venue; fate unknown", refuses=False),
        CodeRule("510", _C.BUSY, _A.LOOK_UP, "too frequent inside the venue; fate unknown", refuses=False),
        CodeRule("603", _C.BUSY, _A.LOOK_UP, "internal error; fate unknown", refuses=False),
        CodeRule("-1121", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not known", refuses=False),
        CodeRule("-2011", _C.MISSING, _A.LOOK_UP, "no such open order; it may have filled", refuses=False),
        CodeRule("-2013", _C.MISSING, _A.LOOK_UP, "no such order", refuses=False),
        CodeRule("10007", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not traded through the API", reason=_R.SYMBOL_HALTED),
        CodeRule("10072", _C.AUTH, _A.HALT_ENTRIES, "key is not valid"),
        CodeRule("10073", _C.CLOCK, _A.SYNC_CLOCK, "request time is not valid"),
        CodeRule("30000", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is suspended", reason=_R.SYMBOL_HALTED),
        CodeRule("30001", _C.SYMBOL, _A.HALT_SYMBOL, "this side is not allowed now", reason=_R.SYMBOL_HALTED),
        CodeRule(
            "30002",
            _C.FILTER,
            _A.RELOAD_INSTRUMENTS,
            "order is below the minimum",
            reason=_R.NOTIONAL_BELOW_MIN,
            variants=(_LOT,),
        ),
        CodeRule("30003", _C.FILTER, _A.RELOAD_INSTRUMENTS, "order is above the maximum", reason=_R.QUANTITY_ABOVE_MAX),
        CodeRule(
            "30004", _C.FUNDS, _A.RECONCILE, "less free than asked; read balances once", reason=_R.INSUFFICIENT_FUNDS
        ),
        CodeRule("30005", _C.FUNDS, _A.RECONCILE, _OVERSOLD, reason=_R.INSUFFICIENT_FUNDS),
        CodeRule("30010", _C.FILTER, _A.RELOAD_INSTRUMENTS, "price off tick or out of range", reason=_R.PRICE_OFF_TICK),
        CodeRule("30014", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not valid", reason=_R.SYMBOL_HALTED),
        CodeRule("30016", _C.SYMBOL, _A.HALT_SYMBOL, "trading is disabled", reason=_R.SYMBOL_HALTED),
        CodeRule("30018", _C.PARAMETER, _A.GIVE_UP, "market orders are disabled"),
        CodeRule("30020", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is restricted for the API", reason=_R.SYMBOL_HALTED),
        CodeRule("30021", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not valid", reason=_R.SYMBOL_HALTED),
        CodeRule("30029", _C.LIMIT, _A.WAIT, "too many open orders"),
        CodeRule("30032", _C.LIMIT, _A.GIVE_UP, "above the largest position allowed"),
        CodeRule("30041", _C.FILTER, _A.GIVE_UP, "this order type cannot be placed now", reason=_R.PRICE_MOVED),
        CodeRule("30087", _C.PARAMETER, _A.GIVE_UP, "order refused by the venue's checks"),
        CodeRule("700001", _C.AUTH, _A.HALT_ENTRIES, "key format is not valid"),
        CodeRule("700002", _C.AUTH, _A.HALT_ENTRIES, "signature is not valid"),
        CodeRule("700003", _C.CLOCK, _A.SYNC_CLOCK, "time stamp outside the receive window"),
        CodeRule("700004", _C.PARAMETER, _A.GIVE_UP, "a parameter is missing or malformed"),
        CodeRule("700005", _C.CLOCK, _A.SYNC_CLOCK, "receive window is too long"),
        CodeRule("700006", _C.AUTH, _A.HALT_ENTRIES, "address is not on the key's list"),
        CodeRule("700007", _C.AUTH, _A.HALT_ENTRIES, "key lacks the permission"),
        CodeRule("700008", _C.PARAMETER, _A.GIVE_UP, "illegal characters in a parameter"),
        CodeRule("700013", _C.PARAMETER, _A.GIVE_UP, "content type is not valid"),
    )
)

#: The twin's own words, used with ``manners = "plain"``.
_PLAIN_CODES = _table(
    (
        CodeRule("INSUFFICIENT_QUOTE", _C.FUNDS, _A.RECONCILE, "too little quote coin", reason=_R.INSUFFICIENT_FUNDS),
        CodeRule("INSUFFICIENT_BASE", _C.FUNDS, _A.RECONCILE, _OVERSOLD, reason=_R.INSUFFICIENT_FUNDS),
        CodeRule("PRICE_OFF_TICK", _C.FILTER, _A.RELOAD_INSTRUMENTS, "price off tick", reason=_R.PRICE_OFF_TICK),
        CodeRule("QUANTITY_OFF_LOT", _C.FILTER, _A.RELOAD_INSTRUMENTS, "quantity off lot", reason=_R.QUANTITY_OFF_LOT),
        CodeRule("BELOW_MIN", _C.FILTER, _A.RELOAD_INSTRUMENTS, "quantity too small", reason=_R.QUANTITY_BELOW_MIN),
        CodeRule("ABOVE_MAX", _C.FILTER, _A.RELOAD_INSTRUMENTS, "quantity too large", reason=_R.QUANTITY_ABOVE_MAX),
        CodeRule("BELOW_NOTIONAL", _C.FILTER, _A.RELOAD_INSTRUMENTS, "too small", reason=_R.NOTIONAL_BELOW_MIN),
        CodeRule("HALTED", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not trading", reason=_R.SYMBOL_HALTED),
        CodeRule("UNKNOWN_SYMBOL", _C.SYMBOL, _A.HALT_SYMBOL, "symbol is not known", reason=_R.SYMBOL_HALTED),
        CodeRule("WOULD_TAKE", _C.FILTER, _A.GIVE_UP, "post-only order would have taken", reason=_R.PRICE_MOVED),
        CodeRule("BAD_PARAMETER", _C.PARAMETER, _A.GIVE_UP, "a parameter is missing or malformed"),
        CodeRule("OUTSIDE_WINDOW", _C.CLOCK, _A.SYNC_CLOCK, "time stamp outside the receive window"),
        CodeRule("DUPLICATE", _C.DUPLICATE, _A.LOOK_UP, "an open order has this id", refuses=False),
        CodeRule("TOO_MANY_ORDERS", _C.LIMIT, _A.WAIT, "too many open orders on the symbol"),
        CodeRule("TOO_MANY_REQUESTS", _C.RATE, _A.WAIT, "too many requests"),
        CodeRule("UNKNOWN_ORDER", _C.MISSING, _A.LOOK_UP, "no such order; it may have filled", refuses=False),
        CodeRule("BUSY", _C.BUSY, _A.LOOK_UP, "venue does not know; fate unknown", refuses=False),
    )
)

_S = VenueStatus
_STATUSES = {
    "NEW": _S.OPEN,
    "PENDING_NEW": _S.OPEN,
    "PARTIALLY_FILLED": _S.OPEN,
    "FILLED": _S.FILLED,
    "CANCELED": _S.CANCELED,
    "REJECTED": _S.REJECTED,
    "EXPIRED": _S.EXPIRED,
    "EXPIRED_IN_MATCH": _S.EXPIRED,
}

PLAIN: Final = VenueRules(
    "plain", _PLAIN_CODES, re.compile(r"T[1-9]\d{0,18}"), MappingProxyType(_STATUSES), frozenset({"UNKNOWN_ORDER"})
)
BINANCE: Final = VenueRules(
    "binance", _BINANCE_CODES, re.compile(r"[1-9]\d{0,18}"), MappingProxyType(_STATUSES), frozenset({"-2011", "-2013"})
)
MEXC: Final = VenueRules(
    "mexc",
    _MEXC_CODES,
    # "null" and words are no ids: an id holds a digit.
    re.compile(r"(?=.*\d)[0-9A-Za-z_]{6,64}"),
    MappingProxyType({**_STATUSES, "PARTIALLY_CANCELED": _S.CANCELED}),
    frozenset({"-2011", "-2013"}),
    frozenset({"0", "200"}),
)
RULES: Final[Mapping[str, VenueRules]] = MappingProxyType({rules.name: rules for rules in (PLAIN, BINANCE, MEXC)})
