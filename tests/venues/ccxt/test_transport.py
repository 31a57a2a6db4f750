"""The session under ccxt on a real socket: no redirect is followed, nothing endless is read, and what never left."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal

import pytest

from tradecore.clocks.clock import SystemClock
from tradecore.errors import RetryableVenueError
from tradecore.model.order import NewOrder, PlacementKind
from tradecore.model.units import Side, TimeInForce
from tradecore.venues.ccxt import transport
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.open import open_ccxt
from tradecore.venues.limiter import RequestLimiter

ORDER = NewOrder("0" * 32, "BTC/USDT", Side.BUY, TimeInForce.IOC, Decimal("100.01"), Decimal("0.5"))


class Server:
    """Raw bytes on loopback, and what came in."""

    def __init__(self) -> None:
        self.answer = b""
        self.hang = False
        self.ended = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.requests: list[bytes] = []

    async def serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ontent-Length" in line), 0)
            body = await reader.readexactly(length) if length else b""
            self.requests.append(head.split(b"\r\n")[0] + b" " + body)
            if self.hang:
                await self.ended.wait()
            writer.write(self.answer)
            await writer.drain()
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


def _http(status: str, body: bytes, *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def _venue(symbols, timeout_ms=5_000):
    server, clock = Server(), SystemClock()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    venue = open_ccxt(
        "binance", clock=clock, limiter=RequestLimiter(clock, 10_000), keys=ApiKeys("some key", "some secret"),
        base_url=f"http://127.0.0.1:{port}", timeout_ms=timeout_ms,
    )  # fmt: skip
    venue._client.exchange.set_markets(symbols)
    venue._client._clock_doubted = False
    try:
        yield venue, server, listening
    finally:
        await venue.close()
        listening.close()
        server.ended.set()
        await asyncio.gather(*server.tasks)
        await listening.wait_closed()


@pytest.fixture
def symbols(opened):
    return list(opened("binance").exchange.markets.values())


def test_f18_answers_of_all_sorts(symbols, monkeypatch):
    monkeypatch.setattr(transport, "MAX_BYTES", 200_000)

    async def story():
        async with _venue(symbols) as (venue, server, _):
            answers = {
                "redirect": _http("307 Temporary Redirect", b"", "Location: /api/v3/order"),
                "gzip garbage": _http("200 OK", b"\x1f\x8b garbage", "Content-Encoding: gzip"),
                "huge": _http("200 OK", b'{"x":"' + b"x" * 300_000 + b'"}'),
                "torn": b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{",
                "no http": b"hello\r\n\r\n",
                "nothing": b"",
                "not utf-8": _http("200 OK", b"\xff\xfe\xfd"),
            }
            for name, answer in answers.items():
                server.answer = answer
                server.requests.clear()
                placement = await venue.place(ORDER)
                assert placement.kind is PlacementKind.UNKNOWN, (name, placement)
                assert len(server.requests) == 1, f"{name}: sent once"
                with pytest.raises(RetryableVenueError):
                    await venue.balances()

    asyncio.run(story())


def test_f1_time_out_and_refusal_of_the_connection(symbols):
    async def story():
        async with _venue(symbols, timeout_ms=200) as (venue, server, listening):
            server.hang = True
            placement = await venue.place(ORDER)
            assert (placement.kind, placement.status) == (PlacementKind.UNKNOWN, None)
            assert "RequestTimeout" in placement.detail
            listening.close()
            await asyncio.sleep(0)
            placement = await venue.place(ORDER)
            assert placement.kind is PlacementKind.NOT_SENT, placement

    asyncio.run(story())


def test_a_whole_answer_comes_through_and_closing_twice_is_fine(symbols):
    async def story():
        async with _venue(symbols) as (venue, server, _):
            server.answer = _http("200 OK", b'{"balances":[{"asset":"BTC","free":"0.10","locked":"0"}]}')
            assert (await venue.balances())["BTC"].free == Decimal("0.1")
            assert server.requests[-1].startswith(b"GET /api/v3/account?")
            await venue.close()
        return True

    assert asyncio.run(story())
