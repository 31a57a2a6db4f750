"""Awaits what a telling hook handed back, so that the guest can neither hold the caller nor be its undoing."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator
from types import CoroutineType
from typing import Any, Final, NamedTuple

from tradecore.hooks.watchdog import Breadcrumb


class Ended(NamedTuple):
    """How an awaited guest ended."""

    error: BaseException | None
    """What it raised; ``None`` where it raised nothing, or did not end in time."""
    in_time: bool


class Leader:
    """Leads guests' coroutines in tasks of their own.

    A time-out around a plain await would be at the guest's mercy: it may swallow the cancellation and go on. Here the
    caller goes on at the deadline whatever the guest does.

    Args:
        crumb: Set while a guest's coroutine runs, and not while it waits.
        timer: Nanoseconds of the wall.
    """

    def __init__(self, crumb: Breadcrumb, timer: Callable[[], int]) -> None:
        self._crumb: Final = crumb
        self._timer: Final = timer
        self._tasks: Final[set[asyncio.Task[BaseException | None]]] = set()

    @property
    def unfinished(self) -> int:
        """Guests that are still at it; outside of a call those that did not end when they were told to."""
        return len(self._tasks)

    @property
    def tasks(self) -> tuple[asyncio.Task[BaseException | None], ...]:
        """What `unfinished` counts."""
        return tuple(self._tasks)

    async def lead(self, answer: Any, where: tuple[str, str], timeout_s: float | None) -> Ended:
        """Await a guest.

        Args:
            answer: What its hook handed back.
            where: Guest and hook.
            timeout_s: Seconds of the loop; ``None`` waits for as long as it takes.
        """
        task = asyncio.create_task(self._awaited(answer, where), name=".".join(where))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: close_unbegun(answer))
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            return Ended(None, False)
        return Ended(asyncio.CancelledError() if task.cancelled() else task.result(), True)

    async def _awaited(self, answer: Any, where: tuple[str, str]) -> BaseException | None:
        try:
            led = answer if type(answer) is CoroutineType else _entered(answer)
            await Steps(led, self._crumb, where, self._timer)
        except BaseException as error:  # noqa: BLE001 - handed back: an exit raised in a task would end the loop
            return error
        return None


async def _entered(answer: Any) -> Any:
    """Await what is no coroutine inside of one: its ``__await__`` and its steps are the guest's code as well."""
    return await answer


class Steps(Generator[Any, Any, Any]):
    """Drives a coroutine step by step with the breadcrumb set, for the watchdog to see a step that blocks."""

    def __init__(self, coroutine: Any, crumb: Breadcrumb, where: tuple[str, str], timer: Callable[[], int]) -> None:
        self._coroutine: Final = coroutine
        self._crumb: Final = crumb
        self._where: Final = where
        self._timer: Final = timer

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    def send(self, value: Any) -> Any:
        """Run to the next wait."""
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Raise at the wait and run to the next one."""
        return self._step(self._coroutine.throw, *error)

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        self._crumb.since_ns = self._timer()
        self._crumb.at = self._where
        try:
            return step(*arguments)
        finally:
            self._crumb.at = None


def close_unbegun(answer: Any) -> None:
    """Close a coroutine that nobody will await: its task was cancelled first, or it is no answer at all."""
    # by its type: an object that lies about its class would be asked, and may raise, where nobody expects it
    if type(answer) is CoroutineType and inspect.getcoroutinestate(answer) == inspect.CORO_CREATED:
        answer.close()
