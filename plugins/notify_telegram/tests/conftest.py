"""A Bot API of our own on loopback, with faults on demand, and a Telegram in memory for simulated time."""

import asyncio
import contextlib
import json
import threading
import time
from collections import deque

import pytest
from aiohttp import web
from tradecore_notify_telegram.port import Incoming

TOKEN = "123456789:AAcanaryTOKENcanaryTOKENcanaryTOKEN1"
BOT = "loopback_bot"


class BotServer:
    """Imitates getMe, getUpdates and sendMessage in a thread of its own.

    `faults` is a queue by method: each entry is used up by one request. An entry is a status with a body, ``hang``,
    ``drop`` (the connection ends), ``garbage``, or ``lost`` (it does what was asked and the answer is lost). `always`
    answers every request to a method so.
    """

    def __init__(self):
        self.sent = []
        """(chat, text, everything that was posted)."""
        self.calls = deque(maxlen=10_000)
        self.faults = {}
        self.always = {}
        self.replay = False
        """True tells every update again, whatever was acknowledged."""
        self._updates = []
        self._next = 1_000
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="bot-server", daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    # What people do ------------------------------------------------------------------------------------------

    def write(self, user, text, *, chat=None, date=None, update_id=None, **message):
        """A message to the bot."""
        if update_id is None:
            self._next += 1
            update_id = self._next
        body = {
            "message_id": update_id, "date": int(time.time() if date is None else date),
            "chat": {"id": user if chat is None else chat, "type": "private" if chat is None else "group"},
            "from": {"id": user, "is_bot": False, "first_name": "X"}, "text": text, **message,
        }  # fmt: skip
        self._updates.append({"update_id": update_id, "message": {k: v for k, v in body.items() if v is not None}})
        return update_id

    def texts(self, chat=None):
        """Everything that was sent, by line."""
        return "\n".join(text for to, text, _ in self.sent if chat in {None, to})

    def wait_for(self, what, seconds=10.0):
        """Wait until some text was sent."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if what in self.texts():
                return
            time.sleep(0.01)
        raise AssertionError(f"expected {what!r} to be sent, was {self.texts()!r}")

    # The server ----------------------------------------------------------------------------------------------

    def close(self):
        """End it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _serve(self):
        asyncio.run(self._run())

    async def _run(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request):
        method, data = request.match_info["method"], {**request.query, **await request.post()}
        self.calls.append((method, data))
        if request.match_info["token"] != TOKEN:
            return _error(401, "Unauthorized")
        waiting = self.faults.get(method)
        fault = waiting.popleft() if waiting else self.always.get(method)
        if fault == "hang":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 30)
            fault = "drop"
        if fault == "garbage":
            return web.Response(body=b"<html>\xff\x00not json", content_type="text/html")
        if isinstance(fault, tuple):
            status, body = fault
            return web.json_response(body, status=status)
        if fault == "drop":
            request.transport.abort()
            return web.Response()
        result = await getattr(self, f"_{method.lower()}")(data)
        if fault == "lost":
            request.transport.abort()
        return result if isinstance(result, web.Response) else web.json_response({"ok": True, "result": result})

    async def _getme(self, data):
        return {"id": 1, "is_bot": True, "first_name": "Bot", "username": BOT}

    async def _sendmessage(self, data):
        chat = int(data["chat_id"])
        if chat == 404:
            return _error(400, "Bad Request: chat not found")
        if chat == 403:
            return _error(403, "Forbidden: bot was blocked by the user")
        if len(data["text"].encode("utf-16-le")) // 2 > 4096:
            return _error(400, "Bad Request: message is too long")
        self.sent.append((chat, data["text"], data))
        return {"message_id": len(self.sent), "date": int(time.time()), "chat": {"id": chat, "type": "private"}}

    async def _getupdates(self, data):
        offset = int(data.get("offset", 0))
        end = time.monotonic() + min(float(data.get("timeout", 0)), 2.0)
        while True:
            found = [one for one in self._updates if self.replay or one["update_id"] >= offset]
            if not self.replay:
                self._updates = found
            if found or time.monotonic() >= end or self._stop.is_set():
                return found[: int(data.get("limit", 100))]
            await asyncio.sleep(0.01)


def _error(status, description, **parameters):
    body = {"ok": False, "error_code": status, "description": description}
    return web.json_response(body | ({"parameters": parameters} if parameters else {}), status=status)


def too_many(seconds):
    """HTTP 429 as Telegram answers it."""
    description = "Too Many Requests"
    body = {"ok": False, "error_code": 429, "description": description, "parameters": {"retry_after": seconds}}
    return (429, body)


class MemoryApi:
    """A Telegram without a wire, for simulated time.

    Args:
        clock: Seconds now.
    """

    def __init__(self, clock):
        self.clock = clock
        self.sent = []
        """(second, chat, text)."""
        self.asked = []
        self.trouble = deque()
        """Raised by one `send` each; ``None`` lets one pass."""
        self.poll_trouble = deque()
        self.queue = []
        self.update_id = 100

    def write(self, user, text, chat=None, sent_ms=0, own=True, update_id=None):
        """Queue a message."""
        self.update_id += 1
        self.queue.append(
            Incoming(update_id or self.update_id, user, user if chat is None else chat, text, sent_ms, own)
        )

    async def open(self):
        return BOT

    async def close(self):
        pass

    async def send(self, chat_id, text):
        self.asked.append((self.clock(), chat_id))
        error = self.trouble.popleft() if self.trouble else None
        if error is not None:
            raise error
        self.sent.append((self.clock(), chat_id, text))

    async def updates(self, offset, wait_s):
        self.asked.append((self.clock(), "poll", offset))
        if self.poll_trouble and (error := self.poll_trouble.popleft()) is not None:
            raise error
        found, self.queue = self.queue, []
        return found


@pytest.fixture
def server(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    made = BotServer()
    yield made
    made.close()


@pytest.fixture
def telegram():
    """The words of this file for the tests beside it."""

    class Words:
        token, bot, memory_api = TOKEN, BOT, MemoryApi
        slow = staticmethod(too_many)
        load = staticmethod(json.loads)

    return Words
