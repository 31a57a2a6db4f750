"""What a live feed asks of a venue's public side: quotes in batches, books, candles, and streams as a hint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from tradecore.model.book import Book
from tradecore.model.instrument import Instrument


class Quote(NamedTuple):
    """Best bid and ask and the last trade of one symbol; market data, so floats."""

    symbol: str
    received_ms: int
    """When it came in, our market time: its age counts from here."""
    bid: float
    """Quote per base; NaN where nobody buys."""
    ask: float
    """Quote per base; NaN where nobody sells."""
    bid_quantity: float
    """Base units; NaN where the venue does not say."""
    ask_quantity: float
    last: float
    """Last traded price; NaN where the venue does not say."""
    volume_24h_quote: float
    """Quote units traded in 24 h, from the field that the venue documents (R38); NaN where it does not say."""
    source: str
    """``rest`` or ``stream``."""


class Candle(NamedTuple):
    """One candle of a venue."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    """Base units."""


class MarketData(Protocol):
    """A venue's public data. Every read takes its own turn at the limiter with priority DATA.

    Reads raise ``RetryableVenueError`` where no usable answer came and ``VenueRefused`` where the venue said no.
    """

    @property
    def name(self) -> str:
        """Name of the exchange, as ``binance``."""

    async def instruments(self) -> Mapping[str, Instrument]:
        """Read what can be traded, by symbol; asked again it reads anew (halts, new filters, delistings)."""

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Read quotes of many symbols in as few requests as the venue allows; a symbol without one is absent."""

    async def best(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Read best bids and asks, without last trade and volume where that is cheaper than whole quotes.

        A symbol without a bid and an ask is absent.
        """

    async def book(self, symbol: str) -> Book:
        """Read an order book."""

    async def candles(self, symbol: str, timeframe_ms: int, since_ms: int, limit: int) -> Sequence[Candle]:
        """Read closed candles, oldest first; the running one is left out.

        Raises:
            VenueRefused: The venue has no such timeframe.
        """

    async def server_time_ms(self) -> int:
        """Read the venue's clock."""

    async def close(self) -> None:
        """Let go of connections. May be called twice."""


class QuoteStream(Protocol):
    """Quotes pushed by the venue: a hint that saves requests, never the only source."""

    async def start(self, symbols: Sequence[str], on_quote: Callable[[Quote], None]) -> None:
        """Subscribe and keep subscribed, reconnecting with back-off, until `close`. Returns at once."""

    @property
    def alive(self) -> bool:
        """True while connected and pushing: a silent connection is not alive."""

    @property
    def reconnects(self) -> int:
        """Times that the connection was made again."""

    async def close(self) -> None:
        """Unsubscribe and let go. May be called twice."""
