"""What MEXC's streams say: protobuf frames, made with the message classes that ccxt brings along.

They need the package ``protobuf`` (extra ``mexc-streams``). Without it this wire has no streams, and says so.
Source: MEXC spot v3, websocket market and user data streams; ccxt/protobuf/mexc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.units import Side, canonical, minus, ratio, times
from tradecore.venues.twin.manners import Manners
from tradecore.venues.twin.records import EngineEvent, OrderView
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.streams_binance import price_text, quantity_text
from tradecore.venues.twin.wire.streams_channel import Payload
from tradecore.venues.twin.wire.streams_depth import DepthChange
from tradecore.venues.twin.wire.streams_market import DayFacts, StreamName
from tradecore.venues.twin.wire.tape import TapeCandle, TapeTrade

try:
    from ccxt.protobuf.mexc import PushDataV3ApiWrapper_pb2 as _PUSH
except ImportError:  # the extra is not installed
    _PUSH = None

ORDERS: Final = "spot@private.orders.v3.api.pb"
DEALS: Final = "spot@private.deals.v3.api.pb"
ACCOUNT: Final = "spot@private.account.v3.api.pb"
BOOK_TICKER: Final = "spot@public.aggre.bookTicker.v3.api.pb"
DEPTH: Final = "spot@public.aggre.depth.v3.api.pb"
TRADES: Final = "spot@public.aggre.deals.v3.api.pb"
KLINE: Final = "spot@public.kline.v3.api.pb"
_KINDS: Final = {BOOK_TICKER: "bookTicker", DEPTH: "depth", TRADES: "trade"}
_SPEEDS: Final = ("10ms", "100ms")
_INTERVALS: Final = {
    "Min1": 1,
    "Min5": 5,
    "Min15": 15,
    "Min30": 30,
    "Min60": 60,
    "Hour4": 240,
    "Hour8": 480,
    "Day1": 1_440,
}
"""Minutes of a candle."""
_TYPES: Final = {"LIMIT": 1, "LIMIT_MAKER": 2, "IMMEDIATE_OR_CANCEL": 3, "FILL_OR_KILL": 4, "MARKET": 5}
_STATES: Final = {"NEW": 1, "FILLED": 2, "PARTIALLY_FILLED": 3, "CANCELED": 4, "PARTIALLY_CANCELED": 5}
_REASONS: Final = {
    "ACCEPTED": "ENTRUST_PLACE", "FILL": "ENTRUST", "CANCELED": "ENTRUST_CANCEL", "EXPIRED": "ENTRUST_CANCEL",
    "EXPIRED_IN_MATCH": "ENTRUST_CANCEL", "MOVED": "DEPOSIT", "UNLISTED": "DEPOSIT",
    "OPENED": "DEPOSIT",
}  # fmt: skip


def available() -> bool:
    """Tell whether frames can be made."""
    return _PUSH is not None


def account_frames(event: EngineEvent, manners: Manners, now_ms: int) -> list[tuple[str, bytes]]:
    """Channel and frame of each push for one event of the engine.

    Args:
        now_ms: The venue's clock.
    """
    frames: list[tuple[str, bytes]] = []
    if event.view is not None:
        raw_symbol = manners.raw_symbol(event.view.order.symbol)
        if event.trade is not None:
            frames.append((DEALS, _frame(DEALS, raw_symbol, now_ms, "privateDeals", _deal(event))))
        frames.append((ORDERS, _frame(ORDERS, raw_symbol, now_ms, "privateOrders", _order(event, event.view, manners))))
    for coin, (free, locked) in sorted(event.balances.items()):
        moved = event.moves[coin]
        facts = {
            "vcoinName": coin, "coinId": coin.lower(), "balanceAmount": canonical(free),
            "balanceAmountChange": canonical(moved[0]), "frozenAmount": canonical(locked),
            "frozenAmountChange": canonical(moved[1]), "type": _REASONS[event.kind], "time": event.at_ms,
        }  # fmt: skip
        frames.append((ACCOUNT, _frame(ACCOUNT, "", now_ms, "privateAccount", facts)))
    return frames


def _order(event: EngineEvent, view: OrderView, manners: Manners) -> dict[str, Any]:
    order = view.order
    last = canonical(event.trade.quantity) if event.trade is not None else "0"
    average = f"{ratio(view.executed_quote, view.executed):.8f}" if view.executed else "0"
    return {
        "id": order.venue_order_id, "clientId": order.wire_id, "price": canonical(order.price),
        "quantity": canonical(order.quantity), "amount": canonical(times(order.price, order.quantity)),
        "avgPrice": average, "orderType": _TYPES[manners.type_of(view)],
        "tradeType": 1 if order.side is Side.BUY else 2, "isMaker": event.trade is not None and event.trade.is_maker,
        "remainQuantity": canonical(minus(order.quantity, view.executed)), "lastDealQuantity": last,
        "cumulativeQuantity": canonical(view.executed), "cumulativeAmount": canonical(view.executed_quote),
        "status": _STATES[manners.status_of(view)], "createTime": order.accepted_ms,
    }  # fmt: skip


def _deal(event: EngineEvent) -> dict[str, Any]:
    trade = event.trade
    assert trade is not None
    return {
        "price": canonical(trade.price), "quantity": canonical(trade.quantity), "amount": canonical(trade.quote),
        "tradeType": 1 if trade.side is Side.BUY else 2, "isMaker": trade.is_maker, "isSelfTrade": False,
        "tradeId": trade.venue_trade_id, "clientOrderId": trade.wire_id, "orderId": trade.venue_order_id,
        "feeAmount": canonical(trade.fee), "feeCurrency": trade.fee_coin, "time": trade.traded_ms,
    }  # fmt: skip


class MexcWords:
    """``spot@public.aggre.bookTicker.v3.api.pb@100ms@BTCUSDT`` and the like.

    Args:
        desk: Knows the symbols.
    """

    def __init__(self, desk: WireDesk) -> None:
        self._desk: Final = desk

    def read(self, stream: str) -> StreamName | None:
        """What a name means."""
        parts = stream.split("@")
        if len(parts) != 4:
            return None
        channel = "@".join(parts[:2])
        raw_symbol, rest = (parts[2], parts[3]) if channel == KLINE else (parts[3], parts[2])
        symbol = self._desk.raw_symbols.get(raw_symbol)
        if symbol is None:
            return None
        if channel == KLINE:
            interval_ms = _INTERVALS.get(rest, 0) * 60_000
            if not interval_ms or interval_ms % self._desk.market.timeframe_ms:
                return None
            return StreamName(stream, symbol, raw_symbol, "kline", interval=rest, interval_ms=interval_ms)
        kind = _KINDS.get(channel)
        return StreamName(stream, symbol, raw_symbol, kind) if kind and rest in _SPEEDS else None

    def book(self, name: StreamName, book: Book, state_id: int) -> Payload:
        """Best prices; "0" where a side is empty."""
        facts = {"bidPrice": "0", "bidQuantity": "0", "askPrice": "0", "askQuantity": "0"}
        for word, side in (("bid", book.bids), ("ask", book.asks)):
            if side:
                facts |= {f"{word}Price": canonical(side[0].price), f"{word}Quantity": canonical(side[0].quantity)}
        return self._frame(name, "publicAggreBookTicker", facts)

    def depth(self, name: StreamName, change: DepthChange, now_ms: int) -> Payload:
        """Levels that changed."""
        push = _wrapper(name.text, name.raw_symbol, now_ms)
        body = push.publicAggreDepths
        body.eventType, body.fromVersion, body.toVersion = DEPTH, str(change.first_id), str(change.last_id)
        for target, levels in ((body.bids, change.bids), (body.asks, change.asks)):
            for price, quantity in levels:
                target.add(price=canonical(price), quantity=canonical(quantity))
        return bytes(push.SerializeToString())

    def trades(self, name: StreamName, item: Instrument, trades: list[TapeTrade], now_ms: int) -> list[Payload]:
        """All new trades in one frame."""
        push = _wrapper(name.text, name.raw_symbol, now_ms)
        push.publicAggreDeals.eventType = TRADES
        for trade in trades:
            push.publicAggreDeals.deals.add(
                price=price_text(item, trade.price), quantity=quantity_text(item, trade.quantity),
                tradeType=2 if trade.buyer_is_maker else 1, time=trade.at_ms,
            )  # fmt: skip
        return [bytes(push.SerializeToString())]

    def candle(self, name: StreamName, item: Instrument, candle: TapeCandle, now_ms: int) -> Payload:
        """One candle; its moments are seconds."""
        facts = {
            "interval": name.interval, "windowStart": candle.open_ms // 1_000,
            "openingPrice": price_text(item, candle.open), "highestPrice": price_text(item, candle.high),
            "lowestPrice": price_text(item, candle.low), "closingPrice": price_text(item, candle.close),
            "volume": quantity_text(item, candle.volume), "amount": f"{candle.quote_volume:.8f}",
            "windowEnd": (candle.open_ms + name.interval_ms) // 1_000,
        }  # fmt: skip
        return self._frame(name, "publicSpotKline", facts)

    def day(self, name: StreamName, facts: DayFacts, now_ms: int) -> list[Payload]:
        """Nothing: no name that this wire serves means a day."""
        return []

    def _frame(self, name: StreamName, part: str, facts: Mapping[str, Any]) -> Payload:
        return _frame(name.text, name.raw_symbol, self._desk.now_ms(), part, facts)


def _frame(channel: str, raw_symbol: str, now_ms: int, part: str, facts: Mapping[str, Any]) -> bytes:
    push = _wrapper(channel, raw_symbol, now_ms)
    body = getattr(push, part)
    for name, value in facts.items():
        setattr(body, name, value)
    return bytes(push.SerializeToString())


def _wrapper(channel: str, raw_symbol: str, now_ms: int) -> Any:
    assert _PUSH is not None, "no frame is asked for without protobuf"
    push = _PUSH.PushDataV3ApiWrapper()
    push.channel, push.createTime, push.sendTime = channel, now_ms, now_ms
    if raw_symbol:
        push.symbol = raw_symbol
    return push
