"""dust_sweeper: what it proposes, by hand; and sessions in which no remainder is lost, however awkward the lots."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_dust_sweeper.plugin import DustSweeper

from tradecore import Book, Done, Market, MarketFrame, OrderRequest, Portfolio, Reason, Side
from tradecore.app.session import Session
from tradecore.cli.ledger_rows import read_ledger
from tradecore.cli.main import main
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.engine.lots import gains
from tradecore.engine.proofs import book_of, prove_all
from tradecore.model.book import Level
from tradecore.model.events import DecisionOutcome, DustTaken, PositionClosed
from tradecore.model.portfolio import TradingState
from tradecore.model.position import PositionState, realised_pnl_quote
from tradecore.model.units import TimeInForce, add_bps, canonical, exact_sum, floor_to_lot
from tradecore.testing.factories import (
    MINUTE_MS,
    ScriptedSource,
    allower,
    closing_at,
    instrument,
    leader,
    make_guest,
    router,
    row_close_ms,
    sizer,
    wandering,
    wisher,
)
from tradecore.testing.harness import STORE_FILE, Played, Scene, SnapshotStore, at, play, prepared_of
from tradecore.testing.readme import assert_readme_settings
from tradecore.testing.records import records_of

D = Decimal
A, B = "AAA/USDT", "BBB/USDT"
NOW = 1_700_000_000_000
IOC = TimeInForce.IOC


# What it proposes -------------------------------------------------------------------------------------------------


def guest(**values):
    return DustSweeper(DustSweeper.Settings.model_validate(values))


def swept(made, dust, *, bid="100", close=None, listed=True, **filters):
    """The answer to a sweep over one symbol; `bid` empty leaves the book out."""
    one = instrument(A, **filters)._replace(can_buy=listed, can_sell=listed)
    book = Book(A, NOW, (Level(D(bid), D(9)),), (), "test") if bid else None
    column = np.array([[close if close is not None else np.nan]])
    frame = MarketFrame(
        MINUTE_MS, np.array([NOW]), (A,), dict.fromkeys(("open", "high", "low", "close", "volume"), column)
    )
    market = Market(frame, NOW, {A: book} if book else {}, {A: one})
    money = D(1000)
    portfolio = Portfolio(
        NOW, "USDT", TradingState.ACTIVE, money, money, money, money, D(0), D(0), (), (), (), 0, 0,
        {coin: D(amount) for coin, amount in dust.items()}, {}, (), {},
    )  # fmt: skip
    ((job),) = made.jobs()
    answer = job.ask(portfolio, market, None)
    return [(s.symbol, s.value, s.threshold) for s in answer.signals], answer.merges


def test_settings_and_the_readme():
    made = DustSweeper.Settings()
    assert (made.sell, made.merge, made.margin_pct, made.interval_s) == (True, True, 10, 3_600)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), DustSweeper.Settings)
    assert [job.name for job in guest().jobs()] == ["dust_sweep"]


@pytest.mark.parametrize("values", [{"sell": False, "merge": False}, {"margin_pct": -1}, {"interval_s": 0}, {"x": 1}])
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError):
        guest(**values)


def test_r50_it_sells_from_a_tenth_above_the_minimum_and_merges_below():
    filters = {"lot": "0.01", "min_quantity": "0.01", "min_notional": "5"}
    assert swept(guest(), {"AAA": "0.055"}, **filters) == ([], (A,))  # 0.05 x 100 = 5 is under 5.5
    assert swept(guest(), {"AAA": "0.0599"}, **filters) == ([], (A,))
    assert swept(guest(), {"AAA": "0.06"}, **filters) == ([(A, 6.0, 5.5)], ())
    assert swept(guest(margin_pct=0), {"AAA": "0.05"}, **filters) == ([(A, 5.0, 5.0)], ())
    assert swept(guest(merge=False), {"AAA": "0.05"}, **filters) == ([], ())
    assert swept(guest(sell=False), {"AAA": "7"}, **filters) == ([], (A,))


def test_r50_less_than_the_smallest_quantity_or_a_lot_waits():
    assert swept(guest(), {"AAA": "0.9"}, lot="1", min_quantity="1", min_notional="0") == ([], (A,))
    assert swept(guest(), {"AAA": "1.9"}, lot="1", min_quantity="2", min_notional="0") == ([], (A,))
    assert swept(guest(), {"AAA": "2.2"}, lot="1", min_quantity="2", min_notional="0") == ([], (A,))  # a tenth more
    assert swept(guest(), {"AAA": "3"}, lot="1", min_quantity="2", min_notional="0") == ([(A, 300.0, 220.0)], ())


def test_r50_without_a_bid_it_takes_the_close_and_without_both_it_merges():
    assert swept(guest(), {"AAA": "1"}, bid="", close=50.0) == ([(A, 50.0, 5.5)], ())
    assert swept(guest(), {"AAA": "1"}, bid="") == ([], (A,))


def test_r50_dust_of_a_delisted_symbol_is_not_sold_and_waits_to_be_taken_along():
    """It is proposed for no sale, each hour anew, that the venue would refuse; listed again, it is sold."""
    assert swept(guest(), {"AAA": "3"}, listed=False) == ([], (A,))
    assert swept(guest(merge=False), {"AAA": "3"}, listed=False) == ([], ())
    assert swept(guest(), {"AAA": "3"}) == ([(A, 300.0, 5.5)], ())


@pytest.mark.parametrize("close", [0.0, float("nan"), 1e-12])
def test_r50_prices_at_their_end_sell_nothing_that_is_not_worth_it(close):
    assert swept(guest(), {"AAA": "5"}, bid="", close=close) == ([], (A,))
    dear = swept(guest(), {"AAA": "6000000000000"}, bid="", close=close)
    assert dear == (([(A, 6.0, 5.5)], ()) if close == 1e-12 else ([], (A,)))


def test_coins_that_are_no_symbol_of_the_run_are_left_alone():
    assert swept(guest(), {"ZZZ": "1"}) == ([], ())
    assert swept(guest(), {}) == ([], ())


# Sessions ---------------------------------------------------------------------------------------------------------

SWEEP = ("twin.fee_in=base", "market.between_closes=false", "intervals.dust_sweep_s=300")


def one_coin(*closes, buys, leaves, guests=("dust_sweeper",), sets=(), filters=None, quantity="1"):
    coarse = filters or instrument(A, lot="0.01", min_quantity="0.01")
    return Scene(
        ScriptedSource({A: closing_at(*closes)}, {A: coarse}),
        [wisher(dict.fromkeys(buys, (A,))), sizer(quantity), allower(), router((IOC, "20", 2_000)),
         leader(leave_rows=leaves), *guests],
        (*SWEEP, *sets),
    )  # fmt: skip


def sound(played):
    assert [str(violation) for violation in played.violations()] == []
    for proof in proofs_of(played):
        assert proof.ok, proof
    assert played.summary["unexplained_drift"] == "0"
    return played


def rows_of(played):
    return read_ledger(played.folder).rows


def proofs_of(played):
    return prove_all(rows_of(played))


def test_r50_the_next_position_takes_dust_along_and_its_exit_sells_both(tmp_path):
    # each buy of 1 keeps 0.999; its exit sells 0.99 and leaves 0.009: the second has 1.008, sells 1.00
    played = sound(play(one_coin(*(100,) * 20, buys=(1, 10), leaves=(3, 13)), tmp_path / "s"))
    first, second = sorted(played.records.positions, key=lambda p: p.opened_ms)
    assert (first.dust_quantity, first.dust_gone) == (0, D("0.009"))
    assert second.taken == {first.position_id: D("0.009")}
    assert (second.sold_quantity, second.dust_quantity) == (D("1.00"), D("0.008"))
    (taken,) = played.notes(DustTaken)
    assert (taken.event.quantity, taken.event.position_quantity) == (D("0.009"), D("1.008"))
    assert taken.event.plugin == "dust_sweeper"
    assert second.taken_quote == taken.event.cost_quote == D("0.009") * first.average_price


def test_r50_dust_has_its_cost_once(tmp_path):
    played = sound(play(one_coin(*(100,) * 20, buys=(1, 10), leaves=(3, 13)), tmp_path / "s"))
    positions = played.records.positions
    spent = exact_sum(p.bought_quote for p in positions)
    sold = exact_sum(p.sold_quote for p in positions)
    fees = exact_sum(p.fees_quote for p in positions)
    left = exact_sum(p.dust_quantity * p.average_price for p in positions)
    assert exact_sum(realised_pnl_quote(p) for p in positions) == sold - (spent - left) - fees
    made = gains(book_of(rows_of(played)), played.records.fills)
    # a fee in base is a part of what was bought, so the lot that the fee made smaller keeps the price of a unit
    for position in positions:
        assert made[position.position_id].gain == realised_pnl_quote(position)


def test_without_the_plugin_dust_stays_where_it_is(tmp_path):
    played = sound(play(one_coin(*(100,) * 20, buys=(1, 10), leaves=(3, 13), guests=()), tmp_path / "s"))
    assert [p.dust_quantity for p in played.records.positions] == [D("0.009")] * 2
    assert played.summary["dust"] == {"AAA": "0.018"}


FALLEN = (1.0, 1.0, *(0.7,) * 8, *(3.0,) * 10)
"""Six units that are bought at 1 are worth less than the minimum of 5 at 0.7, and more at 3."""
CHEAP = instrument(A, tick="0.0001", lot="1", min_quantity="1", min_notional="5")


def fallen():
    return one_coin(*FALLEN, buys=(1,), leaves=(4,), filters=CHEAP, quantity="6")


def test_r50_r2_dust_is_sold_through_the_pipeline_when_it_becomes_sellable(tmp_path):
    played = sound(play(fallen(), tmp_path / "s"))
    bought, swept_up = sorted(played.records.positions, key=lambda p: p.opened_ms)
    assert bought.close_reason is Reason.LEAVE
    assert bought.sold_quantity == 0
    assert swept_up.entries == 0
    assert (swept_up.plugin, swept_up.close_reason) == ("dust_sweeper", Reason.DUST_SWEPT)
    assert (swept_up.sold_quantity, swept_up.dust_quantity) == (D(5), D("0.994"))
    (sale,) = [row.intent for row in played.records.intents if row.intent.side is Side.SELL]
    assert sale.reduces
    assert sale.position_id == swept_up.position_id
    assert [e.event.plugin for e in played.notes(PositionClosed)] == ["script", "dust_sweeper"]
    assert played.summary["positions_closed"] == 1, "the sale of dust is no round trip"


def test_r50_dust_waits_while_another_order_stands_on_its_symbol(tmp_path):
    def route_order(intent, book, attempts, now_ms):
        if intent.reduces:
            return None
        if attempts:
            return Done(Reason.LADDER_EXHAUSTED, "once")
        rests = intent.created_ms > row_close_ms(5)
        tif, bps = (TimeInForce.GTC, D(-400)) if rests else (IOC, D(20))
        return OrderRequest(tif, add_bps(book.touch(intent.side), bps), intent.quantity, 300_000, str(tif))

    scene = one_coin(
        *FALLEN, *(3.0,) * 6, buys=(1, 13), leaves=(4,), filters=CHEAP, quantity="6",
        sets=("engine.intent_ttl_s=600",),
    )  # fmt: skip
    guests = [make_guest("route", route_order=route_order) if getattr(g, "name", "") == "route" else g
              for g in scene.guests]  # fmt: skip
    played = sound(play(scene._replace(guests=guests), tmp_path / "s"))
    said = [e.event for e in played.notes(DecisionOutcome) if e.event.plugin == "dust_sweeper"]
    assert [(event.outcome, event.value, event.threshold) for event in said] == [("SYMBOL_BUSY", 14.9965, 5.5)]
    (swept_up,) = [p for p in played.records.positions if p.entries == 0]
    assert swept_up.opened_ms > said[0].row_ms
    assert swept_up.sold_quantity == 5


@pytest.mark.parametrize("when", ["before", "after"])
def test_r50_a_crash_at_any_commit_of_a_sale_is_gone_on_with(tmp_path, when):
    play(fallen(), tmp_path / "s", around=lambda store: SnapshotStore(store, tmp_path / "s", tmp_path / "copies"))
    copies = sorted((tmp_path / "copies").glob(f"*-{when}"))
    begun = [copy for copy in copies if [p for p in records_of(copy / STORE_FILE).positions if p.entries == 0]]
    assert len(begun) > 5
    for copy in begun[:6]:
        again = sound(play(fallen(), copy))
        swept_up = [p for p in again.records.positions if p.entries == 0]
        assert [(p.state, p.sold_quantity, p.dust_quantity) for p in swept_up] == [
            (PositionState.CLOSED, D(5), D("0.994"))
        ]


@pytest.mark.parametrize("merged", [True, False], ids=["merged", "sold"])
def test_r44_the_journal_alone_rebuilds_what_dust_did(tmp_path, merged):
    scene = one_coin(*(100,) * 20, buys=(1, 10), leaves=(3, 13)) if merged else fallen()
    played = sound(play(scene, tmp_path / "s"))
    assert played.notes(DustTaken)
    result = CliRunner().invoke(main, ["replay", "--state", str(played.folder), "--json"])
    assert result.exit_code == 0, result.output


def test_r50_a_stop_in_the_midst_of_a_sale_ends_cleanly_and_the_next_run_goes_on(tmp_path):
    def stop_when_taken(engine):
        async def watch():
            while not any(p.entries == 0 for p in engine.desk.books.positions.values()):
                await engine.desk.clock.sleep(0.005)
            engine.request_stop("the test says so")

        engine.desk.spawn(watch(), "watch")

    first = sound(play(fallen(), tmp_path / "s", begin=stop_when_taken))
    assert first.summary["ended"] == "the test says so"
    assert (first.exit_code, first.summary["pending_intents"]) == (0, 0)
    second = sound(play(fallen(), tmp_path / "s"))
    (swept_up,) = [p for p in second.records.positions if p.entries == 0]
    assert (swept_up.state, swept_up.sold_quantity) == (PositionState.CLOSED, D(5))


def test_r50_a_quarantined_sweeper_is_obeyed_no_more(tmp_path):
    def quarantine(engine):
        def after_sweep():
            engine.desk.calls.restore([("dust_sweeper", "jobs")])

        at(engine, row_close_ms(8), after_sweep)

    played = sound(play(one_coin(*(100,) * 20, buys=(1, 10), leaves=(3, 13)), tmp_path / "s", begin=quarantine))
    assert "merge/dust_sweeper" in played.records.memory
    assert not played.notes(DustTaken)
    assert [p.dust_quantity for p in played.records.positions] == [D("0.009")] * 2


# Many coins -------------------------------------------------------------------------------------------------------

LOTS = ("0.001", "0.003", "0.07", "0.5", "1", "3", "7", "10")


def awkward(chance, coins, trips, *, sets=()):
    """Coins with lots that never fit, bought and left again and again, with money that is often near the minimum."""
    span = 5
    rows = trips * span + 12
    candles, filters, quantities, buys = {}, {}, {}, {}
    for number in range(coins):
        symbol = f"C{number}/USDT"
        price = chance.choice([0.05, 0.7, 3.0, 40.0, 900.0])
        lot = D(chance.choice(LOTS)) / (1 if price < 10 else 100)
        least = D(chance.choice(["1", "5", "10"]))
        filters[symbol] = instrument(
            symbol, tick="0.000001", lot=str(lot), min_quantity=str(lot), min_notional=str(least)
        )
        wanted = max(least * D(chance.choice(["1.02", "1.3", "2.5"])), lot * D(str(price)) * 2) / D(str(price))
        quantities[symbol] = str(floor_to_lot(wanted, lot) + lot)
        candles[symbol] = fine(chance, rows, price)
        for trip in range(trips):
            buys.setdefault(1 + trip * span + number % 3, []).append(symbol)
    leaves = [1 + trip * span + 4 for trip in range(trips)]
    guests = [
        wisher(buys), sizer(quantities), allower(), router((IOC, "30", 2_000), (IOC, "60", 2_000)),
        leader(leave_rows=leaves), "dust_sweeper",
    ]  # fmt: skip
    more = (*SWEEP, "account.opening={USDT=1000000}", "twin.depth_quote=100000000",
            "breaker.loss_streak=0", "engine.max_spread_bps=1000", "engine.max_slippage_bps=1000", *sets)  # fmt: skip
    return Scene(ScriptedSource(candles, filters), guests, more)


def fine(chance, rows, price):
    """A walk with six decimals."""
    return [
        tuple(round(x * price / 1_000, 6) if n < 4 else x for n, x in enumerate(candle))
        for candle in wandering(chance, rows, price=1_000.0, reach_bps=chance.choice([30.0, 400.0, 900.0]), volume=1e9)
    ]


def play_unwatched(scene, folder):
    """Play without looking at the books after each commit, which takes half of the time of so long a session."""
    folder.mkdir()
    prepared = prepared_of(scene)
    loop = MarketLoop()
    outcome = run_on(Session(prepared, folder, True, 0.0).run(loop, Quiet()), loop)
    return Played(outcome.summary, outcome.exit_code, folder, "demo", prepared.instruments, ())


class Quiet:
    def begin(self, engine, clock, stop_at_ms):
        self.engine = engine

    def end(self):
        pass


def assert_nothing_unbooked(played, source):
    """Every unit of every coin belongs to an open position or is booked as dust, and no dust could be sold."""
    records, truth, dust_of = played.records, played.truth, {}
    last = source.read(source.rows - 1, source.rows).close[0]
    for number, (symbol, one) in enumerate(played.instruments.items()):
        here = [p for p in records.positions if p.symbol == symbol]
        dust = exact_sum(p.dust_quantity for p in here)
        owned = exact_sum([dust, *(p.quantity for p in here)])
        assert records.balances.get(("assets", one.base), D(0)) == owned, symbol
        assert truth.total(one.base) == owned, symbol
        assert exact_sum(p.dust_gone for p in here) == exact_sum(q for p in here for q in p.taken.values())
        # what could be sold at the price of the end has been: half of the margin is left for the prices before it
        lots = floor_to_lot(dust, one.lot_size)
        value = lots * D(repr(float(last[number])))
        least = max(one.min_notional_quote, one.min_quantity * D(repr(float(last[number]))))
        assert not lots or value < least * D("1.15"), (symbol, dust, value, least)
        if dust:
            dust_of[one.base] = canonical(dust)
    assert played.summary["dust"] == dict(sorted(dust_of.items()))


def test_r50_after_a_thousand_round_trips_no_remainder_is_unbooked(tmp_path):
    scene = awkward(random.Random(50), 50, 22)
    played = sound(play_unwatched(scene, tmp_path / "s"))
    assert played.summary["positions_closed"] >= 1_000
    assert played.summary["positions_open"] == 0
    assert_nothing_unbooked(played, scene.source)
    taken = played.notes(DustTaken)
    assert len(taken) > 300
    assert len([p for p in played.records.positions if not p.entries]) > 3


@given(
    seed=st.integers(0, 2**32), sets=st.sampled_from([(), ("dust_sweeper.merge=false",), ("dust_sweeper.sell=false",)])
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_r50_whatever_lots_and_prices_every_remainder_is_owned_or_booked(tmp_path, seed, sets):
    chance = random.Random(seed)
    scene = awkward(chance, chance.randint(1, 3), chance.randint(2, 5), sets=sets)
    played = sound(play(scene, tmp_path / f"{seed}-{len(list(tmp_path.iterdir()))}"))
    records, truth = played.records, played.truth
    for symbol, one in played.instruments.items():
        here = [p for p in records.positions if p.symbol == symbol]
        owned = exact_sum(q for p in here for q in (p.quantity, p.dust_quantity))
        assert records.balances.get(("assets", one.base), D(0)) == owned == truth.total(one.base)
    told = [stamped.event.taken for stamped in played.notes(DustTaken)]
    assert sum(map(len, told)) == sum(len(position.taken) for position in records.positions)
