"""One process an account (R19): two state folders that trade with the same key would cancel each other's orders."""

from __future__ import annotations

import errno
import hashlib
import socket
import sys
from typing import Final

from tradecore.errors import StateFolderError

_NAME: Final = "\0tradecore/account/"
"""Linux's names without files: seen by every user of this machine, and gone with the process, however it ends."""


class AccountLock:
    """Held for as long as an account is traded. It is seen on this machine only, and not across containers.

    Args:
        exchange: ccxt's id.
        base_url: Address of a wire server; empty is the exchange itself.
        key: Never shown: only a digest of it is.
    """

    def __init__(self, exchange: str, base_url: str, key: str) -> None:
        self._exchange: Final = exchange
        self._digest: Final = hashlib.sha256(f"{exchange}\n{base_url}\n{key}".encode()).hexdigest()[:32]
        self._held: socket.socket | None = None

    def take(self) -> bool:
        """Take the account.

        Returns:
            False where the system has no such names: nobody then looks for a second process.
        Raises:
            StateFolderError: Another process trades it.
        """
        if sys.platform != "linux":
            return False
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            held.bind(f"{_NAME}{self._digest}")
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise StateFolderError(
                f"expected nobody else to trade this account of {self._exchange}, was in use by another process of "
                "this machine with another state folder"
            ) from error
        self._held = held
        return True

    def release(self) -> None:
        """Give it back. May be called twice."""
        held, self._held = self._held, None
        if held is not None:
            held.close()
