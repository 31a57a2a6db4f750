"""Tasks that guests start, kept in hand: a block in one is named, an exit in one is a fault, none outlives the run.

A task is a guest's where it is made while the breadcrumb names one: in a hook, in a step of an awaited hook, or in a
task of that kind. What a guest plans by other ways (a callback, a thread) is not seen here; the loop and the session
look after those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from tradecore.errors import PluginError
from tradecore.hooks.awaiting import Steps, close_unbegun
from tradecore.hooks.watchdog import Breadcrumb, Overrun

_EXITS: Final = (SystemExit, KeyboardInterrupt, Overrun)
_ASKED_TO_END: Final = 3
"""How often a task is cancelled before it is given up."""


class Offspring:
    """The tasks of guests of one loop.

    Args:
        crumb: Tells whose code runs; set while a step of such a task runs, too.
        timer: Nanoseconds of the wall.
        on_fault: Told of an exit or an interrupt in a task: guest, hook, error.
    """

    def __init__(
        self, crumb: Breadcrumb, timer: Callable[[], int], on_fault: Callable[[str, str, BaseException], None]
    ) -> None:
        self._crumb: Final = crumb
        self._timer: Final = timer
        self._on_fault: Final = on_fault
        self._whose: Final[dict[asyncio.Future[Any], tuple[str, str]]] = {}

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at every task made on a loop from now on."""
        loop.set_task_factory(self._make)

    @property
    def alive(self) -> int:
        """Tasks of guests that have not ended."""
        return len(self._whose)

    def _make(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Future[Any]:
        where = self._crumb.at
        if where is None or not asyncio.iscoroutine(coroutine):
            return asyncio.Task(coroutine, loop=loop, **options)
        task = asyncio.Task(self._led(coroutine, where), loop=loop, **options)
        self._whose[task] = where
        task.add_done_callback(lambda done: self._whose.pop(done, None))
        task.add_done_callback(lambda _: close_unbegun(coroutine))
        return task

    async def _led(self, coroutine: Any, where: tuple[str, str]) -> Any:
        try:
            return await Steps(coroutine, self._crumb, where, self._timer)
        except _EXITS as error:
            self._on_fault(*where, error)
            task = asyncio.current_task()
            assert task is not None, "this is its coroutine"
            task.add_done_callback(lambda done: done.exception())  # told already: asyncio need not tell it again
            # raised on from a task, an exit would end the loop and all that runs on it
            raise PluginError(*where, f"a task that it started raised {type(error).__name__}") from None

    async def end(self, timeout_s: float, others: Iterable[asyncio.Task[Any]] = ()) -> tuple[str, ...]:
        """Cancel every task of a guest, more than once where it does not listen.

        Args:
            timeout_s: Seconds of the loop to wait after each time.
            others: Further tasks of guests to be ended.
        Returns:
            Of those that went on all the same the names, with guest and hook.
        """
        left: set[asyncio.Future[Any]] = {*self._whose, *others}
        for _ in range(_ASKED_TO_END):
            left = {task for task in left if not task.done()}
            if not left:
                break
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=timeout_s / _ASKED_TO_END)
        return tuple(sorted(self._named(task) for task in left))

    def _named(self, task: asyncio.Future[Any]) -> str:
        name = task.get_name() if isinstance(task, asyncio.Task) else "?"
        where = self._whose.get(task)
        return f"task {name}" if where is None else f"task {name} of {'.'.join(where)}"
