"""The earlier bot's wrong money as regressions: exposure that piled up, exposure 715 times too large, Oversold.

Reference: orders.md 1, "what the incidents really show".
"""

from __future__ import annotations

from decimal import Decimal

from click.testing import CliRunner

from tests.ledger.conftest import A, B, cycle, proofs
from tests.ledger.test_conservation import Around
from tradecore.cli.main import main
from tradecore.engine.books import Books
from tradecore.model.events import AlertFired, PortfolioSnapshot, SizingCalc
from tradecore.model.order import NewOrder
from tradecore.model.position import PositionState
from tradecore.model.units import Side, TimeInForce, times
from tradecore.testing.factories import ScriptedSource, closing_at, instrument, leader, row_close_ms, wisher
from tradecore.testing.harness import REAL_GUESTS, at, twin_of

D = Decimal


def holds(folder):
    result = CliRunner().invoke(main, ["ledger", "check", "--state", str(folder)], standalone_mode=False)
    assert result.return_value == 0, result.stdout


def exposures(played):
    return [stamped.event.exposure for stamped in played.notes(PortfolioSnapshot)]


# "Exposure accumulated over restarts (348k)": it was a counter in memory and cache -------------------------------


def test_r23_exposure_over_1000_restarts_is_equal(run, scene):
    """The books of a thousand starts on one state: exposure is what the rows say, not what was added up."""
    first = run(scene(6, buys={1: (A,), 3: (B,)}))
    assert {position.symbol: position.quantity for position in first.records.positions} == {A: 1, B: 1}
    seen = []

    def begin(engine):
        def restarts():
            desk, pictures = engine.desk, engine.pictures
            kept = desk.books
            for _ in range(1_000):
                desk.books = Books()
                desk.books.load(desk.store.load())
                for _ in range(2):  # asking changes nothing
                    seen.append((pictures.exposure(), desk.books.balance("USDT"), desk.books.reserved("USDT")))
            desk.books = kept
            seen.append((pictures.exposure(), kept.balance("USDT"), kept.reserved("USDT")))

        at(engine, row_close_ms(7) + 1_000, restarts)

    run(scene(9, buys={}), begin)
    assert len(seen) == 2_001
    (only,) = set(seen)
    assert only == (200, first.records.balances["assets", "USDT"], 0)


def test_r23_sessions_that_start_and_stop_leave_exposure_and_ledger_as_they_were(run, scene):
    first = run(scene(6, buys={1: (A,)}))
    wanted = (exposures(first)[-1], dict(first.records.balances))
    for rows in range(7, 27):
        again = run(scene(rows, buys={}))
        assert (exposures(again)[-1], dict(again.records.balances)) == wanted
        assert proofs(again, "start")[-1].ok
    assert wanted[0] == 100
    holds(first.folder)


def test_r23_a_restart_with_an_order_under_way_reserves_once(run, scene):
    """What is set aside is a row with an owner: a start finds it, and never sets it aside again."""
    story = scene(6, buys={1: (A,)})
    first = run(story)
    assert first.summary["reserved"] == "0"
    again = run(scene(9, buys={7: (B,)}))
    assert (again.summary["reserved"], again.summary["pending_intents"]) == ("0", 0)
    assert exposures(again)[-1] == 200


# "715x exposure": an unknown symbol was priced 100 instead of 0.14 -----------------------------------------------


def test_r3_the_price_of_the_market_travels_to_the_exposure(run, scene):
    """A coin of 0.14 sized by money: its exposure is that money and not 715 times as much."""
    cheap = ScriptedSource(
        {A: closing_at(*(0.14,) * 8, volume=1e6)},
        instruments={A: instrument(A, tick="0.0001", lot="1", min_quantity="1")},
    )
    sized, *rest = REAL_GUESTS
    played = run(scene(source=cheap)._replace(guests=(wisher({2: (A,)}), sized, *rest[:-1])))
    (sizing,) = [stamped.event for stamped in played.notes(SizingCalc)]
    (position,) = played.records.positions
    assert position.average_price == D("0.14") or abs(position.average_price - D("0.14")) < D("0.001")
    money = times(sizing.quantity, D("0.14"))
    assert money <= 1_000
    for exposure in exposures(played):
        assert exposure <= money * D("1.01")
    assert exposures(played)[-1] == times(position.quantity, D("0.14"))
    assert played.summary["outcomes"].get("RISK_REFUSED", 0) == 0
    holds(played.folder)


def test_r3_a_symbol_without_a_price_is_valued_at_what_was_paid(run, scene):
    """No price is ever invented: where the market says nothing, exposure stands on the fills."""
    seen = []

    def begin(engine):
        def look():
            desk, feed = engine.desk, engine.desk.feed
            desk.feed = Around(feed, last_price=lambda _: None, newest=lambda _: None)
            seen.append((engine.pictures.exposure(), engine.pictures.equity(), desk.books.balance("USDT")))
            desk.feed = feed

        at(engine, row_close_ms(4), look)

    played = run(scene(6), begin)
    (position,) = played.records.positions
    ((exposure, equity, cash),) = seen
    assert exposure == times(position.quantity, position.average_price)
    assert equity == cash  # a coin without a price counts nothing


# "Oversold" (30005): the venue said that less base was there than asked, 100 retries could not help --------------

MEXC = ("twin.manners=mexc", "twin.fee_in=base", "twin.taker_fee_bps=7.5")


def test_r18_a_position_is_sold_by_what_is_there_after_its_fee(run, scene):
    """Selling what was bought instead of what arrived is what 30005 answers: it is never asked for."""
    played = run(scene(10, sets=MEXC, guests=(leader(leave_rows=(3,)),)), lambda engine: cycle(engine, 6))
    (position,) = played.records.positions
    (sell,) = [a for a in played.records.attempts if a.side is Side.SELL]
    assert sell.request.quantity == D("0.999")
    assert (position.state, position.dust_quantity) == (PositionState.CLOSED, D("0.00025"))
    assert "30005" not in {a.code for a in played.records.attempts}
    assert proofs(played)[-1].ok
    holds(played.folder)


def test_r18_an_oversold_position_is_looked_at_once_and_never_hammered(run, scene):
    """The venue refuses the sale: one reconcile, a handful of tries at most, and the books never move."""

    def begin(engine):
        at(engine, row_close_ms(2), lambda: twin_of(engine).faults.once("insufficient_30005", times=3))

    played = run(scene(14, sets=MEXC, guests=(leader(leave_rows=(3,)),)), begin)
    (position,) = played.records.positions
    sells = [a for a in played.records.attempts if a.side is Side.SELL]
    refused = [a for a in sells if a.code == "30005"]
    assert 1 <= len(refused) <= 3
    assert len(sells) <= 5
    assert position.state is PositionState.CLOSED
    assert [fill.trade.side for fill in played.records.fills].count(Side.SELL) == 1
    holds(played.folder)


def test_r18_coins_that_somebody_locked_are_no_drift_and_no_sale(run, scene):
    theirs = NewOrder("by-hand", A, Side.SELL, TimeInForce.GTC, D(500), D("0.9"))

    def begin(engine):
        outside = twin_of(engine).outside
        at(engine, row_close_ms(2), lambda: outside.place(theirs))
        cycle(engine, 5)
        at(engine, row_close_ms(8), lambda: outside.cancel(A, "by-hand"))
        look = engine.reconciler.run
        at(engine, row_close_ms(9), lambda: engine.desk.spawn(look("running"), "sees that the lock is gone"))

    played = run(scene(16, sets=MEXC, guests=(leader(leave_rows=(3,)),)), begin)
    assert proofs(played)[0].ok  # free and locked together are what the ledger says
    alarms = [e.event.name for e in played.notes(AlertFired)]
    assert "position_unsellable" in alarms
    assert "unexplained_drift" not in alarms
    (position,) = played.records.positions
    assert position.state is PositionState.CLOSED
    assert len([a for a in played.records.attempts if a.side is Side.SELL]) <= 4
    holds(played.folder)
