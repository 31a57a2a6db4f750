"""Event loops whose time is handed in: virtual, or the wall's at a chosen speed.

On a virtual loop nothing waits. Where no task can go on, time jumps to the next timer, so a whole day of
schedules runs as fast as its work does, and always in the same order. For that everything must happen on
the loop: a thread would race against time itself, so its wake-ups are refused. Signals still arrive.

On a scaled loop time runs `speed` times as fast as the wall's.

Source: reference libraries.md section 3 (measured).
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

from tradecore.clocks.gaps import GapMeter, MachineTime, Reading
from tradecore.ports.clock import Gap

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_NS: Final = 1_000_000_000
_US_IN_NS: Final = 1_000
_RESOLUTION_S: Final = 6e-7
"""Timers so near are due. Virtual time lands on whole microseconds, so a rounded timer is at most 0.5 us ahead of it,
while a timer of the next microsecond is never taken early."""
_POLL_EVERY: Final = 32
"""With no file watched but the loop's own pipe, signals are looked for once in so many rounds: a system call less in
the others, and a signal still acts within a millisecond of work."""
_IDLE_SLICE_S: Final = 0.2
_END_S: Final = 1.0
"""Seconds of the wall that are given to what is left at the end, each time it is told to end."""
_ASKED_TO_END: Final = 3


class MarketLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on market time.

    `time()` starts at 0. Attach a `LoopClock` to give its moments a date.

    Args:
        speed: Market seconds per wall second, > 0; ``None`` means virtual time.
        machine: The clocks of the machine; looked at on the wall's time only.
    Raises:
        ValueError: If `speed` is not positive.
    """

    def __init__(self, speed: float | None = None, machine: MachineTime | None = None) -> None:
        self.speed: Final = speed
        self.epoch_ms: int | None = None
        """Market time at second 0, milliseconds since 1970 UTC; ``None`` until a clock is made for the loop."""
        self.on_exit: Callable[[BaseException], object] | None = None
        """Told of an exit or an interrupt that some callback or task raised; the loop then goes on. ``None``: it ends
        the loop, as asyncio has it. What the task given to `run` raises is always raised."""
        self._main: asyncio.Future[Any] | None = None
        self._virtual_ns = 0
        self._machine: Final = machine or MachineTime()
        self._origin_ns: Final = self._machine.monotonic_ns()
        self._wall_origin_ns: Final = self._machine.wall_ns()
        self._moved_ns = 0
        self.gap_listeners: list[Callable[[Gap], object]] = []
        """Told of each gap, on the loop and before anything else of that round; they must not wait."""
        self._owner: int | None = None
        self._fault = ""
        selector = _VirtualSelector() if speed is None else _ScaledSelector(speed)
        super().__init__(selector)
        if speed is not None and not 0 < speed < float("inf"):
            self.close()  # only now: asyncio cannot let go of a loop that was never made
            raise ValueError(f"expected a positive speed or None, was {speed}")
        selector.attach(self)
        if isinstance(selector, _VirtualSelector):
            self._clock_resolution = _RESOLUTION_S

    @property
    def virtual(self) -> bool:
        """True where time jumps."""
        return self.speed is None

    def now_ns(self) -> int:
        """Nanoseconds of market time since the loop was made; whole microseconds on virtual time."""
        if self.speed is None:
            return self._virtual_ns
        passed = self._machine.monotonic_ns() - self._origin_ns
        return self._moved_ns + (passed if self.speed == 1 else int(passed * self.speed))

    def time(self) -> float:
        """Seconds of market time since the loop was made."""
        return self.now_ns() / _NS

    def behind_ns(self) -> int:
        """Nanoseconds of market time by which the wall clock has gone ahead of ours since the loop was made."""
        assert self.speed is not None, "virtual time has no wall beside it"
        return int((self._machine.wall_ns() - self._wall_origin_ns) * self.speed) - self.now_ns()

    def move_on(self, by_ns: int) -> None:
        """Move market time on: timers that fall due by that fire next.

        Args:
            by_ns: Nanoseconds of market time, > 0.
        """
        assert self.speed is not None, "virtual time moves by itself"
        assert by_ns > 0, by_ns
        self._moved_ns += by_ns

    def noticed(self, reading: Reading) -> None:
        """Take what the machine's clocks showed. For the loop's own selector.

        Time that the kernel counted as sleep has passed for everybody else: ours is moved on by it before anything
        that waited can be decided by an old clock.
        """
        assert self.speed is not None, "nothing is measured on virtual time"
        if reading.asleep_ns > 0:
            self.move_on(max(1, int(reading.asleep_ns * self.speed)))
        if reading.telling:
            scale = self.speed
            moved_ms = int(reading.asleep_ns * scale / 1e6)
            gap = Gap(int(reading.stalled_ms * scale), moved_ms, int(reading.ahead_ms * scale))
            for listener in self.gap_listeners:
                self.call_soon(listener, gap)

    def jump(self, seconds: float) -> None:
        """Move virtual time on, to the nearest microsecond. For the loop's own selector."""
        assert self.speed is None, "only virtual time jumps"
        target_ns = round((self._virtual_ns / _NS + seconds) * 1e6) * _US_IN_NS
        self._virtual_ns = max(self._virtual_ns, target_ns)

    def raise_fault(self) -> None:
        """Raise on the loop what a foreign thread did wrong, so that it cannot go unseen.

        Raises:
            RuntimeError: If one did.
        """
        if self._fault:
            fault, self._fault = self._fault, ""
            raise RuntimeError(fault)

    @property
    def awaits_signals(self) -> bool:
        """True where a signal handler is set: even a loop without timers may be woken."""
        return bool(getattr(self, "_signal_handlers", None))

    def run_forever(self) -> None:
        """Run until stopped; notes whose thread it is."""
        self._owner = threading.get_ident()
        try:
            while not self._ran():
                if self._main is not None and self._main.done():
                    break
        finally:
            self._owner = None

    def _ran(self) -> bool:
        """Run until stopped; False where an exit ended it that is not to end the loop. What was ready stays so."""
        try:
            super().run_forever()
        except (SystemExit, KeyboardInterrupt) as error:
            if self.on_exit is None:
                raise
            self.on_exit(error)
            return False
        return True

    def call_soon_threadsafe(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Schedule a callback; on virtual time from the loop's own thread only.

        Raises:
            RuntimeError: If a foreign thread calls on virtual time. The loop raises it too.
        """
        if self.speed is not None:
            return super().call_soon_threadsafe(callback, *args, context=context)
        if self._owner is not None and threading.get_ident() != self._owner:
            name = threading.current_thread().name
            self._fault = f"expected no thread beside a loop on virtual time, was woken by thread {name!r}"
            raise RuntimeError(self._fault)
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """Run in a thread; refused on virtual time, which would run away while the thread works.

        Raises:
            RuntimeError: On virtual time.
        """
        if self.speed is None:
            raise RuntimeError(f"expected no thread beside a loop on virtual time, was asked to run {func!r} in one")
        return super().run_in_executor(executor, func, *args)


class _VirtualSelector(selectors.DefaultSelector):
    """Answers at once; where nothing is ready, time jumps by what it was asked to wait."""

    def attach(self, loop: MarketLoop) -> None:
        self._loop = loop
        self._own = len(self.get_map())
        self._skipped = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        loop.raise_fault()
        watching = len(self.get_map()) > self._own
        self._skipped += 1
        if watching or timeout is None or self._skipped >= _POLL_EVERY:
            self._skipped = 0
            ready = super().select(0)
            if ready:
                return ready
        if timeout is None:
            if not watching and not loop.awaits_signals:
                raise RuntimeError("expected a timer on virtual time, was nothing scheduled and nothing to wait for")
            return super().select(_IDLE_SLICE_S)
        if timeout > 0:
            loop.jump(timeout)
        return []


class _ScaledSelector(selectors.DefaultSelector):
    """Waits on the wall for as long as the asked market time lasts."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def attach(self, loop: MarketLoop) -> None:
        self._loop = loop
        self._meter = GapMeter(loop._machine)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        wall_s = timeout / self._speed if timeout else timeout
        ready = super().select(wall_s)
        reading = self._meter.look(float("inf") if wall_s is None else wall_s)
        if reading is not None and (reading.asleep_ns or reading.telling):
            self._loop.noticed(reading)
        return ready


def run(main: Coroutine[Any, Any, _T], loop: MarketLoop) -> _T:
    """Run a coroutine to its end on a loop, then cancel what is left and close the loop.

    Returns:
        What `main` returned.
    Raises:
        RuntimeError: If the loop is closed or already runs.
        BaseException: Whatever `main` raised.
    """
    if loop.is_closed() or loop.is_running():
        main.close()
        raise RuntimeError("expected a fresh loop, was a closed or running one")
    try:
        loop._main = task = loop.create_task(main)
        return loop.run_until_complete(task)
    finally:
        loop._main = loop.on_exit = None
        try:
            _cancel_leftovers(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            _end_executor(loop)
        finally:
            loop.close()


def _cancel_leftovers(loop: MarketLoop) -> None:
    """Cancel every task still alive, and report what they raised on their way out and who would not go."""
    leftovers = asyncio.all_tasks(loop)
    if not leftovers:
        return
    waiting = leftovers
    for _ in range(_ASKED_TO_END):
        for task in waiting:
            task.cancel()
        _, waiting = loop.run_until_complete(asyncio.wait(waiting, timeout=_END_S * (loop.speed or 1.0)))
        if not waiting:
            break
    for task in leftovers:
        if task in waiting:
            message = f"task {task.get_name()} did not end when it was told to"
            loop.call_exception_handler({"message": message, "task": task})
            # it has been reported: asyncio would do so again whenever it is collected
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # as asyncio itself does
            continue
        error = None if task.cancelled() else task.exception()
        if error is not None:
            loop.call_exception_handler(
                {"message": "a task raised while it was cancelled at the end", "exception": error, "task": task}
            )


def _end_executor(loop: MarketLoop) -> None:
    """Let go of the loop's threads; one that is in the middle of something is waited for, but not for ever."""
    executor = getattr(loop, "_default_executor", None)
    if executor is None:
        return
    executor.shutdown(wait=False, cancel_futures=True)
    end_s = time.monotonic() + _END_S
    for thread in tuple(executor._threads):
        thread.join(max(0.0, end_s - time.monotonic()))
