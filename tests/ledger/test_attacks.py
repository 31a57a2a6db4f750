"""R45, R46, R18, R28 attacked: symbols that change under an open lot, fees in the traded coin, random sessions."""

from __future__ import annotations

from decimal import Decimal

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.conftest import A, B, cycle, drift, proofs
from tests.ledger.test_conservation import alarms, entries
from tradecore.cli.main import main
from tradecore.model.order import NewOrder
from tradecore.model.position import PositionState
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, row_close_ms, sizer, wisher
from tradecore.testing.harness import Scene, at, play, twin_of

D = Decimal
IOC = TimeInForce.IOC


def command(*arguments):
    return CliRunner().invoke(main, ["ledger", *map(str, arguments)], standalone_mode=False)


def holds(folder):
    result = command("check", "--state", folder)
    assert result.return_value == 0, result.stdout


def beancount_takes(folder):
    loader = pytest.importorskip("beancount.loader", reason="beancount is not installed (extra `ledger`)")
    text = command("export", "--format", "beancount", "--state", folder).stdout
    _, errors, _ = loader.load_string(text)
    assert [error.message for error in errors] == [], text


def changes(row, **fields):
    """Let the venue list the first symbol otherwise from after a row on, and the program read it."""

    def begin(engine):
        twin = twin_of(engine)

        def change():
            twin.outside.change(twin.engine.market.instruments[A]._replace(**fields))
            engine.desk.spawn(engine.tradable.reload(), "reads the list")

        at(engine, row_close_ms(row) + 1_000, change)
        cycle(engine, row + 5)

    return begin


# Symbols that change under an open lot ---------------------------------------------------------------------------


def test_r28_a_lot_size_that_grows_leaves_dust_and_every_unit_is_accounted_for(run, scene):
    """0.75 of a coin is held, and from now on it is sold in halves."""
    story = scene(12, size=sizer("0.75"), guests=(leader(leave_rows=(4,)),))
    played = run(story, changes(2, lot_size=D("0.5"), min_quantity=D("0.5")))
    (position,) = played.records.positions
    assert position.state is PositionState.CLOSED
    assert (position.sold_quantity, position.dust_quantity) == (D("0.5"), D("0.25"))
    assert proofs(played)[-1].ok
    assert played.records.balances["assets", "AAA"] == D("0.25")
    holds(played.folder)
    beancount_takes(played.folder)


def test_r28_a_lot_size_above_the_position_makes_all_of_it_dust(run, scene):
    story = scene(12, size=sizer("0.75"), guests=(leader(leave_rows=(4,)),))
    played = run(story, changes(2, lot_size=D(1), min_quantity=D(1)))
    (position,) = played.records.positions
    assert (position.state, position.dust_quantity) == (PositionState.CLOSED, D("0.75"))
    assert not [a for a in played.records.attempts if a.side is Side.SELL]
    assert proofs(played)[-1].ok
    holds(played.folder)
    beancount_takes(played.folder)


def test_r28_a_minimum_above_the_position_makes_all_of_it_dust(run, scene):
    story = scene(12, size=sizer("0.75"), guests=(leader(leave_rows=(4,)),))
    played = run(story, changes(2, min_notional_quote=D(1_000)))
    (position,) = played.records.positions
    assert (position.state, position.dust_quantity) == (PositionState.CLOSED, D("0.75"))
    holds(played.folder)


def test_r18_a_tick_that_grows_under_a_position_is_sold_on_the_new_one(run, scene):
    story = scene(12, guests=(leader(leave_rows=(4,)),))
    played = run(story, changes(2, tick_size=D("0.5")))
    (position,) = played.records.positions
    assert position.state is PositionState.CLOSED
    (sell,) = [a for a in played.records.attempts if a.side is Side.SELL]
    assert sell.request.price % D("0.5") == 0
    holds(played.folder)


def test_f22_a_delisted_symbol_keeps_its_lot_over_a_restart(run, scene, tmp_path):
    """The second session knows of no such symbol: coin, lot and position stay, and nothing is invented."""
    first = run(scene(6))
    assert first.records.balances["assets", "AAA"] == 1
    alone = ScriptedSource({B: closing_at(*(100,) * 12)})
    again = run(scene(12, buys={}, source=alone), lambda engine: cycle(engine, 9), sound=False)
    (position,) = again.records.positions
    assert (position.state, position.quantity) == (PositionState.OPEN, 1)
    assert again.records.balances["assets", "AAA"] == 1
    assert proofs(again)[-1].ok
    assert alarms(again, "unexplained_drift") == []
    holds(again.folder)
    beancount_takes(again.folder)
    coins = command("balances", "--state", again.folder, "--json").stdout
    assert '"AAA"' in coins


def test_r46_a_coin_that_is_renamed_is_no_gain_and_no_loss_in_silence(run, scene):
    """The venue gives another name: the old one is missing, the new one came, and nothing says why."""

    def begin(engine):
        twin = twin_of(engine)

        def rename():
            twin.outside.withdraw("AAA", D(1), listed=False)
            twin.outside.deposit("AAB", D(1), listed=False)

        at(engine, row_close_ms(4), rename)
        cycle(engine, 5)

    played = run(scene(), begin, sound=False)
    named = drift(proofs(played)[-1])
    assert named["AAA"] == ("missing_currency", "-1", "named")
    assert played.summary["trading_state"] == "REDUCING"
    assert played.records.balances["assets", "AAA"] == 1


# Fees in the traded coin, coins that go and come back --------------------------------------------------------------


def test_r45_f25_a_fee_coin_that_is_traded_itself(run, scene):
    """BNB bought while fees are taken in BNB; a sale that pays in BNB too stands in `test_naive`."""
    sets = ("twin.fee_in=other", "twin.fee_coin=AAA", "twin.taker_fee_bps=7.5", 'account.opening={USDT="10000"}')
    played = run(scene(sets=sets, guests=(leader(leave_rows=(4,)),)), lambda engine: cycle(engine, 8))
    assert {fill.trade.fee_currency for fill in played.records.fills} & {"AAA"}
    assert proofs(played)[-1].ok
    holds(played.folder)
    beancount_takes(played.folder)


def test_r45_coins_sold_by_hand_and_given_back_leave_no_false_proof(run, scene):
    """Somebody sells half of the position's coin and pays it back: the position then sells more than its own lots."""

    def begin(engine):
        outside = twin_of(engine).outside
        theirs = NewOrder("by-hand", A, Side.SELL, IOC, D(90), D("0.5"), False)
        at(engine, row_close_ms(2) + 5_000, lambda: outside.place(theirs))
        cycle(engine, 2)
        at(engine, row_close_ms(4), lambda: outside.deposit("AAA", D("0.5")))
        cycle(engine, 4)
        cycle(engine, 9)

    played = run(scene(12, guests=(leader(leave_rows=(6,)),)), begin)
    (position,) = played.records.positions
    assert (position.state, position.sold_quantity) == (PositionState.CLOSED, 1)
    assert proofs(played)[-1].ok
    holds(played.folder)
    beancount_takes(played.folder)


# Random sessions -------------------------------------------------------------------------------------------------

doings = st.lists(
    st.tuples(
        st.integers(2, 13),
        st.sampled_from(["deposit", "unlisted", "deposit B", "sell", "buy", "partial_fill", "duplicate_fills"]),
    ),
    max_size=4,
)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    fee=st.sampled_from(["base", "quote", "other"]),
    bps=st.sampled_from(["10", "7.5", "33.333"]),
    size=st.sampled_from(["1", "0.333", "2.001"]),
    buys=st.sets(st.integers(1, 12), max_size=3),
    others=doings,
    stop=st.integers(5, 14),
)
def test_r45_r46_random_sessions_with_a_restart_conserve_every_digit(
    tmp_path_factory, fee, bps, size, buys, others, stop
):
    """Partial fills, fees anywhere, hands of others, and an end at any row, then on again: every proof holds."""
    sets = (
        f"twin.fee_in={fee}", f"twin.taker_fee_bps={bps}", 'account.opening={USDT="10000", BNB="0.05"}',
        "market.between_closes=false",
    )  # fmt: skip
    guests = [
        wisher(dict.fromkeys(buys, (A, B))), sizer(size), allower(),
        router((IOC, "20", 2_000), (IOC, "40", 2_000)), leader(leave_rows=(3, 9, 14)),
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("random") / "state"

    def begin(engine):
        twin = twin_of(engine)
        for n, (row, what) in enumerate(others):
            if row_close_ms(row) < engine.desk.clock.now_ms():
                continue
            act = {
                "deposit": lambda: twin.outside.deposit("AAA", D("0.000000000000000001")),
                "unlisted": lambda: twin.outside.deposit("USDT", D("7.7"), listed=False),
                "deposit B": lambda: twin.outside.deposit("BBB", D("0.5")),
                "sell": lambda n=n: twin.outside.place(NewOrder(f"s{n}", B, Side.SELL, IOC, D(90), D("0.1"), False)),
                "buy": lambda n=n: twin.outside.place(NewOrder(f"b{n}", B, Side.BUY, IOC, D(110), D("0.3"), False)),
                "partial_fill": lambda: twin.faults.once("partial_fill", 0.4),
                "duplicate_fills": lambda: twin.faults.once("duplicate_fills"),
            }[what]
            at(engine, row_close_ms(row) + 7_000, act)
        for row in (5, 9, 15, 16):
            if row_close_ms(row) > engine.desk.clock.now_ms():
                cycle(engine, row)

    for rows in (stop, 18):
        source = ScriptedSource({s: closing_at(*(100,) * rows) for s in (A, B)})
        played = play(Scene(source, guests, sets), folder, begin=begin)
        assert [str(violation) for violation in played.violations()] == []
    assert played.summary["unexplained_drift"] == "0"
    assert alarms(played, "unexplained_drift") == []
    assert alarms(played, "fill_conflict") == []
    assert {e.legs[0].currency for e in entries(played, "deposit")} <= {"AAA", "BBB", "USDT"}
    holds(folder)
    beancount_takes(folder)
