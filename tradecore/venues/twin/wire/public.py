"""Public data: time, symbols, books, tickers, candles, trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from tradecore.model.instrument import Instrument
from tradecore.model.units import floor_to_tick, minus, price_of, ratio, times
from tradecore.venues.twin.manners import Answer
from tradecore.venues.twin.wire.call import Call, Params
from tradecore.venues.twin.wire.dialect import Body, Listed
from tradecore.venues.twin.wire.tape import Tape, TapeCandle, TapeTrade

_MINUTE: Final = 60_000
_BINANCE_INTERVALS: Final = {
    "1s": 1_000, "1m": _MINUTE, "3m": 3 * _MINUTE, "5m": 5 * _MINUTE, "15m": 15 * _MINUTE, "30m": 30 * _MINUTE,
    "1h": 60 * _MINUTE, "2h": 120 * _MINUTE, "4h": 240 * _MINUTE, "6h": 360 * _MINUTE, "8h": 480 * _MINUTE,
    "12h": 720 * _MINUTE, "1d": 1_440 * _MINUTE,
}  # fmt: skip
_MEXC_INTERVALS: Final = {
    "1m": _MINUTE, "5m": 5 * _MINUTE, "15m": 15 * _MINUTE, "30m": 30 * _MINUTE, "60m": 60 * _MINUTE,
    "4h": 240 * _MINUTE, "1d": 1_440 * _MINUTE,
}  # fmt: skip
INTERVALS: Final = {"binance": _BINANCE_INTERVALS, "mexc": _MEXC_INTERVALS}
_CANDLES_MOST: Final = 1_000
_TRADES_MOST: Final = 1_000
_DEPTH_MOST: Final = 5_000
_EIGHT: Final = Decimal("1E-8")


def plain(value: Any) -> Answer:
    """An answer 200 with a JSON value."""
    return Answer(200, orjson.dumps(value).decode())


class Public:
    """Handlers of public data.

    Args:
        tape: The market's past.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape: Final = tape

    def ping(self, call: Call) -> Answer:
        """Nothing, at once."""
        return plain({})

    def time(self, call: Call) -> Answer:
        """The venue's clock."""
        return plain({"serverTime": call.desk.now_ms() + int(call.hits.get("clock_skew", 0))})

    def exchange_info(self, call: Call) -> Answer:
        """All symbols, or those asked for."""
        desk = call.desk
        listed = [Listed(item, desk.listings[item.symbol]) for item in self._asked(call) or desk.listed()]
        return plain(call.dialect.exchange_info(desk.now_ms(), listed, self._limits(call)))

    @staticmethod
    def _limits(call: Call) -> list[Body]:
        limits = call.desk.limits
        rows = (
            ("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute), ("ORDERS", "SECOND", 10, limits.orders_per_10_s),
            ("ORDERS", "DAY", 1, limits.orders_per_day),
        )  # fmt: skip
        return [
            {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}
            for kind, interval, count, limit in rows
            if limit is not None
        ]

    @staticmethod
    def _asked(call: Call) -> list[Instrument] | None:
        """Instruments of ``symbol`` or ``symbols``; ``None`` where neither was sent."""
        if call.params.get("symbol"):
            return [call.instrument()]
        if not call.params.get("symbols"):
            return None
        try:
            names = orjson.loads(call.params.get("symbols"))
        except orjson.JSONDecodeError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise call.no("illegal", "symbols", '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$')
        found = [call.desk.instrument(name) for name in names]
        if None in found:
            raise call.no("symbol")
        return [item for item in found if item is not None]

    def depth(self, call: Call) -> Answer:
        """The order book."""
        instrument = call.instrument()
        limit, number = call.params.limit(100, _DEPTH_MOST), call.dialect.number
        book = call.desk.market.book(instrument.symbol, call.now_ms)
        sides = ((), ()) if book is None else (book.bids, book.asks)
        bids, asks = ([[number(level.price), number(level.quantity)] for level in side[:limit]] for side in sides)
        body: Body = {"lastUpdateId": call.desk.update_id(instrument.symbol, call.now_ms), "bids": bids, "asks": asks}
        return plain(body if call.wire == "binance" else {**body, "timestamp": call.desk.now_ms()})

    # Tickers ------------------------------------------------------------------------------------------------

    def ticker_day(self, call: Call) -> Answer:
        """The last 24 hours of one symbol, some, or all."""
        return self._tickers(call, self._day_of)

    def ticker_price(self, call: Call) -> Answer:
        """The last price of one symbol, some, or all."""
        return self._tickers(call, self._price_of)

    def ticker_book(self, call: Call) -> Answer:
        """The best bid and ask of one symbol, some, or all."""
        return self._tickers(call, self._touch_of)

    def average(self, call: Call) -> Answer:
        """The average price of five minutes, here the last one."""
        price = call.desk.last_price(call.instrument().symbol)
        return plain({"mins": 5, "price": call.dialect.number(price or Decimal(0)), "closeTime": call.desk.now_ms()})

    def _tickers(self, call: Call, body_of: Callable[[Call, Instrument], Body]) -> Answer:
        if call.params.get("symbol"):
            return plain(body_of(call, call.instrument()))
        items = self._asked(call)
        return plain([body_of(call, item) for item in (call.desk.listed() if items is None else items)])

    def _price_of(self, call: Call, instrument: Instrument) -> Body:
        price = call.desk.last_price(instrument.symbol)
        return {"symbol": self._raw(call, instrument), "price": call.dialect.number(price or Decimal(0))}

    def _touch_of(self, call: Call, instrument: Instrument) -> Body:
        number = call.dialect.number
        book = call.desk.market.book(instrument.symbol, call.now_ms)
        body: Body = {"symbol": self._raw(call, instrument)}
        for name, side in (("bid", book.bids if book else ()), ("ask", book.asks if book else ())):
            body[f"{name}Price"] = number(side[0].price if side else Decimal(0))
            body[f"{name}Qty"] = number(side[0].quantity if side else Decimal(0))
        return body

    def _day_of(self, call: Call, instrument: Instrument) -> Body:
        number, tick = call.dialect.number, instrument.tick_size
        day = self._tape.day(instrument.symbol, call.now_ms)
        touch = self._touch_of(call, instrument)
        zero = Decimal(0)
        opened, high, low, last = (
            (zero, zero, zero, zero)
            if day is None
            else tuple(floor_to_tick(price_of(value), tick) for value in (day.open, day.high, day.low, day.last))
        )
        volume, quote = (zero, zero) if day is None else (_amount(day.volume), _amount(day.quote_volume))
        change = minus(last, opened)
        part = ratio(change, opened) if opened else zero
        percent = f"{float(part):.8f}" if call.wire == "mexc" else f"{float(part) * 100:.3f}"
        body: Body = {
            **touch, "priceChange": _signed(number, change), "priceChangePercent": percent,
            "prevClosePrice": number(opened), "lastPrice": number(last), "openPrice": number(opened),
            "highPrice": number(high), "lowPrice": number(low), "volume": number(volume), "quoteVolume": number(quote),
            "openTime": call.now_ms if day is None else day.open_ms, "closeTime": call.now_ms,
        }  # fmt: skip
        if call.wire == "mexc":
            return {**body, "count": None}
        average = floor_to_tick(ratio(quote, volume), _EIGHT) if volume else zero
        body |= {"weightedAvgPrice": number(average), "lastQty": number(zero)}
        return {**body, "firstId": -1, "lastId": -1, "count": 0}

    # Trades and candles -------------------------------------------------------------------------------------

    def trades(self, call: Call) -> Answer:
        """The newest trades."""
        return plain([self._trade_body(call, item) for item in self._tape_of(call, 500)])

    def aggregated(self, call: Call) -> Answer:
        """Trades as Binance adds them up; MEXC names them without numbers."""
        number, mexc = call.dialect.number, call.wire == "mexc"
        tick = call.instrument().tick_size
        rows = []
        for item in self._tape_of(call, 500):
            name = None if mexc else item.number
            price = number(floor_to_tick(price_of(item.price), tick))
            rows.append(
                {
                    "a": name, "p": price, "q": number(_amount(item.quantity)),
                    "f": name, "l": name, "T": item.at_ms, "m": item.buyer_is_maker, "M": True,
                }
            )  # fmt: skip
        return plain(rows)

    def _trade_body(self, call: Call, item: TapeTrade) -> Body:
        number, tick = call.dialect.number, call.instrument().tick_size
        price, quantity = floor_to_tick(price_of(item.price), tick), _amount(item.quantity)
        return {
            "id": None if call.wire == "mexc" else item.number, "price": number(price), "qty": number(quantity),
            "quoteQty": number(times(price, quantity)), "time": item.at_ms, "isBuyerMaker": item.buyer_is_maker,
            "isBestMatch": True,
        }  # fmt: skip

    def _tape_of(self, call: Call, usual: int) -> Sequence[TapeTrade]:
        symbol, limit = call.instrument().symbol, call.params.limit(usual, _TRADES_MOST)
        since_ms, until_ms = call.params.whole("startTime", 0), call.params.whole("endTime", call.now_ms)
        if call.params.get("fromId"):
            return self._tape.trades_from(symbol, call.params.whole("fromId"), call.now_ms, limit)
        if since_ms:
            # From a start on the venue gives the oldest.
            return self._tape.trades_since(symbol, since_ms, min(until_ms, call.now_ms), limit)
        return self._tape.trades(symbol, 0, min(until_ms, call.now_ms), limit)

    def candles(self, call: Call) -> Answer:
        """Candles, oldest first; the last one still runs."""
        instrument = call.instrument()
        interval_ms = INTERVALS[call.wire].get(call.params.need("interval"))
        row_ms = call.desk.market.timeframe_ms
        if interval_ms is None or interval_ms % row_ms:
            raise call.no("interval")
        limit = call.params.limit(500, _CANDLES_MOST)
        until_ms = min(call.params.whole("endTime", call.now_ms), call.now_ms)
        since_ms = call.params.whole("startTime", -1)
        if since_ms < 0:
            since_ms = until_ms // interval_ms * interval_ms - (limit - 1) * interval_ms
        found = self._tape.candles(instrument.symbol, interval_ms, since_ms, call.now_ms, limit)
        wanted = [candle for candle in found if candle.open_ms <= until_ms]
        return plain(list(self._candle_rows(call, instrument, interval_ms, wanted)))

    @staticmethod
    def _candle_rows(
        call: Call, instrument: Instrument, interval_ms: int, candles: Iterable[TapeCandle]
    ) -> Iterable[list[Any]]:  # fmt: skip
        number, tick = call.dialect.number, instrument.tick_size
        for item in candles:
            prices = [number(floor_to_tick(price_of(value), tick)) for value in item[1:5]]
            volume, quote = number(_amount(item.volume)), number(_amount(item.quote_volume))
            row = [item.open_ms, *prices, volume]
            if call.wire == "mexc":
                yield [*row, item.open_ms + interval_ms, quote]
            else:
                yield [*row, item.open_ms + interval_ms - 1, quote, 0, number(Decimal(0)), number(Decimal(0)), "0"]

    # What only MEXC has -------------------------------------------------------------------------------------

    def api_symbols(self, call: Call) -> Answer:
        """Symbols that programs may trade (defaultSymbols, selfSymbols)."""
        desk = call.desk
        names = [self._raw(call, item) for item in desk.listed() if desk.listings[item.symbol].api]
        if call.key is not None and not call.key.trade:
            names = []
        return plain({"data": names, "code": 0, "msg": "success", "timestamp": desk.now_ms()})

    def contracts(self, call: Call) -> Answer:
        """The list of contracts, which ccxt always asks for: there are none."""
        return plain({"success": True, "code": 0, "data": []})

    def status(self, call: Call) -> Answer:
        """Whether the venue works (Binance sapi/v1/system/status)."""
        closed = call.now_ms < call.desk.maintained_until_ms
        return plain({"status": int(closed), "msg": "system_maintenance" if closed else "normal"})

    @staticmethod
    def _raw(call: Call, instrument: Instrument) -> str:
        return call.desk.manners.raw_symbol(instrument.symbol)


def _amount(value: float) -> Decimal:
    """A float quantity to eight decimals; nothing was traded in a minute of outage."""
    rounded = round(value, 8)
    return price_of(rounded) if rounded > 0 else Decimal(0)


def _signed(number: Callable[[Decimal], str], value: Decimal) -> str:
    return number(value) if value >= 0 else f"-{number(value.copy_abs())}"


def ticker_weight(one: int, some: int, all_: int) -> Callable[[Params], int]:
    """Weight of a ticker read: of one symbol, of up to a hundred, of all."""

    def weigh(params: Params) -> int:
        if params.get("symbol"):
            return one
        count = params.get("symbols").count('"') // 2
        return all_ if not count or count > 100 else one if count <= 20 else some

    return weigh


def depth_weight(params: Params) -> int:
    """Weight of a book by its rows.

    Source: Binance rest-api.md, order book: 100 rows 5, 500 25, 1,000 50, more 250.
    """
    text = params.get("limit")
    rows = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 100
    return 5 if rows <= 100 else 25 if rows <= 500 else 50 if rows <= 1_000 else 250
