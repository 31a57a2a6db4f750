"""How exchanges differ where ccxt does not hide it: ids of ours, look-ups, pages of trades, coins of fees, options.

Source: reference orders.md 2.4 to 2.8, tried out with ccxt 4.5.90.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tradecore.model.units import ClientOrderId

_HEX: Final = re.compile(r"[0-9a-f]{32}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_GATE: Final = re.compile(r"t-[0-9a-f]{28}")
_DAY_MS: Final = 86_400_000
_SPOT: Final[Mapping[str, Any]] = MappingProxyType({"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}})


class Ways(NamedTuple):
    """The ways of one exchange."""

    ids: str = "hex"
    """Form of our ids: ``hex`` (32), ``gate`` (t- and 28) or ``uuid``."""
    create_key: str = "clientOrderId"
    """Parameter that carries our id when an order is placed."""
    look_up: str = ""
    """Parameter that finds one order by our id; empty: the lists of open and closed orders are searched."""
    list_key: str = ""
    """Parameter that narrows those lists to our id; empty where there is none."""
    cancel_key: str = ""
    """Parameter that cancels by our id; empty: by the venue's id alone."""
    cancel_as_id: bool = False
    """True where our id is taken in place of the venue's."""
    look_up_more: Mapping[str, Any] = MappingProxyType({})
    fee_in: str = "base"
    """Coin of a buy's fee: ``base`` or ``quote``."""
    trade_page: int = 50
    """Most trades in one answer."""
    trade_cursor: str = "window"
    """``from_id``: trade ids rise without a gap; ``window``: overlapping stretches of time."""
    order_page: int = 100
    """Most orders in one answer."""
    order_span_ms: int = 7 * _DAY_MS
    """Longest stretch of time that may be asked for at once."""
    trade_span_ms: int = 7 * _DAY_MS
    ticker_list: int = 0
    """Most symbols named in one request of tickers, more are read with all; 0: ccxt reads all and picks."""
    book_ticker: str = ""
    """ccxt's method of an endpoint that names best bid and ask alone, in Binance's fields; empty: none is known."""
    listing: str = ""
    """ccxt's method of the endpoint that lists all markets in one answer, whose rows it parses one by one; empty: it
    is left to do so in one go."""
    currencies: bool = False
    """True where reading the markets needs the coins first."""
    test_order: bool = False
    """True where an order can be tried out without being placed."""
    window_key: str = ""
    """Parameter of the receive window in milliseconds; empty where there is none."""
    nonce_rises: bool = False
    """True where each signed request must carry a greater number than the one before."""
    options: Mapping[str, Any] = _SPOT

    def wire_id(self, client_order_id: ClientOrderId) -> str:
        """Write our id in the form that the exchange takes and echoes."""
        text = str(client_order_id)
        if self.ids == "gate":
            return f"t-{text[:28]}"
        if self.ids == "uuid":
            return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"
        return text

    def sent_id(self, wire_id: str) -> str:
        """The id as ccxt wants it: it adds Gate's ``t-`` itself and counts only what is behind it."""
        return wire_id.removeprefix("t-") if self.ids == "gate" else wire_id

    def is_ours(self, wire_id: str) -> bool:
        """Tell whether an id has the form of ours."""
        form = _GATE if self.ids == "gate" else _UUID if self.ids == "uuid" else _HEX
        return form.fullmatch(wire_id) is not None


_CLIENT: Final = "clientOrderId"
_WAYS: Final[Mapping[str, Ways]] = MappingProxyType(
    {
        "binance": Ways(
            look_up=_CLIENT, cancel_key=_CLIENT, trade_page=1000, trade_cursor="from_id", order_page=1000,
            # ccxt believes in 10,000 days; the venue says that start and end may lie 24 h apart.
            order_span_ms=_DAY_MS - 10, ticker_list=100, test_order=True, window_key="recvWindow",
            listing="publicGetExchangeInfo", book_ticker="publicGetTickerBookTicker",
            options=MappingProxyType(
                {
                    **_SPOT, "fetchMargins": False, "warnOnFetchOpenOrdersWithoutSymbol": False,
                    "newOrderRespType": {"limit": "FULL", "market": "FULL"},
                }
            ),
        ),
        "mexc": Ways(
            look_up=_CLIENT, cancel_key=_CLIENT, fee_in="quote", trade_page=100, order_page=1000,
            test_order=True, window_key="recvWindow", listing="spotPublicGetExchangeInfo",
            book_ticker="spotPublicGetTickerBookTicker",
        ),
        "okx": Ways(look_up=_CLIENT, cancel_key=_CLIENT, trade_page=100),
        "kraken": Ways(
            # fetchOrder would send our id as userref, which is something else.
            list_key=_CLIENT, cancel_key=_CLIENT, fee_in="quote", order_page=50, ticker_list=50, currencies=True,
            nonce_rises=True,
        ),
        "bybit": Ways(
            # Asked by the unified key it answers with whatever order comes first.
            look_up="orderLinkId", cancel_key="orderLinkId", look_up_more=MappingProxyType({"acknowledged": True}),
            trade_page=100, order_page=50, window_key="recvWindow",
        ),
        "kucoin": Ways(
            look_up=_CLIENT, cancel_key=_CLIENT, fee_in="quote",
            options=MappingProxyType({**_SPOT, "uta": False}),
        ),
        # Finished orders are not found by our id, so the lists are searched.
        "gate": Ways(ids="gate", cancel_as_id=True, trade_page=1000),
        "coinbase": Ways(ids="uuid", create_key="client_order_id", fee_in="quote"),
        "bitget": Ways(look_up=_CLIENT, cancel_key=_CLIENT, trade_page=100),
    }
)  # fmt: skip


def ways_of(exchange: str) -> Ways:
    """The ways of an exchange; of one that nobody described: no look-up by our id, fee in the bought coin."""
    return _WAYS.get(exchange, Ways())
