"""The codec of our ids, and what exchanges want told differently."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tradecore.model.units import client_order_id
from tradecore.venues.ccxt.ways import Ways, ways_of
from tradecore.venues.weights import book_weight, weight_of

EXCHANGES = ("binance", "mexc", "okx", "kraken", "bybit", "kucoin", "gate", "coinbase", "bitget", "another")
#: What each takes (reference orders.md 2.4).
ALLOWED = {
    "binance": r"[A-Za-z0-9_-]{1,36}", "mexc": r"\S{1,32}", "okx": r"[A-Za-z0-9]{1,32}",
    "kraken": r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "bybit": r"[A-Za-z0-9_-]{1,36}",
    "kucoin": r"[A-Za-z0-9_-]{1,40}", "gate": r"t-[0-9A-Za-z_.-]{1,28}",
    "coinbase": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}  # fmt: skip


@given(st.text(max_size=30), st.text(max_size=30), st.integers(1, 50), st.sampled_from(EXCHANGES))
def test_ids_fit_the_venue_and_are_known_again(account, intent, number, exchange):
    ours, ways = client_order_id(account, intent, number), ways_of(exchange)
    wire = ways.wire_id(ours)
    assert wire == ways.wire_id(ours), "the same id always gives the same form"
    assert ways.is_ours(wire)
    assert re.fullmatch(ALLOWED.get(exchange, r"\S{1,32}"), wire)
    assert not ways.sent_id(wire).startswith("t"), "Gate's class adds t- only where no t begins"
    other = ways.wire_id(client_order_id(account, intent, number + 1))
    assert other != wire


@given(st.text(max_size=40), st.sampled_from(EXCHANGES))
def test_foreign_ids_are_not_ours(text, exchange):
    if not re.search(r"[0-9a-f]{4}", text):
        assert not ways_of(exchange).is_ours(text)


def test_unknown_exchange_has_the_plainest_ways():
    assert ways_of("another") == Ways()
    assert Ways().look_up == "", "nothing is known of its look-ups, so the lists are searched"


def test_r34_weights():
    assert weight_of("binance", "open_orders_all") == 80
    assert weight_of("binance", "order") == 4
    assert weight_of("another", "order") == weight_of("binance", "nothing") == 1
    assert [book_weight("binance", levels) for levels in (5, 100, 500, 1000, 5000)] == [5, 5, 25, 50, 250]
    assert book_weight("okx", 5000) == 1
