"""R46 with somebody else at the account: each difference is found and named in one cycle, and nothing is invented."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.ledger.conftest import A, B, cycle, drift, proofs
from tradecore.errors import RetryableVenueError
from tradecore.model.events import AlertFired, LedgerEntry, TradingStateChanged
from tradecore.model.order import NewOrder, VenueStatus
from tradecore.model.records import Command
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import leader, router, row_close_ms
from tradecore.testing.harness import at, twin_of

D = Decimal
IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
BASE_FEES = ("twin.fee_in=base", "twin.taker_fee_bps=7.5")
"""A fee of 0.00075 of a unit: no whole lot is left of it."""


def acts(row, act, after_ms=10_000):
    """Do something at the account after a row's close, and prove conservation 20 s later."""

    def begin(engine):
        at(engine, row_close_ms(row) + after_ms, lambda: act(engine))
        cycle(engine, row)

    return begin


def entries(played, kind):
    return [e.event for e in played.notes(LedgerEntry) if e.event.kind == kind]


def alarms(played, name):
    return [e.event.text for e in played.notes(AlertFired) if e.event.name == name]


class Around:
    """A venue with some answers changed."""

    def __init__(self, inner, **answers):
        self._inner = inner
        self._answers = answers

    def __getattr__(self, name):
        return self._answers.get(name) or getattr(self._inner, name)


def test_r46_a_sound_account_is_proved_by_a_booked_event(run, scene):
    played = run(scene(), lambda engine: cycle(engine, 4))
    (proof,) = proofs(played)
    assert (proof.ok, proof.drift, proof.looks, proof.unexplained) == (True, (), 1, 0)
    assert proof.coins == 2
    assert len(proofs(played, "start")) == len(proofs(played, "end")) == 1
    assert proofs(played, "end")[0].ok


def test_r46_the_proof_is_a_job_of_its_own(run, scene):
    played = run(scene(200, sets=("intervals.conservation_s=60",)))
    assert len(proofs(played)) >= 2
    assert all(proof.ok for proof in proofs(played))


def test_r46_f48_a_deposit_is_booked_as_a_deposit_in_one_cycle(run, scene):
    played = run(scene(), acts(4, lambda engine: twin_of(engine).outside.deposit("USDT", D(250))))
    (proof,) = proofs(played)
    assert drift(proof) == {"USDT": ("deposit", "250", "booked")}
    assert (proof.ok, proof.unexplained, proof.looks) == (True, 0, 2)
    assert [e.legs[0].amount for e in entries(played, "deposit")] == [D(250)]
    assert played.records.balances["deposit", "USDT"] == -250
    assert (played.summary["trading_state"], played.summary["unexplained_drift"]) == ("ACTIVE", "0")


def test_r46_f48_a_deposit_of_a_new_coin_is_adopted_or_ignored_by_the_setting(run, scene):
    act = acts(4, lambda engine: twin_of(engine).outside.deposit("BBB", D(3)))
    adopted = run(scene(), act, "adopted")
    assert adopted.records.balances["assets", "BBB"] == 3
    ignored = run(scene(sets=("account.adopt_balances=false",)), act, "ignored")
    assert ("assets", "BBB") not in ignored.records.balances
    assert ignored.records.memory["ignored/BBB"].text == "3"
    assert drift(proofs(ignored)[0]) == {"BBB": ("deposit", "3", "not adopted")}


def test_r46_f48_a_withdrawal_is_named_in_one_cycle_and_stops_entries(run, scene):
    played = run(scene(buys={1: (A,), 6: (A,)}), acts(4, lambda e: twin_of(e).outside.withdraw("USDT", D(500))))
    (proof,) = proofs(played)
    assert drift(proof) == {"USDT": ("withdrawal", "-500", "named")}
    assert (proof.ok, proof.unexplained) == (False, 500)
    assert entries(played, "withdrawal") == []
    assert (played.summary["trading_state"], played.summary["unexplained_drift"]) == ("REDUCING", "500")
    assert played.summary["outcomes"]["TRADING_REDUCING"] == 1


def test_r46_an_operator_who_resumes_accepts_what_had_stopped_entries(run, scene):
    def begin(engine):
        desk = engine.desk
        at(engine, row_close_ms(4) + 1_000, lambda: twin_of(engine).outside.withdraw("USDT", D(500)))
        cycle(engine, 4)

        async def resume():
            async with desk.transaction() as work:
                work.put(Command("c1", "resume", "", "my own withdrawal", "ann"))

        at(engine, row_close_ms(5), lambda: desk.spawn(resume(), "resume"))
        cycle(engine, 7)
        cycle(engine, 8)

    played = run(scene(buys={1: (A,), 9: (A,)}), begin)
    first, second, third = proofs(played)
    assert drift(first)["USDT"][2] == "named"
    assert drift(second) == {"USDT": ("withdrawal", "-500", "booked")}
    assert second.drift[0].text.endswith("accepted by ann")
    assert (third.ok, third.drift) == (True, ())
    assert [change.event.new for change in played.notes(TradingStateChanged)] == ["REDUCING", "ACTIVE"]
    assert played.records.balances["withdrawal", "USDT"] == 500
    assert (played.summary["trading_state"], played.summary["unexplained_drift"]) == ("ACTIVE", "0")
    assert played.summary["intents"] == {"FILLED": 2}


def test_r46_r19_a_foreign_sale_becomes_an_external_entry_in_one_cycle(run, scene):
    theirs = NewOrder("by-hand", A, Side.SELL, IOC, D(90), D("0.25"), False)
    played = run(scene(), acts(4, lambda engine: twin_of(engine).outside.place(theirs)))
    (proof,) = proofs(played)
    words = drift(proof)
    assert {coin: (word, done) for coin, (word, _, done) in words.items()} == {
        "AAA": ("external", "booked"), "USDT": ("external", "booked"),
    }  # fmt: skip
    assert words["AAA"][1] == "-0.25"
    assert played.records.balances["external", "AAA"] == D("0.25")
    assert played.summary["unexplained_drift"] == "0"
    assert played.summary["trading_state"] == "ACTIVE"
    assert len(played.records.fills) == 1  # it is no fill of ours


def test_r46_a_foreign_purchase_of_a_coin_we_never_had_is_found(run, scene):
    theirs = NewOrder("by-hand", B, Side.BUY, IOC, D(110), D(2), False)
    played = run(scene(), acts(4, lambda engine: twin_of(engine).outside.place(theirs)))
    assert {found.coin for found in proofs(played)[0].drift} == {"BBB", "USDT"}
    assert played.records.balances["assets", "BBB"] == 2
    assert played.summary["unexplained_drift"] == "0"


def test_r19_what_others_traded_before_the_ledger_began_is_in_the_opening_balance(run, scene):
    """A second start reads the trades of its positions from their beginning: the older one must not count twice."""

    def first(engine):
        order = NewOrder("before", A, Side.BUY, IOC, D(110), D(2), False)
        twin = twin_of(engine)
        at(engine, row_close_ms(0) - 50_000, lambda: twin.outside.place(order))

    story = scene(4, buys={})
    run(story, first)
    again = run(scene(8, buys={5: (A,)}), lambda engine: cycle(engine, 6))
    assert proofs(again)[-1].unexplained == 0
    assert again.records.balances["assets", "AAA"] == 3


def test_r46_a_missed_fill_is_booked_in_one_cycle(run, scene):
    """The venue says that the order ended without a fill, which was not so; the money that moved leads to the trade."""

    def begin(engine):
        inner = engine.desk.venue

        async def order(symbol, wire_id):
            report = await inner.order(symbol, wire_id)
            return report._replace(status=VenueStatus.EXPIRED, executed_quantity=D(0), executed_quote=D(0), trades=())

        engine.desk.venue = Around(inner, order=order)
        cycle(engine, 3)

    played = run(scene(8, route=router((IOC, "20", 2_000)), sets=("twin.ack_without_status=true",)), begin)
    (proof,) = proofs(played)
    assert {found.coin: (found.kind, found.done) for found in proof.drift} == {
        "AAA": ("missed_fill", "booked"), "USDT": ("missed_fill", "booked"),
    }  # fmt: skip
    assert alarms(played, "late_fill")
    assert played.records.balances["assets", "AAA"] == 1
    assert [position.quantity for position in played.records.positions] == [1]
    assert (played.summary["trading_state"], played.summary["unexplained_drift"]) == ("ACTIVE", "0")


def test_r46_a_missing_currency_is_never_zero(run, scene):
    def hide(engine):
        inner = engine.desk.venue

        async def balances():
            return {coin: held for coin, held in (await inner.balances()).items() if coin != "AAA"}

        engine.desk.venue = Around(inner, balances=balances)

    def begin(engine):
        inner = engine.desk.venue
        acts(4, hide)(engine)

        def show():
            engine.desk.venue = inner

        at(engine, row_close_ms(6), show)
        cycle(engine, 7)

    played = run(scene(), begin)
    first, second = proofs(played)
    assert drift(first) == {"AAA": ("missing_currency", "-1", "named")}
    assert first.unexplained == 100
    assert played.summary["trading_state"] == "REDUCING"
    assert played.records.balances["assets", "AAA"] == 1
    assert (second.ok, second.drift, played.summary["unexplained_drift"]) == (True, (), "0")
    assert not [e for e in played.notes(LedgerEntry) if e.event.kind not in {"trade", "opening"}]


def test_r46_a_missing_currency_is_not_booked_when_the_operator_resumes(run, scene):
    def begin(engine):
        desk, inner = engine.desk, engine.desk.venue

        async def balances():
            return {coin: held for coin, held in (await inner.balances()).items() if coin != "AAA"}

        def hide():
            desk.venue = Around(inner, balances=balances)

        async def resume():
            async with desk.transaction() as work:
                work.put(Command("c1", "resume", "", "seen", "ann"))

        at(engine, row_close_ms(4), hide)
        cycle(engine, 4)
        at(engine, row_close_ms(5), lambda: desk.spawn(resume(), "resume"))
        cycle(engine, 7)

    played = run(scene(), begin, sound=False)
    assert proofs(played)[-1].drift[0].done == "named"
    assert played.records.balances["assets", "AAA"] == 1
    assert played.summary["trading_state"] == "ACTIVE"  # his word stands; the difference goes on being named


def test_r46_no_answer_is_told_as_missing_and_changes_nothing(run, scene):
    def deaf(engine):
        async def balances():
            raise RetryableVenueError("no answer")

        inner = engine.desk.venue
        engine.desk.venue = Around(inner, balances=balances)

        def heals():
            engine.desk.venue = inner

        at(engine, row_close_ms(6), heals)

    played = run(scene(), acts(4, deaf))
    (proof,) = proofs(played)
    assert (proof.ok, proof.missing, proof.drift) == (False, ("balances",), ())
    assert (played.summary["trading_state"], played.summary["unexplained_drift"]) == ("ACTIVE", "0")
    assert played.records.balances["assets", "AAA"] == 1


def test_r46_trades_that_do_not_answer_leave_a_difference_unknown(run, scene):
    def deaf(engine):
        async def trades(*_):
            raise RetryableVenueError("no answer")

        twin_of(engine).outside.withdraw("USDT", D(500), listed=False)
        engine.desk.venue = Around(engine.desk.venue, trades=trades)

    played = run(scene(), acts(4, deaf))
    assert drift(proofs(played)[0]) == {"USDT": ("unknown", "-500", "named")}
    assert played.summary["trading_state"] == "REDUCING"


def test_r46_coins_that_come_and_go_without_a_trade_are_unknown(run, scene):
    def swap(engine):
        twin_of(engine).outside.withdraw("USDT", D(500), listed=False)
        twin_of(engine).outside.deposit("BBB", D(5), listed=False)

    played = run(scene(), acts(4, swap))
    assert drift(proofs(played)[0]) == {"BBB": ("unknown", "5", "named"), "USDT": ("unknown", "-500", "named")}
    assert played.summary["trading_state"] == "REDUCING"


@pytest.mark.parametrize("lag_ms", [900, 4_000])
def test_f24_balances_that_lag_a_fill_alarm_nobody(run, scene, lag_ms):
    def begin(engine):
        twin_of(engine).faults.always("balance_lag", lag_ms)
        for row in range(2, 8):
            cycle(engine, row, 100)
            cycle(engine, row, 2_500)

    played = run(scene(buys={2: (A,), 4: (B,), 6: (A,)}), begin)
    assert played.summary["intents"] == {"FILLED": 3}
    assert all(proof.unexplained == 0 for proof in proofs(played))
    assert alarms(played, "unexplained_drift") == []
    assert not [e for e in played.notes(LedgerEntry) if e.event.kind not in {"trade", "opening"}]


def test_f24_balances_that_lag_longer_than_any_limit_book_nothing(run, scene):
    """A lag of 20 s with a read lag of 0 in the settings: named while it lasts, and never made an entry."""

    def begin(engine):
        twin_of(engine).faults.always("balance_lag", 20_000)
        cycle(engine, 2, 6_000)
        at(engine, row_close_ms(4), twin_of(engine).faults.clear)
        cycle(engine, 5)

    played = run(scene(buys={2: (A,)}), begin)
    assert not [e for e in played.notes(LedgerEntry) if e.event.kind not in {"trade", "opening"}]
    assert proofs(played)[-1].ok
    assert played.summary["unexplained_drift"] == "0"


def test_r46_an_order_under_way_is_no_difference(run, scene):
    played = run(
        scene(buys={4: (A,)}, route=router((GTC, "-50", 50_000))), lambda engine: cycle(engine, 4)
    )  # fmt: skip
    (proof,) = proofs(played)
    assert proof.under_way == ("AAA", "USDT")
    assert (proof.ok, proof.drift) == (True, ())


def test_f25_a_fee_in_a_third_coin_is_no_drift(run, scene):
    sets = ("twin.fee_in=other", "twin.fee_coin=BNB", 'account.opening={USDT="10000", BNB="5"}')
    played = run(scene(sets=sets), lambda engine: cycle(engine, 4))
    (fill,) = played.records.fills
    assert fill.trade.fee_currency == "BNB"
    assert proofs(played)[0].drift == ()
    assert played.records.balances["fees", "BNB"] == fill.trade.fee > 0


def test_f25_a_fee_that_no_trade_names_is_booked_as_a_fee(run, scene):
    def strip(trades):
        return tuple(trade._replace(fee=D(0), fee_currency="") for trade in trades)

    def begin(engine):
        inner = engine.desk.venue

        async def place(order):
            placed = await inner.place(order)
            report = placed.report
            return placed if report is None else placed._replace(report=report._replace(trades=strip(report.trades)))

        async def order(symbol, wire_id):
            report = await inner.order(symbol, wire_id)
            return report._replace(trades=strip(report.trades)) if report is not None else None

        async def trades(*arguments):
            page = await inner.trades(*arguments)
            return page._replace(trades=strip(page.trades))

        engine.desk.venue = Around(inner, place=place, order=order, trades=trades)
        cycle(engine, 3)

    played = run(scene(), begin, sound=False)
    word, amount, done = drift(proofs(played)[0])["USDT"]
    assert (word, done) == ("fee", "booked")
    (trade,) = played.truth.trades
    assert D(amount) == -trade.fee
    assert played.records.balances["fees", "USDT"] == trade.fee
    assert played.summary["unexplained_drift"] == "0"


def test_f26_dust_of_a_base_fee_is_no_drift(run, scene):
    played = run(
        scene(8, sets=BASE_FEES, guests=(leader(leave_rows=(3,)),)), lambda engine: cycle(engine, 6)
    )  # fmt: skip
    assert played.summary["positions_closed"] == 1
    assert played.summary["dust"]
    assert proofs(played)[-1].ok


def test_f26_dust_that_the_venue_converts_is_booked_as_dust(run, scene):
    def begin(engine):
        def convert():
            twin = twin_of(engine)
            left = engine.desk.books.dust["AAA"]
            twin.outside.withdraw("AAA", left, listed=False)
            twin.outside.deposit("BBB", D("0.0007"), listed=False)
            # something of the coin stays: an answer without it would be a missing currency
            twin.outside.deposit("AAA", left / 2, listed=False)

        at(engine, row_close_ms(6), convert)
        cycle(engine, 6)

    played = run(scene(10, sets=BASE_FEES, guests=(leader(leave_rows=(3,)),)), begin)
    assert {coin: (kind, done) for coin, (kind, _, done) in drift(proofs(played)[0]).items()} == {
        "AAA": ("dust", "booked"), "BBB": ("dust", "booked"),
    }  # fmt: skip
    assert played.summary["unexplained_drift"] == "0"


def test_r46_a_difference_that_stood_at_a_restart_still_stops_entries(run, scene):
    def begin(engine):
        at(engine, row_close_ms(4), lambda: twin_of(engine).outside.withdraw("USDT", D(500)))
        cycle(engine, 5)

    run(scene(8), begin)
    again = run(scene(16, buys={12: (A,)}), lambda engine: cycle(engine, 10))
    assert again.summary["trading_state"] == "REDUCING"
    assert again.summary["unexplained_drift"] == "500"


@pytest.mark.parametrize("deposit", [False, True])
def test_r46_things_that_happen_at_once_are_each_named_in_one_cycle(run, scene, deposit):
    """A sale by hand, a fill that was missed, a withdrawal and a coin that is not named, all in one minute.

    A deposit beside the withdrawal may be a conversion: then nobody can say what either is.
    """
    theirs = NewOrder("by-hand", A, Side.SELL, IOC, D(90), D("0.25"), False)

    def begin(engine):
        inner, outside, hidden = engine.desk.venue, twin_of(engine).outside, set()

        async def order(symbol, wire_id):
            report = await inner.order(symbol, wire_id)
            if symbol != B:
                return report
            return report._replace(status=VenueStatus.EXPIRED, executed_quantity=D(0), executed_quote=D(0), trades=())

        async def balances():
            return {coin: held for coin, held in (await inner.balances()).items() if coin not in hidden}

        def act():
            outside.place(theirs)
            outside.withdraw("DDD", D(2), listed=False)
            if deposit:
                outside.deposit("EEE", D(4), listed=False)
            hidden.add("CCC")

        engine.desk.venue = Around(inner, order=order, balances=balances)
        at(engine, row_close_ms(4) + 10_000, act)
        cycle(engine, 4)

    opening = "account.opening={USDT=10000, CCC=3, DDD=5}"
    story = scene(buys={1: (A, B)}, route=router((IOC, "20", 2_000)), sets=("twin.ack_without_status=true", opening))
    played = run(story, begin, sound=False)
    (proof,) = proofs(played)
    named = {(found.coin, found.kind, found.done) for found in proof.drift}
    went = "unknown" if deposit else "withdrawal"
    assert named - {("EEE", "unknown", "named")} == {
        ("AAA", "external", "booked"), ("BBB", "missed_fill", "booked"), ("USDT", "external", "booked"),
        ("USDT", "missed_fill", "booked"), ("CCC", "missing_currency", "named"), ("DDD", went, "named"),
    }  # fmt: skip
    assert (("EEE", "unknown", "named") in named) is deposit
    balances = played.records.balances
    held = {coin: balances.get(("assets", coin), D(0)) for coin in ("AAA", "BBB", "CCC", "DDD", "EEE")}
    assert held == {"AAA": D("0.75"), "BBB": 1, "CCC": 3, "DDD": 5, "EEE": 0}, "what is not known is not booked"
    assert played.summary["trading_state"] == "REDUCING"
