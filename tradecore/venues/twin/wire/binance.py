"""Bodies of Binance spot v3.

Source: binance-spot-api-docs rest-api.md and filters.md (a5e0bc3, 2026-07-21); reference orders.md 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from tradecore.model.instrument import Instrument
from tradecore.model.units import ZERO, canonical, plus, times
from tradecore.venues.twin.records import OrderView
from tradecore.venues.twin.wire.dialect import Body, Coins, Dialect, Listed, decimals_of
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.listing import Listing

_DECIMALS: Final = 8
_NONE: Final = "0.00000000"
_NO_MOST: Final = Decimal(90_000_000_000)
"""Written where there is no largest quantity."""
_USUAL_MODE: Final = "EXPIRE_MAKER"
_MODES: Final = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")


class BinanceDialect(Dialect):
    """Binance's words: amounts with eight decimals, ids as numbers."""

    trades_limit = (1_000, 500)
    orders_limit = (1_000, 500)
    newest_first = False

    def number(self, value: Decimal) -> str:
        """At least eight decimals; more only where fewer would lose some."""
        whole, _, fraction = canonical(value).partition(".")
        return f"{whole}.{fraction.ljust(_DECIMALS, '0')}"

    def order(self, view: OrderView) -> Body:
        """An order that was read."""
        order = view.order
        return {
            **self._head(view), "clientOrderId": order.wire_id, **self._state(view), "stopPrice": _NONE,
            "icebergQty": _NONE, "time": order.accepted_ms, "updateTime": view.updated_ms, "isWorking": True,
            "workingTime": order.accepted_ms, "selfTradePreventionMode": _USUAL_MODE,
        }  # fmt: skip

    def placed(self, view: OrderView, answer: str) -> Body:
        """ACK names the order, RESULT says how it stands, FULL adds its trades."""
        order = view.order
        body: Body = {**self._head(view), "clientOrderId": order.wire_id, "transactTime": order.accepted_ms}
        if answer == "ACK":
            return body
        body |= {
            **self._state(view), "workingTime": order.accepted_ms, "selfTradePreventionMode": _USUAL_MODE,
        }  # fmt: skip
        if answer == "FULL":
            body["fills"] = [
                {
                    "price": self.number(trade.price), "qty": self.number(trade.quantity),
                    "commission": self.number(trade.fee), "commissionAsset": trade.fee_coin,
                    "tradeId": self.manners.raw_id(trade.venue_trade_id),
                }
                for trade in view.trades
            ]  # fmt: skip
        return body

    def canceled(self, view: OrderView, cancel_id: str) -> Body:
        """The order as it ended, with its own id as the original one."""
        return {
            **self._head(view), "origClientOrderId": view.order.wire_id, "clientOrderId": cancel_id,
            "transactTime": view.updated_ms, **self._state(view), "selfTradePreventionMode": _USUAL_MODE,
        }  # fmt: skip

    def _head(self, view: OrderView) -> Body:
        order = view.order
        return {
            "symbol": self.manners.raw_symbol(order.symbol), "orderId": self.manners.raw_id(order.venue_order_id),
            "orderListId": -1,
        }  # fmt: skip

    def _state(self, view: OrderView) -> Body:
        order = view.order
        return {
            "price": self.number(ZERO if order.market else order.price), "origQty": self.number(order.quantity),
            "executedQty": self.number(view.executed), "origQuoteOrderQty": _NONE,
            "cummulativeQuoteQty": self.number(view.executed_quote), "status": self.manners.status_of(view),
            "timeInForce": "GTC" if order.market else str(order.time_in_force), "type": self.manners.type_of(view),
            "side": order.side.upper(),
        }  # fmt: skip

    def exchange_info(self, now_ms: int, listed: Iterable[Listed], limits: Sequence[Body]) -> Body:
        """All symbols and their rules."""
        return {
            "timezone": "UTC", "serverTime": now_ms, "rateLimits": list(limits), "exchangeFilters": [],
            "symbols": [self._symbol(item.instrument, item.listing) for item in listed],
        }  # fmt: skip

    def _symbol(self, instrument: Instrument, listing: Listing) -> Body:
        stopped = not (instrument.can_buy or instrument.can_sell)
        base = max(_DECIMALS, decimals_of(instrument.lot_size))
        quote = max(_DECIMALS, decimals_of(instrument.tick_size))
        return {
            "symbol": self.manners.raw_symbol(instrument.symbol),
            "status": "HALT" if stopped and listing.status == "TRADING" else str(listing.status),
            "baseAsset": instrument.base, "baseAssetPrecision": base, "quoteAsset": instrument.quote,
            "quotePrecision": quote, "quoteAssetPrecision": quote, "baseCommissionPrecision": base,
            "quoteCommissionPrecision": quote, "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "icebergAllowed": False, "ocoAllowed": False, "otoAllowed": False, "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False, "cancelReplaceAllowed": False, "amendAllowed": False,
            "isSpotTradingAllowed": listing.api, "isMarginTradingAllowed": False,
            "filters": self._filters(instrument, listing), "permissions": [],
            "permissionSets": [["SPOT"]] if listing.api else [], "defaultSelfTradePreventionMode": _USUAL_MODE,
            "allowedSelfTradePreventionModes": list(_MODES),
        }  # fmt: skip

    def _filters(self, instrument: Instrument, listing: Listing) -> list[Body]:
        number = self.number
        most = instrument.max_quantity or _NO_MOST
        return [
            {
                "filterType": "PRICE_FILTER", "minPrice": number(listing.min_price or instrument.tick_size),
                "maxPrice": number(listing.highest(instrument)),
                "tickSize": number(instrument.tick_size),
            },
            {
                "filterType": "LOT_SIZE", "minQty": number(instrument.min_quantity), "maxQty": number(most),
                "stepSize": number(instrument.lot_size),
            },
            {
                "filterType": "MARKET_LOT_SIZE", "minQty": _NONE,
                "maxQty": number(listing.market_max_quantity or most), "stepSize": _NONE,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": canonical(listing.bid_up),
                "bidMultiplierDown": canonical(listing.bid_down), "askMultiplierUp": canonical(listing.ask_up),
                "askMultiplierDown": canonical(listing.ask_down), "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL", "minNotional": number(instrument.min_notional_quote),
                "applyMinToMarket": True, "maxNotional": number(listing.max_notional), "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": listing.max_orders},
        ]  # fmt: skip

    def account(
        self, key: ApiKey, balances: Coins, updated_ms: int, fees: tuple[Decimal, Decimal]
    ) -> Body:  # fmt: skip
        """Rights here are those of the account; what the key may do is told by apiRestrictions alone."""
        maker, taker = fees
        points = Decimal(10_000)
        return {
            "makerCommission": int(times(maker, points)), "takerCommission": int(times(taker, points)),
            "buyerCommission": 0, "sellerCommission": 0,
            "commissionRates": {
                "maker": self.number(maker), "taker": self.number(taker), "buyer": _NONE, "seller": _NONE,
            },
            "canTrade": key.trade, "canWithdraw": True, "canDeposit": True, "brokered": False,
            "requireSelfTradePrevention": False, "preventSor": False, "updateTime": updated_ms, "accountType": "SPOT",
            "balances": self._balances(balances), "permissions": ["SPOT"], "uid": 354_937_868,
        }  # fmt: skip

    @staticmethod
    def restrictions(key: ApiKey, created_ms: int) -> Body:
        """What a key may do (sapi/v1/account/apiRestrictions)."""
        return {
            "ipRestrict": True, "createTime": created_ms, "enableReading": True,
            "enableSpotAndMarginTrading": key.trade, "enableWithdrawals": key.withdraw,
            "enableInternalTransfer": key.withdraw, "permitsUniversalTransfer": False, "enableMargin": False,
            "enableFutures": False, "enableVanillaOptions": False, "enablePortfolioMarginTrading": False,
        }  # fmt: skip

    @staticmethod
    def coin(name: str, balance: tuple[Decimal, Decimal]) -> Body:
        """One coin of sapi/v1/capital/config/getall; nothing can be moved through the twin."""
        free, locked = balance
        return {
            "coin": name, "depositAllEnable": False, "withdrawAllEnable": False, "name": name,
            "free": canonical(free), "locked": canonical(locked), "freeze": "0", "withdrawing": "0", "ipoing": "0",
            "ipoable": "0", "storage": canonical(plus(free, locked)), "isLegalMoney": False, "trading": True,
            "networkList": [],
        }  # fmt: skip
