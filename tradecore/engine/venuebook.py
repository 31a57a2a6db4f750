"""What the venue was last known to hold for us, as one durable fact: for readers beside the process."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

import orjson

from tradecore.model.units import canonical, decimal_of, plus

VENUE_BALANCES = "venue_balances"
"""Key of the fact."""


class VenueCoin(NamedTuple):
    """One coin at the moment of a proof."""

    free: Decimal | None
    """``None`` where the venue's answer did not name the coin."""
    locked: Decimal | None
    ledger: Decimal
    """The ledger's balance at that moment."""
    ignored: Decimal
    """Units that were never adopted."""
    kind: str
    """What a difference was judged to be; empty where there was none, or none that counts."""
    price: Decimal | None
    """In the account's currency; ``None`` where no market says."""

    @property
    def total(self) -> Decimal | None:
        """Free and locked; ``None``: not named."""
        return None if self.free is None or self.locked is None else plus(self.free, self.locked)


class VenueBook(NamedTuple):
    """Balances of one answer of the venue."""

    read_ms: int
    currency: str
    """The account's."""
    coins: Mapping[str, VenueCoin]


def dump_venue_book(book: VenueBook) -> str:
    """Write it as JSON text, exact numbers as text."""
    coins = {
        coin: [value if value is None or isinstance(value, str) else canonical(value) for value in held]
        for coin, held in sorted(book.coins.items())
    }
    return orjson.dumps({"read_ms": book.read_ms, "currency": book.currency, "coins": coins}).decode()


def load_venue_book(text: str) -> VenueBook:
    """Read what `dump_venue_book` wrote."""
    facts = orjson.loads(text)

    def amount(value: str | None) -> Decimal | None:
        return None if value is None else decimal_of(value)

    coins = {}
    for coin, (free, locked, ledger, ignored, kind, price) in facts["coins"].items():
        coins[coin] = VenueCoin(
            amount(free), amount(locked), decimal_of(ledger), decimal_of(ignored), kind, amount(price)
        )
    return VenueBook(facts["read_ms"], facts["currency"], coins)
