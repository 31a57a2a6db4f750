"""Keys of an account: held, handed to ccxt, shown nowhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

_SHORTEST: Final = 6
"""Characters; a shorter word stands in any text by chance, and no exchange issues such a key."""


class ApiKeys:
    """Key, secret and, where the exchange wants one, pass phrase.

    Args:
        key: Empty means none: public data only.
    """

    __slots__ = ("_key", "_password", "_secret")

    def __init__(self, key: str = "", secret: str = "", password: str = "") -> None:
        self._key: Final = key
        self._secret: Final = secret
        self._password: Final = password

    def __bool__(self) -> bool:
        return bool(self._key)

    def __repr__(self) -> str:
        return "ApiKeys(***)" if self._key else "ApiKeys()"

    def __reduce__(self) -> tuple[type[ApiKeys], tuple[()]]:
        # What is pickled leaves the process; the keys stay.
        return ApiKeys, ()

    @property
    def key_print(self) -> str:
        """Fingerprint of the key: 16 hex digits, from which nobody finds it; empty where there is none."""
        return hashlib.sha256(f"tradecore key {self._key}".encode()).hexdigest()[:16] if self._key else ""

    def revealed(self) -> dict[str, str]:
        """The three in ccxt's names; for the exchange object alone."""
        named = {"apiKey": self._key, "secret": self._secret, "password": self._password}
        return {name: value for name, value in named.items() if value}

    def _forms(self) -> Iterator[str]:
        for value in (self._secret, self._password, self._key):
            if len(value) >= _SHORTEST:
                yield value
                yield quote(value, safe="")

    def scrub(self, text: str) -> str:
        """A text without any of the three."""
        for form in self._forms():
            text = text.replace(form, "***")
        return text
