"""Who listens to what, and what they are told: after each event of the engine, and as time passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradecore.venues.twin.records import EngineEvent
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.streams_channel import Channel, Payload
from tradecore.venues.twin.wire.streams_depth import DepthWatch
from tradecore.venues.twin.wire.streams_market import Market, StreamName

SLOW_MS: Final = 1_000
"""Tickers of the day and candles are pushed so often."""
LIFE_S: Final = 86_400.0
"""A connection is ended by the venue after this. Source: Binance web-socket-streams.md."""


class Subscription:
    """One account stream of one connection."""

    def __init__(self, channel: Channel, number: int, key: str) -> None:
        self.channel: Final = channel
        self.number: Final = number
        """The venue's name for it on this connection."""
        self.key: Final = key
        """What it was opened with: the public part of a key, or a listen key."""
        self.topics: Final[set[str]] = set()
        """MEXC: channels that were asked for."""


class Hub:
    """All subscriptions of a server.

    Args:
        desk: Whose news it is.
        market: What streams of market data say.
        account: Messages for one event of the engine: topic and payload, made for one subscription.
        ended: The event that ends a subscription.
        valid: Tells whether a subscription may go on.
    """

    def __init__(
        self,
        desk: WireDesk,
        market: Market,
        account: Callable[[EngineEvent, Subscription], list[Payload]],
        ended: Callable[[Subscription], Payload | None],
        valid: Callable[[Subscription], bool],
    ) -> None:
        self.desk: Final = desk
        self._market: Final = market
        self._account: Final = account
        self._ended: Final = ended
        self._valid: Final = valid
        self.channels: Final[set[Channel]] = set()
        self.accounts: Final[list[Subscription]] = []
        self._streams: Final[dict[str, tuple[StreamName, set[Channel]]]] = {}
        self._books: Final[dict[str, DepthWatch]] = {}
        self._slow_ms = 0
        desk.listeners.append(self.on_event)

    # Subscriptions ------------------------------------------------------------------------------------------

    def watch(self, stream: str, channel: Channel) -> bool:
        """Push a stream to a connection; False where its name means nothing, which the venue does not mind."""
        name = self._market.words.read(stream)
        if name is None:
            return False
        self._streams.setdefault(stream, (name, set()))[1].add(channel)
        if name.symbol not in self._books:
            desk = self.desk
            self._books[name.symbol] = DepthWatch(desk.market, name.symbol, desk.update_id, desk.clock.now_ms())
        return True

    def unwatch(self, stream: str, channel: Channel) -> None:
        """Push a stream no more."""
        if stream not in self._streams:
            return
        name, listeners = self._streams[stream]
        listeners.discard(channel)
        if not listeners:
            del self._streams[stream]
            self._market.forget(stream)
            if all(name.symbol != other.symbol for other, _ in self._streams.values()):
                del self._books[name.symbol]

    def watched(self, channel: Channel) -> list[str]:
        """Streams of one connection."""
        return sorted(stream for stream, (_, listeners) in self._streams.items() if channel in listeners)

    def leave(self, channel: Channel) -> None:
        """Forget a connection."""
        self.channels.discard(channel)
        for stream in self.watched(channel):
            self.unwatch(stream, channel)
        self.accounts[:] = [item for item in self.accounts if item.channel is not channel]

    def end(self, subscription: Subscription) -> None:
        """End an account stream and say so, where the venue does: nothing more comes after it."""
        self.accounts.remove(subscription)
        goodbye = self._ended(subscription)
        if goodbye is not None:
            subscription.channel.say(goodbye)

    # News ---------------------------------------------------------------------------------------------------

    def on_event(self, event: EngineEvent) -> None:
        """Tell every account stream; note that a book was taken of."""
        for subscription in list(self.accounts):
            for payload in self._account(event, subscription):
                if "terminated" in subscription.channel.push(payload):
                    self.end(subscription)
                    break
        symbol = event.view.order.symbol if event.view is not None else ""
        if event.trade is not None and symbol in self._books:
            self._books[symbol].touch(event.at_ms)

    def tick(self) -> None:
        """Push what changed since the last look."""
        desk = self.desk
        now_ms = desk.clock.now_ms()
        for channel in list(self.channels):
            channel.tick()
            if desk.clock.monotonic_s() - channel.opened_s > LIFE_S:
                channel.cut()
        for subscription in list(self.accounts):
            if not self._valid(subscription):
                self.end(subscription)
        changes = {symbol: book.change(now_ms) for symbol, book in self._books.items()}
        slow = now_ms - self._slow_ms >= SLOW_MS
        if slow:
            self._slow_ms = now_ms
        for name, listeners in list(self._streams.values()):
            for payload in self._market.news(name, changes.get(name.symbol), slow=slow):
                for channel in list(listeners):
                    channel.push(f'{{"stream":"{name.text}","data":{payload!s}}}' if channel.combined else payload)
