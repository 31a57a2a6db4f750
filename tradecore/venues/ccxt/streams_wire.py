"""Unmodified ccxt.pro, with ears of our own: what was heard when, what broke, and what is still running.

ccxt.pro alone would hide four things from us (reference orders.md 2.12): a stream that the venue has ended while the
socket stays open, a callback that raised and left a socket without a reader, a pong judged by the wall clock, and
tasks and timers that outlive `close`. So every connection gets an exchange object of its own, used once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import ccxt.pro
from aiohttp import ClientWSTimeout
from ccxt.async_support.base.ws.client import Client

from tradecore.errors import SettingsError
from tradecore.ports.clock import Clock
from tradecore.venues.ccxt.exchange import class_of

_CLOSE_S: Final = 2.0
"""A peer that does not answer our close frame within this is not waited for."""
_FRAME_BYTES: Final = 10_485_760
_DEFLATE_WINDOW: Final = 15
_TEXT_MAX: Final = 160
_ENDINGS: Final = frozenset({"eventStreamTerminated", "serverShutdown"})
"""Binance ends a stream by an event and leaves the socket open; ccxt tells nobody. Source: user-data-stream.md."""


class Ears:
    """What one connection heard, and whether it broke. Moments are monotonic market seconds.

    Args:
        clock: Market time.
        loop: The running loop.
    """

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.clock: Final = clock
        self.keeper: Final = TaskKeeper(loop)
        self.connected = False
        self.spoke: Final = asyncio.Event()
        """Set by the first text of the venue: the answer to our subscription."""
        self.broken: Final[asyncio.Future[str]] = loop.create_future()
        """Why the connection is of no use any more."""
        self.heard_s = clock.monotonic_s()
        """The last frame of any kind, pongs too."""

    def hear(self) -> None:
        """Note that a frame came in."""
        self.heard_s = self.clock.monotonic_s()

    def give_up(self, why: str) -> None:
        """Call the connection broken. The first reason stands."""
        if not self.broken.done():
            self.broken.set_result(why)


class TaskKeeper:
    """The running loop, with a memory of the tasks and timers that were made through it.

    Args:
        loop: The running loop; everything else is its business.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._tasks: Final[set[asyncio.Task[Any]]] = set()
        self._timers: Final[set[asyncio.TimerHandle]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def create_task(self, work: Coroutine[Any, Any, Any], **rest: Any) -> asyncio.Task[Any]:
        """Start a task and remember it until it ends."""
        task = self._loop.create_task(work, **rest)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Why a connection is lost is told by who watches it; what nobody looks at asyncio would print much later.
        _look_at(task)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, **rest: Any) -> asyncio.TimerHandle:
        """Start a timer and remember it until it is due."""
        now = self._loop.time()
        self._timers.difference_update([timer for timer in self._timers if timer.cancelled() or timer.when() <= now])
        timer = self._loop.call_later(delay, callback, *args, **rest)
        self._timers.add(timer)
        return timer

    async def end(self) -> None:
        """Cancel what still runs and wait for it; tasks that end others' work may start new ones."""
        for timer in self._timers:
            timer.cancel()
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert not isinstance(outcome, (KeyboardInterrupt, SystemExit))


class _Socket(Client):  # type: ignore[misc]  # ccxt ships no types
    """ccxt's connection with our own pings and a close that does not wait for the dead."""

    ears: Ears
    pings_s: float

    def future(self, message_hash: str) -> Any:
        """Make or find what a watcher waits for; its failure is looked at, though ccxt may have no watcher for it."""
        future = super().future(message_hash)
        future.remove_done_callback(_look_at)
        future.add_done_callback(_look_at)
        return future

    def handle_message(self, message: Any) -> None:
        self.ears.hear()
        try:
            super().handle_message(message)
        except Exception as error:  # noqa: BLE001 - raised in a callback it would leave the socket without a reader
            self.ears.give_up(f"message could not be read: {type(error).__name__}")

    def create_connection(self, session: Any) -> Any:
        return session.ws_connect(
            self.url, autoping=False, autoclose=False, headers=self.options.get("headers"), compress=_DEFLATE_WINDOW,
            max_msg_size=_FRAME_BYTES, timeout=ClientWSTimeout(ws_close=_CLOSE_S),
        ).__aenter__()  # fmt: skip

    async def ping_loop(self) -> None:
        """Ping; whether an answer comes is judged by who watches the ears, on the monotonic clock."""
        while not self.closed():
            await self.ears.clock.sleep(self.pings_s)
            try:
                if self.ping:
                    await self.send(self.ping(self))
                else:
                    await self.connection.ping()
            except Exception as error:  # noqa: BLE001 - whatever it is, this socket can be written to no more
                self.ears.give_up(f"ping could not be sent: {type(error).__name__}")
                return


def _look_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


class Listening:
    """What a ccxt.pro class learns of us; mixed in at run time.

    Attributes are one word each: ccxt makes a second name of every name with an underscore.
    """

    ears: Ears
    pings: float

    def client(self, url: str) -> Any:
        """Make or find a connection; ours in the place of ccxt's."""
        mixed: Any = self
        known = url in (mixed.clients or {})
        made = super().client(url)  # type: ignore[misc]  # the ccxt class that this is mixed into
        if known or isinstance(made, _Socket):
            return made
        socket = _Socket(
            made.url, made.on_message_callback, made.on_error_callback, made.on_close_callback,
            made.on_connected_callback, made.options,
        )  # fmt: skip
        socket.ears, socket.pings_s = self.ears, self.pings
        mixed.clients[url] = socket
        return socket

    def handle_message(self, client: Any, message: Any) -> None:
        """Let ccxt read a message, and look at what it does not."""
        super().handle_message(client, message)  # type: ignore[misc]  # as above
        self.ears.spoke.set()
        ending = ending_of(message)
        if ending:
            self.ears.give_up(ending)

    def on_connected(self, client: Any, message: Any = None) -> None:
        """Note a connection."""
        self.ears.connected = True
        super().on_connected(client, message)  # type: ignore[misc]  # as above

    def on_error(self, client: Any, error: Any) -> None:
        """Note a broken connection."""
        self.ears.give_up(reason_of(error))
        super().on_error(client, error)  # type: ignore[misc]  # as above

    def on_close(self, client: Any, code: Any) -> None:
        """Note an ended connection."""
        self.ears.give_up(f"closed by the venue with code {code}")
        super().on_close(client, code)  # type: ignore[misc]  # as above

    def ws_dial_delay(self, url: str) -> float:
        """Never: who made this object has waited already."""
        return 0.0


def ending_of(message: Any) -> str:
    """Tell why a message ends the stream; empty where it does not."""
    if not isinstance(message, dict):
        return ""
    event = message.get("event")
    facts = event if isinstance(event, dict) else message
    if facts.get("e") in _ENDINGS:
        return f"venue said {facts['e']}"
    error = message.get("error")
    if isinstance(error, dict) and "code" in error:
        return f"venue said {error['code']}: {str(error.get('msg', ''))[:_TEXT_MAX]}"
    said = facts.get("msg")
    if isinstance(said, str) and said.startswith("Not Subscribed"):
        # MEXC refuses a channel by a text and goes on.
        return "venue refused the subscription"
    return ""


def reason_of(error: object) -> str:
    """Name an error in a line that holds no query, key or signature."""
    text = str(error).partition("?")[0].partition("{")[0].strip()
    return f"{type(error).__name__}: {text[:_TEXT_MAX]}".rstrip(": ")


def pro_class(exchange_id: str) -> type[Any]:
    """ccxt.pro's class of an exchange, with our ears mixed in.

    Raises:
        SettingsError: If ccxt knows no such exchange, or cannot stream from it.
    """
    if exchange_id not in ccxt.pro.exchanges:
        raise SettingsError(f"venue.exchange: expected an exchange that ccxt streams from, was {exchange_id!r}")
    return type(f"Listening{exchange_id.capitalize()}", (Listening, class_of(exchange_id, ccxt.pro)), {})


def attach(exchange: Any, ears: Ears, ping_s: float) -> None:
    """Give one exchange object its ears, before it dials.

    Args:
        exchange: Made by `exchange.build` of a class from `pro_class`.
        ping_s: Pause between our pings, seconds, > 0.
    """
    exchange.ears, exchange.pings = ears, ping_s
    exchange.asyncio_loop = ears.keeper
    exchange.ssl_context = False  # unused: the session has its own, and ccxt would make another for every object
    exchange.number = float  # quotes are market data, and ccxt adds fees up as numbers


async def let_go(exchange: Any) -> None:
    """Close one connection: afterwards no task, timer or socket of it is left, also where the caller is cancelled."""
    closing = asyncio.ensure_future(_close(exchange))
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await closing  # bounded: a peer that does not answer is not waited for
        raise


async def _close(exchange: Any) -> None:
    sockets = list((exchange.clients or {}).values())
    await exchange.close()
    for socket in sockets:
        if socket.connection is not None and not socket.connection.closed:
            await socket.connection.close()
    await exchange.ears.keeper.end()
