"""What the rest of the plugin knows of Telegram: send a text, wait for messages, and how that fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tradecore.channels.line import Line, Trouble


class Contested(Trouble):
    """Somebody else listens with the same token: what people write reaches one of the two, whichever asks first."""


class Incoming(NamedTuple):
    """One message to the bot."""

    update_id: int
    user_id: int
    """0: nobody, as for whatever is no message."""
    chat_id: int
    text: str
    """Empty where it was no text."""
    sent_ms: int
    """When Telegram says that it was sent, wall."""
    own_words: bool
    """False where it was forwarded, edited, sent through another bot, or in the name of a chat."""


class Api(Line, Protocol):
    """The Bot API, as far as it is used."""

    async def open(self) -> str:
        """Ask who the bot is; returns its user name.

        Raises:
            Trouble: As ``tradecore.channels.line`` and this file name it.
        """

    async def updates(self, offset: int | None, wait_s: int) -> Sequence[Incoming]:
        """Wait for messages, and tell Telegram that those below the offset are done with.

        Args:
            offset: First update wanted; ``None``: the oldest that Telegram has.
            wait_s: Seconds that it may wait for one.
        Raises:
            Trouble: As above.
        """

    async def close(self) -> None:
        """Let go of the connections."""
