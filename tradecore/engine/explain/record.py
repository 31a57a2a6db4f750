"""A question and its answer as an event, and back.

What many questions share (positions, closed trades, live intents, instruments) is written with the first of them and
referred to by the others, so that a refusal that comes again costs little. Every hour of market time, and after any
loss of events, everything is written anew: a reader needs no more than the hour that a question stands in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradecore.engine.explain.inputs import Answer, DecisionInputs, Limits
from tradecore.engine.explain.looked import MarketFacts
from tradecore.engine.explain.tokens import from_tokens, to_tokens
from tradecore.errors import DataError
from tradecore.model.book import Book
from tradecore.model.events import DecisionRecord
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Intent
from tradecore.model.lock import Lock
from tradecore.model.order import AttemptView
from tradecore.model.portfolio import FillRate, Portfolio, TradingState
from tradecore.model.position import ClosedPosition, Position
from tradecore.model.signal import Signal


class _Figures(NamedTuple):
    """A portfolio without what it holds."""

    as_of_ms: int
    currency: str
    state: TradingState
    equity: Decimal
    equity_day_open: Decimal
    equity_day_peak: Decimal
    free: Decimal
    reserved: Decimal
    exposure: Decimal
    trades_today: int
    orders_last_minute: int
    marks: Mapping[str, Decimal]


class _Slow(NamedTuple):
    """What of a portfolio seldom changes."""

    dust: Mapping[str, Decimal]
    fill_rate_24h: Mapping[str, FillRate]
    locks: tuple[Lock, ...]
    quote_rates: Mapping[str, Decimal]


class _Guests(NamedTuple):
    guests: Mapping[str, str]
    tunes: Mapping[str, str]
    limits: Limits | None


class _Body(NamedTuple):
    """What is a question's own."""

    market: MarketFacts
    answer: Answer
    signal: Signal | None
    figures: _Figures | None
    book: Book | None
    book_read: bool
    """True where the book stands among those of the market."""
    stop_price: Decimal | None
    attempts: tuple[AttemptView, ...]
    router: str


_KINDS: Final[Mapping[str, Any]] = {
    "p": Position, "c": ClosedPosition, "i": Intent, "n": Instrument, "s": _Slow, "g": _Guests,
}  # fmt: skip
"""First letter of a part's name to what it is."""


class Encoder:
    """Turns questions into events, each shared part once an hour."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Any, int]] = {}
        self._counts: dict[str, int] = dict.fromkeys(_KINDS, 0)
        self._new: dict[str, tuple[str, ...]] = {}
        self._closed: tuple[tuple[ClosedPosition, ...], str] = ((), "")
        self._hour = -1

    def forget(self) -> None:
        """Write every part anew from the next question on."""
        self._known.clear()
        self._closed = ((), "")

    def encode(self, inputs: DecisionInputs) -> DecisionRecord:
        """Write a question."""
        hour = inputs.market.now_ms // 3_600_000
        if hour != self._hour:
            self.forget()
            self._hour = hour
        self._new = {}
        refers = self._refers(inputs)
        book = inputs.book
        read = book is not None and inputs.market.books.get(book.symbol) == book
        body = _Body(
            inputs.market, inputs.answer, inputs.signal if inputs.intent is None else None,
            _figures(inputs.portfolio), None if read else book, read, inputs.stop_price, inputs.attempts, inputs.router,
        )  # fmt: skip
        answer = inputs.answer
        return DecisionRecord(
            inputs.question, inputs.signal.symbol, answer.outcome, answer.by, to_tokens(body, _Body), refers, self._new
        )

    def _refers(self, inputs: DecisionInputs) -> dict[str, str]:
        refers = {"guests": self._part("g", "", _Guests(inputs.guests, inputs.tunes, inputs.limits))}
        if inputs.intent is not None:
            refers["intent"] = self._part("i", inputs.intent.intent_id, inputs.intent)
        if inputs.instrument is not None:
            refers["instrument"] = self._part("n", inputs.instrument.symbol, inputs.instrument)
        p = inputs.portfolio
        if p is not None:
            refers["slow"] = self._part("s", "", _Slow(p.dust, p.fill_rate_24h, p.locks, p.quote_rates))
            if p.positions:
                refers["positions"] = " ".join([self._part("p", one.position_id, one) for one in p.positions])
            if p.pending:
                refers["pending"] = " ".join([self._part("i", one.intent_id, one) for one in p.pending])
            if p.closed:
                refers["closed"] = self._closed_text(p.closed)
        return refers

    def _closed_text(self, closed: tuple[ClosedPosition, ...]) -> str:
        if self._closed[0] is not closed:
            numbers = [int(self._part("c", one.position_id, one)[1:]) for one in closed]
            self._closed = (closed, _ranges(numbers))
        return self._closed[1]

    def _part(self, kind: str, key: str, value: Any) -> str:
        known = self._known.get((kind, key))
        if known is not None and (known[0] is value or known[0] == value):
            return f"{kind}{known[1]}"
        self._counts[kind] = number = self._counts[kind] + 1
        self._known[kind, key] = (value, number)
        self._new[f"{kind}{number}"] = to_tokens(value, _KINDS[kind])
        return f"{kind}{number}"


class Decoder:
    """Reads events back. They are handed over in the order in which they were written, from the start of an hour on."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str], tuple[str, ...]] = {}
        self._made: dict[tuple[str, str], Any] = {}

    def learn(self, session: str, record: DecisionRecord) -> None:
        """Take note of the shared parts that an event brings; `decode` does so by itself."""
        for name, tokens in record.parts.items():
            self._parts[session, name] = tokens

    def decode(self, session: str, record: DecisionRecord) -> DecisionInputs:
        """Read a question.

        Args:
            session: The run whose event it is: parts are numbered by run.
        Raises:
            DataError: If a part that it refers to was not seen, or a text does not fit.
        """
        self.learn(session, record)
        body: _Body = from_tokens(record.body, _Body)
        refers = record.refers
        intent: Intent | None = self._one(session, refers.get("intent", ""))
        signal = body.signal if intent is None else intent.signal
        if signal is None:
            raise DataError(f"expected a signal or an intent in the question about {record.symbol}, was neither")
        guests: _Guests = self._one(session, refers["guests"])
        return DecisionInputs(
            record.question, signal, body.market, body.answer,
            body.market.books.get(record.symbol) if body.book_read else body.book,
            self._portfolio(session, body.figures, refers), self._one(session, refers.get("instrument", "")),
            guests.limits, body.stop_price, intent, body.attempts, body.router, guests.tunes, guests.guests,
        )  # fmt: skip

    def _portfolio(self, session: str, figures: _Figures | None, refers: Mapping[str, str]) -> Portfolio | None:
        if figures is None:
            return None
        slow: _Slow = self._one(session, refers["slow"])
        closed = [f"c{number}" for number in _numbers(refers.get("closed", ""))]
        return Portfolio(
            figures.as_of_ms, figures.currency, figures.state, figures.equity, figures.equity_day_open,
            figures.equity_day_peak, figures.free, figures.reserved, figures.exposure,
            self._all(session, refers.get("positions", "").split()),
            self._all(session, refers.get("pending", "").split()),
            self._all(session, closed), figures.trades_today, figures.orders_last_minute, slow.dust,
            slow.fill_rate_24h, slow.locks, figures.marks, slow.quote_rates,
        )  # fmt: skip

    def _all(self, session: str, names: Sequence[str]) -> tuple[Any, ...]:
        return tuple([self._one(session, name) for name in names])

    def _one(self, session: str, name: str) -> Any:
        if not name:
            return None
        made = self._made.get((session, name))
        if made is None:
            tokens = self._parts.get((session, name))
            if tokens is None:
                raise DataError(f"expected part {name} of run {session} in a line before, was not there")
            made = self._made[session, name] = from_tokens(tokens, _KINDS[name[0]])
        return made


def _figures(p: Portfolio | None) -> _Figures | None:
    if p is None:
        return None
    return _Figures(
        p.as_of_ms, p.currency, p.state, p.equity, p.equity_day_open, p.equity_day_peak, p.free, p.reserved,
        p.exposure, p.trades_today, p.orders_last_minute, p.marks,
    )  # fmt: skip


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers as ``1-300 302``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in found)


def _numbers(text: str) -> list[int]:
    numbers: list[int] = []
    for part in text.split():
        low, _, high = part.partition("-")
        numbers.extend(range(int(low), int(high or low) + 1))
    return numbers
