"""How `why` and `query` answer as the journal grows: 137 symbols, days of 5 s rows. Prints one JSON object.

    python bench/explain.py [--days 1 7 30 90] [--symbols 137] [--seed 1]

The journal is written by the journal itself, day after day, from made-up but lifelike events: every row's counts, every
five minutes of all symbols, refusals with their inputs, trades with orders, fills, mark-outs and ledger entries, and a
snapshot of the account every 30 s. Then each command runs as a process of its own, three times; the best and the worst
are told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from tradecore.engine.explain.tally import SPAN_MS
from tradecore.journal.mask import Mask
from tradecore.journal.opening import EventJournal, open_journal
from tradecore.model.events import (
    BookedEvent,
    BudgetReleased,
    BudgetReserved,
    CandidateOutcomes,
    CheckFact,
    DecisionOutcome,
    DecisionRecord,
    DropTriggerEval,
    GuardsEval,
    Ids,
    IntentCleared,
    IntentCreated,
    LedgerEntry,
    Leg,
    MarkOut,
    OrderAck,
    OrderAttempt,
    OrderDone,
    OrderFill,
    OutcomeGroup,
    PortfolioSnapshot,
    RiskLimitsEval,
    ScanOutcomes,
    SizingCalc,
    Stamped,
)
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE
from tradecore.model.position import Position, PositionState
from tradecore.model.reasons import Reason
from tradecore.model.records import Row, Run
from tradecore.model.units import ClientOrderId, IntentId, PositionId, RunId, Side
from tradecore.ports.store import Store
from tradecore.store.database import sqlite_url
from tradecore.store.opening import open_store

START_MS = 1_735_689_600_000
ROW_MS = 5_000
DAY_MS = 86_400_000
NEW_REFUSALS_A_DAY = 600
REPEATS = 8
"""Rows on which a refusal comes again, on average."""
TRADES_A_DAY = 120
NOWHERE = "0123456789abcdef"
"""An id that no line bears."""


class DayClock:
    """Market time that the script sets."""

    virtual = True

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    def now_ns(self) -> int:
        return self.ms * 1_000_000

    def monotonic_s(self) -> float:
        return self.ms / 1_000

    async def sleep(self, seconds: float) -> None:
        self.ms += int(seconds * 1_000)

    async def sleep_until_ms(self, at_ms: int) -> None:
        self.ms = max(self.ms, at_ms)


class Writer:
    """Writes a lifelike day after another."""

    def __init__(self, folder: Path, symbols: int, seed: int) -> None:
        self.clock = DayClock()
        self.symbols = [f"C{number:03d}/USDT" for number in range(symbols)]
        self.chance = random.Random(seed)
        self.sequence = 0
        self.ids: list[str] = []
        self.journal: EventJournal = open_journal(
            folder / JOURNAL_FOLDER,
            session="RUN00000000000000000000001",
            clock=self.clock,
            mask=Mask([]),
            cap_mb=100_000,
        )

    def new_id(self) -> str:
        return f"{self.chance.getrandbits(128):032x}"

    def book(self, event: object, ids: Ids) -> None:
        self.sequence += 1
        self.journal.follow([BookedEvent(self.sequence, Stamped(self.clock.now_ns(), event, ids))])

    def day(self) -> None:
        begin, rows = self.clock.ms // DAY_MS * DAY_MS, DAY_MS // ROW_MS
        refusals = sorted(self.chance.randrange(rows) for _ in range(NEW_REFUSALS_A_DAY))
        trades = sorted(self.chance.randrange(rows) for _ in range(TRADES_A_DAY))
        for row in range(rows):
            self.clock.ms = begin + (row + 1) * ROW_MS - 1
            self.journal.note(
                ScanOutcomes(self.clock.ms, len(self.symbols), {"THRESHOLD_NOT_MET": len(self.symbols)}, 400)
            )
            while refusals and refusals[0] == row:
                refusals.pop(0)
                self.refusal()
            while trades and trades[0] == row:
                trades.pop(0)
                self.trade()
            if (row + 1) * ROW_MS % SPAN_MS == 0:
                self.span()
            if row % 6 == 0:
                equity = Decimal(10_000 + self.chance.randrange(-5_000, 5_000)) / 10
                self.journal.note(PortfolioSnapshot("USDT", equity, equity, Decimal(0), Decimal(0), 3, 0))

    def span(self) -> None:
        draw, count = self.chance.random, len(self.symbols)
        group = OutcomeGroup(
            "THRESHOLD_NOT_MET", "signals_drop", "ratio", tuple(self.symbols), (SPAN_MS // ROW_MS,) * count,
            tuple(float(f"{draw() / 20:.6g}") for _ in range(count)),
            tuple(float(f"{0.98 + draw() / 50:.10g}") for _ in range(count)), (0.98,) * count,
            tuple(ROW_MS * self.chance.randrange(60) for _ in range(count)),
        )  # fmt: skip
        first = self.clock.ms // SPAN_MS * SPAN_MS
        self.journal.note(CandidateOutcomes(first, self.clock.ms, 60, 60 * count, (group,)))

    def refusal(self) -> None:
        symbol, signal = self.chance.choice(self.symbols), self.new_id()
        ids, spread = Ids(signal), Decimal(self.chance.randrange(2_000, 9_000)) / 100
        self.asked(symbol, ids, "SPREAD_TOO_WIDE")
        for _ in range(1 + self.chance.randrange(2 * REPEATS)):
            self.journal.note(
                DecisionOutcome(
                    "signals_drop", symbol, self.clock.ms, "SPREAD_TOO_WIDE", "core", 0.9788, 0.98, -0.0012, "ratio",
                    f"spread_bps={spread}, limit=20", "spread_bps", spread, Decimal(20), "bps",
                ),
                ids,
            )  # fmt: skip

    def asked(self, symbol: str, ids: Ids, outcome: str) -> None:
        note = self.journal.note
        note(
            DropTriggerEval("signals_drop", symbol, self.clock.ms, 0.9788, 0.98, "ratio", "drop", 0.4, Decimal(1)), ids
        )
        note(
            SizingCalc(symbol, Decimal(7), "size_fixed: amount", {"size_fixed": "7 amount"}, Decimal(9), Decimal(2)),
            ids,
        )
        names = ("max_exposure", "max_daily_drawdown", "max_positions", "max_trades_per_day", "max_orders_per_minute")
        checks = tuple(CheckFact("risk_limits", name, Decimal(1), Decimal(8), "positions", False) for name in names)
        note(GuardsEval(symbol, 0, True, checks, {"spread_bps_max": "20 risk_limits"}), ids)
        if outcome == "RISK_REFUSED":
            note(RiskLimitsEval(symbol, "risk_limits", "max_positions", Decimal(9), Decimal(8), "positions"), ids)
        body = tuple(f"{self.chance.random():.12g}" for _ in range(110))
        note(DecisionRecord("entry", symbol, outcome, "core", body, {"guests": "g1", "slow": "s1"}, {}), ids)

    def trade(self) -> None:
        symbol, signal, intent, order = self.chance.choice(self.symbols), self.new_id(), self.new_id(), self.new_id()
        self.ids.append(intent)
        ids = Ids(signal, intent)
        self.asked(symbol, ids, "INTENT_CREATED")
        price, quantity = Decimal("1.2345"), Decimal("202.5")
        mid = Decimal("1.2340")
        self.book(
            IntentCreated(symbol, "buy", quantity, price, Decimal("1.24"), Decimal(250), "size_fixed: amount",
                          "signals_drop", False, "drop", self.new_id(), self.clock.ms + 60_000, mid), ids,
        )  # fmt: skip
        self.book(BudgetReserved("USDT", Decimal(251), Decimal(9_000)), ids)
        with_order = ids._replace(client_order=order)
        for state in ("PREPARED", "SENDING"):
            self.book(
                OrderAttempt(symbol, "buy", 1, state, "IOC 10 bps 1/2", "IOC", price, quantity, "", None), with_order
            )
        self.book(OrderAck(symbol, 1, "FILLED", "same", 40.0), with_order)
        trade = self.new_id()[:12]
        fee = Decimal("0.25")
        fill = OrderFill(symbol, "buy", 1, trade, price, quantity, Decimal(250), fee, "USDT", False, False)
        self.book(fill, with_order)
        legs = (Leg("assets", "USDT", Decimal(-250)), Leg("venue", "USDT", Decimal(250)))
        self.book(LedgerEntry(trade, "trade", legs), with_order)
        self.book(OrderDone(symbol, "buy", 1, "FILLED", quantity, Decimal(250), price, "FILLED", 40), with_order)
        self.book(BudgetReleased("USDT", Decimal(251), Decimal(250), Decimal(1), "FILLED", ""), ids)
        self.book(IntentCleared(symbol, "buy", "FILLED", "FILLED", "", quantity, quantity, 1, 100), ids)
        for delay in (1, 10, 60):
            self.journal.note(MarkOut(symbol, "buy", trade, price, Decimal(250), delay, mid), with_order)


def sized(folder: Path, suffix: str) -> int:
    return sum(path.stat().st_size for path in folder.rglob(f"*{suffix}"))


def timed(folder: Path, *words: str) -> dict[str, float]:
    """Run a command three times as a process of its own; an id that is nowhere is refused with 2."""
    program = Path(sys.executable).with_name("tradecore")
    spent, processor = [], []
    for _ in range(3):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [str(program), *words, "--state", str(folder), "--json"], capture_output=True, check=False
        )
        spent.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if done.returncode != (2 if NOWHERE in words else 0):
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.decode()}")
    return {
        "processor_s": round(min(processor), 3),
        "best_s": round(min(spent), 3),
        "median_s": round(statistics.median(spent), 3),
        "worst_s": round(max(spent), 3),
    }


def filled_store(folder: Path, writer: Writer, days: int) -> None:
    """A store with the run, the fills and the closed positions of so many days."""
    path = folder / STORE_FILE
    path.unlink(missing_ok=True)
    store = open_store(sqlite_url(path), inline=True, synchronous="OFF", follower=lambda events: None)
    rows: list[Row] = [Run(RunId("RUN"), 1, "bench", 1, "bench", "", START_MS)]
    for number in range(days * TRADES_A_DAY):
        at_ms = START_MS + number * (DAY_MS // TRADES_A_DAY)
        symbol, name = writer.symbols[number % len(writer.symbols)], f"P{number:08d}"
        one, price = Decimal(1), Decimal(100 + number % 7)
        trade = VenueTrade(name, name, name, symbol, Side.BUY, price, one, price, Decimal("0.1"), "USDT", False, at_ms)
        rows.append(Fill("bench", trade, ClientOrderId(name), IntentId(name), PositionId(name), at_ms))
        rows.append(
            Position(
                PositionId(name), symbol, "signals_drop", "", Decimal(0), price, at_ms, 1, price, price,
                state=PositionState.CLOSED, bought_quantity=one, bought_quote=price, sold_quantity=one,
                sold_quote=price + number % 3 - 1, closed_ms=at_ms + 600_000, close_reason=Reason.TAKE_PROFIT,
            )
        )  # fmt: skip
    asyncio.run(_commit(store, rows))


async def _commit(store: Store, rows: Sequence[Row]) -> None:
    store.load()
    await store.commit(rows, ())
    await store.close()


def measured(folder: Path, writer: Writer, days: int) -> dict[str, object]:
    journal = folder / JOURNAL_FOLDER
    intent, symbol = writer.ids[len(writer.ids) // 2], writer.symbols[7]
    whole = f"{days}d"
    commands = {
        "why --top": ("why", "--top"), f"why --top --since {whole}": ("why", "--top", "--since", whole),
        "why SYMBOL --since 2h": ("why", symbol, "--since", "2h"),
        f"why SYMBOL --since {whole}": ("why", symbol, "--since", whole), "why INTENT": ("why", intent),
        "why UNKNOWN_ID": ("why", NOWHERE),
        "query guards": ("query", "guards"), "query guards --symbol": ("query", "guards", "--symbol", symbol),
        "query events --kind": ("query", "events", "--kind", "order_fill"), "query trades": ("query", "trades"),
        "query trades --symbol": ("query", "trades", "--symbol", symbol),
        "query performance": ("query", "performance", "--since", whole),
    }  # fmt: skip
    first = time.perf_counter()
    program = Path(sys.executable).with_name("tradecore")
    for words in (("why", "--top"), ("query", "performance")):
        subprocess.run(
            [str(program), *words, "--since", whole, "--state", str(folder)], capture_output=True, check=True
        )
    unsummed_s = time.perf_counter() - first
    return {
        "days": days,
        "packed_mb": round(sized(journal, ".jsonl.gz") / 1e6, 1),
        "plain_mb": round(sized(journal, ".jsonl") / 1e6, 1),
        "sums_mb": round(sized(journal / "index", ".json.gz") / 1e6, 2),
        "ids_mb": round(sized(journal / "index", ".ids") / 1e6, 2),
        "first_of_all_s": round(unsummed_s, 2),
        "commands": {name: timed(folder, *words) for name, words in commands.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, nargs="+", default=[1, 7, 30, 90])
    parser.add_argument("--symbols", type=int, default=137)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    about = {"python": platform.python_version(), "cores": os.cpu_count(), "load_1m": round(os.getloadavg()[0], 2)}
    results = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        writer = Writer(folder, chosen.symbols, chosen.seed)
        day_bytes = 0
        for days in range(1, max(chosen.days) + 1):
            writer.day()
            asyncio.run(writer.journal.flush(60))
            if days == 1:
                day_bytes = sized(folder / JOURNAL_FOLDER, ".jsonl")
            if days in chosen.days:
                filled_store(folder, writer, days)
                results.append(measured(folder, writer, days))
            writer.clock.ms = START_MS + days * DAY_MS
        asyncio.run(writer.journal.close(60))
    print(json.dumps({"benchmark": "explain", **about, "symbols": chosen.symbols, "seed": chosen.seed,
                      "day_raw_mb": round(day_bytes / 1e6, 1), "runs": results}, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
