"""Websockets of the wire server: Binance's streams and account stream, MEXC's protobuf streams.

Source: binance-spot-api-docs a5e0bc3, web-socket-streams.md, web-socket-api.md, user-data-stream.md; MEXC spot v3;
reference orders.md 2.12 and 3.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from tradecore.venues.twin.wire.desk import TICK_S, WireDesk
from tradecore.venues.twin.wire.streams_channel import Channel
from tradecore.venues.twin.wire.streams_faults import STREAM_FAULTS
from tradecore.venues.twin.wire.streams_hub import Hub
from tradecore.venues.twin.wire.streams_talk import BinanceTalk
from tradecore.venues.twin.wire.streams_talk_mexc import LISTEN_KEYS, MexcTalk

_MESSAGE_BYTES: Final = 1_000_000
_PING_S: Final = 20.0
"""Pause between the venue's own pings. Source: Binance web-socket-streams.md."""
_PONG_S: Final = 60.0
"""A customer that is not heard for so long is cut off."""
_CLOSE_S: Final = 1.0
_CUT: Final = frozenset({"all", "stream"})
_UNAVAILABLE: Final = "<html><head><title>503</title></head><body><h1>503 Service Unavailable</h1></body></html>"

Hear = Callable[[Channel, str], None]


class Talk(Protocol):
    """One venue's side of the conversation."""

    @property
    def hub(self) -> Hub:
        """Who listens."""

    @property
    def pings(self) -> bool:
        """True where the venue pings by itself."""

    def routes(self) -> list[tuple[str, Hear]]:
        """Paths of websockets, and who hears what is said on them."""

    def side_of(self, request: web.Request) -> str:
        """Which faults hit a connection: ``stream`` or ``feed``."""

    def joined(self, channel: Channel, request: web.Request) -> None:
        """Begin with what the address of a new connection asks for."""

    def left(self, channel: Channel) -> None:
        """Forget a connection."""

    def shutdown(self, channel: Channel) -> None:
        """Say that the server goes down, where the venue does."""


def add_streams(app: web.Application, desk: WireDesk) -> Hub:
    """Add the websockets of a desk's venue to its server. Call it before a route that takes every path is added.

    Args:
        app: Not yet started; the streams live and end with it.
        desk: Its listeners are told to the customers.
    """
    desk.faults.learn(STREAM_FAULTS)
    talk: BinanceTalk | MexcTalk = BinanceTalk(desk) if desk.wire == "binance" else MexcTalk(desk)
    server = _Server(desk, talk)
    for path, hear in talk.routes():
        app.router.add_get(path, server.handler(hear))
    if isinstance(talk, MexcTalk):
        app.router.add_route("*", LISTEN_KEYS, talk.listen_keys)
    app.cleanup_ctx.append(server.ticking)
    app.on_shutdown.append(server.shutdown)
    return talk.hub


class _Server:
    def __init__(self, desk: WireDesk, talk: Talk) -> None:
        self._desk: Final = desk
        self._talk: Final = talk

    def handler(self, hear: Hear) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Answer one path."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, hear)

        return handle

    async def _serve(self, request: web.Request, hear: Hear) -> web.StreamResponse:
        transport, side = request.transport, self._talk.side_of(request)
        if transport is None or not self._desk.cut.isdisjoint(_CUT):
            if transport is not None:
                transport.abort()
            return web.Response(status=503)
        if self._desk.faults.draw(f"{side}_door"):
            return web.Response(status=503, text=_UNAVAILABLE, content_type="text/html")
        socket = web.WebSocketResponse(autoping=False, timeout=_CLOSE_S, max_msg_size=_MESSAGE_BYTES)
        try:
            await socket.prepare(request)
        except ConnectionError:
            return web.Response(status=444)  # it left before it was let in: nobody hears this
        channel = Channel(socket, transport.abort, side, self._desk.faults, self._desk.clock)
        self._talk.hub.channels.add(channel)
        self._talk.joined(channel, request)
        pump = asyncio.create_task(channel.pump())
        try:
            await self._listen(channel, hear)
        finally:
            channel.gone = True
            self._talk.hub.leave(channel)
            self._talk.left(channel)
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        return socket

    async def _listen(self, channel: Channel, hear: Hear) -> None:
        """Hear a customer out. One that is deaf to us is not heard either: the connection is half open."""
        while not channel.gone:
            message = await self._next(channel)
            if message is None or message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                break
            if channel.deaf:
                continue
            channel.heard_s = self._desk.clock.monotonic_s()
            if message.type == WSMsgType.PING:
                await channel.socket.pong(message.data)
            elif message.type == WSMsgType.TEXT:
                hear(channel, message.data)
            elif message.type == WSMsgType.ERROR:
                break

    async def _next(self, channel: Channel) -> WSMessage | None:
        """The next frame; ``None`` where the customer was not heard for too long."""
        while True:
            try:
                return await channel.socket.receive(timeout=_PING_S)
            except TimeoutError:
                if channel.deaf:
                    continue
                if self._desk.clock.monotonic_s() - channel.heard_s > _PONG_S:
                    channel.cut()
                    return None
                if self._talk.pings:
                    await channel.socket.ping()

    async def ticking(self, app: web.Application) -> AsyncIterator[None]:
        """Look at the market as long as the server runs."""
        del app
        task = asyncio.create_task(self._tick())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await self._desk.clock.sleep(TICK_S)
            if not self._desk.cut.isdisjoint(_CUT):
                for channel in list(self._talk.hub.channels):
                    channel.cut()
            self._talk.hub.tick()

    async def shutdown(self, app: web.Application) -> None:
        """Say goodbye and end every connection."""
        del app
        channels = list(self._talk.hub.channels)
        for channel in channels:
            self._talk.shutdown(channel)
        await asyncio.sleep(0)
        await asyncio.gather(
            *(channel.socket.close(code=WSCloseCode.GOING_AWAY) for channel in channels), return_exceptions=True
        )
