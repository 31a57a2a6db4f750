"""The catalogue's faults against the whole engine, by number, and any sequence of them: the three records agree.

What a fault makes unproven stays so until there is evidence; when the faults are over everything settles.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.engine.engine import Engine
from tradecore.model.events import AlertFired, OrderAttempt
from tradecore.model.intent import INTENT_LIVE
from tradecore.model.order import ATTEMPT_LIVE, NewOrder, Outcome
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    leader,
    router,
    row_close_ms,
    sizer,
    wandering,
    wisher,
)
from tradecore.testing.harness import Played, Scene, at, play, twin_of
from tradecore.venues.twin.records import SelfTrade

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"
ROWS = 22
CALM_ROWS = 7
"""Rows at the end in which no fault happens any more."""


def scene_of(seed: int, *sets: str) -> Scene:
    """Two symbols traded again and again: orders rest, take, fill in part, are cancelled, and are left again."""
    chance = random.Random(seed)
    source = ScriptedSource({symbol: wandering(chance, ROWS, volume=40) for symbol in (A, B)})
    guests = [
        wisher(dict.fromkeys(range(1, ROWS - CALM_ROWS - 1, 3), (A, B))), sizer("3"), allower(),
        router((GTC, "-2", 4_000), (IOC, "10", 2_000), (GTC, "-1", 6_000), (IOC, "40", 2_000)),
        leader(stop=0.997, take=1.003, leave_after_ms=150_000),
    ]  # fmt: skip
    return Scene(source, guests, ("market.between_closes=false", "intervals.reconcile_s=60", *sets), seed=seed)


def check_settled(played: Played) -> None:
    """Nothing is pending, nothing doubled, the ledger is the venue's truth."""
    assert [str(violation) for violation in played.violations()] == []
    summary, records, truth = played.summary, played.records, played.truth
    assert summary["pending"] == []
    assert (summary["pending_intents"], summary["reserved"], summary["errors"]) == (0, "0", {})
    assert not [row for row in records.intents if row.state in INTENT_LIVE]
    assert not [a for a in records.attempts if a.state in ATTEMPT_LIVE]
    placed = [order.wire_id for order in truth.orders if not order.foreign]
    assert len(placed) == len(set(placed))
    for coin in ("USDT", "AAA", "BBB", "BNB"):
        assert records.balances.get(("assets", coin), 0) == truth.total(coin), coin


def as_on_the_wall(engine: Engine) -> None:
    """Reconcile every ten seconds of market time, as on the wall, and not once in so many rows."""

    async def often() -> None:
        while not engine.desk.stopping:
            await engine.desk.clock.sleep(10)
            await engine._reconcile()

    engine.desk.spawn(often(), "reconcile as on the wall")


class Story(NamedTuple):
    """One fault of the catalogue as the engine meets it."""

    faults: tuple[tuple[str, float, float | None], ...]
    """Name, chance, argument."""
    sets: tuple[str, ...] = ()
    proves: Callable[[Played], Any] = lambda played: True


def _ends(*outcomes: Outcome) -> Callable[[Played], Any]:
    return lambda played: {a.outcome for a in played.records.attempts} >= set(outcomes)


def _told(*states: str) -> Callable[[Played], Any]:
    return lambda played: {e.event.state for e in played.notes(OrderAttempt)} >= set(states)


def _alarmed(*names: str) -> Callable[[Played], Any]:
    return lambda played: {e.event.name for e in played.notes(AlertFired)} >= set(names)


STORIES = {
    "f1": Story((("lost_request", 0.3, None),), proves=_ends(Outcome.NOT_PLACED, Outcome.FILLED)),
    "f2": Story((("lost_ack", 0.4, None),), proves=_told("UNKNOWN")),
    "f3": Story((("late_request", 0.3, 4_000),), proves=_told("UNKNOWN")),
    "f4": Story((("late_request", 0.3, 6_000),), proves=_ends(Outcome.NOT_PLACED)),
    "f5": Story((("http_502_accepted", 0.2, None), ("http_504_accepted", 0.2, None)), proves=_told("UNKNOWN")),
    "f6": Story((("duplicate_fills", 0.6, None),), ("twin.manners=mexc", "twin.ack_without_status=true")),
    "f7": Story((("stale_executed", 0.5, None), ("read_lag", 0.3, 2_000)), ("twin.ack_without_status=true",)),
    "f8": Story((("lost_ack", 0.3, None), ("not_found_for", 0.9, 12_000)), ("twin.read_lag_ms=12000",)),
    "f9": Story((("partial_fill", 0.8, 0.1),), ("twin.depth_levels=60", "twin.manners=mexc")),
    "f10": Story((("cancel_refused_filled", 0.6, None), ("late_fills", 0.3, 2_000)), ("twin.manners=mexc",)),
    "f11": Story((("cancel_refused_filled", 1.0, None),), proves=_ends(Outcome.FILLED)),
    "f12": Story((("cancel_lost", 0.4, None), ("cancel_502", 0.3, None), ("cancel_dropped", 0.3, None))),
    "f15": Story((("rate_limited", 0.05, 3), ("banned", 0.02, 60))),
    "f16": Story((("clock_skew", 0.3, 2_000),)),
    "f17": Story((("truncated_body", 0.2, None), ("empty_object", 0.1, None), ("null_body", 0.2, None))),
    "f18": Story((("html_200", 0.2, None), ("http_403", 0.1, None), ("http_502", 0.1, None))),
    "f23": Story((("maintenance", 0.04, 40_000),)),
    "f24": Story((("balance_lag", 0.8, 4_000),), ("twin.read_lag_ms=4000",)),
    "f25": Story((), ("twin.fee_in=other", "account.opening={USDT=10000,BNB=5}")),
    "f26": Story((), ("twin.fee_in=base",)),
    "f27": Story((("insufficient_30005", 0.3, None),), ("twin.manners=mexc",), _ends(Outcome.REJECTED)),
    "f45": Story((("wrong_echo", 0.4, None), ("wrong_id", 0.3, None)), proves=_told("UNKNOWN")),
    "late_words": Story((("ack_without_status", 1.0, None), ("unmapped_status", 0.3, None))),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_each_fault_of_the_catalogue_settles(tmp_path, name):
    story, hits = STORIES[name], []

    def begin(engine: Engine) -> None:
        faults = twin_of(engine).faults
        as_on_the_wall(engine)
        for fault, chance, argument in story.faults:
            faults.sometimes(fault, chance, argument)
        at(engine, row_close_ms(ROWS - CALM_ROWS), faults.clear)
        hits.append(faults)

    played = play(scene_of(11, *story.sets), tmp_path / "state", begin=begin)
    for fault, _, _ in story.faults:
        assert hits[0].happened[fault] > 0, fault
    assert played.summary["orders_sent"] > 5
    check_settled(played)
    assert story.proves(played)


def test_f28_an_order_that_would_meet_our_own_ends_with_a_reason(tmp_path):
    """Self-trade prevention: somebody's order of the same account stands at the best price when ours comes."""

    def begin(engine: Engine) -> None:
        twin = twin_of(engine)
        twin.outside.deposit("AAA", Decimal(50))
        real = twin.engine.place

        def prevents(*arguments: Any, **named: Any) -> Any:
            return real(*arguments, **named, self_trade=SelfTrade.EXPIRE_TAKER)

        twin.engine.place = prevents

        def stand() -> None:
            price = twin.peek_book(A).best_ask - engine.desk.instruments[A].tick_size
            twin.outside.place(NewOrder("by-hand", A, Side.SELL, GTC, price, Decimal(40)))

        at(engine, row_close_ms(1) + 5, stand)

    source = ScriptedSource({A: wandering(random.Random(2), 8, volume=40)})
    guests = [wisher({1: (A,)}), sizer("3"), allower(), router((IOC, "30", 2_000), (IOC, "40", 2_000))]
    played = play(Scene(source, guests, ("market.between_closes=false",)), tmp_path / "state", begin=begin)
    ours = [order for order in played.truth.orders if not order.foreign]
    assert "EXPIRED_IN_MATCH" in [order.status for order in ours]
    for attempt in played.records.attempts:
        assert attempt.outcome in {Outcome.EXPIRED, Outcome.FILLED, Outcome.CANCELED}
        assert attempt.code
    assert played.summary["pending"] == []


# Any sequence ----------------------------------------------------------------------------------------------------

NAMES = sorted({fault for story in STORIES.values() for fault, _, _ in story.faults} - {"clock_skew"})
ARGUMENTS = {"maintenance": 20_000, "not_found_for": 8_000, "read_lag": 2_000, "late_fills": 3_000,
             "balance_lag": 2_000, "late_request": 3_000, "banned": 20, "rate_limited": 2,
             "partial_fill": 0.3}  # fmt: skip
MOMENTS = st.lists(
    st.tuples(
        st.integers(0, (ROWS - CALM_ROWS - 1) * 60_000), st.sampled_from(NAMES), st.integers(1, 4),
    ), min_size=1, max_size=14,
)  # fmt: skip


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6), moments=MOMENTS, manners=st.sampled_from(["plain", "binance", "mexc"]),
    fee_in=st.sampled_from(["quote", "base", "other"]),
)  # fmt: skip
def test_any_sequence_of_faults_settles(seed, moments, manners, fee_in):
    """Faults at any moments, in any order, some times each: pending 0, nothing doubled, ledger = truth."""

    def begin(engine: Engine) -> None:
        faults = twin_of(engine).faults
        as_on_the_wall(engine)
        for after_ms, name, times in moments:
            at(engine, row_close_ms(0) + after_ms, lambda n=name, t=times: faults.once(n, ARGUMENTS.get(n), t))
        at(engine, row_close_ms(ROWS - CALM_ROWS), faults.clear)

    sets = (f"twin.manners={manners}", f"twin.fee_in={fee_in}", "account.opening={USDT=10000,BNB=9}")
    with tempfile.TemporaryDirectory() as folder:
        check_settled(play(scene_of(seed, *sets), Path(folder) / "state", begin=begin))
