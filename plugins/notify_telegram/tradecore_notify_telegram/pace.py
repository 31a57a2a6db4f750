"""Telegram's own limits, kept before they are hit.

Source: Telegram, Bots FAQ, "My bot is hitting limits, how do I avoid this?": about one message a second in one chat,
20 a minute in one group, 30 a second over all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tradecore.channels.pace import Limit, Pace

LONGEST: Final = 4_096
"""Characters of one message as Telegram counts them: UTF-16 code units (Bot API, sendMessage, text)."""
_CHAT: Final = Limit(1, 1.0)
_GROUP: Final = Limit(20, 60.0)
_ALL: Final = Limit(30, 1.0)


def telegram_pace() -> Pace:
    """The three limits together. A chat with a negative id is a group or a channel."""
    return Pace((_ALL,), _of_chat)


def _of_chat(chat: int) -> Sequence[Limit]:
    return (_CHAT, _GROUP) if chat < 0 else (_CHAT,)
