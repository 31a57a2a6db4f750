"""A thread for calls that block: one at a time, waited for as long as is wanted, and never at the end of a process."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

_JOIN_S: Final = 0.1


class _Call(NamedTuple):
    function: Callable[[], bool]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[bool]


class Worker:
    """One thread.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._queue: Final[queue.SimpleQueue[_Call | None]] = queue.SimpleQueue()
        # a daemon: a service that never answers must not keep the process from its end
        self._thread: Final = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def begin(self, function: Callable[[], bool]) -> asyncio.Future[bool]:
        """Have a call made after those before it; the future holds what it returns, False where it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._queue.put(_Call(function, loop, future))
        return future

    def close(self) -> None:
        """Let the thread end; one that is in a call ends after it, with nobody to wait for it."""
        self._queue.put(None)
        self._thread.join(_JOIN_S)

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            try:
                answer = bool(call.function())
            except BaseException:  # noqa: BLE001 - whatever a service does, this thread goes on; its words may hold a secret
                answer = False
            try:
                call.loop.call_soon_threadsafe(_settle, call.future, answer)
            except RuntimeError:
                return  # the loop has ended: nobody listens


def _settle(future: asyncio.Future[bool], answer: bool) -> None:
    if not future.done():
        future.set_result(answer)
