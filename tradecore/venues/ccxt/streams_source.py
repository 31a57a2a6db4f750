"""Where the connections of a stream come from: one session, shared markets, keys, and addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from tradecore.venues.ccxt.streams_wire import Ears, Transport, let_go, make_exchange, open_transport, pro_class


class StreamSource:
    """Makes an exchange object for each connection.

    Args:
        name: ccxt's id of the exchange.
        config: As ccxt takes it, keys and addresses included; never shown.
        now_ms: Time for signed requests, the venue's as far as it was measured, milliseconds.
        ping_s: Pause between pings, seconds, > 0.
        markets: Gives a ccxt object of this exchange with loaded markets; ``None`` reads them here, once.
    Raises:
        SettingsError: If ccxt.pro knows no such exchange.
    """

    def __init__(
        self,
        name: str,
        config: Mapping[str, Any],
        now_ms: Callable[[], int],
        ping_s: float,
        markets: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self.name: Final = name
        self.now_ms: Final = now_ms
        self._kind: Final = pro_class(name)
        self._config: Final = dict(config)
        self._ping_s: Final = ping_s
        self._markets: Final = markets
        self._loaded: Any = None
        self._loading: Final = asyncio.Lock()
        self._transport: Transport | None = None

    def __repr__(self) -> str:
        return f"StreamSource({self.name!r})"

    async def connect(self, ears: Ears) -> Any:
        """Make an exchange object that knows the markets; it dials when something is watched.

        Raises:
            Exception: Whatever ccxt raises where the markets cannot be read.
        """
        if self._transport is None:
            self._transport = open_transport()
        exchange = make_exchange(self._kind, self._config, ears, self._transport, self._ping_s)
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
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.session.close()
