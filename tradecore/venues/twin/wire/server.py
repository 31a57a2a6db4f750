"""HTTP around the door: one server on loopback that speaks a venue's REST, another that takes orders from tests.

The only file here that knows sockets of REST; websockets are added by `streams.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from tradecore.errors import SettingsError
from tradecore.ports.clock import Clock
from tradecore.venues.twin.build import Twin
from tradecore.venues.twin.wire.auth import Request
from tradecore.venues.twin.wire.control import add_control
from tradecore.venues.twin.wire.desk import Limits, ReadLag, WireDesk
from tradecore.venues.twin.wire.door import Door
from tradecore.venues.twin.wire.keys import ApiKey, KeyRing
from tradecore.venues.twin.wire.spoil import Reply
from tradecore.venues.twin.wire.streams import add_streams
from tradecore.venues.twin.wire.tape import Tape

_HOST: Final = "127.0.0.1"
_LOOK_S: Final = 0.25
"""Market seconds between two looks whether a client that hangs has left."""
_SHUTDOWN_S: Final = 0.5


class WireServer:
    """The twin as a venue on loopback.

    Args:
        twin: Its manners must be those of `wire`.
        wire: binance or mexc.
        clock: Market time; a scaled one makes the venue run faster than the wall.
        keys: Customers of the one account.
        port: Of the venue; 0 takes any that is free.
        control_port: Of the control endpoint; 0 takes any that is free.
        token: What the control endpoint asks for; empty makes one.
        lag: Of reads.
        limits: Of requests.
        latency_ms: Of each request, there and back together, market time.
    Raises:
        SettingsError: If twin and wire do not fit, or there is no key.
    """

    def __init__(
        self, twin: Twin, *, wire: str, clock: Clock, keys: Iterable[ApiKey], port: int = 0, control_port: int = 0,
        token: str = "", lag: ReadLag | None = None, limits: Limits | None = None, latency_ms: int = 0,
    ) -> None:  # fmt: skip
        if twin.venue.manners.name != wire:
            raise SettingsError(f"expected a twin with the manners of {wire}, was {twin.venue.manners.name!r}")
        self.desk: Final = WireDesk(twin, clock, KeyRing(keys), lag=lag or ReadLag(), limits=limits or Limits())
        self.token: Final = token or secrets.token_urlsafe(24)
        self._tape: Final = Tape(twin.market)
        self._door: Final = Door(self.desk, self._tape, latency_ms)
        self._ports: Final = [port, control_port]
        self._runners: Final[list[web.AppRunner]] = []
        self._ticking: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def port(self) -> int:
        """Where the venue listens; 0 before `start`."""
        return self._ports[0]

    @property
    def control_port(self) -> int:
        """Where the control endpoint listens; 0 before `start`."""
        return self._ports[1]

    @property
    def base_url(self) -> str:
        """As ``http://127.0.0.1:4711``."""
        return f"http://{_HOST}:{self.port}"

    @property
    def control_url(self) -> str:
        """As ``http://127.0.0.1:4712``."""
        return f"http://{_HOST}:{self.control_port}"

    async def start(self) -> WireServer:
        """Listen, and lead the market on as time passes.

        Raises:
            SettingsError: If a port is taken.
        """
        app = web.Application()
        add_streams(app, self.desk)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        control = web.Application()
        add_control(control, self.desk, self._door, self.token)
        try:
            self._ports[0] = await self._listen(app, self._ports[0])
            self._ports[1] = await self._listen(control, self._ports[1])
        except OSError as error:
            await self.close()
            raise SettingsError(f"expected a free port on {_HOST}, was: {error.strerror}") from error
        self._ticking = asyncio.get_running_loop().create_task(self.desk.run(), name="wire: market")
        return self

    async def _listen(self, app: web.Application, port: int) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S, handle_signals=False)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, _HOST, port).start()
        return int(runner.addresses[0][1])

    async def failed(self) -> None:
        """Wait until the market can go on no more.

        Raises:
            StateFolderError: If the twin's file takes no more.
        """
        assert self._ticking is not None, "start comes first"
        await asyncio.shield(self._ticking)

    async def close(self) -> None:
        """Let everybody go; the twin's file stays open. May be called twice."""
        self._closing = True
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
            self._ticking = None
        while self._runners:
            await self._runners.pop().cleanup()
        self.desk.settle()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        body = await request.text() if request.can_read_body else ""
        reply = await self._door.serve(Request(request.method, path, query, body, request.headers))
        if reply.fate == "hang":
            await self._hang(request, reply.seconds)
        if reply.fate in ("hang", "cut"):
            _cut(request)
            return web.Response(status=444)  # nobody hears it
        response = web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        if reply.fate == "twice":
            _write_raw(request, reply)
        return response

    async def _hang(self, request: web.Request, seconds: float) -> None:
        """Say nothing until the client leaves, the time is over, or the server closes."""
        clock = self.desk.clock
        end_s = clock.monotonic_s() + seconds if seconds else float("inf")
        while request.transport is not None and not self._closing and clock.monotonic_s() < end_s:
            await clock.sleep(_LOOK_S)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _write_raw(request: web.Request, reply: Reply) -> None:
    """Write an answer past the HTTP library, so that it comes once more than it should."""
    if request.transport is None:
        return
    lines = [f"HTTP/1.1 {reply.status} OK", *(f"{name}: {value}" for name, value in reply.headers.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(reply.body)}", "", ""])
    request.transport.write(head.encode() + reply.body)
