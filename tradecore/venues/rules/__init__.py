"""What each venue's words mean: codes with class, action and operator text (R18), statuses, forms of ids.

A code is listed with ``refuses=True`` only where the venue's documents leave no doubt that no order was made: the
allow-list of reference orders.md 2.3. A code that is not listed proves nothing, so it stays UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tradecore.venues.rules.binance import BINANCE
from tradecore.venues.rules.generic import generic
from tradecore.venues.rules.kraken import KRAKEN
from tradecore.venues.rules.mexc import MEXC
from tradecore.venues.rules.okx import OKX
from tradecore.venues.rules.plain import PLAIN
from tradecore.venues.rules.words import Action, CodeRule, ErrorClass, Said, VenueRules

RULES: Final[Mapping[str, VenueRules]] = MappingProxyType({rules.name: rules for rules in (PLAIN, BINANCE, MEXC)})
"""Manners that the twin can take."""
_EXCHANGES: Final[Mapping[str, VenueRules]] = MappingProxyType(
    {rules.name: rules for rules in (BINANCE, MEXC, OKX, KRAKEN)}
)


def rules_of(exchange: str) -> VenueRules:
    """Rules of an exchange by ccxt's id; those of a venue that nobody described where there are none."""
    return _EXCHANGES.get(exchange) or generic(exchange)


__all__ = [
    "BINANCE",
    "KRAKEN",
    "MEXC",
    "OKX",
    "PLAIN",
    "RULES",
    "Action",
    "CodeRule",
    "ErrorClass",
    "Said",
    "VenueRules",
    "rules_of",
]
