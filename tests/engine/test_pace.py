"""Comparing with the venue leaves room under the request limit: dear reads come more rarely (R20, R38, INV-10)."""

from decimal import Decimal

import pytest

from tradecore.testing.factories import row_close_ms
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
