"""How fast messages may go out: Telegram's own limits, kept before they are hit.

Source: Telegram, Bots FAQ, "My bot is hitting limits, how do I avoid this?": about one message a second in one chat,
20 a minute in one group, 30 a second over all.
"""

from __future__ import annotations

from collections import deque
from typing import Final

CHAT_S: Final = 1.0
GROUP_MINUTE: Final = 20
ALL_SECOND: Final = 30


class Window:
    """At most so many things in any span of time."""

    def __init__(self, most: int, span_s: float) -> None:
        self._most: Final = most
        self._span_s: Final = span_s
        self._at_s: Final[deque[float]] = deque()

    def wait_s(self, now_s: float) -> float:
        """Seconds until one more fits; 0: now."""
        while self._at_s and self._at_s[0] <= now_s - self._span_s:
            self._at_s.popleft()
        if len(self._at_s) < self._most:
            return 0.0
        # the one that has to leave for another to fit: rounding may have kept an older one
        return max(0.0, self._at_s[-self._most] + self._span_s - now_s)

    def add(self, now_s: float) -> None:
        """Count one."""
        self._at_s.append(now_s)

    def try_add(self, now_s: float) -> bool:
        """Count one if it fits; False where it does not."""
        if self.wait_s(now_s) > 0:
            return False
        self.add(now_s)
        return True


class Pace:
    """The three limits together. A chat with a negative id is a group or a channel."""

    def __init__(self) -> None:
        self._all: Final = Window(ALL_SECOND, 1.0)
        self._chats: Final[dict[int, tuple[Window, ...]]] = {}

    def wait_s(self, chat: int, now_s: float) -> float:
        """Seconds until a message to a chat may go out; 0: now."""
        return max(window.wait_s(now_s) for window in (self._all, *self._of(chat)))

    def add(self, chat: int, now_s: float) -> None:
        """Count a message, whether it arrived or not."""
        for window in (self._all, *self._of(chat)):
            window.add(now_s)

    def _of(self, chat: int) -> tuple[Window, ...]:
        if chat not in self._chats:
            limits = (Window(1, CHAT_S),)
            self._chats[chat] = (*limits, Window(GROUP_MINUTE, 60.0)) if chat < 0 else limits
        return self._chats[chat]
