"""What a key may do, where the exchange tells (R21)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.ports.limiter import Priority
from tradecore.ports.venue import KeyRights
from tradecore.venues.ccxt.client import Client


def _flag(raw: Any) -> bool | None:
    return raw if isinstance(raw, bool) else None


async def read_rights(client: Client) -> KeyRights:
    """Read the rights of the key, and tell which key it is.

    Raises:
        RetryableVenueError: If no usable answer came.
        VenueRefused: If the venue said no.
    """
    return (await _rights(client))._replace(key_print=client.keys.key_print)


async def _rights(client: Client) -> KeyRights:
    """Read the rights of the key.

    Returns:
        ``None`` in a field where the exchange does not say: MEXC and Kraken tell it nowhere.
    Raises:
        RetryableVenueError: If no usable answer came.
        VenueRefused: If the venue said no.
    Source: Binance ``GET /sapi/v1/account/apiRestrictions``; OKX ``GET /api/v5/account/config`` (perm).
    """
    if client.name in ("binance", "okx"):
        await client.trust_clock()  # the first signed question of a start: a clock that is off must not end it
    if client.name == "binance":
        await client.turn("rights", Priority.RECONCILE)
        asked = await client.ask("rights", "", lambda exchange: exchange.sapiGetAccountApiRestrictions())
        told = client.usable(asked, "rights of the key")
        if not isinstance(told, Mapping):
            raise RetryableVenueError(f"rights of the key: expected an object, was {type(told).__name__}")
        return KeyRights(_flag(told.get("enableSpotAndMarginTrading")), _flag(told.get("enableWithdrawals")))
    if client.name == "okx":
        await client.turn("rights", Priority.RECONCILE)
        asked = await client.ask("rights", "", lambda exchange: exchange.privateGetAccountConfig())
        told = client.usable(asked, "rights of the key")
        rows = told.get("data") if isinstance(told, Mapping) else None
        granted = rows[0].get("perm") if isinstance(rows, list) and rows and isinstance(rows[0], Mapping) else None
        if isinstance(granted, str) and granted:
            names = {name.strip() for name in granted.split(",")}
            return KeyRights("trade" in names, "withdraw" in names)
    return KeyRights(None, None)


async def read_self_symbols(client: Client) -> frozenset[str] | None:
    """Read MEXC's names of what our key may trade.

    Returns:
        ``None`` elsewhere, without keys, and where MEXC gave no answer: then nobody knows.
    Source: MEXC spot v3 ``GET /api/v3/selfSymbols``; reference orders.md 2.6.
    """
    if client.name != "mexc" or not client.keys:
        return None
    await client.trust_clock()
    await client.turn("rights", Priority.RECONCILE)
    asked = await client.ask("rights", "", lambda exchange: exchange.spotPrivateGetSelfSymbols())
    try:
        told = client.usable(asked, "own symbols")
    except (RetryableVenueError, VenueRefused):
        return None
    names = told.get("data") if isinstance(told, Mapping) else None
    return frozenset(str(name) for name in names) if isinstance(names, list) else None
