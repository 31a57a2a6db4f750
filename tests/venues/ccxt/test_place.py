"""Placing through real ccxt classes: what leaves, and what every answer proves (reference orders.md 2.2, 2.5)."""

from __future__ import annotations

import asyncio
import decimal
import json
import socket
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import aiohttp
import ccxt.async_support as library
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.model.order import CancelKind, NewOrder, PlacementKind, VenueStatus
from tradecore.model.reasons import Reason
from tradecore.model.units import ClientOrderId, Side, TimeInForce
from tradecore.venues.ccxt.evidence import Heard, sent_of

OURS = "0123456789abcdef0123456789abcdef"
THEIRS = "f" * 32
GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
ORDER = NewOrder(OURS, "BTC/USDT", Side.BUY, IOC, Decimal("100.01"), Decimal("0.5"))
HTML = "<html><head><title>502 Bad Gateway</title></head></html>"
EXCHANGES = ("binance", "mexc", "okx", "kraken", "bybit", "kucoin", "gate", "coinbase", "bitget")
POST = {
    "binance": r"^POST \S+/api/v3/order ", "mexc": r"^POST \S+/api/v3/order\?", "okx": r"^POST \S+batch-orders",
    "kraken": r"^POST \S+AddOrder",
}  # fmt: skip
#: A whole acknowledgement per venue.
ACK = {
    "binance": {
        "symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": OURS, "transactTime": 1507725176595,
        "price": "100.01000000", "origQty": "0.50000000", "executedQty": "0.20000000",
        "cummulativeQuoteQty": "20.00000000", "status": "EXPIRED", "timeInForce": "IOC", "type": "LIMIT",
        "side": "BUY",
        "fills": [{"price": "100", "qty": "0.2", "commission": "0.0002", "commissionAsset": "BTC", "tradeId": 56}],
    },
    "mexc": {
        "symbol": "BTCUSDT", "orderId": "C02__443776347957968896088", "orderListId": -1, "price": "100.01",
        "origQty": "0.5", "type": "IMMEDIATE_OR_CANCEL", "side": "BUY", "transactTime": 1507725176595,
    },
    "okx": {
        "code": "0", "msg": "",
        "data": [{"clOrdId": OURS, "ordId": "312269865356374016", "tag": "", "sCode": "0", "sMsg": ""}],
    },
    "kraken": {
        "error": [],
        "result": {"descr": {"order": "buy 0.50000000 XBTUSDT @ limit 100.01"}, "txid": ["OUF4EM-FRGI2-MQMWZD"]},
    },
}  # fmt: skip
DESCRIBED = tuple(ACK)


def code(number, message="no"):
    return {"code": number, "msg": message}


#: reference orders.md 2.2, row by row, with what the reference's further cases add: (status, body).
NO_PROOF = {
    "502 page": (502, HTML), "502 empty": (502, ""), "503 code -1000, accepted": (503, code(-1000)),
    "504 code -1007, accepted": (504, code(-1007, "Timeout waiting for response from backend server.")),
    "400 code -1006, accepted": (400, code(-1006)), "500 code 500, accepted": (500, code(500, "Internal error")),
    "200 truncated": (200, json.dumps(ACK["binance"])[:60]), "200 page": (200, HTML), "200 {}": (200, "{}"),
    "200 empty": (200, ""), "200 null": (200, "null"), "200 list": (200, "[]"), "200 word": (200, '"ok"'),
    "200 NaN": (200, '{"orderId": NaN}'), "403 page": (403, HTML), "404 page": (404, HTML), "429 page": (429, HTML),
    "duplicate": (400, code(-2010, "Duplicate order sent.")), "maintenance": (503, "System under maintenance"),
    "code never seen": (400, code(-9999, "new")), "redirect": (302, ""), "id true": (200, {"orderId": True}),
    "id page": (200, {"orderId": HTML, "symbol": "BTCUSDT"}), "id 0": (200, {"orderId": 0}),
}  # fmt: skip


def _readied(opened, exchange):
    """A venue and an order of ours; what some ask before their first order is answered."""
    one = opened(exchange)
    one.script.on("^GET ", {})
    if exchange == "bybit":
        one.exchange.options["enableUnifiedMargin"], one.exchange.options["enableUnifiedAccount"] = False, True
    return one, ORDER._replace(wire_id=one.venue.wire_id(ClientOrderId(OURS)))


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_r13_without_proof_the_fate_is_unknown(opened, exchange):
    one, order = _readied(opened, exchange)
    for name, (status, body) in NO_PROOF.items():
        one.script.requests.clear()
        one.script.on("^POST ", body, status)
        placement = one.run(one.venue.place(order))
        assert placement.kind is PlacementKind.UNKNOWN, (name, placement)
        assert placement.detail, name
        assert len(one.script.sent("^POST ")) == 1, "sent once, never again"
        one.limiter._banned_until_s = -1.0


LOST = (
    TimeoutError(), aiohttp.ServerDisconnectedError(), aiohttp.ClientOSError(104, "reset"),
    aiohttp.ClientPayloadError("cut"), ConnectionResetError(104, "reset"), aiohttp.ServerTimeoutError(),
)  # fmt: skip


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_f1_f2_a_lost_answer_is_unknown(opened, exchange):
    one, order = _readied(opened, exchange)
    for error in LOST:
        one.script.requests.clear()
        one.script.on("^POST ", error=error)
        placement = one.run(one.venue.place(order))
        assert placement.kind is PlacementKind.UNKNOWN, error
        assert placement.status is None
        assert len(one.script.sent("^POST ")) == 1


@pytest.mark.parametrize("exchange", DESCRIBED)
def test_no_connection_is_not_sent(opened, exchange):
    one = opened(exchange)
    key = aiohttp.client_reqrep.ConnectionKey("x", 443, True, True, None, None, None)
    for cause in (OSError(111, "refused"), socket.gaierror(-2, "unknown name")):
        one.script.on("^POST ", error=aiohttp.ClientConnectorError(key, cause))
        placement = one.run(one.venue.place(ORDER))
        assert placement.kind is PlacementKind.NOT_SENT, placement
        assert placement.reason is Reason.NOT_SENT


@pytest.mark.parametrize("exchange", DESCRIBED)
def test_whole_acknowledgement_is_accepted(opened, exchange):
    one = opened(exchange)
    one.script.on(POST[exchange], ACK[exchange])
    placement = one.run(one.venue.place(ORDER))
    assert placement.kind is PlacementKind.ACCEPTED, placement
    report = placement.report
    assert report.wire_id in ("", OURS)
    assert (report.symbol, report.side) == ("BTC/USDT", Side.BUY)
    if exchange == "binance":
        assert (report.venue_order_id, report.status) == ("28", VenueStatus.EXPIRED)
        assert (report.executed_quantity, report.executed_quote) == (Decimal("0.2"), Decimal(20))
        assert [trade.venue_trade_id for trade in report.trades] == ["56"]
    else:
        # The acknowledgement says no more than the id: nothing is filled in.
        assert (report.status, report.executed_quantity) == (None, None)
        assert report.trades == ()


WRONG_ECHO = {
    "binance": [
        {"clientOrderId": THEIRS}, {"symbol": "ETHUSDT"}, {"side": "SELL"}, {"origQty": "0.6"}, {"price": "100.02"},
        {"timeInForce": "GTC"},
    ],
    "mexc": [
        {"clientOrderId": THEIRS}, {"symbol": "ETHUSDT"}, {"side": "SELL"}, {"origQty": "0.6"}, {"price": "100.02"},
        {"type": "LIMIT"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(("exchange", "wrong"), [(name, wrong) for name, rows in WRONG_ECHO.items() for wrong in rows])
def test_f45_another_order_is_never_believed(opened, exchange, wrong):
    one = opened(exchange)
    one.script.on(POST[exchange], {**ACK[exchange], **wrong})
    placement = one.run(one.venue.place(ORDER))
    assert placement.kind is PlacementKind.UNKNOWN
    assert placement.reason is Reason.ECHO_MISMATCH


def test_f45_okx_and_kraken_echoes(opened):
    okx, kraken = opened("okx"), opened("kraken")
    okx.script.on(POST["okx"], {**ACK["okx"], "data": [{**ACK["okx"]["data"][0], "clOrdId": THEIRS}]})
    kraken.script.on(
        POST["kraken"],
        {"error": [], "result": {**ACK["kraken"]["result"], "descr": {"order": "sell 0.5 XBTUSDT @ limit 100.01"}}},
    )
    for one in (okx, kraken):
        placement = one.run(one.venue.place(ORDER))
        assert (placement.kind, placement.reason) == (PlacementKind.UNKNOWN, Reason.ECHO_MISMATCH)
    two = [ACK["okx"]["data"][0], {**ACK["okx"]["data"][0], "ordId": "312269865356374017"}]
    okx.script.on(POST["okx"], {**ACK["okx"], "data": two})
    assert okx.run(okx.venue.place(ORDER)).kind is PlacementKind.UNKNOWN
    kraken.script.on(POST["kraken"], {"error": [], "result": {"txid": ["OUF4EM-FRGI2-MQMWZD", "OUF4EM-FRGI2-MQMWZE"]}})
    assert kraken.run(kraken.venue.place(ORDER)).kind is PlacementKind.UNKNOWN


REJECTS = [
    ("binance", 400, code(-2010, "Account has insufficient balance for requested action."), Reason.INSUFFICIENT_FUNDS),
    ("binance", 400, code(-1013, "Filter failure: LOT_SIZE"), Reason.QUANTITY_OFF_LOT),
    ("binance", 400, code(-2010, "Order would immediately match and take."), Reason.PRICE_MOVED),
    ("binance", 401, code(-2015, "Invalid API-key, IP, or permissions for action."), Reason.VENUE_REJECTED),
    ("mexc", 400, code(30005, "Oversold"), Reason.INSUFFICIENT_FUNDS),
    ("mexc", 400, code(10007, "symbol not support api"), Reason.SYMBOL_HALTED),
    ("mexc", 400, code(30002, "The minimum transaction volume cannot be less than:0.5USDT"), Reason.NOTIONAL_BELOW_MIN),
    ("okx", 200, {"code": "1", "msg": "All operations failed", "data": [
        {"clOrdId": OURS, "ordId": "", "sCode": "51008", "sMsg": "Insufficient USDT balance in account"}]},
     Reason.INSUFFICIENT_FUNDS),
    ("okx", 401, {"code": "50111", "msg": "Invalid OK_ACCESS_KEY"}, Reason.VENUE_REJECTED),
    ("kraken", 200, {"error": ["EOrder:Insufficient funds"]}, Reason.INSUFFICIENT_FUNDS),
    ("kraken", 200, {"error": ["EGeneral:Invalid arguments:volume minimum not met"]}, Reason.QUANTITY_BELOW_MIN),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "status", "body", "reason"), REJECTS)
def test_r18_allow_listed_codes_reject(opened, exchange, status, body, reason):
    one = opened(exchange)
    one.script.on(POST[exchange], body, status)
    placement = one.run(one.venue.place(ORDER))
    assert (placement.kind, placement.reason) == (PlacementKind.REJECTED, reason), placement
    assert placement.code


UNPROVEN_CODES = [
    ("okx", {"code": "1", "data": [{"clOrdId": OURS, "ordId": "", "sCode": "51016", "sMsg": "Duplicated client id"}]}),
    ("okx", {"code": "1", "data": [{"clOrdId": OURS, "ordId": "", "sCode": "51149", "sMsg": "Order timed out."}]}),
    ("okx", {"code": "50004", "msg": "Endpoint request timeout", "data": []}),
    ("okx", {"code": "59999", "msg": "never seen", "data": []}),
    ("kraken", {"error": ["EService:Busy"]}), ("kraken", {"error": ["EGeneral:Internal error"]}),
    ("kraken", {"error": ["EOrder:Something new"]}), ("kraken", {"error": ["EOrder:Unknown order"]}),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "body"), UNPROVEN_CODES)
def test_r13_codes_that_prove_nothing_stay_unknown(opened, exchange, body):
    one = opened(exchange)
    one.script.on(POST[exchange], body)
    placement = one.run(one.venue.place(ORDER))
    assert placement.kind is PlacementKind.UNKNOWN
    assert placement.code


def test_kraken_warnings_are_no_error(opened):
    one = opened("kraken")
    one.script.on(POST["kraken"], {**ACK["kraken"], "error": ["WGeneral:Slow"]})
    placement = one.run(one.venue.place(ORDER))
    # ccxt raises on it all the same; the raw answer is the judge.
    assert placement.kind is PlacementKind.ACCEPTED


# What leaves ------------------------------------------------------------------------------------------------------


def _form(request):
    query = parse_qs(urlsplit(request.url).query) | parse_qs(request.data)
    return {name: values[0] for name, values in query.items()}


WIRE = [
    ("binance", GTC, False, {"type": "LIMIT", "timeInForce": "GTC"}),
    ("binance", IOC, False, {"type": "LIMIT", "timeInForce": "IOC"}),
    ("binance", FOK, False, {"type": "LIMIT", "timeInForce": "FOK"}),
    ("binance", GTC, True, {"type": "LIMIT_MAKER"}),
    ("mexc", GTC, False, {"type": "LIMIT"}),
    ("mexc", IOC, False, {"type": "IMMEDIATE_OR_CANCEL"}),
    ("mexc", FOK, False, {"type": "FILL_OR_KILL"}),
    ("mexc", GTC, True, {"type": "LIMIT_MAKER"}),
    ("kraken", IOC, False, {"ordertype": "limit", "timeinforce": "IOC"}),
    ("kraken", GTC, True, {"ordertype": "limit", "oflags": "post"}),
]


@pytest.mark.parametrize(("exchange", "tif", "post_only", "expected"), WIRE)
def test_form_of_the_request(opened, exchange, tif, post_only, expected):
    one = opened(exchange)
    one.script.on("^POST ", "{}")
    one.run(one.venue.place(ORDER._replace(time_in_force=tif, post_only=post_only)))
    [request] = one.script.requests
    form = _form(request)
    assert expected.items() <= form.items()
    ids = {"binance": "newClientOrderId", "mexc": "newClientOrderId", "kraken": "cl_ord_id"}
    assert form[ids[exchange]] == OURS
    amounts = ("volume", "price") if exchange == "kraken" else ("quantity", "price")
    assert [form[name] for name in amounts] == ["0.5", "100.01"]
    if exchange != "kraken":
        assert form["recvWindow"] == "5000"
        assert form["timestamp"] == str(one.world.clock.now_ms())


@pytest.mark.parametrize(
    ("exchange", "name", "sent"),
    [
        ("okx", "clOrdId", OURS), ("bybit", "orderLinkId", OURS), ("kucoin", "clientOid", OURS),
        ("gate", "text", "t-" + OURS[:28]), ("coinbase", "client_order_id", "01234567-89ab-cdef-0123-456789abcdef"),
        ("bitget", "clientOid", OURS),
    ],
)  # fmt: skip
def test_our_id_goes_out_in_the_venues_field(opened, exchange, name, sent):
    one, order = _readied(opened, exchange)
    one.script.on("^POST ", "{}")
    wire = order.wire_id
    one.run(one.venue.place(order))
    [request] = one.script.sent("^POST ")
    body = json.loads(request.data)
    assert (body[0] if isinstance(body, list) else body)[name] == sent
    assert wire == sent
    assert one.venue.is_ours(wire)


# Numbers ----------------------------------------------------------------------------------------------------------


OFF_STEPS = (
        ("100.005", "0.5", Reason.PRICE_OFF_TICK), ("100.01", "0.500001", Reason.QUANTITY_OFF_LOT),
        ("-1", "0.5", Reason.PRICE_OFF_TICK), ("100.01", "0", Reason.QUANTITY_OFF_LOT),
        ("NaN", "0.5", Reason.PRICE_OFF_TICK), ("100.01", "Infinity", Reason.QUANTITY_OFF_LOT),
    ("0.001", "0.5", Reason.PRICE_OFF_TICK), ("100.01", "0.000001", Reason.QUANTITY_OFF_LOT),
)  # fmt: skip


@pytest.mark.parametrize("exchange", DESCRIBED)
def test_inv12_numbers_that_ccxt_would_change_are_not_sent(opened, exchange):
    one = opened(exchange)
    for price, quantity, reason in OFF_STEPS:
        placement = one.run(one.venue.place(ORDER._replace(price=Decimal(price), quantity=Decimal(quantity))))
        assert (placement.kind, placement.reason) == (PlacementKind.NOT_SENT, reason), (price, quantity)
    assert one.script.requests == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ticks=st.integers(1, 10**12), lots=st.integers(1, 10**12), exchange=st.sampled_from(DESCRIBED))
def test_inv12_numbers_on_the_steps_leave_as_they_are(opened_once, ticks, lots, exchange):
    one = opened_once(exchange)
    one.script.on("^POST ", "{}")
    one.script.requests.clear()
    price, quantity = Decimal(ticks).scaleb(-2), Decimal(lots).scaleb(-5)
    one.run(one.venue.place(ORDER._replace(price=price, quantity=quantity)))
    [request] = one.script.requests
    if exchange == "okx":
        body = json.loads(request.data)[0]
        sent = body["px"], body["sz"]
    else:
        form = _form(request)
        sent = form["price"], form["volume" if exchange == "kraken" else "quantity"]
    assert tuple(Decimal(number) for number in sent) == (price, quantity)


@pytest.mark.parametrize("exchange", DESCRIBED)
def test_callers_decimal_context_stays_as_it_was(opened, exchange):
    one = opened(exchange)
    one.script.on(".", "{}")

    async def story():
        context = decimal.getcontext()
        before = (context.rounding, context.prec, dict(context.traps))
        await one.venue.place(ORDER)
        await one.venue.cancel("BTC/USDT", OURS, "")
        for read in (one.venue.order("BTC/USDT", OURS), one.venue.balances(), one.venue.book("BTC/USDT")):
            await asyncio.gather(read, return_exceptions=True)
        assert decimal.getcontext() is context
        assert (context.rounding, context.prec, dict(context.traps)) == before

    one.run(story())


# Cancels ----------------------------------------------------------------------------------------------------------

CANCELS = [
    ("binance", {**ACK["binance"], "origClientOrderId": OURS, "clientOrderId": "x"}, 200, CancelKind.REQUESTED),
    ("binance", {**ACK["binance"], "origClientOrderId": THEIRS, "clientOrderId": "x"}, 200, CancelKind.UNKNOWN),
    ("binance", code(-2011, "Unknown order sent."), 400, CancelKind.NOT_FOUND),
    ("mexc", {**ACK["mexc"]}, 200, CancelKind.REQUESTED),
    ("mexc", code(-2011, "Unknown order sent."), 400, CancelKind.NOT_FOUND),
    ("okx", ACK["okx"], 200, CancelKind.REQUESTED),
    ("okx", {"code": "1", "data": [{"clOrdId": OURS, "ordId": "", "sCode": "51402", "sMsg": "done"}]}, 200,
     CancelKind.NOT_FOUND),
    ("kraken", {"error": [], "result": {"count": 1}}, 200, CancelKind.REQUESTED),
    ("kraken", {"error": [], "result": {"count": 0}}, 200, CancelKind.UNKNOWN),
    ("kraken", {"error": ["EOrder:Unknown order"]}, 200, CancelKind.NOT_FOUND),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "body", "status", "kind"), CANCELS)
def test_f11_answers_to_a_cancel(opened, exchange, body, status, kind):
    one = opened(exchange)
    one.script.on(".", body, status)
    assert one.run(one.venue.cancel("BTC/USDT", OURS, "")).kind is kind
    assert OURS in one.script.requests[-1].all


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_f12_cancel_without_proof_is_unknown(opened, exchange):
    one = opened(exchange)
    wire = one.venue.wire_id(ClientOrderId(OURS))
    for status, body in ((502, HTML), (200, HTML), (200, ""), (500, code(500))):
        one.script.requests.clear()
        one.script.on(".", body, status)
        assert one.run(one.venue.cancel("BTC/USDT", wire, "")).kind is CancelKind.UNKNOWN, (status, body)
        assert len(one.script.sent("cancel|CancelOrder|DELETE")) <= 1


def test_two_sends_of_one_order_prove_nothing(opened, monkeypatch):
    """Were the library to repeat a send, the second answer would hide what became of the first."""
    one = opened("binance")
    said = [code(-1006, "Execution status unknown."), code(-2010, "Account has insufficient balance.")]
    one.script.on(POST["binance"], lambda _: said.pop(0), status=400)
    place = type(one.exchange).create_order

    async def twice(self, *facts):
        try:
            return await place(self, *facts)
        except library.BaseError:
            return await place(self, *facts)

    monkeypatch.setattr(type(one.exchange), "create_order", twice)
    placement = one.run(one.venue.place(ORDER))
    assert said == []
    assert placement.kind is PlacementKind.UNKNOWN
    assert "expected one send, were 2" in placement.detail


def test_a_question_before_the_send_is_no_send():
    asked, sent = Heard("GET", "/account", 0.0), Heard("POST", "/order", 0.0)
    asked.status, asked.body, sent.status, sent.body = 200, "{}", 400, '{"code":-2010}'
    assert sent_of([asked, sent], "").status == 400
    refused = Heard("POST", "/order", 0.0)
    refused.entered = False
    assert sent_of([asked, refused, sent], "").status == 400, "what never left is no send either"
    assert sent_of([asked, refused], "").entered is False
    both = sent_of([sent, asked, sent], "")
    assert (both.entered, both.status, both.body) == (True, None, None)
