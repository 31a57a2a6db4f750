"""Guests that raise, exit, lie or answer nonsense: each hook gives silence its meaning, and nothing gets out."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore import (
    Check,
    Done,
    Job,
    JobAnswer,
    Keep,
    OrderRequest,
    Plan,
    Reason,
    Size,
    TimeInForce,
    Tune,
    Verdict,
    Wishes,
    hookimpl,
)
from tradecore.model.units import Side, SignalId

FAULTS = [
    ValueError("no such key"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    RecursionError("deep"),
    MemoryError(),
]


class Hostile(Exception):
    """An error whose own text raises."""

    def __str__(self):
        raise SystemExit("gotcha")


def answering(base, hook, answer, title="bad"):
    """A guest class whose hook returns `answer`, or raises it."""

    class Bad(base):
        name = title

    def give():
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    impls = {
        "signal": lambda self, frame: give(),
        "follow": lambda self, frame: give(),
        "size": lambda self, signal: give(),
        "risk_check": lambda self, intent: give(),
        "route_order": lambda self, intent: give(),
        "jobs": lambda self: give(),
        "universe": lambda self, instruments: give(),
    }
    setattr(Bad, hook, hookimpl(impls[hook]))
    return Bad


def shaped(**changes):
    good = Wishes(np.zeros((2, 2)), "<=", 0.0, "%", "drop")
    return good._replace(**changes)


BAD_WISHES = [
    (None, "expected Wishes, was None"),
    ([], "expected Wishes, was list"),
    (tuple(shaped()), "expected Wishes, was tuple"),
    (shaped(value=[[0.0]]), "expected value to be an array, was list"),
    (shaped(value=np.zeros((3, 2))), "expected value of shape (2, 2), was (3, 2)"),
    (shaped(value=np.zeros((2, 2), dtype=bool)), "expected value of float64, was bool"),
    (shaped(value=np.full((2, 2), np.inf)), "expected value to be finite or NaN"),
    (shaped(op="<"), "expected op to be <= or >="),
    (shaped(threshold=np.zeros(3)), "expected threshold to fit (2, 2)"),
    (shaped(threshold=float("nan")), "expected threshold to be finite"),
    (shaped(threshold="2"), "expected threshold to be an array, was str"),
    (shaped(strength=1.5), "expected strength from 0 to 1"),
    (shaped(strength=float("nan")), "expected strength from 0 to 1"),
    (shaped(unit=""), "expected unit to say something"),
    (shaped(reason=None), "expected reason to be text"),
    (shaped(expires_after_ms=0), "expected expires_after_ms from 1"),
    (shaped(expires_after_ms=1.5), "expected expires_after_ms to be a whole number"),
    (shaped(side="buy?"), "expected side to be a Side"),
    (shaped(group=np.zeros((2, 2))), "expected group of int64"),
    (shaped(group=np.full((2, 2), -2)), "expected group of -1"),
    (shaped(quote_wanted=-1.0), "expected quote_wanted to be > 0 or NaN"),
    (shaped(stop_price=np.full((2, 2), np.inf)), "expected stop_price to be > 0 or NaN"),
]


@pytest.mark.parametrize(("answer", "said"), BAD_WISHES)
def test_a_wisher_that_answers_nonsense_wishes_nothing(seat, base, words, answer, said):
    class Good(base):
        @hookimpl
        def signal(self, frame, rows):
            return shaped()

    calls = seat(answering(base, "signal", answer), Good)
    answers = calls.signals(words.frame, range(2))
    assert [name for name, wishes in answers.wishers if wishes is None] == ["bad"]
    assert answers.wishers[1][1] is not None
    (fault,) = calls.ear.faults
    assert (fault.plugin, fault.hook, fault.faults) == ("bad", "signal", 1)
    assert said in fault.fault


def test_nan_is_no_answer_and_no_fault(seat, base, words):
    value = np.array([[np.nan, 1.0], [0.5, np.nan]])
    strength = np.where(np.isnan(value), np.nan, 0.5)
    calls = seat(answering(base, "signal", shaped(value=value, strength=strength, quote_wanted=np.full(2, np.nan))))
    ((_, wishes),) = calls.signals(words.frame, range(2)).wishers
    assert not wishes.hits()[np.isnan(value)].any()
    assert calls.ear.faults == []


def test_a_filter_that_fails_is_named_with_its_scope(seat, base, words):
    class Shut(base):
        role = "filter"
        applies_to = ("bad",)

        @hookimpl
        def signal(self, frame):
            raise ValueError("no model")

    answers = seat(answering(base, "signal", shaped()), Shut).signals(words.frame, range(2))
    assert answers.filters == (("shut", ("bad",), None),)


def test_wishes_are_the_cores_own_copy(seat, base, words):
    kept = np.zeros((2, 2))
    ((_, wishes),) = seat(answering(base, "signal", shaped(value=kept))).signals(words.frame, range(2)).wishers
    kept[:] = 99.0
    assert wishes.value.max() == 0.0
    with pytest.raises(ValueError, match="read-only"):
        wishes.value[0, 0] = 1.0


BAD_PLANS = [
    ({}, "expected Plan or None, was dict"),
    (Plan(stop=[1.0, 1.0]), "expected stop to be an array"),
    (Plan(take=np.ones(3)), "expected take of shape (2,)"),
    (Plan(stop=np.array([-1.0, 1.0])), "expected stop to be > 0 or NaN"),
    (Plan(stop=np.array([np.inf, 1.0])), "expected stop to be > 0 or NaN"),
    (Plan(leave=np.ones(2)), "expected leave of bool"),
    (Plan(leave_at_ms=1.5), "expected leave_at_ms to be a whole number"),
    (Plan(stop_reason="STOP"), "expected stop_reason to be a Reason"),
    (Plan(stop_reason=(Reason.STOP_LOSS,)), "expected stop_reason of 2 reasons"),
    (Plan(add=np.ones(2)), "expected add_quote where add names a price"),
    (Plan(add=np.ones(2), add_quote=-5.0), "expected add_quote to be > 0 or NaN"),
    (Plan(memo={"peak": 1.0}), "expected memo of text to text"),
    (Plan(inputs=None), "expected inputs to be a mapping"),
]


@pytest.mark.parametrize(("answer", "said"), [*BAD_PLANS, *((error, type(error).__name__) for error in FAULTS)])
def test_a_follow_guest_that_fails_halts_entries_and_the_others_still_lead(seat, base, words, answer, said):
    class Good(base):
        @hookimpl
        def follow(self, frame, rows, position):
            return Plan(stop=np.full(len(rows), 1.4))

    calls = seat(answering(base, "follow", answer), Good)
    answers = calls.follow(words.frame, range(2), words.position)
    assert answers.faulted
    assert [name for name, _ in answers.plans] == ["good"]
    assert said in calls.ear.faults[0].fault


BAD_SIZES = [
    (Size(1.0, "float"), "expected quantity to be Decimal, was float"),
    (Size(Decimal("NaN"), "nan"), "expected quantity >= 0, was NaN"),
    (Size(Decimal("Infinity"), "inf"), "expected quantity >= 0"),
    (Size(Decimal(-1), "negative"), "expected quantity >= 0"),
    (Size(Decimal(1), ""), "expected constraint to say something"),
    (Size(Decimal(1), "x", {"a": 1}), "expected inputs of text to text"),
    (Decimal(5), "expected Size, was Decimal"),
]


@pytest.mark.parametrize(("answer", "said"), [*BAD_SIZES, *((error, type(error).__name__) for error in FAULTS)])
def test_a_sizing_guest_that_fails_denies_although_another_answers(seat, base, words, answer, said):
    calls = seat(answering(base, "size", answer), answering(base, "size", Size(Decimal(1), "fixed"), "good"))
    result = calls.size(words.signal, words.portfolio, words.instrument, words.market)
    assert result.best is None
    assert result.by == ""
    assert result.fault.startswith("bad.size: ")
    assert said in result.fault
    assert list(result.offers) == ["good"]


def test_no_sizing_guest_and_a_silent_one_deny(seat, base, words):
    asked = (words.signal, words.portfolio, words.instrument, words.market)
    assert seat().size(*asked) == (None, "", {}, "no sizing guest")
    silent = seat(answering(base, "size", None)).size(*asked)
    assert silent.best is None
    assert silent.fault == "bad.size: expected Size, was None"


def test_a_size_of_zero_is_an_answer(seat, base, words):
    calls = seat(answering(base, "size", Size(Decimal(0), "below minimum")))
    answer = calls.size(words.signal, words.portfolio, words.instrument, words.market)
    assert answer.best.quantity == 0
    assert answer.fault == ""


CHECK = Check("positions", Decimal(1), Decimal(10), "positions", False)
BAD_VERDICTS = [
    (True, "expected Verdict, was bool"),
    (Verdict([CHECK]), "expected checks to be a tuple, was list"),
    (Verdict((True,)), "expected checks of Check, was bool"),
    (Verdict((CHECK._replace(hit=np.bool_(False)),)), "expected hit of positions to be true or false"),
    (Verdict((CHECK._replace(hit=0),)), "expected hit of positions to be true or false, was int"),
    (Verdict((CHECK._replace(value=1.0),)), "expected value and threshold of positions to be finite Decimals"),
    (Verdict((CHECK._replace(threshold=Decimal("NaN")),)), "to be finite Decimals"),
    (Verdict((CHECK._replace(limit=""),)), "expected limit and unit"),
    (Verdict((), {"slippage_bps": Decimal(5)}), "expected caps out of notional_quote_max"),
    (Verdict((), {"slippage_bps_max": 5}), "expected slippage_bps_max to be Decimal, was int"),
    (Verdict((), {"slippage_bps_max": Decimal(-5)}), "expected slippage_bps_max >= 0"),
    (Verdict((), [("slippage_bps_max", Decimal(5))]), "expected caps to be a mapping"),
    (Verdict((), {}, {"a": None}), "expected inputs of text to text"),
]


@pytest.mark.parametrize(("answer", "said"), [*BAD_VERDICTS, *((error, type(error).__name__) for error in FAULTS)])
def test_r31_a_risk_guest_that_fails_denies_although_another_allows(seat, base, words, answer, said):
    calls = seat(answering(base, "risk_check", Verdict((), {"ttl_ms_max": Decimal(9)}), "good"),
                 answering(base, "risk_check", answer))  # fmt: skip
    result = calls.risk(words.intent, words.portfolio, words.market)
    assert not result.allowed
    assert result.denied_by == "bad"
    assert result.denied is None
    assert said in result.fault
    assert result.caps["ttl_ms_max"].plugin == "good"


def test_r31_no_risk_guest_and_a_silent_one_deny(seat, base, words):
    asked = (words.intent, words.portfolio, words.market)
    nobody = seat().risk(*asked)
    assert not nobody.allowed
    assert nobody.fault == "no risk guest"
    silent = seat(answering(base, "risk_check", None)).risk(*asked)
    assert not silent.allowed
    assert silent.fault == "bad.risk_check: expected Verdict, was None"


def test_r31_the_check_that_was_hit_is_named(seat, base, words):
    hit = CHECK._replace(limit="exposure", value=Decimal(90), threshold=Decimal(80), hit=True)
    calls = seat(answering(base, "risk_check", None, "mute"),
                 answering(base, "risk_check", Verdict((CHECK, hit, hit._replace(limit="later")))))  # fmt: skip
    result = calls.risk(words.intent, words.portfolio, words.market)
    assert not result.allowed
    assert (result.denied_by, result.denied.limit) == ("bad", "exposure")
    assert len(result.checks) == 3


REQUEST = OrderRequest(TimeInForce.IOC, Decimal("1.5"), Decimal(10), 2_000, "IOC")
BAD_ROUTES = [
    ("IOC", "expected OrderRequest, Done or None, was str"),
    (REQUEST._replace(time_in_force="IOC"), "expected time_in_force to be a TimeInForce"),
    (REQUEST._replace(price=1.5), "expected price to be Decimal, was float"),
    (REQUEST._replace(price=Decimal(0)), "expected price > 0"),
    (REQUEST._replace(price=Decimal("NaN")), "expected price > 0"),
    (REQUEST._replace(quantity=Decimal(-1)), "expected quantity > 0"),
    (REQUEST._replace(ttl_ms=0), "expected ttl_ms from 1 to 86400000, was 0"),
    (REQUEST._replace(ttl_ms=86_400_001), "expected ttl_ms from 1 to 86400000"),
    (REQUEST._replace(ttl_ms=True), "expected ttl_ms to be a whole number, was bool"),
    (REQUEST._replace(label=None), "expected label to be text"),
    (REQUEST._replace(post_only=1), "expected post_only to be true or false"),
    (Done("FINISHED"), "expected reason to be a Reason"),
]


@pytest.mark.parametrize(("answer", "said"), [*BAD_ROUTES, *((error, type(error).__name__) for error in FAULTS)])
@pytest.mark.parametrize("router", ["", "bad"])
def test_a_router_that_fails_is_named_and_nobody_takes_its_place(seat, base, words, answer, said, router):
    calls = seat(answering(base, "route_order", answer), answering(base, "route_order", REQUEST, "good"))
    for intent in (words.intent, words.exit):
        result = calls.route(intent, words.book, (), words.t0, router)
        assert result.router == "bad"
        assert result.answer is None
        assert result.fault.startswith("bad.route_order: ")
        assert said in result.fault


def test_a_router_that_is_gone_or_says_not_mine_later_is_a_fault_of_the_answer(seat, base, words):
    calls = seat(answering(base, "route_order", None), answering(base, "route_order", REQUEST, "good"))
    assert calls.route(words.exit, None, (), words.t0, "bad").fault == (
        "bad.route_order: expected OrderRequest or Done, was None"
    )
    assert calls.route(words.exit, None, (), words.t0, "left").fault == (
        "left.route_order: expected the guest that took it, was not here"
    )
    assert calls.ear.faults == []


def test_no_router_takes_it(seat, base, words):
    assert seat().route(words.intent, None, (), words.t0, "") == ("", None, "")
    nobody = seat(answering(base, "route_order", None))
    assert nobody.route(words.exit, None, (), words.t0, "") == ("", None, "")


def test_a_quarantined_router_is_passed_over_until_it_is_the_only_one(seat, base, words):
    both = seat(answering(base, "route_order", REQUEST), answering(base, "route_order", REQUEST, "good"))
    both.restore([("bad", "route_order")])
    assert both.route(words.exit, None, (), words.t0, "") == ("good", REQUEST, "")
    assert both.route(words.exit, None, (), words.t0, "bad").fault == "bad.route_order: quarantined"
    alone = seat(answering(base, "route_order", REQUEST))
    alone.restore([("bad", "route_order")])
    assert alone.route(words.exit, None, (), words.t0, "") == ("", None, "bad.route_order: quarantined")


@pytest.mark.parametrize("hook", ["size", "risk_check"])
def test_a_quarantined_gate_is_shut(seat, base, words, hook):
    good = Size(Decimal(1), "fixed") if hook == "size" else Verdict()
    calls = seat(answering(base, hook, good), answering(base, hook, good, "other"))
    calls.restore([("bad", hook)])
    if hook == "size":
        answer = calls.size(words.signal, words.portfolio, words.instrument, words.market)
        assert answer.best is None
    else:
        answer = calls.risk(words.intent, words.portfolio, words.market)
        assert not answer.allowed
    assert answer.fault == f"bad.{hook}: quarantined"


BAD_JOBS = [
    (None, "expected a sequence of Job, was None"),
    ("look", "expected a sequence of Job, was str"),
    ([1], "expected Job, was int"),
    ([Job("", 1, len)], "expected name to say something"),
    ([Job("a", 1, len), Job("a", 1, len)], "expected jobs of different names, was 'a' twice"),
    ([Job("a", 0, len)], "expected interval_s of a to be > 0 s"),
    ([Job("a", float("nan"), len)], "expected interval_s of a to be > 0 s"),
    ([Job("a", 1, None)], "expected ask of a to be a function"),
]


@pytest.mark.parametrize(("answer", "said"), BAD_JOBS)
def test_a_guest_with_bad_jobs_has_none(seat, base, answer, said):
    calls = seat(answering(base, "jobs", answer), answering(base, "jobs", [Job("fine", 5, len)], "good"))
    assert [plugin for plugin, _ in calls.jobs()] == ["good"]
    assert said in calls.ear.faults[0].fault


async def late_answer():
    return JobAnswer()


def test_a_job_proposes_or_is_silent(seat, base, words):
    good = words.signal._replace(plugin="bad", signal_id=SignalId("x"))
    bad_answers = [
        ("text", "expected JobAnswer or None, was str"),
        (late_answer, "expected JobAnswer or None, was coroutine"),
        (JobAnswer(({"a": 1},)), "expected tunes of Tune"),
        (JobAnswer((Tune("threshold", 1, "why"),)), "expected setting to be plugin.key"),
        (JobAnswer((Tune("a.b", Decimal(1), "why"),)), "expected value to be text, a number or a flag"),
        (JobAnswer((), (good._replace(plugin="other"),)), "expected plugin of a signal to be 'bad'"),
        (JobAnswer((), (good._replace(price=1.5),)), "expected price to be Decimal"),
        (JobAnswer((), (good._replace(side="up"),)), "expected side to be a Side"),
        (JobAnswer((), (good._replace(fraction=Decimal(2)),)), "expected fraction of at most 1"),
        (JobAnswer((), (good._replace(strength=float("nan")),)), "expected strength to be finite"),
        (JobAnswer((), (good._replace(tag=None),)), "expected tag to be text"),
        (JobAnswer((), (good._replace(position_id=7),)), "expected position_id to be text or None"),
        (JobAnswer((), (), {"a": object()}), "expected state that JSON can hold"),
        (JobAnswer((), (), {"a": float("nan")}), "expected state that JSON can hold"),
        (SystemExit(), "SystemExit"),
    ]
    for answer, said in bad_answers:

        def ask(portfolio, market, last, answer=answer):
            if isinstance(answer, BaseException):
                raise answer
            return answer() if callable(answer) else answer

        calls = seat(answering(base, "jobs", [Job("look", 5, ask)]))
        ((plugin, job),) = calls.jobs()
        assert calls.ask_job(plugin, job, words.portfolio, words.market, None) is None
        assert said in calls.ear.faults[0].fault, answer
    assert good.side is Side.BUY


def test_a_job_cannot_change_what_it_is_handed(seat, base, words):
    def ask(portfolio, market, last):
        last["deep"].append(2)
        return JobAnswer(state=last)

    calls = seat(answering(base, "jobs", [Job("look", 5, ask)]))
    stored = {"deep": [1]}
    ((plugin, job),) = calls.jobs()
    assert calls.ask_job(plugin, job, words.portfolio, words.market, stored).state == {"deep": [1, 2]}
    assert stored == {"deep": [1]}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "expected a sequence of Keep, was None"),
        ([("AAA/USDT", False)], "expected Keep, was tuple"),
        ([Keep("ZZZ/USDT", False, "why")], "expected symbol out of those asked about"),
        ([Keep("AAA/USDT", 0, "why")], "expected keep of AAA/USDT to be true or false"),
        ([Keep("AAA/USDT", False, "")], "expected reason to say something"),
        (ValueError("x"), "ValueError: x"),
    ],
)
def test_a_universe_guest_that_fails_removes_nothing(seat, base, words, answer, said):
    calls = seat(answering(base, "universe", answer))
    assert calls.universe({"AAA/USDT": words.instrument}, {}, words.market) == ()
    assert said in calls.ear.faults[0].fault


def test_an_error_whose_text_raises_is_a_fault_as_any(seat, base, words):
    calls = seat(answering(base, "risk_check", Hostile()))
    assert calls.risk(words.intent, words.portfolio, words.market).fault == (
        "bad.risk_check: Hostile: its text could not be read"
    )


def test_an_answer_whose_insides_raise_is_a_fault_as_any(seat, base, words):
    class Trap(dict):
        def items(self):
            raise KeyboardInterrupt

    calls = seat(answering(base, "risk_check", Verdict((), Trap(a=1))))
    assert not calls.risk(words.intent, words.portfolio, words.market).allowed
    assert calls.ear.faults[0].fault == "KeyboardInterrupt"


def test_guests_cannot_write_into_what_they_are_handed(seat, base, words):
    tried = []

    class Writer(base):
        @hookimpl
        def risk_check(self, intent, portfolio, market):
            for mapping in (
                intent.caps, portfolio.marks, portfolio.dust, portfolio.fill_rate_24h, portfolio.quote_rates,
                portfolio.positions[0].memo, portfolio.positions[0].levels.inputs, portfolio.pending[0].caps,
            ):  # fmt: skip
                with pytest.raises(TypeError):
                    mapping["x"] = 1
                tried.append(mapping)
            with pytest.raises(ValueError, match="read-only"):
                market.frame.close[0, 0] = 9.0
            return Verdict()

        @hookimpl
        def follow(self, frame, rows, position):
            with pytest.raises(TypeError):
                position.memo["x"] = "y"

        @hookimpl
        def universe(self, instruments, quotes):
            with pytest.raises(TypeError):
                instruments["x"] = 1
            return []

    calls = seat(Writer)
    assert calls.risk(words.intent, words.portfolio, words.market).allowed
    calls.follow(words.frame, range(2), words.position)
    calls.universe({"AAA/USDT": words.instrument}, {}, words.market)
    assert len(tried) == 8
    assert calls.ear.faults == []


def test_a_guest_may_pick_its_arguments_in_any_order(seat, base, words):
    class Picky(base):
        @hookimpl
        def route_order(self, now_ms, intent):
            assert now_ms == words.t0
            assert intent.intent_id == "i1"
            return REQUEST

    assert seat(Picky).route(words.intent, None, (), words.t0, "").answer == REQUEST


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), st.just(object), st.just(np.zeros((2, 2))),
    st.builds(Wishes, value=st.one_of(st.floats(), st.just(np.zeros((2, 2)))), op=st.text(), threshold=st.floats(),
              unit=st.text(), reason=st.text(), strength=st.one_of(st.floats(), st.none())),
    st.builds(Plan, stop=st.one_of(st.floats(), st.just(np.zeros(2))), leave_at_ms=st.floats(), memo=st.text()),
    st.builds(Size, quantity=st.one_of(st.decimals(), st.floats()), constraint=st.one_of(st.text(), st.none())),
    st.builds(Verdict, checks=st.one_of(st.none(), st.tuples(st.integers())), caps=st.one_of(st.none(), st.text())),
    st.builds(OrderRequest, time_in_force=st.text(), price=st.decimals(), quantity=st.floats(), ttl_ms=st.integers(),
              label=st.none(), post_only=st.none()),
    st.builds(JobAnswer, tunes=st.one_of(st.none(), st.integers()), signals=st.text(), state=st.text()),
    st.sampled_from(FAULTS),
)  # fmt: skip


@given(answer=JUNK)
def test_no_answer_gets_out_or_opens_a_gate(seat, base, words, answer):
    """Whatever a guest answers, nothing raises, and only a well-formed answer can allow or ask for anything."""
    hooks = ("signal", "follow", "size", "risk_check", "route_order", "jobs", "universe")
    calls = seat(*(answering(base, hook, lambda: _give(answer), hook) for hook in hooks))
    calls.signals(words.frame, range(2))
    calls.follow(words.frame, range(2), words.position)
    size = calls.size(words.signal, words.portfolio, words.instrument, words.market)
    risk = calls.risk(words.intent, words.portfolio, words.market)
    route = calls.route(words.exit, words.book, (), words.t0, "")
    calls.jobs()
    calls.universe({words.symbol: words.instrument}, {}, words.market)
    assert (size.best is None) == bool(size.fault)
    assert size.best is None or size.best.quantity >= 0
    assert not risk.allowed
    assert route.answer is None


def _give(answer):
    if isinstance(answer, BaseException):
        raise answer
    return answer


@given(quantities=st.lists(st.decimals(min_value=0, max_value=10**9, places=8), min_size=1, max_size=5))
def test_the_smallest_size_binds_and_the_first_of_equals(seat, base, words, quantities):
    makers = [answering(base, "size", Size(q, "rule"), f"g{i}") for i, q in enumerate(quantities)]
    answer = seat(*makers).size(words.signal, words.portfolio, words.instrument, words.market)
    assert answer.best.quantity == min(quantities)
    assert answer.by == f"g{quantities.index(min(quantities))}"


@given(caps=st.lists(st.decimals(min_value=0, max_value=1000, places=2), min_size=1, max_size=5))
def test_the_tightest_cap_binds_with_its_guest(seat, base, words, caps):
    makers = [
        answering(base, "risk_check", Verdict((), {"slippage_bps_max": cap}), f"g{i}") for i, cap in enumerate(caps)
    ]
    answer = seat(*makers).risk(words.intent, words.portfolio, words.market)
    assert answer.caps["slippage_bps_max"][:2] == (min(caps), f"g{caps.index(min(caps))}")
