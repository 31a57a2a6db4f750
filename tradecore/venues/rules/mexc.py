"""MEXC spot."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from tradecore.model.order import VenueStatus
from tradecore.model.reasons import Reason
from tradecore.venues.rules.words import BINANCE_STATUSES, OFF_LOT, Action, CodeRule, ErrorClass, VenueRules, table

C, A, R = ErrorClass, Action, Reason

_OVERSOLD = "less base coin than asked (fee taken in base, or coin locked): refresh, shrink to what is free"
#: Source: MEXC spot v3 error codes; allow-list of reference orders.md 2.3; 30005 of section 1 (no lack of buyers).
_MEXC_CODES = table(
    (
        CodeRule("429", C.RATE, A.WAIT, "too many requests"),
        CodeRule("500", C.BUSY, A.LOOK_UP, "internal error; fate unknown", refuses=False),
        CodeRule("501", C.BUSY, A.LOOK_UP, "internal error; fate unknown", refuses=False),
        CodeRule("503", C.BUSY, A.LOOK_UP, "service not available; fate unknown", refuses=False),
        CodeRule("504", C.BUSY, A.LOOK_UP, "time-out inside the venue; fate unknown", refuses=False),
        CodeRule("510", C.BUSY, A.LOOK_UP, "too frequent inside the venue; fate unknown", refuses=False),
        CodeRule("603", C.BUSY, A.LOOK_UP, "internal error; fate unknown", refuses=False),
        CodeRule("-1121", C.SYMBOL, A.HALT_SYMBOL, "symbol is not known", refuses=False),
        CodeRule("-2011", C.MISSING, A.LOOK_UP, "no such open order; it may have filled", refuses=False),
        CodeRule("-2013", C.MISSING, A.LOOK_UP, "no such order", refuses=False),
        CodeRule("10007", C.SYMBOL, A.HALT_SYMBOL, "symbol is not traded through the API", reason=R.SYMBOL_HALTED),
        CodeRule("10072", C.AUTH, A.HALT_ENTRIES, "key is not valid"),
        CodeRule("10073", C.CLOCK, A.SYNC_CLOCK, "request time is not valid"),
        CodeRule("30000", C.SYMBOL, A.HALT_SYMBOL, "symbol is suspended", reason=R.SYMBOL_HALTED),
        CodeRule("30001", C.SYMBOL, A.HALT_SYMBOL, "this side is not allowed now", reason=R.SYMBOL_HALTED),
        CodeRule(
            "30002",
            C.FILTER,
            A.RELOAD_INSTRUMENTS,
            "order is below the minimum",
            reason=R.NOTIONAL_BELOW_MIN,
            variants=(OFF_LOT,),
        ),
        CodeRule("30003", C.FILTER, A.RELOAD_INSTRUMENTS, "order is above the maximum", reason=R.QUANTITY_ABOVE_MAX),
        CodeRule(
            "30004", C.FUNDS, A.RECONCILE, "less free than asked; read balances once", reason=R.INSUFFICIENT_FUNDS
        ),
        CodeRule("30005", C.FUNDS, A.RECONCILE, _OVERSOLD, reason=R.INSUFFICIENT_FUNDS),
        CodeRule("30010", C.FILTER, A.RELOAD_INSTRUMENTS, "price off tick or out of range", reason=R.PRICE_OFF_TICK),
        CodeRule("30014", C.SYMBOL, A.HALT_SYMBOL, "symbol is not valid", reason=R.SYMBOL_HALTED),
        CodeRule("30016", C.SYMBOL, A.HALT_SYMBOL, "trading is disabled", reason=R.SYMBOL_HALTED),
        CodeRule("30018", C.PARAMETER, A.GIVE_UP, "market orders are disabled"),
        CodeRule("30020", C.SYMBOL, A.HALT_SYMBOL, "symbol is restricted for the API", reason=R.SYMBOL_HALTED),
        CodeRule("30021", C.SYMBOL, A.HALT_SYMBOL, "symbol is not valid", reason=R.SYMBOL_HALTED),
        CodeRule("30029", C.LIMIT, A.WAIT, "too many open orders"),
        CodeRule("30032", C.LIMIT, A.GIVE_UP, "above the largest position allowed"),
        CodeRule("30041", C.FILTER, A.GIVE_UP, "this order type cannot be placed now", reason=R.PRICE_MOVED),
        CodeRule("30087", C.PARAMETER, A.GIVE_UP, "order refused by the venue's checks"),
        CodeRule("700001", C.AUTH, A.HALT_ENTRIES, "key format is not valid"),
        CodeRule("700002", C.AUTH, A.HALT_ENTRIES, "signature is not valid"),
        CodeRule("700003", C.CLOCK, A.SYNC_CLOCK, "time stamp outside the receive window"),
        CodeRule("700004", C.PARAMETER, A.GIVE_UP, "a parameter is missing or malformed"),
        CodeRule("700005", C.CLOCK, A.SYNC_CLOCK, "receive window is too long"),
        CodeRule("700006", C.AUTH, A.HALT_ENTRIES, "address is not on the key's list"),
        CodeRule("700007", C.AUTH, A.HALT_ENTRIES, "key lacks the permission"),
        CodeRule("700008", C.PARAMETER, A.GIVE_UP, "illegal characters in a parameter"),
        CodeRule("700013", C.PARAMETER, A.GIVE_UP, "content type is not valid"),
    )
)

MEXC: Final = VenueRules(
    "mexc",
    _MEXC_CODES,
    # "null" and words are no ids: an id holds a digit.
    re.compile(r"(?=.*\d)[0-9A-Za-z_]{6,64}"),
    MappingProxyType({**BINANCE_STATUSES, "PARTIALLY_CANCELED": VenueStatus.CANCELED}),
    frozenset({"-2011", "-2013"}),
    frozenset({"0", "200"}),
)
