"""The closed list of reason codes: every candidate, intent and attempt ends with one of these."""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """Why something happened, or did not. The value is what people and machines read."""

    # A candidate that became no intent (outcomes of R4).
    NOT_TRADABLE = "NOT_TRADABLE"  # no data in this row
    NOT_IN_UNIVERSE = "NOT_IN_UNIVERSE"  # a universe guest keeps the symbol out
    WARMING_UP = "WARMING_UP"  # fewer rows before this one than the guest declared
    STALE_DATA = "STALE_DATA"  # the row or the price is older than the limit
    NO_WISHER = "NO_WISHER"  # every signal guest is quarantined or failed in this row
    THRESHOLD_NOT_MET = "THRESHOLD_NOT_MET"  # the nearest signal guest's value misses its threshold
    FILTER_REFUSED = "FILTER_REFUSED"
    FILTER_SILENT = "FILTER_SILENT"  # a filter did not answer this row: shut
    TRADING_HALTED = "TRADING_HALTED"
    TRADING_REDUCING = "TRADING_REDUCING"
    LOCKED = "LOCKED"  # a lock of a protection or of the breaker stands on the symbol, or on all
    ENTRIES_HALTED = "ENTRIES_HALTED"  # a follow guest failed: positions could not be led out
    SIGNAL_EXPIRED = "SIGNAL_EXPIRED"
    SYMBOL_BUSY = "SYMBOL_BUSY"  # a live or UNKNOWN intent stands on the symbol
    SYMBOL_HALTED = "SYMBOL_HALTED"
    DUPLICATE_SIGNAL = "DUPLICATE_SIGNAL"
    GROUP_REFUSED = "GROUP_REFUSED"  # another leg of the group was refused
    SIZE_MISSING = "SIZE_MISSING"  # no sizing guest answered, or one failed
    SIZE_ZERO = "SIZE_ZERO"
    RISK_MISSING = "RISK_MISSING"  # no risk guest answered, or one failed
    RISK_REFUSED = "RISK_REFUSED"
    ROUTER_MISSING = "ROUTER_MISSING"
    NO_BOOK = "NO_BOOK"
    SPREAD_TOO_WIDE = "SPREAD_TOO_WIDE"
    SLIPPAGE_TOO_WIDE = "SLIPPAGE_TOO_WIDE"  # the best price stands beyond the price cap
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    QUANTITY_BELOW_MIN = "QUANTITY_BELOW_MIN"
    QUANTITY_ABOVE_MAX = "QUANTITY_ABOVE_MAX"
    QUANTITY_OFF_LOT = "QUANTITY_OFF_LOT"
    NOTIONAL_BELOW_MIN = "NOTIONAL_BELOW_MIN"
    PRICE_OFF_TICK = "PRICE_OFF_TICK"
    PRICE_INVALID = "PRICE_INVALID"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    LEASE_LOST = "LEASE_LOST"  # another process may write the store by now: nothing is sent
    INTENT_CREATED = "INTENT_CREATED"  # the good outcome

    # Why an intent ended (R15).
    FILLED = "FILLED"
    LADDER_EXHAUSTED = "LADDER_EXHAUSTED"
    NO_LIQUIDITY = "NO_LIQUIDITY"
    DUST_REMAINDER = "DUST_REMAINDER"  # what is left is below the venue's minimum
    PRICE_MOVED = "PRICE_MOVED"  # the market left the price cap behind
    INTENT_EXPIRED = "INTENT_EXPIRED"
    OPERATOR = "OPERATOR"
    SHUTDOWN = "SHUTDOWN"
    RESTARTED = "RESTARTED"
    STORE_BEHIND = "STORE_BEHIND"  # found in the journal only: the store had been put back to an older copy
    GUEST_FAULT = "GUEST_FAULT"
    VENUE_REJECTED = "VENUE_REJECTED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    UNSELLABLE = "UNSELLABLE"
    NOT_SENT = "NOT_SENT"
    NOT_PLACED = "NOT_PLACED"  # evidence says that the venue never had it
    ALREADY_FLAT = "ALREADY_FLAT"

    # Why an exit was asked for (R27).
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"
    TRAILING_STOP = "TRAILING_STOP"
    ATR_STOP = "ATR_STOP"
    TIME_TO_LIVE = "TIME_TO_LIVE"
    LEAVE = "LEAVE"  # the guest's own condition at a close
    ADD = "ADD"
    DUST_SWEPT = "DUST_SWEPT"  # what earlier positions left behind can be sold

    # What one attempt met at the venue.
    ACCEPTED = "ACCEPTED"
    EXPIRED_UNFILLED = "EXPIRED_UNFILLED"  # an IOC or FOK that found nothing in reach
    CANCELED_BY_US = "CANCELED_BY_US"
    CANCELED_BY_VENUE = "CANCELED_BY_VENUE"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    LIMITER_REFUSED = "LIMITER_REFUSED"
    ECHO_MISMATCH = "ECHO_MISMATCH"  # the venue reports another order than was asked
