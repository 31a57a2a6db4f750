"""A line in memory, for simulated time."""

from collections import deque

import pytest


class MemoryLine:
    """Takes what it is sent, and fails as it is told.

    Args:
        clock: Seconds now.
    """

    def __init__(self, clock):
        self.clock = clock
        self.sent = []
        """(second, place, text)."""
        self.asked = []
        self.trouble = deque()
        """Raised by one `send` each; ``None`` lets one pass."""

    async def send(self, place, text):
        self.asked.append((self.clock(), place))
        error = self.trouble.popleft() if self.trouble else None
        if error is not None:
            raise error
        self.sent.append((self.clock(), place, text))


@pytest.fixture
def memory_line():
    """The kind of line."""
    return MemoryLine
