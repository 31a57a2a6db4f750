"""A venue's public side through ccxt: instruments, quotes in batches, books, candles (ports/quotes.MarketData)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradecore.errors import RetryableVenueError, UnitError, VenueRefused
from tradecore.model.book import Book, Level
from tradecore.model.instrument import Instrument
from tradecore.model.units import decimal_of
from tradecore.ports.limiter import Priority
from tradecore.ports.quotes import Candle, Quote
from tradecore.venues import weights
from tradecore.venues.ccxt.best import best_of, number_of, parameters_of
from tradecore.venues.ccxt.client import Asked, Client
from tradecore.venues.ccxt.instruments import instrument_of
from tradecore.venues.ccxt.parsed import says_none
from tradecore.venues.payload import parse_json

BOOK_LEVELS: Final = 100
"""Levels of a book that are asked for."""
_FEW: Final = 20
_BATCH: Final = 200
"""Markets turned into instruments before others go first."""


def quote_of(symbol: str, ticker: Mapping[str, Any], received_ms: int, *, raw: bool) -> Quote | None:
    """Turn one ticker into a quote.

    Args:
        ticker: ccxt's unified one.
        raw: True where the row came in Binance's field names: its own quote volume is taken, as documented (R38).
    Returns:
        ``None`` where neither a side nor a trade is known.
    """
    info = ticker.get("info")
    fields = info if raw and isinstance(info, Mapping) else {}
    volume = number_of(fields.get("quoteVolume") if fields else ticker.get("quoteVolume"))
    bid, ask, bid_quantity, ask_quantity, last = (
        number_of(ticker.get(name)) for name in ("bid", "ask", "bidVolume", "askVolume", "last")
    )
    quote = Quote(symbol, received_ms, bid, ask, bid_quantity, ask_quantity, last, volume, "rest")
    return None if math.isnan(quote.bid) and math.isnan(quote.ask) and math.isnan(quote.last) else quote


def levels_of(rows: Any, *, falling: bool) -> tuple[Level, ...]:
    """Turn one side of a raw book into levels, best first; levels without a quantity are none.

    Raises:
        UnitError: If a price or a quantity is malformed or negative.
    """
    if not isinstance(rows, list | tuple):
        raise UnitError(f"expected a side of a book, was {type(rows).__name__}")
    levels = []
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) < 2:
            raise UnitError("expected a level of price and quantity")
        price, quantity = decimal_of(str(row[0])), decimal_of(str(row[1]))
        if price <= 0 or quantity < 0:
            raise UnitError(f"expected a positive price and quantity, was {row[0]!r} and {row[1]!r}")
        if quantity:
            levels.append(Level(price, quantity))
    # ccxt sorts prices that are text as text, so the order is never taken for granted.
    return tuple(sorted(levels, key=lambda level: level.price, reverse=falling))


class CcxtMarketData:
    """Public data of one exchange; every read takes its own turn at the limiter.

    Args:
        client: The exchange.
        owns: True lets `close` close it.
    """

    def __init__(self, client: Client, *, owns: bool = True) -> None:
        self.client: Final = client
        self._owns: Final = owns

    def __repr__(self) -> str:
        return f"CcxtMarketData({self.name})"

    @property
    def name(self) -> str:
        """Ccxt's id of the exchange."""
        return self.client.name

    async def instruments(self) -> Mapping[str, Instrument]:
        """Read what can be traded, by symbol; asked again it reads anew (halts, new filters, delistings)."""
        return await self.instruments_for(None, Priority.DATA)

    async def instruments_for(
        self, self_symbols: frozenset[str] | None, priority: Priority
    ) -> Mapping[str, Instrument]:  # fmt: skip
        """Read what can be traded.

        Args:
            self_symbols: MEXC's names of what our key may trade; ``None`` where nobody knows.
            priority: Of the turn.
        """
        await self.client.turn("instruments", priority)
        markets = await self.client.load_markets(anew=True)
        found: dict[str, Instrument] = {}
        for number, market in enumerate(list(markets.values())):
            if number % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)  # thousands of markets in one go would hold the loop
            made = self.instrument(market, self_symbols)
            if made is not None:
                found[made.symbol] = made
        return found

    def instrument(self, market: Mapping[str, Any], self_symbols: frozenset[str] | None = None) -> Instrument | None:
        """Turn one market of ccxt's into an instrument; ``None`` where it is none of ours."""
        return instrument_of(self.name, self.client.ways, self.client.exchange.precisionMode, market, self_symbols)

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Read quotes of many symbols in as few requests as the venue allows; a symbol without one is absent."""
        await self._known(Priority.DATA)
        wanted = [symbol for symbol in dict.fromkeys(symbols) if symbol in self.client.exchange.markets]
        if not wanted:
            return {}
        if len(wanted) == 1:
            return await self._one_quote(wanted[0])  # a list of one makes ccxt expect another form of answer
        most = self.client.ways.ticker_list
        some = len(wanted) <= most
        few = some and len(wanted) <= _FEW
        named = wanted if some or not most else None
        operation = "quotes_few" if few else "quotes_some" if some else "quotes_all"
        await self.client.turn(operation, Priority.DATA)
        asked = await self.client.ask("quotes", "", lambda exchange: exchange.fetch_tickers(named))
        tickers = self.client.usable(asked, "quotes")
        return self._quotes(wanted, tickers)

    async def best(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Read best bids and asks alone, where the exchange has a cheaper answer for them; else whole quotes."""
        method = self.client.ways.book_ticker
        if not method:
            return await self.quotes(symbols)
        await self._known(Priority.DATA)
        markets = self.client.exchange.markets
        wanted = {str(markets[symbol]["id"]): symbol for symbol in symbols if symbol in markets}
        if not wanted:
            return {}
        parameters = parameters_of(self.client.ways, list(wanted))
        one = "symbol" in parameters
        await self.client.turn("best" if one else "best_many", Priority.DATA)
        asked = await self.client.ask(
            "quotes", wanted[parameters["symbol"]] if one else "",
            lambda exchange: getattr(exchange, method)(dict(parameters)),
        )  # fmt: skip
        return best_of(self.client.usable(asked, "quotes"), wanted, self.client.clock.now_ms())

    async def _one_quote(self, symbol: str) -> Mapping[str, Quote]:
        await self.client.turn("quote", Priority.DATA)
        asked = await self.client.ask("quotes", symbol, lambda exchange: exchange.fetch_ticker(symbol))
        return self._quotes([symbol], {symbol: self.client.usable(asked, f"quote {symbol}")})

    def _quotes(self, wanted: Sequence[str], tickers: Any) -> Mapping[str, Quote]:
        if not isinstance(tickers, Mapping):
            raise RetryableVenueError(f"quotes: expected tickers by symbol, was {type(tickers).__name__}")
        now_ms, found = self.client.clock.now_ms(), {}
        for symbol in wanted:
            ticker = tickers.get(symbol)
            quote = None if ticker is None else quote_of(symbol, ticker, now_ms, raw=self.client.rules.raw)
            if quote is not None:
                found[symbol] = quote
        if not found and not tickers:
            raise RetryableVenueError(f"quotes: expected those of {len(wanted)} symbols, were none")
        return found

    async def book(self, symbol: str) -> Book:
        """Read an order book."""
        return await self.book_for(symbol, Priority.DATA)

    async def book_for(self, symbol: str, priority: Priority) -> Book:
        """Read an order book with a turn of some priority."""
        await self._known(priority)
        await self.client.turn("book", priority, weights.book_weight(self.name, BOOK_LEVELS))
        asked = await self.client.ask(
            "book", symbol, lambda exchange: exchange.fetch_order_book(symbol, BOOK_LEVELS)
        )  # fmt: skip
        parsed = self.client.usable(asked, f"book {symbol}")
        return self._book(symbol, asked, parsed)

    def _book(self, symbol: str, asked: Asked, parsed: Any) -> Book:
        try:
            raw = parse_json(asked.read.body) if self.client.rules.raw else parsed
            if not isinstance(raw, Mapping):
                raise UnitError(f"expected a book, was {type(raw).__name__}")
            if not (raw.get("bids") or raw.get("asks") or says_none(asked.read.body)):
                raise UnitError("expected a book, was none")
            bids, asks = levels_of(raw.get("bids"), falling=True), levels_of(raw.get("asks"), falling=False)
        except ValueError as error:
            raise RetryableVenueError(f"book {symbol}: {error}") from error
        return Book(symbol, self.client.clock.now_ms(), bids, asks, "rest")

    async def candles(self, symbol: str, timeframe_ms: int, since_ms: int, limit: int) -> Sequence[Candle]:
        """Read closed candles, oldest first; the running one is left out.

        Raises:
            VenueRefused: The venue has no such timeframe.
        """
        await self._known(Priority.DATA)
        timeframe = self._timeframe(timeframe_ms)
        await self.client.turn("candles", Priority.DATA)
        asked = await self.client.ask(
            "candles", symbol, lambda exchange: exchange.fetch_ohlcv(symbol, timeframe, since_ms, limit)
        )
        rows = self.client.usable(asked, f"candles {symbol}")
        if not rows and not says_none(asked.read.body):
            raise RetryableVenueError(f"candles {symbol}: expected a list, was none")
        return candles_of(rows, timeframe_ms, since_ms, self.client.clock.now_ms() + self.client.offset_ms)[:limit]

    def _timeframe(self, timeframe_ms: int) -> str:
        exchange = self.client.exchange
        for name in exchange.timeframes or ():
            if exchange.parse_timeframe(name) * 1000 == timeframe_ms:
                return str(name)
        raise VenueRefused(f"{self.name}: expected a timeframe that it has, was {timeframe_ms} ms")

    async def _known(self, priority: Priority) -> None:
        """Read the markets once, which ccxt needs before it can name any."""
        if not self.client.exchange.markets:
            await self.client.turn("instruments", priority)
            await self.client.load_markets()

    async def listed(self) -> Any:
        """Have ccxt's object of the exchange with its markets, read once within the limiter; for streams beside it.

        Raises:
            RetryableVenueError: If no usable answer came.
            VenueRefused: If the venue said no.
        """
        await self._known(Priority.DATA)
        return self.client.exchange

    async def server_time_ms(self) -> int:
        """Read the venue's clock."""
        return await self.client.server_time_ms()

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        if self._owns:
            await self.client.close()


def candles_of(rows: Any, timeframe_ms: int, since_ms: int, now_ms: int) -> Sequence[Candle]:
    """Turn ccxt's candles into ours: closed ones only, each moment once, oldest first.

    Args:
        now_ms: The venue's time.
    Raises:
        RetryableVenueError: If the answer holds no candles.
    """
    if not isinstance(rows, list):
        raise RetryableVenueError(f"candles: expected a list, was {type(rows).__name__}")
    found: dict[int, Candle] = {}
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) < 6 or not isinstance(row[0], int):
            raise RetryableVenueError("candles: expected rows of six figures")
        opened, high, low, close = (number_of(value) for value in row[1:5])
        if row[0] < since_ms or row[0] + timeframe_ms > now_ms or math.isnan(opened + high + low + close):
            continue
        volume = number_of(row[5])
        found[row[0]] = Candle(row[0], opened, high, low, close, 0.0 if math.isnan(volume) else volume)
    return [found[moment] for moment in sorted(found)]
