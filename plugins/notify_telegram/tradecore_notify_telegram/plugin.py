"""Tell people by Telegram what the bot does, and let the right ones command it (R49)."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
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
from tradecore.model.alert import SEVERITIES
from tradecore.model.events import AlertFired, OperatorCommand, Stamped, TradingStateChanged
from tradecore_notify_telegram import replies
from tradecore_notify_telegram.answering import Answering
from tradecore_notify_telegram.api import TelegramApi
from tradecore_notify_telegram.outbox import Outbox
from tradecore_notify_telegram.people import Confirmations, Gate, Person
from tradecore_notify_telegram.receiver import Receiver
from tradecore_notify_telegram.sender import Health, Sender
from tradecore_notify_telegram.words import line

_LOG: Final = logging.getLogger("tradecore_notify_telegram")
_QUIET_MS: Final = 600_000
_DOWN_S: Final = 300.0
_LAST_S: Final = 1.2
"""Seconds of the wall that the last messages have: one a second goes to a chat."""
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
            description="How long a code of `resume` and `forceexit` is good for.",
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

    events = frozenset({"alert_fired", "operator_command", "trading_state"})
    operates = ("view", "control", "money")
    secrets = ("token",)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._told = {"fills": 0, "failures": 0, "alerts": 0}
        self._run_id = ""
        self._operate: Operate | None = None
        self._outbox: Outbox | None = None
        self._api: TelegramApi | None = None
        self._sender: Sender | None = None
        self._gate: Gate | None = None
        self._lines: tuple[Health, ...] = ()
        """Sending, then listening: one may work where the other does not."""
        self._tasks: list[asyncio.Task[None]] = []
        self._scale = 1.0

    @hookimpl
    async def on_start(self, resources: Resources) -> None:
        """Open the outbox and begin to send and to listen; on virtual time nobody outside can be waited for.

        Without a token there is nobody to talk to, and nothing begins.
        """
        if resources.scale is None or "token" not in resources.secrets:
            return
        token = resources.secrets.get("token")
        if token is None:
            return  # nobody is named either: the channel is switched off
        self._run_id, self._operate = resources.run_id, resources.operate
        loop, scale = asyncio.get_running_loop(), resources.scale
        self._scale = scale

        def now_s() -> float:
            return loop.time() / scale

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds * scale)

        settings = self.settings
        try:
            self._outbox = Outbox(resources.folder / "outbox.sqlite")
        except sqlite3.Error as error:
            _LOG.warning("telegram: the outbox cannot be opened, messages do not survive a restart: %s", error)
            self._outbox = Outbox(None)
        self._api = TelegramApi(token, settings.api_url, settings.timeout_s, scale)
        self._lines = sending, listening = Health(now_s), Health(now_s)
        self._gate = Gate({person.id: person.role for person in settings.people}, frozenset(settings.chats), now_s)
        self._sender = Sender(self._api, self._outbox, sending, now_s, sleep)
        confirmations = Confirmations(settings.confirm_s, now_s)
        answering = Answering(self._operate, self._gate, confirmations, settings.command_age_s, resources.wall_ms)
        receiver = Receiver(
            self._api, self._outbox, answering, listening, wall_ms=resources.wall_ms, sleep=sleep,
            wait_s=settings.poll_s, wake=self._sender.wake,
        )  # fmt: skip
        self._say(f"start/{self._run_id}", f"run {self._run_id} begins")
        works = [("telegram-sender", self._sender.run)]
        if settings.people:
            works.append(("telegram-receiver", receiver.run))
        self._tasks = [asyncio.create_task(work(), name=name) for name, work in works]

    @hookimpl
    def on_fill(self, fill: Fill, intent: Intent, event_id: str) -> None:
        """Tell a fill."""
        self._told["fills"] += 1
        if self.settings.fills:
            self._say(event_id, replies.fill_text(fill, intent))

    @hookimpl
    def on_fail(self, intent: Intent, reason: Reason, detail: str, event_id: str) -> None:
        """Tell an intent that came to nothing."""
        self._told["failures"] += 1
        if self.settings.failures:
            self._say(event_id, replies.failure_text(intent, reason, detail))

    @hookimpl
    def on_event(self, event: Stamped) -> None:
        """Tell alerts, changes of the trading state, and what became of commands, whoever asked."""
        match event.event:
            case AlertFired() as alert:
                known = alert.severity in SEVERITIES  # what nobody knows is taken for grave
                if known and SEVERITIES.index(alert.severity) < SEVERITIES.index(self.settings.least):
                    return
                self._told["alerts"] += 1
                head = "over" if alert.resolved else line(alert.severity, 20).upper()
                self._say(
                    f"alert/{event.at_ns}/{alert.by}/{alert.name}/{alert.resolved}",
                    f"{head}: {line(alert.name, 64)} ({line(alert.by, 40)}): {line(alert.text, 1_000)}",
                )
            case TradingStateChanged() as changed:
                words = (
                    f"trading is {changed.new} (was {changed.old}), by {line(changed.actor)}: {line(changed.reason)}"
                )
                self._say(f"state/{event.at_ns}", words)
            case OperatorCommand() as command:
                words = f"{command.verb} {line(command.argument, 60)}".rstrip()
                self._say(
                    f"command/{command.command_id}", f"{words}, by {line(command.actor)}: {line(command.result, 1_000)}"
                )

    @hookimpl
    def jobs(self) -> Sequence[Job]:
        """Look after strangers and after the line itself."""
        return [Job("line", 60, self._look)]

    @hookimpl
    async def on_shutdown(self, reason: str) -> None:
        """Send the summary, if Telegram takes it within a moment; it waits for the next run otherwise."""
        if self._outbox is None or self._api is None or self._sender is None:
            return
        self._say(f"stop/{self._run_id}", self._summary(reason))
        for task in self._tasks[1:]:
            task.cancel()
        try:
            async with asyncio.timeout(_LAST_S * self._scale):
                await self._sender.emptied()
        except (TimeoutError, sqlite3.Error):
            _LOG.info("telegram: what is left is sent by the next run")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(_CLOSE_S * self._scale):
                await self._api.close()
        except Exception as error:  # noqa: BLE001 - whatever a closing connection does, the run ends
            _LOG.info("telegram: closing failed: %s", type(error).__name__)
        self._outbox.close()
        self._outbox = None

    def _summary(self, reason: str) -> str:
        told = self._told
        text = f"run {self._run_id} ends: {line(reason)}\n{told['fills']} fills, {told['failures']} intents without "
        text += f"a fill, {told['alerts']} alerts"
        return f"{text}\n\n{replies.status(self._operate)}" if self._operate is not None else text

    def _say(self, key: str, text: str) -> None:
        """Put a message into the outbox for each chat; a disk that does not take it costs the message only."""
        if self._outbox is None or self._sender is None:
            return
        try:
            for chat in self.settings.chats:
                self._outbox.put(key, chat, text)
        except sqlite3.Error as error:
            self._lines[0].ill(f"the outbox cannot be written: {error}")
        self._sender.wake()

    def _look(self, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None) -> JobAnswer | None:
        """Alert where strangers knock or known people flood, and where the line is down; at most every ten minutes."""
        if self._gate is None:
            return None
        kept = last or {}
        alerts = []
        knocks = self._gate.strangers + self._gate.floods
        told_ms = kept.get("told_ms", 0)
        state = dict(kept)
        if knocks and market.now_ms - (told_ms if isinstance(told_ms, int) else 0) >= _QUIET_MS:
            text = f"{self._gate.strangers} messages of unknown people (the newest {self._gate.newest_stranger}), "
            alerts.append(
                Alert("chat_strangers", "warning", text + f"{self._gate.floods} beyond the limit of known ones")
            )
            self._gate.strangers = self._gate.floods = 0
            state["told_ms"] = market.now_ms
        ill = [one for one in self._lines if one.why]
        down = any(one.lasting_s() >= _DOWN_S for one in ill)
        if down != bool(kept.get("down")) and (down or not ill):
            text = ill[0].why if down else "Telegram can be reached again"
            alerts.append(Alert("chat_down", "warning", text, resolved=not down))
            state["down"] = down
        return JobAnswer(alerts=tuple(alerts), state=state) if alerts else None
