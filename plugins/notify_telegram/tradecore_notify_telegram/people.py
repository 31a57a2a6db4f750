"""Who may do what, how often, and what must be said twice."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, Field

from tradecore.channels.pace import Window

Role = Literal["view", "control", "money"]
ORDER: Final[Mapping[str, int]] = {"view": 0, "control": 1, "money": 2}
"""Each role holds those before it."""
MESSAGES_A_MINUTE: Final = 20
_WRONG_MAX: Final = 3
_CODE_BYTES: Final = 4


class Person(BaseModel, frozen=True, extra="forbid"):
    """Somebody who may command."""

    id: int = Field(gt=0, description="Telegram's id of the user.", json_schema_extra={"unit": "number"})
    role: Role = Field(
        "view",
        description="What he may: `view` looks, `control` also halts, reduces, resumes, releases and unlocks, "
        "`money` also sells and ends the run.",
        json_schema_extra={"unit": "name"},
    )


def may(role: str, needed: str) -> bool:
    """Tell whether a role holds what is needed."""
    return ORDER[role] >= ORDER[needed]


class Gate:
    """Lets messages in: by user, by chat, by how many there were.

    Args:
        people: The allow-list.
        chats: Chats in which they may speak, beside their own with the bot.
        now_s: Seconds of the wall.
    """

    def __init__(self, people: Mapping[int, Role], chats: frozenset[int], now_s: Callable[[], float]) -> None:
        self.strangers = 0
        """Messages of people who may nothing, and of places where nobody may."""
        self.newest_stranger = 0
        self.floods = 0
        """Messages of known people beyond their number."""
        self._people: Final = people
        self._chats: Final = chats
        self._now_s: Final = now_s
        self._windows: Final = {user: Window(MESSAGES_A_MINUTE, 60.0) for user in people}

    def role(self, user_id: int, chat_id: int) -> Role | None:
        """What somebody may here; ``None``: nothing, and he gets no answer."""
        role = self._people.get(user_id)
        if role is None or (chat_id != user_id and chat_id not in self._chats):
            self.strangers += 1
            self.newest_stranger = user_id
            return None
        return role

    def passes(self, user_id: int) -> bool:
        """Count a message of somebody known; False where it is one too many."""
        if self._windows[user_id].try_add(self._now_s()):
            return True
        self.floods += 1
        return False


class Wish(NamedTuple):
    """What has to be confirmed."""

    verb: str
    argument: str
    reason: str
    role: str = "money"
    """Who may confirm it."""


class _Pending(NamedTuple):
    wish: Wish
    chat_id: int
    code: str
    until_s: float
    asked_ms: int
    wrong: int


class Confirmations:
    """Asks back: a code that nobody can guess, for one person in one chat, once, for a short while. Lost at a restart.

    Args:
        ttl_s: Seconds of the wall that a code is good for.
        now_s: Seconds of the wall that never run backwards; they may stand while the machine sleeps.
        wall_ms: The wall's clock, which goes on then and may be set: a code is good by both or not at all.
        code: Makes a code.
    """

    def __init__(
        self, ttl_s: float, now_s: Callable[[], float], wall_ms: Callable[[], int],
        code: Callable[[], str] = lambda: secrets.token_hex(_CODE_BYTES).upper(),
    ) -> None:  # fmt: skip
        self._ttl_s: Final = ttl_s
        self._now_s: Final = now_s
        self._wall_ms: Final = wall_ms
        self._code: Final = code
        self._pending: Final[dict[int, _Pending]] = {}

    def ask(self, user_id: int, chat_id: int, wish: Wish) -> str:
        """Keep a wish until it is confirmed; a new one takes the place of an older one. Returns the code."""
        code = self._code()
        self._pending[user_id] = _Pending(wish, chat_id, code, self._now_s() + self._ttl_s, self._wall_ms(), 0)
        return code

    def take(self, user_id: int, chat_id: int, code: str) -> Wish | None:
        """Hand a wish out once; ``None``: no such code, too late, or the wrong place."""
        kept = self._pending.get(user_id)
        if kept is None:
            return None
        fits = hmac.compare_digest(kept.code.encode(), code.upper().encode()) and chat_id == kept.chat_id
        late = self._now_s() >= kept.until_s or abs(self._wall_ms() - kept.asked_ms) >= self._ttl_s * 1_000
        if fits or late or kept.wrong + 1 >= _WRONG_MAX:
            del self._pending[user_id]
        else:
            self._pending[user_id] = kept._replace(wrong=kept.wrong + 1)
        return kept.wish if fits and not late else None
