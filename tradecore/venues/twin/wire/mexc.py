"""Bodies of MEXC spot v3.

Source: replies recorded by ccxt's static tests and the SDK's samples; reference orders.md 2.5 to 2.8 and 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from tradecore.model.instrument import Instrument
from tradecore.model.units import BPS, canonical, times
from tradecore.venues.twin.records import OrderView, TwinTrade
from tradecore.venues.twin.wire.dialect import Body, Coins, Dialect, Listed, decimals_of
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.listing import Listing

_SIDES: Final = {(True, True): 1, (True, False): 2, (False, True): 3, (False, False): 4}
_MOST_QUOTE_MARKET: Final = "100000"


class MexcDialect(Dialect):
    """MEXC's words: amounts without trailing zeros, ids as text, no status where an order is taken."""

    trades_limit = (100, 100)
    orders_limit = (1_000, 500)
    newest_first = True

    def number(self, value: Decimal) -> str:
        """Without trailing zeros."""
        return canonical(value)

    def order(self, view: OrderView) -> Body:
        """An order that was read; its time in force is in its type."""
        order = view.order
        return {
            **self._head(view), "clientOrderId": order.wire_id, "executedQty": self.number(view.executed),
            "cummulativeQuoteQty": self.number(view.executed_quote), "status": self.manners.status_of(view),
            "timeInForce": None, "stopPrice": "", "time": order.accepted_ms, "updateTime": view.updated_ms,
            "isWorking": True, "origQuoteOrderQty": "0",
        }  # fmt: skip

    def placed(self, view: OrderView, answer: str) -> Body:
        """The id and what was asked: no status, no filled quantity, no client id."""
        return {**self._head(view), "transactTime": view.order.accepted_ms}

    def canceled(self, view: OrderView, cancel_id: str) -> Body:
        """What was asked for: no status."""
        return self._head(view)

    def _head(self, view: OrderView) -> Body:
        order = view.order
        return {
            "symbol": self.manners.raw_symbol(order.symbol), "orderId": order.venue_order_id, "orderListId": -1,
            "price": self.number(order.price), "origQty": self.number(order.quantity),
            "type": self.manners.type_of(view), "side": order.side.upper(),
        }  # fmt: skip

    def trade(self, trade: TwinTrade) -> Body:
        """One own trade; the client id stays out."""
        return {**super().trade(trade), "isSelfTrade": False, "clientOrderId": None}

    def exchange_info(self, now_ms: int, listed: Iterable[Listed], limits: Sequence[Body]) -> Body:
        """All symbols and their rules; MEXC names no limits of requests here."""
        return {
            "timezone": "CST", "serverTime": now_ms, "rateLimits": [], "exchangeFilters": [],
            "symbols": [self._symbol(item.instrument, item.listing) for item in listed],
        }  # fmt: skip

    def _symbol(self, instrument: Instrument, listing: Listing) -> Body:
        base, quote = decimals_of(instrument.lot_size), decimals_of(instrument.tick_size)
        return {
            "symbol": self.manners.raw_symbol(instrument.symbol), "status": "1" if listing.status == "TRADING" else "2",
            "baseAsset": instrument.base, "baseAssetPrecision": base, "quoteAsset": instrument.quote,
            "quotePrecision": quote, "quoteAssetPrecision": quote, "baseCommissionPrecision": base,
            "quoteCommissionPrecision": quote, "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"],
            "isSpotTradingAllowed": listing.api, "isMarginTradingAllowed": False,
            "quoteAmountPrecision": canonical(instrument.min_notional_quote),
            "baseSizePrecision": canonical(instrument.min_quantity), "permissions": ["SPOT"], "filters": [],
            "maxQuoteAmount": canonical(listing.max_notional),
            "makerCommission": canonical(times(instrument.maker_fee_bps, BPS)),
            "takerCommission": canonical(times(instrument.taker_fee_bps, BPS)),
            "quoteAmountPrecisionMarket": canonical(instrument.min_notional_quote),
            "maxQuoteAmountMarket": _MOST_QUOTE_MARKET, "fullName": instrument.base,
            "tradeSideType": _SIDES[instrument.can_buy, instrument.can_sell],
        }  # fmt: skip

    def account(
        self, key: ApiKey, balances: Coins, updated_ms: int, fees: tuple[Decimal, Decimal]
    ) -> Body:  # fmt: skip
        """Balances and rights; the time of the last change stays empty, as recorded."""
        return {
            "canTrade": key.trade, "canWithdraw": key.withdraw, "canDeposit": True, "updateTime": None,
            "accountType": "SPOT", "balances": self._balances(balances), "permissions": ["SPOT"],
        }  # fmt: skip
