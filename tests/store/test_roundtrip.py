"""Whatever a record says, it says after a commit and a read: amounts to the last digit, ``None``, nested values."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.model.events import REGISTRY, Ids, Stamped
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.intent import Cap, Intent, IntentRow, IntentState, Reservation
from tradecore.model.order import Attempt, OrderRequest
from tradecore.model.position import Levels, Position
from tradecore.model.records import Command, Memory, Posting, Report, Run, TradingRecord
from tradecore.model.signal import Signal
from tradecore.model.units import Side
from tradecore.store.codec import dump, load
from tradecore.store.rows import SHAPES

# What every database can hold; the rest is cleaned (test_contract: a strange text).
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
money = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**24), max_value=10**24) | st.builds(
    Decimal, st.from_regex(r"\A-?[0-9]{1,20}\.[0-9]{0,30}\Z")
)
whole = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
facts = st.dictionaries(words, words, max_size=3)

BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    Decimal: money,
    str: words,
    int: whole,
    float: floats,
    bool: st.booleans(),
}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.nested_given]


def of(record: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """All fields drawn by their types, those that are named by what is given."""
    drawn = {}
    for name, hint in get_type_hints(record).items():
        drawn[name] = fields.get(name, _field(hint))
    return st.builds(record, **drawn)


def _field(hint: Any) -> st.SearchStrategy[Any]:
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    if hint in BY_TYPE:
        return BY_TYPE[hint]
    args = [arg for arg in getattr(hint, "__args__", ()) if arg is not type(None)]
    if args and type(None) in hint.__args__:
        return st.none() | _field(args[0])
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        return of(hint)
    origin = getattr(hint, "__origin__", None)
    if origin is tuple:
        return st.lists(_field(args[0]), max_size=3).map(tuple)
    if origin is not None:  # a Mapping
        return st.dictionaries(words, _field(args[1]), max_size=3)
    return st.from_type(hint)


RECORDS: dict[type[Any], st.SearchStrategy[Any]] = {
    IntentRow: of(IntentRow, intent=of(Intent, signal=of(Signal), caps=st.dictionaries(words, of(Cap), max_size=3))),
    Reservation: of(Reservation),
    Attempt: of(Attempt, request=of(OrderRequest)),
    Fill: of(Fill, trade=of(VenueTrade)),
    Posting: of(Posting),
    Position: of(Position, levels=of(Levels), memo=facts),
    Report: of(Report),
    Run: of(Run),
    TradingRecord: of(TradingRecord),
    Command: of(Command),
    Memory: of(Memory, text=words.filter(bool)),
}


def test_every_record_type_is_drawn():
    assert set(RECORDS) == set(SHAPES)


@pytest.mark.parametrize("record", list(RECORDS), ids=lambda record: record.__name__)
def test_r26_a_record_comes_back_as_it_was(record, place):
    store = place.open()
    numbers = itertools.count(1)
    shape = SHAPES[record]
    where = " AND ".join(f"{column} = ?" for column in shape.key)

    @settings(max_examples=12 if place.inline else 5, deadline=None, database=None, suppress_health_check=SLOW)
    @given(RECORDS[record])
    def comes_back(row: Any) -> None:
        row = fresh(row, f"id-{next(numbers)}")
        parents = [parent(row.intent_id)] if record in (Reservation, Attempt) else []
        asyncio.run(store.commit([*parents, row], []))
        columns = dict(zip(shape.table.columns.keys(), shape.apart(row), strict=True))
        (read,) = store._sql.fetch(store._reader, record, f"WHERE {where}", [columns[name] for name in shape.key])
        assert read == row
        assert [type(x) for x in shape.apart(read)] == [type(x) for x in shape.apart(row)]

    comes_back()


def fresh(row: Any, name: str) -> Any:
    """The same row under ids of its own: all examples of a test stand in one database."""
    match row:
        case IntentRow():
            signal = row.intent.signal._replace(signal_id=name)
            position_id = None if row.intent.position_id is None else name
            intent = row.intent._replace(intent_id=name, signal=signal, symbol=name, position_id=position_id)
            return row._replace(intent=intent)
        case Attempt():
            return row._replace(client_order_id=name, intent_id=name, wire_id=name)
        case Fill():
            return row._replace(trade=row.trade._replace(venue_trade_id=name))
        case Run():
            return row._replace(run_id=name, number=int(name[3:]))
        case TradingRecord():
            return row
        case _:
            return row._replace(**{row._fields[0]: name})


def parent(intent_id: str) -> IntentRow:
    """An ended intent for a reservation or an attempt to refer to."""
    signal = Signal(intent_id, "p", "S", Side.BUY, 0, 0, Decimal(1), 0, 0.0, "", 0.0, 0.0, "")
    one = Decimal(1)
    return IntentRow(
        Intent(intent_id, signal, "S", Side.BUY, one, one, 0, one, 0, 0, "", False, None), IntentState.CANCELED
    )


BOOKED = {name: kind for name, kind in REGISTRY.items() if kind.booked}


@pytest.mark.parametrize("name", sorted(BOOKED))
@settings(max_examples=6, deadline=None, database=None)
@given(data=st.data())
def test_r25_every_booked_event_comes_back_as_it_was(name, data):
    event = data.draw(of(BOOKED[name].schema))
    assert load(dump(event, BOOKED[name].schema), BOOKED[name].schema) == event


def test_r25_every_booked_kind_passes_the_store(place):
    store = place.open()
    stamped = [Stamped(n, _plain(kind.schema), Ids("a", "b", "c", "d")) for n, kind in enumerate(BOOKED.values())]
    booked = asyncio.run(store.commit([], stamped))
    assert [event.stamped for event in store.events_after(0, 1_000)] == stamped
    assert list(store.events_after(0, 1_000)) == list(booked)


def _plain(schema: type[Any]) -> Any:
    values: dict[Any, Any] = {str: "word", int: 7, float: 0.5, Decimal: Decimal("1.25"), bool: True}
    fields = {}
    for name, hint in get_type_hints(schema).items():
        origin, args = getattr(hint, "__origin__", None), getattr(hint, "__args__", ())
        if hint in values:
            fields[name] = values[hint]
        elif type(None) in args:
            fields[name] = None
        elif origin is tuple:
            fields[name] = (values.get(args[0]) or _plain(args[0]),)
        else:
            fields[name] = {"key": values[args[1]]}
    return schema(**fields)


def test_floats_that_are_not_finite_keep_their_meaning():
    schema = REGISTRY["order_ack"].schema
    for latency in (float("inf"), float("-inf"), 1e-300, 0.1):
        event = schema("S", 1, "", "same", latency)
        assert load(dump(event, schema), schema) == event


def test_a_field_that_came_later_takes_its_default_and_one_that_went_is_left_out():
    text = '{"stop": "1.5", "gone": {"deep": 1}}'
    assert load(text, Levels) == Levels(stop=Decimal("1.5"))
