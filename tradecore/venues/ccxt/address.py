"""The one address besides an exchange's own that requests may go to: a wire server on this machine."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from tradecore.errors import SettingsError

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names and numbers that are taken without asking anybody what they mean."""
_WIRES: Final = ("binance", "mexc")


def wire_host(base_url: str, exchange_id: str) -> str:
    """Read host and port of a wire server; nothing is asked, not even for a name.

    Args:
        base_url: ``http://127.0.0.1:PORT``.
        exchange_id: As ``binance``.
    Returns:
        As ``127.0.0.1:PORT``.
    Raises:
        SettingsError: If the address is not of this machine, or the exchange has no wire server.
    """
    try:
        parts = urlsplit(base_url)
        plain = parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.port != 0
        plain = plain and parts.username is None and not (parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError:  # no address at all
        plain = False
    if not plain:
        raise SettingsError(f"venue.base_url: expected http://127.0.0.1:PORT, was {base_url!r}")
    if exchange_id not in _WIRES:
        raise SettingsError(f"venue.base_url: expected exchange {' or '.join(_WIRES)}, was {exchange_id}")
    return parts.netloc
