"""Where the connections of a stream come from: one session, shared markets, keys, and addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tradecore.ports.clock import Clock
from tradecore.venues.ccxt.exchange import ClockOffset, build
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.streams_wire import Ears, attach, let_go, pro_class
from tradecore.venues.ccxt.transport import HttpTransport
from tradecore.venues.ccxt.ways import ways_of

Markets = Callable[[], Awaitable[Any]]


class StreamSource:
    """Makes an exchange object for each connection.

    Args:
        exchange_id: As ``binance``.
        clock: Market time.
        keys: Empty for public streams.
        base_url: Address of a wire server on this machine; empty is the exchange itself.
        offset: By how much the exchange's clock is ahead, shared with whoever measures it; ``None`` is not at all.
        ping_s: Pause between pings, seconds, > 0.
        markets: Gives ccxt's object of this exchange with its markets loaded; ``None`` reads them here, once.
    Raises:
        SettingsError: If ccxt cannot stream from the exchange.
    """

    def __init__(
        self,
        exchange_id: str,
        clock: Clock,
        *,
        keys: ApiKeys | None = None,
        base_url: str = "",
        offset: ClockOffset | None = None,
        ping_s: float = 10.0,
        markets: Markets | None = None,
    ) -> None:
        self.name: Final = exchange_id
        self._class: Final = pro_class(exchange_id)
        self._clock: Final = clock
        self._keys: Final = keys or ApiKeys()
        self._base_url: Final = base_url
        self._offset: Final = offset or ClockOffset()
        self._ping_s: Final = ping_s
        self._markets: Final = markets
        self._loaded: Any = None
        self._loading: Final = asyncio.Lock()
        self._transport: Final = HttpTransport()

    def __repr__(self) -> str:
        return f"StreamSource({self.name!r})"

    async def connect(self, ears: Ears) -> Any:
        """Make an exchange object that knows the markets; it dials when something is watched.

        Raises:
            Exception: Whatever ccxt raises where the markets cannot be read.
        """
        exchange = build(
            self._class, ways=ways_of(self.name), clock=self._clock, offset=self._offset, keys=self._keys,
            transport=self._transport, base_url=self._base_url,
        )  # fmt: skip
        attach(exchange, ears, self._ping_s)
        try:
            exchange.set_markets_from_exchange(await self._with_markets(exchange))
        except BaseException:
            await let_go(exchange)
            raise
        return exchange

    async def _with_markets(self, exchange: Any) -> Any:
        if self._markets is not None:
            return await self._markets()
        async with self._loading:
            if self._loaded is None:
                await exchange.load_markets()
                self._loaded = exchange
        return self._loaded

    async def close(self) -> None:
        """Close the session. May be called twice."""
        await self._transport.close()
