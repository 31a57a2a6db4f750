"""Records taken apart into columns and put together again, in the order of `tables.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Table

from tradecore.model.events import REGISTRY, BookedEvent, Ids, Stamped, kind_of
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.intent import Intent, IntentRow, Reservation
from tradecore.model.order import Attempt, OrderRequest
from tradecore.model.position import Position
from tradecore.model.records import Command, Memory, Posting, Report, Row, Run, TradingRecord
from tradecore.store import tables
from tradecore.store.codec import dump, load

Values = Sequence[Any]


class Shape(NamedTuple):
    """How one type of record stands in its table."""

    record: type[Any]
    table: Table
    key: tuple[str, ...]
    """Columns by which an older row is found."""
    apart: Callable[[Any], Values]
    together: Callable[[Values], Any]
    append_only: bool = False


def _intent_apart(row: IntentRow) -> Values:
    i = row.intent
    return (
        i.intent_id, i.signal.signal_id, i.signal.plugin, i.signal, i.symbol, i.side, i.quantity, i.price, i.price_ms,
        i.price_cap, i.created_ms, i.expires_ms, i.constraint, i.reduces, i.position_id, i.caps, i.stop_price,
        row.state, row.router, row.reason, row.detail, row.ended_ms, row.executed_quantity,
    )  # fmt: skip


def _intent_together(v: Values) -> IntentRow:
    # v[1] and v[2] are copies of the signal's id and plugin, for the index and for queries.
    return IntentRow(Intent(v[0], v[3], *v[4:17]), *v[17:])


def _attempt_apart(a: Attempt) -> Values:
    return (*a[:6], *a.request, *a[7:])


def _attempt_together(v: Values) -> Attempt:
    return Attempt._make((*v[:6], OrderRequest(*v[6:12]), *v[12:]))


def _fill_apart(fill: Fill) -> Values:
    t = fill.trade
    return (
        fill.account, t.symbol, t.venue_trade_id, t.venue_order_id, t.wire_id, t.side, t.price, t.quantity,
        t.quote_quantity, t.fee, t.fee_currency, t.is_maker, t.traded_ms, *fill[2:],
    )  # fmt: skip


def _fill_together(v: Values) -> Fill:
    return Fill(v[0], VenueTrade(v[2], v[3], v[4], v[1], *v[5:13]), *v[13:])


def _trading_apart(record: TradingRecord) -> Values:
    return (1, *record)


def _trading_together(v: Values) -> TradingRecord:
    return TradingRecord(*v[1:])


def _command_apart(command: Command) -> Values:
    return (None, *command)


def _command_together(v: Values) -> Command:
    return Command(*v[1:])


def _whole_row(record: Any) -> Values:
    return tuple(record)


def _shape(
    record: type[Any],
    model: Any,
    *key: str,
    apart: Callable[[Any], Values] = _whole_row,
    together: Callable[[Values], Any] | None = None,
    append_only: bool = False,
) -> Shape:
    build = together if together is not None else record._make
    return Shape(record, tables.table_of(model), key, apart, build, append_only)


SHAPES: Final[Mapping[type[Any], Shape]] = {
    shape.record: shape
    for shape in (
        _shape(IntentRow, tables.IntentTable, "intent_id", apart=_intent_apart, together=_intent_together),
        _shape(Reservation, tables.ReservationTable, "intent_id"),
        _shape(Attempt, tables.AttemptTable, "client_order_id", apart=_attempt_apart, together=_attempt_together),
        _shape(
            Fill, tables.FillTable, "account", "symbol", "venue_trade_id",
            apart=_fill_apart, together=_fill_together, append_only=True,
        ),
        _shape(Posting, tables.PostingTable, "posting_id", "leg", append_only=True),
        _shape(Position, tables.PositionTable, "position_id"),
        _shape(Report, tables.ReportTable, "report_id", append_only=True),
        _shape(Run, tables.RunTable, "run_id"),
        _shape(TradingRecord, tables.TradingTable, "slot", apart=_trading_apart, together=_trading_together),
        _shape(Command, tables.CommandTable, "command_id", apart=_command_apart, together=_command_together),
        _shape(Memory, tables.MemoryTable, "fact"),
    )
}  # fmt: skip


def shape_of(row: Row) -> Shape:
    """Find the shape of a record.

    Raises:
        TypeError: If it is no record that the store keeps.
    """
    shape = SHAPES.get(type(row))
    if shape is None:
        raise TypeError(f"expected a record that the store keeps, was {type(row).__name__}")
    return shape


EVENT_TABLE: Final = tables.table_of(tables.EventTable)


def event_apart(sequence: int, stamped: Stamped) -> Values:
    """Take a booked event apart.

    Raises:
        TypeError: If the event is of no registered kind, or is a diagnostic.
    """
    try:
        kind = kind_of(stamped.event)
    except KeyError as error:
        raise TypeError(f"expected a registered event, was {type(stamped.event).__name__}") from error
    if not kind.booked:
        raise TypeError(f"expected a booked event, was the diagnostic {kind.name}")
    return (sequence, stamped.at_ns, kind.name, *stamped.ids, dump(stamped.event, kind.schema))


def event_together(v: Values) -> BookedEvent:
    """Put a booked event together."""
    event = load(v[7], REGISTRY[v[2]].schema)
    return BookedEvent(v[0], Stamped(v[1], event, Ids(*v[3:7])))
