"""The tables of venues' words: whole, unambiguous, and safe where nobody knows (R18)."""

from __future__ import annotations

import pytest

from tradecore.model.order import NewOrder
from tradecore.venues.rules import BINANCE, KRAKEN, MEXC, OKX, PLAIN, ErrorClass, rules_of
from tradecore.venues.rules.words import Said

ALL = (PLAIN, BINANCE, MEXC, OKX, KRAKEN)
NEVER_REFUSE = {ErrorClass.BUSY, ErrorClass.DUPLICATE, ErrorClass.MISSING}


@pytest.mark.parametrize("rules", ALL, ids=lambda rules: rules.name)
def test_r18_every_code_has_a_class_an_action_and_a_text(rules):
    assert rules.codes
    for code, rule in rules.codes.items():
        assert rule.code == code
        assert rule.text == rule.text.strip()
        assert rule.text
        assert rule.text[0].islower() or not rule.text[0].isalpha()
        assert rule.error_class in ErrorClass


@pytest.mark.parametrize("rules", ALL, ids=lambda rules: rules.name)
def test_r13_doubtful_classes_never_refuse_and_missing_codes_are_listed(rules):
    for rule in rules.codes.values():
        if rule.error_class in NEVER_REFUSE:
            assert not rule.refuses, rule
    for code in rules.missing_codes:
        assert not rules.codes[code].refuses


def test_unknown_exchanges_know_no_code_and_acknowledge_nothing():
    rules = rules_of("another")
    assert rules.name == "another"
    assert not rules.codes
    assert rules.placed({"orderId": 1, "id": "12345"}) is None
    assert rules.order_id.fullmatch("1523347543495541248")
    for text in ("null", "<html>", "", "undefined", '{"a":1}'):
        assert not rules.order_id.fullmatch(text)
    assert rules.error_of({"code": "0"}, rules.success_codes) is None
    assert rules.error_of({"retCode": 10016, "retMsg": "x"}, rules.success_codes) == Said("10016", "x")


def test_okx_reads_the_rows_code_before_the_outer_one():
    body = {
        "code": "1",
        "msg": "All operations failed",
        "data": [{"ordId": "", "sCode": "51008", "sMsg": "too little"}],
    }
    assert OKX.error_of(body, OKX.success_codes) == Said("51008", "too little")
    assert OKX.error_of({"code": "50011", "msg": "slow", "data": []}, OKX.success_codes) == Said("50011", "slow")
    assert OKX.error_of({"code": "0", "data": [{"sCode": "0"}]}, OKX.success_codes) is None
    assert OKX.placed({"code": "0", "data": "x"}) is None


def test_kraken_reads_codes_with_more_to_say_and_passes_warnings():
    found = KRAKEN.error_of({"error": ["EGeneral:Invalid arguments:volume minimum not met"]}, frozenset())
    assert found == Said("EGeneral:Invalid arguments", "EGeneral:Invalid arguments:volume minimum not met")
    assert KRAKEN.judged(found).text == "quantity is not allowed"
    assert KRAKEN.error_of({"error": ["WGeneral:Danger"]}, frozenset()) is None
    assert KRAKEN.error_of({"error": "EService:Busy"}, frozenset()) == Said("EService:Busy", "EService:Busy")
    assert KRAKEN.placed({"result": {"txid": []}}) is None
    assert KRAKEN.canceled({"result": {"count": "2"}}) == {}
    assert KRAKEN.canceled({"error": []}) is None


def test_new_order_has_no_market_form():
    assert "type" not in NewOrder._fields, "a market order cannot even be said"
