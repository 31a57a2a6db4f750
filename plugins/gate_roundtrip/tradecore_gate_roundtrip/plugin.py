"""Refuse an entry whose exit cannot be proven now: never buy what could not be sold (R30)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pydantic import BaseModel, Field

from tradecore import Check, Instrument, Intent, Market, Portfolio, Side, Verdict, hookimpl
from tradecore.model.units import ONE, ZERO, add_bps, canonical, floor_to_lot, floor_to_tick, minus, ratio, times

_PERCENT = Decimal("0.01")
_BPS = Decimal("0.0001")
_HUNDRED = Decimal(100)


class GateRoundtrip:
    """Walk the way out of an entry before it is made, with the fees, steps and bids of now.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `gate_roundtrip`."""

        stop_pct: Decimal = Field(
            Decimal("2.0"),
            ge=0,
            lt=100,
            description="Where the stop will stand below the entry's price, if the wishing guest foresees none.",
            json_schema_extra={"unit": "%"},
        )
        notional_spare_pct: Decimal = Field(
            Decimal(10),
            ge=0,
            le=1_000,
            description="By so much the sale at the stop must exceed the venue's smallest order.",
            json_schema_extra={"unit": "% of the minimum"},
        )
        exit_slippage_bps: Decimal = Field(
            Decimal(50),
            ge=0,
            lt=10_000,
            description="How far below the best bid the exit may sell.",
            json_schema_extra={"unit": "bps"},
        )
        depth_multiples: Decimal = Field(
            Decimal(1),
            gt=0,
            le=1_000,
            description="Bids within that distance must hold so many times what would be sold.",
            json_schema_extra={"unit": "times"},
        )
        remainder_pct_max: Decimal = Field(
            Decimal(5),
            ge=0,
            le=100,
            description="Most of the entry that fees and lot size may leave behind.",
            json_schema_extra={"unit": "% of the quantity"},
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stop_share = minus(ONE, times(settings.stop_pct, _PERCENT))
        self._spare = times(minus(_HUNDRED, settings.notional_spare_pct.copy_negate()), _PERCENT)

    @hookimpl
    def risk_check(self, intent: Intent, portfolio: Portfolio, market: Market) -> Verdict:
        """Answer every condition of the way out, held or not; an exit gets no objection."""
        if intent.reduces:
            return Verdict()
        instrument = market.instrument(intent.symbol)
        if instrument is None:
            return Verdict((Check("known to the venue", ZERO, ONE, "instruments", True),))
        stop = intent.stop_price if intent.stop_price is not None else times(intent.price, self._stop_share)
        stop = floor_to_tick(stop, instrument.tick_size)
        sellable = self._sellable(intent, instrument)
        checks = (
            Check("selling enabled", Decimal(int(instrument.can_sell)), ONE, "flag", not instrument.can_sell),
            *self._amounts(intent, instrument, stop, sellable),
            self._depth(intent, market, sellable),
        )
        inputs = {"stop": canonical(stop), "sellable": canonical(sellable), "fee_coin": instrument.fee_currency}
        return Verdict(checks, {}, inputs)

    def _sellable(self, intent: Intent, instrument: Instrument) -> Decimal:
        """Base units left to sell of a purchase: less a fee taken in base, in whole lots."""
        left = intent.quantity
        if instrument.fee_currency == instrument.base:
            left = times(left, minus(ONE, times(instrument.taker_fee_bps, _BPS)))
        return floor_to_lot(left, instrument.lot_size)

    def _amounts(self, intent: Intent, instrument: Instrument, stop: Decimal, sellable: Decimal) -> Iterator[Check]:
        """Yield what the venue's limits say of the order that would sell at the stop."""
        least = max(instrument.min_quantity, instrument.lot_size)
        yield Check("sellable quantity", sellable, least, instrument.base, sellable < least)
        most = instrument.max_quantity
        if most:
            yield Check("largest order", sellable, most, instrument.base, sellable > most)
        behind = times(ratio(minus(intent.quantity, sellable), intent.quantity), _HUNDRED)
        limit = self.settings.remainder_pct_max
        yield Check("left behind", behind, limit, "% of the quantity", behind > limit)
        worth, wanted = times(sellable, stop), times(instrument.min_notional_quote, self._spare)
        # a stop that no tick is left for is a sale that cannot be asked for
        yield Check("notional at the stop", worth, wanted, instrument.quote, worth < wanted or stop <= 0)

    def _depth(self, intent: Intent, market: Market, sellable: Decimal) -> Check:
        """Hold the bids of now against what would be sold; no book or no bid is no depth."""
        book = market.book(intent.symbol)
        bid = None if book is None else book.best_bid
        there = ZERO
        if book is not None and bid is not None:
            there = book.quantity_within(Side.SELL, add_bps(bid, self.settings.exit_slippage_bps.copy_negate()))
        wanted = times(sellable, self.settings.depth_multiples)
        base = intent.symbol.partition("/")[0]
        name = f"bids within {canonical(self.settings.exit_slippage_bps)} bps"
        return Check(name, there, wanted, base, there < wanted or there <= 0)
