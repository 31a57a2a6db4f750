"""Keys of the wire's customers: who may do what. Secrets never leave this file but as a signature."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tradecore.errors import SettingsError


@dataclass(slots=True)
class ApiKey:
    """One key. All keys of a server trade on the same account.

    Args:
        name: The public part, sent with each request.
        secret: What requests are signed with.
        trade: May place and cancel orders.
        withdraw: May withdraw; a careful bot refuses such a key.
        revoked: The venue knows it no more.
        address_ok: False: requests come from an address that is not on its list.
    """

    name: str
    secret: str = field(repr=False)
    trade: bool = True
    withdraw: bool = False
    revoked: bool = False
    address_ok: bool = True

    def sign(self, text: str) -> str:
        """HMAC-SHA256 of a text, lower-case hex."""
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def signed(self, text: str, signature: str) -> bool:
        """Tell whether a signature belongs to a text; takes as long for every wrong one."""
        return hmac.compare_digest(self.sign(text).encode(), signature.encode())


class KeyRing:
    """All keys that the server knows.

    Raises:
        SettingsError: If there is none, one is empty, or two have one name.
    """

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys: Final[dict[str, ApiKey]] = {}
        for key in keys:
            if not key.name or not key.secret or key.name in self._keys:
                raise SettingsError(f"expected keys with a name of their own and a secret, was {key.name!r}")
            self._keys[key.name] = key
        if not self._keys:
            raise SettingsError("expected at least one key, found none")

    def find(self, name: str) -> ApiKey | None:
        """The key of a name; ``None`` where nobody has it."""
        return self._keys.get(name)

    @property
    def all(self) -> Mapping[str, ApiKey]:
        """Keys by name."""
        return self._keys
