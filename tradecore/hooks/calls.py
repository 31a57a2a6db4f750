"""The one place where guests are asked: one by one, one try each, and every answer checked before it is believed.

Nothing here raises because of a guest. Whatever it does (raise, exit, hang, answer nonsense) becomes silence, and
each hook gives silence its meaning: gates shut, wishers wish nothing, exits go on.
"""

from __future__ import annotations

import functools
import inspect
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tradecore.errors import PluginError
from tradecore.hooks import checks, checks_jobs
from tradecore.hooks.awaiting import Leader, close_unbegun
from tradecore.hooks.combine import (
    FollowAnswers,
    LastWords,
    RiskAnswer,
    RouteAnswer,
    SignalAnswers,
    Silence,
    SizeAnswer,
    smallest,
    tightest,
)
from tradecore.hooks.faults import short, text_of
from tradecore.hooks.freeze import Freezer, read_only, sealed
from tradecore.hooks.guest import Ask, Guest
from tradecore.hooks.offspring import Offspring
from tradecore.hooks.slots import Slot, Slots
from tradecore.hooks.specs import DECIDING, Resources
from tradecore.hooks.tuning import Tuned, Tuner
from tradecore.hooks.watchdog import Breadcrumb
from tradecore.market.frame import Market, MarketFrame, window_rows
from tradecore.model.book import Book
from tradecore.model.events import HookTrace, LateCall, PluginFault, kind_of
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Intent
from tradecore.model.order import AttemptView
from tradecore.model.portfolio import Portfolio
from tradecore.model.position import Position
from tradecore.model.signal import Job, JobAnswer, Keep, Signal, Tune
from tradecore.ports.clock import Clock

__all__ = ["Calls", "FollowAnswers", "RiskAnswer", "RouteAnswer", "SignalAnswers", "SizeAnswer"]


class Calls:
    """Asks guests. All callbacks are plain functions that never raise.

    Args:
        guests: In the order in which they are asked.
        clock: Market time; on virtual time awaited hooks are measured by it.
        deadlines_ms: Hook to the wall time after which it is late, ms; a hook that is absent is never late.
        strikes: Faults of one guest in one hook until it is quarantined there. A success in between does not reset the
            count: a guest that fails now and then is as little to be trusted as one that fails in a row.
        virtual: On virtual time lateness is reported and never acted on. There a hook that does not await can
            only be late by the wall, so it is counted in `late` and told to nobody: the journal stays the same.
        on_fault: Told of each fault.
        on_quarantine: Told once: guest, hook, faults, the last fault.
        on_late: Told of a late hook.
        trace: Told of every answer; ``None`` costs nothing.
        time_scale: Seconds of the loop per second of the wall, > 0: deadlines are wall time.
        timer: Nanoseconds of the wall that never run backwards.
    """

    def __init__(
        self,
        guests: Sequence[Guest],
        *,
        clock: Clock,
        deadlines_ms: Mapping[str, float],
        strikes: int = 3,
        virtual: bool,
        on_fault: Callable[[PluginFault], None],
        on_quarantine: Callable[[str, str, int, str], None],
        on_late: Callable[[LateCall], None],
        trace: Callable[[HookTrace], None] | None = None,
        time_scale: float = 1.0,
        timer: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.crumb: Final = Breadcrumb()
        """For the watchdog."""
        self.late: Final[dict[str, int]] = {}
        """Hook to how often it was late, by the wall."""
        self._clock: Final = clock
        self._virtual: Final = virtual
        self._on_fault: Final = on_fault
        self._on_quarantine: Final = on_quarantine
        self._on_late: Final = on_late
        self._trace: Final = trace
        self._scale: Final = time_scale
        self._timer: Final = timer
        self._deadlines_ms: Final = dict(deadlines_ms)
        self._limits_ns: Final = {hook: int(limit * 1e6) for hook, limit in deadlines_ms.items()}
        self._slots: Final = Slots(guests, strikes, self._traced)
        self._tuner: Final = Tuner(self._slots, self.crumb, timer)
        self.settings_mark: Final = self._tuner.mark
        self._freezer: Final = Freezer()
        self._jobs: Final[dict[str, dict[str, Job]]] = {}
        self._words: Final = LastWords()
        self._leader: Final = Leader(self.crumb, timer)
        self.offspring: Final = Offspring(self.crumb, timer, self.fault)
        """Tasks that guests start."""

    # Who is here --------------------------------------------------------------------------------------------------

    @property
    def guests(self) -> tuple[Guest, ...]:
        """Guests in order, tuned ones as they are now."""
        return self._slots.guests

    def has(self, hook: str) -> bool:
        """Tell whether any guest has a hook, quarantined or not."""
        return bool(self._slots.at(hook))

    def active(self, hook: str) -> tuple[str, ...]:
        """Guests that are asked for a hook, in order."""
        return tuple(slot.name for slot in self._slots.at(hook) if slot.live)

    def warmup_rows(self, timeframe_ms: int, frame: str = "base") -> int:
        """Rows before a row that guests with deciding hooks, or with `universe`, may use.

        Args:
            timeframe_ms: Length of a row of that frame.
            frame: ``base``, or a slower frame's name as ``1h``.
        Returns:
            The largest number that any of them declares; 0 where none does.
        """
        looking = (*DECIDING, "universe")
        windows = (guest.warmup.get(frame) for guest in self.guests if not guest.hooks.isdisjoint(looking))
        return max((window_rows(window, timeframe_ms) for window in windows if window is not None), default=0)

    @property
    def quarantined(self) -> frozenset[tuple[str, str]]:
        """Pairs of guest and hook that are no longer asked."""
        return self._slots.quarantined

    def restore(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Put quarantines of an earlier run in force, telling nobody; guests that are not here are passed over."""
        self._slots.restore(pairs)

    def lift(self, plugin: str, hook: str | None = None) -> tuple[tuple[str, str], ...]:
        """Ask a guest again, for one hook or all (``None``), counting from nought; returns the pairs lifted."""
        return self._slots.lift(plugin, hook)

    # Deciding ------------------------------------------------------------------------------------------------------

    def signals(self, frame: MarketFrame, rows: range) -> SignalAnswers:
        """Ask all `signal` guests for a block of rows."""
        shape = (len(rows), len(frame.symbols))
        slots = self._slots.at("signal")
        answers = self._ask("signal", slots, (frame, rows), lambda answer: checks.wishes(answer, shape))
        heard = [None if isinstance(answer, Silence) else answer for answer in answers]
        pairs = list(zip(slots, heard, strict=True))
        return SignalAnswers(
            tuple((slot.name, answer) for slot, answer in pairs if slot.guest.role != "filter"),
            tuple((slot.name, slot.guest.applies_to, answer) for slot, answer in pairs if slot.guest.role == "filter"),
        )

    def follow(self, frame: MarketFrame, rows: range, position: Position) -> FollowAnswers:
        """Ask all `follow` guests for the levels of an open position."""
        slots = self._slots.at("follow")
        position = self._freezer.position(position)
        answers = self._ask("follow", slots, (frame, rows, position), lambda answer: checks.plan(answer, len(rows)))
        pairs = list(zip(slots, answers, strict=True))
        plans = tuple(
            (slot.name, answer) for slot, answer in pairs if answer is not None and not isinstance(answer, Silence)
        )
        return FollowAnswers(plans, any(isinstance(answer, Silence) for answer in answers))

    def size(self, signal: Signal, portfolio: Portfolio, instrument: Instrument, market: Market) -> SizeAnswer:
        """Ask all sizing guests about an entry; the smallest binds, any silence denies."""
        slots = self._slots.at("size")
        portfolio = self._freezer.portfolio(portfolio)
        answers = self._ask("size", slots, (signal, portfolio, instrument, market), checks.size)
        return smallest([(slot.name, answer) for slot, answer in zip(slots, answers, strict=True)])

    def risk(self, intent: Intent, portfolio: Portfolio, market: Market) -> RiskAnswer:
        """Ask all risk guests about an entry; every one must allow, the tightest cap binds."""
        slots = self._slots.at("risk_check")
        arguments = (self._freezer.intent(intent), self._freezer.portfolio(portfolio), market)
        answers = self._ask("risk_check", slots, arguments, checks.verdict)
        return tightest([(slot.name, answer) for slot, answer in zip(slots, answers, strict=True)])

    def route(
        self, intent: Intent, book: Book | None, attempts: Sequence[AttemptView], now_ms: int, router: str
    ) -> RouteAnswer:
        """Ask who sends what next.

        Args:
            router: The guest that took the intent; empty asks all in order until one takes it.
        """
        arguments = (self._freezer.intent(intent), book, tuple(attempts), now_ms)
        slots = self._slots.at("route_order")
        if router:
            kept = self._slots.find(router, "route_order")
            if kept is None:
                return RouteAnswer(router, None, f"{router}.route_order: expected the guest that took it, was not here")
            (answer,) = self._ask("route_order", (kept,), arguments, checks.routed)
            if answer is None:
                return RouteAnswer(router, None, f"{router}.route_order: expected OrderRequest or Done, was None")
            return _route_of(router, answer)
        fault = ""
        for slot in slots:
            live = slot.live
            (answer,) = self._ask("route_order", (slot,), arguments, checks.routed)
            if isinstance(answer, Silence) and not live:
                # It took nothing and is not asked; whether another router wants it is for that one to say.
                fault = fault or answer.fault
            elif answer is not None:
                return _route_of(slot.name, answer)
        return RouteAnswer("", None, fault)

    # Proposing -----------------------------------------------------------------------------------------------------

    def jobs(self) -> tuple[tuple[str, Job], ...]:
        """Ask all guests for their jobs."""
        found: list[tuple[str, Job]] = []
        for slot in self._slots.at("jobs"):
            (answer,) = self._ask("jobs", (slot,), (), checks_jobs.jobs)
            jobs: tuple[Job, ...] = () if isinstance(answer, Silence) else answer
            self._jobs[slot.name] = {job.name: job for job in jobs}
            found.extend((slot.name, job) for job in jobs)
        return tuple(found)

    def ask_job(
        self, plugin: str, job: Job, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None
    ) -> JobAnswer | None:
        """Ask one job; ``None`` where it proposes nothing, faults, or its guest is quarantined for `jobs`.

        Args:
            last: Its own last durable answer; ``None`` where there is none. It gets a copy.
        """
        slot = self._slots.find(plugin, "jobs")
        if slot is None:
            return None
        # A guest that was tuned is another instance now: its job of that name is asked, not the old one's.
        ask = self._jobs.get(plugin, {}).get(job.name, job).ask
        arguments = (self._freezer.portfolio(portfolio), market, checks_jobs.own_copy(last))
        check = functools.partial(checks_jobs.job_answer, plugin=plugin)
        (answer,) = self._ask("jobs", (slot,), arguments, check, ask)
        return None if isinstance(answer, Silence) else answer

    def universe(
        self, instruments: Mapping[str, Instrument], quotes: Mapping[str, Book], market: Market
    ) -> tuple[tuple[str, Keep], ...]:
        """Ask all guests which symbols to keep; a symbol stays if no guest removes it, now or before a fault."""
        slots = self._slots.at("universe")
        arguments = (read_only(instruments), read_only(quotes), market)
        answers = self._ask("universe", slots, arguments, lambda answer: checks.kept(answer, instruments))
        return self._words.heard(zip([slot.name for slot in slots], answers, strict=True), instruments)

    # Tunes -----------------------------------------------------------------------------------------------------------

    @property
    def tunes(self) -> Mapping[str, Tuned]:
        """``plugin.key`` to the tune in force. A quarantine undoes the guest's own, and those its jobs asked for."""
        return MappingProxyType(self._tuner.tunes)

    def tune(self, tune: Tune, by: str = "") -> tuple[str, str]:
        """Put a tune in force by making the target anew; call it between rows.

        Args:
            by: The guest whose job asked for it.
        Returns:
            The old and the new value as text.
        Raises:
            SettingsError: If the setting does not exist or the value does not fit; nothing has changed then.
            PluginLoadError: If the target cannot be made with it; nothing has changed then.
        """
        texts = self._tuner.tune(tune, by)
        self._jobs_again((tune.setting,))
        return texts

    def untune(self, plugin: str) -> tuple[str, ...]:
        """Lead a guest back to the settings of the files; returns the settings that were tuned."""
        undone = self._tuner.undo(plugin)
        self._jobs_again(undone)
        return undone

    def _jobs_again(self, settings: Iterable[str]) -> None:
        for name in {setting.partition(".")[0] for setting in settings} & self._jobs.keys():
            slot = self._slots.find(name, "jobs")
            if slot is not None:
                (answer,) = self._ask("jobs", (slot,), (), checks_jobs.jobs)
                self._jobs[name] = {} if isinstance(answer, Silence) else {job.name: job for job in answer}

    # Telling ---------------------------------------------------------------------------------------------------------

    async def start(self, resources: Mapping[str, Resources]) -> None:
        """Tell each guest with `on_start` that the run begins, with its own resources.

        A guest that fails is quarantined for `on_start`; a gate is silent at its gates then, which shuts entries.

        Args:
            resources: By guest; each guest with `on_start` has its own.
        """
        for slot in self._slots.at("on_start"):
            if slot.live and not await self._tell_one(slot, (resources[slot.name],)):
                self._quarantine(slot, "it did not start")

    async def tell(self, hook: str, *arguments: Any) -> None:
        """Tell each guest, alone and in order (`on_shutdown`: in reverse); `on_event` only whom it may concern."""
        slots = self._slots.at(hook)
        if slots:
            arguments = tuple([sealed(argument) for argument in arguments])
        for slot in reversed(slots) if hook == "on_shutdown" else slots:
            if slot.live and (hook != "on_event" or kind_of(arguments[0].event).name in slot.guest.events):
                await self._tell_one(slot, arguments)

    @property
    def unfinished(self) -> int:
        """Awaited hooks that passed their deadline and did not end when told to."""
        return self._leader.unfinished

    async def dismiss(self, timeout_s: float) -> tuple[str, ...]:
        """End every task of guests, awaited hooks too; returns the names of those that went on all the same.

        Args:
            timeout_s: Seconds of the loop.
        """
        return await self.offspring.end(timeout_s, self._leader.tasks)

    async def _tell_one(self, slot: Slot, arguments: tuple[Any, ...]) -> bool:
        """Tell one guest; False where it faulted."""
        faults, start_s = slot.faults, self._clock.monotonic_s()
        (answer,) = self._ask(slot.hook, (slot,), arguments, _told)
        if answer is None or isinstance(answer, Silence):
            return slot.faults == faults
        limit_ms = self._deadlines_ms.get(slot.hook, math.inf)
        endless = self._virtual or math.isinf(limit_ms)
        ended = await self._leader.lead(answer, slot.where, None if endless else limit_ms / 1000 * self._scale)
        if not ended.in_time:
            self._late(slot.name, slot.hook, limit_ms)
            self._fault(slot, f"overran {limit_ms:g} ms and was told to end")
        elif ended.error is not None:
            self._fault(slot, text_of(ended.error, self.crumb, slot.where))
        spent_ms = (self._clock.monotonic_s() - start_s) * 1000
        if self._virtual and spent_ms > limit_ms:
            self._late(slot.name, slot.hook, spent_ms)
        return slot.faults == faults

    # The guard -------------------------------------------------------------------------------------------------------

    def _ask(
        self,
        hook: str,
        slots: Sequence[Slot],
        arguments: tuple[Any, ...],
        check: Callable[[Any], Any],
        instead: Ask | None = None,
    ) -> list[Any]:
        """Ask each guest of a hook once: the loop that all else rests on.

        Args:
            slots: Whom to ask, in order.
            check: Judges an answer, inside the guest's own try: its properties may raise as well.
            instead: What to call in place of the hook itself (a job's function).
        Returns:
            Per guest the checked answer, or a `Silence`.
        """
        crumb, timer = self.crumb, self._timer
        answers: list[Any] = []
        crumb.since_ns = start = timer()
        for slot in slots:
            if not slot.live:
                why = "quarantined" if slot.quarantined else "its guest did not start"
                answers.append(Silence(f"{slot.name}.{hook}: {why}"))
                continue
            raw = None
            try:
                crumb.at = slot.where
                raw = (instead or slot.ask)(*arguments)
                answer = check(raw)
                # Inside the try: an interrupt that comes late still finds a handler (see watchdog.py).
                crumb.at = None
            except BaseException as error:  # noqa: BLE001 - the door: whatever a guest raises is its own fault
                text = text_of(error, self.crumb, slot.where)
                close_unbegun(raw)
                answer = self._fault(slot, text)
            answers.append(answer)
        spent = timer() - start
        if spent > self._limits_ns.get(hook, spent):
            self._late(",".join(slot.name for slot in slots), hook, spent / 1e6, told=not self._virtual)
        return answers

    def _late(self, plugin: str, hook: str, duration_ms: float, *, told: bool = True) -> None:
        self.late[hook] = self.late.get(hook, 0) + 1
        if told:
            self._on_late(LateCall(plugin, hook, duration_ms, self._deadlines_ms[hook]))

    def fault(self, plugin: str, hook: str, error: BaseException) -> None:
        """Count what a task that a guest has started raised as a fault of the hook that started it."""
        slot = self._slots.find(plugin, hook)
        if slot is not None:
            self._fault(slot, text_of(error, self.crumb, slot.where))

    def _fault(self, slot: Slot, text: str) -> Silence:
        """Count a fault, tell of it, and quarantine the guest where it was one too many."""
        struck_out = self._slots.strike(slot)
        self._on_fault(PluginFault(slot.name, slot.hook, text, slot.faults))
        if struck_out:
            self._quarantined(slot, text)
        return Silence(str(PluginError(slot.name, slot.hook, text)))

    def _quarantine(self, slot: Slot, text: str) -> None:
        if not slot.quarantined:
            self._slots.quarantine(slot)
            self._quarantined(slot, text)

    def _quarantined(self, slot: Slot, text: str) -> None:
        undone = self._tuner.undo(slot.name)
        if slot.hook == "jobs":
            undone += self._tuner.undo_by(slot.name)
        self._jobs_again(undone)
        self._on_quarantine(slot.name, slot.hook, slot.faults, text)

    def _traced(self, slot: Slot, ask: Ask) -> Ask:
        """Put tracing around a guest's callable, where it is on."""
        trace = self._trace
        if trace is None:
            return ask

        def traced(*arguments: Any) -> Any:
            start = self._timer()
            answer = ask(*arguments)
            spent_us = 0.0 if self._virtual else (self._timer() - start) / 1000
            trace(HookTrace(slot.name, slot.hook, short(repr(answer)), spent_us))
            return answer

        return traced


def _route_of(router: str, answer: Any) -> RouteAnswer:
    if isinstance(answer, Silence):
        return RouteAnswer(router, None, answer.fault)
    return RouteAnswer(router, answer, "")


def _told(answer: Any) -> Any:
    """Telling hooks may answer anything; only what can be awaited means something, ``None`` stands for the rest."""
    return answer if answer is not None and inspect.isawaitable(answer) else None
