"""What the account holds, as deciding hooks see it: a frozen picture, derived and never counted."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.intent import Intent
from tradecore.model.lock import Lock
from tradecore.model.position import ClosedPosition, Position


class TradingState(enum.StrEnum):
    """R33: what the operator or a breaker allows. Cancels and exits always pass."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class FillRate(NamedTuple):
    """Attempts of the last 24 hours on one symbol."""

    attempts: int
    filled: int


class Portfolio(NamedTuple):
    """The account at one moment, under the account lock. Amounts are in `currency` unless said otherwise."""

    as_of_ms: int
    currency: str
    state: TradingState
    equity: Decimal
    """Free + reserved + positions at their marks."""
    equity_day_open: Decimal
    equity_day_peak: Decimal
    """Highest equity since 00:00 UTC, marked every row."""
    free: Decimal
    """Ledger balance less active reservations, and at most what the capital limit leaves."""
    reserved: Decimal
    exposure: Decimal
    """Positions at their marks plus active buy reservations: a function of the books, never a counter."""
    positions: tuple[Position, ...]
    pending: tuple[Intent, ...]
    """Live intents without the one asked about."""
    closed: tuple[ClosedPosition, ...]
    """The newest 300 or more, oldest first."""
    trades_today: int
    """Entry intents with a fill since 00:00 UTC."""
    orders_last_minute: int
    dust: Mapping[str, Decimal]
    """Base coin to units left behind."""
    fill_rate_24h: Mapping[str, FillRate]
    locks: tuple[Lock, ...]
    """Those in force, and those an operator lifted before their time, whose expiry has passed."""
    marks: Mapping[str, Decimal]
    """Symbol to the price its position is valued at."""
    quote_rates: Mapping[str, Decimal] = {}
    """Symbol to account currency per quote unit (`Instrument.quote_rate`); 1 for a symbol not named."""
