"""Keep entries to symbols worth trading: by volume, price, spread, age, volatility and lists (R5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, Field, field_validator, model_validator

from tradecore import Book, Instrument, Keep, Market, hookimpl
from tradecore.errors import SettingsError
from tradecore.market.frame import window_ms
from tradecore_universe_filters.figures import figures_of

_HOUR_MS = 3_600_000
OFF = "off"


class _Symbol(NamedTuple):
    """What is known of one symbol; NaN where it is not."""

    volume_quote: float
    volatility_pct: float
    price: float
    spread_bps: float
    age_hours: float


_UNKNOWN = _Symbol(math.nan, math.nan, math.nan, math.nan, math.nan)


class _Finding(NamedTuple):
    """One rule held against one symbol."""

    text: str
    """The figure, in words."""
    refused: str
    """Why the symbol goes; empty: it does not."""


class UniverseFilters:
    """Say of each symbol whether it stays, and why; nothing is judged that is not set.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `universe_filters`."""

        only: tuple[str, ...] = Field(
            (),
            description="Symbols or patterns with * and ?; all others go. Empty lets all in.",
            json_schema_extra={"unit": "patterns"},
        )
        never: tuple[str, ...] = Field(
            (),
            description="Symbols or patterns that go, whatever else is said of them.",
            json_schema_extra={"unit": "patterns"},
        )
        volume_min_quote: Decimal = Field(
            Decimal(0),
            ge=0,
            description="Least money traded within the window; 0 is off.",
            json_schema_extra={"unit": "quote units"},
        )
        window: str = Field(
            "24h",
            description="Window of volume and volatility, in whole hours, at most 31 days.",
            json_schema_extra={"unit": "time"},
        )
        price_min: Decimal = Field(
            Decimal(0), ge=0, description="Lowest price; 0 is off.", json_schema_extra={"unit": "quote per base"}
        )
        price_max: Decimal = Field(
            Decimal(0), ge=0, description="Highest price; 0 is off.", json_schema_extra={"unit": "quote per base"}
        )
        spread_max_bps: Decimal = Field(
            Decimal(0),
            ge=0,
            description="Widest spread at the moment of asking; 0 is off.",
            json_schema_extra={"unit": "bps"},
        )
        age_min: str = Field(
            OFF,
            description="A symbol must have had prices for so long, at most 31 days; `off` turns it off.",
            json_schema_extra={"unit": "time"},
        )
        volatility_min_pct: Decimal = Field(
            Decimal(0),
            ge=0,
            description="Least standard deviation of hourly log returns over the window; 0 is off.",
            json_schema_extra={"unit": "% per hour"},
        )
        volatility_max_pct: Decimal = Field(
            Decimal(0),
            ge=0,
            description="Most of it; 0 is off.",
            json_schema_extra={"unit": "% per hour"},
        )
        unknown: Literal["remove", "keep"] = Field(
            "remove",
            description="What becomes of a symbol of which a figure is not known that a rule needs.",
            json_schema_extra={"unit": "name"},
        )

        @field_validator("window", "age_min")
        @classmethod
        def _is_time(cls, text: str) -> str:
            if text != OFF and not 0 < _hours(text) <= 31 * 24:
                raise ValueError(f"expected a time of at most 31 days such as '24h' or '7d', was {text!r}")
            return text

        @model_validator(mode="after")
        def _fits(self) -> UniverseFilters.Settings:
            if self.window == OFF:
                raise ValueError("expected a time for window, was 'off': set the rule's number to 0")
            for low, high in (("price_min", "price_max"), ("volatility_min_pct", "volatility_max_pct")):
                if getattr(self, high) and getattr(self, low) > getattr(self, high):
                    raise ValueError(f"expected {low} of at most {high}, was above it: no symbol could stay")
            return self

    events: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._window = _hours(settings.window)
        self._age = 0 if settings.age_min == OFF else _hours(settings.age_min)

    @property
    def warmup(self) -> Mapping[str, str]:
        """Hours that the rules in force look at; none where none of them looks at rows."""
        s = self.settings
        rows = bool(s.volume_min_quote or s.volatility_min_pct or s.volatility_max_pct or s.price_min or s.price_max)
        hours = max(self._window + 1 if rows else 0, self._age)
        return {"1h": f"{hours}h"} if hours else {}

    @hookimpl
    def universe(
        self, instruments: Mapping[str, Instrument], quotes: Mapping[str, Book], market: Market
    ) -> Sequence[Keep]:
        """Judge each symbol by itself."""
        known = self._known(market)
        return [self._word(symbol, known.get(symbol, _UNKNOWN), quotes.get(symbol)) for symbol in instruments]

    def _known(self, market: Market) -> Mapping[str, _Symbol]:
        frame = market.frame
        made = figures_of(frame, self._window, self._age)
        return {
            symbol: _Symbol(
                float(made.volume_quote[at]), float(made.volatility_pct[at]), float(made.close[at]), math.nan,
                float(made.age_hours[at]),
            )
            for at, symbol in enumerate(frame.symbols)
        }  # fmt: skip

    def _word(self, symbol: str, known: _Symbol, book: Book | None) -> Keep:
        if book is not None and book.mid is not None and book.spread_bps is not None:
            known = known._replace(price=float(book.mid), spread_bps=float(book.spread_bps))
        findings = list(self._findings(symbol, known))
        refused = [finding.refused for finding in findings if finding.refused]
        if refused:
            return Keep(symbol, False, "; ".join(refused))
        return Keep(symbol, True, "; ".join(finding.text for finding in findings) or "no rule is set")

    def _findings(self, symbol: str, known: _Symbol) -> Iterator[_Finding]:
        """Hold every rule that is set against a symbol."""
        s = self.settings
        for pattern in s.never:
            if fnmatchcase(symbol, pattern):
                yield _Finding("", f"never holds {pattern}")
        if s.only:
            by = next((pattern for pattern in s.only if fnmatchcase(symbol, pattern)), "")
            yield _Finding(f"only holds {by}", "" if by else "no pattern of only fits")
        told = f"volume over {s.window}"
        yield from self._bounds(told, known.volume_quote, s.volume_min_quote, Decimal(0), "quote")
        yield from self._bounds("price", known.price, s.price_min, s.price_max, "")
        yield from self._bounds("spread", known.spread_bps, Decimal(0), s.spread_max_bps, "bps")
        low, high = s.volatility_min_pct, s.volatility_max_pct
        yield from self._bounds(f"volatility over {s.window}", known.volatility_pct, low, high, "% per hour")
        if self._age:
            yield from self._bounds("age", known.age_hours, Decimal(self._age), Decimal(0), "h")

    def _bounds(self, what: str, value: float, low: Decimal, high: Decimal, unit: str) -> Iterator[_Finding]:
        """Hold one figure against its bounds; 0 is none."""
        if not low and not high:
            return
        end = f" {unit}" if unit else ""
        if math.isnan(value):
            text = f"{what} is not known"
            yield _Finding(text, text if self.settings.unknown == "remove" else "")
            return
        shown = f"{value:.0f}" if abs(value) >= 100_000 else f"{value:.6g}"
        text = f"{what} {shown}{end}" if math.isfinite(value) else f"{what} beyond the history"
        if low and value < float(low):
            yield _Finding(text, f"{text}, at least {low:f} is asked for")
        elif high and value > float(high):
            yield _Finding(text, f"{text}, at most {high:f} is allowed")
        else:
            yield _Finding(text, "")


def _hours(text: str) -> int:
    """A time as whole hours, rounded up.

    Raises:
        ValueError: If it is none.
    """
    if text.strip().endswith("r"):
        raise ValueError(f"expected a time such as '24h' or '7d', was {text!r}")
    try:
        return -(-window_ms(text, _HOUR_MS) // _HOUR_MS)
    except SettingsError as error:
        # pydantic names the field only where the error is a ValueError
        raise ValueError(str(error)) from error
