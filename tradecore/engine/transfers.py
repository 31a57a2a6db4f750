"""Deposits and withdrawals as the venue lists them: what they explain of a difference, they are (R46).

The lists are asked for only while a difference stands. They prove what they name; what they do not name is no proof of
anything, since venues move coins in ways that no list has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Final, NamedTuple

from tradecore.engine.compare import Seen
from tradecore.engine.desk import Desk
from tradecore.engine.foreign import LEDGER_OPENED
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.records import Memory, PostingKind
from tradecore.model.units import canonical, exact_sum, minus
from tradecore.ports.venue import CoinTransfer

_UNDER_WAY_MS: Final = 6 * 3_600_000
"""A deposit may be first seen so long before it is credited."""
_PAUSE_MS: Final = 60_000
"""Between two requests while the lists do not answer."""
_PATIENCE_MS: Final = 600_000
"""What came waits so long for lists that do not answer; then it is booked as what it looks like."""
_SEARCHED_MAX: Final = 8
"""Transfers of a coin, the newest, whose sums are tried."""
_WATERMARK: Final = "transfers/"
"""Begins the fact that all transfers of a coin up to a moment are in the ledger, by name or not."""


class Moved(NamedTuple):
    """One transfer as it moved the balance."""

    transfer: CoinTransfer
    amount: Decimal
    """Units, signed; with the venue's fee or without, whichever the balance shows."""

    @property
    def kind(self) -> PostingKind:
        """What it is booked as."""
        return PostingKind.DEPOSIT if self.amount > 0 else PostingKind.WITHDRAWAL

    @property
    def text(self) -> str:
        """In words, with the venue's id."""
        return f"{self.kind} {self.transfer.transfer_id} of {canonical(self.amount.copy_abs())}"


class TransferLists:
    """What the venue last said of deposits and withdrawals, and what of it explains a difference."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows: Sequence[CoinTransfer] = ()
        self._asked_ms = 0
        self._asked_for: Mapping[str, Seen] = {}
        self.pending = False
        """True where the newest request got no answer, and another one may."""
        self.said = "the venue's lists were not asked"
        """Why there is no proof where there is none."""

    def due(self, seen: Mapping[str, Seen]) -> bool:
        """Tell whether differences are worth a request: they are new, or the answer is old, or there was none."""
        pause_ms = _PAUSE_MS if self.pending else _PATIENCE_MS
        new = not self.pending and any(self._asked_for.get(coin) != one for coin, one in seen.items())
        return bool(seen) and (new or self._desk.clock.now_ms() - self._asked_ms >= pause_ms)

    async def ask(self, seen: Mapping[str, Seen]) -> None:
        """Read the lists anew; where they do not answer, what was known of them is no proof any more.

        Args:
            seen: Coin to difference: what is asked for.
        """
        desk = self._desk
        self._asked_ms, self._rows, self.pending = desk.clock.now_ms(), (), False
        self._asked_for = dict(seen)
        since_ms = int(desk.recall(LEDGER_OPENED) or 0) - _UNDER_WAY_MS
        try:
            async with asyncio.timeout(2 * desk.config.balance_timeout_s * desk.config.time_scale):
                rows = await desk.venue.transfers(max(0, since_ms))
        except (TimeoutError, RetryableVenueError) as error:
            self.pending = True
            self.said = f"the venue's lists did not answer ({type(error).__name__})"
            desk.heed(error)
        except VenueRefused as error:
            self.said = f"the venue refused its lists ({error.code or type(error).__name__})"
        else:
            self._rows = rows or ()
            self.said = "the venue does not tell" if rows is None else "the venue's lists name nothing that fits"

    def waits(self, since_ms: int) -> bool:
        """Tell whether a difference first seen at a moment should wait for lists that do not answer yet."""
        return self.pending and self._desk.clock.now_ms() - since_ms < _PATIENCE_MS

    def explain(self, coin: str, gap: Decimal, clean_ms: int | None) -> Sequence[Moved]:
        """Find the transfers that a difference is made of, or deposits that are a part of it beyond doubt.

        Args:
            gap: Venue less ledger.
            clean_ms: When the coin last agreed, market time; ``None``: not in this run.
        Returns:
            Empty where the lists say nothing that helps.
        """
        open_ones = [one for one in self._rows if one.coin == coin and self._is_new(one)]
        whole = _summing_to(gap, open_ones[-_SEARCHED_MAX:])
        if whole or clean_ms is None:
            return whole
        # first seen after the coin last agreed: neither in the ledger nor in that balance, whatever else happened
        timing = self._desk.venue.timing
        after_ms = clean_ms + timing.read_lag_ms + timing.clock_error_ms
        return [Moved(one, one.amount) for one in open_ones if one.amount > 0 and one.at_ms > after_ms]

    def posting_id(self, moved: Moved) -> str:
        """Name the entry of a transfer, so that it can be booked once only."""
        one = moved.transfer
        return f"{moved.kind}/{self._desk.config.account}/{one.coin}/{one.transfer_id}"

    def moment_of(self, moved: Moved) -> int:
        """When it moved the books: by the venue's word, but not before they began, and not after now."""
        opened = int(self._desk.recall(LEDGER_OPENED) or 0)
        return min(max(moved.transfer.at_ms, opened), self._desk.clock.now_ms())

    def close(self, coin: str, read_ms: int) -> Memory:
        """Make the fact that transfers of a coin first seen up to a balance are in the ledger, named or not."""
        return Memory(f"{_WATERMARK}{coin}", str(read_ms), self._desk.clock.now_ms())

    def _is_new(self, one: CoinTransfer) -> bool:
        if one.at_ms <= int(self._desk.recall(f"{_WATERMARK}{one.coin}") or 0):
            return False
        return bool(one.amount) and not self._desk.store.postings_of(self.posting_id(Moved(one, one.amount)))


def _summing_to(gap: Decimal, found: Sequence[CoinTransfer]) -> Sequence[Moved]:
    """The fewest transfers, the newest first, that add up to a difference to the last digit; empty: none do.

    A withdrawal may show with the venue's fee or without: exchanges differ in which of the two their list names.
    """
    choices = [
        [*([Moved(one, minus(one.amount, one.fee))] if one.fee else []), Moved(one, one.amount), None]
        for one in reversed(found)
    ]
    best: Sequence[Moved] = ()
    for choice in product(*choices):
        picked = [moved for moved in choice if moved is not None]
        if picked and (not best or len(picked) < len(best)) and exact_sum(moved.amount for moved in picked) == gap:
            best = picked
    return best


def shown(moves: Sequence[Moved]) -> str:
    """Write transfers as evidence."""
    return f"in the venue's lists: {', '.join(moved.text for moved in moves)}"


def explained(
    lists: TransferLists, gaps: Mapping[str, Decimal], clean: Mapping[str, int], *, whole: bool
) -> dict[str, list[Moved]]:
    """Find what the lists name of each difference.

    Args:
        gaps: Coin to venue less ledger.
        clean: Coin to when it last agreed.
        whole: True takes no part of a difference for evidence.
    Returns:
        Coin to transfers; where coins came and went, those that came alone: the rest is for the next look.
    """
    found = {}
    for coin, gap in gaps.items():
        moves = list(lists.explain(coin, gap, None if whole else clean.get(coin)))
        came = [moved for moved in moves if moved.amount > 0]
        if moves:
            found[coin] = came or moves
    return found
