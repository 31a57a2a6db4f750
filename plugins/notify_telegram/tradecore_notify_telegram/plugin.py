"""Tell people by Telegram what the bot does, and let the right ones command it (R49)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from tradecore import (
    Alert,
    Fill,
    Intent,
    Job,
    JobAnswer,
    Market,
    Operate,
    Portfolio,
    Reason,
    Resources,
    hookimpl,
)  # fmt: skip
from tradecore.channels.news import EVENTS, Item, News
from tradecore.channels.push import Push, open_outbox, quietly
from tradecore.channels.sender import Bounds
from tradecore.errors import TradecoreError
from tradecore.model.events import Stamped
from tradecore_notify_telegram import replies
from tradecore_notify_telegram.answering import Answering
from tradecore_notify_telegram.api import TelegramApi
from tradecore_notify_telegram.outbox import Notebook
from tradecore_notify_telegram.pace import LONGEST, telegram_pace
from tradecore_notify_telegram.people import Confirmations, Gate, Person
from tradecore_notify_telegram.receiver import Receiver

_LOG: Final = logging.getLogger("tradecore_notify_telegram")
_QUIET_MS: Final = 600_000
_CONTESTED: Final = 3
"""Polls that another listener ended before people are told: one may be a restart's own."""
_CLOSE_S: Final = 0.3
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class NotifyTelegram:
    """A channel and an operator's hand. Nothing of it is on the trading path: hooks write to a file, tasks do the rest.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
        """Settings of `notify_telegram`."""

        token: SecretStr = Field(
            SecretStr(""),
            description="Where the bot's token is: `env:NAME`, `file:PATH` or `credential:NAME`; never the token.",
            json_schema_extra={"unit": "reference"},
        )
        chats: tuple[int, ...] = Field(
            (),
            max_length=20,
            description="Chats that are told, by Telegram's ids; groups have negative ones.",
            json_schema_extra={"unit": "numbers"},
        )
        people: tuple[Person, ...] = Field(
            (),
            max_length=50,
            description="Who may command, in his own chat with the bot and in `chats`; nobody else gets an answer.",
            json_schema_extra={"unit": "people"},
        )
        fills: bool = Field(True, description="Tell every fill.", json_schema_extra={"unit": "flag"})
        failures: bool = Field(
            True, description="Tell every intent that ended without a fill.", json_schema_extra={"unit": "flag"}
        )
        least: Literal["info", "warning", "critical"] = Field(
            "warning", description="Alerts below this severity are not told.", json_schema_extra={"unit": "name"}
        )
        confirm_s: int = Field(
            60,
            ge=5,
            le=600,
            description="How long a code of what asks back is good for.",
            json_schema_extra={"unit": "s"},
        )
        command_age_s: int = Field(
            60,
            ge=5,
            le=3_600,
            description="A command that was sent longer ago is not carried out.",
            json_schema_extra={"unit": "s"},
        )
        poll_s: int = Field(
            25, ge=1, le=50, description="How long Telegram may wait for a message.", json_schema_extra={"unit": "s"}
        )
        timeout_s: int = Field(
            10, ge=1, le=60, description="Longest wait for an answer of Telegram.", json_schema_extra={"unit": "s"}
        )
        api_url: str = Field(
            "https://api.telegram.org",
            description="Address of the Bot API; plain http only on this machine.",
            json_schema_extra={"unit": "URL"},
        )

        @field_validator("api_url")
        @classmethod
        def _is_safe(cls, url: str) -> str:
            parts = urlsplit(url)
            plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
            if not (parts.scheme == "https" or plain) or not parts.hostname or parts.username or parts.query:
                raise ValueError("expected an https address, or http on this machine")
            return url

        @model_validator(mode="after")
        def _people_differ(self) -> NotifyTelegram.Settings:
            ids = [person.id for person in self.people]
            if len(set(ids)) != len(ids):
                raise ValueError("expected each person once")
            return self

        @model_validator(mode="after")
        def _has_a_bot_for_them(self) -> NotifyTelegram.Settings:
            if (self.chats or self.people) and not self.token.get_secret_value():
                raise ValueError("expected a token where chats or people are named, found none")
            return self

    events = EVENTS
    operates = ("view", "control", "money")
    secrets = ("token",)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._news: Final = News(settings.least, fills=settings.fills, failures=settings.failures)
        self._run_id = ""
        self._operate: Operate | None = None
        self._push: Push | None = None
        self._api: TelegramApi | None = None
        self._gate: Gate | None = None
        self._receiver: Receiver | None = None

    @hookimpl
    async def on_start(self, resources: Resources) -> None:
        """Open the outbox and begin to send and to listen; on virtual time nobody outside can be waited for.

        Without a token there is nobody to talk to, and nothing begins.
        """
        token = resources.secrets.get("token")
        if resources.scale is None or token is None:
            return
        self._run_id, self._operate = resources.run_id, resources.operate
        settings, scale, wall_ms = self.settings, resources.scale, resources.wall_ms
        notebook = open_outbox(Notebook, resources.folder / "outbox.sqlite", wall_ms)
        push = Push("notify_telegram", notebook, scale=scale, wall_ms=wall_ms)
        self._api = TelegramApi(token, settings.api_url, settings.timeout_s, scale)
        self._gate = Gate({person.id: person.role for person in settings.people}, frozenset(settings.chats), push.now_s)
        push.add(self._api, settings.chats, telegram_pace(), Bounds(LONGEST))
        confirmations = Confirmations(settings.confirm_s, push.now_s, wall_ms)
        answering = Answering(self._operate, self._gate, confirmations, settings.command_age_s, wall_ms)
        self._receiver = Receiver(
            self._api, notebook, answering, push.health("listening"), wall_ms=wall_ms, sleep=push.sleep,
            wait_s=settings.poll_s, wake=push.wake,
        )  # fmt: skip
        push.say(self._news.begins(self._run_id))
        push.begin(*([self._receiver.run] if settings.people else []))
        self._push = push

    @hookimpl
    def on_fill(self, fill: Fill, intent: Intent, event_id: str) -> None:
        """Tell a fill."""
        self._say(self._news.fill(fill, intent, event_id))

    @hookimpl
    def on_fail(self, intent: Intent, reason: Reason, detail: str, event_id: str) -> None:
        """Tell an intent that came to nothing."""
        self._say(self._news.failure(intent, reason, detail, event_id))

    @hookimpl
    def on_event(self, event: Stamped) -> None:
        """Tell alerts, changes of the trading state, and what became of commands, whoever asked."""
        self._say(self._news.event(event))

    @hookimpl
    def jobs(self) -> Sequence[Job]:
        """Look after strangers and after the line itself."""
        return [Job("line", 60, self._look)]

    @hookimpl
    async def on_shutdown(self, reason: str) -> None:
        """Send the summary, if Telegram takes it within a moment; it waits for the next run otherwise."""
        push, self._push = self._push, None
        if push is None or self._api is None:
            return
        push.say(self._summary(reason))
        await push.end()
        await quietly(self._api.close(), _CLOSE_S * push.scale, "telegram")

    def _summary(self, reason: str) -> Item:
        item = self._news.ends(self._run_id, reason)
        if self._operate is None:
            return item
        try:
            return item._replace(text=f"{item.text}\n\n{replies.status(self._operate)}")
        except (ArithmeticError, TradecoreError) as error:
            _LOG.warning("telegram: the summary goes without the state of the account: %s", type(error).__name__)
            return item

    def _say(self, item: Item | None) -> None:
        if self._push is not None:
            self._push.say(item)

    def _look(self, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None) -> JobAnswer | None:
        """Alert where strangers knock or known people flood, where somebody else listens, where the line is down."""
        if self._push is None or self._gate is None or self._receiver is None:
            return None
        kept = last or {}
        alerts, state = self._push.watch(kept, market.now_ms)
        knocks = self._gate.strangers + self._gate.floods
        if knocks and _quiet(kept, "told_ms", market.now_ms):
            text = f"{self._gate.strangers} messages of unknown people (the newest {self._gate.newest_stranger}), "
            text += f"{self._gate.floods} beyond the limit of known ones"
            alerts.append(Alert("chat_strangers", "warning", text))
            self._gate.strangers = self._gate.floods = 0
            state["told_ms"] = market.now_ms
        if self._receiver.contested >= _CONTESTED and _quiet(kept, "contested_ms", market.now_ms):
            text = "another program listens with the same token, or a webhook is set: commands may not reach this run"
            alerts.append(Alert("chat_contested", "critical", text))
            self._receiver.contested = 0
            state["contested_ms"] = market.now_ms
        return JobAnswer(alerts=tuple(alerts), state={**kept, **state}) if alerts else None


def _quiet(kept: Mapping[str, object], key: str, now_ms: int) -> bool:
    """Tell whether nothing of a kind was told for ten minutes."""
    told_ms = kept.get(key, 0)
    return now_ms - (told_ms if isinstance(told_ms, int) else 0) >= _QUIET_MS
