"""The judge against the fault table and the allow-list of reference orders.md 2.2 and 2.3 (R13, R18)."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.order import CancelKind, NewOrder, PlacementKind, VenueStatus
from tradecore.model.reasons import Reason
from tradecore.model.units import Side, TimeInForce
from tradecore.venues.classify import (
    RawReply,
    classify_cancel,
    classify_place,
    classify_read,
    read_order,
    read_orders,
)
from tradecore.venues.payload import parse_json
from tradecore.venues.rules import BINANCE, MEXC, PLAIN, RULES, Action, ErrorClass

OURS = "0123456789abcdef0123456789abcdef"
THEIRS = "f" * 32
ORDER = NewOrder(OURS, "BTC/USDT", Side.BUY, TimeInForce.IOC, Decimal("100"), Decimal("1"))
HTML = "<html><head><title>502 Bad Gateway</title></head></html>"
FULL = {
    "symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": OURS, "transactTime": 1507725176595,
    "price": "100.00", "origQty": "1.0", "executedQty": "0.40", "cummulativeQuoteQty": "39.9", "status": "EXPIRED",
    "timeInForce": "IOC", "type": "LIMIT", "side": "BUY",
    "fills": [{"price": "99.75", "qty": "0.40", "commission": "0.0004", "commissionAsset": "BTC", "tradeId": 56}],
}  # fmt: skip
MEXC_ACK = {
    "symbol": "BTCUSDT", "orderId": "C02__443776347957968896088", "orderListId": -1, "price": "100", "origQty": "1",
    "type": "IMMEDIATE_OR_CANCEL", "side": "BUY", "transactTime": 1507725176595,
}  # fmt: skip
_TRUNCATED = json.dumps(FULL)[:90]


def reply(
    status: int | None, body: object = None, *, entered: bool = True, error: str = "", **headers: str
) -> RawReply:
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    return RawReply(entered, status, {k.replace("_", "-"): v for k, v in headers.items()}, text, error, 12.0)


def code(number: int | str, message: str = "no") -> dict[str, object]:
    return {"code": number, "msg": message}


UNKNOWN_EVERYWHERE = {
    "time-out before the engine": reply(None, error="timed out"),
    "time-out after the engine": reply(None, error="timed out"),
    "cut before accept": reply(None, error="connection reset"),
    "cut after accept": reply(None, error="connection reset"),
    "502 page": reply(502, HTML),
    "502 empty": reply(502, ""),
    "503 code -1000": reply(503, code(-1000)),
    "504 code -1007": reply(504, code(-1007, "Timeout waiting for response from backend server.")),
    "400 code -1006": reply(400, code(-1006)),
    "400 code -1001": reply(400, code(-1001)),
    "500 code 500": reply(500, code(500, "Internal error")),
    "503 with an allow-listed code": reply(503, code(-1013, "Filter failure: LOT_SIZE")),
    "500 with 30005": reply(500, code(30005, "Oversold")),
    "200 truncated": reply(200, _TRUNCATED),
    "200 page": reply(200, HTML),
    "200 {}": reply(200, "{}"),
    "200 empty": reply(200, ""),
    "200 null": reply(200, "null"),
    "200 no body": reply(200),
    "200 list": reply(200, "[]"),
    "200 text": reply(200, '"ok"'),
    "200 number": reply(200, "42"),
    "200 NaN": reply(200, '{"orderId": NaN}'),
    "200 nested without end": reply(200, "[" * 100_000),
    "200 huge": reply(200, '{"orderId": 1, "x": "' + "x" * 4_000_001 + '"}'),
    "403 page": reply(403, HTML),
    "404 page": reply(404, HTML),
    "429 page": reply(429, HTML),
    "202 with an id": reply(202, FULL),
    "duplicate order": reply(400, code(-2010, "Duplicate order sent.")),
    "duplicate id": reply(400, code(-1102, "clientOrderId already exists, repeated request")),
    "code never seen": reply(400, code(-9999, "something new")),
    "code as object": reply(400, {"code": {"a": 1}, "msg": "no"}),
    "unknown order": reply(400, code(-2013)),
    "id null": reply(200, {**FULL, "orderId": None}),
    "id true": reply(200, {**FULL, "orderId": True}),
    "id page": reply(200, {**FULL, "orderId": "<html>"}),
    "id object": reply(200, {**FULL, "orderId": '{"symbol":"BTCUSDT"'}),
    "id fraction": reply(200, '{"orderId": 1.5}'),
    "id 0": reply(200, {**FULL, "orderId": 0}),
    "id negative": reply(200, {**FULL, "orderId": -1}),
    "id word null": reply(200, {**FULL, "orderId": "null"}),
    "id word undefined": reply(200, {**FULL, "orderId": "undefined"}),
}


@pytest.mark.parametrize("rules", [BINANCE, MEXC, PLAIN], ids=lambda rules: rules.name)
@pytest.mark.parametrize("case", UNKNOWN_EVERYWHERE.values(), ids=UNKNOWN_EVERYWHERE.keys())
def test_r13_no_proof_is_unknown(case, rules):
    placement = classify_place(case, rules, ORDER)
    assert placement.kind is PlacementKind.UNKNOWN
    assert placement.report is None
    assert placement.detail


@pytest.mark.parametrize("case", [FULL, MEXC_ACK], ids=["binance", "mexc"])
def test_r13_foreign_echo_is_unknown(case):
    rules = BINANCE if case is FULL else MEXC
    for facts in ({**case, "clientOrderId": THEIRS}, {**case, "symbol": "ETHUSDT"}):
        placement = classify_place(reply(200, facts), rules, ORDER)
        assert placement.kind is PlacementKind.UNKNOWN
        assert placement.reason is Reason.ECHO_MISMATCH


def test_r13_not_entered_is_not_sent_whatever_else_it_says():
    for case in (reply(None, entered=False, error="no connection"), reply(200, FULL, entered=False)):
        assert classify_place(case, BINANCE, ORDER).kind is PlacementKind.NOT_SENT


_BINANCE_LISTED = (
    "-1002 -1003 -1013 -1014 -1015 -1020 -1021 -1022 -1100 -1101 -1102 -1111 -1115 -1116 -1121 -2010 -2014 -2015"
)
_MEXC_LISTED = (
    "429 10007 10072 10073 30000 30001 30002 30003 30004 30005 30010 30014 30016 30018 30020 30021 30029 30032"
    " 30041 30087 700001 700002 700003 700004 700005 700006 700007 700008 700013"
)


@pytest.mark.parametrize("number", _BINANCE_LISTED.split())
def test_r18_binance_allow_list(number):
    for raw in (int(number), number):
        placement = classify_place(reply(400, code(raw)), BINANCE, ORDER)
        assert (placement.kind, placement.code) == (PlacementKind.REJECTED, number)
        assert BINANCE.codes[number].text in placement.detail


@pytest.mark.parametrize("number", _MEXC_LISTED.split())
def test_r18_mexc_allow_list(number):
    placement = classify_place(reply(400, code(int(number))), MEXC, ORDER)
    assert (placement.kind, placement.code) == (PlacementKind.REJECTED, number)


def test_r18_the_allow_lists_hold_nothing_else():
    assert {c for c, rule in BINANCE.codes.items() if rule.refuses} == set(_BINANCE_LISTED.split())
    assert {c for c, rule in MEXC.codes.items() if rule.refuses} == set(_MEXC_LISTED.split())


@pytest.mark.parametrize("number", [500, 501, 503, 504, 510, 603])
def test_r18_mexc_internal_codes_prove_nothing(number):
    assert classify_place(reply(400, code(number)), MEXC, ORDER).kind is PlacementKind.UNKNOWN


def test_r18_every_code_has_class_action_and_text():
    for rules in RULES.values():
        for rule in rules.codes.values():
            assert isinstance(rule.error_class, ErrorClass)
            assert isinstance(rule.action, Action)
            assert rule.text
            assert rule.text == rule.text.strip().rstrip(".")
            assert not (
                rule.refuses and rule.error_class in (ErrorClass.BUSY, ErrorClass.MISSING, ErrorClass.DUPLICATE)
            )


def test_r18_mexc_30005_asks_for_one_look_and_no_retry():
    rule = MEXC.codes["30005"]
    assert rule.action is Action.RECONCILE
    assert "base coin" in rule.text
    assert classify_place(reply(400, code(30005, "Oversold")), MEXC, ORDER).reason is Reason.INSUFFICIENT_FUNDS


@pytest.mark.parametrize(
    ("number", "message", "reason", "action"),
    [
        (-2010, "Account has insufficient balance for requested action.", Reason.INSUFFICIENT_FUNDS, Action.RECONCILE),
        (-2010, "Market is closed.", Reason.SYMBOL_HALTED, Action.HALT_SYMBOL),
        (-2010, "Order would immediately match and take.", Reason.PRICE_MOVED, Action.GIVE_UP),
        (-1013, "Filter failure: PRICE_FILTER", Reason.PRICE_OFF_TICK, Action.RELOAD_INSTRUMENTS),
        (-1013, "Filter failure: LOT_SIZE", Reason.QUANTITY_OFF_LOT, Action.RELOAD_INSTRUMENTS),
        (-1013, "Filter failure: NOTIONAL", Reason.NOTIONAL_BELOW_MIN, Action.RELOAD_INSTRUMENTS),
        (-1013, "Filter failure: MAX_NUM_ORDERS", Reason.VENUE_REJECTED, Action.WAIT),
    ],
)
def test_r18_messages_narrow_a_code(number, message, reason, action):
    assert classify_place(reply(400, code(number, message)), BINANCE, ORDER).reason is reason
    assert BINANCE.codes[str(number)].narrowed(message).action is action


def test_retry_after_is_read_in_any_case_and_kept_with_any_fate():
    for name in ("Retry_After", "retry_after"):
        placement = classify_place(reply(429, code(-1003), **{name: "17"}), BINANCE, ORDER)
        assert (placement.kind, placement.retry_after_s, placement.status) == (PlacementKind.REJECTED, 17.0, 429)
    assert classify_place(reply(418, HTML, Retry_After="120"), BINANCE, ORDER).retry_after_s == 120.0
    assert classify_place(reply(418, HTML, Retry_After="soon"), BINANCE, ORDER).retry_after_s is None


def test_binance_full_answer_becomes_a_report_with_fills():
    placement = classify_place(reply(200, FULL), BINANCE, ORDER)
    assert placement.kind is PlacementKind.ACCEPTED
    report = placement.report
    assert (report.status, report.executed_quantity, report.executed_quote) == (
        VenueStatus.EXPIRED, Decimal("0.40"), Decimal("39.9"),
    )  # fmt: skip
    (fill,) = report.trades
    assert (fill.venue_trade_id, fill.quote_quantity, fill.fee, fill.fee_currency) == (
        "56", Decimal("39.9"), Decimal("0.0004"), "BTC",
    )  # fmt: skip


def test_mexc_acknowledgement_says_no_more_than_its_id():
    report = classify_place(reply(200, MEXC_ACK), MEXC, ORDER).report
    assert report.venue_order_id == MEXC_ACK["orderId"]
    assert (report.status, report.executed_quantity, report.executed_quote) == (None, None, None)
    assert report.time_in_force is TimeInForce.IOC


def test_mexc_success_code_is_no_error():
    assert classify_place(reply(200, {**MEXC_ACK, "code": 200}), MEXC, ORDER).kind is PlacementKind.ACCEPTED


@pytest.mark.parametrize("field", ["executedQty", "price", "origQty", "cummulativeQuoteQty"])
@pytest.mark.parametrize("value", ["abc", "-1", [], True, "NaN", "Infinity"])
def test_malformed_amounts_leave_an_acknowledgement_that_must_be_read(field, value):
    placement = classify_place(reply(200, {**FULL, field: value}), BINANCE, ORDER)
    assert placement.kind is PlacementKind.ACCEPTED
    assert (placement.report.status, placement.report.executed_quantity) == (None, None)


def test_more_executed_than_ordered_is_not_believed():
    placement = classify_place(reply(200, {**FULL, "executedQty": "1.5"}), BINANCE, ORDER)
    assert placement.report.executed_quantity is None
    with pytest.raises(RetryableVenueError, match="executedQty"):
        read_order(reply(200, {**FULL, "executedQty": "1.5"}), BINANCE, "BTC/USDT", OURS)


def test_bare_numbers_keep_every_digit():
    body = '{"orderId": 5, "side": "BUY", "executedQty": 12345678901234.123456789012345678, "status": "NEW"}'
    report = classify_place(reply(200, body), BINANCE, ORDER).report
    assert report.executed_quantity == Decimal("12345678901234.123456789012345678")


def test_signed_address_of_a_time_out_does_not_reach_the_detail():
    text = "GET https://api.example/api/v3/order?symbol=BTCUSDT&signature=5eCr3t timed out"
    detail = classify_place(reply(None, error=text), BINANCE, ORDER).detail
    assert "5eCr3t" not in detail
    assert "timed out" in detail


@given(st.one_of(st.none(), st.text(max_size=60)), st.one_of(st.none(), st.integers(100, 599)), st.booleans())
def test_the_judge_never_raises_and_never_believes_noise(body, status, entered):
    case = RawReply(entered, status, {}, body, "")
    for rules in RULES.values():
        placement = classify_place(case, rules, ORDER)
        assert placement.kind is (PlacementKind.UNKNOWN if entered else PlacementKind.NOT_SENT)
        assert classify_cancel(case, rules, "BTC/USDT", OURS).kind is CancelKind.UNKNOWN


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from([*FULL, "code", "msg"]), _JSON, max_size=6), st.sampled_from(["binance", "mexc"])
)
def test_recorded_answers_with_fields_replaced_are_never_misread(changes, name):
    base = FULL if name == "binance" else MEXC_ACK
    placement = classify_place(reply(200, {**base, **changes}), RULES[name], ORDER)
    if placement.kind is PlacementKind.ACCEPTED:
        assert RULES[name].order_id.fullmatch(placement.report.venue_order_id)
        assert placement.report.wire_id in ("", OURS)
    if placement.kind is PlacementKind.REJECTED:
        assert RULES[name].codes[placement.code].refuses


# Cancels and reads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        (reply(400, code(-2011, "Unknown order sent.")), CancelKind.NOT_FOUND),
        (reply(400, code(-2013, "Order does not exist.")), CancelKind.NOT_FOUND),
        (reply(500, code(-2011)), CancelKind.UNKNOWN),
        (reply(400, code(-1021)), CancelKind.UNKNOWN),
        (reply(None, error="timed out"), CancelKind.UNKNOWN),
        (reply(None, entered=False), CancelKind.UNKNOWN),
        (reply(502, HTML), CancelKind.UNKNOWN),
        (reply(200, "{}"), CancelKind.UNKNOWN),
        (reply(200, {**FULL, "origClientOrderId": OURS, "clientOrderId": "c1"}), CancelKind.REQUESTED),
        (reply(200, {**FULL, "origClientOrderId": THEIRS, "clientOrderId": "c1"}), CancelKind.UNKNOWN),
        (reply(200, {**FULL, "symbol": "ETHUSDT"}), CancelKind.UNKNOWN),
    ],
)
def test_cancels(case, kind):
    assert classify_cancel(case, BINANCE, "BTC/USDT", OURS).kind is kind


def test_a_cancel_of_another_venue_order_is_unknown():
    answer = reply(200, {**FULL, "origClientOrderId": OURS})
    assert classify_cancel(answer, BINANCE, "BTC/USDT", OURS, "28").kind is CancelKind.REQUESTED
    assert classify_cancel(answer, BINANCE, "BTC/USDT", OURS, "29").kind is CancelKind.UNKNOWN


@pytest.mark.parametrize(
    "case",
    [
        reply(None, error="timed out"),
        reply(None, entered=False),
        reply(500, code(-2013)),
        reply(502, HTML),
        reply(200, HTML),
        reply(200, ""),
        reply(200, "null"),
        reply(404, HTML),
        reply(429, code(-1003), Retry_After="5"),
        reply(418, HTML, Retry_After="5"),
        reply(400, code(-1021)),
        reply(400, code(-1006)),
    ],
)
def test_reads_without_a_usable_answer_are_retryable(case):
    with pytest.raises(RetryableVenueError) as caught:
        classify_read(case, BINANCE, "order BTC/USDT")
    if case.status in (418, 429):
        assert caught.value.retry_after_s == 5.0


@pytest.mark.parametrize("number", [-2015, -1121, -9999])
def test_reads_that_the_venue_refuses(number):
    with pytest.raises(VenueRefused) as caught:
        classify_read(reply(400, code(number)), BINANCE, "balances")
    assert caught.value.code == str(number)


def test_revoked_key_is_refused_and_not_retried_for_ever():
    with pytest.raises(VenueRefused, match="key, address or permission"):
        classify_read(reply(401, code(-2015)), BINANCE, "balances")


def test_order_read_finds_misses_and_refuses_others():
    assert read_order(reply(400, code(-2013)), BINANCE, "BTC/USDT", OURS) is None
    assert read_order(reply(200, FULL), BINANCE, "BTC/USDT", OURS).executed_quantity == Decimal("0.40")
    for facts in ({**FULL, "clientOrderId": THEIRS}, {**FULL, "clientOrderId": ""}, {**FULL, "symbol": "ETHUSDT"}):
        with pytest.raises(RetryableVenueError, match="expected"):
            read_order(reply(200, facts), BINANCE, "BTC/USDT", OURS)


def test_status_that_nobody_knows_is_unmapped():
    assert read_order(reply(200, {**FULL, "status": "ODD"}), BINANCE, "BTC/USDT", OURS).status is VenueStatus.UNMAPPED


def test_one_malformed_order_spoils_a_list_rather_than_vanish():
    symbols = {"BTCUSDT": "BTC/USDT"}
    good = reply(200, json.dumps([FULL, {**FULL, "symbol": "NOTOURS"}]))
    assert [report.symbol for report in read_orders(good, BINANCE, symbols, "open orders")] == ["BTC/USDT"]
    for bad in ([FULL, 1], [FULL, {**FULL, "executedQty": "x"}], {"a": 1}):
        with pytest.raises(RetryableVenueError):
            read_orders(reply(200, json.dumps(bad)), BINANCE, symbols, "open orders")


_SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "api-samples"


@pytest.mark.skipif(not _SAMPLES.is_dir(), reason="recorded samples are not here")
@pytest.mark.parametrize(("name", "rules"), [("binance-spot", BINANCE), ("mexc-spot", MEXC)])
def test_recorded_order_samples_are_read(name, rules):
    read = 0
    for line in (_SAMPLES / f"{name}.jsonl").read_text().splitlines():
        body = json.loads(line).get("body")
        for sample in body if isinstance(body, list) else [body]:
            if not isinstance(sample, dict) or "executedQty" not in sample or "status" not in sample:
                continue
            # MEXC's own documentation shows short integer ids; real ones are longer.
            facts = {**sample, "orderId": f"C02__{sample['orderId']:018d}"} if rules is MEXC else sample
            ours = facts.get("origClientOrderId") or facts["clientOrderId"]
            found = read_order(reply(200, facts), rules, facts["symbol"], ours)
            assert found.executed_quantity == Decimal(facts["executedQty"])
            assert found.status is rules.statuses[facts["status"]]
            read += 1
    assert read >= 3


def test_parse_json_refuses_what_is_none():
    for text in (None, "", "NaN", "{", "[" * 50_000):
        with pytest.raises(ValueError, match=r"."):
            parse_json(text)
