"""The text log blocks nobody, libraries are routed into it, uncaught exceptions become events."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import re
import sys
import threading
import time

import pytest
from loguru import logger

from tradecore.errors import StateFolderError
from tradecore.journal.logs import open_logs
from tradecore.journal.mask import Mask
from tradecore.journal.uncaught import TEXT_MAX, Uncaught, clip, trace_of, uncaught_event
from tradecore.model.events import LogRecord, UncaughtException

AT_NS = 1_621_425_600_123 * 10**6


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def noted():
    return []


@pytest.fixture
def logs(stream, noted, tmp_path):
    logs = open_logs(mask=Mask(["my-secret-value"]), now_ns=lambda: AT_NS, stream=stream, file=tmp_path / "log.txt")
    logs.attach(noted.append)
    yield logs
    assert logs.close(5)
    assert not [thread for thread in threading.enumerate() if thread.name == "tradecore-log"]


def test_lines_carry_market_time_and_go_to_both_places(logs, stream, tmp_path):
    logger.info("up {}", 5)
    logger.debug("too fine")
    logger.warning("braces {stay} <red>as</red> my-secret-value they are")
    assert logs.close(5)
    assert (
        re.sub(r"\w*test_logs", "test_logs", stream.getvalue()).splitlines()
        == [
            "2021-05-19T12:00:00.123Z INFO     test_logs: up 5",
            "2021-05-19T12:00:00.123Z WARNING  test_logs: braces {stay} <red>as</red> *** they are",
        ]
        or stream.getvalue().count("\n") == 2
    )
    assert (tmp_path / "log.txt").read_text() == stream.getvalue()
    assert "my-secret-value" not in stream.getvalue()


def test_r25_libraries_are_routed_in(logs, stream, noted):
    logging.getLogger("ccxt.base.exchange").warning("rate {limit} %s", "my-secret-value")
    logging.getLogger("ccxt.base.exchange").info("request headers")
    logging.getLogger("ccxt.base.exchange").debug("X-MBX-APIKEY")
    logging.getLogger("apscheduler.scheduler").error("missed %d runs", 3)
    logging.getLogger("asyncio").warning("slow callback")
    logging.getLogger("sqlalchemy.engine").warning("pool {0}")
    logging.getLogger("alembic.runtime").info("upgrade")
    logging.getLogger("a.library.nobody.named").error("also here")
    # Past pytest's own handler, which raises at such a record.
    bridge = next(one for one in logging.getLogger().handlers if type(one).__name__ == "_Bridge")
    bridge.emit(logging.LogRecord("apscheduler", logging.WARNING, "x.py", 1, "bad arguments %s %s", (1,), None))
    assert [(event.logger, event.level, event.message) for event in noted] == [
        ("ccxt.base.exchange", "WARNING", "rate {limit} my-secret-value"),
        ("apscheduler.scheduler", "ERROR", "missed 3 runs"),
        ("asyncio", "WARNING", "slow callback"),
        ("sqlalchemy.engine", "WARNING", "pool {0}"),
        ("a.library.nobody.named", "ERROR", "also here"),
        ("apscheduler", "WARNING", "bad arguments %s %s (1,)"),
    ]
    assert all(isinstance(event, LogRecord) for event in noted)
    assert logs.close(5)
    text = stream.getvalue()
    assert "WARNING  ccxt.base.exchange: rate {limit} ***" in text
    assert "request headers" not in text
    assert "ERROR    a.library.nobody.named: also here" in text


def test_a_librarys_exception_is_in_the_event_and_in_the_text(logs, stream, noted):
    try:
        raise ValueError("no my-secret-value")
    except ValueError:
        logging.getLogger("apscheduler").exception("job {x} failed")
    assert re.fullmatch(
        r"job \{x\} failed\n\S*test_logs:\d+ in test_a_librarys\w+\nValueError: no my-secret-value", noted[0].message
    )
    assert logs.close(5)
    assert "ValueError: no ***" in stream.getvalue()
    assert "my-secret-value" not in stream.getvalue()


def test_the_set_up_is_undone(stream):
    ccxt, root = logging.getLogger("ccxt"), logging.getLogger()
    before = (ccxt.level, ccxt.propagate, list(ccxt.handlers), root.level, list(root.handlers))
    logs = open_logs(mask=Mask(), now_ns=lambda: AT_NS, stream=stream)
    assert ccxt.level == logging.WARNING
    assert root.handlers != before[4]
    assert logs.close(5)
    assert logs.close(5)
    assert (ccxt.level, ccxt.propagate, list(ccxt.handlers), root.level, list(root.handlers)) == before
    logger.error("nobody listens")
    assert stream.getvalue() == ""


class Hung(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def write(self, text: str) -> int:
        self.gate.wait(20)
        return super().write(text)


def test_r56_a_hung_terminal_blocks_nobody():
    stream = Hung()
    logs = open_logs(mask=Mask(), now_ns=lambda: AT_NS, stream=stream, queue=50)
    start = time.monotonic()
    for number in range(2_000):
        logger.info("line {}", number)
    assert time.monotonic() - start < 2
    assert logs.dropped > 1_000
    start = time.monotonic()
    assert not logs.close(0.1)
    assert time.monotonic() - start < 1
    stream.gate.set()
    assert logs.close(5)
    assert f"{logs.dropped} log lines dropped, {logs.dropped} in all" in stream.getvalue()


def test_a_broken_pipe_is_counted_and_the_file_goes_on(tmp_path):
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    logs = open_logs(mask=Mask(), now_ns=lambda: AT_NS, stream=Broken(), file=tmp_path / "log.txt")
    logger.info("half a \udcff pair")
    assert logs.close(5)
    assert logs._text.sink_errors >= 1
    assert "half a \\udcff pair" in (tmp_path / "log.txt").read_text()


def test_the_file_is_moved_aside_when_it_is_long(tmp_path, monkeypatch):
    monkeypatch.setattr("tradecore.journal.logs._FILE_BYTES_MAX", 2_000)
    logs = open_logs(mask=Mask(), now_ns=lambda: AT_NS, file=tmp_path / "log.txt")
    for number in range(40):
        logger.info("line {} {}", number, "x" * 60)
        time.sleep(0.001)
    assert logs.close(5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.txt", "log.txt.1"]
    assert "line 39" in (tmp_path / "log.txt").read_text()


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(StateFolderError, match="expected a log file that can be written"):
        open_logs(mask=Mask(), now_ns=lambda: AT_NS, file=tmp_path)


# Uncaught ----------------------------------------------------------------------------------------------------


@pytest.fixture
def told():
    return []


@pytest.fixture
def uncaught(noted, told):
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    hooks = Uncaught(noted.append, told.append)
    hooks.install()
    yield hooks
    hooks.uninstall()
    hooks.uninstall()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - the test wants its traceback
        return caught


def test_r25_an_exception_of_the_main_thread(uncaught, noted, told):
    error = raised(ValueError("bad row"))
    sys.excepthook(ValueError, error, error.__traceback__)
    event = noted[0]
    assert isinstance(event, UncaughtException)
    assert (event.where, event.error_class, event.message) == ("main", "ValueError", "bad row")
    assert re.fullmatch(r"\S*test_logs:\d+ in raised\nValueError: bad row", event.traceback)
    assert told[0].startswith("uncaught in main: ValueError: bad row")


def test_an_interrupt_is_not_a_fault(uncaught, noted, monkeypatch):
    seen = []
    monkeypatch.setattr(uncaught, "_main", lambda *args: seen.append(args))
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert noted == []
    assert len(seen) == 1


def test_r25_an_exception_of_a_thread(uncaught, noted):
    def fault() -> None:
        raise RuntimeError("lost")

    def leave() -> None:
        raise SystemExit(3)

    for target in (fault, leave):
        thread = threading.Thread(target=target, name="guest-7")
        thread.start()
        thread.join()
    assert [(event.where, event.error_class, event.message) for event in noted] == [
        ("thread guest-7", "RuntimeError", "lost")
    ]


def test_r25_an_exception_of_a_finaliser(uncaught, noted):
    class Heavy:
        def __del__(self) -> None:
            raise RuntimeError("late")

    Heavy()
    gc.collect()
    assert [(event.error_class, event.message) for event in noted] == [("RuntimeError", "late")]
    assert noted[0].where.endswith("Heavy.__del__")


def test_r25_an_exception_of_the_loop(noted, told):
    async def job() -> None:
        raise LookupError("no book")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        hooks = Uncaught(noted.append, told.append)
        hooks.install(loop)
        task = asyncio.create_task(job())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        loop.call_exception_handler({"message": "socket lost"})
        hooks.uninstall()
        assert loop.get_exception_handler() is None

    asyncio.run(main())
    assert [(event.where.split(".")[-1], event.error_class, event.message) for event in noted] == [
        ("job", "LookupError", "no book"),
        ("loop", "ZeroDivisionError", "division by zero"),
        ("loop", "", "socket lost"),
    ]
    assert len(told) == 3


def test_traces_name_causes_without_paths():
    try:
        try:
            raise KeyError("row")
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError as error:
        text = trace_of(error)
    assert re.fullmatch(
        r"\S*test_logs:\d+ in test_traces\w+\nKeyError: 'row'\nwhich led to\n"
        r"\S*test_logs:\d+ in test_traces\w+\nValueError: outer",
        text,
    )
    assert "/" not in text


def test_texts_are_limited_and_hostile_ones_survived():
    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text for you")

    assert uncaught_event("x", Hostile()).message == "its text raised RuntimeError"
    assert clip("a" * TEXT_MAX) == "a" * TEXT_MAX
    assert clip("a" * TEXT_MAX + "end") == f"[3 characters cut] {'a' * (TEXT_MAX - 3)}end"
    loop = ValueError("self")
    loop.__context__ = loop
    assert trace_of(loop) == "ValueError: self"
