"""Binance spot."""

from __future__ import annotations

import re
from typing import Final

from tradecore.model.reasons import Reason
from tradecore.venues.rules.words import (
    BINANCE_STATUSES,
    OFF_LOT,
    Action,
    CodeRule,
    ErrorClass,
    VenueRules,
    table,
    variant,
)

C, A, R = ErrorClass, Action, Reason

_FILTERS = (
    variant("PRICE_FILTER", R.PRICE_OFF_TICK, C.FILTER, A.RELOAD_INSTRUMENTS, "price off tick or out of range"),
    OFF_LOT,
    variant("NOTIONAL", R.NOTIONAL_BELOW_MIN, C.FILTER, A.RELOAD_INSTRUMENTS, "notional out of range"),
    variant("PERCENT_PRICE", R.PRICE_MOVED, C.FILTER, A.GIVE_UP, "price too far from the market"),
    variant("MAX_NUM_ORDERS", R.VENUE_REJECTED, C.LIMIT, A.WAIT, "too many open orders on the symbol"),
    variant("closed|halt|not allowed", R.SYMBOL_HALTED, C.SYMBOL, A.HALT_SYMBOL, "symbol is not trading"),
)
_NEW_ORDER_REJECTED = (
    variant("insufficient", R.INSUFFICIENT_FUNDS, C.FUNDS, A.RECONCILE, "less free than asked; read balances once"),
    variant("closed|halt|disabled", R.SYMBOL_HALTED, C.SYMBOL, A.HALT_SYMBOL, "symbol is not trading"),
    variant("immediately match", R.PRICE_MOVED, C.FILTER, A.GIVE_UP, "post-only order would have taken"),
)

#: Source: Binance spot errors.md and filters.md (a5e0bc3, 2026-07-21); allow-list of reference orders.md 2.3.
_BINANCE_CODES = table(
    (
        CodeRule("-1000", C.BUSY, A.LOOK_UP, "unknown error of the venue", refuses=False),
        CodeRule("-1001", C.BUSY, A.LOOK_UP, "venue disconnected inside", refuses=False),
        CodeRule("-1002", C.AUTH, A.HALT_ENTRIES, "key is not authorised"),
        CodeRule("-1003", C.RATE, A.WAIT, "too many requests"),
        CodeRule("-1006", C.BUSY, A.LOOK_UP, "unexpected answer inside the venue; fate unknown", refuses=False),
        CodeRule("-1007", C.BUSY, A.LOOK_UP, "time-out inside the venue; fate unknown", refuses=False),
        CodeRule("-1008", C.BUSY, A.WAIT, "venue is overloaded", refuses=False),
        CodeRule("-1013", C.FILTER, A.RELOAD_INSTRUMENTS, "order breaks a filter", variants=_FILTERS),
        CodeRule("-1014", C.PARAMETER, A.GIVE_UP, "order composition is not supported"),
        CodeRule("-1015", C.LIMIT, A.WAIT, "too many new orders"),
        CodeRule("-1020", C.PARAMETER, A.GIVE_UP, "operation is not supported"),
        CodeRule("-1021", C.CLOCK, A.SYNC_CLOCK, "time stamp outside the receive window"),
        CodeRule("-1022", C.AUTH, A.HALT_ENTRIES, "signature is not valid"),
        CodeRule("-1100", C.PARAMETER, A.GIVE_UP, "illegal characters in a parameter"),
        CodeRule("-1101", C.PARAMETER, A.GIVE_UP, "too many parameters"),
        CodeRule("-1102", C.PARAMETER, A.GIVE_UP, "a parameter is missing or malformed"),
        CodeRule("-1111", C.FILTER, A.RELOAD_INSTRUMENTS, "too many decimals", reason=R.PRICE_OFF_TICK),
        CodeRule("-1115", C.PARAMETER, A.GIVE_UP, "time in force is not valid"),
        CodeRule("-1116", C.PARAMETER, A.GIVE_UP, "order type is not valid"),
        CodeRule("-1121", C.SYMBOL, A.HALT_SYMBOL, "symbol is not known", reason=R.SYMBOL_HALTED),
        CodeRule("-2010", C.PARAMETER, A.GIVE_UP, "new order rejected", variants=_NEW_ORDER_REJECTED),
        CodeRule("-2011", C.MISSING, A.LOOK_UP, "no such open order; it may have filled", refuses=False),
        CodeRule("-2013", C.MISSING, A.LOOK_UP, "no such order", refuses=False),
        CodeRule("-2014", C.AUTH, A.HALT_ENTRIES, "key is malformed"),
        CodeRule("-2015", C.AUTH, A.HALT_ENTRIES, "key, address or permission is not valid"),
        CodeRule("-2026", C.MISSING, A.LOOK_UP, "order is archived", refuses=False),
    )
)

BINANCE: Final = VenueRules(
    "binance", _BINANCE_CODES, re.compile(r"[1-9]\d{0,18}"), BINANCE_STATUSES, frozenset({"-2011", "-2013"})
)
