"""Telling hooks and jobs: fills of every kind, failures, events, start and shutdown within their deadlines."""

from __future__ import annotations

import asyncio
import enum
import tempfile
import threading
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from tradecore.clocks.clock import SystemClock
from tradecore.hooks.calls import Calls
from tradecore.hooks.guest import Guest
from tradecore.hooks.specs import Resources
from tradecore.model.events import REGISTRY, LateCall, PluginFault, Stamped
from tradecore.model.reasons import Reason
from tradecore.settings.sections import Deadlines
from tradecore.testing.contract.asking import Question, ask, ask_job, jobs_of, ordinary, universe_question
from tradecore.testing.contract.cards import PASSED, Broken, Result, card, failed, skipped
from tradecore.testing.contract.fingerprint import difference, fingerprint
from tradecore.testing.contract.subject import CANARY, Subject
from tradecore.testing.contract.values import fill_of, intent_of, market_of, portfolios, position_of
from tradecore.testing.contract.watchers import running_threads
from tradecore.testing.operating import StandInOperate

_FAMILY = "Telling, jobs and the end"
_NOW_MS: Final = 1_700_000_000_000
_TOLD: Final = ("on_start", "on_fill", "on_fail", "on_event", "on_shutdown")
_GRACE_S: Final = 0.2
"""For threads that end on their own once their work is done."""

Story = Callable[[Calls], Awaitable[None]]


class _Heard:
    """What the core was told of a guest while a story ran."""

    def __init__(self) -> None:
        self.faults: list[PluginFault] = []
        self.late: list[LateCall] = []
        self.tasks: list[str] = []
        self.threads: list[str] = []
        self.unfinished = 0


def tell(guest: Guest, story: Story) -> _Heard:
    """Tell a guest through the core's own door, on a loop of its own with the deadlines of the settings."""
    heard = _Heard()
    before = running_threads()

    async def run() -> None:
        calls = Calls(
            (guest,), clock=SystemClock(), deadlines_ms=Deadlines().model_dump(), virtual=False, strikes=1_000,
            on_fault=heard.faults.append, on_quarantine=lambda *facts: None, on_late=heard.late.append,
        )  # fmt: skip
        await story(calls)
        await asyncio.sleep(0)
        own = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not own]
        heard.unfinished = calls.unfinished
        heard.tasks = [task.get_name() for task in left]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    with asyncio.Runner() as runner:
        runner.run(run())
    left = [thread for thread in threading.enumerate() if thread.ident not in before and not _is_pool(thread)]
    for thread in left:
        thread.join(_GRACE_S)
    heard.threads = [thread.name for thread in left if thread.is_alive()]
    return heard


def _is_pool(thread: threading.Thread) -> bool:
    """A thread of the loop's own executor: the loop ends it."""
    return thread.name.startswith("asyncio_")


def _judge(heard: _Heard, about: str) -> Result:
    if heard.faults:
        fault = heard.faults[0]
        return failed(
            f"{fault.hook} faulted {about}: {fault.fault}; accept what it is told, perhaps late, twice or out of order"
        )
    if heard.late:
        late = heard.late[0]
        return failed(
            f"{late.hook} took {late.duration_ms:.0f} ms {about}, its deadline is {late.deadline_ms:g} ms; hand the "
            "work to a task"
        )
    return PASSED


def _resources(guest: Guest, folder: str, *, admitted: bool = True) -> Mapping[str, Resources]:
    secrets = {key: SecretStr(CANARY) for key in guest.secrets}
    operate = StandInOperate(guest.operates) if guest.operates and admitted else None
    return {guest.name: Resources(Path(folder), {}, "contract", secrets, operate)}


@card(
    "C60",
    "fills-in-any-order",
    _FAMILY,
    "Fills come in part, late, twice and out of order",
    hooks=("on_fill",),
    action=(
        "Tell of partial fills, of one again with its event id, of one that is older than the last, of one that "
        "belongs to no "
        "position, and of fills of an exit."
    ),
    expectation="No fault, each within the deadline.",
)
def fills_in_any_order(subject: Subject) -> Result:
    """Tell of every kind of fill."""

    async def story(calls: Calls) -> None:
        entry, leave = intent_of(_NOW_MS), intent_of(_NOW_MS + 60_000, sells=True)
        held = position_of(_NOW_MS)
        fills = [(fill_of(1, entry), entry, held, "e1"), (fill_of(2, entry), entry, held, "e2")]
        late = (fill_of(3, entry, traded_ms=_NOW_MS - 5_000), entry, held, "e3")
        orphan = (fill_of(4, entry)._replace(position_id=None), entry, None, "e4")
        whole = (fill_of(5, leave, "0.5"), leave, held._replace(quantity=Decimal(0)), "e5")
        for told in (*fills, fills[0], late, orphan, whole, fills[1]):
            await calls.tell("on_fill", *told)

    return _judge(tell(subject.fresh(), story), "when told of fills")


@card(
    "C61",
    "failures-of-every-reason",
    _FAMILY,
    "An intent may fail for every reason there is",
    hooks=("on_fail",),
    action="Tell of entries and exits that ended without a fill, for each reason code, one of them twice.",
    expectation="No fault, each within the deadline.",
)
def failures_of_every_reason(subject: Subject) -> Result:
    """Tell of every reason."""

    async def story(calls: Calls) -> None:
        for number, reason in enumerate((*Reason, Reason.NO_LIQUIDITY)):
            sells = bool(number % 2)
            await calls.tell("on_fail", intent_of(_NOW_MS, sells=sells), reason, "for the test", f"f{number % 50}")

    return _judge(tell(subject.fresh(), story), "when told of failures")


@card(
    "C62",
    "events-as-declared",
    _FAMILY,
    "Events of the declared kinds are heard",
    hooks=("on_event",),
    action="Tell of one event of each kind that the plugin declares, twice.",
    expectation="No fault, each within the deadline.",
)
def events_as_declared(subject: Subject) -> Result:
    """Tell of each declared kind."""
    guest = subject.fresh()

    async def story(calls: Calls) -> None:
        for kind in sorted(guest.events) * 2:
            await calls.tell("on_event", Stamped(_NOW_MS * 1_000_000, sample(REGISTRY[kind].schema)))

    return _judge(tell(guest, story), "when told of events")


def sample(hint: Any) -> Any:
    """Make one value of a type that events are made of."""
    plain: Mapping[Any, Any] = {str: "text", int: 1, bool: True, float: 1.0, Decimal: Decimal(1)}
    if hint in plain:
        return plain[hint]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if types.NoneType in parts else sample(parts[0])
    if origin is tuple:
        return (sample(parts[0]),)
    if origin is not None:
        return {sample(parts[0]): sample(parts[1])} if len(parts) == 2 else ()
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return next(iter(hint))
    return hint(**{name: sample(part) for name, part in typing.get_type_hints(hint).items()})


@card(
    "C63",
    "clean-shutdown",
    _FAMILY,
    "It starts, ends within its deadline and leaves nothing running",
    hooks=("on_start", "on_shutdown", "on_fill", "on_fail", "on_event"),
    action=(
        "Tell of the start, of fills and failures, of the shutdown; then the same without a start, as after a failed "
        "one; a plugin that takes commands from outside also where `run.operators` does not name it."
    ),
    expectation="No fault, each within its deadline; no thread and no task is left.",
)
def clean_shutdown(subject: Subject) -> Result:
    """Start, work, end, and look around."""
    ways = [("from start to shutdown", True, True), ("without a start", False, True)]
    if subject.guest().operates:
        ways.append(("where no operator may command", True, False))
    for about, started, admitted in ways:
        guest = subject.fresh()
        with tempfile.TemporaryDirectory() as folder:

            async def story(
                calls: Calls, guest: Guest = guest, folder: str = folder, started: bool = started,
                admitted: bool = admitted,
            ) -> None:  # fmt: skip
                if started:
                    await calls.start(_resources(guest, folder, admitted=admitted))
                entry = intent_of(_NOW_MS)
                await calls.tell("on_fill", fill_of(1, entry), entry, position_of(_NOW_MS), "e1")
                await calls.tell("on_fail", entry, Reason.NO_LIQUIDITY, "", "f1")
                await calls.tell("on_shutdown", "the test ends")

            heard = tell(guest, story)
        judged = _judge(heard, about)
        if judged is not PASSED:
            return judged
        if heard.tasks or heard.unfinished:
            return failed(f"tasks are left after on_shutdown: {', '.join(heard.tasks)}; cancel and await them there")
        if heard.threads:
            return failed(f"threads are left after on_shutdown: {', '.join(heard.threads)}; stop and join them there")
    return PASSED


@card(
    "C64",
    "being-told-decides-nothing",
    _FAMILY,
    "What a plugin was told does not change its answers",
    hooks=_TOLD,
    after=("C20",),
    prerequisite="the plugin has a telling hook and one whose answer counts",
    skipped_when="it has no telling hook, or none whose answer counts",
    action="Ask ordinary questions, tell of start, fills and failures, ask again.",
    expectation="The answers agree to the bit: after a restart nothing would be known of what was told before.",
)
def being_told_decides_nothing(subject: Subject) -> Result:
    """Ask before and after."""
    guest = subject.fresh()
    questions = list(ordinary(guest, subject.grid()))
    if not questions:
        return skipped("it has no hook whose answer counts")
    with tempfile.TemporaryDirectory() as folder:
        answers: list[list[Any]] = []

        async def story(calls: Calls) -> None:
            await calls.start(_resources(guest, folder))
            answers.append([fingerprint(ask(guest, question)) for question in questions])
            for sells in (False, True):
                intent = intent_of(_NOW_MS, sells=sells)
                await calls.tell("on_fill", fill_of(1, intent), intent, position_of(_NOW_MS), f"e{sells}")
                await calls.tell("on_fail", intent, Reason.NO_LIQUIDITY, "", f"f{sells}")
            answers.append([fingerprint(ask(guest, question)) for question in questions])
            await calls.tell("on_shutdown", "the test ends")

        tell(guest, story)
    for question, one, two in zip(questions, *answers, strict=True):
        if one != two:
            return failed(
                f"{question.hook} on {question.about} answered otherwise after fills and failures were told: "
                f"{difference(one, two)}; read the portfolio or the attempts, keep a job's answer for what must "
                "be remembered"
            )
    return PASSED


# Jobs and universe -----------------------------------------------------------------------------------------------


@card(
    "C65",
    "jobs-go-on",
    _FAMILY,
    "Jobs answer from nothing and from their own last answer",
    hooks=("jobs",),
    after=("C20",),
    action=(
        "Ask each job without a last answer, then with the state that it gave as it comes back from JSON; a new "
        "instance too."
    ),
    expectation="The answers are accepted; old and new instance agree.",
)
def jobs_go_on(subject: Subject) -> Result:
    """Carry states from answer to answer."""
    frame = subject.grid().frame(51, empty=0.0)
    market = market_of(frame)
    for name in jobs_of(subject.fresh()):
        for portfolio in portfolios(market.now_ms).values():
            guest, last = subject.fresh(), None
            for _ in range(3):
                answer = ask_job(guest, name, portfolio, market, last)
                again = ask_job(subject.fresh(), name, portfolio, market, last)
                if fingerprint(answer) != fingerprint(again):
                    return failed(
                        f"job {name}: a new instance proposes something else from the same last answer; keep what "
                        "must be "
                        "remembered in JobAnswer(state=...)"
                    )
                if answer is not None and answer.state is not None:
                    last = answer.state
    return PASSED


@card(
    "C66",
    "universe-names-its-reasons",
    _FAMILY,
    "Symbols are kept or removed with a reason",
    hooks=("universe",),
    after=("C20",),
    action="Ask about three symbols, one of them without a quote, in two orders.",
    expectation="The answers are accepted and agree on each symbol.",
)
def universe_names_its_reasons(subject: Subject) -> Result:
    """Ask in two orders."""
    guest = subject.fresh()
    question = universe_question(("C0/USDT", "C1/USDT", "C2/USDT"))
    instruments, quotes, market = question.arguments
    turned = Question("universe", "the same in another order", (dict(reversed(instruments.items())), quotes, market))
    if sorted(map(repr, ask(guest, question))) != sorted(map(repr, ask(guest, turned))):
        raise Broken("universe keeps other symbols when they come in another order; judge each symbol for itself")
    return PASSED
