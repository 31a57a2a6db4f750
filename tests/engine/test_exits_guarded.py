"""No guest can block, shrink or delay an exit: each misbehaviour is held against the same session without it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from tradecore.market.answers import Plan
from tradecore.model.events import PositionClosed, SellTriggerEval
from tradecore.model.order import Done, OrderRequest
from tradecore.model.position import PositionState
from tradecore.model.reasons import Reason
from tradecore.model.signal import Check, Size, Verdict
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import ScriptedSource, closing_at, leader, make_guest, router

A = "AAA/USDT"
IOC, GTC, FOK = TimeInForce.IOC, TimeInForce.GTC, TimeInForce.FOK
CLOSES = (100, 100, 100, 97, *(97,) * 6)
LATER_MS = 13_000
"""A router may waste so much: the attempts of one round of the core's ladder, each for its ttl (3 s), and its calls."""


def ask(tif=IOC, factor="1", quantity=None, ttl_ms=1_000, label="mine", post_only=False):
    """A router that fills entries plainly, and asks for this at exits."""

    def answer(intent, book):
        price = (book.best_bid or intent.price) * Decimal(factor)
        return OrderRequest(tif, price, Decimal(quantity or intent.quantity), ttl_ms, label, post_only)

    return answer


def raising(error):
    def answer(intent, book):
        raise error

    return answer


class Quits(BaseException):
    """What no guest should raise."""


ROUTERS = {
    "raises": raising(ValueError("broken")),
    "raises BaseException": raising(Quits("broken")),
    "exits the program": raising(SystemExit(1)),
    "interrupts": raising(KeyboardInterrupt()),
    "returns None": lambda intent, book: None,
    "is done at once": lambda intent, book: Done(Reason.FILLED, "nothing to do"),
    "asks a far price": ask(factor="50"),
    "asks a far price for ever": ask(GTC, "50", ttl_ms=86_400_000),
    "asks a tiny quantity": ask(quantity="0.001"),
    "asks a tiny quantity, resting far": ask(GTC, "1.2", "0.001", 86_400_000),
    "asks all or nothing beyond reach": ask(FOK, "1.5"),
    "asks post-only": ask(GTC, "1.001", ttl_ms=3_600_000, post_only=True),
    "asks post-only in vain": ask(GTC, "0.9", post_only=True),
    "asks a price of next to nothing": ask(factor="0.000001"),
    "asks too much": ask(quantity="1000000"),
    "calls itself the core": ask(GTC, "50", ttl_ms=86_400_000, label="core exit IOC 10 bps 1/4"),
    "answers garbage": lambda intent, book: {"price": 1},
    "answers a class": lambda intent, book: OrderRequest,
    "answers NaN": lambda intent, book: OrderRequest(IOC, Decimal("NaN"), intent.quantity, 1_000, "nan"),
    "answers float": lambda intent, book: OrderRequest(IOC, 97.0, 1.0, 1_000, "float"),
}


def entries_then(answer):
    """Routes entries plainly, exits by `answer`."""

    def route_order(intent, book, attempts):
        if intent.side is Side.BUY:
            return OrderRequest(IOC, book.best_ask * Decimal("1.002"), intent.quantity, 2_000, "in")
        return answer(intent, book)

    return make_guest("route", route_order=route_order)


def left_after(played):
    """Market time from the trigger to the end of the position, which is left in full."""
    (position,) = played.records.positions
    assert (position.state, position.quantity) == (PositionState.CLOSED, 0)
    assert position.sold_quantity + position.dust_quantity == position.bought_quantity
    assert position.dust_quantity * 97 < 5  # less than the venue takes: nothing that could be sold is left
    (trigger,), (closed,) = played.notes(SellTriggerEval), played.notes(PositionClosed)
    return (closed.at_ns - trigger.at_ns) // 1_000_000, trigger.at_ns


@pytest.fixture
def plain(run, scene):
    return left_after(run(scene(*CLOSES, guests=[leader(stop=0.99)], route=router((IOC, "20", 2_000))), "plain"))


@pytest.mark.parametrize("name", ROUTERS)
def test_router_cannot_hold_an_exit_up(run, scene, plain, name):
    played = run(scene(*CLOSES, guests=[leader(stop=0.99)], route=entries_then(ROUTERS[name])))
    took_ms, triggered_ns = left_after(played)
    assert triggered_ns == plain[1]
    assert took_ms <= plain[0] + LATER_MS
    # what it asked for stayed within bounds
    for attempt in played.records.attempts:
        if attempt.side is Side.SELL:
            assert attempt.request.ttl_ms <= 3_000
            assert not attempt.request.post_only


def test_router_that_turns_bad_halfway_is_left_behind(run, scene):
    """It sells a part, then asks for what never fills."""
    seen = []

    def answer(intent, book):
        seen.append(1)
        return ask()(intent, book) if len(seen) == 1 else ask(GTC, "9", ttl_ms=86_400_000)(intent, book)

    sets = ("twin.depth_quote=180",)
    plainly = run(scene(*CLOSES, guests=[leader(stop=0.99)], sets=sets), "plain")
    played = run(scene(*CLOSES, guests=[leader(stop=0.99)], route=entries_then(answer), sets=sets))
    (took_ms, _), (plain_ms, _) = left_after(played), left_after(plainly)
    assert len(seen) > 1
    assert took_ms <= plain_ms + LATER_MS


@pytest.mark.parametrize("fault", ["raises", "none", "denies", "nothing"])
@pytest.mark.parametrize("hook", ["size", "risk_check"])
def test_gates_are_not_asked_about_exits(run, scene, plain, hook, fault):
    """A sizing or risk guest that agrees once and then breaks is not even asked."""
    asked = []

    def turn(good, bad):
        asked.append(1)
        if len(asked) == 1:
            return good
        if fault == "raises":
            raise RuntimeError("broken")
        return None if fault == "none" else bad

    def size(signal):
        return turn(Size(Decimal(1), "once"), Size(Decimal(0), "no more"))

    def risk_check(intent):
        return turn(Verdict(), Verdict((Check("never", Decimal(1), Decimal(0), "", True),), {"ttl_ms_max": Decimal(0)}))

    gate = make_guest(hook.partition("_")[0], **{hook: {"size": size, "risk_check": risk_check}[hook]})
    gates = {"size": {"size": gate}, "risk_check": {"risk": gate}}[hook]
    played = run(scene(*CLOSES, guests=[leader(stop=0.99)], **gates))
    assert left_after(played) == plain
    assert len(asked) == 1


def shifting(ratio, **plan):
    def follow(frame, rows, position):
        return Plan(stop=np.full(len(rows), float(position.average_price) * ratio), **plan)

    return follow


FOLLOWERS = {
    "raises": lambda frame, rows, position: 1 / 0,
    "exits the program": lambda frame, rows, position: exit(1),
    "returns None": lambda frame, rows, position: None,
    "answers garbage": lambda frame, rows, position: "hold on",
    "lowers the stop": shifting(0.01),
    "never leaves": shifting(0.01, leave_at_ms=2**61),
    "answers a wrong shape": lambda frame, rows, position: Plan(stop=np.full(99, 1.0)),
    "answers NaN": lambda frame, rows, position: Plan(stop=np.full(len(rows), np.nan)),
    "answers infinity": lambda frame, rows, position: Plan(stop=np.full(len(rows), np.inf)),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", FOLLOWERS)
def test_follow_guest_cannot_take_away_the_levels_of_others(run, scene, plain, name, first):
    bad, good = make_guest("bad", follow=FOLLOWERS[name]), leader(stop=0.99)
    played = run(scene(*CLOSES, guests=[bad, good] if first else [good, bad]))
    assert left_after(played) == plain


def test_follow_guest_that_breaks_later_leaves_its_last_plan_in_force(run, scene, plain):
    asked = []

    def follow(frame, rows, position):
        asked.append(1)
        if len(asked) > 1:
            raise RuntimeError("broken")
        return Plan(stop=np.full(len(rows), float(position.average_price) * 0.99))

    played = run(scene(*CLOSES, guests=[make_guest("bad", follow=follow)]))
    assert left_after(played) == plain
    assert len(asked) > 1


def test_trailing_stop_moves_on_beside_a_broken_guest(run, scene):
    """The stop of a sound guest rises though another is quarantined: it is left near the top."""
    closes = (100, 100, 100, 104, 108, 112, 116, 120, 110, 110, 110)
    sets = (
        "exits.trailing_distance_pct=1", "exits.trailing_activation_pct=1", "exits.take_profit_pct=0",
        "exits.stop_loss_pct=5", "exits.time_to_live=off",
    )  # fmt: skip
    plainly = run(scene(*closes, guests=["exits"], sets=sets), "plain")
    broken = make_guest("bad", follow=FOLLOWERS["raises"])
    played = run(scene(*closes, guests=[broken, "exits"], sets=sets))
    assert left_after(played) == left_after(plainly)
    (closed,) = played.notes(PositionClosed)
    assert closed.event.reason == "TRAILING_STOP"
    assert closed.event.realised_pnl_quote > 5


def test_quarantined_router_no_longer_counts(run, scene):
    """Three positions are left while the router strikes out, a fourth after it."""
    symbols = [f"{letter * 3}/USDT" for letter in "ABCD"]
    source = ScriptedSource({symbol: closing_at(*CLOSES) for symbol in symbols})
    story = scene(source=source, buys={1: symbols}, guests=[leader(stop=0.99)], route=entries_then(ROUTERS["raises"]))
    played = run(story)
    assert played.summary["quarantined"] == ["route.route_order"]
    assert played.summary["positions_closed"] == 4


def test_tellers_that_hang_hold_nobody_up(run, scene, plain):
    """On virtual time a told guest may wait as long as it likes: trading goes on beside it."""

    def made(engine_clock):
        async def on_fill(fill):
            await engine_clock[0].sleep(3_600)

        return make_guest("slow", on_fill=on_fill)

    clock = []
    story = scene(*CLOSES, guests=[leader(stop=0.99), made(clock)])
    played = run(story, begin=lambda engine: clock.append(engine.desk.clock))
    assert left_after(played) == plain


def test_loop_of_orders_is_bounded(run, scene):
    """A router that asks the same vain order again and again is stopped by the core."""

    def route_order(intent):
        return OrderRequest(IOC, Decimal(90), intent.quantity, 1, "again")

    played = run(scene(*CLOSES, route=make_guest("route", route_order=route_order)))
    (row,) = played.records.intents
    assert row.reason is Reason.LADDER_EXHAUSTED
    assert len(played.records.attempts) == 40
