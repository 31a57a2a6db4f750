"""Size every entry by a fixed amount of money, a share of the equity, or the smaller of both."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pydantic import BaseModel, Field, model_validator

from tradecore import Instrument, Intent, Market, Portfolio, Side, Signal, Size, hookimpl
from tradecore.model.units import ZERO, canonical, exact_sum, floor_to_lot, minus, ratio, times

_PERCENT = Decimal("0.01")


class SizeFixed:
    """Offer the largest quantity whose cost at the signal's price stays within every amount that is set.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `size_fixed`."""

        amount: Decimal = Field(
            Decimal(50),
            ge=0,
            description="Money per entry; 0 sets no fixed amount.",
            json_schema_extra={"unit": "account currency", "plan": "entry_quote"},
        )
        equity_pct: Decimal = Field(
            Decimal(0),
            ge=0,
            le=100,
            description="Share of the equity per entry; 0 sets no share. Where both are set the smaller binds.",
            json_schema_extra={"unit": "%"},
        )
        symbol_max: Decimal = Field(
            Decimal(0),
            ge=0,
            description="Most money in one symbol, positions at their marks and live entries included; 0 sets none.",
            json_schema_extra={"unit": "account currency"},
        )

        @model_validator(mode="after")
        def _says_an_amount(self) -> SizeFixed.Settings:
            if not self.amount and not self.equity_pct:
                raise ValueError("expected amount or equity_pct above 0, was 0 for both")
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @hookimpl
    def size(self, signal: Signal, portfolio: Portfolio, instrument: Instrument, market: Market) -> Size:
        """Answer whole lots and the amount that bound; 0 with the venue's minimum named where they fall below it."""
        amounts = tuple(self._amounts(signal, portfolio, instrument))
        # The first of equals binds, so that the name is the same on every run.
        rule, amount = min(amounts, key=lambda named: named[1])
        price = times(signal.price, instrument.quote_rate)
        quantity = _lots_within(max(amount, ZERO), price, instrument.lot_size)
        if instrument.max_quantity and quantity > instrument.max_quantity:
            quantity, rule = floor_to_lot(instrument.max_quantity, instrument.lot_size), "max_quantity"
        inputs = {name: canonical(value) for name, value in amounts}
        if quantity < instrument.min_quantity:
            return Size(ZERO, f"{rule}: min_quantity {canonical(instrument.min_quantity)}", inputs)
        if times(quantity, signal.price) < instrument.min_notional_quote:
            return Size(ZERO, f"{rule}: min_notional_quote {canonical(instrument.min_notional_quote)}", inputs)
        return Size(quantity, rule, inputs)

    def _amounts(self, signal: Signal, portfolio: Portfolio, instrument: Instrument) -> Iterator[tuple[str, Decimal]]:
        """Name every amount that limits the entry, in account currency."""
        settings = self.settings
        if settings.amount:
            yield "amount", settings.amount
        if settings.equity_pct:
            yield "equity_pct", times(portfolio.equity, times(settings.equity_pct, _PERCENT))
        if signal.quote_wanted is not None:
            yield "quote_wanted", times(signal.quote_wanted, instrument.quote_rate)
        if settings.symbol_max:
            held = times(_held_quote(signal.symbol, portfolio), instrument.quote_rate)
            yield "symbol_max", minus(settings.symbol_max, held)


def _held_quote(symbol: str, portfolio: Portfolio) -> Decimal:
    """Add up what stands in a symbol: positions at their marks, and live entries as if filled whole."""
    positions = exact_sum(
        times(position.quantity, portfolio.marks.get(symbol, position.average_price))
        for position in portfolio.positions
        if position.symbol == symbol
    )
    return exact_sum((positions, *(_entry_quote(intent) for intent in portfolio.pending if intent.symbol == symbol)))


def _entry_quote(intent: Intent) -> Decimal:
    return times(intent.quantity, intent.price_cap) if intent.side is Side.BUY else ZERO


def _lots_within(amount: Decimal, price: Decimal, lot_size: Decimal) -> Decimal:
    """Take as many whole lots as `amount` pays for at `price`, both in account currency."""
    quantity = floor_to_lot(ratio(amount, price), lot_size)
    # The quotient is rounded at its 40th digit, which may lift it onto the next lot.
    return minus(quantity, lot_size) if times(quantity, price) > amount else quantity
