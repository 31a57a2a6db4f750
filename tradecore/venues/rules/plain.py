"""The twin's own words, used with ``manners = "plain"``."""

from __future__ import annotations

import re
from typing import Final

from tradecore.model.reasons import Reason
from tradecore.venues.rules.words import BINANCE_STATUSES, Action, CodeRule, ErrorClass, VenueRules, table

C, A, R = ErrorClass, Action, Reason

_OVERSOLD = "less base coin than asked (fee taken in base, or coin locked): refresh, shrink to what is free"
_PLAIN_CODES = table(
    (
        CodeRule("INSUFFICIENT_QUOTE", C.FUNDS, A.RECONCILE, "too little quote coin", reason=R.INSUFFICIENT_FUNDS),
        CodeRule("INSUFFICIENT_BASE", C.FUNDS, A.RECONCILE, _OVERSOLD, reason=R.INSUFFICIENT_FUNDS),
        CodeRule("PRICE_OFF_TICK", C.FILTER, A.RELOAD_INSTRUMENTS, "price off tick", reason=R.PRICE_OFF_TICK),
        CodeRule("QUANTITY_OFF_LOT", C.FILTER, A.RELOAD_INSTRUMENTS, "quantity off lot", reason=R.QUANTITY_OFF_LOT),
        CodeRule("BELOW_MIN", C.FILTER, A.RELOAD_INSTRUMENTS, "quantity too small", reason=R.QUANTITY_BELOW_MIN),
        CodeRule("ABOVE_MAX", C.FILTER, A.RELOAD_INSTRUMENTS, "quantity too large", reason=R.QUANTITY_ABOVE_MAX),
        CodeRule("BELOW_NOTIONAL", C.FILTER, A.RELOAD_INSTRUMENTS, "too small", reason=R.NOTIONAL_BELOW_MIN),
        CodeRule("HALTED", C.SYMBOL, A.HALT_SYMBOL, "symbol is not trading", reason=R.SYMBOL_HALTED),
        CodeRule("UNKNOWN_SYMBOL", C.SYMBOL, A.HALT_SYMBOL, "symbol is not known", reason=R.SYMBOL_HALTED),
        CodeRule("WOULD_TAKE", C.FILTER, A.GIVE_UP, "post-only order would have taken", reason=R.PRICE_MOVED),
        CodeRule("BAD_PARAMETER", C.PARAMETER, A.GIVE_UP, "a parameter is missing or malformed"),
        CodeRule("OUTSIDE_WINDOW", C.CLOCK, A.SYNC_CLOCK, "time stamp outside the receive window"),
        CodeRule("DUPLICATE", C.DUPLICATE, A.LOOK_UP, "an open order has this id", refuses=False),
        CodeRule("TOO_MANY_ORDERS", C.LIMIT, A.WAIT, "too many open orders on the symbol"),
        CodeRule("TOO_MANY_REQUESTS", C.RATE, A.WAIT, "too many requests"),
        CodeRule("UNKNOWN_ORDER", C.MISSING, A.LOOK_UP, "no such order; it may have filled", refuses=False),
        CodeRule("BUSY", C.BUSY, A.LOOK_UP, "venue does not know; fate unknown", refuses=False),
    )
)

PLAIN: Final = VenueRules(
    "plain", _PLAIN_CODES, re.compile(r"T[1-9]\d{0,18}"), BINANCE_STATUSES, frozenset({"UNKNOWN_ORDER"})
)
