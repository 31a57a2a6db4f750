"""A service on loopback that takes JSON, with faults on demand."""

import asyncio
import threading
import time
import warnings
from collections import deque

import pytest
from aiohttp import web

try:
    import apprise
except ImportError:
    apprise = None
else:
    with warnings.catch_warnings():
        # its services are loaded at the first address, and warn of modules that Python will drop
        warnings.simplefilter("ignore")
        apprise.Apprise.instantiate("json://127.0.0.1")


class Hook:
    """Takes what Apprise's ``json://`` posts, in a thread of its own.

    `faults` is used up one by one: a status, ``hang`` (no answer until the end), ``drop`` (the connection ends), or
    seconds to wait before it does what was asked. `always` answers every request so.
    """

    def __init__(self):
        self.got = []
        """(path, message, type) of what was taken."""
        self.calls = 0
        self.faults = deque()
        self.always = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="hook", daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def address(self, path="room"):
        return f"json://127.0.0.1:{self.port}/{path}"

    def texts(self, path="/room"):
        return "\n\n".join(text for where, text, _ in self.got if where == path)

    def wait_for(self, what, seconds=10.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(what in text for _, text, _ in self.got):
                return
            time.sleep(0.01)
        raise AssertionError(f"expected {what!r}, was {self.got!r}")

    def close(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def _run(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request):
        self.calls += 1
        fault = self.faults.popleft() if self.faults else self.always
        body = await request.json()
        if fault == "hang":
            await self._stop.wait()
            return web.Response(status=503)
        if fault == "drop":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if isinstance(fault, int):
            return web.Response(status=fault, headers={"Location": f"http://127.0.0.1:{self.port}/elsewhere"})
        if isinstance(fault, float):
            await asyncio.sleep(fault)
        self.got.append((request.path.rstrip("/"), body["message"], body["type"]))
        return web.Response(text="ok")


@pytest.fixture
def hook(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    made = Hook()
    yield made
    made.close()
