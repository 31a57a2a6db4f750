"""The answers of `light.py` through the full reader: for PostgreSQL, and for a schema to be refused by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow
from tradecore.model.order import Attempt
from tradecore.model.position import ClosedPosition, Position
from tradecore.model.records import Run, TradingRecord
from tradecore.store.light import Filter
from tradecore.store.queries import Reader

T = TypeVar("T")
_ALL = 1_000_000_000


class WideRows:
    """Rows as the model's words, newest first, of any database. Use it in a ``with`` block, in one thread.

    Args:
        reader: The full reader; it is closed with this.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def trades(self, wanted: Filter) -> Sequence[Fill]:
        """Fills by the venue's moment."""
        rows = self._reader.trades(_limit(wanted), wanted.symbol or None, wanted.since_ms)
        return _kept(rows, wanted, lambda fill: (fill.trade.traded_ms, "", ""))

    def orders(self, wanted: Filter) -> Sequence[Attempt]:
        """Attempts by the moment at which they were prepared; a reason is a code."""
        rows = self._reader.orders(_limit(wanted), wanted.symbol or None, wanted.since_ms)
        return _kept(rows, wanted, lambda one: (one.prepared_ms, str(one.outcome or one.state), one.code))

    def intents(self, wanted: Filter) -> Sequence[IntentRow]:
        """Intents by the moment at which they were created."""
        rows = self._reader.intents(_limit(wanted), wanted.symbol or None, wanted.since_ms)
        return _kept(rows, wanted, lambda row: (row.intent.created_ms, str(row.state), str(row.reason or "")))

    def closed(self, wanted: Filter) -> Sequence[ClosedPosition]:
        """Finished round trips by the moment of their end."""
        rows = self._reader.closed(_ALL)
        fitting = [
            one
            for one in rows
            if (not wanted.symbol or one.symbol == wanted.symbol)
            and (wanted.since_ms is None or one.closed_ms >= wanted.since_ms)
        ]
        return _kept(fitting, wanted._replace(status=()), lambda one: (one.closed_ms, "", str(one.reason)))

    def open_positions(self) -> Sequence[Position]:
        """Positions that are not closed."""
        return self._reader.open_positions()

    def runs(self) -> Sequence[Run]:
        """Runs on this state, the newest first."""
        return self._reader.runs()

    def trading(self) -> TradingRecord | None:
        """The trading state in force; ``None`` before the first start."""
        return self._reader.trading()

    def external_orders(self) -> Sequence[tuple[str, str, int]]:
        """Orders of the account that are not ours (R19): the venue's id, what it is, when it was seen."""
        return self._reader.external_orders()

    def newest_ms(self) -> int:
        """The newest moment of market time that the store knows of; 0 for an empty one."""
        moments = [memory.at_ms for memory in self._reader.memory().values()]
        run, trading = self._reader.last_run(), self._reader.trading()
        moments += [run.started_ms, run.ended_ms or 0] if run is not None else []
        moments += [trading.since_ms] if trading is not None else []
        moments += [fill.trade.traded_ms for fill in self._reader.trades(limit=1)]
        moments += [attempt.prepared_ms for attempt in self._reader.orders(limit=1)]
        moments += [row.intent.created_ms for row in self._reader.intents(limit=1)]
        return max(moments, default=0)

    def close(self) -> None:
        """Let go of the database."""
        self._reader.close()

    def __enter__(self) -> WideRows:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def _limit(wanted: Filter) -> int:
    """Rows to read before those are left out that the reader has no words for."""
    return _ALL if wanted.status or wanted.reason or wanted.until_ms is not None else wanted.limit


def _kept(rows: Sequence[T], wanted: Filter, facts: Callable[[T], tuple[int, str, str]]) -> Sequence[T]:
    """Rows that fit; `facts` tells a row's moment, status and reason."""
    found = []
    for row in rows:
        at_ms, status, reason = facts(row)
        late = wanted.until_ms is not None and at_ms >= wanted.until_ms
        if late or (wanted.status and status not in wanted.status) or (wanted.reason and reason != wanted.reason):
            continue
        found.append(row)
    return found[: wanted.limit]
