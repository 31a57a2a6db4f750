"""Reads of orders and balances: the raw body speaks, absence is said, never guessed (reference orders.md 2.4, 2.8)."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.order import VenueStatus
from tradecore.model.units import ClientOrderId, Side, TimeInForce
from tradecore.ports.venue import Balance, KeyRights

OURS = "0123456789abcdef0123456789abcdef"
THEIRS = "f" * 32
SYMBOL = "BTC/USDT"
EXCHANGES = ("binance", "mexc", "okx", "kraken", "bybit", "kucoin", "gate", "coinbase", "bitget")
BINANCE = {
    "symbol": "BTCUSDT", "orderId": 28, "clientOrderId": OURS, "price": "100.01000000", "origQty": "0.50000000",
    "executedQty": "0.20000000", "cummulativeQuoteQty": "20.00000000", "status": "CANCELED", "timeInForce": "GTC",
    "type": "LIMIT", "side": "BUY", "time": 1700000000000, "updateTime": 1700000001000, "isWorking": True,
}  # fmt: skip
MEXC = {
    **BINANCE, "orderId": "C02__443776347957968896088", "timeInForce": None, "type": "IMMEDIATE_OR_CANCEL",
    "status": "PARTIALLY_CANCELED",
}  # fmt: skip
OKX = {
    "instType": "SPOT", "instId": "BTC-USDT", "ordId": "312269865356374016", "clOrdId": OURS, "px": "100.01",
    "sz": "0.5", "ordType": "ioc", "side": "buy", "tdMode": "cash", "accFillSz": "0.2", "fillPx": "100",
    "avgPx": "100", "state": "canceled", "feeCcy": "BTC", "fee": "-0.0002", "cTime": "1700000000000",
    "uTime": "1700000001000", "tgtCcy": "", "category": "normal",
}  # fmt: skip
KRAKEN = {
    "refid": None, "userref": 0, "cl_ord_id": OURS, "status": "canceled", "reason": "User requested",
    "opentm": 1700000000.1, "closetm": 1700000001.5, "starttm": 0, "expiretm": 0,
    "descr": {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "100.01", "price2": "0",
              "leverage": "none", "order": "buy 0.5 XBTUSDT @ limit 100.01", "close": ""},
    "vol": "0.50000000", "vol_exec": "0.20000000", "cost": "20.00000", "fee": "0.05", "price": "100.0",
    "stopprice": "0.00000", "limitprice": "0.00000", "misc": "", "oflags": "fciq",
}  # fmt: skip


def _scripted(one, exchange, found=True):
    """One order of ours at a venue, or none."""
    if exchange in ("binance", "mexc"):
        row = BINANCE if exchange == "binance" else MEXC
        one.script.on("/api/v3/order", row if found else {"code": -2013, "msg": "Order does not exist."},
                      200 if found else 400)  # fmt: skip
    elif exchange == "okx":
        one.script.on("/trade/order", {"code": "0", "msg": "", "data": [OKX]} if found
                      else {"code": "51603", "msg": "Order does not exist", "data": []})  # fmt: skip
    else:
        one.script.on("OpenOrders", {"error": [], "result": {"open": {}}})
        closed = {"O5KZFT-GH3AD-LP6TLU": KRAKEN} if found else {}
        one.script.on("ClosedOrders", {"error": [], "result": {"closed": closed, "count": len(closed)}})


@pytest.mark.parametrize("exchange", ["binance", "mexc", "okx", "kraken"])
def test_order_by_our_id(opened, exchange):
    one = opened(exchange)
    _scripted(one, exchange)
    report = one.run(one.venue.order(SYMBOL, OURS))
    assert (report.wire_id, report.symbol, report.side) == (OURS, SYMBOL, Side.BUY)
    assert report.status is VenueStatus.CANCELED
    assert (report.price, report.quantity) == (Decimal("100.01"), Decimal("0.5"))
    # "canceled" never implies zero filled.
    assert (report.executed_quantity, report.executed_quote) == (Decimal("0.2"), Decimal(20))
    assert report.digest
    tif = {"binance": TimeInForce.GTC, "mexc": TimeInForce.IOC, "okx": TimeInForce.IOC, "kraken": None}[exchange]
    assert report.time_in_force in (tif, None) if exchange == "kraken" else report.time_in_force is tif
    assert OURS in one.script.requests[0].all


@pytest.mark.parametrize("exchange", ["binance", "mexc", "okx", "kraken"])
def test_r13_absent_only_where_the_venue_says_so(opened, exchange):
    one = opened(exchange)
    _scripted(one, exchange, found=False)
    assert one.run(one.venue.order(SYMBOL, OURS)) is None


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_f8_f17_no_usable_answer_is_never_absence(opened, exchange):
    one = opened(exchange)
    if exchange == "bybit":
        one.exchange.options["enableUnifiedMargin"], one.exchange.options["enableUnifiedAccount"] = False, True
    wire = one.venue.wire_id(ClientOrderId(OURS))
    reads = (
        lambda: one.venue.order(SYMBOL, wire), one.venue.open_orders, lambda: one.venue.open_orders(SYMBOL),
        lambda: one.venue.recent_orders(SYMBOL, one.world.clock.now_ms() - 1000),
        lambda: one.venue.trades(SYMBOL, "", one.world.clock.now_ms() - 1000), one.venue.balances,
        lambda: one.venue.book(SYMBOL), lambda: one.venue.market.quotes([SYMBOL, "ETH/USDT"]),
        one.venue.server_time_ms,
    )  # fmt: skip
    answers = [(200, "{}"), (200, ""), (200, "<html></html>"), (502, "<html></html>"), (200, "null"), (200, '{"a":'),
               (503, '{"code":-1000,"msg":"x"}')]  # fmt: skip
    for status, body in answers:
        one.script.on(".", body, status)
        for read in reads:
            with pytest.raises(RetryableVenueError):
                one.run(read())
    one.script.on(".", error=TimeoutError())
    for read in reads:
        with pytest.raises(RetryableVenueError):
            one.run(read())


@pytest.mark.parametrize("exchange", ["binance", "mexc", "okx"])
def test_f45_the_read_of_another_order_is_no_answer(opened, exchange):
    one = opened(exchange)
    row = {"binance": BINANCE, "mexc": MEXC, "okx": OKX}[exchange]
    name = "clOrdId" if exchange == "okx" else "clientOrderId"
    other = {"instId": "ETH-USDT"} if exchange == "okx" else {"symbol": "ETHUSDT"}
    for wrong in ({name: THEIRS}, {name: ""}, other):
        body = {**row, **wrong}
        one.script.on("order", {"code": "0", "data": [body]} if exchange == "okx" else body)
        with pytest.raises(RetryableVenueError):
            one.run(one.venue.order(SYMBOL, OURS))


def test_kraken_lists_that_do_not_hold_our_id_are_absence_and_other_ids_are_ignored(opened):
    one = opened("kraken")
    foreign = {**KRAKEN, "cl_ord_id": THEIRS}
    one.script.on("OpenOrders", {"error": [], "result": {"open": {"OYEQF4-FDE4C-NMUYUI": foreign}}})
    one.script.on("ClosedOrders", {"error": [], "result": {"closed": {}, "count": 0}})
    assert one.run(one.venue.order(SYMBOL, OURS)) is None
    one.script.on("ClosedOrders", {"error": []})
    with pytest.raises(RetryableVenueError):
        one.run(one.venue.order(SYMBOL, OURS))


def test_bybit_is_asked_by_its_own_key(opened):
    one = opened("bybit")
    one.exchange.options["enableUnifiedMargin"], one.exchange.options["enableUnifiedAccount"] = False, True
    row = {
        "symbol": "BTCUSDT", "orderId": "1523347543495541248", "orderLinkId": OURS, "side": "Buy", "price": "100.01",
        "qty": "0.5", "cumExecQty": "0.2", "cumExecValue": "20", "leavesQty": "0", "orderStatus": "Cancelled",
        "timeInForce": "IOC", "orderType": "Limit", "createdTime": "1700000000000", "updatedTime": "1700000001000",
    }  # fmt: skip
    answer = {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "list": [row]}}
    one.script.on("order/realtime", answer)
    report = one.run(one.venue.order(SYMBOL, OURS))
    assert f"orderLinkId={OURS}" in one.script.requests[-1].all
    assert (report.status, report.executed_quantity) == (VenueStatus.CANCELED, Decimal("0.2"))
    # What came back under another id is somebody else's.
    one.script.on(
        "order/realtime", {**answer, "result": {"category": "spot", "list": [{**row, "orderLinkId": THEIRS}]}}
    )
    with pytest.raises(RetryableVenueError):
        one.run(one.venue.order(SYMBOL, OURS))


def test_filled_that_ccxt_made_up_is_not_believed(opened):
    one = opened("gate")
    row = {
        "id": "30784435", "text": "t-" + OURS[:28], "currency_pair": "BTC_USDT", "status": "closed", "type": "limit",
        "account": "spot", "side": "buy", "amount": "0.5", "price": "100.01", "time_in_force": "ioc",
        "create_time_ms": 1700000000000, "update_time_ms": 1700000001000,
    }  # fmt: skip
    wire = one.venue.wire_id(ClientOrderId(OURS))
    one.script.on("open_orders", [])
    one.script.on("status=finished", [row])
    report = one.run(one.venue.order(SYMBOL, wire))
    assert report.executed_quantity is None
    assert report.status is VenueStatus.UNMAPPED
    one.script.on("status=finished", [{**row, "left": "0.3"}])
    report = one.run(one.venue.order(SYMBOL, wire))
    assert (report.executed_quantity, report.status) == (Decimal("0.2"), VenueStatus.CANCELED)
    one.script.on("status=finished", [{**row, "left": "0"}])
    report = one.run(one.venue.order(SYMBOL, wire))
    assert (report.executed_quantity, report.status) == (Decimal("0.5"), VenueStatus.FILLED)


def test_open_orders_show_foreign_ones_and_leave_out_what_we_do_not_list(opened):
    one = opened("binance")
    one.script.on("openOrders", [BINANCE, {**BINANCE, "clientOrderId": "web_1"}, {**BINANCE, "symbol": "OTHERUSDT"}])
    found = one.run(one.venue.open_orders())
    assert [report.wire_id for report in found] == [OURS, "web_1"]
    assert [one.venue.is_ours(report.wire_id) for report in found] == [True, False]


def test_recent_orders_are_read_in_stretches_that_the_venue_allows(opened):
    one = opened("binance")
    now = one.world.clock.now_ms()
    one.script.on("allOrders", [BINANCE])
    assert len(one.run(one.venue.recent_orders(SYMBOL, now - 3 * 86_400_000))) == 1
    spans = []
    for request in one.script.sent("allOrders"):
        fields = dict(part.split("=") for part in request.url.split("?")[1].split("&"))
        spans.append((int(fields["startTime"]), int(fields["endTime"])))
    assert spans[0][0] <= now - 3 * 86_400_000
    assert spans[-1][1] >= now
    assert all(end - start <= 86_400_000 for start, end in spans)
    assert all(later[0] <= earlier[1] + 1 for earlier, later in itertools.pairwise(spans))


def test_balances(opened):
    one = opened("binance")
    rows = [{"asset": "BTC", "free": "0.1000", "locked": "0.0500"}, {"asset": "ETH", "free": "0", "locked": "0.0"}]
    one.script.on("account", {"balances": rows})
    assert one.run(one.venue.balances()) == {"BTC": Balance(Decimal("0.1"), Decimal("0.05"))}
    okx = opened("okx")
    details = [{"ccy": "USDT", "eq": "30", "cashBal": "30", "availBal": "20.5", "frozenBal": "9.5", "availEq": "20.5"}]
    okx.script.on("account/balance", {"code": "0", "data": [{"details": details, "uTime": "1700000000000"}], "msg": ""})
    assert okx.run(okx.venue.balances()) == {"USDT": Balance(Decimal("20.5"), Decimal("9.5"))}
    kraken = opened("kraken")
    kraken.script.on("BalanceEx", {"error": [], "result": {"USDT": {"balance": "30.5", "hold_trade": "0.5"}}})
    assert kraken.run(kraken.venue.balances()) == {"USDT": Balance(Decimal(30), Decimal("0.5"))}


def test_f44_a_lost_key_is_a_refusal_and_no_network_trouble(opened):
    one = opened("binance")
    # After its first success ccxt would call this DDoSProtection and have it retried for ever.
    one.exchange.options["hasAlreadyAuthenticatedSuccessfully"] = True
    body = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    one.script.on(".", body, 401)
    for read in (one.venue.balances(), one.venue.order(SYMBOL, OURS), one.venue.rights()):
        with pytest.raises(VenueRefused) as raised:
            one.run(read)
        assert raised.value.code == "-2015"


def test_r21_rights_of_the_key(opened):
    one = opened("binance")

    def rights_at(opened_one):
        rights = opened_one.run(opened_one.venue.rights())
        assert len(rights.key_print) == 16  # which key it is, by a print that gives nothing of it away
        return rights._replace(key_print="")

    told = {"enableWithdrawals": True, "enableSpotAndMarginTrading": True, "ipRestrict": False}
    one.script.on("apiRestrictions", told)
    assert rights_at(one) == KeyRights(trade=True, withdraw=True)
    one.script.on("apiRestrictions", {"enableSpotAndMarginTrading": True})
    assert rights_at(one) == KeyRights(trade=True, withdraw=None)
    okx = opened("okx")
    okx.script.on("account/config", {"code": "0", "data": [{"uid": "1", "perm": "read_only,trade"}]})
    assert rights_at(okx) == KeyRights(trade=True, withdraw=False)
    for exchange in ("mexc", "kraken", "gate"):
        other = opened(exchange)
        assert rights_at(other) == KeyRights(None, None)


def test_probe_asks_the_trial_and_places_nothing(opened):
    one = opened("mexc")
    one.script.on("depth", {"lastUpdateId": 1, "bids": [["100.00", "1"]], "asks": [["100.10", "1"]]})
    one.script.on("order/test", {})
    assert one.run(one.venue.probe(SYMBOL)).tradable is True
    assert one.script.sent("POST \\S+order\\?") == []
    one.script.on("order/test", {"code": 10007, "msg": "symbol not support api"}, 400)
    refused = one.run(one.venue.probe(SYMBOL))
    assert refused.tradable is False
    assert refused.detail.startswith("10007 symbol is not traded")
    one.script.on("selfSymbols", {"code": 200, "data": ["ETHUSDT"]})
    assert "selfSymbols" in one.run(one.venue.probe(SYMBOL)).detail
    assert one.run(one.venue.probe("NO/COIN")).tradable is False
    one.script.on(".", "", 502)
    assert one.run(one.venue.probe(SYMBOL)).tradable is None
