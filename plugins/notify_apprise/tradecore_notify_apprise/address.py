"""Services behind addresses, through Apprise: the one file that knows it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Final, NamedTuple

from pydantic import SecretStr

from tradecore.channels.line import Unreachable, WrongToken
from tradecore_notify_apprise.worker import Worker

try:
    import apprise
except ImportError:  # an extra: whoever names no address needs none
    apprise = None  # type: ignore[assignment]  # no module in the place of one

MISSING: Final = "expected apprise beside an address, found none: pip install 'tradecore-notify-apprise[apprise]'"
ADDRESSES_MAX: Final = 20
_TITLE: Final = "tradecore"
LONGEST: Final = 4_000
"""UTF-16 code units of one message; Apprise splits it where a service takes less."""
_PAIR: Final = "\n\n"


def there() -> bool:
    """Tell whether Apprise is installed."""
    return apprise is not None


def addresses_in(secret: str) -> list[str]:
    """Read addresses, parted by white space; a line that begins with ``#`` is a remark."""
    lines = [line for line in secret.splitlines() if not line.lstrip().startswith("#")]
    return list(dict.fromkeys(" ".join(lines).split()))


def place_of(address: str) -> int:
    """A number for an address, always the same, that does not give the address away."""
    return int.from_bytes(hashlib.sha256(address.encode("utf-8", "surrogatepass")).digest()[:7], "big")


class _Late(NamedTuple):
    """A call that was not waited for to its end."""

    text: str
    future: asyncio.Future[bool]


class Service:
    """One address. Apprise reads it in the worker's thread at the first message: that loads 150 modules.

    Args:
        address: As Apprise writes it; holds secrets and is never shown.
        timeout_s: Longest wait for an answer, s of the wall.
        scale: Seconds of the loop per second of the wall.
    """

    def __init__(self, address: str, timeout_s: float, scale: float) -> None:
        self.known: bool | None = None
        """Whether Apprise knows such an address; ``None``: it has not been asked."""
        self._address: Final = SecretStr(address)
        self._timeout_s: Final = timeout_s
        self._wait_s: Final = timeout_s * scale
        self._worker: Final = Worker("notify-apprise")
        self._opened: asyncio.Future[bool] | None = None
        self._service: apprise.Apprise | None = None
        self._late: _Late | None = None

    async def send(self, place: int, text: str) -> None:
        """Send a text.

        A call that outlasts the wait goes on, since nobody can end it. Its message is not sent again until it is
        known that it failed: a service that takes its time would otherwise tell the same thing for ever.

        Raises:
            Unreachable: It was not taken, or nobody knows.
            WrongToken: The address is none.
        """
        await self._open()
        rest = self._rest(text)
        if not rest:
            return
        future = self._worker.begin(lambda: self._notify(rest))
        done, _ = await asyncio.wait({future}, timeout=self._wait_s)
        if not done:
            self._late = _Late(rest, future)
            raise Unreachable("no answer in time")
        if not future.result():
            raise Unreachable("the service did not take it")

    def close(self) -> None:
        """Let go of the thread."""
        self._worker.close()

    def _rest(self, text: str) -> str:
        """What of a text is still to be sent: a call from before may have sent its beginning.

        Raises:
            Unreachable: That call is still under way.
        """
        late = self._late
        if late is None:
            return text
        if not late.future.done():
            raise Unreachable("the call before has not come back")
        self._late = None
        if not late.future.result():
            return text
        if text == late.text:
            return ""
        return text.removeprefix(late.text + _PAIR)

    async def _open(self) -> None:
        if self._opened is None:
            self._opened = self._worker.begin(self._read)
        done, _ = await asyncio.wait({self._opened}, timeout=self._wait_s)
        if not done:
            raise Unreachable("apprise is still being loaded")
        self.known = self._opened.result()
        if not self.known:
            raise WrongToken("expected an address that apprise knows, was none")

    def _read(self) -> bool:
        # its own log quotes addresses and bodies
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        asset = apprise.AppriseAsset(
            storage_mode=apprise.PersistentStoreMode.MEMORY, service_timeout=0, allow_templates=False
        )
        asset.app_id, asset.app_desc, asset.async_mode, asset.http_redirects = _TITLE, _TITLE, False, False
        service = apprise.Apprise.instantiate(self._address.get_secret_value(), asset=asset)
        if service is None:
            return False
        service.socket_connect_timeout = service.socket_read_timeout = self._timeout_s
        service.overflow_mode = apprise.OverflowMode.SPLIT
        self._service = apprise.Apprise(asset=asset)
        return bool(self._service.add(service))

    def _notify(self, text: str) -> bool:
        if self._service is None:
            return False
        kind, form = _kind_of(text), apprise.NotifyFormat.TEXT
        return bool(self._service.notify(text, title=_TITLE, notify_type=kind, body_format=form))


def _kind_of(text: str) -> apprise.NotifyType:
    """The colour of a message, or the severity of a page: that of the gravest alert in it."""
    heads = {paragraph.partition(":")[0] for paragraph in text.split(_PAIR)}
    if "CRITICAL" in heads:
        return apprise.NotifyType.FAILURE
    return apprise.NotifyType.WARNING if "WARNING" in heads else apprise.NotifyType.INFO
