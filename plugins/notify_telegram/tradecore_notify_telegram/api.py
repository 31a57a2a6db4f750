"""The Bot API through python-telegram-bot: the one file that knows it."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from pydantic import SecretStr
from telegram import Bot, LinkPreviewOptions
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, TelegramError
from telegram.request import HTTPXRequest, RequestData

from tradecore.channels.line import Refused, Throttled, Trouble, Unreachable, WrongToken
from tradecore_notify_telegram.port import Contested, Incoming

_T = TypeVar("_T")
_TOO_MANY: Final = 429
_UPDATES_MAX: Final = 100
"""Telegram's own bound: strangers' messages stand before those of the right people in one queue."""
_GRACE_S: Final = 5.0
_PAUSE_S: Final = 5.0
"""Where the answer does not say how long."""
_LONGEST_PAUSE_S: Final = 3_600.0
_LARGEST: Final = 2**53
"""Ids have at most 52 significant bits (Bot API, User, id); a larger number is none."""
_OTHERS: Final = ("forward_origin", "forward_date", "via_bot", "sender_chat", "edit_date")
"""A message with one of these is not, or no longer, what its sender wrote in his own name."""


class _Slow(TelegramError):
    """HTTP 429 with the pause that it asks for."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many requests")
        self.retry_after_s = retry_after_s


class _Request(HTTPXRequest):
    """Reads answers itself where the library would warn of its own future (429) or log them whole (no JSON)."""

    took = False
    """Whether the newest request was answered with success."""

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *timeouts: Any, **more: Any
    ) -> tuple[int, bytes]:
        """Send a request."""
        self.took = False
        code, payload = await super().do_request(url, method, request_data, *timeouts, **more)
        if code == _TOO_MANY:
            raise _Slow(_retry_after(payload))
        self.took = 200 <= code < 300 and self.parse_json_payload(payload).get("ok") is True
        return code, payload

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Read an answer.

        Raises:
            TelegramError: It is not one of Telegram's.
        """
        try:
            found = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise TelegramError("invalid server response")
        return found


def _retry_after(payload: bytes) -> float:
    try:
        asked = float(json.loads(payload)["parameters"]["retry_after"])
    except (KeyError, TypeError, ValueError):
        asked = _PAUSE_S
    return min(max(asked, 0.0), _LONGEST_PAUSE_S) if math.isfinite(asked) else _PAUSE_S


class TelegramApi:
    """The Bot API over HTTPS.

    Args:
        token: The bot's.
        url: Address of the Bot API, without the token.
        timeout_s: Longest wait for an answer, s of the wall.
        scale: Seconds of the loop per second of the wall.
    """

    def __init__(self, token: SecretStr, url: str, timeout_s: float, scale: float) -> None:
        self._scale: Final = scale
        self._timeout: Final = timeout_s * scale
        limits: dict[str, Any] = dict.fromkeys(
            ("read_timeout", "write_timeout", "connect_timeout", "pool_timeout"), self._timeout
        )
        self._sending: Final = _Request(connection_pool_size=1, **limits)
        self._polling: Final = _Request(connection_pool_size=1, **limits)
        self._address: Final = SecretStr(f"{url.rstrip('/')}/bot{token.get_secret_value()}")
        self._bot: Final = Bot(
            token.get_secret_value(), base_url=f"{url.rstrip('/')}/bot", request=self._sending,
            get_updates_request=self._polling,
        )  # fmt: skip

    async def open(self) -> str:
        """Ask who the bot is."""
        await _named(self._bot.initialize())
        name = self._bot.bot.username
        if not name:
            raise Unreachable("the bot has no name")
        return name

    async def send(self, place: int, text: str) -> None:
        """Send a text that nothing in it can turn into anything else: no markup, no preview."""
        preview = LinkPreviewOptions(is_disabled=True)
        try:
            await _named(self._bot.send_message(place, text, parse_mode=None, link_preview_options=preview))
        except Unreachable:
            # taken, and told in words that nobody understands: it must not be sent again and again
            if not self._sending.took:
                raise
        if not self._sending.took:
            raise Unreachable("expected a word that it was taken, found none")

    async def updates(self, offset: int | None, wait_s: int) -> Sequence[Incoming]:
        """Wait for messages, read by hand: one that the library cannot read would hide all others behind it."""
        asked = {"limit": _UPDATES_MAX, "timeout": wait_s, "allowed_updates": '["message"]'}
        query = urlencode(asked if offset is None else {"offset": offset, **asked})
        address = f"{self._address.get_secret_value()}/getUpdates?{query}"
        found = await _named(self._polling.post(address, read_timeout=(wait_s + _GRACE_S) * self._scale))
        if not isinstance(found, list):
            raise Unreachable("expected a list of updates, was something else")
        read = [_incoming(update) for update in found[:_UPDATES_MAX]]
        return [one for one in read if one is not None]

    async def close(self) -> None:
        """Let go of the connections."""
        # not the bot's own end: it does nothing where the bot never learnt its name, and the connections stay open
        for request in (self._sending, self._polling):
            await request.shutdown()


async def _named(call: Awaitable[_T]) -> _T:
    """Await a call, its trouble in our own words: the library's may hold the token, so it is not even its context."""
    trouble: Trouble
    try:
        return await call
    except _Slow as error:
        trouble = Throttled(error.retry_after_s)
    except InvalidToken:
        trouble = WrongToken("the token was refused")
    except Conflict:
        trouble = Contested("another program listens with the same token, or a webhook is set")
    except (BadRequest, Forbidden, ChatMigrated) as error:
        trouble = Refused(str(error)[:200])
    except Exception as error:  # noqa: BLE001 - an answer of a shape that nobody foresaw is no answer, and no end
        trouble = Unreachable(type(error).__name__)
    raise trouble


def _incoming(update: Any) -> Incoming | None:
    """Read one update; ``None`` where it has not even a number. Whatever is no message of a person is nobody's."""
    if not isinstance(update, dict) or not _whole(update.get("update_id"), least=0):
        return None
    nobody = Incoming(update["update_id"], 0, 0, "", 0, False)
    message = update.get("message")
    if not isinstance(message, dict):
        return nobody
    sender, chat = message.get("from"), message.get("chat")
    date: Any = message.get("date")
    if not isinstance(sender, dict) or not isinstance(chat, dict):
        return nobody
    if not (_whole(sender.get("id"), least=1) and _whole(chat.get("id")) and _whole(date, least=0)):
        return nobody
    text = message.get("text")
    own = all(message.get(key) is None for key in _OTHERS) and sender.get("is_bot") is False
    return Incoming(
        update["update_id"], sender["id"], chat["id"], text if isinstance(text, str) else "", date * 1_000, own
    )


def _whole(value: object, least: int = -_LARGEST) -> bool:
    return type(value) is int and least <= value <= _LARGEST
