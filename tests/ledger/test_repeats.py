"""R45: a fill told twice is a no-op, one told with other numbers an alarm; what others trade is booked once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.ledger.conftest import A
from tests.ledger.test_conservation import Around, alarms, entries
from tradecore.model.events import FillConflict, LedgerEntry
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import row_close_ms
from tradecore.testing.harness import at, twin_of

D = Decimal


def sweep_at(engine, row, change=lambda trade: trade, times=1):
    """Read the symbol's trades again from their beginning, as an operator's tool or a reconnect would."""

    async def again():
        page = await engine.desk.venue.trades(A, "", 0)
        for _ in range(times):
            await engine.settler.book([change(trade) for trade in page.trades])

    at(engine, row_close_ms(row), lambda: engine.desk.spawn(again(), "again"))


def test_r45_a_fill_told_again_is_a_no_op(run, scene):
    played = run(scene(), lambda engine: sweep_at(engine, 3, times=3))
    assert len(entries(played, "trade")) == len(played.records.fills) == 1
    assert played.notes(FillConflict) == []
    assert played.records.balances["assets", "AAA"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("price", D(99)), ("quantity", D(2)), ("fee", D("0.7")), ("fee_currency", "BNB"), ("quote_quantity", D(1))],
)
def test_r45_a_fill_told_with_other_numbers_is_an_alarm_and_no_change(run, scene, field, value):
    played = run(scene(), lambda engine: sweep_at(engine, 3, lambda t: t._replace(**{field: value}), times=2))
    (conflict,) = played.notes(FillConflict)
    assert (conflict.event.field, conflict.event.told) == (field, str(value))
    assert len(alarms(played, "fill_conflict")) == 1
    assert played.records.balances["assets", "AAA"] == 1


def test_r45_a_venues_rounding_of_what_a_trade_moved_is_no_conflict(run, scene):
    def rounded(trade):
        return trade._replace(quote_quantity=trade.quote_quantity + D("0.00000001"))

    assert run(scene(), lambda engine: sweep_at(engine, 3, rounded)).notes(FillConflict) == []


def test_r45_somebody_elses_trade_is_booked_once_however_often_it_is_told(run, scene):
    theirs = NewOrder("by-hand", A, Side.SELL, TimeInForce.IOC, D(90), D("0.25"), False)

    def begin(engine):
        at(engine, row_close_ms(2), lambda: twin_of(engine).outside.place(theirs))
        sweep_at(engine, 3, times=3)
        sweep_at(engine, 4, times=3)

    played = run(scene(), begin)
    assert len(entries(played, "external")) == 1
    assert played.records.balances["assets", "AAA"] == D("0.75")


def test_r45_a_trade_that_proves_to_be_ours_is_no_longer_external(run, scene):
    """Its order's id was not known when it was seen first; evidence came later."""

    def begin(engine):
        settler = engine.settler
        real = settler.find_attempt
        hidden = [True]
        settler.find_attempt = lambda *names: None if hidden[0] else real(*names)
        inner = engine.desk.venue

        async def place(order):
            placed = await inner.place(order)
            report = placed.report
            return placed if report is None else placed._replace(report=report._replace(trades=()))

        async def nothing(*arguments):
            page = await inner.trades(*arguments)
            return page._replace(trades=(), more=False, cursor="")

        engine.desk.venue = Around(inner, place=place, trades=nothing)

        async def tell():
            page = await inner.trades(A, "", 0)
            strangers = [trade._replace(wire_id="", venue_order_id="other") for trade in page.trades]
            await settler.book(strangers)
            hidden[0] = False
            engine.desk.venue = inner

        at(engine, row_close_ms(1) + 20_000, lambda: engine.desk.spawn(tell(), "tell"))

    played = run(scene(), begin)
    kinds = [e.event.posting_id.split("/")[0] for e in played.notes(LedgerEntry)]
    assert kinds == ["opening", "external", "reversal", "trade"]
    assert alarms(played, "external_trade_ours")
    assert played.records.balances["external", "AAA"] == 0
    assert played.records.balances["assets", "AAA"] == 1
