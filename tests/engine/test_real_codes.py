"""What the engine does about a venue's codes: one remedy each, once, and never the same order again (R18)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from tradecore.engine.state import change_trading_state
from tradecore.model.events import (
    AlertFired,
    ClockSkew,
    InstrumentsChanged,
    OrderFailed,
    ReconciliationResult,
    SymbolHalt,
    TradingStateChanged,
)
from tradecore.model.intent import IntentState
from tradecore.model.order import Done, NewOrder, OrderRequest, Outcome, Placement, PlacementKind
from tradecore.model.portfolio import TradingState
from tradecore.model.position import PositionState
from tradecore.model.reasons import Reason
from tradecore.model.units import Side, TimeInForce, add_bps
from tradecore.testing.factories import (
    ScriptedSource,
    closing_at,
    leader,
    make_guest,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import at, twin_of
from tradecore.venues.classify import RawReply, classify_cancel, classify_place, classify_read
from tradecore.venues.rules import BINANCE, MEXC

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"
CALM = ("intervals.reconcile_s=60",)


def alarms(played, *names):
    return [e.event for e in played.notes(AlertFired) if e.event.name in names]


def counting(engine, *operations):
    """Count the calls of the venue by their moment."""
    venue, calls = engine.desk.venue, []

    def wrap(name):
        real = getattr(venue, name)

        async def counted(*arguments):
            calls.append((name, engine.desk.clock.now_ms()))
            return await real(*arguments)

        setattr(venue, name, counted)

    for name in operations:
        wrap(name)
    return calls


def refusing(engine, raw, *, when=lambda order: True):
    """Have the venue refuse sends with a raw answer, as its judge reads it."""
    venue = engine.desk.venue
    real, sent = venue.place, []

    async def place(order: NewOrder) -> Placement:
        sent.append((engine.desk.clock.now_ms(), order))
        return classify_place(raw, BINANCE, order) if when(order) else await real(order)

    venue.place = place
    return sent


def answer(code, text, status=400):
    return RawReply(True, status, {}, f'{{"code":{code},"msg":"{text}"}}')


# Filters ---------------------------------------------------------------------------------------------------------


def test_f21_new_filters_are_read_once_and_the_order_is_made_anew(run, scene):
    """The lot becomes coarser while nobody looks: -1013, one reload, a new order that fits."""
    calls = []

    def begin(engine):
        outside = twin_of(engine).outside
        calls.append(counting(engine, "instruments", "place"))
        at(engine, row_close_ms(1) - 1_000, lambda: outside.change(
            engine.desk.instruments[A]._replace(lot_size=Decimal("0.5"), min_quantity=Decimal("0.5"))))  # fmt: skip

    story = scene(*(100,) * 6, size=sizer("1.7"), sets=(*CALM, "twin.manners=binance"))
    played = run(story, begin=begin)
    first, second = played.records.attempts
    assert (first.outcome, first.code) == (Outcome.REJECTED, "-1013")
    assert (second.outcome, second.request.quantity) == (Outcome.FILLED, Decimal("1.5"))
    assert [name for name, _ in calls[0]] == ["place", "instruments", "place"]
    (changed,) = played.notes(InstrumentsChanged)
    assert changed.event.changed == (A,)
    assert played.records.intents[0].state is IntentState.PARTIAL


@pytest.mark.parametrize("code", [-1013, -1111])
def test_f21_the_same_filters_make_no_loop(run, scene, code):
    """The venue refuses what its own list allows: one reload, no second order, every time it happens."""
    calls, sent = [], []

    def begin(engine):
        calls.append(counting(engine, "instruments"))
        sent.append(refusing(engine, answer(code, "Filter failure: LOT_SIZE")))

    story = scene(*(100,) * 8, buys={1: (A,), 4: (A,)}, route=router(*[(IOC, "20", 2_000)] * 6), sets=CALM)
    played = run(story, begin=begin)
    assert len(sent[0]) == 2
    assert len(calls[0]) == 2
    assert played.summary["intents"] == {"REJECTED": 2}


def test_off_tick_that_the_door_refuses_is_read_anew(run, scene):
    """A venue's own door may see the new filters first: nothing was sent, and the list is read."""
    calls = []

    def begin(engine):
        calls.append(counting(engine, "instruments"))
        venue = engine.desk.venue
        real, refused = venue.place, []

        async def place(order):
            if refused:
                return await real(order)
            refused.append(order)
            twin_of(engine).outside.change(engine.desk.instruments[A]._replace(tick_size=Decimal("0.1")))
            return Placement(PlacementKind.NOT_SENT, Reason.PRICE_OFF_TICK, "", "does not fit the steps")

        venue.place = place

    played = run(scene(*(100.37,) * 6, sets=CALM), begin=begin)
    first, second = played.records.attempts
    assert (first.outcome, second.outcome) == (Outcome.NOT_SENT, Outcome.FILLED)
    assert second.request.price % Decimal("0.1") == 0
    assert len(calls[0]) == 1


# Symbols ---------------------------------------------------------------------------------------------------------


def test_f22_a_refused_symbol_is_shut_for_a_while_and_opens_again(run, scene):
    """The venue closes a symbol: one refusal, no entry for five minutes, then it trades again."""

    def begin(engine):
        at(engine, row_close_ms(1), lambda: twin_of(engine).faults.once("symbol_halted"))

    story = scene(*(100,) * 12, buys=dict.fromkeys(range(1, 11), (A,)), sets=CALM)
    played = run(story, begin=begin)
    refused = [a for a in played.records.attempts if a.outcome is Outcome.REJECTED]
    assert len(refused) == 1
    (halt,) = played.notes(SymbolHalt)
    assert halt.event.until_ms - halt.at_ns // 1_000_000 == 300_000
    assert played.summary["outcomes"]["SYMBOL_HALTED"] >= 4
    entered = [r for r in played.records.intents if r.state is IntentState.FILLED]
    assert min(r.intent.created_ms for r in entered) >= halt.event.until_ms
    assert alarms(played, "symbol_halted")


def test_f22_a_halt_survives_a_restart_and_doubles(run, scene):
    def begin(engine):
        twin_of(engine).faults.always("symbol_halted")

    story = scene(*(100,) * 30, buys=dict.fromkeys(range(1, 28), (A,)), sets=CALM)
    first = run(story._replace(for_ms=180_000), begin=begin)
    assert len(first.notes(SymbolHalt)) == 1
    again = run(story, begin=begin)
    halts = again.notes(SymbolHalt)
    # the second run finds it shut, tries when its time is over, and is refused again: longer this time
    assert [e.event.times for e in halts[:3]] == [1, 2, 3]
    lengths = [e.event.until_ms - e.at_ns // 1_000_000 for e in halts[:3]]
    assert lengths == [300_000, 600_000, 1_200_000]
    assert halts[1].at_ns // 1_000_000 > halts[0].event.until_ms


def test_f22_a_position_on_a_halted_symbol_says_that_it_cannot_be_left(run, scene):
    """Sells are refused: a state with its age that keeps growing, one alarm a round, no storm; then it is sold."""
    sent = []

    def begin(engine):
        outside = twin_of(engine).outside
        at(engine, row_close_ms(2), lambda: outside.halt(A))
        at(engine, row_close_ms(12), lambda: outside.halt(A, can_buy=True, can_sell=True))
        sent.append(counting(engine, "place"))

    story = scene(*(100,) * 18, guests=[leader(leave_after_ms=90_000)], sets=CALM)
    played = run(story, begin=begin)
    (position,) = played.records.positions
    assert position.state is PositionState.CLOSED
    texts = [alert.text for alert in alarms(played, "position_unsellable")]
    ages = [int(text.partition(" for ")[2].partition(" ms")[0]) for text in texts]
    assert ages == sorted(ages)
    assert ages[-1] > 300_000
    halted_sends = [at_ms for _, at_ms in sent[0] if row_close_ms(2) <= at_ms < row_close_ms(12)]
    assert 2 <= len(halted_sends) <= 16
    assert alarms(played, "symbol_halted")[0].severity == "critical"
    assert position.unsellable_since_ms is None or position.quantity == 0


def test_f22_delisted_while_it_runs_is_seen_by_whoever_reads_the_list(run, scene):
    """The feed tells of a list without the symbol: entries on it end, its position is named."""

    def begin(engine):
        def delist():
            engine.instruments_changed({B: engine.desk.instruments[B]})

        at(engine, row_close_ms(2) + 10_000, delist)

    source = ScriptedSource({A: closing_at(*(100,) * 10), B: closing_at(*(50,) * 10)})
    story = scene(
        source=source, buys={1: (A,), 2: (A,), 4: (A, B)}, route=router((GTC, "-60", 300_000), (IOC, "20", 2_000)),
        wish=wisher({1: (A,), 4: (A, B)}), guests=[leader(stop=0.5)], sets=CALM,
    )  # fmt: skip
    played = run(story, begin=begin)
    on_a = [r for r in played.records.intents if r.intent.symbol == A]
    assert [(r.state, r.reason) for r in on_a] == [(IntentState.UNFILLED, Reason.SYMBOL_HALTED)]
    assert played.summary["outcomes"]["SYMBOL_HALTED"] == 1
    assert {r.intent.symbol for r in played.records.intents if r.intent.created_ms >= row_close_ms(4)} == {B}


# Key -------------------------------------------------------------------------------------------------------------

AUTH = [(-2015, "Invalid API-key, IP, or permissions for action."), (-2014, "API-key format invalid."),
        (-1022, "Signature for this request is not valid.")]  # fmt: skip


@pytest.mark.parametrize(("code", "text"), AUTH)
def test_f44_a_lost_key_halts_entries_and_alarms(run, scene, code, text):
    """One order is refused for its key: entries halt, nothing is sent again, an operator resumes."""
    sent = []

    def begin(engine):
        sent.append(refusing(engine, answer(code, text, 401)))

    played = run(scene(*(100,) * 10, buys=dict.fromkeys(range(1, 9), (A,)), sets=CALM), begin=begin)
    assert len(sent[0]) == 1
    (changed,) = played.notes(TradingStateChanged)
    assert (changed.event.new, changed.event.actor) == ("HALTED", "core")
    assert str(code) in changed.event.reason
    assert [a.severity for a in alarms(played, "auth_halt")] == ["critical"]
    assert played.summary["outcomes"]["TRADING_HALTED"] == 7
    (failed,) = [e.event for e in played.notes(OrderFailed)]
    assert (failed.outcome, failed.code) == ("REJECTED", str(code))


def test_f44_reads_cancels_and_exits_are_tried_on_slowly(run, scene):
    """The key is revoked with an order open and a position to leave: everything is tried, nothing in a storm."""
    calls = []
    lost_ms, back_ms = row_close_ms(2), row_close_ms(12)
    reply = answer(-2015, "Invalid API-key, IP, or permissions for action.", 401)

    def begin(engine):
        venue, clock = engine.desk.venue, engine.desk.clock
        calls.append(counting(engine, "place", "cancel", "order"))
        counted = {name: getattr(venue, name) for name in ("place", "cancel", "order", "balances", "open_orders")}

        def lost():
            return lost_ms <= clock.now_ms() < back_ms

        async def place(order):
            if lost():
                calls[0].append(("place", clock.now_ms()))
                return classify_place(reply, BINANCE, order)
            return await counted["place"](order)

        async def cancel(symbol, wire_id, venue_order_id):
            if lost():
                calls[0].append(("cancel", clock.now_ms()))
                return classify_cancel(reply, BINANCE, symbol, wire_id, venue_order_id)
            return await counted["cancel"](symbol, wire_id, venue_order_id)

        def reads(name):
            async def read(*arguments):
                if lost():
                    calls[0].append((name, clock.now_ms()))
                    classify_read(reply, BINANCE, name)
                return await counted[name](*arguments)

            return read

        venue.place, venue.cancel = place, cancel
        venue.order, venue.balances, venue.open_orders = reads("order"), reads("balances"), reads("open_orders")

    source = ScriptedSource({A: closing_at(*(100,) * 20), B: closing_at(*(50,) * 20)})
    story = scene(
        source=source, buys={1: (A,)}, wish=wisher({1: (A, B)}), size=sizer({A: "1", B: "3"}), sets=CALM,
        guests=[leader(leave_after_ms=90_000)],
        route=_by_symbol({A: (IOC, "20", 2_000), B: (GTC, "-60", 70_000)}),
    )  # fmt: skip
    played = run(story, begin=begin)
    during = Counter(name for name, at_ms in calls[0] if lost_ms <= at_ms < back_ms)
    assert 3 <= during["place"] <= 14  # exits, one a round
    assert 2 <= during["cancel"] <= 12
    assert during["order"] <= 40
    assert played.summary["pending"] == []
    assert played.summary["positions_open"] == 0
    assert played.summary["trading_state"] == "HALTED"  # nobody resumed
    assert len(alarms(played, "auth_halt")) == 1


def _by_symbol(rungs):
    """A router with one rung a symbol."""

    def route_order(intent, book, attempts, now_ms):
        if intent.reduces:
            return None
        if attempts:
            return Done(Reason.LADDER_EXHAUSTED)
        tif, premium, ttl_ms = rungs[intent.symbol]
        return OrderRequest(tif, add_bps(book.best_ask, Decimal(premium)), intent.quantity, ttl_ms, f"{tif}")

    return make_guest("route", route_order=route_order)


def test_f44_mexc_codes_and_ccxts_masquerade_are_all_about_the_key():
    """ccxt calls a lost key DDoSProtection or BadRequest; the raw code decides."""
    order = NewOrder("0" * 32, A, Side.BUY, IOC, Decimal(1), Decimal(1))
    for code in (10072, 700006, 700007, 700001, 700002):
        placed = classify_place(answer(code, "x"), MEXC, order)
        assert (placed.kind, placed.action, placed.error_class) == (PlacementKind.REJECTED, "HALT_ENTRIES", "AUTH")
    masked = RawReply(True, 400, {}, '{"code":-2015,"msg":"x"}', "DDoSProtection: binance x")
    assert classify_place(masked, BINANCE, order).error_class == "AUTH"
    assert classify_cancel(masked, BINANCE, A, "0" * 32).error_class == "AUTH"


# Money -----------------------------------------------------------------------------------------------------------


def test_f27_insufficient_is_reconciled_once_and_shrunk(run, scene):
    """Coin is taken away by hand: the exit is refused, one reconciliation follows, the rest is sold at once."""
    seen = []

    def begin(engine):
        outside, real = twin_of(engine).outside, engine.reconciler.run

        async def reconcile(when, sweep=()):
            seen.append((when, tuple(sweep), engine.desk.clock.now_ms()))
            return await real(when, sweep)

        engine.reconciler.run = reconcile
        theirs = NewOrder("by-hand", A, Side.SELL, GTC, Decimal(300), Decimal("0.4"))
        at(engine, row_close_ms(2), lambda: outside.place(theirs))
        at(engine, row_close_ms(7), lambda: outside.cancel(A, "by-hand"))

    story = scene(*(100,) * 16, guests=[leader(leave_after_ms=90_000)], sets=(*CALM, "twin.manners=mexc"))
    played = run(story, begin=begin)
    sells = [a for a in played.records.attempts if a.side is Side.SELL]
    assert (sells[0].code, sells[0].request.quantity) == ("30005", Decimal(1))
    assert (sells[1].outcome, sells[1].request.quantity) == (Outcome.FILLED, Decimal("0.6"))
    assert (sells[1].sent_ms or 0) - (sells[0].sent_ms or 0) < 2_000
    assert [sweep for when, sweep, _ in seen if when == "running" and sweep == (A,)][:1] == [(A,)]
    between = [at_ms for when, _, at_ms in seen if (sells[0].sent_ms or 0) <= at_ms <= (sells[1].sent_ms or 0)]
    assert len(between) == 1
    assert Counter(a.code for a in sells)["30005"] == 1
    assert played.summary["positions_open"] == 0


@pytest.mark.parametrize("code", ["insufficient_30005"])
def test_f27_a_venue_that_contradicts_itself_meets_no_storm(run, scene, code):
    """It says less is free than asked and shows that enough is: unsellable with its age, tried at the back-off."""
    calls = []

    def begin(engine):
        calls.append(counting(engine, "place"))
        at(engine, row_close_ms(2), lambda: twin_of(engine).faults.always(code))
        at(engine, row_close_ms(12), twin_of(engine).faults.clear)

    story = scene(*(100,) * 18, guests=[leader(leave_after_ms=90_000)], sets=CALM)
    played = run(story, begin=begin)
    refused = [at_ms for _, at_ms in calls[0] if row_close_ms(2) <= at_ms < row_close_ms(12)]
    assert 4 <= len(refused) <= 14
    assert alarms(played, "position_unsellable")
    assert played.summary["positions_open"] == 0


def test_f27_an_entry_that_is_refused_for_money_ends_with_its_code(run, scene):
    sent = []

    def begin(engine):
        sent.append(refusing(engine, answer(-2010, "Account has insufficient balance for requested action.")))

    played = run(scene(*(100,) * 4, sets=CALM), begin=begin)
    (row,) = played.records.intents
    assert (row.state, row.reason) == (IntentState.REJECTED, Reason.INSUFFICIENT_FUNDS)
    assert len(sent[0]) == 1
    assert [e.event.when for e in played.notes(ReconciliationResult)] == ["start", "end"]  # the third found nothing


# Rate and clock ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ban_s", [120, 400])
def test_f15_nothing_is_asked_while_banned_and_cancels_go_first(run, scene, ban_s):
    calls = []

    def begin(engine):
        venue = engine.desk.venue
        real = venue._ask

        async def ask(operation, act):
            calls.append((operation, engine.desk.clock.now_ms()))
            return await real(operation, act)

        venue._ask = ask
        at(engine, row_close_ms(2) + 5_000, lambda: twin_of(engine).faults.once("banned", ban_s))
        at(engine, row_close_ms(2) + 6_000, lambda: engine.desk.spawn(engine._reconcile(), "reads"))
        at(engine, row_close_ms(2) + 8_000, lambda: engine.desk.spawn(engine._reconcile(), "more reads"))

    story = scene(*(100,) * 14, route=router((GTC, "-60", 70_000)), sets=CALM)
    played = run(story, begin=begin)
    hit = next(at_ms for _, at_ms in calls if at_ms >= row_close_ms(2) + 5_000)
    silent = [c for c in calls if hit < c[1] < hit + ban_s * 1_000]
    # what was on its way when the ban came back is all that may still arrive
    assert all(at_ms - hit <= 40 for _, at_ms in silent)
    after = [operation for operation, at_ms in calls if at_ms >= hit + ban_s * 1_000]
    assert after[0] == "cancel"
    assert played.summary["pending"] == []


def test_a_429_that_names_no_time_is_waited_out(run, scene):
    sent = []

    def begin(engine):
        first = []
        sent.append(refusing(engine, RawReply(True, 429, {}, '{"code":-1003,"msg":"Too many requests."}'),
                             when=lambda order: not first and not first.append(order)))  # fmt: skip

    played = run(scene(*(100,) * 5, sets=CALM), begin=begin)
    first, second = played.records.attempts
    assert (first.outcome, second.outcome) == (Outcome.REJECTED, Outcome.FILLED)
    assert 10_000 <= (second.sent_ms or 0) - (first.sent_ms or 0) < 15_000


def test_r21_a_time_stamp_outside_the_window_is_measured_and_entries_halt_until_it_is_good(run, scene):
    """The venue's clock runs ahead: -1021, a measurement, a halt by name; back when it is good."""

    def begin(engine):
        faults = twin_of(engine).faults
        at(engine, row_close_ms(1), lambda: faults.always("clock_skew", 7_000))
        at(engine, row_close_ms(70), faults.clear)

    played = run(scene(*(100,) * 200, buys={1: (A,), 3: (A,), 190: (A,)}, sets=CALM), begin=begin)
    refused = [a for a in played.records.attempts if a.outcome is Outcome.REJECTED]
    assert len(refused) == 1
    states = [(e.event.old, e.event.new, e.event.reason) for e in played.notes(TradingStateChanged)]
    assert [(old, new) for old, new, _ in states] == [("ACTIVE", "HALTED"), ("HALTED", "ACTIVE")]
    assert "clock" in states[0][2]
    assert played.summary["outcomes"]["TRADING_HALTED"] == 1
    assert played.summary["intents"]["FILLED"] == 1
    skews = [e.event for e in played.notes(ClockSkew)]
    assert {skew.ok for skew in skews} == {True, False}
    assert next(s for s in skews if not s.ok).limit_ms == 2_500


def test_r21_an_operators_halt_outlives_a_clock_that_is_good_again(run, scene):
    """Two causes: the clock is good again, and the operator's word still stands."""

    def begin(engine):
        desk, faults = engine.desk, twin_of(engine).faults
        at(engine, row_close_ms(1), lambda: faults.always("clock_skew", 3_000))
        at(engine, row_close_ms(1) + 1_000, lambda: desk.spawn(engine._clock_check(), "check"))
        at(engine, row_close_ms(1) + 5_000, lambda: desk.spawn(
            change_trading_state(desk, TradingState.HALTED, "operator", "by hand"), "operator"))  # fmt: skip
        at(engine, row_close_ms(2), faults.clear)
        at(engine, row_close_ms(2) + 1_000, lambda: desk.spawn(engine._clock_check(), "check"))

    played = run(scene(*(100,) * 5, buys={3: (A,)}, sets=CALM), begin=begin)
    assert played.summary["trading_state"] == "HALTED"
    assert [e.event.actor for e in played.notes(TradingStateChanged)] == ["core", "operator"]
    assert played.summary["outcomes"]["TRADING_HALTED"] == 1
