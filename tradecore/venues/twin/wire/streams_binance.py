"""Binance's streams of market data: their names, and what they say as JSON.

Source: binance-spot-api-docs a5e0bc3, web-socket-streams.md; reference orders.md 2.12 and 3.1.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.units import ZERO, canonical, floor_to_lot, floor_to_tick, price_of
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.public import INTERVALS
from tradecore.venues.twin.wire.streams_channel import Payload
from tradecore.venues.twin.wire.streams_depth import DepthChange
from tradecore.venues.twin.wire.streams_market import DayFacts, StreamName
from tradecore.venues.twin.wire.tape import TapeCandle, TapeTrade

_PLAIN: Final = frozenset({"bookTicker", "trade", "aggTrade", "ticker", "miniTicker", "depth"})
_PARTIAL: Final = {"depth5": 5, "depth10": 10, "depth20": 20}
_SPEEDS: Final = ("", "100ms", "1000ms")


class BinanceWords:
    """``btcusdt@bookTicker`` and the like.

    Args:
        desk: Knows the symbols.
    """

    def __init__(self, desk: WireDesk) -> None:
        self._desk: Final = desk

    def read(self, stream: str) -> StreamName | None:
        """What a name means; symbols are written in small letters."""
        lower, _, rest = stream.partition("@")
        raw_symbol = lower.upper()
        symbol = self._desk.raw_symbols.get(raw_symbol)
        kind, _, speed = rest.partition("@")
        if symbol is None or lower != raw_symbol.lower() or speed not in _SPEEDS:
            return None
        if kind in _PLAIN:
            return StreamName(stream, symbol, raw_symbol, kind)
        if kind in _PARTIAL:
            return StreamName(stream, symbol, raw_symbol, "partial", _PARTIAL[kind])
        family, _, interval = kind.partition("_")
        interval_ms = INTERVALS["binance"].get(interval, 0)
        if family != "kline" or not interval_ms or interval_ms % self._desk.market.timeframe_ms:
            return None
        return StreamName(stream, symbol, raw_symbol, "kline", interval=interval, interval_ms=interval_ms)

    def book(self, name: StreamName, book: Book, state_id: int) -> Payload:
        """Best prices, or a part of the book."""
        if name.kind == "bookTicker":
            return dumps({"u": state_id, "s": name.raw_symbol, **_best(book)})
        bids, asks = (
            [[canonical(level.price), canonical(level.quantity)] for level in side[: name.levels]]
            for side in (book.bids, book.asks)
        )
        return dumps({"lastUpdateId": state_id, "bids": bids, "asks": asks})

    def depth(self, name: StreamName, change: DepthChange, now_ms: int) -> Payload:
        """Levels that changed."""
        bids, asks = (
            [[canonical(price), canonical(quantity)] for price, quantity in side]
            for side in (change.bids, change.asks)
        )  # fmt: skip
        return dumps(
            {
                "e": "depthUpdate", "E": now_ms, "s": name.raw_symbol, "U": change.first_id, "u": change.last_id,
                "b": bids, "a": asks,
            }
        )  # fmt: skip

    def trades(self, name: StreamName, item: Instrument, trades: list[TapeTrade], now_ms: int) -> list[Payload]:
        """One message a trade."""
        return [dumps(_trade(trade, item, name, now_ms)) for trade in trades]

    def candle(self, name: StreamName, item: Instrument, candle: TapeCandle, now_ms: int) -> Payload:
        """One candle; ``x`` tells whether it is closed."""
        close_ms = candle.open_ms + name.interval_ms - 1
        opened, close, high, low = (
            price_text(item, price) for price in (candle.open, candle.close, candle.high, candle.low)
        )
        facts = {
            "t": candle.open_ms, "T": close_ms, "s": name.raw_symbol, "i": name.interval, "f": -1, "L": -1,
            "o": opened, "c": close, "h": high, "l": low, "v": quantity_text(item, candle.volume), "n": 0,
            "x": now_ms > close_ms, "q": f"{candle.quote_volume:.8f}", "V": "0", "Q": "0", "B": "0",
        }  # fmt: skip
        return dumps({"e": "kline", "E": now_ms, "s": name.raw_symbol, "k": facts})

    def day(self, name: StreamName, facts: DayFacts, now_ms: int) -> list[Payload]:
        """The day's ticker, long or short; the short one knows no bid and no ask."""
        day, item = facts.day, facts.instrument
        short = {
            "e": "24hrMiniTicker", "E": now_ms, "s": name.raw_symbol, "c": price_text(item, day.last),
            "o": price_text(item, day.open), "h": price_text(item, day.high), "l": price_text(item, day.low),
            "v": quantity_text(item, day.volume), "q": f"{day.quote_volume:.8f}",
        }  # fmt: skip
        if name.kind == "miniTicker":
            return [dumps(short)]
        change = day.last - day.open
        average = day.quote_volume / day.volume if day.volume else day.last
        long = {
            **short, "e": "24hrTicker", "p": f"{change:.8f}", "P": f"{change / day.open * 100:.3f}",
            "w": f"{average:.8f}", "x": short["o"], "Q": "0", **_best(facts.book), "O": day.open_ms, "C": now_ms,
            "F": -1, "L": -1, "n": 0,
        }  # fmt: skip
        return [dumps(long)]


def _best(book: Book) -> dict[str, str]:
    """Best prices; "0" where a side is empty."""
    facts: dict[str, str] = {}
    for name, side in (("b", book.bids), ("a", book.asks)):
        facts[name] = canonical(side[0].price if side else ZERO)
        facts[name.upper()] = canonical(side[0].quantity if side else ZERO)
    return facts


def _trade(trade: TapeTrade, item: Instrument, name: StreamName, now_ms: int) -> dict[str, Any]:
    base = {
        "e": name.kind, "E": now_ms, "s": name.raw_symbol, "p": price_text(item, trade.price),
        "q": quantity_text(item, trade.quantity), "T": trade.at_ms, "m": trade.buyer_is_maker, "M": True,
    }  # fmt: skip
    number = trade.number
    return {**base, "a": number, "f": number, "l": number} if name.kind == "aggTrade" else {**base, "t": number}


def price_text(instrument: Instrument, price: float) -> str:
    """A price of the market, to the tick below."""
    return canonical(floor_to_tick(price_of(price), instrument.tick_size))


def quantity_text(instrument: Instrument, quantity: float) -> str:
    """A quantity of the market, in whole lots."""
    return canonical(floor_to_lot(price_of(quantity), instrument.lot_size)) if quantity > 0 else "0"


def dumps(message: Any) -> str:
    """Write a message as JSON."""
    return orjson.dumps(message).decode()
