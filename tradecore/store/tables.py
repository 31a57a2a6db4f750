"""Tables of every record, and the promises that the database itself keeps.

============  =======================================  =================================================================
table         key                                      what may exist once only
============  =======================================  =================================================================
intent        intent_id                                a signal; a live entry per symbol; a live exit per position (R17)
attempt       client_order_id                          a wire id; a number per intent (R12)
reservation   intent_id                                one per intent (R16)
fill          account, symbol, venue_trade_id          a venue trade (R45)
posting       posting_id, leg                          a leg
report        report_id                                a piece of evidence
event         sequence                                 a number, without a hole
lease         slot                                     a writer (INV-14)
============  =======================================  =================================================================

Columns stand in the order in which `rows.py` takes a record apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, text
from sqlmodel import Field, SQLModel

from tradecore.model.intent import INTENT_LIVE, Cap, IntentState, ReservationState
from tradecore.model.order import AttemptState, Outcome
from tradecore.model.portfolio import TradingState
from tradecore.model.position import Levels, PositionState
from tradecore.model.reasons import Reason
from tradecore.model.records import CommandState, PostingKind
from tradecore.model.signal import Signal
from tradecore.model.units import Side, TimeInForce
from tradecore.store.types import WHOLE, Choice, ExactDecimal, Flag, Nested, Words

_LIVE_WORDS = ", ".join(f"'{state.value}'" for state in sorted(INTENT_LIVE))
LIVE_INTENT: Final = f"state IN ({_LIVE_WORDS})"
LIVE_ENTRY: Final = f"NOT reduces AND {LIVE_INTENT}"
LIVE_EXIT: Final = f"reduces AND {LIVE_INTENT}"
ACTIVE: Final = f"state = '{ReservationState.ACTIVE}'"
UNSETTLED: Final = f"state <> '{AttemptState.SETTLED}'"
NOT_CLOSED: Final = f"state <> '{PositionState.CLOSED}'"
ASKED: Final = f"state = '{CommandState.ASKED}'"
_NO_ROWID: Final = {"sqlite_with_rowid": False}


class _Base(SQLModel):
    """Tables of the store, apart from those that a guest may declare with SQLModel."""

    metadata: ClassVar[MetaData] = MetaData()


def _partial(name: str, column: str, where: str, *, unique: bool = False) -> Index:
    """Index only what has not ended: it stays as small as the work in hand, however long the history."""
    return Index(name, column, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def _words(**options: Any) -> Any:
    return Field(sa_column=Column(Words(), **({"nullable": False} | options)))


def _key(**options: Any) -> Any:
    return Field(sa_column=Column(Words(), primary_key=True, **options))


def _money(**options: Any) -> Any:
    return Field(sa_column=Column(ExactDecimal(), **({"nullable": False} | options)))


def _whole(**options: Any) -> Any:
    return Field(sa_column=Column(WHOLE, **({"nullable": False} | options)))


def _flag() -> Any:
    return Field(sa_column=Column(Flag(), nullable=False))


def _choice(words: Any, **options: Any) -> Any:
    return Field(sa_column=Column(Choice(words), **({"nullable": False} | options)))


def _nested(hint: Any, **options: Any) -> Any:
    return Field(sa_column=Column(Nested(hint), nullable=False, **options))


class IntentTable(_Base, table=True):
    """Intents (R12, R15)."""

    __tablename__ = "intent"
    __table_args__ = (
        Index("intent_signal", "signal_id", unique=True),
        _partial("intent_live_entry", "symbol", LIVE_ENTRY, unique=True),
        _partial("intent_live_exit", "position_id", LIVE_EXIT, unique=True),
        _partial("intent_live", "state", LIVE_INTENT),
        Index("intent_created", "created_ms"),
    )

    intent_id: str = _key()
    signal_id: str = _words()
    plugin: str = _words()
    signal: Signal = _nested(Signal)
    symbol: str = _words()
    side: Side = _choice(Side)
    quantity: Decimal = _money()
    price: Decimal = _money()
    price_ms: int = _whole()
    price_cap: Decimal = _money()
    created_ms: int = _whole()
    expires_ms: int = _whole()
    bound_by: str = _words()
    reduces: bool = _flag()
    position_id: str | None = _words(nullable=True)
    caps: Mapping[str, Cap] = _nested(Mapping[str, Cap])
    stop_price: Decimal | None = _money(nullable=True)
    state: IntentState = _choice(IntentState)
    router: str = _words()
    reason: Reason | None = _choice(Reason, nullable=True)
    detail: str = _words()
    ended_ms: int | None = _whole(nullable=True)
    executed_quantity: Decimal = _money()


class ReservationTable(_Base, table=True):
    """Money set aside (R16)."""

    __tablename__ = "reservation"
    __table_args__ = (_partial("reservation_active", "state", ACTIVE),)

    intent_id: str = Field(sa_column=Column(Words(), ForeignKey("intent.intent_id"), primary_key=True))
    currency: str = _words()
    amount: Decimal = _money()
    consumed: Decimal = _money()
    state: ReservationState = _choice(ReservationState)
    created_ms: int = _whole()
    ended_ms: int | None = _whole(nullable=True)
    reason: Reason | None = _choice(Reason, nullable=True)
    detail: str = _words()


class AttemptTable(_Base, table=True):
    """Order requests (R12, R14)."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("attempt_wire", "wire_id", unique=True),
        Index("attempt_number", "intent_id", "number", unique=True),
        _partial("attempt_unsettled", "state", UNSETTLED),
        Index("attempt_prepared", "prepared_ms"),
    )

    client_order_id: str = _key()
    intent_id: str = Field(sa_column=Column(Words(), ForeignKey("intent.intent_id"), nullable=False))
    number: int = _whole()
    wire_id: str = _words()
    symbol: str = _words()
    side: Side = _choice(Side)
    time_in_force: TimeInForce = _choice(TimeInForce)
    price: Decimal = _money()
    quantity: Decimal = _money()
    ttl_ms: int = _whole()
    label: str = _words()
    post_only: bool = _flag()
    state: AttemptState = _choice(AttemptState)
    reduces: bool = _flag()
    outcome: Outcome | None = _choice(Outcome, nullable=True)
    venue_order_id: str = _words()
    executed_quantity: Decimal = _money()
    executed_quote: Decimal = _money()
    booked_quantity: Decimal = _money()
    code: str = _words()
    detail: str = _words()
    clipped_by: str = _words()
    prepared_ms: int = _whole()
    sent_ms: int | None = _whole(nullable=True)
    fence_ms: int | None = _whole(nullable=True)
    cancel_after_ms: int | None = _whole(nullable=True)
    settled_ms: int | None = _whole(nullable=True)
    misses: int = _whole()


class FillTable(_Base, table=True):
    """Venue trades booked (R45). Append-only, never deleted."""

    __tablename__ = "fill"
    __table_args__ = (Index("fill_order", "client_order_id"), Index("fill_traded", "traded_ms"), _NO_ROWID)

    account: str = _key()
    symbol: str = _key()
    venue_trade_id: str = _key()
    venue_order_id: str = _words()
    wire_id: str = _words()
    side: Side = _choice(Side)
    price: Decimal = _money()
    quantity: Decimal = _money()
    quote_quantity: Decimal = _money()
    fee: Decimal = _money()
    fee_currency: str = _words()
    is_maker: bool = _flag()
    traded_ms: int = _whole()
    client_order_id: str = _words()
    intent_id: str = _words()
    position_id: str | None = _words(nullable=True)
    booked_ms: int = _whole()


class PostingTable(_Base, table=True):
    """Legs of the ledger (R45). Append-only, never deleted."""

    __tablename__ = "posting"
    __table_args__ = (_NO_ROWID,)

    posting_id: str = _key()
    leg: int = Field(sa_column=Column(WHOLE, primary_key=True, autoincrement=False))
    account: str = _words()
    currency: str = _words()
    amount: Decimal = _money()
    kind: PostingKind = _choice(PostingKind)
    at_ms: int = _whole()


class PositionTable(_Base, table=True):
    """Positions, closed ones too (R29)."""

    __tablename__ = "position"
    __table_args__ = (_partial("position_open", "state", NOT_CLOSED), Index("position_closed", "closed_ms"))

    position_id: str = _key()
    symbol: str = _words()
    plugin: str = _words()
    leg_group: str = _words()
    quantity: Decimal = _money()
    average_price: Decimal = _money()
    opened_ms: int = _whole()
    entries: int = _whole()
    peak_price: Decimal = _money()
    trough_price: Decimal = _money()
    stop_price: Decimal | None = _money(nullable=True)
    memo: Mapping[str, str] = _nested(Mapping[str, str])
    state: PositionState = _choice(PositionState)
    levels: Levels = _nested(Levels)
    bought_quantity: Decimal = _money()
    bought_quote: Decimal = _money()
    sold_quantity: Decimal = _money()
    sold_quote: Decimal = _money()
    fees_quote: Decimal = _money()
    base_fees: Decimal = _money()
    closed_ms: int | None = _whole(nullable=True)
    close_reason: Reason | None = _choice(Reason, nullable=True)
    exit_attempts: int = _whole()
    unsellable_since_ms: int | None = _whole(nullable=True)
    dust_quantity: Decimal = _money()
    dust_gone: Decimal = _money(server_default=text("'0'"))
    taken: Mapping[str, Decimal] = _nested(Mapping[str, Decimal], server_default=text("'{}'"))
    taken_quote: Decimal = _money(server_default=text("'0'"))


class ReportTable(_Base, table=True):
    """Evidence on orders. Append-only until its time is over."""

    __tablename__ = "report"
    __table_args__ = (Index("report_order", "client_order_id"), Index("report_received", "received_ms"))

    report_id: str = _key()
    client_order_id: str = _words()
    source: str = _words()
    kind: str = _words()
    detail: str = _words()
    digest: str = _words()
    received_ms: int = _whole()


class RunTable(_Base, table=True):
    """Runs of the program on this state."""

    __tablename__ = "run"
    __table_args__ = (Index("run_number", "number", unique=True),)

    run_id: str = _key()
    number: int = _whole()
    account: str = _words()
    seed: int = _whole()
    profile: str = _words()
    settings_digest: str = _words()
    started_ms: int = _whole()
    ended_ms: int | None = _whole(nullable=True)
    reason: str = _words()


class TradingTable(_Base, table=True):
    """The trading state in force (R33): one row."""

    __tablename__ = "trading"
    __table_args__ = (CheckConstraint("slot = 1", name="trading_one_row"),)

    slot: int = Field(sa_column=Column(WHOLE, primary_key=True, autoincrement=False))
    state: TradingState = _choice(TradingState)
    actor: str = _words()
    reason: str = _words()
    since_ms: int = _whole()
    expires_ms: int | None = _whole(nullable=True)


class CommandTable(_Base, table=True):
    """Wishes of operators (R54), in the order in which they came."""

    __tablename__ = "command"
    __table_args__ = (Index("command_id", "command_id", unique=True), _partial("command_asked", "number", ASKED))

    number: int | None = Field(default=None, sa_column=Column(WHOLE, primary_key=True, autoincrement=True))
    command_id: str = _words()
    verb: str = _words()
    argument: str = _words()
    reason: str = _words()
    actor: str = _words()
    state: CommandState = _choice(CommandState)
    result: str = _words()


class MemoryTable(_Base, table=True):
    """Small facts by key."""

    __tablename__ = "memory"
    __table_args__ = (_NO_ROWID,)

    fact: str = _key()
    content: str = _words()
    at_ms: int = _whole()


class LeaseTable(_Base, table=True):
    """Who writes this store (INV-14): one row."""

    __tablename__ = "lease"
    __table_args__ = (CheckConstraint("slot = 1", name="lease_one_row"),)

    slot: int = Field(sa_column=Column(WHOLE, primary_key=True, autoincrement=False))
    epoch: int = _whole()
    host: str = _words()
    machine: str = _words()
    pid: int = _whole()
    started: str = _words()
    folder: str = _words()
    run_id: str = _words()
    taken_ms: int = _whole()
    renewed_ms: int = _whole()
    length_ms: int = _whole()
    released: bool = _flag()


class EventTable(_Base, table=True):
    """Booked events (R25). `data` is JSON in the form that the event's kind says."""

    __tablename__ = "event"

    sequence: int = Field(sa_column=Column(WHOLE, primary_key=True, autoincrement=False))
    at_ns: int = _whole()
    kind: str = _words()
    decision: str = _words()
    intent: str = _words()
    client_order: str = _words()
    venue_order: str = _words()
    data: str = _words()


METADATA: Final = _Base.metadata


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy table of a model."""
    return METADATA.tables[str(model.__tablename__)]
