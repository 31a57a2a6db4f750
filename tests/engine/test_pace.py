"""Comparing with the venue leaves room under the request limit: dear reads come more rarely (R20, R38, INV-10)."""

import asyncio
from decimal import Decimal

import pytest

from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, closing_at, router, row_close_ms, sizer, wisher
from tradecore.testing.harness import at, twin_of

A = "AAA/USDT"
OPERATIONS = ("open_orders_all", "balances", "trades")
BINANCE = {"open_orders_all": 80, "balances": 20, "trades": 20}
SHARES = {"open_orders_all": 0.1, "balances": 0.15, "trades": 0.1}


def counted(engine, weights):
    """Count what the venue is asked, and give its calls other weights."""
    venue, asked = engine.desk.venue, dict.fromkeys(OPERATIONS, 0)
    plain = {"open_orders_all": venue.open_orders, "balances": venue.balances, "trades": venue.trades}

    def counting(name):
        async def call(*args, **words):
            asked[name] += 1
            return await plain[name](*args, **words)

        return call

    venue.open_orders, venue.balances, venue.trades = map(counting, OPERATIONS)
    engine.reconciler.rotation = lambda: (A,)
    venue.weight_of = lambda operation: weights.get(operation, 1)
    return asked


def rounds(engine, minutes, every_s, told):
    async def look():
        for number in range(int(minutes * 60 / every_s)):
            await engine.desk.clock.sleep_until_ms(row_close_ms(2) + number * int(every_s * 1_000))
            found = await engine.reconciler.round()
            told.append(found)

    at(engine, row_close_ms(2) - 1, lambda: engine.desk.spawn(look(), "rounds"))


@pytest.mark.parametrize("weights", [BINANCE, dict.fromkeys(OPERATIONS, 1)], ids=["binance", "light"])
def test_r38_comparing_every_ten_seconds_stays_within_its_share_of_the_limit(run, scene, weights):
    asked, told, at_start = {}, [], {}

    def begin(engine):
        asked.update(now=counted(engine, weights))
        at(engine, row_close_ms(2) - 1, lambda: at_start.update(asked["now"]))
        at(engine, row_close_ms(12) + 1, lambda: asked.update(end=dict(asked["now"])))
        rounds(engine, 10, 10, told)

    story = scene(*(100,) * 16, buys={1: (A,)}, sets=("intervals.reconcile_s=999999", "intervals.conservation_s=999999",
                                                      "intervals.balance_refresh_s=999999"))  # fmt: skip
    played = run(story, begin=begin)
    made = {name: asked["end"][name] - at_start[name] for name in OPERATIONS}
    for name, count in made.items():
        assert 0 < count * weights[name] <= 10 * 800 * SHARES[name] * 1.25, made
    most = 60 if weights is not BINANCE else 12
    assert made["open_orders_all"] <= most
    if weights is not BINANCE:  # nothing is dear: each round asks everything
        assert min(made["open_orders_all"], made["balances"]) == 60
        assert None not in told
    assert played.summary["unexplained_drift"] == "0"


def test_inv10_a_withdrawal_is_found_at_the_slower_pace_too(run, scene):
    told = []

    def begin(engine):
        counted(engine, BINANCE)
        at(engine, row_close_ms(3), lambda: twin_of(engine).outside.withdraw("USDT", Decimal(500)))
        rounds(engine, 8, 10, told)

    played = run(scene(*(100,) * 16, sets=("intervals.reconcile_s=999999",)), begin=begin)
    assert played.summary["trading_state"] == "REDUCING"


def test_f23_what_got_no_answer_stays_due(run, scene):
    told, due = [], []

    def begin(engine):
        counted(engine, BINANCE)
        faults = twin_of(engine).faults

        def note():
            due.append((engine.reconciler._lists.due(), told[-1].missing if told[-1] is not None else ()))

        at(engine, row_close_ms(3), lambda: faults.always("read_lost"))
        at(engine, row_close_ms(4) + 30_500, note)
        at(engine, row_close_ms(4) + 45_000, faults.clear)
        at(engine, row_close_ms(5) + 15_000, note)
        rounds(engine, 6, 10, told)

    run(scene(*(100,) * 12, sets=("intervals.reconcile_s=999999",)), begin=begin)
    (still_due, missing), (due_again, missing_later) = due
    assert still_due
    assert "open orders" in missing
    assert not due_again
    assert missing_later == ()


def test_r34_watching_many_open_orders_leaves_half_of_the_requests_to_others(run, scene):
    """Thirty orders stand, sixty requests a minute are allowed: each is read once a minute, and none is forgotten."""
    symbols = tuple(f"S{number:02d}/USDT" for number in range(30))
    asked = []

    def begin(engine):
        venue = engine.desk.venue
        plain = venue.order

        async def order(symbol, wire_id):
            asked.append((engine.desk.clock.now_ms(), symbol))
            return await plain(symbol, wire_id)

        venue.order = order

    story = scene(
        source=ScriptedSource({symbol: closing_at(*(100,) * 12) for symbol in symbols}),
        wish=wisher({1: symbols}), size=sizer("1"), route=router((TimeInForce.GTC, "-50", 1_200_000)),
        sets=("limiter.requests_per_minute=60", "intervals.reconcile_s=60", "run.allow=[\"requests_over_limit\"]"),
    )  # fmt: skip
    run(story, begin=begin)
    late = [symbol for at_ms, symbol in asked if row_close_ms(5) <= at_ms < row_close_ms(9)]
    assert 90 <= len(late) <= 4 * 33, len(late)
    assert set(late) == set(symbols)


def test_r20_who_asks_while_a_read_of_balances_waits_for_its_turn_is_served_by_it(run, scene):
    """Each look wants an answer that was asked for after it; a read that has not left yet is one."""
    sent, served = [], []

    def begin(engine):
        desk, money = engine.desk, engine.money
        plain, turn = desk.venue.balances, asyncio.Event()
        acquire = desk.limiter.acquire

        async def balances():
            sent.append(desk.clock.now_ms())
            return await plain()

        async def held(priority, *, weight=1, deadline_ms=None):
            await turn.wait()
            return await acquire(priority, weight=weight, deadline_ms=deadline_ms)

        async def story():
            desk.venue.balances, desk.limiter.acquire = balances, held
            waiting = [asyncio.ensure_future(money.refresh()) for _ in range(5)]
            await desk.clock.sleep(0.01)
            waiting[0].cancel()
            await desk.clock.sleep(0.01)
            turn.set()
            done = await asyncio.gather(*waiting, return_exceptions=True)
            served.extend(type(one).__name__ if isinstance(one, BaseException) else one for one in done)
            served.append(len(sent))
            await asyncio.gather(money.refresh(), money.refresh())
            served.append(len(sent))
            desk.venue.balances, desk.limiter.acquire = plain, acquire

        at(engine, row_close_ms(3) + 30_000, lambda: desk.spawn(story(), "five ask"))

    run(scene(*(100,) * 8, sets=("intervals.reconcile_s=3600", "intervals.balance_refresh_s=3600")), begin=begin)
    assert served == ["CancelledError", True, True, True, True, 1, 3], "one that has left serves nobody else"
