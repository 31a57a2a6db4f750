"""INV-17, F43: a canary key and secret appear in no exception, event, log line or repr."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback

import pytest

from tradecore.model.units import ClientOrderId, Side, TimeInForce
from tradecore.venues.ccxt.keys import ApiKeys

SYMBOL = "BTC/USDT"
OURS = "0123456789abcdef0123456789abcdef"
EXCHANGES = ("binance", "mexc", "okx", "kraken", "bybit", "gate")


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_inv17_no_canary_in_anything_that_is_told(opened, exchange, caplog, capfd, world):
    one = opened(exchange)
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    wire = one.venue.wire_id(ClientOrderId(OURS))
    order = world.order("100.01", "0.5", Side.BUY, TimeInForce.IOC, wire_id=wire)
    signatures: list[str] = []

    def echo(request):
        # A hostile page that throws back what it was sent, headers too.
        signatures.append(request.url.rsplit("signature=", 1)[-1][:64])
        return f"<html>{request.url} {request.headers} {request.data}</html>"

    answers = [{"error": TimeoutError()}, {"answer": echo, "status": 403}, {"answer": echo, "status": 200},
               {"answer": "{}", "status": 502}]  # fmt: skip

    async def story():
        reads = (
            lambda: one.venue.order(SYMBOL, wire), one.venue.open_orders, one.venue.balances, one.venue.rights,
            lambda: one.venue.trades(SYMBOL, "", world.clock.now_ms() - 1000), one.venue.instruments,
            lambda: one.venue.place(order), lambda: one.venue.cancel(SYMBOL, wire, ""),
        )  # fmt: skip
        for read in reads:
            [result] = await asyncio.gather(read(), return_exceptions=True)
            texts.append(repr(result))
            if isinstance(result, BaseException):
                texts.append("".join(traceback.format_exception(result)))
        one.limiter._banned_until_s = -1.0

    for answer in answers:
        one.script.on(".", **answer)
        one.run(story())
    texts += [repr(one.events), repr(one.venue), repr(one.client), repr(one.exchange), str(one.exchange)]
    texts += [record.getMessage() for record in caplog.records]
    written = capfd.readouterr()
    texts += [written.out, written.err]
    assert one.script.requests
    everything = "\n".join(texts)
    for canary in one.canaries:
        assert canary not in everything
    if exchange in ("binance", "mexc"):
        assert all(signature not in everything for signature in signatures if len(signature) == 64)


def test_keys_show_nothing():
    keys = ApiKeys("the key", "the secret+/", "phrase")
    assert repr(keys) == str(keys) == "ApiKeys(***)"
    assert "secret" not in f"{keys!r} {[keys]}"
    assert not hasattr(keys, "__dict__")
    assert pickle.loads(pickle.dumps(keys)).revealed() == {}
    assert keys.scrub("a the secret+/ b the%20secret%2B%2F c") == "a *** b *** c"
    assert bool(keys)
    assert not ApiKeys()
