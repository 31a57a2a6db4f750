"""The text log for people: loguru behind our own bounded queue, and the libraries' logging routed into it.

loguru's own ``enqueue=True`` holds the caller up when its sink is slow and for ever when it hangs (measured,
libraries.md section 5), so its one handler here only puts lines into a queue; a thread masks and writes them.
"""

from __future__ import annotations

import datetime
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

import loguru
from loguru import logger

from tradecore.errors import StateFolderError
from tradecore.journal.mask import Mask
from tradecore.journal.uncaught import clip, trace_of
from tradecore.model.events import LogRecord

LIBRARY_LEVELS: Final[Mapping[str, int]] = {
    # ccxt writes request headers and signed addresses at DEBUG.
    "ccxt": logging.WARNING,
    "apscheduler": logging.WARNING,
    "asyncio": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "alembic": logging.WARNING,
    # httpx writes each address at INFO, and Telegram's holds the token.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "telegram": logging.WARNING,
}
"""Loggers of libraries and the least level that they may write."""
_FILE_BYTES_MAX: Final = 20 * 2**20
_ROUND: Final = 500


class TextLog:
    """Lines to a stream and a file, written by a thread of its own; full queues drop, counted.

    Args:
        mask: Knows the secrets.
        stream: Where people look; ``None`` for nowhere.
        file: Is appended to, and moved to ``<name>.1`` at 20 MiB; ``None`` for no file.
        queue: Most lines that wait, >= 1.
    Raises:
        StateFolderError: If the file cannot be opened.
    """

    def __init__(self, mask: Mask, *, stream: TextIO | None, file: Path | None, queue: int = 10_000) -> None:
        self._mask = mask
        self._stream = stream
        self._path = file
        self._file: int | None = None
        self._limit = queue
        self._queue: deque[str] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._told = 0
        self.dropped = 0
        """Lines dropped so far."""
        self.sink_errors = 0
        """Writes that failed so far."""
        if file is not None:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                self._open(file)
            except OSError as error:
                raise StateFolderError(f"expected a log file that can be written, was {file}: {error}") from error
        self._thread = threading.Thread(target=self._run, name="tradecore-log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Take a line with its line feed. Never blocks, never raises."""
        if len(self._queue) >= self._limit or self._closing.is_set():
            with self._lock:
                self.dropped += 1
            return
        self._queue.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_s: float) -> bool:
        """Write what waits and end the thread; False if the time (real seconds) ran out. May be called twice."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing.is_set()
            while self._queue:
                lines = [self._queue.popleft() for _ in range(min(len(self._queue), _ROUND))]
                self._write("".join(lines))
            if self.dropped > self._told:
                new, self._told = self.dropped - self._told, self.dropped
                self._write(f"{new} log lines dropped, {self._told} in all\n")
            if closing:
                break
        if self._file is not None:
            os.close(self._file)

    def _write(self, text: str) -> None:
        cleaned = self._mask.text(text)
        try:
            if self._stream is not None:
                self._stream.write(cleaned)
                self._stream.flush()
        except (OSError, ValueError):  # a broken pipe, a closed stream, a character it cannot show
            self.sink_errors += 1
        try:
            if self._file is not None and self._path is not None:
                block = cleaned.encode("utf-8", "backslashreplace")
                if os.fstat(self._file).st_size + len(block) > _FILE_BYTES_MAX:
                    self._path.replace(self._path.with_name(self._path.name + ".1"))
                    os.close(self._file)
                    self._open(self._path)
                while block:
                    block = block[os.write(self._file, block) :]
        except OSError:
            self.sink_errors += 1

    def _open(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


class Logs:
    """loguru and the standard logging module, set up until `close`.

    Args:
        text: Where lines go.
        now_ns: Market time of a line, nanoseconds since 1970 UTC.
        level: Least level of lines for people, as loguru names it.
    """

    def __init__(self, text: TextLog, now_ns: Callable[[], int], level: str) -> None:
        self._text = text
        self._now_ns = now_ns
        self._note: Callable[[Any], None] | None = None
        logger.remove()
        # Variables of frames (diagnose) and frames beyond the catch (backtrace) would write secrets out at length.
        self._handler: int | None = logger.add(
            self._sink, level=level, format="{message}", diagnose=False, backtrace=False
        )
        self._saved: list[tuple[logging.Logger, int, bool, list[logging.Handler]]] = []
        self._route()

    @property
    def dropped(self) -> int:
        """Lines for people dropped so far."""
        return self._text.dropped

    def attach(self, note: Callable[[Any], None]) -> None:
        """Make warnings and errors of libraries `log_record` events from now on. `note` is a journal's."""
        self._note = note

    def tell(self, text: str) -> None:
        """Write an error for people."""
        logger.opt(depth=1).error(text)

    def close(self, timeout_s: float) -> bool:
        """Undo the set-up and write what waits; False if the time (real seconds) ran out. May be called twice."""
        for log, level, propagate, handlers in self._saved:
            log.setLevel(level)
            log.propagate = propagate
            log.handlers[:] = handlers
        self._saved.clear()
        if self._handler is not None:
            logger.remove(self._handler)
            self._handler = None
        return self._text.close(timeout_s)

    def _sink(self, message: loguru.Message) -> None:
        record = message.record
        moment = datetime.datetime.fromtimestamp(self._now_ns() // 10**6 / 1000, datetime.UTC)
        stamp = moment.isoformat(timespec="milliseconds").removesuffix("+00:00")
        self._text.put(f"{stamp}Z {record['level'].name:<8} {record['name']}: {message}")

    def _route(self) -> None:
        root = logging.getLogger()
        for log in (root, *map(logging.getLogger, LIBRARY_LEVELS)):
            self._saved.append((log, log.level, log.propagate, list(log.handlers)))
            log.handlers.clear()
            log.propagate = True
            log.setLevel(LIBRARY_LEVELS.get(log.name, logging.WARNING))
        # One handler at the root takes every library, also those that nobody thought of: the standard module's
        # last resort would print their warnings unmasked.
        root.addHandler(_Bridge(self._from_library))

    def _from_library(self, record: logging.LogRecord, text: str) -> None:
        if self._note is not None and record.levelno >= logging.WARNING:
            error = record.exc_info[1] if record.exc_info else None
            whole = text if error is None else f"{text}\n{trace_of(error)}"
            self._note(LogRecord(record.name, record.levelname, clip(whole)))
        level: str | int = record.levelname if record.levelname in _LOGURU_LEVELS else record.levelno
        # Text alone, without arguments: with any, loguru would take braces in it for fields.
        logger.patch(lambda line: line.update({"name": record.name})).opt(exception=record.exc_info).log(level, text)


_LOGURU_LEVELS: Final = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})


class _Bridge(logging.Handler):
    """Hands records of the standard logging module on."""

    def __init__(self, take: Callable[[logging.LogRecord, str], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on; one whose arguments do not fit its text goes as it is written."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = f"{record.msg} {record.args}"
        self._take(record, text)


def open_logs(
    *,
    mask: Mask,
    now_ns: Callable[[], int],
    level: str = "INFO",
    stream: TextIO | None = None,
    file: Path | None = None,
    queue: int = 10_000,
) -> Logs:
    """Set the program's text log up: loguru's default handler goes, ours comes, libraries are routed in.

    Args:
        mask: Knows the secrets.
        now_ns: Market time of a line, nanoseconds since 1970 UTC: a clock's `now_ns`.
        level: Least level of lines for people.
        stream: Where people look, as ``sys.stderr``; ``None`` for nowhere.
        file: Is appended to; ``None`` for no file.
        queue: Most lines that wait, >= 1.
    Raises:
        StateFolderError: If the file cannot be opened.
    """
    return Logs(TextLog(mask, stream=stream, file=file, queue=queue), now_ns, level)
