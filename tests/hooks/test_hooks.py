"""Every hook once as it should be; the bad ways are in the files beside this one."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np

from tradecore import (
    Check,
    Done,
    Job,
    JobAnswer,
    Keep,
    Plan,
    Reason,
    Resources,
    Size,
    Tune,
    Verdict,
    Wishes,
    hookimpl,
)
from tradecore.hooks.specs import HOOKS
from tradecore.model.events import Heartbeat, SlowCycle, Stamped


def test_hook_signal(seat, base, words):
    class Drop(base):
        warmup: Mapping[str, str] = {"base": "3m"}

        @hookimpl
        def signal(self, frame, rows):
            return Wishes(frame.close[rows.start : rows.stop] - 1.5, "<=", 0.0, "quote", "below 1.5")

    class Quiet(base):
        role = "filter"
        applies_to = ("drop",)

        @hookimpl
        def signal(self, rows, frame):
            return Wishes(np.ones((len(rows), len(frame.symbols))), ">=", 0.5, "ratio", "always")

    calls = seat(Drop, Quiet)
    answers = calls.signals(words.frame, range(1, 4))
    assert [name for name, _ in answers.wishers] == ["drop"]
    assert [(name, scope) for name, scope, _ in answers.filters] == [("quiet", ("drop",))]
    wishes = answers.wishers[0][1]
    assert wishes.value.shape == (3, 2)
    assert wishes.hits().tolist() == (words.frame.close[1:4] <= 1.5).tolist()
    assert answers.filters[0][2].hits().all()
    assert calls.warmup_rows(60_000) == 3
    assert calls.warmup_rows(30_000) == 6
    assert calls.warmup_rows(60_000, "1h") == 0


def test_hook_follow(seat, base, words):
    class Exits(base):
        @hookimpl
        def follow(self, frame, rows, position):
            stop = np.full(len(rows), float(position.average_price) * 0.98)
            return Plan(
                stop=stop, stop_reason=(Reason.STOP_LOSS,) * len(rows), leave_at_ms=np.int64(5), memo={"a": "b"}
            )

    class NotMine(base):
        @hookimpl
        def follow(self, position):
            return None

    answers = seat(NotMine, Exits).follow(words.frame, range(3, 5), words.position)
    assert not answers.faulted
    ((name, plan),) = answers.plans
    assert name == "exits"
    assert plan.stop.tolist() == [1.47, 1.47]
    assert plan.leave_at_ms == 5
    assert type(plan.leave_at_ms) is int


def test_hook_size(seat, base, words):
    class Large(base):
        @hookimpl
        def size(self, signal):
            return Size(Decimal(20), "amount")

    class Small(base):
        @hookimpl
        def size(self, market, signal, portfolio, instrument):
            return Size(instrument.lot_size, "one lot", {"free": str(portfolio.free)})

    class AlsoSmall(base):
        @hookimpl
        def size(self, instrument):
            return Size(instrument.lot_size, "the same")

    answer = seat(Large, Small, AlsoSmall).size(words.signal, words.portfolio, words.instrument, words.market)
    assert answer.best.quantity == Decimal("0.1")
    assert answer.by == "small"
    assert list(answer.offers) == ["large", "small", "alsosmall"]
    assert answer.fault == ""


def test_hook_risk_check(seat, base, words):
    class Wide(base):
        @hookimpl
        def risk_check(self, intent, portfolio, market):
            caps = {"slippage_bps_max": Decimal(50), "spread_bps_max": Decimal(20)}
            return Verdict((Check("positions", Decimal(1), Decimal(10), "positions", False),), caps)

    class Tight(base):
        @hookimpl
        def risk_check(self, intent):
            return Verdict((), {"slippage_bps_max": Decimal(15)}, {"spread": "18"})

    class Easy(base):
        @hookimpl
        def risk_check(self):
            return Verdict()

    answer = seat(Wide, Tight, Easy).risk(words.intent, words.portfolio, words.market)
    assert answer.allowed
    assert {name: (cap.value, cap.plugin) for name, cap in answer.caps.items()} == {
        "slippage_bps_max": (Decimal(15), "tight"),
        "spread_bps_max": (Decimal(20), "wide"),
    }
    assert [(fact.plugin, fact.limit) for fact in answer.checks] == [("wide", "positions")]
    assert answer.inputs == {"tight.spread": "18"}


def test_hook_route_order(seat, base, words):
    class NotMine(base):
        @hookimpl
        def route_order(self, intent):
            return None

    class Ladder(base):
        @hookimpl
        def route_order(self, intent, book, attempts, now_ms):
            return Done(Reason.LADDER_EXHAUSTED) if attempts else words.request

    class Never(base):
        @hookimpl
        def route_order(self, intent):
            raise AssertionError("asked although another took it")

    calls = seat(NotMine, Ladder, Never)
    first = calls.route(words.intent, words.book, (), words.t0, "")
    assert first == ("ladder", words.request, "")
    again = calls.route(words.intent, None, ("an attempt",), words.t0, "ladder")
    assert again == ("ladder", Done(Reason.LADDER_EXHAUSTED), "")


def test_hook_jobs(seat, base, words):
    class Adaptive(base):
        def look(self, portfolio, market, last):
            return JobAnswer((Tune("drop.threshold", 3, "low"),), (), {"runs": (last or {"runs": 0})["runs"] + 1})

        @hookimpl
        def jobs(self):
            return [Job("look", 60, self.look)]

    calls = seat(Adaptive)
    ((plugin, job),) = calls.jobs()
    assert (plugin, job.name, job.interval_s) == ("adaptive", "look", 60)
    first = calls.ask_job(plugin, job, words.portfolio, words.market, None)
    second = calls.ask_job(plugin, job, words.portfolio, words.market, first.state)
    assert second.state == {"runs": 2}
    assert second.tunes == (Tune("drop.threshold", 3, "low"),)


def test_hook_universe(seat, base, words):
    class Young(base):
        @hookimpl
        def universe(self, instruments):
            return [Keep(symbol, False, "listed yesterday") for symbol in instruments]

    class Fine(base):
        @hookimpl
        def universe(self, instruments, quotes):
            return []

    asked = ({words.symbol: words.instrument}, {words.symbol: words.book}, words.market)
    assert seat(Fine, Young).universe(*asked) == (("young", Keep(words.symbol, False, "listed yesterday")),)


def test_hook_universe_of_a_guest_that_fails_the_last_answer_stands(seat, base, words):
    class Moody(base):
        name = "moody"
        asked = 0

        @hookimpl
        def universe(self, instruments, market):
            Moody.asked += 1
            if Moody.asked == 2:
                raise ValueError("not today")
            return [Keep(symbol, False, f"after {Moody.asked}") for symbol in instruments] if Moody.asked < 3 else []

    calls = seat(Moody)
    asked = ({words.symbol: words.instrument}, {}, words.market)
    first = (("moody", Keep(words.symbol, False, "after 1")),)
    assert [calls.universe(*asked) for _ in range(3)] == [first, first, ()]
    assert calls.universe({}, {}, words.market) == ()


async def test_hook_on_start(seat, base, tmp_path):
    class Reader(base):
        name = "reader"

        @hookimpl
        async def on_start(self, resources):
            self.__class__.seen = resources

    resources = Resources(tmp_path, {"model": b"1"}, "run")
    calls = seat(Reader)
    await calls.start({"reader": resources})
    assert Reader.seen == resources
    assert calls.quarantined == frozenset()


async def test_hook_on_fill(seat, base, words):
    heard = []

    class Sync(base):
        @hookimpl
        def on_fill(self, fill, event_id):
            heard.append(("sync", fill.trade.venue_trade_id, event_id))

    class Async(base):
        @hookimpl
        async def on_fill(self, fill, intent, position, event_id):
            heard.append(("async", intent.intent_id, position.position_id))

    await seat(Sync, Async).tell("on_fill", words.fill, words.intent, words.position, "e1")
    assert heard == [("sync", "t1", "e1"), ("async", "i1", "p1")]


async def test_hook_on_fail(seat, base, words):
    heard = []

    class Notify(base):
        @hookimpl
        def on_fail(self, intent, reason, detail, event_id):
            heard.append((intent.intent_id, reason, detail, event_id))

    await seat(Notify).tell("on_fail", words.intent, Reason.NO_LIQUIDITY, "detail", "e2")
    assert heard == [("i1", Reason.NO_LIQUIDITY, "detail", "e2")]


async def test_hook_on_event(seat, base):
    heard = []

    class Metrics(base):
        events = frozenset({"slow_cycle"})

        @hookimpl
        def on_event(self, event):
            heard.append(event.event)

    calls = seat(Metrics)
    slow = SlowCycle("scan", "slow", 1200.0)
    await calls.tell("on_event", Stamped(1, slow))
    await calls.tell("on_event", Stamped(2, Heartbeat(1.0, 0.0, 0, 0, 0, 0, "ACTIVE")))
    assert heard == [slow]


async def test_hook_on_shutdown(seat, base):
    heard = []

    def maker(title):
        class One(base):
            name = title

            @hookimpl
            async def on_shutdown(self, reason):
                heard.append((title, reason))

        return One

    await seat(maker("a"), maker("b"), maker("c")).tell("on_shutdown", "end of data")
    assert heard == [("c", "end of data"), ("b", "end of data"), ("a", "end of data")]


def test_every_hook_has_a_test_of_its_name():
    tests = {
        node.name
        for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {f"test_hook_{hook}" for hook in HOOKS} <= tests
