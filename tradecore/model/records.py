"""The smaller durable rows: everything else that a transaction may hold."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow, Reservation
from tradecore.model.order import Attempt
from tradecore.model.portfolio import TradingState
from tradecore.model.position import Position
from tradecore.model.units import RunId


class PostingKind(enum.StrEnum):
    """Why a ledger transaction was made."""

    TRADE = "trade"
    OPENING = "opening"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    EXTERNAL = "external"
    DUST = "dust"
    FEE = "fee"
    UNKNOWN_DRIFT = "unknown_drift"


class Posting(NamedTuple):
    """One leg of a ledger transaction; the legs of one `posting_id` sum to zero in each currency (INV-9)."""

    posting_id: str
    """The same event always has the same id, so that posting twice is a no-op."""
    leg: int
    account: str
    """``assets``, ``venue``, ``fees``, or what moved without a trade of ours: ``opening``, ``deposit``, ``withdrawal``,
    ``external``, ``dust``, ``unknown_drift``."""
    currency: str
    amount: Decimal
    kind: PostingKind
    at_ms: int


class Report(NamedTuple):
    """Evidence on one order, append-only."""

    report_id: str
    client_order_id: str
    source: str
    kind: str
    detail: str
    digest: str
    received_ms: int


class Run(NamedTuple):
    """One run of the program on this state."""

    run_id: RunId
    number: int
    """1 for the first run on this state."""
    account: str
    seed: int
    profile: str
    settings_digest: str
    started_ms: int
    """Market time."""
    ended_ms: int | None = None
    reason: str = ""


class TradingRecord(NamedTuple):
    """The trading state in force (R33); one row."""

    state: TradingState
    actor: str
    reason: str
    since_ms: int
    expires_ms: int | None = None


class CommandState(enum.StrEnum):
    """Life of an operator's command."""

    ASKED = "ASKED"
    DONE = "DONE"
    REFUSED = "REFUSED"


class Command(NamedTuple):
    """An operator's wish as a row that the running process polls (R54)."""

    command_id: str
    verb: str
    """``halt``, ``reduce``, ``resume``, ``exit``, ``stop``, ``release`` (lift a quarantine), ``unlock`` (lift locks).
    """
    argument: str
    """A symbol or ``all``; a plugin; for ``halt`` and ``reduce`` the seconds of market time after which it ends."""
    reason: str
    actor: str
    state: CommandState = CommandState.ASKED
    result: str = ""


EXTERNAL_ORDER: Final = "external/"
"""Begins the key of a fact about an order that is not ours; the venue's id of it follows."""


LOCK: Final = "lock/"
"""Begins the key of a lock; guest, rule and symbol follow."""


class Memory(NamedTuple):
    """One small durable fact by key: cursors, day figures, jobs' last answers, quarantines, tunes.

    Keys are paths: ``cursor/SYMBOL``, ``day``, ``job/PLUGIN/NAME``, ``quarantine/PLUGIN/HOOK``, ``tune/SETTING``,
    ``lock/PLUGIN/RULE/SYMBOL``,
    ``breaker/RULE``, ``settings``, ``external/WIRE_ID``, ``venue_balances``, ``drift``, ``ledger_opened``.
    An empty text means that the fact is gone.
    """

    key: str
    text: str
    at_ms: int


Row = IntentRow | Reservation | Attempt | Fill | Posting | Position | Report | Run | TradingRecord | Command | Memory
"""What a transaction may put. A row with the key of an older one takes its place, except for `Fill`, `Posting` and
`Report`, which are append-only."""
