"""Every request that ccxt's own tests record is understood: parsed, signed by our key, answered."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data" / "ccxt-static" / "request"
PRIVATE = {"order", "openOrders", "allOrders", "account", "myTrades"}
#: Answers that mean the request was understood: done, or refused for what the market or the account is.
UNDERSTOOD = {
    "binance": {-1013, -2010, -2011, -2013, -1121},
    "mexc": {10007, 30002, 30003, 30004, 30005, 30010, -2011, -2013, -1121},
}


def cases(name):
    path = RECORDED / f"{name}.json"
    if not path.is_file():
        return []
    methods = json.loads(path.read_text())["methods"]
    return [case for rows in methods.values() for case in rows if "/api/v3/" in case["url"]]


@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_every_recorded_request_is_accepted_by_the_parser(make_wire, name):
    recorded = cases(name)
    if not recorded:
        pytest.skip(f"no recorded requests of {name}")
    wire = make_wire(name)

    async def story():
        seen = 0
        for case in recorded:
            parts = urlsplit(case["url"])
            sent = dict(parse_qsl(case.get("output") or parts.query))
            for fact in ("timestamp", "signature", "recvWindow"):
                sent.pop(fact, None)
            # the recording's coins stand for those that this venue trades
            if "symbol" in sent:
                sent["symbol"] = {"ETHUSDT": "ETHUSDT"}.get(sent["symbol"], "BTCUSDT")
            what = parts.path.rsplit("/", maxsplit=1)[-1]
            method = {"createOrder": "POST", "cancelOrder": "DELETE"}.get(case["method"], "GET")
            if what in PRIVATE:
                reply = await wire.signed(method, parts.path, **sent)
            else:
                reply = await wire.send(method, parts.path, "&".join(f"{key}={value}" for key, value in sent.items()))
            assert reply.status == 200 or reply.code in UNDERSTOOD[name], (case["url"], reply.status, reply.body)
            seen += 1
        assert seen == len(recorded) > 10

    wire.run(story)
