"""What the engine is told once, at its making: plain numbers, no settings library."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple


class ExitLadder(NamedTuple):
    """The core's own ladder for exits (R10): it runs where no router answers."""

    premiums_bps: tuple[Decimal, ...] = (Decimal(10), Decimal(30), Decimal(50))
    ttl_ms: int = 3_000
    attempts: int = 4
    """Attempts of one round; the last premium repeats."""
    backoff_s: tuple[float, ...] = (1.0, 5.0, 15.0, 60.0)
    """Wait between rounds; the last one repeats."""


class BreakerConfig(NamedTuple):
    """When the circuit breaker trips (R33); a limit of 0 turns its rule off. Times are market time."""

    daily_drawdown_pct: Decimal = Decimal(10)
    """Fall of the equity below its peak since 00:00 UTC."""
    loss_streak: int = 0
    """Positions closed at a loss one after the other; off unless asked for, as a strategy may lose often and little."""
    loss_pause_ms: int = 3_600_000
    failed_orders_pct: Decimal = Decimal(50)
    """Share of the orders of the window that were rejected or never placed."""
    failed_orders_min: int = 20
    """Orders in the window before that share says anything."""
    failed_orders_window_ms: int = 900_000
    failed_orders_pause_ms: int = 900_000
    rejects_in_a_row: int = 5
    """Orders of one symbol that the venue rejected one after the other."""
    reject_pause_ms: int = 900_000
    faults_max: int = 10
    """Exceptions that nobody expected, in the window."""
    faults_window_ms: int = 300_000
    fault_pause_ms: int = 1_800_000


class EngineConfig(NamedTuple):
    """Limits and times of the engine. Milliseconds and seconds are market time."""

    account: str
    currency: str
    capital_limit: Decimal | None = None
    """Most that positions and reservations together may hold, in `currency`; ``None``: all that is there."""
    adopt_balances: bool = True
    max_slippage_bps: Decimal = Decimal(50)
    max_spread_bps: Decimal = Decimal(20)
    intent_ttl_ms: int = 60_000
    book_age_ms_max: int = 2_000
    price_age_ms_max: int = 15_000
    """Oldest signal price that an entry may rest on."""
    poll_ms: int = 250
    """First wait between two reads of an open order."""
    poll_ms_max: int = 2_000
    unknown_backoff_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    stuck_after_ms: int = 120_000
    balance_timeout_s: float = 5.0
    key_rights_confirmed: bool = False
    """An operator has seen that the key may not withdraw: needed where the venue does not tell (R21)."""
    price_collar_bps: Decimal = Decimal(500)
    """How far below the price that triggered it an exit may sell."""
    exit_ladder: ExitLadder = ExitLadder()
    breaker: BreakerConfig = BreakerConfig()
    block_rows: int = 256
    slow_cycle_ms: float = 1_000.0
    """Of the wall."""
    zero_fill_sends: int = 20
    """Orders of entries without a fill in between that raise an alarm; 0 never does."""
    time_scale: float = 1.0
    """Market seconds per second of the wall, where time is not virtual."""
    unknown_drift_max: Decimal = Decimal(0)
    """Difference between ledger and venue, in `currency`, above which entries stop (R46)."""
    keep_orders: bool = False
    """Leave our open orders standing at shutdown instead of cancelling them."""
    phase_ms: int = 2_000
    """Deadline of one phase of the shutdown, of the wall."""
    total_ms: int = 10_000
    requests_per_minute: int = 800
    """Turns that the limiter gives in a minute of market time."""
    intervals_s: Mapping[str, float] = {}
    sweep_s: float = 3_600.0
    """Everything is read anew from the venue so often, as at a start."""
    retention_ms: int = 365 * 86_400_000
    """Ended rows of the store older than this are deleted; postings never are."""
