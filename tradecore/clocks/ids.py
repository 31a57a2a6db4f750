"""Ids and chance behind their ports: hashes of a seed on virtual time, real randomness elsewhere."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tradecore.ports.clock import Clock

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is read as a digit; sorts as its value does."""
_LENGTH: Final = 26
_RANDOM_BITS: Final = 80


def _base32(value: int) -> str:
    letters = [_ALPHABET[(value >> shift) & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)]
    return "".join(letters)


class SeededIds:
    """Ids that the same run on the same seed makes again.

    Args:
        seed: The run's seed.
        run_number: 1 for the first run on a state, and so on: a restart must not repeat the ids before it.
    """

    def __init__(self, seed: int, run_number: int) -> None:
        self._stem: Final = f"{seed}\n{run_number}\n"
        self._counts: Final[Counter[str]] = Counter()

    def new(self, kind: str) -> str:
        """Make the next id of `kind`: 26 letters and digits, 130 bits of a hash. Other kinds do not disturb it."""
        self._counts[kind] += 1
        digest = hashlib.sha256(f"{self._stem}{kind}\n{self._counts[kind]}".encode()).digest()
        return _base32(int.from_bytes(digest, "big") >> 126)


class RandomIds:
    """Ids in the form of a ULID: 48 bits of milliseconds, 80 of randomness. Later ones sort after earlier ones.

    Args:
        clock: Where the milliseconds come from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._last = 0

    def new(self, kind: str) -> str:
        """Make a fresh id of 26 letters and digits, above every one before it, also where the clock stood still."""
        drawn = (self._clock.now_ms() << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        same_ms = drawn >> _RANDOM_BITS <= self._last >> _RANDOM_BITS
        self._last = self._last + 1 + secrets.randbits(32) if same_ms else drawn
        return _base32(self._last)


class SeededChance:
    """Generators by purpose, so that one more draw in one place changes nothing in another."""

    def __init__(self, seed: int) -> None:
        self._seed: Final = seed

    def generator(self, purpose: str) -> random.Random:
        """Make the generator of `purpose`, from its start."""
        digest = hashlib.sha256(f"{self._seed}\n{purpose}".encode()).digest()
        return random.Random(int.from_bytes(digest, "big"))
