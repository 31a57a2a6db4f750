"""What an exchange wants to know of an account before it takes a signed request, as ccxt's class of it says."""

from __future__ import annotations

from typing import Final

from tradecore.errors import SettingsError
from tradecore.venues.ccxt.exchange import class_of
from tradecore.venues.ccxt.keys import ApiKeys

_SETTINGS: Final = {
    "apiKey": ("venue.api_key", "the key"),
    "secret": ("venue.api_secret", "the secret"),
    "password": ("venue.api_password", "the pass phrase"),
}
"""ccxt's names of what we can hand over: setting, and what it is in words."""


def check_credentials(exchange: str, keys: ApiKeys) -> None:
    """Refuse keys that lack what the exchange wants, before anything is asked of it.

    Args:
        exchange: ccxt's id.
    Raises:
        SettingsError: ccxt knows no such exchange, it wants something that is not there, or something that no setting
            names.
    Source: ccxt `requiredCredentials` of the exchange's class.
    """
    wanted = [name for name, needed in class_of(exchange)().requiredCredentials.items() if needed]
    strange = [name for name in wanted if name not in _SETTINGS]
    if strange:
        raise SettingsError(
            f"venue.exchange: expected an exchange that takes a key, a secret and at most a pass phrase, was "
            f"{exchange!r}, which wants {', '.join(strange)}"
        )
    have = keys.revealed()
    for name in wanted:
        if name not in have:
            setting, what = _SETTINGS[name]
            raise SettingsError(f"{setting}: expected where {what} is, which {exchange} wants, was empty")
