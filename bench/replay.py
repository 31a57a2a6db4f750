"""The cost of proving a journal and of rebuilding the account from it. Prints one JSON object.

    python bench/replay.py [--days 1 30] [--symbols 137] [--row-s 5] [--trips 300]

A journal is made up as a run would leave it: each row's counts, calls of the venue, heartbeats, and round trips with
all their booked events. It is written by the journal itself, chained and packed, and then proven and rebuilt, each in
a process of its own. Nothing stands in the store's place: comparing with one costs a look-up per fill and ledger entry.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradecore.engine.comparing import rebuild
from tradecore.journal.booked import read_booked
from tradecore.journal.mask import Mask
from tradecore.journal.opening import open_journal
from tradecore.journal.verify import verify
from tradecore.model.events import (
    BookedEvent,
    BudgetReleased,
    BudgetReserved,
    ExchangeCall,
    Heartbeat,
    Ids,
    IntentCleared,
    IntentCreated,
    LedgerEntry,
    Leg,
    OrderAck,
    OrderAttempt,
    OrderDone,
    OrderFill,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    ScanOutcomes,
    Stamped,
)

START_NS = 1_735_689_600 * 10**9
DAY_NS = 86_400 * 10**9
ONE, ZERO = Decimal(1), Decimal(0)


class _Clock:
    virtual = True

    def __init__(self) -> None:
        self.ns = START_NS

    def now_ns(self) -> int:
        return self.ns


class _Account:
    """Makes the booked events of round trips that hang together."""

    def __init__(self, symbols: int) -> None:
        self._symbols = symbols
        self._sequence = 0
        self._trips = 0

    def trip(self, at_ns: int) -> list[BookedEvent]:
        """One position, bought and sold for a hundredth more."""
        self._trips += 1
        symbol = f"S{self._trips % self._symbols}/USDT"
        position = f"P{self._trips:024d}"
        buy, sell = Decimal("100"), Decimal("101")
        events = self._side(position, symbol, "buy", buy, first=True) + self._side(position, symbol, "sell", sell)
        events.append((PositionClosed(position, symbol, "bench", "TAKE_PROFIT", ONE, ZERO, 60_000, ZERO), Ids()))
        booked = []
        for event, ids in events:
            self._sequence += 1
            booked.append(BookedEvent(self._sequence, Stamped(at_ns, event, ids)))
        return booked

    def _side(
        self, position: str, symbol: str, side: str, price: Decimal, *, first: bool = False
    ) -> list[tuple[Any, Ids]]:
        intent, order = f"I{side}{position}", f"C{side}{position}"
        ids = Ids(f"D{side}{position}", intent)
        of_order = Ids(ids.decision, intent, order, f"9{self._trips}")
        base, _, quote = symbol.partition("/")
        coin, amount = (quote, price) if side == "buy" else (base, ONE)
        sign = ONE if side == "buy" else -ONE
        legs = (
            Leg("assets", base, sign), Leg("venue", base, -sign), Leg("assets", quote, -sign * price),
            Leg("venue", quote, sign * price),
        )  # fmt: skip
        moved: Any = PositionUpdated(
            position, symbol, "fill", ZERO, Decimal(100), price, ZERO, price, None, None, 60_000
        )
        if first:
            moved = PositionOpened(position, symbol, "bench", ONE, price)
        attempt = OrderAttempt(symbol, side, 1, "PREPARED", "IOC 10 bps", "IOC", price, ONE, "", None)
        fill = OrderFill(
            symbol, side, 1, f"{side}{self._trips}", price, ONE, price, ZERO, "", is_maker=False, late=False
        )
        return [
            (IntentCreated(symbol, side, ONE, price, price, price, "bench", "bench", not first, "x", position, 1), ids),
            (BudgetReserved(coin, amount, Decimal(1_000)), ids),
            (attempt, of_order),
            (attempt._replace(state="SENDING", fence_ms=1), of_order),
            (OrderAck(symbol, 1, "FILLED", "same", 40.0), of_order),
            (fill, of_order),
            (LedgerEntry(f"trade/bench/{symbol}/{side}{self._trips}", "trade", legs), of_order),
            (moved, ids),
            (OrderDone(symbol, side, 1, "FILLED", ONE, price, price, "FILLED", 40), of_order),
            (IntentCleared(symbol, side, "FILLED", "FILLED", "", ONE, ONE, 1, 50), ids),
            (BudgetReleased(coin, amount, amount, ZERO, "FILLED", ""), ids),
        ]


def write(folder: Path, days: int, symbols: int, row_s: int, trips: int) -> None:
    """Write a journal of so many days."""
    clock, account = _Clock(), _Account(symbols)
    journal = open_journal(folder, session="bench", clock=clock, mask=Mask())  # type: ignore[arg-type]  # it asks for now
    rows = 86_400 // row_s
    due = 0.0
    for row in range(days * rows):
        clock.ns = START_NS + row * row_s * 10**9
        quiet = symbols - row % 5
        journal.note(ScanOutcomes(clock.ns // 10**6, symbols, {"THRESHOLD_NOT_MET": quiet, "RISK_REFUSED": row % 5}, 0))
        if row % 4 == 0:
            journal.note(ExchangeCall("balances", "", 200, 41.5, 12, ""))
        if row % 6 == 0:
            journal.note(Heartbeat(float(row), 0.2, 3, 0, 1, 4, "ACTIVE"))
        due += trips / rows
        while due >= 1:
            due -= 1
            journal.follow(account.trip(clock.ns))
    assert asyncio.run(journal.close(10))


def _prove(folder: Path) -> dict[str, Any]:
    found = verify(folder)
    assert found.ok, found.findings[:3]
    return {"lines": found.lines, "files": found.files}


def _rebuild(folder: Path) -> dict[str, Any]:
    rebuilt = rebuild(read_booked(folder))
    assert not rebuilt.contradictions, rebuilt.contradictions[:3]
    return {"booked": rebuilt.events, "fills": rebuilt.fills, "positions": len(rebuilt.positions)}


def _measured(work: Callable[[Path], dict[str, Any]], folder: Path, answers: Any) -> None:
    start = time.perf_counter()
    found = work(folder)
    took = time.perf_counter() - start
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers.put({**found, "s": round(took, 3), "peak_mb": round(peak_kb / 1_024, 1)})


def measure(work: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Run a piece of work in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    process = context.Process(target=_measured, args=(work, folder, answers))
    process.start()
    answer: dict[str, Any] = answers.get()
    process.join()
    return answer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, nargs="+", default=[1, 30])
    parser.add_argument("--symbols", type=int, default=137)
    parser.add_argument("--row-s", type=int, default=5)
    parser.add_argument("--trips", type=int, default=300, help="round trips a day")
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    for days in given.days:
        folder = Path(tempfile.mkdtemp(prefix="tradecore-bench-"))
        try:
            start = time.perf_counter()
            write(folder, days, given.symbols, given.row_s, given.trips)
            took = time.perf_counter() - start
            size = sum(path.stat().st_size for path in folder.rglob("*.jsonl*"))
            figures[str(days)] = {
                "write_s": round(took, 3), "size_mb": round(size / 2**20, 2),
                "prove": measure(_prove, folder), "rebuild": measure(_rebuild, folder),
            }  # fmt: skip
        finally:
            shutil.rmtree(folder)
    about = {"python": platform.python_version(), "cores": os.cpu_count(), "symbols": given.symbols}
    print(json.dumps({**about, "row_s": given.row_s, "trips_a_day": given.trips, "by_days": figures}, indent=2))


if __name__ == "__main__":
    main()
