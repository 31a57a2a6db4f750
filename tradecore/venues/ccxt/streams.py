"""Open the streams of an exchange from plain values."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib.util import find_spec

from tradecore.errors import SettingsError
from tradecore.ports.clock import Clock
from tradecore.venues.ccxt.exchange import ClockOffset
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.streams_account import ACCOUNT_TIMES, CcxtAccountHints
from tradecore.venues.ccxt.streams_link import LinkTimes, StreamNote
from tradecore.venues.ccxt.streams_quotes import CcxtQuoteStream
from tradecore.venues.ccxt.streams_source import Markets, StreamSource


def _ignore(note: StreamNote) -> None:
    del note


def why_not(exchange_id: str) -> str:
    """Tell why an exchange cannot be streamed from here; empty where it can. Without streams everything is polled."""
    if exchange_id == "mexc" and not _decodes_protobuf():
        return (
            "mexc: its streams are protobuf and the extra mexc-streams is not installed; orders and quotes are polled"
        )
    return ""


def _decodes_protobuf() -> bool:
    try:
        return find_spec("google.protobuf") is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


def open_quote_stream(
    exchange_id: str,
    *,
    clock: Clock,
    generator: random.Random,
    base_url: str = "",
    markets: Markets | None = None,
    times: LinkTimes = LinkTimes(),  # noqa: B008 - frozen
    note: Callable[[StreamNote], None] = _ignore,
    every_change: bool = False,
) -> CcxtQuoteStream:
    """Open the public stream of an exchange; it dials when it is started.

    Args:
        exchange_id: As ``binance``.
        generator: Seeded, for the jitter of the back-off.
        base_url: Address of a wire server on this machine; empty is the exchange itself.
        markets: Gives ccxt's object of this exchange with its markets loaded; ``None`` reads them once more.
        times: Patience.
        note: Told of each connection made and lost; must not wait.
        every_change: True asks for each change of the best prices, without last price and volume.
    Raises:
        SettingsError: If it cannot be streamed from.
    """
    _refuse(exchange_id)
    source = StreamSource(exchange_id, clock, base_url=base_url, ping_s=times.ping_s, markets=markets)
    return CcxtQuoteStream(source, clock, generator, times, note, every_change=every_change)


def open_account_hints(
    exchange_id: str,
    *,
    clock: Clock,
    generator: random.Random,
    keys: ApiKeys,
    base_url: str = "",
    offset: ClockOffset | None = None,
    markets: Markets | None = None,
    times: LinkTimes = ACCOUNT_TIMES,
    note: Callable[[StreamNote], None] = _ignore,
) -> CcxtAccountHints:
    """Open the private stream of an exchange; it dials when it is started.

    Args:
        keys: Shown nowhere.
        offset: By how much the exchange's clock is ahead, shared with the venue that measures it.
    Others as `open_quote_stream`.

    Raises:
        SettingsError: If it cannot be streamed from.
    """
    _refuse(exchange_id)
    source = StreamSource(
        exchange_id, clock, keys=keys, base_url=base_url, offset=offset, ping_s=times.ping_s, markets=markets
    )
    return CcxtAccountHints(source, clock, generator, times, note)


def _refuse(exchange_id: str) -> None:
    if reason := why_not(exchange_id):
        raise SettingsError(reason)
