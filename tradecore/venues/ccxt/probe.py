"""Asking whether a symbol could be traded now, by the venue's own trial of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.instrument import Instrument
from tradecore.model.units import floor_to_tick, plus, ratio, times
from tradecore.ports.limiter import Priority
from tradecore.venues.ccxt.client import Client
from tradecore.venues.ccxt.market import CcxtMarketData
from tradecore.venues.ccxt.rights import read_self_symbols

_SPARE = Decimal("1.2")
"""Over the smallest notional, so that a tick's rounding does not fall below it."""


class Probe(NamedTuple):
    """Whether a symbol could be traded, and what said so."""

    tradable: bool | None
    """``None``: nobody could tell."""
    detail: str


def _smallest(instrument: Instrument, price: Decimal) -> Decimal:
    """The smallest quantity that the filters let through, a little over it."""
    wanted = ratio(times(instrument.min_notional_quote, _SPARE), price)
    lots = max(wanted, instrument.min_quantity, instrument.lot_size)
    return plus(floor_to_tick(lots, instrument.lot_size), instrument.lot_size)


async def ask_probe(client: Client, market: CcxtMarketData, symbol: str) -> Probe:
    """Try an order of the smallest size at the best bid with the venue's test endpoint; nothing is placed.

    Returns:
        ``tradable`` by the flags alone where the exchange has no trial.
    """
    try:
        instrument = await _listed(client, market, symbol)
        if instrument is None:
            return Probe(False, f"{client.name} does not list {symbol}")
        own = await read_self_symbols(client)
        if own is not None and client.exchange.markets[symbol]["id"] not in own:
            return Probe(False, "not among the symbols that the key may trade (selfSymbols)")
        if not (instrument.can_buy or instrument.can_sell):
            return Probe(False, "not trading by its flags")
        if not client.ways.test_order or not client.keys:
            return Probe(None, "trading by its flags; the exchange has no trial of orders, or there are no keys")
        price = (await market.book_for(symbol, Priority.DATA)).best_bid
        if price is None:
            return Probe(None, "no bid to try an order at")
        quantity = _smallest(instrument, price)
        await client.turn("probe", Priority.DATA)
        asked = await client.ask(
            "probe", symbol,
            lambda exchange: exchange.create_order(
                symbol, "limit", "buy", format(quantity, "f"), format(price, "f"), {"test": True}
            ),
        )  # fmt: skip
        client.usable(asked, f"trial of {symbol}")
    except VenueRefused as refused:
        rule = client.rules.codes.get(refused.code)
        told = rule.narrowed(str(refused)).text if rule else str(refused)
        return Probe(False, f"{refused.code} {told}".strip())
    except RetryableVenueError as error:
        return Probe(None, str(error))
    return Probe(True, "the venue would take an order")


async def _listed(client: Client, market: CcxtMarketData, symbol: str) -> Instrument | None:
    if not client.exchange.markets:
        return (await market.instruments_for(None, Priority.DATA)).get(symbol)
    found = client.exchange.markets.get(symbol)
    return None if found is None else market.instrument(found)
