"""Pushes of the account are hints, a venue that is away is waited for, balances are read beside the loop."""

from __future__ import annotations

import asyncio
import itertools
import time
from decimal import Decimal

import pytest

from tradecore.errors import RetryableVenueError
from tradecore.model.events import (
    AlertFired,
    BalanceRefresh,
    Heartbeat,
    OrderFill,
    SweepReport,
    TradingStateChanged,
)
from tradecore.model.order import AttemptState, Cancelation, CancelKind, Outcome, Placement, PlacementKind
from tradecore.model.reasons import Reason
from tradecore.model.units import TimeInForce
from tradecore.ports.hints import OrderHint
from tradecore.testing.factories import ScriptedSource, closing_at, router, row_close_ms, wisher
from tradecore.testing.harness import at, twin_of

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"
CALM = ("intervals.reconcile_s=60",)


class Pushes:
    """A private stream under a test's hand (ports/hints.py)."""

    def __init__(self):
        self.alive = False
        self.on_order = self.on_connected = None
        self.closed = False

    async def start(self, on_order, on_connected):
        self.on_order, self.on_connected = on_order, on_connected
        self.connect()

    def connect(self):
        self.alive = True
        self.on_connected()

    def push(self, symbol, wire_id="", venue_order_id=""):
        self.on_order(OrderHint(symbol, wire_id, venue_order_id, 0))

    async def close(self):
        self.closed = True


def pushed(engine):
    engine.desk.hints = Pushes()
    return engine.desk.hints


def alarms(played, *names):
    return [e.event for e in played.notes(AlertFired) if e.event.name in names]


def reads_of(engine):
    """Moments at which an order was read by its id."""
    venue, moments = engine.desk.venue, []
    real = venue.order

    async def order(symbol, wire_id):
        moments.append(engine.desk.clock.now_ms())
        return await real(symbol, wire_id)

    venue.order = order
    return moments


# Pushes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["wire_id", "venue_order_id"])
def test_f13_a_push_has_its_order_read_at_once(run, scene, by):
    """Between two reads of a resting order a push comes: it is read in the same moment, and nothing else changes."""
    moments, pushes = [], []
    moment = row_close_ms(1) + 31_234

    def begin(engine):
        hints = pushed(engine)
        pushes.append(hints)
        moments.append(reads_of(engine))

        def push():
            (attempt,) = engine.desk.books.attempts.values()
            hints.push(A, **{by: getattr(attempt, by)})

        at(engine, moment, push)

    story = scene(*(100,) * 5, route=router((GTC, "-60", 60_000)), sets=(*CALM, "engine.poll_ms=20000"))
    story = story.with_sets("engine.poll_ms=250")
    played = run(story, begin=begin)
    assert moment in moments[0]
    assert played.summary["pending"] == []


def test_f13_pushes_out_of_order_doubled_missing_and_wrong_change_no_book(run, scene):
    """The same session with no push, with every push three times, and with nonsense: the same books."""
    books = []

    def played_with(act, folder):
        def begin(engine):
            hints = pushed(engine)

            async def storm():
                while not engine.desk.stopping:
                    act(engine, hints)
                    await engine.desk.clock.sleep(0.137)

            engine.desk.spawn(storm(), "storm")

        rows = [*closing_at(100, 100), (100.0, 100.0, 99.3, 100.0, 40.0), *closing_at(*(100,) * 4)]
        story = scene(
            source=ScriptedSource({A: rows}), route=router((GTC, "-40", 70_000), (IOC, "40", 2_000)), sets=CALM
        )
        played = run(story, folder, begin=begin)
        records = played.records
        books.append((
            [(a.outcome, a.executed_quantity, a.request) for a in records.attempts], dict(records.balances),
            [(p.quantity, p.average_price) for p in records.positions], played.truth.total("AAA"),
        ))  # fmt: skip
        assert len(played.notes(OrderFill)) == len(played.truth.trades)

    def nothing(engine, hints):
        pass

    def thrice(engine, hints):
        for attempt in list(engine.desk.books.attempts.values()) * 3:
            hints.push(attempt.symbol, attempt.wire_id, attempt.venue_order_id)

    def nonsense(engine, hints):
        hints.push("ZZZ/USDT", "f" * 32, "T9")
        hints.push(A, "", "")
        hints.push(A, "0" * 32, "T1")
        for attempt in list(engine.desk.books.attempts.values()):
            hints.push(B, attempt.wire_id, "")

    for number, act in enumerate((nothing, thrice, nonsense)):
        played_with(act, f"state{number}")
    assert books[0][0][0][0] is Outcome.CANCELED or books[0][0][0][1] > 0
    assert books[0] == books[2]
    # asked sooner it may learn of its end sooner, but of the same end
    assert [a[:2] for a in books[1][0]] == [a[:2] for a in books[0][0]]
    assert books[1][3] == books[0][3]


def test_a_push_about_an_order_that_has_ended_fetches_its_late_fill(run, scene):
    """The venue fills a closed order after all and pushes it: it is ours within a moment, not at the next rotation."""
    moment = row_close_ms(4)

    def begin(engine):
        hints = pushed(engine)

        def late():
            twin = twin_of(engine)
            (order,) = twin.truth().orders()
            placed = twin.engine.state.by_wire_id(A, order.wire_id)
            clearing, now = twin.engine._clearing, engine.desk.clock.now_ms()
            clearing.open_orders[placed.number] = placed
            clearing.relock(placed)
            clearing.fill(placed, placed.price, engine.desk.instruments[A].lot_size * 500, now, maker=True)
            clearing.end(placed, placed.status, now)
            twin.engine.state.put_order(placed)
            twin.engine.state.commit()
            hints.push(A, order.wire_id)

        at(engine, moment, late)

    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(*(103,) * 5)]
    story = scene(source=ScriptedSource({A: rows}), route=router((IOC, "0", 2_000)), sets=CALM)
    played = run(story, begin=begin)
    (fill,) = played.notes(OrderFill)
    assert fill.event.late
    assert fill.at_ns // 1_000_000 - moment < 500
    assert played.records.attempts[0].state is AttemptState.SETTLED


def test_f14_each_connection_has_everything_read_anew(run, scene):
    """Three connections in one moment are one sweep; one that comes while it is under way makes another after it."""
    pushes = []

    def begin(engine):
        pushes.append(pushed(engine))
        for _ in range(3):
            at(engine, row_close_ms(2), pushes[0].connect)
        at(engine, row_close_ms(2) + 30, pushes[0].connect)

    played = run(scene(*(100,) * 5, sets=CALM), begin=begin)
    reports = [(e.event.when, e.at_ns // 1_000_000) for e in played.notes(SweepReport)]
    assert [when for when, _ in reports] == ["start", "reconnect", "reconnect", "reconnect"]
    assert reports[1][1] < row_close_ms(0)


def test_f14_a_stream_that_stays_away_is_alarmed_and_nothing_waits_for_it(run, scene):
    pushes = []

    def begin(engine):
        pushes.append(pushed(engine))
        at(engine, row_close_ms(2), lambda: setattr(pushes[0], "alive", False))
        at(engine, row_close_ms(190), pushes[0].connect)

    story = scene(*(100,) * 260, buys=dict.fromkeys(range(5, 250, 40), (A,)), sets=CALM)
    played = run(story, begin=begin)
    assert [a.name for a in alarms(played, "account_stream_lost", "account_stream_back")] == [
        "account_stream_lost", "account_stream_back",
    ]  # fmt: skip
    assert played.summary["intents"] == {"FILLED": 7}


# A venue that is away --------------------------------------------------------------------------------------------


def test_f23_maintenance_for_hours_is_waited_out_and_everything_is_read_anew(run, scene):
    """Three hours of 503: entries halt, the heart beats, look-ups back off, then all resumes and settles."""
    start, hours = row_close_ms(61), 3 * 3_600_000
    calls = []

    def begin(engine):
        venue = twin_of(engine)
        real = venue._ask

        async def ask(operation, act):
            calls.append((operation, engine.desk.clock.now_ms()))
            return await real(operation, act)

        venue._ask = ask
        at(engine, start - 1_000, lambda: venue.faults.once("maintenance", hours))

        async def every(seconds, work):  # as often as on the wall
            while not engine.desk.stopping:
                await engine.desk.clock.sleep(seconds)
                await work()

        engine.desk.spawn(every(10.0, engine._reconcile), "reconcile")
        engine.desk.spawn(every(30.0, engine._heartbeat), "heartbeat")

    story = scene(
        *(100,) * 300, buys=dict.fromkeys(range(1, 290, 12), (A,)), sets=("intervals.reconcile_s=60",),
        route=router((IOC, "20", 2_000)),
    )  # fmt: skip
    played = run(story, begin=begin)
    lost = [e for e in played.notes(AlertFired) if e.event.name == "venue_lost"]
    back = [e for e in played.notes(AlertFired) if e.event.name == "venue_back"]
    assert len(lost) == len(back) == 1
    assert lost[0].at_ns // 1_000_000 - start < 60_000
    assert 0 <= back[0].at_ns // 1_000_000 - (start + hours) < 90_000
    moves = [(e.event.new, e.at_ns // 1_000_000) for e in played.notes(TradingStateChanged)]
    assert [new for new, _ in moves] == ["HALTED", "ACTIVE"]
    assert "return" in [e.event.when for e in played.notes(SweepReport)]
    during = [at_ms for _, at_ms in calls if start + 60_000 < at_ms < start + hours]
    assert 3 * 50 <= len(during) <= 3 * 60 * 14
    beats = [e.at_ns // 1_000_000 for e in played.notes(Heartbeat)]
    assert max(after - before for before, after in itertools.pairwise(beats)) <= 31_000
    assert played.summary["pending"] == []
    filled = [r for r in played.records.intents if r.state == "FILLED" and r.intent.created_ms > start + hours]
    assert filled


def test_f50_endpoints_cut_one_by_one_and_restored_in_any_order(run, scene):
    """Swizzle-clog: the venue's doors close one after the other and open again; everything converges."""
    names = ["place", "cancel", "order", "open_orders", "recent_orders", "trades", "balances", "server_time_ms"]
    closings = [names, names[::-1], names[3:] + names[:3]]

    for number, order in enumerate(closings):

        def begin(engine, order=order):
            venue = engine.desk.venue
            doors = {name: getattr(venue, name) for name in names}

            def cut(name):
                async def closed(*arguments):
                    if name == "place":
                        return Placement(PlacementKind.UNKNOWN, Reason.OUTCOME_UNKNOWN, "", "cut")
                    if name == "cancel":
                        return Cancelation(CancelKind.UNKNOWN, "", "cut")
                    raise RetryableVenueError(f"{name} is cut")

                setattr(venue, name, closed)

            for n, name in enumerate(order):
                at(engine, row_close_ms(1) + 100 + 3_000 * n, lambda name=name: cut(name))
            for n, name in enumerate(sorted(order)):
                at(engine, row_close_ms(3) + 4_000 * n, lambda name=name: setattr(venue, name, doors[name]))

        source = ScriptedSource({A: closing_at(*(100,) * 16), B: closing_at(*(50,) * 16)})
        story = scene(
            source=source, wish=wisher({1: (A, B), 2: (A,), 9: (B,)}), buys={1: ()},
            route=router((GTC, "-60", 20_000), (IOC, "20", 2_000)), sets=CALM,
        )  # fmt: skip
        played = run(story, f"state{number}", begin=begin)
        assert played.summary["pending"] == [], order
        assert played.summary["reserved"] == "0"
        assert played.summary["unexplained_drift"] == "0"
        for coin in ("USDT", "AAA", "BBB"):
            assert played.records.balances.get(("assets", coin), 0) == played.truth.total(coin)


# Balances beside the loop ------------------------------------------------------------------------------------------


def test_r20_a_balance_that_never_comes_times_out_and_the_last_one_stays(run, scene):
    """The venue stalls for a minute: five seconds, a warning, the old value with its age; rows close meanwhile."""
    seen = {}

    def begin(engine):
        real, venue = engine.desk.venue.balances, engine.desk.venue

        async def stalls():
            await asyncio.sleep(60)
            return await real()

        def stall():
            venue.balances = stalls
            seen["before"] = (engine.money.balances, engine.money.read_ms)
            engine.desk.spawn(refresh(), "refresh")

        async def refresh():
            began = engine.desk.clock.now_ms()
            seen["ok"] = await engine.money.refresh()
            seen["took_ms"] = engine.desk.clock.now_ms() - began
            seen["after"] = (engine.money.balances, engine.money.read_ms)
            seen["status"] = engine.status_text()
            venue.balances = real

        at(engine, row_close_ms(1) + 55_000, stall)

    played = run(scene(*(100,) * 5, buys={2: (A,)}, sets=CALM), begin=begin)
    assert (seen["ok"], seen["took_ms"]) == (False, 5_000)
    assert seen["before"] == seen["after"]
    assert '"balances_age_ms":' in seen["status"]
    assert played.summary["balance_timeouts"] == 1
    (stale,) = alarms(played, "balance_stale")
    assert stale.severity == "warning"
    assert "ms old" in stale.text
    failed = [e.event for e in played.notes(BalanceRefresh) if not e.event.ok]
    assert len(failed) == 1
    assert failed[0].age_ms > 5_000
    # row 2 closed while the venue stalled, and its order was sent in the same moment
    (attempt,) = played.records.attempts
    assert attempt.prepared_ms == row_close_ms(2)
    assert played.records.intents[0].executed_quantity == Decimal(1)


def test_an_older_answer_does_not_replace_a_newer_one(run, scene):
    seen = []

    def begin(engine):
        venue, real = engine.desk.venue, engine.desk.venue.balances
        slow = []

        async def balances():
            found = dict(await real())
            if not slow:
                slow.append(1)
                await asyncio.sleep(3)
                found["USDT"] = found["USDT"]._replace(free=Decimal(1))
            return found

        async def both():
            await asyncio.gather(engine.money.refresh(), later())
            seen.append(engine.money.balances["USDT"].free)

        async def later():
            await asyncio.sleep(1)
            await engine.money.refresh()

        venue.balances = balances
        at(engine, row_close_ms(0), lambda: engine.desk.spawn(both(), "both"))

    run(scene(*(100,) * 4, buys={}, sets=CALM), begin=begin)
    assert seen == [Decimal(10_000)]


# Time -----------------------------------------------------------------------------------------------------------


def test_f16_a_wall_clock_set_back_an_hour_moves_nothing(run, scene, monkeypatch):
    """The machine's clock steps while the session runs: the journal is the same to the byte."""
    story = scene(*(100,) * 20, buys=dict.fromkeys(range(1, 18, 3), (A,)), sets=CALM)
    plain = run(story, "plain")
    real, real_s = time.time_ns, time.time
    stepped = []

    def begin(engine):
        def step():
            stepped.append(1)
            monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
            monkeypatch.setattr(time, "time", lambda: real_s() - 3_600)

        at(engine, row_close_ms(5) + 77, step)

    moved = run(story, "stepped", begin=begin)
    assert stepped == [1]
    assert [(e.at_ns, e.event) for e in moved.notes()] == [(e.at_ns, e.event) for e in plain.notes()]
