"""Compares ledger and venue, coin by coin: which differ, and which differences count (R46, F24).

A difference counts when a later look shows the same, the venue's read lag has passed since it was first seen, and
neither an order under way nor a fresh fill touches the coin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.engine.books import ASSETS
from tradecore.engine.desk import Desk
from tradecore.engine.ledger import FEES
from tradecore.engine.money import VenueMoney
from tradecore.engine.venuebook import VenueBook, VenueCoin
from tradecore.model.units import ZERO, decimal_of, minus, plus

_COMPARE_WITHIN_MS: Final = 600_000
"""A coin that was busy at every look for so long is named."""


class Suspect(NamedTuple):
    """A difference, and for how long it has been the same."""

    gap: Decimal
    since_ms: int
    looks: int


Seen = tuple[Decimal, int]
"""A difference by what it is and since when: the same amount anew is another difference."""


class Comparison:
    """What looks at the balances have shown so far."""

    def __init__(self, desk: Desk, money: VenueMoney) -> None:
        self._desk = desk
        self._money = money
        self.suspects: Final[dict[str, Suspect]] = {}
        self.standing: Final[dict[str, Decimal]] = {}
        """Coin to venue less ledger, where it counts."""
        self.clean: Final[dict[str, int]] = {}
        """Coin to the moment of the newest balance that agreed."""
        self._compared_ms: dict[str, int] = {}

    async def look(self, missing: list[str], settle_ms: int) -> Mapping[str, Decimal]:
        """Read the balances and find differences.

        Args:
            missing: Gets ``balances`` where there was no answer; then nothing has changed.
            settle_ms: How long a coin must have been without a fill.
        Returns:
            Coin to venue less ledger, where it is not zero.
        """
        if not await self._money.refresh() or self._money.balances is None:
            missing.append("balances")
            return {}
        now = self._desk.clock.now_ms()
        lag_ms = self._desk.venue.timing.read_lag_ms
        busy = self.busy()
        found: dict[str, Decimal] = {}
        for coin in sorted(self.coins() - busy):
            gap = self.gap(coin)
            if not gap:
                self.forget(coin)
                self.clean[coin] = self._money.read_ms
                continue
            found[coin] = gap
            old = self.suspects.get(coin)
            if old is None or old.gap != gap:
                old = Suspect(gap, now, 0)
            self.suspects[coin] = old = old._replace(looks=old.looks + 1)
            fresh = self._money.moved_within(coin, max(settle_ms, lag_ms))
            if old.looks >= 2 and now - old.since_ms >= lag_ms and not fresh:
                self.standing[coin] = gap
            elif self.standing.get(coin) != gap:
                self.standing.pop(coin, None)
        self._note_busy(busy)
        return found

    def forget(self, coin: str) -> None:
        """Begin anew with a coin."""
        self.suspects.pop(coin, None)
        self.standing.pop(coin, None)

    def seen(self) -> dict[str, Seen]:
        """Coin to the difference that counts."""
        return {coin: (gap, self.suspects[coin].since_ms) for coin, gap in self.standing.items()}

    def coins(self) -> set[str]:
        """Coins of the ledger, of the venue's answer, and of those that were never adopted."""
        ledger = {coin for account, coin in self._desk.books.balances if account == ASSETS}
        return ledger | set(self._money.balances or {}) | set(self.ignored())

    def gap(self, coin: str) -> Decimal:
        """Venue less ledger; coins that were never adopted are none of ours."""
        held = (self._money.balances or {}).get(coin)
        total = held.total if held is not None else ZERO
        return minus(total, plus(self._desk.books.balance(coin), self.ignored().get(coin, ZERO)))

    def busy(self) -> set[str]:
        """Coins of orders under way, and those that a fill has moved since the balances were asked for."""
        books = self._desk.books
        coins = {coin for attempt in books.live_attempts() for coin in self.coins_of(attempt.symbol)}
        if coins:  # a third coin pays for a fill, or is given for it, as soon as the venue has the fill
            coins |= {coin for account, coin in books.balances if account == FEES}
        return coins | self._money.moved_since_read()

    def coins_of(self, symbol: str) -> Sequence[str]:
        """Coins that a trade on a symbol may move."""
        instrument = self._desk.instruments.get(symbol)
        base, _, quote = symbol.partition("/")
        return (base, quote, instrument.fee_currency) if instrument is not None else (base, quote)

    def ignored(self) -> Mapping[str, Decimal]:
        """Coins found at the first start, or come since, that a setting told us not to adopt."""
        memory = self._desk.books.memory
        return {
            key.removeprefix("ignored/"): decimal_of(fact.text)
            for key, fact in memory.items()
            if key.startswith("ignored/")
        }

    def venue_book(self, kinds: Mapping[str, str]) -> VenueBook:
        """What the venue's answer said, beside the ledger.

        Args:
            kinds: Coin to what its difference was judged to be.
        """
        desk, ignored, balances = self._desk, self.ignored(), self._money.balances or {}
        coins = {}
        for coin in self.coins():
            held = balances.get(coin)
            coins[coin] = VenueCoin(
                held.free if held else None, held.locked if held else None, desk.books.balance(coin),
                ignored.get(coin, ZERO), kinds.get(coin, ""), desk.rate(coin, desk.config.currency),
            )  # fmt: skip
        return VenueBook(self._money.read_ms, desk.config.currency, coins)

    def _note_busy(self, busy: set[str]) -> None:
        """Say where a coin was never quiet enough to be compared for long."""
        now = self._desk.clock.now_ms()
        for coin in self.coins() - busy:
            self._compared_ms[coin] = now
        for coin in busy:
            since = now - self._compared_ms.setdefault(coin, now)
            if since > _COMPARE_WITHIN_MS:
                self._compared_ms[coin] = now
                text = f"{coin}: orders under way at every look for {since} ms"
                self._desk.alert("coin_not_compared", "warning", text)
