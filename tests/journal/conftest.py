"""A clock set by hand, disks that misbehave, and events to write."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tradecore.journal.mask import Mask
from tradecore.journal.opening import EventJournal, open_journal
from tradecore.journal.sink import FileSink
from tradecore.model.events import BookedEvent, BudgetReserved, Ids, OrderFill, Stamped

NOON_NS = 1_621_425_600 * 10**9
"""2021-05-19 12:00 UTC."""
DAY_NS = 86_400 * 10**9


class HandClock:
    def __init__(self, virtual: bool = True, now_ns: int = NOON_NS) -> None:
        self.virtual = virtual
        self.ns = now_ns

    def now_ms(self) -> int:
        return self.ns // 10**6

    def now_ns(self) -> int:
        return self.ns

    def monotonic_s(self) -> float:
        return self.ns / 10**9

    async def sleep(self, seconds: float) -> None:
        self.ns += int(seconds * 10**9)

    async def sleep_until_ms(self, at_ms: int) -> None:
        self.ns = max(self.ns, at_ms * 10**6)


class Disk:
    """Opens sinks over real files, and can be told to fill up, hang or be slow."""

    def __init__(self) -> None:
        self.room: int | None = None
        """Bytes until it is full; ``None``: never."""
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.delay_s = 0.0
        self.fault: Exception | None = None
        self.writes = 0
        self.refused = 0

    def __call__(self, path: Path) -> DiskSink:
        return DiskSink(path, self)


class DiskSink(FileSink):
    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path)
        self._disk = disk

    def write(self, block: memoryview) -> int:
        disk = self._disk
        disk.open_gate.wait(30)
        if disk.delay_s:
            threading.Event().wait(disk.delay_s)
        disk.writes += 1
        if disk.fault is not None:
            raise disk.fault
        if disk.room is None:
            return super().write(block)
        if disk.room <= 0:
            disk.refused += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = super().write(block[: disk.room])
        disk.room -= taken
        return taken


def fill(number: int, sequence: int, at_ns: int = NOON_NS) -> BookedEvent:
    event = OrderFill(
        "BTC/USDT", "buy", number, f"t{number}", Decimal("43000.10"), Decimal("0.010"), Decimal("430.001"),
        Decimal("0.43"), "USDT", is_maker=False, late=False,
    )  # fmt: skip
    return BookedEvent(sequence, Stamped(at_ns, event, Ids("s", "i", f"c{number}", "9")))


def reserved(sequence: int, at_ns: int = NOON_NS) -> BookedEvent:
    event = BudgetReserved("USDT", Decimal("430"), Decimal("570"))
    return BookedEvent(sequence, Stamped(at_ns, event, Ids(intent="i")))


def booked(first: int, last: int, at_ns: int = NOON_NS) -> list[BookedEvent]:
    """Order and audit events by turns, one nanosecond apart."""
    return [
        fill(sequence, sequence, at_ns + sequence) if sequence % 2 else reserved(sequence, at_ns + sequence)
        for sequence in range(first, last + 1)
    ]


class Ledger:
    """Stands for the store: it holds the events and answers `events_after`."""

    def __init__(self, last: int = 0) -> None:
        self.events = booked(1, last)
        self.asked: list[int] = []

    def commit(self, count: int) -> list[BookedEvent]:
        first = len(self.events) + 1
        new = booked(first, first + count - 1)
        self.events += new
        return new

    def events_after(self, sequence: int, limit: int) -> list[BookedEvent]:
        self.asked.append(sequence)
        return self.events[sequence : sequence + limit]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.open_gate.set()


@pytest.fixture
def words() -> type[Words]:
    return Words


class Words:
    """The helpers above, for tests: importlib mode has no module of them to import from."""

    NOON_NS = NOON_NS
    DAY_NS = DAY_NS
    HandClock = HandClock
    Ledger = Ledger
    fill = staticmethod(fill)
    reserved = staticmethod(reserved)
    booked = staticmethod(booked)


@pytest.fixture
def opened(tmp_path: Path, clock: HandClock, disk: Disk) -> Callable[..., EventJournal]:
    """Open a journal in the test's folder; `virtual=False` for the one with a thread."""

    def make(virtual: bool = True, **settings: object) -> EventJournal:
        clock.virtual = virtual
        given = {"session": "run-1", "mask": Mask(), "open_sink": disk} | settings
        return open_journal(tmp_path / "journal", clock=clock, **given)

    return make
