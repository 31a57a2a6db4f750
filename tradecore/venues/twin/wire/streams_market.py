"""What streams of market data say, and when: after each change, with each trade, or once a second."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.streams_channel import Payload
from tradecore.venues.twin.wire.streams_depth import DepthChange
from tradecore.venues.twin.wire.tape import Day, Tape, TapeCandle, TapeTrade

_TRADES_MAX: Final = 200
"""Trades that one look at the market pushes at most: the newest."""
_CANDLES_MAX: Final = 10


class StreamName(NamedTuple):
    """What a stream carries."""

    text: str
    """As it was asked for."""
    symbol: str
    """Ours."""
    raw_symbol: str
    kind: str
    """bookTicker, depth, partial, trade, aggTrade, ticker, miniTicker or kline."""
    levels: int = 1
    """Of a partial book."""
    interval: str = ""
    """Of candles, the venue's name."""
    interval_ms: int = 0


class DayFacts(NamedTuple):
    """One symbol's last 24 hours and its best prices."""

    instrument: Instrument
    day: Day
    book: Book


class Words(Protocol):
    """One venue's names of streams, and how it says what they carry."""

    def read(self, stream: str) -> StreamName | None:
        """What a name means; ``None`` where it means nothing to this venue."""

    def book(self, name: StreamName, book: Book, state_id: int) -> Payload:
        """Best prices, or a part of the book."""

    def depth(self, name: StreamName, change: DepthChange, now_ms: int) -> Payload:
        """Levels that changed."""

    def trades(self, name: StreamName, item: Instrument, trades: list[TapeTrade], now_ms: int) -> list[Payload]:
        """Public trades."""

    def candle(self, name: StreamName, item: Instrument, candle: TapeCandle, now_ms: int) -> Payload:
        """One candle."""

    def day(self, name: StreamName, facts: DayFacts, now_ms: int) -> list[Payload]:
        """The day's ticker."""


class _Seen:
    """How far one stream has been told."""

    def __init__(self) -> None:
        self.newest: tuple[object, ...] = ()
        self.until_ms = -1
        self.open_ms = -1


class Market:
    """News of the market, stream by stream.

    Args:
        desk: Whose market it is.
        words: How the venue says it.
    """

    def __init__(self, desk: WireDesk, words: Words) -> None:
        self._desk: Final = desk
        self.words: Final = words
        self._tape: Final = Tape(desk.market)
        self._seen: Final[dict[str, _Seen]] = {}

    def forget(self, stream: str) -> None:
        """Begin anew with a stream that nobody listens to."""
        self._seen.pop(stream, None)

    def news(self, name: StreamName, change: DepthChange | None, *, slow: bool) -> list[Payload]:
        """What there is to say on a stream now.

        Args:
            change: Of the book of its symbol; ``None`` where nothing changed.
            slow: True once a second, when tickers and candles are due.
        """
        now_ms = self._desk.clock.now_ms()
        seen = self._seen.setdefault(name.text, _Seen())
        if name.kind == "depth":
            return [] if change is None else [self.words.depth(name, change, self._desk.now_ms())]
        if name.kind in ("bookTicker", "partial"):
            return self._book_news(name, seen, now_ms)
        if name.kind in ("trade", "aggTrade"):
            return self._trade_news(name, seen, now_ms)
        if not slow:
            return []
        return self._candle_news(name, seen, now_ms) if name.kind == "kline" else self._day_news(name, seen, now_ms)

    def _book_news(self, name: StreamName, seen: _Seen, now_ms: int) -> list[Payload]:
        book = self._desk.market.book(name.symbol, now_ms)
        newest = () if book is None else (book.bids[: name.levels], book.asks[: name.levels])
        if book is None or newest == seen.newest:
            return []
        seen.newest = newest
        return [self.words.book(name, book, self._desk.update_id(name.symbol, now_ms))]

    def _trade_news(self, name: StreamName, seen: _Seen, now_ms: int) -> list[Payload]:
        since_ms, seen.until_ms = seen.until_ms + 1, now_ms
        if since_ms == 0:  # the first look: what was traded before is not replayed
            return []
        trades = self._tape.trades(name.symbol, since_ms, now_ms, _TRADES_MAX)
        item = self._desk.market.instruments[name.symbol]
        return self.words.trades(name, item, trades, self._desk.now_ms()) if trades else []

    def _candle_news(self, name: StreamName, seen: _Seen, now_ms: int) -> list[Payload]:
        since_ms = seen.open_ms if seen.open_ms >= 0 else now_ms - now_ms % name.interval_ms
        candles = self._tape.candles(name.symbol, name.interval_ms, since_ms, now_ms, _CANDLES_MAX)
        if candles:
            seen.open_ms = candles[-1].open_ms
        item = self._desk.market.instruments[name.symbol]
        return [self.words.candle(name, item, candle, self._desk.now_ms()) for candle in candles]

    def _day_news(self, name: StreamName, seen: _Seen, now_ms: int) -> list[Payload]:
        day, book = self._tape.day(name.symbol, now_ms), self._desk.market.book(name.symbol, now_ms)
        if day is None or book is None:
            return []
        # The begin of the day moves with every look; on its own it is no news.
        newest = (day._replace(open_ms=0), book.bids[:1], book.asks[:1])
        if newest == seen.newest:
            return []
        seen.newest = newest
        facts = DayFacts(self._desk.market.instruments[name.symbol], day, book)
        return self.words.day(name, facts, self._desk.now_ms())
