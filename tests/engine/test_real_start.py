"""The start: fourteen steps in a report, twice the same, and refusals that name the way out (R19, R21)."""

from __future__ import annotations

import shutil
from decimal import Decimal

import pytest

from tradecore.app.plain import twin_plan
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.ids import SeededChance
from tradecore.clocks.loop import MarketLoop
from tradecore.errors import RetryableVenueError, StartRefused, VenueRefused
from tradecore.model.events import (
    AlertFired,
    DuplicateOrderFound,
    OrderAttempt,
    ReconciliationResult,
    SweepReport,
    TradingStateChanged,
)
from tradecore.model.intent import INTENT_LIVE
from tradecore.model.order import ATTEMPT_LIVE, AttemptState, NewOrder, Outcome
from tradecore.model.places import STORE_FILE, TWIN_FILE
from tradecore.model.units import Side, TimeInForce
from tradecore.ports.venue import Balance, KeyRights
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    closing_at,
    leader,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import Scene, SnapshotStore, at, play, prepared_of, twin_of
from tradecore.testing.records import records_of
from tradecore.venues.twin.build import open_twin
from tradecore.venues.twin.venue import TwinVenue

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A = "AAA/USDT"
CALM = ("intervals.reconcile_s=60",)
STEPS = [
    (1, "instance"), (2, "store and journal"), (3, "clock"), (4, "instruments and key"), (5, "fences"), (6, "trades"),
    (7, "open orders"), (8, "prepared"), (9, "open and unknown orders"), (10, "orders without a row"),
    (11, "closed orders"), (12, "balances"), (13, "reservations and exposure"), (14, "report"),
]  # fmt: skip


def report_of(played, number=-1):
    return played.notes(SweepReport)[number].event


def killed(tmp_path, scene, begin=None, commit=None, after="after"):
    """What a kill -9 right after a commit leaves: folders of every moment, in order."""
    folder, copies = tmp_path / "whole", tmp_path / "copies"
    stores = []

    def around(store):
        stores.append(SnapshotStore(store, folder, copies))
        return stores[-1]

    play(scene, folder, begin=begin, around=around)
    return sorted(path for path in copies.iterdir() if path.name.endswith(after))


def holding(folder, state):
    """Tell whether a folder's store holds an attempt in a state."""
    return any(a.state is state for a in records_of(folder / STORE_FILE).attempts)


# The report ------------------------------------------------------------------------------------------------------


def test_r19_a_start_names_its_fourteen_steps(run, scene):
    played = run(scene(*(100,) * 4, sets=CALM))
    (report,) = [e.event for e in played.notes(SweepReport)]
    assert (report.when, report.ok) == ("start", True)
    assert [(step.number, step.name) for step in report.steps] == STEPS
    assert all(step.ok and step.result for step in report.steps)
    assert report.duration_ms == sum(step.duration_ms for step in report.steps) + 40  # the first balances


def test_inv22_a_second_sweep_changes_nothing(run, scene):
    """With an order open, a position held and another's order in the book: no row, no event but the report."""
    seen = []

    def begin(engine):
        theirs = NewOrder("by-hand", A, Side.BUY, GTC, Decimal(90), Decimal(1))
        at(engine, row_close_ms(1) + 1_000, lambda: twin_of(engine).outside.place(theirs))

        async def twice():
            await engine.sweeping.run("interval")
            for _ in range(2):
                books = engine.desk.books
                before = (dict(books.intents), dict(books.attempts), dict(books.reservations), dict(books.positions),
                          dict(books.balances), dict(books.memory))  # fmt: skip
                sequence = engine.desk.booked_sequence
                await engine.sweeping.run("interval")
                after = (dict(books.intents), dict(books.attempts), dict(books.reservations), dict(books.positions),
                         dict(books.balances), dict(books.memory))  # fmt: skip
                seen.append((before == after, engine.desk.booked_sequence - sequence))

        at(engine, row_close_ms(2) + 5_000, lambda: engine.desk.spawn(twice(), "twice"))

    story = scene(
        *(100,) * 8, buys={1: (A,), 2: (A,)}, wish=wisher({1: (A,), 2: (A,)}), guests=[leader(stop=0.5)],
        route=router((IOC, "20", 2_000)), sets=CALM,
    )  # fmt: skip
    played = run(story, begin=begin)
    assert seen == [(True, 1), (True, 1)]
    last = report_of(played)
    assert [step.number for step in last.steps] == [3, 4, 6, 7, 9, 10, 11, 12, 13, 14]
    assert "1 of others left alone" in last.steps[3].result


def test_a_sweep_runs_every_hour(run, scene):
    played = run(scene(*(100,) * 200, buys={}, sets=CALM))
    reports = [(e.at_ns // 1_000_000, e.event.when) for e in played.notes(SweepReport)]
    assert [when for _, when in reports] == ["start", "interval", "interval", "interval"]
    assert 3_590_000 < reports[2][0] - reports[1][0] < 3_610_000


def test_a_step_without_an_answer_ends_the_start_by_name(tmp_path, monkeypatch):
    async def silent(self, symbol=None):
        raise RetryableVenueError("no answer")

    monkeypatch.setattr(TwinVenue, "open_orders", silent)
    scene = Scene(ScriptedSource({A: closing_at(100, 100)}), [wisher({}), sizer("1"), allower(), router()])
    with pytest.raises(RetryableVenueError, match="open orders"):
        play(scene, tmp_path / "state")


# Clock and key ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_ms", [2_600, -2_600])
def test_r21_a_start_with_a_wrong_clock_is_refused(tmp_path, monkeypatch, skew_ms):
    real = TwinVenue.server_time_ms

    async def wrong(self):
        return await real(self) + skew_ms

    monkeypatch.setattr(TwinVenue, "server_time_ms", wrong)
    scene = Scene(ScriptedSource({A: closing_at(100, 100)}), [wisher({}), sizer("1"), allower(), router()])
    with pytest.raises(StartRefused, match=r"clock: expected at most 2500 ms .* set this machine's clock"):
        play(scene, tmp_path / "state")


def test_r21_a_slow_answer_is_no_skew(run, scene, monkeypatch):
    """The time answer takes six seconds, one way: nothing is proven, so it is read again."""
    real, asked = TwinVenue.server_time_ms, []

    async def slow(self):
        asked.append(1)
        told = await real(self)
        if len(asked) == 1:
            await self._clock.sleep(6.0)
        return told

    monkeypatch.setattr(TwinVenue, "server_time_ms", slow)
    played = run(scene(*(100,) * 3, sets=CALM))
    assert report_of(played).ok
    assert len(asked) == 2


REFUSED = [
    (KeyRights(trade=True, withdraw=True), "may not withdraw, was one that may"),
    (KeyRights(trade=False, withdraw=False), "may trade on spot, was one that may not"),
    (KeyRights(trade=None, withdraw=None), r"key_rights_confirmed = true"),
    (KeyRights(trade=True, withdraw=None), r"key_rights_confirmed = true"),
]


@pytest.mark.parametrize(("rights", "text"), REFUSED)
def test_r21_a_key_that_may_do_more_or_less_is_refused(tmp_path, monkeypatch, rights, text):
    async def told(self):
        return rights

    monkeypatch.setattr(TwinVenue, "rights", told)
    scene = Scene(ScriptedSource({A: closing_at(100, 100)}), [wisher({}), sizer("1"), allower(), router()])
    with pytest.raises(StartRefused, match=text):
        play(scene, tmp_path / "state")


@pytest.mark.parametrize("trade", [True, None])
def test_r21_an_operator_may_confirm_what_the_venue_does_not_tell(run, scene, monkeypatch, trade):
    async def told(self):
        return KeyRights(trade=trade, withdraw=None)

    monkeypatch.setattr(TwinVenue, "rights", told)
    played = run(scene(*(100,) * 4, sets=(*CALM, "venue.key_rights_confirmed=true")))
    assert "confirmed by an operator" in report_of(played).steps[3].result
    assert played.summary["intents"] == {"FILLED": 1}


def test_r21_a_confirmation_does_not_excuse_a_key_that_may_withdraw(tmp_path, monkeypatch):
    async def told(self):
        return KeyRights(trade=True, withdraw=True)

    monkeypatch.setattr(TwinVenue, "rights", told)
    scene = Scene(
        ScriptedSource({A: closing_at(100, 100)}), [wisher({}), sizer("1"), allower(), router()],
        ("venue.key_rights_confirmed=true",),
    )  # fmt: skip
    with pytest.raises(StartRefused, match="was one that may"):
        play(scene, tmp_path / "state")


def key_of(monkeypatch, name):
    async def told(self):
        return KeyRights(trade=True, withdraw=False, key_print=name)

    monkeypatch.setattr(TwinVenue, "rights", told)


def test_r21_a_key_of_another_account_on_an_old_state_is_refused_and_books_nothing(tmp_path, monkeypatch):
    """Swapped keys: nothing of the other account is read into the books, and the old key goes on as if nothing was."""
    scene = Scene(ScriptedSource({A: closing_at(*(100,) * 6)}), [wisher({1: (A,)}), sizer("1"), allower(), router()],
                  (*CALM, "shutdown.policy=keep"), for_ms=180_500)  # fmt: skip
    key_of(monkeypatch, "a" * 16)
    assert play(scene, tmp_path / "state").violations() == ()
    before = records_of(tmp_path / "state" / STORE_FILE)
    balances = TwinVenue.balances

    async def others(self):
        return {"USDT": Balance(Decimal(77), Decimal(0)), "DOGE": Balance(Decimal(5), Decimal(0))}

    key_of(monkeypatch, "b" * 16)
    monkeypatch.setattr(TwinVenue, "balances", others)
    with pytest.raises(StartRefused, match="key: expected one of the account that this state folder trades") as refused:
        play(scene, tmp_path / "state")
    assert len(str(refused.value).splitlines()) == 1
    after = records_of(tmp_path / "state" / STORE_FILE)
    assert after.balances == before.balances
    assert len(after.attempts) == len(before.attempts)
    monkeypatch.setattr(TwinVenue, "balances", balances)
    key_of(monkeypatch, "a" * 16)
    assert play(scene._replace(for_ms=None), tmp_path / "state").violations() == ()


def test_r21_a_new_key_of_the_same_account_is_told_and_trades(tmp_path, monkeypatch):
    scene = Scene(ScriptedSource({A: closing_at(*(100,) * 6)}), [wisher({1: (A,), 4: (A,)}), sizer("1"), allower(),
                  router()], CALM, for_ms=180_500)  # fmt: skip
    key_of(monkeypatch, "a" * 16)
    play(scene, tmp_path / "state")
    key_of(monkeypatch, "b" * 16)
    again = play(scene._replace(for_ms=None), tmp_path / "state")
    assert again.violations() == ()
    assert [e.event.name for e in again.notes(AlertFired)].count("key_changed") == 1


@pytest.mark.parametrize("name", ["rights", "balances"])
def test_f44_a_key_that_is_not_taken_is_refused_at_once(tmp_path, monkeypatch, name):
    asked = []

    async def refuse(self):
        asked.append(1)
        raise VenueRefused("-2015 key, address or permission is not valid", "-2015", error_class="AUTH")

    monkeypatch.setattr(TwinVenue, name, refuse)
    scene = Scene(ScriptedSource({A: closing_at(100, 100)}), [wisher({}), sizer("1"), allower(), router()])
    with pytest.raises(StartRefused, match="does not take it"):
        play(scene, tmp_path / "state")
    assert len(asked) == 1


def test_a_start_with_a_good_key_lifts_the_halt_for_a_lost_one(run, scene, monkeypatch):
    """The key was lost, and replaced before the next start: entries go on, and both moves are told."""
    real = TwinVenue.balances

    async def lost(self):
        if self._clock.now_ms() > row_close_ms(1):
            raise VenueRefused("-2015 key is not valid", "-2015", error_class="AUTH")
        return await real(self)

    story = scene(*(100,) * 8, buys={2: (A,), 6: (A,)}, sets=CALM)

    def begin(engine):
        at(engine, row_close_ms(1) + 5_000, lambda: engine.desk.spawn(engine._balance_refresh(), "refresh"))

    with monkeypatch.context() as patch:
        patch.setattr(TwinVenue, "balances", lost)
        first = run(story._replace(for_ms=240_000), begin=begin)
    assert first.summary["trading_state"] == "HALTED"
    again = run(story)
    moves = [(e.event.old, e.event.new) for e in again.notes(TradingStateChanged)]
    assert moves == [("ACTIVE", "HALTED"), ("HALTED", "ACTIVE")]
    assert again.summary["intents"] == {"FILLED": 1}


# What a crash left -----------------------------------------------------------------------------------------------


def crash_scene(sets=()):
    source = ScriptedSource({A: closing_at(*(100,) * 14)})
    guests = [
        wisher({1: (A,)}), sizer("1"), allower(), router((GTC, "-50", 400_000), (IOC, "20", 2_000)),
        leader(leave_after_ms=120_000),
    ]  # fmt: skip
    return Scene(source, guests, ("market.between_closes=false", *CALM, *sets))


def test_r13_a_persisted_fence_is_waited_for_after_a_restart(tmp_path):
    """Killed right after SENDING, the request lost: no resend, no verdict before the fence of the run before."""

    def begin(engine):
        twin_of(engine).faults.once("lost_request")

    scene = crash_scene(("twin.read_lag_ms=2000",))
    moments = killed(tmp_path, scene, begin)
    sending = next(path for path in moments if holding(path, AttemptState.SENDING))
    played = play(scene, sending)
    assert played.violations() == ()
    report = report_of(played)
    assert report.steps[4].result.startswith("1 unproven orders, 1 before their fence")
    first = played.records.attempts[0]
    assert first.outcome is Outcome.NOT_PLACED
    assert (first.settled_ms or 0) > (first.fence_ms or 0) + 2_000
    assert [e.event.state for e in played.notes(OrderAttempt)][:3] == ["PREPARED", "SENDING", "UNKNOWN"]


def test_f2_a_send_that_a_crash_cut_off_is_adopted(tmp_path):
    """Killed right after SENDING, the order accepted: the copy is of before, so it is placed there."""
    scene = crash_scene()
    moments = killed(tmp_path, scene)
    sending = next(path for path in moments if holding(path, AttemptState.SENDING))
    # the copy is of before the send: let the request arrive, as if it had been under way
    seen = []

    def begin(engine):
        seen.append([(a.state, a.executed_quantity) for a in engine.desk.books.attempts.values()])

    _arrive(scene, sending)
    played = play(scene, sending, begin=begin)
    assert played.violations() == ()
    ((state, executed),) = seen[0]  # before any job ran: the start itself has read it, and cancels it
    assert (state in {AttemptState.OPEN, AttemptState.CANCELING}, executed) == (True, 0)
    (order,) = played.truth.orders
    assert "1 of ours open" in report_of(played).steps[6].result
    assert order.status == "CANCELED"  # an entry of before is not gone on with


def _arrive(scene, folder):
    """Place at the twin what the store of a folder has as SENDING."""
    prepared = prepared_of(scene)
    (attempt,) = [a for a in records_of(folder / STORE_FILE).attempts if a.state is AttemptState.SENDING]
    loop = MarketLoop()
    clock = LoopClock(loop, attempt.sent_ms)
    twin = open_twin(
        clock, prepared.source, seed=1, generator=SeededChance(1).generator("twin"), path=folder / TWIN_FILE,
        plan=twin_plan(prepared.settings), instruments=prepared.instruments,
    )  # fmt: skip
    request = attempt.request
    order = NewOrder(attempt.wire_id, A, attempt.side, request.time_in_force, request.price, request.quantity)
    twin.venue.engine.place(order, attempt.sent_ms)
    twin.venue.engine.state.commit()
    twin.venue.engine.state.close()
    loop.close()


def test_a_prepared_order_of_before_is_closed_and_never_sent(tmp_path):
    scene = crash_scene()
    moments = killed(tmp_path, scene)
    prepared = next(path for path in moments if holding(path, AttemptState.PREPARED))
    played = play(scene, prepared)
    assert played.violations() == ()
    assert report_of(played).steps[7].result == "1 closed as not sent"
    assert played.truth.orders == ()
    assert [(r.state, r.reason) for r in played.records.intents] == [("CANCELED", "RESTARTED")]


def test_inv22_the_same_end_from_every_moment_and_a_crash_while_reconciling(tmp_path):
    """F30: killed at every commit, killed again during the start that follows, and started once more."""
    scene = crash_scene(("twin.faults=lost_ack:0.3", "run.seed=3"))
    moments = killed(tmp_path, scene, after="before")[4::2]
    assert len(moments) >= 5
    for path in moments:
        copies = tmp_path / f"second-{path.name}"

        def around(store, path=path, copies=copies):
            return SnapshotStore(store, path, copies)

        play(scene, path, around=around)
        again = sorted(copies.iterdir())[:12:3]
        for second in again:
            played = play(scene, second)
            assert played.violations() == (), (path.name, second.name)
            assert played.summary["pending"] == []
            assert played.records.balances.get(("assets", "AAA"), 0) == played.truth.total("AAA")
            assert report_of(played).ok, report_of(played)
        shutil.rmtree(copies)


def test_inv3_orders_of_our_form_without_a_row_are_cancelled_and_alarmed_at_a_start(tmp_path):
    """An older store was put back: its orders stand at the venue, the start finds, cancels and names them."""
    scene = crash_scene()
    moments = killed(tmp_path, scene)
    fresh = next(path for path in moments if not holding(path, AttemptState.PREPARED))
    standing = next(path for path in moments if holding(path, AttemptState.OPEN))
    _put_back_the_store(fresh, standing)
    played = play(scene, standing)
    assert [order.status for order in played.truth.orders if order.price < 100] == ["CANCELED"]
    (found,) = played.notes(DuplicateOrderFound)
    assert found.event.wire_id == played.truth.orders[0].wire_id
    assert "orphan_order" in [e.event.name for e in played.notes(AlertFired)]
    assert {v.invariant for v in played.violations()} <= {"INV-3", "INV-8"}
    step = report_of(played, 0).steps[9]
    assert (step.number, step.ok) == (10, False)
    assert step.result.startswith("1 orders")


def test_f34_a_store_older_than_its_journal_is_named(tmp_path):
    scene = crash_scene()
    moments = killed(tmp_path, scene)
    whole = tmp_path / "whole"
    _put_back_the_store(moments[5], whole)
    played = play(scene, whole)
    assert [e.event.severity for e in played.notes(AlertFired) if e.event.name == "store_behind"] == ["critical"]


def _put_back_the_store(old, folder):
    for name in (STORE_FILE, f"{STORE_FILE}-wal", f"{STORE_FILE}-shm"):
        (folder / name).unlink(missing_ok=True)
        if (old / name).exists():
            shutil.copy(old / name, folder / name)


def test_r19_a_foreign_order_is_left_alone_by_starts_and_sweeps(run, scene):
    theirs = NewOrder("by-hand", A, Side.BUY, GTC, Decimal(90), Decimal(10))

    def begin(engine):
        if not engine.desk.recall("external/T1"):
            at(engine, row_close_ms(0), lambda: twin_of(engine).outside.place(theirs))
            at(engine, row_close_ms(1), lambda: engine.sweeping.ask("reconnect"))

    story = scene(*(100,) * 8, buys={6: (A,)}, sets=CALM)
    run(story._replace(for_ms=180_000), begin=begin)
    again = run(story)
    (foreign,) = [order for order in again.truth.orders if order.foreign]
    assert foreign.status == "OPEN"
    assert again.summary["intents"] == {"FILLED": 1}


def test_f24_balances_that_lag_at_a_start_are_looked_at_again(tmp_path, monkeypatch):
    """Balances are of before the last fill for a while: no halt, and the report says how often it looked."""
    scene = crash_scene(("twin.read_lag_ms=2000",))
    folder = tmp_path / "state"
    play(scene._replace(for_ms=240_000), folder)
    real, first = TwinVenue.balances, []

    async def lagging(self):
        found = dict(await real(self))
        first.append(self._clock.now_ms())
        if len(first) > 1 and self._clock.now_ms() - first[0] < 1_500:
            found["USDT"] = found["USDT"]._replace(free=found["USDT"].free + 7)
        return found

    monkeypatch.setattr(TwinVenue, "balances", lagging)
    played = play(scene, folder)
    step = report_of(played, 1).steps[11]
    assert (step.number, step.ok, step.result) == (12, True, "2 looks, venue less ledger: nothing")
    assert played.summary["trading_state"] == "ACTIVE"
    assert not list(played.notes(TradingStateChanged))


def test_a_fresh_start_reconciles_before_the_first_scan(run, scene):
    """Nothing is sent before the report is written."""
    played = run(scene(*(100,) * 4, sets=CALM))
    report_ns = played.notes(SweepReport)[0].at_ns
    assert played.notes(ReconciliationResult)[0].at_ns <= report_ns
    assert all(e.at_ns > report_ns for e in played.notes(OrderAttempt))
    for row in played.records.intents:
        assert row.state not in INTENT_LIVE
    assert not [a for a in played.records.attempts if a.state in ATTEMPT_LIVE]
