"""Every recorded question to Binance and MEXC, by whoever asked it, is understood by the wire server."""

from __future__ import annotations

import asyncio
import json
import lzma
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no recorded data beside the repository")
#: What nobody trades with, and so nobody serves: MEXC's news.
NOT_SERVED = {("GET", "/api/v3/announcements")}
FACTS = {
    ("GET", "/api/v3/order"): {"symbol": "BTCUSDT", "orderId": "1"},
    ("GET", "/api/v3/allOrders"): {"symbol": "BTCUSDT"},
    ("DELETE", "/api/v3/order"): {"symbol": "BTCUSDT", "orderId": "1"},
    ("DELETE", "/api/v3/openOrders"): {"symbol": "BTCUSDT"},
    ("POST", "/api/v3/order"): {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "50000"
    },
    ("GET", "/api/v3/depth"): {"symbol": "BTCUSDT"},
    ("GET", "/api/v3/tradeFee"): {"symbol": "BTCUSDT"},
}  # fmt: skip
FACTS["POST", "/api/v3/order/test"] = FACTS["POST", "/api/v3/order"]


def addresses(*names):
    """Addresses that were asked, of plain requests and of websockets."""
    found = []
    for name in names:
        for line in lzma.decompress(DATA.joinpath("recorded", "binance", f"{name}.txt.xz").read_bytes()).splitlines():
            text = line.decode(errors="replace")
            address, arrow, _ = text.partition(" -> ")
            if arrow and address.startswith("http"):
                found.append(address)
            address, arrow, _ = text.partition(" <-> ")
            if arrow and address.startswith("ws"):
                found.append(address)
    return found


def test_every_recorded_request_to_binance_is_answered(binance):
    asked = [one for one in addresses("BINANCE.0", "BINANCE.http.0.0") if one.startswith("http")]

    async def story():
        count = Counter()
        for address in asked:
            parts = urlsplit(address)
            sent = dict(parse_qsl(parts.query))
            if "symbol" in sent:
                sent["symbol"] = "BTCUSDT"  # stands for coins that this venue does not list
            reply = await binance.send("GET", parts.path, urlencode(sent))
            assert reply.status == 200, (address, reply.body)
            if parts.path.endswith("depth"):
                assert set(reply.json) == {"lastUpdateId", "bids", "asks"}
            count[parts.path] += 1
        return count

    count = binance.run(story)
    assert sum(count.values()) == len(asked) >= 5
    assert set(count) == {"/api/v3/exchangeInfo", "/api/v3/depth"}


def test_the_recorded_address_of_binances_streams_is_understood(binance):
    recorded = [one for one in addresses("BINANCE.0", "BINANCE.ws.1.0") if one.startswith("ws")]
    assert recorded

    async def story():
        for address in recorded:
            parts = urlsplit(address)
            kinds = {name.partition("@")[2] for name in dict(parse_qsl(parts.query))["streams"].split("/")}
            wanted = {f"{coin}usdt@{kind}" for coin in ("btc", "eth") for kind in kinds}
            url = f"ws://127.0.0.1:{binance.server.port}{parts.path}?streams={'/'.join(sorted(wanted))}"
            heard = set()
            async with binance.http.ws_connect(url) as socket, asyncio.timeout(120):
                while heard < wanted:
                    message = json.loads((await socket.receive()).data)
                    assert set(message) == {"stream", "data"}
                    heard.add(message["stream"])
            assert heard == wanted

    binance.run(story)


def test_every_sampled_request_to_mexc_is_answered(mexc):
    rows = [json.loads(line) for line in DATA.joinpath("api-samples", "mexc-spot.jsonl").read_text().splitlines()]
    asked = [(row["method"], row["path"], row["signed"]) for row in rows if "path" in row]

    async def story():
        count = Counter()
        for method, path, signed in asked:
            known = FACTS.get((method, path), {})
            if path.endswith("userDataStream"):
                known = {"listenKey": count["key"]} if method == "DELETE" else {}
            if signed:
                reply = await mexc.signed(method, path, **known)
            else:
                reply = await mexc.send(method, path, urlencode(known))
            if (method, path) in NOT_SERVED:
                assert reply.status == 404
                count["not served"] += 1
                continue
            assert reply.status == 200 or reply.code in (-2011, -2013, 30010), (method, path, reply.status, reply.body)
            if method == "POST" and path.endswith("userDataStream"):
                count["key"] = reply.json["listenKey"]
            count["answered"] += 1
        return count

    count = mexc.run(story)
    assert (count["answered"], count["not served"]) == (len(asked) - 1, 1)
    assert len(asked) == 18
