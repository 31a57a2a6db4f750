"""Balances with locks: exact, never negative."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tradecore.model.units import EXACT, ZERO, minus
from tradecore.venues.twin.records import Moves


class Account:
    """Coins of one account, free and locked.

    Args:
        balances: Free and locked by coin, as they stand.
    """

    def __init__(self, balances: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        self._coins: Final = dict(balances)
        self._moves: dict[str, tuple[Decimal, Decimal]] = {}

    def free(self, coin: str) -> Decimal:
        """Units that can be spent or locked."""
        return self._coins.get(coin, (ZERO, ZERO))[0]

    def locked(self, coin: str) -> Decimal:
        """Units held for open orders."""
        return self._coins.get(coin, (ZERO, ZERO))[1]

    @property
    def coins(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Free and locked of every coin ever held."""
        return self._coins

    def lock(self, coin: str, amount: Decimal) -> None:
        """Move free units under a lock; a negative amount releases."""
        self._move(coin, amount.copy_negate(), amount)

    def spend_locked(self, coin: str, amount: Decimal) -> None:
        """Pay out of what is locked."""
        self._move(coin, ZERO, amount.copy_negate())

    def add(self, coin: str, amount: Decimal) -> None:
        """Receive free units; a negative amount pays."""
        self._move(coin, amount, ZERO)

    def take_moves(self) -> Moves:
        """What changed since this was last asked, coins without change left out."""
        moves = {coin: move for coin, move in self._moves.items() if move[0] or move[1]}
        self._moves = {}
        return moves

    def _move(self, coin: str, free: Decimal, locked: Decimal) -> None:
        old_free, old_locked = self._coins.get(coin, (ZERO, ZERO))
        new = (EXACT.add(old_free, free), EXACT.add(old_locked, locked))
        # A bug in the engine must not print money.
        assert new[0] >= 0, f"expected free {coin} >= 0, was {new[0]}"
        assert new[1] >= 0, f"expected locked {coin} >= 0, was {new[1]}"
        self._coins[coin] = new
        moved = self._moves.get(coin, (ZERO, ZERO))
        self._moves[coin] = (EXACT.add(moved[0], free), EXACT.add(moved[1], locked))


def before(now: Mapping[str, tuple[Decimal, Decimal]], later: list[Moves]) -> dict[str, tuple[Decimal, Decimal]]:
    """Balances as they stood before some moves."""
    result = dict(now)
    for moves in later:
        for coin, (free, locked) in moves.items():
            held = result.get(coin, (ZERO, ZERO))
            result[coin] = (minus(held[0], free), minus(held[1], locked))
    return result
