"""The Bot API through python-telegram-bot: the one file that knows it."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

from pydantic import SecretStr
from telegram import Bot, LinkPreviewOptions, Message, Update
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, TelegramError
from telegram.request import HTTPXRequest, RequestData

from tradecore_notify_telegram.port import Incoming, Refused, Throttled, Trouble, Unreachable, WrongToken

_T = TypeVar("_T")
_TOO_MANY: Final = 429
_UPDATES_MAX: Final = 20
_GRACE_S: Final = 5.0
_PAUSE_S: Final = 5.0
"""Where the answer does not say how long."""
_LONGEST_PAUSE_S: Final = 3_600.0


class _Slow(TelegramError):
    """HTTP 429 with the pause that it asks for."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many requests")
        self.retry_after_s = retry_after_s


class _Request(HTTPXRequest):
    """Reads the pause out of an answer 429 itself: the library's own error for it warns of its own future."""

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *timeouts: Any, **more: Any
    ) -> tuple[int, bytes]:
        """Send a request."""
        code, payload = await super().do_request(url, method, request_data, *timeouts, **more)
        if code == _TOO_MANY:
            raise _Slow(_retry_after(payload))
        return code, payload


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
        self._requests: Final = (_Request(connection_pool_size=1, **limits), _Request(connection_pool_size=1, **limits))
        sending, polling = self._requests
        self._bot: Final = Bot(
            token.get_secret_value(), base_url=f"{url.rstrip('/')}/bot", request=sending, get_updates_request=polling
        )  # fmt: skip

    async def open(self) -> str:
        """Ask who the bot is."""
        await _named(self._bot.initialize())
        return self._bot.username

    async def send(self, chat_id: int, text: str) -> None:
        """Send a text that nothing in it can turn into anything else: no markup, no preview."""
        preview = LinkPreviewOptions(is_disabled=True)
        await _named(self._bot.send_message(chat_id, text, parse_mode=None, link_preview_options=preview))

    async def updates(self, offset: int | None, wait_s: int) -> Sequence[Incoming]:
        """Wait for messages."""
        found = await _named(
            self._bot.get_updates(
                offset, limit=_UPDATES_MAX, timeout=wait_s, allowed_updates=["message"],
                read_timeout=(wait_s + _GRACE_S) * self._scale,
            )
        )  # fmt: skip
        return [_incoming(update) for update in found]

    async def close(self) -> None:
        """Let go of the connections."""
        # not the bot's own end: it does nothing where the bot never learnt its name, and the connections stay open
        for request in self._requests:
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
    except (BadRequest, Forbidden, ChatMigrated) as error:
        trouble = Refused(str(error)[:200])
    except TelegramError as error:
        trouble = Unreachable(type(error).__name__)
    raise trouble


def _incoming(update: Update) -> Incoming:
    message = update.message
    if not isinstance(message, Message) or message.from_user is None:
        return Incoming(update.update_id, 0, 0, "", 0, False)
    own = message.forward_origin is None and message.via_bot is None and message.sender_chat is None
    own = own and message.edit_date is None and not message.from_user.is_bot
    return Incoming(
        update.update_id, message.from_user.id, message.chat.id, message.text or "",
        int(message.date.timestamp() * 1_000), own,
    )  # fmt: skip
