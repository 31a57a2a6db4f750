"""Sell what positions left behind as dust, or take it along with the next buy (R50)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from pydantic import BaseModel, Field, model_validator

from tradecore import Instrument, Job, JobAnswer, Market, Portfolio, Side, Signal, hookimpl
from tradecore.model.units import ZERO, floor_to_lot, plus, price_of, signal_id, times

_WHOLE = Decimal(1)
_PERCENT = Decimal("0.01")
_TTL_MS = 60_000


class _Remainder(NamedTuple):
    """Dust of one symbol, judged at the price of the moment."""

    symbol: str
    price: Decimal
    """Quote per base; 0 where there is none to judge by."""
    value: Decimal
    """Of whole lots, in quote units."""
    least: Decimal
    """What they must be worth to be sold, in quote units."""
    sellable: bool


class DustSweeper:
    """Look for dust at an interval; the core moves, sells and books it.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `dust_sweeper`."""

        sell: bool = Field(
            True, description="Sell dust as soon as the venue takes it.", json_schema_extra={"unit": "flag"}
        )
        merge: bool = Field(
            True,
            description="Let the next position on the symbol take dust along that cannot be sold.",
            json_schema_extra={"unit": "flag"},
        )
        margin_pct: Decimal = Field(
            Decimal(10),
            ge=0,
            le=1_000,
            description="So much more than the venue's minimum dust must be worth before it is sold.",
            json_schema_extra={"unit": "% of the minimum"},
        )
        interval_s: int = Field(
            3_600,
            ge=1,
            le=86_400,
            description="How often dust is looked for where `intervals.dust_sweep_s` says nothing.",
            json_schema_extra={"unit": "s"},
        )

        @model_validator(mode="after")
        def _does_something(self) -> DustSweeper.Settings:
            if not (self.sell or self.merge):
                raise ValueError("expected sell or merge to be true, was neither: leave the plugin out of the list")
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._over = plus(_WHOLE, times(settings.margin_pct, _PERCENT))

    @hookimpl
    def jobs(self) -> Sequence[Job]:
        """Look for dust."""
        return [Job("dust_sweep", self.settings.interval_s, self._sweep)]

    def _sweep(self, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None) -> JobAnswer:
        """Propose a sale for what can be sold, and name all else to be taken along."""
        del last  # what is there now says all
        signals, merges = [], []
        for coin, quantity in sorted(portfolio.dust.items()):
            symbol = f"{coin}/{portfolio.currency}"
            instrument = market.instrument(symbol)
            if instrument is None or quantity <= 0:
                continue
            found = self._judge(instrument, quantity, market)
            if self.settings.sell and found.sellable:
                signals.append(_sale(found, market.now_ms))
            elif self.settings.merge:
                merges.append(symbol)
        return JobAnswer(signals=tuple(signals), merges=tuple(merges))

    def _judge(self, instrument: Instrument, quantity: Decimal, market: Market) -> _Remainder:
        lots = floor_to_lot(quantity, instrument.lot_size)
        price = _price(instrument.symbol, market)
        value = times(lots, price)
        least = times(max(instrument.min_notional_quote, times(instrument.min_quantity, price)), self._over)
        enough = lots > 0 and lots >= instrument.min_quantity and value >= least
        return _Remainder(instrument.symbol, price, value, least, instrument.can_sell and price > 0 and enough)


def _price(symbol: str, market: Market) -> Decimal:
    """What a sale would bring per unit: the best bid, else the newest close; 0 where neither is known."""
    book = market.book(symbol)
    if book is not None and book.best_bid is not None:
        return book.best_bid
    try:
        closes = market.window(symbol, "close", 1)
    except KeyError:
        return ZERO  # not a symbol of this run
    return price_of(float(closes[-1])) if len(closes) and closes[-1] > 0 else ZERO


def _sale(found: _Remainder, now_ms: int) -> Signal:
    return Signal(
        signal_id("dust", found.symbol, Side.SELL, now_ms), "", found.symbol, Side.SELL, now_ms, now_ms + _TTL_MS,
        found.price, now_ms, 1.0, "dust can be sold", float(found.value), float(found.least), "quote", tag="dust",
    )  # fmt: skip
