"""What must always hold, whatever the market, the wishes and the order of evidence."""

from __future__ import annotations

import random
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.engine.budget import affordable, worst_spend
from tradecore.engine.scan import Judged
from tradecore.hooks.calls import Calls
from tradecore.market.answers import Wishes
from tradecore.market.frame import MarketFrame
from tradecore.model.intent import INTENT_LIVE
from tradecore.model.order import OrderReport, VenueStatus
from tradecore.model.reasons import Reason
from tradecore.model.units import Side, TimeInForce, exact_sum, minus, plus, times
from tradecore.testing.factories import (
    NO_CANDLE,
    ScriptedSource,
    allower,
    instrument,
    leader,
    make_guest,
    router,
    row_close_ms,
    sizer,
    wandering,
    wisher,
)
from tradecore.testing.harness import Scene, at, play

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
SYMBOLS = ("AAA/USDT", "BBB/USDT", "CCC/USDT")
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLENTY = settings(max_examples=150, deadline=None)


def played_in(scene, **options):
    with tempfile.TemporaryDirectory() as folder:
        played = play(scene, Path(folder), **options)
        return played, played.violations(), played.records


# Sessions --------------------------------------------------------------------------------------------------------

RUNGS = st.lists(
    st.tuples(st.sampled_from([IOC, GTC, TimeInForce.FOK]), st.sampled_from(["-30", "-2", "5", "40"]),
              st.sampled_from([700, 4_000, 30_000])), min_size=1, max_size=5,
)  # fmt: skip


@FEW
@given(
    seed=st.integers(0, 10**6), rungs=RUNGS, quantity=st.sampled_from(["0.06", "1.234", "30"]),
    fee_in=st.sampled_from(["base", "quote", "other"]), manners=st.sampled_from(["plain", "binance", "mexc"]),
    money=st.sampled_from(["60", "900", "100000"]),
)  # fmt: skip
def test_any_session_keeps_the_invariants(seed, rungs, quantity, fee_in, manners, money):
    """Fills never exceed the order, positions are sums of fills, budget is conserved, and so the other nine."""
    chance = random.Random(seed)
    candles = {symbol: wandering(chance, 14, volume=chance.choice([3, 60]), reach_bps=80) for symbol in SYMBOLS[:2]}
    candles[SYMBOLS[1]][5] = NO_CANDLE
    buys = {row: [s for s in SYMBOLS[:2] if chance.random() < 0.6] for row in range(1, 12)}
    sets = (f"account.opening={{USDT={money},BNB=1}}", f"twin.fee_in={fee_in}", f"twin.manners={manners}")
    guests = [
        wisher(buys), sizer(quantity), allower(), router(*rungs),
        leader(stop=0.996, take=1.004, add=0.998, add_quote=50.0, leave_after_ms=200_000),
    ]  # fmt: skip
    played, violations, records = played_in(Scene(ScriptedSource(candles), guests, sets, seed=seed))
    assert violations == ()
    assert played.summary["pending"] == []
    assert played.summary["candidates"] == sum(played.summary["outcomes"].values()) == 28
    for attempt in records.attempts:
        filled = exact_sum(f.trade.quantity for f in records.fills if f.client_order_id == attempt.client_order_id)
        assert filled <= attempt.request.quantity
    for row in records.intents:
        assert row.state not in INTENT_LIVE
        assert row.executed_quantity <= row.intent.quantity


@FEW
@given(order=st.permutations(range(6)), times_each=st.lists(st.integers(1, 3), min_size=6, max_size=6))
def test_evidence_in_any_order_and_any_number_gives_the_same_books(order, times_each):
    """Reports of an order, old and new, and its trades, come as they like."""
    source = ScriptedSource({SYMBOLS[0]: wandering(random.Random(5), 6, volume=500)})
    guests = [wisher({1: SYMBOLS[:1]}), sizer("20"), allower(), router((IOC, "50", 2_000))]
    results = []
    entries = []

    async def again(engine):
        desk = engine.desk
        (attempt,) = desk.store.attempts_of(entries[0])
        fills = desk.store.fills_of(attempt.client_order_id)
        trades = [fill.trade for fill in fills]
        half = trades[0].quantity
        base = OrderReport(
            attempt.wire_id, attempt.venue_order_id, attempt.symbol, attempt.side, VenueStatus.OPEN, None, None,
            Decimal(0), Decimal(0), None, 0,
        )  # fmt: skip
        evidence = [
            base,
            base._replace(executed_quantity=half, executed_quote=trades[0].quote_quantity),
            base._replace(status=VenueStatus.UNMAPPED),
            base._replace(status=None, executed_quantity=None),
            base._replace(status=VenueStatus.FILLED, executed_quantity=attempt.executed_quantity, trades=tuple(trades)),
            tuple(trades),
        ]
        before = books_of(engine)
        for place in order:
            for _ in range(times_each[place]):
                what = evidence[place]
                if isinstance(what, OrderReport):
                    await engine.settler.apply(attempt.client_order_id, what)
                else:
                    await engine.settler.book(what)
        results.append((before, books_of(engine)))

    def begin(engine):
        engine.execution.ended.append(lambda row: entries.append(row.intent.intent_id))
        at(engine, row_close_ms(3), lambda: engine.desk.spawn(again(engine), "evidence"))

    _, violations, records = played_in(Scene(source, guests, ("twin.depth_quote=3000",)), begin=begin)
    assert violations == ()
    ((before, after),) = results
    assert before == after
    assert len(records.fills) > 1


def books_of(engine):
    books = engine.desk.books
    return dict(books.balances), dict(books.positions), dict(books.reservations), dict(books.intents)


# Rules -----------------------------------------------------------------------------------------------------------


class _Clock:
    virtual = True

    def monotonic_s(self):
        return 0.0


@PLENTY
@given(
    values=st.lists(st.one_of(st.none(), st.floats(-2, 2)), min_size=12, max_size=12),
    second=st.lists(st.one_of(st.none(), st.floats(-2, 2)), min_size=12, max_size=12),
    closes=st.lists(st.one_of(st.none(), st.floats(0.1, 9)), min_size=12, max_size=12),
    gate=st.one_of(st.none(), st.lists(st.one_of(st.none(), st.floats(-2, 2)), min_size=12, max_size=12)),
    scope=st.sampled_from([None, ("one",), ("two",), ("nobody",)]),
    broken=st.booleans(),
)
def test_every_candidate_ends_in_one_outcome(values, second, closes, gate, scope, broken):
    """For any matrix of wishes and filters: symbols = outcomes + distinct hits, and hits are what the rule says."""

    def matrix(cells):
        return np.array([np.nan if cell is None else cell for cell in cells]).reshape(4, 3)

    def says(cells, fault=False):
        def signal(frame, rows):
            if fault:
                raise ValueError("broken")
            return Wishes(matrix(cells), "<=", 0.0, "n", "random")

        return signal

    guests = [make_guest("one", signal=says(values)), make_guest("two", signal=says(second, broken))]
    if gate is not None:
        promises = {"role": "filter", "applies_to": scope}
        guests.append(make_guest("gate", signal=says(gate), promises=promises))
    calls = Calls(
        guests, clock=_Clock(), deadlines_ms={}, virtual=True, on_fault=lambda e: None,
        on_quarantine=lambda *a: None, on_late=lambda e: None,
    )  # fmt: skip
    close = matrix(closes)
    frame = MarketFrame(60_000, np.arange(1, 5) * 60_000, SYMBOLS, dict.fromkeys(
        ("open", "high", "low", "close", "volume"), close))  # fmt: skip
    judged = Judged(frame, range(4), calls)
    for row in range(4):
        outcomes = judged.outcomes(row)
        hit = {h.symbol for h in outcomes.hits}
        assert sum(outcomes.counts.values()) + len(hit) == 3
        for column, symbol in enumerate(SYMBOLS):
            wanted = False
            for name, cells, fault in (("one", values, False), ("two", second, broken)):
                value = matrix(cells)[row, column]
                shut = False
                if gate is not None and (scope is None or name in scope):
                    held = matrix(gate)[row, column]
                    shut = not held <= 0
                wanted |= bool(not fault and value <= 0 and not shut)
            assert (symbol in hit) == (wanted and not np.isnan(close[row, column]))
        assert outcomes.counts.get(Reason.NOT_TRADABLE, 0) == int(np.isnan(close[row]).sum())


MONEY = st.decimals("0.01", "1000000", places=2)


@PLENTY
@given(free=MONEY, cap=st.decimals("0.0001", "5000", places=4), fee=st.sampled_from(["quote", "base"]),
       bps=st.sampled_from([0, 7, 10, 250]))  # fmt: skip
def test_what_is_affordable_is_never_dearer_than_what_is_free(free, cap, fee, bps):
    item = instrument("AAA/USDT", lot="0.001")._replace(
        taker_fee_bps=Decimal(bps), fee_currency="USDT" if fee == "quote" else "AAA"
    )
    quantity = affordable(item, free, cap)
    _, worst = worst_spend(item, Side.BUY, quantity, cap)
    assert worst <= free
    _, more = worst_spend(item, Side.BUY, plus(quantity, item.lot_size), cap)
    assert more > free  # not a lot too few either
    assert times(quantity, cap) >= 0
    assert minus(free, worst) >= 0
