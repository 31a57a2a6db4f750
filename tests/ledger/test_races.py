"""R46, F24 attacked: the minute's proof while answers fail, lack coins, are old, or race a fill; and the way back."""

from __future__ import annotations

import asyncio
import shutil
from decimal import Decimal

import pytest

from tests.ledger.conftest import A, B, cycle, drift, proofs
from tests.ledger.test_conservation import Around, alarms, entries
from tests.ledger.test_transfers import resumes
from tradecore.errors import RetryableVenueError
from tradecore.model.events import AlertFired, ReconciliationResult, TradingStateChanged
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import leader, router, row_close_ms
from tradecore.testing.harness import SnapshotStore, at, play, twin_of

D = Decimal
IOC, GTC = TimeInForce.IOC, TimeInForce.GTC


def minutely(engine, first, last):
    """A proof each minute and three comparisons, as on real time: virtual time is too fast for jobs of the wall."""
    desk, look = engine.desk, engine.reconciler.run
    for row in range(first, last):
        cycle(engine, row, 5_000)
        for after_ms in (1_000, 21_000, 41_000):
            at(engine, row_close_ms(row) + after_ms, lambda: desk.spawn(look("running"), "a comparison"))


def states(played):
    return [change.event.new for change in played.notes(TradingStateChanged)]


def critical(played):
    return [e.event.name for e in played.notes(AlertFired) if e.event.severity == "critical"]


def between(engine, first, last, **answers):
    """Let the venue answer otherwise from one row's close to another's."""
    inner = engine.desk.venue

    def begin():
        engine.desk.venue = Around(inner, **answers)

    def end():
        engine.desk.venue = inner

    at(engine, row_close_ms(first), begin)
    at(engine, row_close_ms(last), end)


# No false alarm --------------------------------------------------------------------------------------------------


def test_r46_an_hour_without_balances_alarms_nobody_of_drift_and_ends_by_itself(run, scene):
    """Sixty proofs say that there was no answer; trades go on being booked, and the first answer agrees."""

    async def deaf():
        raise RetryableVenueError("503")

    story = scene(75, buys={1: (A,), 20: (B,)}, guests=(leader(leave_rows=(40,)),))

    def begin(engine):
        between(engine, 3, 65, balances=deaf)
        minutely(engine, 2, 70)

    played = run(story, begin)
    silent = [proof for proof in proofs(played) if proof.missing]
    assert 50 <= len(silent) <= 65
    assert {(proof.ok, proof.missing, proof.drift) for proof in silent} == {(False, ("balances",), ())}
    assert proofs(played)[-1].ok
    assert states(played) == []
    assert alarms(played, "unexplained_drift") == []
    assert alarms(played, "balance_stale")
    assert played.summary["unexplained_drift"] == "0"


def test_r46_what_went_during_an_hour_without_balances_is_named_by_the_first_answer(run, scene):
    async def deaf():
        raise RetryableVenueError("503")

    def begin(engine):
        twin = twin_of(engine)
        between(engine, 3, 20, balances=deaf)
        minutely(engine, 2, 28)
        at(engine, row_close_ms(10), lambda: twin.outside.withdraw("USDT", D(500), listed=False))

    played = run(scene(30), begin)
    assert states(played) == ["REDUCING"]
    named = [proof for proof in proofs(played) if proof.drift]
    assert drift(named[0])["USDT"] == ("withdrawal", "-500", "named")
    (change,) = played.notes(TradingStateChanged)
    assert row_close_ms(20) <= change.at_ns // 10**6 <= row_close_ms(22)


@pytest.mark.parametrize("lag_ms", [3_000, 9_000, 29_000])
def test_f24_balances_as_old_as_the_read_lag_says_never_alarm(run, scene, lag_ms):
    """The answer is stale: it shows the account before the fill, at every look of a minute, for purchase and sale."""
    sets = ("venue.read_lag_ms=30000", "twin.read_lag_ms=30000")

    def begin(engine):
        twin_of(engine).faults.always("balance_lag", lag_ms)
        minutely(engine, 1, 22)

    story = scene(24, buys={1: (A,), 5: (B,), 9: (A,), 14: (B,)}, sets=sets, guests=(leader(leave_rows=(4, 8, 12)),))
    played = run(story, begin)
    assert states(played) == []
    assert alarms(played, "unexplained_drift") == []
    assert all(proof.unexplained == 0 for proof in proofs(played))
    assert not entries(played, "deposit") + entries(played, "withdrawal")


def test_f24_a_proof_that_meets_the_moment_between_fill_and_booking(run, scene):
    """Proofs begin at each 100 ms around the fills of an order that rests and fills in pieces."""

    def begin(engine):
        twin = twin_of(engine)
        for step in range(60):
            at(
                engine, row_close_ms(1) + 100 * step,
                lambda step=step: engine.desk.spawn(
                    engine.reconciler.conservation.prove(), f"proof {step}"
                ),
            )  # fmt: skip
        twin.faults.once("partial_fill", 0.3)

    played = run(scene(8, route=router((IOC, "20", 2_000), (IOC, "40", 2_000)), sets=("twin.latency_ms=350",)), begin)
    assert len(proofs(played)) == 60
    assert states(played) == []
    assert all(proof.unexplained == 0 for proof in proofs(played))
    assert not entries(played, "deposit") + entries(played, "withdrawal")


def test_f24_a_slow_answer_that_was_asked_for_before_a_fill_is_no_news(run, scene):
    """The answer leaves the venue before the fill and arrives long after it was booked."""

    def begin(engine):
        inner = engine.desk.venue

        async def slow():
            found = await inner.balances()
            await asyncio.sleep(4)
            return found

        engine.desk.venue = Around(inner, balances=slow)
        for row in (1, 2, 3, 4):
            for step in (100, 2_000, 3_900, 8_000):
                cycle(engine, row, step)

    played = run(scene(10, buys={1: (A,), 3: (B,)}), begin)
    assert played.summary["intents"] == {"FILLED": 2}
    assert states(played) == []
    assert all(proof.unexplained == 0 for proof in proofs(played))


def test_r46_a_coin_missing_for_one_answer_stops_nobody(run, scene):
    """One short answer is not two: the coin is there again at the second look."""

    def begin(engine):
        inner = engine.desk.venue
        answers = []

        async def balances():
            found = dict(await inner.balances())
            answers.append(1)
            if len(answers) % 2:
                found.pop("AAA", None)
            return found

        def short():
            engine.desk.venue = Around(inner, balances=balances)

        at(engine, row_close_ms(4), short)
        for row in range(4, 8):
            cycle(engine, row)

    played = run(scene(), begin, sound=False)
    assert states(played) == []
    assert not [p for p in proofs(played) for d in p.drift if d.done == "booked"]


# Every true difference is found ----------------------------------------------------------------------------------


def test_r46_a_withdrawal_during_a_running_order_is_found_once_the_order_has_ended(run, scene):
    """The coin is busy while the order stands; what went is named as soon as it is quiet."""

    def begin(engine):
        twin = twin_of(engine)
        at(engine, row_close_ms(4) + 5_000, lambda: twin.outside.withdraw("USDT", D(500), listed=False))
        minutely(engine, 3, 15)

    story = scene(20, buys={4: (A,)}, route=router((GTC, "-50", 170_000)))
    played = run(story, begin)
    assert states(played) == ["REDUCING"]
    seen = next(proof for proof in proofs(played) if any(d.kind == "withdrawal" for d in proof.drift))
    assert drift(seen)["USDT"] == ("withdrawal", "-500", "named")


def test_r46_a_coin_that_is_never_quiet_is_told(run, scene):
    """Orders on it at every look for more than ten minutes: nobody may believe that it was compared."""
    story = scene(24, buys=dict.fromkeys(range(1, 20), (A,)), route=router((GTC, "-50", 59_000)))
    played = run(story, lambda engine: minutely(engine, 1, 20))
    assert [text for text in alarms(played, "coin_not_compared") if text.startswith("USDT")]


def test_r46_what_trades_leave_unexplained_in_the_last_look_is_named(run, scene):
    """A purchase by hand and coins without a name in the last minute: the run's end tells the rest, not the sum."""

    def begin(engine):
        outside = twin_of(engine).outside
        theirs = NewOrder("x", B, Side.BUY, IOC, D(110), D("0.25"), False)
        at(engine, row_close_ms(6) + 500, lambda: outside.place(theirs))
        at(engine, row_close_ms(6) + 600, lambda: outside.deposit("USDT", D("7.7"), listed=False))

    played = run(scene(8, buys={}), begin)
    assert played.notes(ReconciliationResult)[-1].event.differences == {"USDT": "7.7"}
    proof = proofs(played, "end")[-1]
    assert not proof.ok
    assert ("USDT", D("7.7"), "named") in [(d.coin, d.amount, d.done) for d in proof.drift]


INJECTED = {
    "deposit": (lambda o: o.deposit("USDT", D(5)), {"USDT": "deposit"}, "ACTIVE"),
    "unlisted deposit": (lambda o: o.deposit("USDT", D(5), listed=False), {"USDT": "deposit"}, "ACTIVE"),
    "withdrawal": (lambda o: o.withdraw("USDT", D(5)), {"USDT": "withdrawal"}, "REDUCING"),
    "unlisted withdrawal": (lambda o: o.withdraw("USDT", D(5), listed=False), {"USDT": "withdrawal"}, "REDUCING"),
    "part of a position": (lambda o: o.withdraw("AAA", D("0.5")), {"AAA": "withdrawal"}, "REDUCING"),
    "whole position": (lambda o: o.withdraw("AAA", D(1), listed=False), {"AAA": "missing_currency"}, "REDUCING"),
    "whole position, listed": (lambda o: o.withdraw("AAA", D(1)), {"AAA": "withdrawal"}, "REDUCING"),
    "sale": (
        lambda o: o.place(NewOrder("x", A, Side.SELL, IOC, D(90), D("0.25"), False)),
        {"AAA": "external", "USDT": "external"}, "ACTIVE",
    ),
    "purchase": (
        lambda o: o.place(NewOrder("x", B, Side.BUY, IOC, D(110), D("0.25"), False)),
        {"BBB": "external", "USDT": "external"}, "ACTIVE",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", INJECTED)
@pytest.mark.parametrize("lag", ["0", "5000"])
def test_r46_every_injected_difference_is_named_in_one_cycle(run, scene, what, lag):
    act, named, state = INJECTED[what]

    def begin(engine):
        outside = twin_of(engine).outside
        at(engine, row_close_ms(4) + 10_000, lambda: act(outside))
        cycle(engine, 4, 20_000)

    played = run(scene(sets=(f"twin.read_lag_ms={lag}", f"venue.read_lag_ms={lag}")), begin, sound=False)
    (proof,) = proofs(played)
    assert {found.coin: found.kind for found in proof.drift} == named
    assert played.summary["trading_state"] == state


# The way back ----------------------------------------------------------------------------------------------------


def test_r46_the_way_back_after_a_coin_was_missing(run, scene):
    """REDUCING, a person resumes, the difference is still named and stops nothing; the coin comes back; all is well."""

    def begin(engine):
        inner = engine.desk.venue

        async def balances():
            return {coin: held for coin, held in (await inner.balances()).items() if coin != "AAA"}

        between(engine, 4, 12, balances=balances)
        cycle(engine, 5)
        resumes(engine, 6)
        for row in (7, 8, 9, 10):
            cycle(engine, row)
        cycle(engine, 13)

    played = run(scene(18, buys={1: (A,), 8: (B,)}), begin, sound=False)
    assert states(played) == ["REDUCING", "ACTIVE"]
    assert played.summary["intents"] == {"FILLED": 2}
    assert len(alarms(played, "unexplained_drift")) == 1
    assert [proof.ok for proof in proofs(played)] == [False, False, False, False, False, True]
    assert played.records.balances["assets", "AAA"] == 1


def test_r46_the_word_of_an_operator_is_for_what_the_alarm_named_and_nothing_else(run, scene):
    """He resumes; before the next proof more goes: that is not what he knew of."""

    def begin(engine):
        outside = twin_of(engine).outside
        at(engine, row_close_ms(4), lambda: outside.withdraw("USDT", D(100), listed=False))
        cycle(engine, 4)
        resumes(engine, 5)
        at(engine, row_close_ms(5) + 1_500, lambda: outside.withdraw("USDT", D(40), listed=False))
        cycle(engine, 6)
        resumes(engine, 8)
        cycle(engine, 9)
        cycle(engine, 10)

    played = run(scene(14), begin)
    assert states(played) == ["REDUCING", "ACTIVE", "REDUCING", "ACTIVE"]
    assert [e.legs[0].amount for e in entries(played, "withdrawal")] == [-140]
    assert proofs(played)[-1].ok
    assert played.summary["unexplained_drift"] == "0"


def test_r46_a_resume_over_a_restart_is_still_his_word(run, scene):
    def first(engine):
        at(engine, row_close_ms(3), lambda: twin_of(engine).outside.withdraw("USDT", D(100)))
        cycle(engine, 4)
        resumes(engine, 7)

    def second(engine):
        cycle(engine, 11)
        cycle(engine, 12)

    run(scene(9), first)
    played = run(scene(16, buys={13: (B,)}), second)
    assert played.summary["trading_state"] == "ACTIVE"
    assert [e.posting_id.rpartition("/")[2][:1] for e in entries(played, "withdrawal")] == ["T"]
    assert played.summary["unexplained_drift"] == "0"
    assert critical(played).count("unexplained_drift") == 1


# A kill at any transaction ---------------------------------------------------------------------------------------


def test_r12_r46_a_kill_at_any_transaction_books_what_others_did_once(scene, tmp_path):
    """Deposits by name and without, a sale by hand, a withdrawal that an operator accepts."""
    theirs = NewOrder("by-hand", A, Side.SELL, IOC, D(90), D("0.25"), False)

    def begin(engine):
        outside, now = twin_of(engine).outside, engine.desk.clock.now_ms()
        if row_close_ms(2) > now:
            at(engine, row_close_ms(2), lambda: outside.deposit("USDT", D(250)))
            at(engine, row_close_ms(3), lambda: outside.deposit("BBB", D(3), listed=False))
            at(engine, row_close_ms(4), lambda: outside.place(theirs))
            at(engine, row_close_ms(5), lambda: outside.withdraw("USDT", D(40)))
        for row in (3, 4, 5, 6, 8, 9):
            if row_close_ms(row) > now:
                cycle(engine, row)
        if row_close_ms(7) > now:
            resumes(engine, 7)

    story = scene(12, guests=(leader(leave_rows=(10,)),))
    folder, copies = tmp_path / "state", tmp_path / "copies"
    whole = play(story, folder, begin=begin, around=lambda store: SnapshotStore(store, folder, copies))
    assert [str(violation) for violation in whole.violations()] == []
    wanted = whole.records.balances
    assert wanted["deposit", "USDT"] == -250
    assert wanted["deposit", "BBB"] == -3
    assert wanted["withdrawal", "USDT"] == 40
    # what had not happened at the moment of the kill does not happen in the copy: those after all of it are equal
    seen = 0
    for copy in sorted(copies.iterdir())[::2]:
        again = play(story, copy, begin=lambda engine: [cycle(engine, row) for row in (9, 10)] and None)
        assert [str(violation) for violation in again.violations()] == [], copy.name
        balances = again.records.balances
        assert balances.get(("deposit", "USDT"), D(0)) in (0, -250), copy.name
        assert balances.get(("deposit", "BBB"), D(0)) in (0, -3), copy.name
        assert balances.get(("external", "AAA"), D(0)) in (0, D("0.25")), copy.name
        seen += balances.get(("deposit", "USDT"), D(0)) == -250
        shutil.rmtree(copy)
    assert seen > 10
