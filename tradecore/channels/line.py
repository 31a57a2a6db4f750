"""What carries messages, as far as the sender knows it, and four ways in which that fails."""

from __future__ import annotations

from typing import Protocol


class Trouble(Exception):
    """A message was not taken."""


class Throttled(Trouble):
    """A pause is asked for.

    Args:
        retry_after_s: Seconds of the wall.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"asked to wait {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class Unreachable(Trouble):
    """No usable answer: the message may have arrived or not."""


class WrongToken(Trouble):
    """Whoever carries it does not know us; only people can change that."""


class Refused(Trouble):
    """It takes no such message to this place; the same one would be refused again."""


class Line(Protocol):
    """A way to places, each of which is a number."""

    async def send(self, place: int, text: str) -> None:
        """Send a plain text.

        Raises:
            Trouble: As named above.
        """
