"""Exceptions that nobody caught become events and one line for people, from wherever they come (R25)."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from tradecore.model.events import UncaughtException

TEXT_MAX: Final = 8_000
"""Characters of a message or a traceback that an event keeps: their end, where the cause stands."""


def clip(text: str) -> str:
    """Keep the last characters of a text that is too long, and say that it was cut."""
    return text if len(text) <= TEXT_MAX else f"[{len(text) - TEXT_MAX} characters cut] {text[-TEXT_MAX:]}"


def trace_of(error: BaseException) -> str:
    """Write where an exception came from: module, line and function of each frame, and what it was caused by.

    Without paths and source lines: an event must be the same on every machine.
    """
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = []
        trace = current.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            module = trace.tb_frame.f_globals.get("__name__", "?")
            frames.append(f"{module}:{trace.tb_lineno} in {code.co_qualname}")
            trace = trace.tb_next
        parts.append("\n".join([*frames, f"{type(current).__name__}: {_message(current)}"]))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return clip("\nwhich led to\n".join(reversed(parts)))


def uncaught_event(where: str, error: BaseException | None, message: str = "") -> UncaughtException:
    """Make the event.

    Args:
        where: What was running.
        error: ``None`` where only a message is known.
        message: What the finder said; the exception's own text where it is empty.
    """
    if error is None:
        return UncaughtException(where, "", clip(message), "")
    text = message or _message(error)
    return UncaughtException(where, type(error).__name__, clip(text), trace_of(error))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as trouble:  # noqa: BLE001 - an exception's own __str__ may do anything
        return f"its text raised {type(trouble).__name__}"


class Uncaught:
    """The hooks of interpreter, threads and event loop, taken over until `uninstall`.

    Args:
        note: Takes the event; a journal's `note`.
        tell: Takes a line for people.
    """

    def __init__(self, note: Callable[[Any], None], tell: Callable[[str], None]) -> None:
        self._note = note
        self._tell = tell
        self._main = sys.excepthook
        self._thread = threading.excepthook
        self._unraisable = sys.unraisablehook
        self._loop: asyncio.AbstractEventLoop | None = None

    def install(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Take the hooks over; those of `loop` too where it is given."""
        sys.excepthook = self._from_main
        threading.excepthook = self._from_thread
        sys.unraisablehook = self._from_nowhere
        if loop is not None:
            self._loop = loop
            loop.set_exception_handler(self._from_loop)

    def uninstall(self) -> None:
        """Give the hooks back. May be called twice."""
        sys.excepthook = self._main
        threading.excepthook = self._thread
        sys.unraisablehook = self._unraisable
        if self._loop is not None:
            self._loop.set_exception_handler(None)
            self._loop = None

    def _take(self, event: UncaughtException) -> None:
        self._note(event)
        self._tell(f"uncaught in {event.where}: {event.error_class}: {event.message}\n{event.traceback}".rstrip())

    def _from_main(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._main(kind, error, trace)
        else:
            self._take(uncaught_event("main", error))

    def _from_thread(self, args: threading.ExceptHookArgs) -> None:
        # A thread that raises SystemExit ends on purpose.
        if not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread is not None else "?"
            self._take(
                uncaught_event(f"thread {name}", args.exc_value, "" if args.exc_value else args.exc_type.__name__)
            )

    def _from_nowhere(self, args: sys.UnraisableHookArgs) -> None:
        where = getattr(args.object, "__qualname__", type(args.object).__name__)
        self._take(uncaught_event(f"finaliser {where}", args.exc_value, args.err_msg or ""))

    def _from_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("task") or context.get("future")
        coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
        # Not the task's name: it holds a number that counts all tasks of the process.
        where = getattr(coroutine, "__qualname__", "loop")
        error = context.get("exception")
        message = "" if error is not None else str(context.get("message", ""))
        self._take(uncaught_event(str(where), error, message))
