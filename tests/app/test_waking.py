"""After a sleep or a stop: the clock moves on by proof, fences wait anew, all is read, entries go on (F16, F36)."""

from __future__ import annotations

import json
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest

from tests.campaigns.bot import CACHE, Bot
from tests.campaigns.wire_processes import Venue, _at_end, _path
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.engine.skew import SkewWatch
from tradecore.engine.waking import FENCES_FROM, WakeWatch, restore_fences
from tradecore.journal.read import read_journal
from tradecore.ports.clock import Gap
from tradecore.ports.venue import VenueTiming

EPOCH_MS = 1_735_689_600_000
TIMING = VenueTiming(5_000, 10_000, 30_000, 500)


class Machine:
    """A wall clock that has gone ahead, and what was done about it."""

    def __init__(self, behind_ms: int) -> None:
        self.behind = behind_ms
        self.moved: list[int] = []
        self.listeners: list[Any] = []

    def on_gap(self, listener: Any) -> None:
        self.listeners.append(listener)

    def behind_ms(self) -> int:
        return self.behind

    def move_on(self, by_ms: int) -> None:
        self.moved.append(by_ms)
        self.behind -= by_ms


class Watched:
    """A desk with two clocks apart: venue and wall against ours."""

    def __init__(self, clock: LoopClock, venue_ahead_ms: int, wall_ahead_ms: int) -> None:
        self.clock, self.machine = clock, Machine(wall_ahead_ms)
        self.venue_ahead_ms = venue_ahead_ms
        self.events: list[Any] = []
        self.alerts: list[str] = []
        self.sweeps: list[str] = []
        self.facts: dict[str, str] = {}
        self.forgiven: list[int] = []
        self.stopping = ""
        self.fences_from_ms = 0
        self.note = self.events.append
        self.venue = SimpleNamespace(timing=TIMING, server_time_ms=self._server_time_ms)
        self.books = SimpleNamespace(trading=None, memory={})
        me: Any = self
        self.skew = SkewWatch(me)
        jobs: Any = SimpleNamespace(forgive=self.forgiven.append)
        self.watch = WakeWatch(me, jobs, self.skew, self.sweeps.append)

    async def _server_time_ms(self) -> int:
        return self.clock.now_ms() + self.venue_ahead_ms - sum(self.machine.moved)

    def alert(self, name: str, severity: str, text: str) -> None:
        self.alerts.append(name)

    def recall(self, key: str) -> str:
        return self.facts.get(key, "")

    async def remember(self, key: str, text: str) -> None:
        self.facts[key] = text

    def spawn(self, work: Any, name: str) -> Any:
        return self.clock._loop.create_task(work, name=name)


def watched(venue_ahead_ms: int, wall_ahead_ms: int, story: Any) -> Watched:
    loop = MarketLoop()
    clock = LoopClock(loop, EPOCH_MS)
    desk = Watched(clock, venue_ahead_ms, wall_ahead_ms)

    async def main() -> None:
        await story(desk)
        await clock.sleep(0.1)

    run(main(), loop)
    return desk


async def _move(desk: Watched) -> None:
    desk.skew._move_on(await desk.skew.measure())


@pytest.mark.parametrize(
    ("venue_ms", "wall_ms", "moved"),
    [
        (600_000, 600_000, [600_000]),  # a machine that was paused, and whose clock has been set since
        (600_000, 600_400, [600_000]),  # never beyond the venue's
        (599_800, 599_500, [599_500]),  # nor the wall's
        (600_000, 0, []),  # nobody has set it yet: one witness is none
        (0, 600_000, []),  # somebody set the wall clock wrongly
        (600_000, 3_600_000, []),  # two that do not agree
        (-600_000, -600_000, []),  # never back
        (900, 900, []),  # within what a start allows for
    ],
)
def test_f16_the_clock_is_moved_on_only_where_venue_and_wall_agree(venue_ms, wall_ms, moved):
    desk = watched(venue_ms, wall_ms, _move)
    assert desk.machine.moved == moved
    assert ("clock_moved" in desk.alerts) == bool(moved)


def test_f36_fences_wait_anew_from_where_the_clock_was_moved_and_so_after_a_restart():
    async def story(desk: Watched) -> None:
        desk.watch.start()
        await _move(desk)

    desk = watched(600_000, 600_000, story)
    assert desk.fences_from_ms >= EPOCH_MS
    assert desk.facts[FENCES_FROM] == str(desk.fences_from_ms)
    assert desk.sweeps == ["wake"]
    told: Any = desk
    desk.fences_from_ms = 0
    restore_fences(told, clock_was_off=False)
    assert desk.fences_from_ms == int(desk.facts[FENCES_FROM])
    restore_fences(told, clock_was_off=True)
    assert desk.fences_from_ms == desk.clock.now_ms()


@pytest.mark.parametrize(
    ("gap", "alert", "sweeps"),
    [
        (Gap(600_000, 0, 0), "woken", ["wake"]),
        (Gap(600_000, 600_000, 0), "woken", ["wake"]),
        (Gap(0, 0, -3_600_000), "wall_clock_set", []),
    ],
)
def test_f36_a_gap_is_told_and_all_is_read_anew(gap, alert, sweeps):
    async def story(desk: Watched) -> None:
        desk.skew.check = desk.skew.measure
        desk.watch.start()
        (listener,) = desk.machine.listeners
        listener(gap)

    desk = watched(0, 0, story)
    assert desk.alerts == [alert]
    assert desk.sweeps == sweeps
    assert desk.forgiven == [gap.stalled_ms]
    assert (desk.events[0].stalled_ms, desk.events[0].moved_ms) == gap[:2]
    assert bool(desk.fences_from_ms) == bool(gap.moved_ms)


def test_f36_a_gap_in_the_middle_of_a_start_is_made_up_for_after_it():
    async def story(desk: Watched) -> None:
        (listener,) = desk.machine.listeners
        listener(Gap(60_000, 60_000, 0))
        assert desk.sweeps == []
        desk.watch.start()

    assert watched(0, 0, story).sweeps == ["wake"]


@pytest.fixture
def compiled(tmp_path_factory, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path_factory.mktemp("compiled")))


@pytest.mark.usefixtures("compiled")
def test_f36_ten_minutes_of_sigstop_on_the_wire(tmp_path):
    speed, stopped_s = 60.0, 10.2
    with Venue("binance", tmp_path, speed) as venue:
        options, sets = venue.options(None)
        folder = tmp_path / "state"
        with Bot(folder, options, sets, env={"PYTHONPATH": _path()}) as bot:
            bot.until_event("sweep_report", 1, '"when":"start"', timeout_s=60)
            # a machine that is busy with other things may see none in time; it is stopped all the same
            end_s = time.monotonic() + 20
            while not bot.lines("order_fill") and time.monotonic() < end_s:
                time.sleep(0.1)
            bot.send(signal.SIGSTOP)
            time.sleep(stopped_s)
            bot.send(signal.SIGCONT)
            bot.until_event("sweep_report", 1, '"when":"wake"', timeout_s=60)
            bot.until_event("heartbeat", bot.lines("heartbeat") + 2, timeout_s=60)
            bot.send(signal.SIGTERM)
            ended = bot.wait(60)
        assert (ended.code, ended.traceback) == (0, False), ended.err
        assert _at_end(venue, folder, ended) == []
    events = list(read_journal(folder / "journal", kinds=["clock_gap", "trading_state_changed", "alert_fired"]))
    gaps = [event.data for event in events if event.kind == "clock_gap"]
    assert max(gap["stalled_ms"] for gap in gaps) >= 600_000
    assert {gap["moved_ms"] for gap in gaps} == {0}, "a stopped process has lost no time of its clock"
    alarms = [event.data["name"] for event in events if event.kind == "alert_fired"]
    assert "woken" in alarms
    assert "job_overdue" not in alarms
    assert json.loads(ended.out)["unexplained_drift"] == "0"
    states = [event.data["new"] for event in events if event.kind == "trading_state_changed"]
    assert states[-1:] in ([], ["ACTIVE"]), "entries go on by themselves"
