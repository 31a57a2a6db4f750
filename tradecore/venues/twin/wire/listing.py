"""What the wire's venue says of one symbol beyond its instrument: status, filters, who may trade it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradecore.errors import SettingsError, UnitError
from tradecore.model.instrument import Instrument
from tradecore.model.units import ZERO, Side, decimal_of, is_step, times
from tradecore.venues.twin.records import Rejected, Rejection

_TICKS_MAX: Final = Decimal(10_000_000_000)
"""Ticks up to the largest price, where none is named."""
_AMOUNTS: Final = ("min_price", "max_price", "max_notional", "market_max_quantity")
_FACTORS: Final = ("bid_up", "bid_down", "ask_up", "ask_down")
_INSTRUMENT: Final = ("tick_size", "lot_size", "min_quantity", "max_quantity", "min_notional_quote")


class SymbolStatus(enum.StrEnum):
    """Whether a symbol is traded."""

    TRADING = "TRADING"
    HALT = "HALT"
    BREAK = "BREAK"
    CANCEL_ONLY = "CANCEL_ONLY"
    DELISTED = "DELISTED"
    """Gone from the list of symbols; its orders were canceled. Past orders and trades can still be read."""


class Listing(NamedTuple):
    """The venue's own rules for one symbol. Zero means that there is no such limit."""

    status: SymbolStatus = SymbolStatus.TRADING
    api: bool = True
    """False: people may trade it, programs may not."""
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    max_notional: Decimal = Decimal(9_000_000)
    market_max_quantity: Decimal = ZERO
    max_orders: int = 200
    bid_up: Decimal = Decimal(5)
    """A buy's price may be at most so many times the market's, ..."""
    bid_down: Decimal = Decimal("0.2")
    ask_up: Decimal = Decimal(5)
    ask_down: Decimal = Decimal("0.2")

    def changed(self, facts: dict[str, Any]) -> Listing:
        """The listing with some facts replaced; other names are left alone.

        Raises:
            SettingsError: If a value is not what it should be.
        """
        new: dict[str, Any] = {}
        try:
            if "status" in facts:
                new["status"] = SymbolStatus(str(facts["status"]).upper())
            if "api" in facts:
                new["api"] = bool(facts["api"])
            if "max_orders" in facts:
                new["max_orders"] = int(facts["max_orders"])
            for name in (*_AMOUNTS, *_FACTORS):
                if name in facts:
                    new[name] = decimal_of(str(facts[name]))
        except (UnitError, ValueError, TypeError) as error:
            raise SettingsError(f"expected status and filters of a symbol, was unusable: {error}") from error
        return self._replace(**new)

    def refuse(
        self, instrument: Instrument, side: Side, price: Decimal, quantity: Decimal, *, market: bool,
        reference: Decimal, standing: int, orders_max: int,
    ) -> Rejected | None:  # fmt: skip
        """Check an order against the venue's rules; the instrument's own come in the venue's order too.

        Args:
            price: Quote per base; of a market order the worst that it could get.
            reference: Last price, which percentages count from.
            standing: Open orders of the account on this symbol.
            orders_max: The account's own limit of them.
        Source: Binance filters.md (a5e0bc3): PRICE_FILTER, PERCENT_PRICE_BY_SIDE, LOT_SIZE, MARKET_LOT_SIZE, NOTIONAL,
            MAX_NUM_ORDERS.
        """
        if self.status is not SymbolStatus.TRADING:
            return Rejected(Rejection.HALTED, str(self.status))
        if not self.api:
            return Rejected(Rejection.NOT_THROUGH_API)
        if not (instrument.can_buy if side is Side.BUY else instrument.can_sell):
            return Rejected(Rejection.HALTED, f"no {side} now")
        refused = None if market else self._refuse_price(instrument, side, price, reference)
        return (
            refused
            or self._refuse_quantity(instrument, quantity, market=market)
            or self._refuse_notional(instrument, times(price, quantity), market=market)
            or (Rejected(Rejection.TOO_MANY_ORDERS) if standing >= min(self.max_orders, orders_max) else None)
        )

    def highest(self, instrument: Instrument) -> Decimal:
        """The largest price that an order may have."""
        return self.max_price or times(instrument.tick_size, _TICKS_MAX)

    def _refuse_price(
        self, instrument: Instrument, side: Side, price: Decimal, reference: Decimal
    ) -> Rejected | None:  # fmt: skip
        lowest = self.min_price or instrument.tick_size
        if not lowest <= price <= self.highest(instrument):
            return Rejected(Rejection.PRICE_OUT_OF_RANGE, f"{price}")
        if not is_step(price, instrument.tick_size):
            return Rejected(Rejection.PRICE_OFF_TICK, f"{price}, {instrument.tick_size}")
        up, down = (self.bid_up, self.bid_down) if side is Side.BUY else (self.ask_up, self.ask_down)
        if reference and ((up and price > times(reference, up)) or price < times(reference, down)):
            return Rejected(Rejection.PRICE_TOO_FAR, f"{price}, last price {reference}")
        return None

    def _refuse_quantity(self, instrument: Instrument, quantity: Decimal, *, market: bool) -> Rejected | None:
        if quantity < instrument.min_quantity or quantity <= 0:
            return Rejected(Rejection.BELOW_MIN, f"{quantity}, {instrument.min_quantity}")
        if instrument.max_quantity and quantity > instrument.max_quantity:
            return Rejected(Rejection.ABOVE_MAX, f"{quantity}, {instrument.max_quantity}")
        if not is_step(quantity, instrument.lot_size):
            return Rejected(Rejection.QUANTITY_OFF_LOT, f"{quantity}, {instrument.lot_size}")
        if market and self.market_max_quantity and quantity > self.market_max_quantity:
            return Rejected(Rejection.MARKET_QUANTITY, f"{quantity}, {self.market_max_quantity}")
        return None

    def _refuse_notional(self, instrument: Instrument, notional: Decimal, *, market: bool) -> Rejected | None:
        if notional < instrument.min_notional_quote:
            return Rejected(Rejection.BELOW_NOTIONAL, f"{notional}, {instrument.min_notional_quote}")
        if self.max_notional and notional > self.max_notional and not market:
            return Rejected(Rejection.ABOVE_NOTIONAL, f"{notional}, {self.max_notional}")
        return None


def changed_instrument(instrument: Instrument, facts: dict[str, Any]) -> Instrument:
    """An instrument with some of its steps and limits replaced; other names are left alone.

    Raises:
        SettingsError: If a number is none, or a step is not positive.
    """
    new: dict[str, Any] = {name: bool(facts[name]) for name in ("can_buy", "can_sell") if name in facts}
    try:
        new |= {name: decimal_of(str(facts[name])) for name in _INSTRUMENT if name in facts}
    except UnitError as error:
        raise SettingsError(f"expected filters of {instrument.symbol}, was unusable: {error}") from error
    made = instrument._replace(**new)
    if min(made.tick_size, made.lot_size) <= 0 or min(made.min_quantity, made.max_quantity) < 0:
        raise SettingsError(f"expected positive steps of {instrument.symbol}, was {made.tick_size}, {made.lot_size}")
    return made


def with_decimal_steps(instruments: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """Make every tick and lot a power of ten and at most 1, finer where it is none.

    MEXC's list of symbols names decimals, so it can name no other.
    """
    return {
        symbol: item._replace(tick_size=_decimal_step(item.tick_size), lot_size=_decimal_step(item.lot_size))
        for symbol, item in instruments.items()
    }


def _decimal_step(step: Decimal) -> Decimal:
    return Decimal((0, (1,), min(step.adjusted(), 0)))


def known_facts() -> frozenset[str]:
    """Names that `changed` and `changed_instrument` understand."""
    return frozenset({"status", "api", "max_orders", "can_buy", "can_sell", *_AMOUNTS, *_FACTORS, *_INSTRUMENT})
