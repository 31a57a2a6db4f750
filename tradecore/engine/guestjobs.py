"""Jobs of guests: asked at their interval, remembered durably, obeyed within bounds.

A job proposes signals, locks, Tunes or alerts. A Tune is checked against the target's Settings, is in force from the
next row, is journalled, and is undone when the guest that asked for it is quarantined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from tradecore.engine.breaker import BREAKER
from tradecore.engine.desk import Desk
from tradecore.engine.dust import Dust
from tradecore.engine.exits import Exits
from tradecore.engine.jobs import Jobs
from tradecore.engine.levels import Trigger
from tradecore.engine.picture import Pictures
from tradecore.engine.pipeline import Pipeline
from tradecore.engine.scan import Scanner
from tradecore.errors import PluginLoadError, SettingsError
from tradecore.model.events import TuneApplied, TuneUndone
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory
from tradecore.model.signal import Job, Signal, Tune
from tradecore.model.units import Side

_TUNE: Final = "tune/"
"""Key of the fact that a setting is tuned: by whom, to what, and the mark of that guest's settings."""


class GuestJobs:
    """Plans guests' jobs and carries out what they propose."""

    def __init__(
        self,
        desk: Desk,
        *,
        jobs: Jobs,
        pictures: Pictures,
        scanner: Scanner,
        pipeline: Pipeline,
        exits: Exits,
        dust: Dust,
    ) -> None:
        self._desk = desk
        self._pipeline = pipeline
        self._exits = exits
        self._dust = dust
        self._jobs = jobs
        self._pictures = pictures
        self._scanner = scanner
        self._refused: dict[tuple[str, str], str] = {}
        """Guest and setting to the refusal last told: a job that asks again is not told of again."""

    def plan(self, intervals_s: Mapping[str, float], least_s: float) -> None:
        """Plan every guest's jobs.

        A guest's own interval is market time: it looks at the market, and a hurried run must see it as often as any
        other. A job that is named as an interval setting is housekeeping and uses that interval, of the wall as all of
        them: at 120 x nobody reads figures that are exported twice a second.

        Args:
            intervals_s: Of the settings, wall seconds by name.
            least_s: Market seconds between two runs of a job at least.
        """
        scale = self._desk.config.time_scale
        for plugin, job in self._desk.calls.jobs():
            own = intervals_s.get(job.name)
            interval = max(least_s, job.interval_s if own is None else own * scale)

            async def ask(plugin: str = plugin, job: Job = job) -> None:
                await self._ask(plugin, job)

            self._jobs.add(f"{plugin}.{job.name}", ask, interval)

    async def _ask(self, plugin: str, job: Job) -> None:
        desk = self._desk
        key = f"job/{plugin}/{job.name}"
        text = desk.recall(key)
        last = orjson.loads(text) if text else None
        answer = desk.calls.ask_job(plugin, job, self._pictures.portfolio(), self._pictures.market(), last)
        if answer is None:
            return
        if answer.state is not None:
            await desk.remember(key, orjson.dumps(dict(answer.state)).decode())
        await self._pictures.locks.take(answer.locks)
        for alert in answer.alerts:
            desk.alert(alert.name, alert.severity, alert.text, by=plugin, resolved=alert.resolved)
        for tune in answer.tunes:
            await self.tune(plugin, tune)
        if answer.merges is not None:
            await self._dust.merge(plugin, answer.merges)
        for signal in answer.signals:
            await self._propose(signal)

    async def _propose(self, signal: Signal) -> None:
        """Carry out a signal: an entry goes the way of all entries, a sell leaves the position that it names.

        A sell that names none is for the dust that earlier positions on the symbol left behind.
        """
        if signal.side is Side.BUY:
            await self._pipeline.propose(signal)
            return
        if signal.position_id is None:
            await self._dust.sell(signal)
            return
        price = self._desk.mark(signal.symbol)
        if price is None:
            self._desk.alert("signal_refused", "warning", f"{signal.plugin}: {signal.symbol} has no price to sell at")
            return
        await self._exits.leave(signal.position_id, Trigger(Reason.LEAVE, signal.plugin, None), price)

    async def tune(self, by: str, tune: Tune) -> None:
        """Put a guest's wish about another guest's setting in force from the next row on."""
        desk = self._desk
        in_force = desk.calls.tunes.get(tune.setting)
        if in_force is not None and (in_force.value, in_force.by) == (tune.value, by):
            return
        try:
            if in_force is not None and self._comes_before(in_force.by, by):
                # two guests that move one setting would take turns for ever: the first of the list holds it
                raise SettingsError(f"{tune.setting}: expected one guest to tune it, was tuned by {in_force.by}")
            old, new = desk.calls.tune(tune, by)
        except (PluginLoadError, SettingsError) as error:
            if self._refused.get((by, tune.setting)) != str(error):
                self._refused[by, tune.setting] = str(error)
                desk.alert("tune_refused", "warning", f"{by}: {error}")
            return
        self._refused.pop((by, tune.setting), None)
        fact = orjson.dumps([by, tune.value, desk.calls.settings_mark(by)]).decode()
        if old == new and desk.recall(f"{_TUNE}{tune.setting}") == fact:
            return
        self._scanner.forget()
        async with desk.transaction() as work:
            work.put(Memory(f"{_TUNE}{tune.setting}", fact, desk.clock.now_ms()))
            if old != new:
                work.tell(TuneApplied(by, tune.setting, old, new, tune.reason))

    def _comes_before(self, one: str, other: str) -> bool:
        names = [guest.name for guest in self._desk.calls.guests]
        return one != other and one in names and other in names and names.index(one) < names.index(other)

    async def restore(self) -> None:
        """Put tunes of an earlier run in force again, telling nobody: they are durable answers.

        One whose guest has left the list, is no longer asked for its jobs, or has other settings now is undone and
        told of: nobody stands behind it any more. Where the guest still wants it, its job says so again.
        """
        desk = self._desk
        for key, fact in sorted(desk.books.memory.items()):
            if not key.startswith(_TUNE):
                continue
            by, value, *marks = orjson.loads(fact.text)
            setting = key.removeprefix(_TUNE)
            why = self._abandoned(by, marks)
            try:
                if not why:
                    desk.calls.tune(Tune(setting, value, "restored"), by)
                    continue
            except (PluginLoadError, SettingsError) as error:
                why = str(error)
            async with desk.transaction() as work:
                work.put(Memory(key, "", desk.clock.now_ms()))
                work.tell(TuneUndone(by, setting, str(value), why))

    def _abandoned(self, by: str, marks: Sequence[str]) -> str:
        """Why nobody stands behind a tune any more; empty where its guest does."""
        if by not in self._desk.calls.active("jobs"):
            return f"{by} takes no part in this run, or is no longer asked for its jobs"
        return (
            f"the settings of {by} are others now" if marks and marks[0] != self._desk.calls.settings_mark(by) else ""
        )

    def tell_left(self) -> None:
        """Tell what guests that take no part any more have left in force, and what nobody leads: a start finds both.

        Locks are kept: what shuts entries is not opened by a shorter list. They end by themselves, or an operator
        lifts them.
        """
        desk, now = self._desk, self._desk.clock.now_ms()
        here = {BREAKER, *(guest.name for guest in desk.calls.guests)}
        left: dict[str, list[str]] = {}
        for lock in self._pictures.locks.picture():
            if lock.plugin not in here and lock.expires_ms > now:
                left.setdefault(lock.plugin, []).append(lock.symbol)
        for plugin, symbols in sorted(left.items()):
            text = ", ".join(sorted(set(symbols)))
            desk.alert(
                "locks_left", "warning",
                f"{plugin} takes no part in this run, its locks hold until they end: {text}; "
                "tradecore unlock lifts them",
            )  # fmt: skip
        if desk.books.positions and not desk.calls.has("follow"):
            symbols = sorted(position.symbol for position in desk.books.positions.values())
            desk.alert(
                "positions_unled",
                "warning",
                f"no guest of the list answers follow, nobody leads open positions out: {', '.join(symbols)}",
            )

    async def undo_lost(self) -> None:
        """Forget tunes that a quarantine has taken back, so that no restart brings them again."""
        desk = self._desk
        self._scanner.forget()
        for key in [key for key in desk.books.memory if key.startswith(_TUNE)]:
            if key.removeprefix(_TUNE) not in desk.calls.tunes:
                await desk.remember(key, "")
