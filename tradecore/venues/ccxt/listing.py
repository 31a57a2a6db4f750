"""Reading thousands of markets with ccxt without holding the loop (INV-20): parsed in pieces, put together aside.

ccxt turns all rows of a venue into its markets in one go, and all markets into its tables in another. Here it is
handed the rows a few at a time, and the tables are made on a copy, which then takes the place of the old ones at once.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tradecore.ports.clock import Clock
from tradecore.venues.ccxt.heap import sleeping_collector

_ROWS: Final = 100
"""Markets parsed before others go first: about 4 ms."""
_FEW: Final = 300
"""Markets whose tables are made on the spot."""
PIECE: Final[ContextVar[Any]] = ContextVar("piece", default=None)
"""The answer that the venue's list of markets is taken from in this task; ``None``: the venue itself is asked."""


class Built(NamedTuple):
    """Tables made for markets that ccxt is about to be given."""

    markets: Any
    currencies: Any
    exchange: Any
    """A copy of ccxt's object that has them."""


async def parse_rows(
    ask: Callable[[Mapping[str, Any]], Awaitable[Any]],
    parse: Callable[[Mapping[str, Any]], Awaitable[Any]],
    params: Mapping[str, Any],
) -> Any:
    """Ask for the list of markets once, and have ccxt parse it a few rows at a time.

    Args:
        ask: ccxt's method of the endpoint, whose answer has its rows under ``symbols``.
        parse: ccxt's ``fetch_markets``; it takes the answer from `PIECE`.
        params: Sent with the request.
    Returns:
        What ccxt makes of all rows, in their order.
    """
    told = await ask(dict(params))
    rows = told.get("symbols") if isinstance(told, Mapping) else None
    if not isinstance(rows, list) or len(rows) <= _ROWS:
        return await _parsed(parse, params, told)
    found: list[Any] = []
    with sleeping_collector():
        for start in range(0, len(rows), _ROWS):
            found += await _parsed(parse, params, {**told, "symbols": rows[start : start + _ROWS]})
            await asyncio.sleep(0)
    return found


async def _parsed(parse: Callable[[Mapping[str, Any]], Awaitable[Any]], params: Mapping[str, Any], piece: Any) -> Any:
    token = PIECE.set(piece)
    try:
        return await parse(dict(params))
    finally:
        PIECE.reset(token)


def put_aside(exchange: Any) -> Any:
    """Copy ccxt's object for the tables that it has; the copy opens nothing, so it has nothing to close."""
    aside = copy.copy(exchange)
    aside.session = None
    return aside


async def build_tables(exchange: Any, markets: Any, currencies: Any, clock: Clock) -> Built | None:
    """Make ccxt's tables of many markets on a copy of its object.

    A thread makes them, so that the loop gets its turn every few milliseconds; on virtual time, where no thread may
    run and nobody waits, they are made on the spot.

    Returns:
        ``None`` where there are so few that ccxt may do it by itself.
    """
    if not isinstance(markets, list) or len(markets) <= _FEW:
        return None
    aside = put_aside(exchange)
    if clock.virtual:
        aside.set_markets(markets, currencies)
        return Built(markets, currencies, aside)
    # a pool of its own: nobody waits for others, and its thread has a name of ours
    pool = ThreadPoolExecutor(1, thread_name_prefix="tradecore-markets")
    try:
        with sleeping_collector(keep=True):
            await asyncio.get_running_loop().run_in_executor(pool, aside.set_markets, markets, currencies)
    finally:
        pool.shutdown(wait=False)
    return Built(markets, currencies, aside)


class Listed:
    """What makes a class of ccxt's, beside which it is inherited, read its markets in pieces."""

    _endpoint = ""
    _listing_clock: Clock
    _built: Built | None = None

    @classmethod
    def listed_by(cls, endpoint: str, clock: Clock) -> None:
        """Say which of ccxt's methods asks for the list of markets; empty: it is parsed in one go."""
        cls._endpoint, cls._listing_clock = endpoint, clock
        if endpoint:
            setattr(cls, endpoint, _answering(cls, endpoint))

    async def fetch_markets(self, params: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """ccxt's, a few rows at a time; its tables are made here too."""
        parse = super().fetch_markets  # type: ignore[misc]  # ccxt's, the next class
        if self._endpoint:
            markets = await parse_rows(getattr(super(), self._endpoint), parse, params)
        else:
            markets = await parse(dict(params))
        options: Mapping[str, Any] = self.options  # type: ignore[attr-defined]  # ccxt's
        self._built = await build_tables(self, markets, options.get("cachedCurrencies"), self._listing_clock)
        return markets

    def set_markets(self, markets: Any, currencies: Any = None) -> Any:
        """ccxt's, or the tables that were made for these very markets."""
        built, self._built = self._built, None
        if built is None or built.markets is not markets or built.currencies is not currencies:
            return super().set_markets(markets, currencies)  # type: ignore[misc]  # ccxt's, the next class
        self.set_markets_from_exchange(built.exchange)  # type: ignore[attr-defined]  # ccxt's
        return built.exchange.markets


def _answering(listed: type[Any], name: str) -> Any:
    """An endpoint's method that answers with the piece at hand, where there is one."""

    async def answer(self: Any, params: Mapping[str, Any] = MappingProxyType({})) -> Any:
        piece = PIECE.get()
        return await getattr(super(listed, self), name)(dict(params)) if piece is None else piece

    return answer
