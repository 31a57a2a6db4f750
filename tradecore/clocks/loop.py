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


class MarketLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on market time.

    `time()` starts at 0. Attach a `LoopClock` to give its moments a date.

    Args:
        speed: Market seconds per wall second, > 0; ``None`` means virtual time.
    Raises:
        ValueError: If `speed` is not positive.
    """

    def __init__(self, speed: float | None = None) -> None:
        self.speed: Final = speed
        self.epoch_ms: int | None = None
        """Market time at second 0, milliseconds since 1970 UTC; ``None`` until a clock is made for the loop."""
        self._virtual_ns = 0
        self._origin_ns: Final = time.monotonic_ns()
        self._owner: int | None = None
        self._fault = ""
        selector = _VirtualSelector() if speed is None else _ScaledSelector(speed)
        super().__init__(selector)
        if speed is not None and not 0 < speed < float("inf"):
            self.close()  # only now: asyncio cannot let go of a loop that was never made
            raise ValueError(f"expected a positive speed or None, was {speed}")
        if isinstance(selector, _VirtualSelector):
            self._clock_resolution = _RESOLUTION_S
            selector.attach(self)

    @property
    def virtual(self) -> bool:
        """True where time jumps."""
        return self.speed is None

    def now_ns(self) -> int:
        """Nanoseconds of market time since the loop was made; whole microseconds on virtual time."""
        if self.speed is None:
            return self._virtual_ns
        passed = time.monotonic_ns() - self._origin_ns
        return passed if self.speed == 1 else int(passed * self.speed)

    def time(self) -> float:
        """Seconds of market time since the loop was made."""
        return self.now_ns() / _NS

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
            super().run_forever()
        finally:
            self._owner = None

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

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / self._speed if timeout else timeout)


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
        return loop.run_until_complete(main)
    finally:
        try:
            _cancel_leftovers(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()


def _cancel_leftovers(loop: MarketLoop) -> None:
    """Cancel every task still alive and report what they raised on their way out."""
    leftovers = asyncio.all_tasks(loop)
    if not leftovers:
        return
    for task in leftovers:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*leftovers, return_exceptions=True))
    for task in leftovers:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            loop.call_exception_handler(
                {"message": "a task raised while it was cancelled at the end", "exception": error, "task": task}
            )
