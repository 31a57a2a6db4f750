"""F13: whatever the stream does to its events, the state read after its hints is the venue's."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.streams.conftest import KEY, SECRET, Wire
from tradecore.errors import SettingsError
from tradecore.model.units import TimeInForce
from tradecore.ports.hints import OrderHint
from tradecore.venues.ccxt import streams
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.streams import open_account_hints, open_quote_stream, why_not
from tradecore.venues.ccxt.streams_account import hints_of
from tradecore.venues.ccxt.streams_link import Backoff, LinkTimes
from tradecore.venues.ccxt.streams_wire import ending_of, reason_of

State = dict[str, tuple[str, Decimal]]


class _Reader:
    """Reads an order by REST for each hint, as the engine does; a push itself is never believed."""

    def __init__(self, wire: Wire) -> None:
        self.exchange = wire.plain()
        self.state: State = {}
        self.asked: asyncio.Queue[str] = asyncio.Queue()
        self.idle = False

    def hear(self, hint: OrderHint) -> None:
        self.ask(hint.wire_id)

    def ask(self, wire_id: str) -> None:
        self.idle = False
        self.asked.put_nowait(wire_id)

    async def run(self) -> None:
        while True:
            wire_id = await self.asked.get()
            self.idle = False
            await self.read(wire_id)
            self.idle = self.asked.empty()

    async def read(self, wire_id: str) -> None:
        order = await self.exchange.fetch_order(None, "BTC/USDT", {"clientOrderId": wire_id})
        assert order["clientOrderId"] == wire_id
        old = self.state.get(wire_id, ("", Decimal(0)))
        executed = Decimal(str(order["filled"]))
        assert executed >= old[1], "executed never decreases (INV-7)"
        self.state[wire_id] = (order["status"], executed)


async def _trade(wire: Wire) -> list[str]:
    """A morning of an account; returns the ids of its orders."""
    ids = []
    for number in range(12):
        kind = number % 4
        order = wire.place(
            TimeInForce.IOC if kind < 2 else TimeInForce.GTC,
            quantity=f"0.{number + 1}",
            under="0" if kind != 1 else "30",
        )
        ids.append(order.wire_id)
        await wire.clock.sleep(0.4)
        if kind == 3 and order.ended_ms is None:
            wire.cancel(order)
    return ids


def _truth(wire: Wire) -> State:
    words = {"OPEN": "open", "FILLED": "closed", "CANCELED": "canceled"}
    words["EXPIRED"] = "expired" if wire.name == "binance" else "canceled"
    return {order.wire_id: (words[order.status], order.executed) for order in wire.twin.venue.truth().orders()}


@pytest.mark.parametrize("faults", [("duplicated", "swapped", "late"), ("dropped", "duplicated", "cut", "garbage")])
def test_f13_the_state_is_that_of_a_reader_without_streams(wire: Wire, faults: tuple[str, ...]) -> None:
    async def story() -> None:
        reader = _Reader(wire)
        await reader.exchange.load_markets()
        reading = asyncio.ensure_future(reader.run())
        wire.closing(reading)
        account = wire.account()
        known: list[str] = []

        def sweep() -> None:
            for wire_id in known:
                reader.ask(wire_id)

        await account.start(reader.hear, sweep)
        await wire.until(lambda: account.alive)
        for fault in faults:
            wire.faults.ask(f"stream_{fault}", 0.25)
        known += await _trade(wire)
        wire.faults.clear()
        await wire.clock.sleep(2)
        await wire.until(lambda: account.alive)
        if "dropped" in faults:
            sweep()  # what was never pushed is found by the sweep that runs all the time
        await wire.until(lambda: reading.done() or reader.idle)
        assert not reading.done(), reading.exception()
        assert reader.state == _truth(wire)
        polled = _Reader(wire)
        for wire_id in known:
            await polled.read(wire_id)
        assert reader.state == polled.state

    wire.run(story)


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_waits_grow_and_are_bounded(seed: int, count: int) -> None:
    times = LinkTimes(first_wait_s=1, longest_wait_s=60)
    backoff = Backoff(times, random.Random(seed))
    waits = [backoff.next_s() for _ in range(count)]
    for number, wait_s in enumerate(waits):
        full = min(2.0**number, 60.0)
        assert full / 2 <= wait_s <= full
    backoff.reset()
    assert backoff.next_s() <= 1
    again = Backoff(times, random.Random(seed))
    assert [again.next_s() for _ in range(count)] == waits, "the same seed waits the same"


def test_mexc_without_protobuf_says_so(monkeypatch: pytest.MonkeyPatch, binance: Wire) -> None:
    def nothing(name: str) -> None:
        raise ModuleNotFoundError(name)

    for find in (nothing, lambda name: None):
        monkeypatch.setattr(streams, "find_spec", find)
        assert "mexc-streams" in why_not("mexc")
        assert not why_not("binance")
        with pytest.raises(SettingsError, match="are polled"):
            open_quote_stream("mexc", clock=binance.clock, generator=random.Random(1))
        with pytest.raises(SettingsError, match="are polled"):
            open_account_hints("mexc", clock=binance.clock, generator=random.Random(1), keys=ApiKeys(KEY, SECRET))


def test_an_exchange_without_streams_is_a_setting_that_cannot_be(binance: Wire) -> None:
    with pytest.raises(SettingsError, match="streams from"):
        open_quote_stream("nowhere", clock=binance.clock, generator=random.Random(1))


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"subscriptionId": 0, "event": {"e": "eventStreamTerminated"}}, "venue said eventStreamTerminated"),
        ({"event": {"e": "serverShutdown", "E": 1}}, "venue said serverShutdown"),
        ({"id": "1", "status": 400, "error": {"code": -1022, "msg": "Signature"}}, "venue said -1022: Signature"),
        ({"id": 0, "code": 0, "msg": "Not Subscribed successfully! [x]"}, "venue refused the subscription"),
        ({"e": "executionReport"}, ""), ({"id": 1, "result": None}, ""), ({"error": None}, ""), ([1], ""), ("PONG", ""),
    ],
)  # fmt: skip
def test_what_ends_a_stream(message: Any, why: str) -> None:
    assert ending_of(message) == why


def test_a_reason_holds_no_query() -> None:
    error = ConnectionError('POST https://venue/api?signature=abc&timestamp=1 {"apiKey":"k"}')
    assert reason_of(error) == "ConnectionError: POST https://venue/api"


def test_a_push_names_each_order_once() -> None:
    pushed: list[dict[str, Any]] = [
        {"symbol": "A/B", "id": "1", "clientOrderId": "x"}, {"symbol": "A/B", "id": "1", "clientOrderId": "x"},
        {"symbol": None, "id": None, "clientOrderId": None}, {"symbol": "A/B", "id": "2", "clientOrderId": None},
    ]  # fmt: skip
    assert [(hint.wire_id, hint.venue_order_id) for hint in hints_of(pushed, 5)] == [("x", "1"), ("", "2")]
    (hint,) = hints_of([{"symbol": "A/B", "id": "trade", "order": "7"}], 5, trades=True)
    assert hint == OrderHint("A/B", "", "7", 5)
