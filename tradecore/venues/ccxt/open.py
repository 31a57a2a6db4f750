"""Opening an exchange from plain values: the one way in for the program, its tests and its tools."""

from __future__ import annotations

from typing import Final

from tradecore.ports.clock import Clock
from tradecore.ports.limiter import Limiter
from tradecore.ports.venue import VenueTiming
from tradecore.venues.ccxt.client import Client, Note
from tradecore.venues.ccxt.exchange import ClockOffset, build, class_of
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.market import CcxtMarketData
from tradecore.venues.ccxt.transport import HttpTransport, Transport
from tradecore.venues.ccxt.venue import CcxtVenue
from tradecore.venues.ccxt.ways import ways_of
from tradecore.venues.rules import rules_of

#: Defaults of the [venue] section of the settings.
TIMING: Final = VenueTiming(receive_window_ms=5000, engine_timeout_ms=10_000, read_lag_ms=30_000, clock_error_ms=500)


def open_client(
    exchange: str,
    *,
    clock: Clock,
    limiter: Limiter,
    keys: ApiKeys | None = None,
    base_url: str = "",
    receive_window_ms: int = TIMING.receive_window_ms,
    timeout_ms: int = 10_000,
    note: Note | None = None,
    transport: Transport | None = None,
    offset: ClockOffset | None = None,
) -> Client:
    """Open an exchange without asking it anything yet. Needs a running loop.

    Args:
        exchange: ccxt's id, as ``binance``.
        limiter: Shared by everything that asks the same exchange from this address.
        keys: ``None`` for public data only.
        base_url: Address of a wire server on this machine; empty is the exchange itself.
        receive_window_ms: How long the exchange may take a request after its time stamp.
        timeout_ms: Wait for one answer, market time.
        note: Told of each request and of each refusal for too many of them.
        transport: Another session than our own; for tests.
        offset: Takes the measured difference of clocks, so that streams can share it; ``None`` keeps it inside.
    Raises:
        SettingsError: If ccxt knows no such exchange, or `base_url` is not of this machine.
    """
    ways, measured, held = ways_of(exchange), offset or ClockOffset(), keys or ApiKeys()
    session = transport or HttpTransport()
    made = build(
        class_of(exchange), ways=ways, clock=clock, offset=measured, keys=held, transport=session, base_url=base_url,
        receive_window_ms=receive_window_ms, timeout_ms=timeout_ms,
    )  # fmt: skip
    return Client(
        made, rules=rules_of(exchange), ways=ways, clock=clock, limiter=limiter, transport=session, keys=held,
        offset=measured, note=note,
    )  # fmt: skip


def open_ccxt(
    exchange: str,
    *,
    clock: Clock,
    limiter: Limiter,
    keys: ApiKeys,
    timing: VenueTiming = TIMING,
    base_url: str = "",
    timeout_ms: int = 10_000,
    note: Note | None = None,
    transport: Transport | None = None,
    offset: ClockOffset | None = None,
) -> CcxtVenue:
    """Open an account at an exchange; its ``market`` is the public side. Arguments as `open_client`."""
    client = open_client(
        exchange, clock=clock, limiter=limiter, keys=keys, base_url=base_url,
        receive_window_ms=timing.receive_window_ms, timeout_ms=timeout_ms, note=note, transport=transport,
        offset=offset,
    )  # fmt: skip
    return CcxtVenue(client, timing)


def open_market(
    exchange: str,
    *,
    clock: Clock,
    limiter: Limiter,
    base_url: str = "",
    timeout_ms: int = 10_000,
    note: Note | None = None,
    transport: Transport | None = None,
) -> CcxtMarketData:
    """Open the public side of an exchange, without keys. Arguments as `open_client`."""
    client = open_client(
        exchange, clock=clock, limiter=limiter, base_url=base_url, timeout_ms=timeout_ms, note=note,
        transport=transport,
    )  # fmt: skip
    return CcxtMarketData(client)
