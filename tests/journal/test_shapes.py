"""Every registered event becomes a line and comes back the same."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.errors import DataError
from tradecore.journal.encode import FRAME, Encoder
from tradecore.journal.mask import Mask
from tradecore.journal.read import decode, parse
from tradecore.journal.shapes import shape_of
from tradecore.model.events import (
    NO_IDS,
    REGISTRY,
    DecisionOutcome,
    GuardsEval,
    Heartbeat,
    Ids,
    IntentCleared,
    LogRecord,
    ReconciliationResult,
    ScanOutcomes,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=None, min_value=-(10**20), max_value=10**20),
}


def strategy(hint):
    if hint in PLAIN:
        return PLAIN[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if arg is types.NoneType else strategy(arg) for arg in args])
    if origin is tuple:
        return st.lists(strategy(args[0]), max_size=3).map(tuple)
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(strategy(args[0]), strategy(args[1]), max_size=3)
    return record(hint)


def record(schema):
    return st.tuples(*[strategy(hint) for hint in typing.get_type_hints(schema).values()]).map(
        lambda values: schema(*values)
    )


IDS = st.builds(Ids, TEXT, TEXT, TEXT, TEXT)


# A mask that knows nothing but patterns may rightly change a random text such as "token=x"; the codec is judged alone.
class NoMask(Mask):
    def clean_line(self, line):
        return line


ENCODER = Encoder("run", NoMask())


@pytest.mark.parametrize("name", REGISTRY)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_r41_every_kind_comes_back_the_same(name, data):
    kind = REGISTRY[name]
    event = data.draw(record(kind.schema))
    ids = data.draw(IDS)
    at_ns = data.draw(st.integers(0, 2**62))
    store_seq = data.draw(st.integers(1, 2**62)) if kind.booked else None

    raw = ENCODER.line(7, at_ns, event, ids, store_seq)

    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    line = parse(raw)
    assert (line.seq, line.kind, line.taxonomy, line.session, line.store_seq) == (
        7,
        name,
        kind.taxonomy,
        "run",
        store_seq,
    )
    back = decode(line)
    assert (back.at_ns, back.ids) == (at_ns, ids)
    assert back.event == event
    assert type(back.event) is kind.schema
    assert ENCODER.line(7, at_ns, back.event, ids, store_seq) == raw


def test_r40_keys_stand_in_the_documented_order():
    diagnostic = orjson.loads(ENCODER.line(1, 2, LogRecord("ccxt", "WARNING", "x"), Ids("d", "i", "c", "v")))
    assert tuple(diagnostic) == (*FRAME, "data")
    assert list(diagnostic.values())[:9] == [1, 2, "log_record", "health", "run", "d", "i", "c", "v"]
    cleared = IntentCleared("A/B", "buy", "FILLED", "r", "", Decimal("1.10"), Decimal("1E+2"), 1, 5)
    booked = orjson.loads(ENCODER.line(1, 2, cleared, NO_IDS, 44))
    assert tuple(booked) == (*FRAME, "store_seq", "data")
    assert booked["data"]["quantity"] == "1.1"
    assert booked["data"]["executed_quantity"] == "100"


def test_floats_that_are_not_finite_survive():
    event = DecisionOutcome("p", "A/B", 1, "X", "core", math.inf, -math.inf, math.nan, "ratio")
    back = decode(parse(ENCODER.line(1, 1, event, NO_IDS))).event
    assert (back.value, back.threshold) == (math.inf, -math.inf)
    assert math.isnan(back.margin)


def test_numbers_of_numpy_are_written_as_plain_ones():
    event = DecisionOutcome("p", "A/B", np.int64(5), "X", "core", np.float64(0.5), 1, 2, "ratio")
    back = decode(parse(ENCODER.line(1, 1, event, NO_IDS))).event
    assert back == DecisionOutcome("p", "A/B", 5, "X", "core", 0.5, 1.0, 2.0, "ratio")
    counts = ScanOutcomes(1, 2, types.MappingProxyType({"NO_DROP": np.int64(2)}), 0)
    assert decode(parse(ENCODER.line(1, 1, counts, NO_IDS))).event.outcomes == {"NO_DROP": 2}


def test_half_a_surrogate_pair_costs_no_event():
    event = LogRecord("x", "ERROR", "file \udcff gone")
    assert decode(parse(ENCODER.line(1, 1, event, NO_IDS))).event.message == "file \\udcff gone"


def test_a_foreign_value_is_refused_by_name():
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        ENCODER.line(1, 1, LogRecord("x", "ERROR", object()), NO_IDS)
    with pytest.raises(KeyError):
        ENCODER.line(1, 1, dataclasses.make_dataclass("Stray", [])(), NO_IDS)


GOOD = orjson.loads(ENCODER.line(1, 1, Heartbeat(1.0, 0.1, 2, 0, 1, 3, "ACTIVE"), NO_IDS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queue_depth": "2"}, "Heartbeat.queue_depth: expected int, was str"),
        ({"queue_depth": True}, "Heartbeat.queue_depth: expected int, was bool"),
        ({"state": 3}, "Heartbeat.state: expected str, was int"),
        ({"uptime_s": "soon"}, "expected a number, nan, inf or -inf, was 'soon'"),
        ({"colour": "red"}, "expected fields of Heartbeat, found colour"),
    ],
)
def test_data_of_another_shape_is_refused(change, message):
    line = parse(orjson.dumps(GOOD | {"data": GOOD["data"] | change}))
    with pytest.raises(DataError, match=message):
        decode(line)


def test_a_missing_field_is_refused_unless_it_has_a_default():
    data = dict(GOOD["data"])
    del data["state"]
    with pytest.raises(DataError, match="expected field state in Heartbeat, found none"):
        decode(parse(orjson.dumps(GOOD | {"data": data})))
    outcome = orjson.loads(
        ENCODER.line(1, 1, DecisionOutcome("p", "A/B", 1, "X", "c", 1.0, 1.0, 0.0, "r", "d"), NO_IDS)
    )
    del outcome["data"]["detail"]
    assert decode(parse(orjson.dumps(outcome))).event.detail == ""


def test_a_kind_of_another_version_is_refused():
    with pytest.raises(DataError, match="expected a registered event kind, was moon_phase"):
        decode(parse(orjson.dumps(GOOD | {"kind": "moon_phase"})))


def test_decimals_inside_records_and_missing_ones_are_checked():
    checks = GuardsEval("A/B", 0, True, (), {})
    line = orjson.loads(ENCODER.line(1, 1, checks, NO_IDS))
    line["data"]["checks"] = [{"plugin": "p", "limit": "l", "value": 1.5, "threshold": "1", "unit": "", "hit": False}]
    with pytest.raises(DataError, match="expected str, was float"):
        decode(parse(orjson.dumps(line)))
    result = ReconciliationResult("start", 1, 0, 0, 0, {"USDT": "0.5"}, ("balances",), False)
    assert decode(parse(ENCODER.line(1, 1, result, NO_IDS))).event == result


def test_a_field_type_without_a_json_form_is_refused_at_once():
    class Odd(typing.NamedTuple):
        what: set[str]

    with pytest.raises(KeyError):
        shape_of(Odd)
