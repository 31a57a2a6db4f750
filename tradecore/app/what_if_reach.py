"""How far the answers of a what-if are what a real run under the other settings would have said.

Up to the first answer that differs both runs are one. Beyond it a question is asked alike only where nothing that it
was handed would be another: an entry that is not made and that had bought nothing leaves no trace once it has ended, so
the answers after it are exact again; one that had bought something changes the account for good. Where a question
depends on what would be another, or a row may have brought a trade of which nobody kept the question, exactness stops,
and that is said: what comes after is answered with the account as it stood then.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradecore.app.questions import Stored
from tradecore.engine.explain.inputs import ENTRY, ROUTE, Answer
from tradecore.engine.explain.reask import Reasked
from tradecore.journal.day_index import LeftOut
from tradecore.journal.query_lines import newest_lines
from tradecore.journal.read import Line
from tradecore.model.portfolio import FillRate

_MADE: Final = "INTENT_CREATED"
_MINUTE_NS: Final = 60 * 10**9
_DAY_NS: Final = 86_400 * 10**9
_SPAN_MS: Final = 300_000
_MS: Final = 1_000_000
_UNCOUNTED: Final = ("EXPIRED", "CANCELED")
"""Ends without a fill; the breaker counts the others (`engine/breaker.py`)."""
_KINDS: Final = (
    "order_attempt",
    "order_fill",
    "order_done",
    "order_failed",
    "intent_cleared",
    "refusals_again",
    "decision_outcome",
)


class Standing(enum.StrEnum):
    """What an answer is worth."""

    EXACT = "exact"
    """A real run under the other settings asks the same and is answered so."""
    MOOT = "moot"
    """A real run would not ask: the intent is not there any more."""
    OPEN = "open"
    """Asked with the account as it stood, which an earlier change may have altered."""


class Stop(NamedTuple):
    """Where exactness ends."""

    at_ns: int
    """The moment from which answers are not exact any more."""
    seq: int
    """Of the first line in that moment that is not; 0: none of them is."""
    why: str

    def before(self, one: Stored) -> bool:
        """Tell whether a question lies behind it."""
        return (self.at_ns, self.seq) <= (one.at_ns, one.seq)


class Lives:
    """What became of the intents of a journal, and of the rows whose questions were not kept.

    Args:
        journal: The journal's folder.
        since_ns: The first moment looked at.
        left_out: Is given damaged lines.
    """

    def __init__(self, journal: Path, since_ns: int | None, left_out: list[LeftOut]) -> None:
        self._fills: dict[str, list[int]] = {}
        self._sent: dict[str, list[int]] = {}
        self._settled: dict[str, dict[str, tuple[str, int]]] = {}
        self._failed: set[str] = set()
        self._ended: dict[str, int] = {}
        self._busy: dict[str, list[int]] = {}
        self._again: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for line in newest_lines(journal, _KINDS, since_ns=since_ns, left_out=left_out):
            self._take(line)

    def _take(self, line: Line) -> None:
        data, intent = line.data, line.ids.intent
        match line.kind:
            case "order_attempt":
                if data["state"] == "SENDING":
                    self._sent.setdefault(intent, []).append(line.at_ns)
            case "order_fill":
                self._fills.setdefault(intent, []).append(line.at_ns)
            case "order_done" | "order_failed":
                if data["outcome"] in _UNCOUNTED:
                    settled = self._settled.setdefault(intent, {})
                    settled[line.ids.client_order] = (data["symbol"], line.at_ns)
                elif data["outcome"] != "FILLED":
                    self._failed.add(intent)
            case "intent_cleared":
                self._ended[intent] = line.at_ns
            case "refusals_again":
                self._again.setdefault((data["plugin"], data["symbol"]), []).append(data)
                if data["outcome"] == "SYMBOL_BUSY":
                    rows = [data["first_ms"] + offset for offset in data["offsets_ms"]]
                    self._busy.setdefault(data["symbol"], []).extend(rows)
            case _:
                if data["outcome"] == "SYMBOL_BUSY":
                    self._busy.setdefault(data["symbol"], []).append(data["row_ms"])

    def traces_until(self, intent: str, since_ns: int) -> tuple[int | None, str]:
        """Until when an intent that goes no further at a moment would have been seen by others.

        Returns:
            The moment, nanoseconds; ``None``: for good, with the reason.
        """
        if any(at >= since_ns for at in self._fills.get(intent, ())):
            return None, "a trade that would not have been made had bought something"
        if intent in self._failed:
            return None, "an order that would not have been sent had failed, and failures are counted"
        if intent not in self._ended:
            return None, "an intent that would not have been made had not ended"
        return self._ended[intent], ""

    def sent(self, gone: Mapping[str, int], since_ns: int, until_ns: int) -> int:
        """Count orders that intents sent in a span though they were gone by then."""
        return sum(
            max(since_ns, gone_ns) <= at <= until_ns
            for intent, gone_ns in gone.items()
            for at in self._sent.get(intent, ())
        )

    def settled(self, gone: Mapping[str, int], since_ns: int, until_ns: int) -> Counter[str]:
        """Count orders of intents that settled in a span though the intents were gone by then, by symbol."""
        return Counter(
            symbol
            for intent, gone_ns in gone.items()
            for symbol, at in self._settled.get(intent, {}).values()
            if max(since_ns, gone_ns) <= at <= until_ns
        )

    def busy_ms(self, symbol: str, since_ns: int, until_ns: int) -> int | None:
        """The first row in a span that was refused because the symbol was busy; ``None``: none was."""
        rows = [row for row in self._busy.get(symbol, ()) if since_ns < row * _MS <= until_ns]
        return min(rows, default=None)

    def passes_ms(self, one: Stored, now: Answer) -> int | None:
        """The first row that only said a refusal again, and might not be refused now; ``None``: none might."""
        then, signal = one.inputs.answer, one.inputs.signal
        first: list[int] = []
        for run in self._again.get((signal.plugin, signal.symbol), ()):
            after = run["first_ms"] - signal.decided_ms
            if not 0 < after < _SPAN_MS or (run["outcome"], run["limit"]) != (then.outcome, then.limit):
                continue
            alike = (now.outcome, now.by, now.limit) == (then.outcome, then.by, then.limit)
            if alike and now.threshold == then.threshold:
                continue
            if not alike or then.value is None or then.threshold is None or now.threshold is None:
                first.append(run["first_ms"])
                continue
            over, limit = then.value > then.threshold, float(now.threshold)
            pairs = zip(run["offsets_ms"], map(float, run["limit_values"]), strict=False)
            first += [run["first_ms"] + offset for offset, value in pairs if (value > limit) != over]
        return min(first, default=None)


class Reach:
    """Says of each answer, in the order of the questions, what it is worth.

    Args:
        lives: What became of the intents then.
        unasked: Why no answer can be exact, where a changed guest does more than answer questions; empty: it does not.
    """

    def __init__(self, lives: Lives, unasked: str = "") -> None:
        self._lives = lives
        self._gone: dict[str, int] = {}
        """Intent to the moment from which it is not there."""
        self._traces_ns = 0
        self._last: Stored | None = None
        self._stop = Stop(0, 0, unasked) if unasked else None

    @property
    def stop(self) -> Stop | None:
        """Where exactness ends; ``None``: it does not, up to the last question that was placed."""
        last = self._last
        return self._stop if self._stop is not None and last is not None and self._stop.before(last) else None

    def place(self, one: Stored, now: Reasked, *, other_life: bool = False) -> Standing:
        """Judge one answer.

        Args:
            other_life: An intent would live longer or shorter than it did.
        """
        inputs = one.inputs
        intent = inputs.intent.intent_id if inputs.intent is not None else ""
        self._last = one
        if inputs.question != ENTRY and intent in self._gone:
            return Standing.MOOT
        if inputs.question != ROUTE:
            self._look(one)
        if now.answer is None:
            self._end(one.at_ns, one.seq, f"what a question of {inputs.signal.symbol} wants was not kept")
        if self._stop is not None and self._stop.before(one):
            return Standing.OPEN
        assert now.answer is not None
        if not now.same:
            self._changed(one, now.answer, intent)
        elif inputs.question == ENTRY and now.answer.outcome != _MADE:
            self._refused(one, now.answer)
        elif other_life or _caps(now.answer) != _caps(inputs.answer):
            self._end(one.at_ns, one.seq + 1, f"{inputs.signal.symbol} would have been bought under other caps")
        return Standing.EXACT

    def adjusted(self, one: Stored) -> Stored:
        """Hand a question on as a real run would ask it: orders that were not sent are in no count of orders."""
        portfolio = one.inputs.portfolio
        if portfolio is None or not self._gone:
            return one
        rates = dict(portfolio.fill_rate_24h)
        for symbol, fewer in self._lives.settled(self._gone, one.at_ns - _DAY_NS, one.at_ns).items():
            known = rates.pop(symbol, FillRate(0, 0))
            if known.attempts > fewer:
                rates[symbol] = known._replace(attempts=known.attempts - fewer)
        sent = self._lives.sent(self._gone, one.at_ns - _MINUTE_NS, one.at_ns)
        changed = portfolio._replace(orders_last_minute=portfolio.orders_last_minute - sent, fill_rate_24h=rates)
        return one._replace(inputs=one.inputs._replace(portfolio=changed))

    def _look(self, one: Stored) -> None:
        """Stop where a question saw what would not have been there."""
        if one.at_ns <= self._traces_ns:
            symbol = one.inputs.signal.symbol
            self._end(one.at_ns, one.seq, f"{symbol} was judged while an entry lived that would not have been made")

    def _changed(self, one: Stored, now: Answer, intent: str) -> None:
        then, question, symbol = one.inputs.answer, one.inputs.question, one.inputs.signal.symbol
        if question == ENTRY and _MADE not in {then.outcome, now.outcome}:
            self._refused(one, now)
            return
        if question == ROUTE or now.outcome in {_MADE, "ALLOWED"}:
            what = "another order" if intent else "a trade more"
            self._end(one.at_ns, one.seq + 1, f"{symbol} would have had {what}")
            return
        self._gone[intent] = one.at_ns
        until, why = self._lives.traces_until(intent, one.at_ns)
        if until is None:
            self._end(one.at_ns, one.seq + 1, why)
            return
        self._traces_ns = max(self._traces_ns, until)
        self._end_at_row(self._lives.busy_ms(symbol, one.at_ns, until), one)
        if question == ENTRY:
            self._refused(one, now)

    def _refused(self, one: Stored, now: Answer) -> None:
        self._end_at_row(self._lives.passes_ms(one, now), one)

    def _end_at_row(self, row_ms: int | None, one: Stored) -> None:
        if row_ms is not None:
            symbol = one.inputs.signal.symbol
            self._end(row_ms * _MS, 0, f"a row of {symbol} whose question was not kept might have become a trade")

    def _end(self, at_ns: int, seq: int, why: str) -> None:
        if self._stop is None or (at_ns, seq) < (self._stop.at_ns, self._stop.seq):
            self._stop = Stop(at_ns, seq, why)


def _caps(answer: Answer) -> dict[str, Decimal]:
    return {name: cap.value for name, cap in answer.caps.items()}
