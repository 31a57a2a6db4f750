"""Trades of others that a cursor has gone over, or would: the ledger follows the venue all the same (F28, INV-10)."""

from __future__ import annotations

from decimal import Decimal

from tradecore.errors import RetryableVenueError
from tradecore.model.events import AlertFired, ConservationProof
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import router, row_close_ms
from tradecore.testing.harness import at, twin_of

A = "AAA/USDT"
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
D = Decimal
STILL = ("intervals.reconcile_s=999999", "intervals.conservation_s=999999", "market.between_closes=false")
"""No look but those that a test asks for."""


def bought(engine, number, moment_ms):
    """Have somebody else buy two units on the account."""
    order = NewOrder(f"by-hand-{number}", A, Side.BUY, IOC, D(110), D(2))
    at(engine, moment_ms, lambda: twin_of(engine).outside.place(order))


def later(engine, moment_ms, act):
    at(engine, moment_ms, lambda: engine.desk.spawn(act(), f"act at {moment_ms}"))


def proofs(played, when="running"):
    return [note.event for note in played.notes(ConservationProof) if note.event.when == when]


def critical(played):
    return [note.event.name for note in played.notes(AlertFired) if note.event.severity == "critical"]


def test_f28_the_first_read_of_a_symbol_goes_over_no_trade_of_others(run, scene):
    """Read for an order of ours it began at that order's send, and the cursor behind: what was before was lost."""
    seen = []

    def begin(engine):
        bought(engine, 1, row_close_ms(3))
        bought(engine, 2, row_close_ms(6))

        async def read():
            await engine.resolver.sweep(A, engine.desk.clock.now_ms() - 5_000)
            seen.append(engine.desk.books.balance("AAA"))

        later(engine, row_close_ms(6) + 2_000, read)

    played = run(scene(*(100,) * 9, buys={}, sets=STILL), begin=begin)
    assert seen == [4]
    assert played.summary["unexplained_drift"] == "0"


def test_f28_a_first_read_asks_for_nothing_from_before_the_ledger(run, scene):
    asked = []

    def begin(engine):
        twin = twin_of(engine)
        trades = twin.trades

        async def told(symbol, cursor, since_ms):
            asked.append((cursor, since_ms))
            return await trades(symbol, cursor, since_ms)

        twin.trades = told
        later(engine, row_close_ms(5), lambda: engine.resolver.sweep(A, row_close_ms(5)))

    played = run(scene(*(100,) * 8, buys={}, sets=STILL), begin=begin)
    opened = int(played.records.memory["ledger_opened"].text)
    assert asked
    assert asked[0][0] == ""
    assert opened - 60_000 < asked[0][1] <= opened


def test_inv10_a_trade_that_came_out_behind_the_cursor_is_found_by_its_time(run, scene):
    """It shows late, after the cursor has passed; meanwhile an order kept both coins from being compared."""

    def begin(engine):
        twin = twin_of(engine)
        trades = twin.trades
        hidden_until_ms = row_close_ms(6)

        async def told(symbol, cursor, since_ms):
            page = await trades(symbol, cursor, since_ms)
            late = engine.desk.clock.now_ms() < hidden_until_ms
            return page._replace(trades=page.trades[1:]) if late and not cursor else page

        twin.trades = told
        prove = engine.reconciler.conservation.prove
        bought(engine, 1, row_close_ms(2))
        bought(engine, 2, row_close_ms(3))
        later(engine, row_close_ms(3) + 5_000, lambda: engine.resolver.sweep(A, 0))
        later(engine, row_close_ms(6), prove)  # the order under way: nothing can be compared
        later(engine, row_close_ms(10), prove)

    resting = router((GTC, "-50", 400_000))
    sets = (*STILL, "engine.intent_ttl_s=3600")
    played = run(scene(*(100,) * 14, route=resting, sets=sets), begin=begin)
    busy, found = proofs(played)
    assert set(busy.under_way) >= {"AAA", "USDT"}
    assert {drift.coin: (drift.kind, drift.done) for drift in found.drift} == {
        "AAA": ("external", "booked"), "USDT": ("external", "booked"),
    }  # fmt: skip
    assert played.records.balances["assets", "AAA"] == 4
    assert (played.summary["unexplained_drift"], played.summary["trading_state"]) == ("0", "ACTIVE")
    assert critical(played) == []


def test_inv10_one_lost_read_of_trades_in_the_last_look_leaves_nothing_unexplained(run, scene):
    lost = []

    def begin(engine):
        twin = twin_of(engine)
        trades = twin.trades

        async def told(symbol, cursor, since_ms):
            if engine.desk.stopping and not lost:
                lost.append(symbol)
                raise RetryableVenueError("trades: RequestTimeout")
            return await trades(symbol, cursor, since_ms)

        twin.trades = told
        bought(engine, 1, row_close_ms(5))

    played = run(scene(*(100,) * 8, sets=STILL), begin=begin)
    assert lost == [A]
    assert played.records.balances["assets", "AAA"] == 3
    assert played.summary["unexplained_drift"] == "0"
    assert proofs(played, "end")[-1].ok
    assert critical(played) == []
