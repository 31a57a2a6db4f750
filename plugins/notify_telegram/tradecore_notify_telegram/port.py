"""What the rest of the plugin knows of Telegram: send a text, wait for messages, and four ways in which that fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Trouble(Exception):
    """Telegram did not do what was asked."""


class Throttled(Trouble):
    """It asks for a pause.

    Args:
        retry_after_s: Seconds of the wall.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"asked to wait {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class Unreachable(Trouble):
    """No usable answer: the message may have arrived or not."""


class WrongToken(Trouble):
    """The token is not one."""


class Refused(Trouble):
    """It takes no such message to this chat; the same one would be refused again."""


class Incoming(NamedTuple):
    """One message to the bot."""

    update_id: int
    user_id: int
    chat_id: int
    text: str
    """Empty where it was no text."""
    sent_ms: int
    """When Telegram says that it was sent, wall."""
    own_words: bool
    """False where it was forwarded, sent through another bot, or in the name of a chat."""


class Api(Protocol):
    """The Bot API, as far as it is used."""

    async def open(self) -> str:
        """Ask who the bot is; returns its user name.

        Raises:
            Trouble: As named above.
        """

    async def send(self, chat_id: int, text: str) -> None:
        """Send a plain text.

        Raises:
            Trouble: As named above.
        """

    async def updates(self, offset: int | None, wait_s: int) -> Sequence[Incoming]:
        """Wait for messages, and tell Telegram that those below the offset are done with.

        Args:
            offset: First update wanted; ``None``: the oldest that Telegram has.
            wait_s: Seconds that it may wait for one.
        Raises:
            Trouble: As named above.
        """

    async def close(self) -> None:
        """Let go of the connections."""
