"""Tell people what the bot does, by any of the services that Apprise knows (R48)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from pydantic import BaseModel, Field, SecretStr, model_validator

from tradecore import Alert, Fill, Intent, Job, JobAnswer, Market, Portfolio, Reason, Resources, hookimpl
from tradecore.channels.news import EVENTS, Item, News
from tradecore.channels.outbox import Outbox
from tradecore.channels.pace import Limit, Pace
from tradecore.channels.push import Push, open_outbox
from tradecore.channels.sender import Bounds
from tradecore.model.events import Stamped
from tradecore_notify_apprise.address import ADDRESSES_MAX, LONGEST, MISSING, Service, addresses_in, place_of, there

_LOG: Final = logging.getLogger("tradecore_notify_apprise")
_TRIES_MAX: Final = 60
"""About an hour: Apprise does not say whether a service refuses a message or cannot be reached."""


class NotifyApprise:
    """A channel that only tells. Nothing of it is on the trading path: hooks write to a file, a task has it sent.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
        """Settings of `notify_apprise`."""

        addresses: SecretStr = Field(
            SecretStr(""),
            description="Where the addresses are: `env:NAME`, `file:PATH` or `credential:NAME`; never an address.",
            json_schema_extra={"unit": "reference"},
        )
        fills: bool = Field(True, description="Tell every fill.", json_schema_extra={"unit": "flag"})
        failures: bool = Field(
            True, description="Tell every intent that ended without a fill.", json_schema_extra={"unit": "flag"}
        )
        least: Literal["info", "warning", "critical"] = Field(
            "warning", description="Alerts below this severity are not told.", json_schema_extra={"unit": "name"}
        )
        per_minute: int = Field(
            10,
            ge=1,
            le=60,
            description="Most messages to each address; what waits meanwhile is joined.",
            json_schema_extra={"unit": "1/min"},
        )
        timeout_s: int = Field(
            10, ge=1, le=60, description="Longest wait for a service.", json_schema_extra={"unit": "s"}
        )

        @model_validator(mode="after")
        def _is_there(self) -> NotifyApprise.Settings:
            if self.addresses.get_secret_value() and not there():
                raise ValueError(MISSING)
            return self

    events = EVENTS
    secrets = ("addresses",)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._news: Final = News(settings.least, fills=settings.fills, failures=settings.failures)
        self._run_id = ""
        self._push: Push | None = None
        self._services: list[Service] = []

    @hookimpl
    async def on_start(self, resources: Resources) -> None:
        """Open the outbox and begin to send; on virtual time nobody outside can be waited for.

        Without an address there is nobody to tell, and nothing begins.
        """
        secret = resources.secrets.get("addresses")
        if resources.scale is None or secret is None:
            return
        self._run_id = resources.run_id
        outbox = open_outbox(Outbox, resources.folder / "outbox.sqlite", resources.wall_ms)
        push = Push("notify_apprise", outbox, scale=resources.scale, wall_ms=resources.wall_ms)
        limits = (Limit(self.settings.per_minute, 60.0), Limit(1, 1.0))
        found = addresses_in(secret.get_secret_value())
        if len(found) > ADDRESSES_MAX:
            _LOG.warning("expected at most %d addresses, found %d: the others are not told", ADDRESSES_MAX, len(found))
        for address in found[:ADDRESSES_MAX]:
            service = Service(address, self.settings.timeout_s, resources.scale)
            self._services.append(service)
            place = place_of(address)
            push.add(service, [place], Pace(limits, _nothing), Bounds(LONGEST, _TRIES_MAX), only=place)
        push.say(self._news.begins(self._run_id))
        push.begin()
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
        """Look after the lines themselves."""
        return [Job("line", 60, self._look)]

    @hookimpl
    async def on_shutdown(self, reason: str) -> None:
        """Send the summary, if the services take it within a moment; it waits for the next run otherwise."""
        push, self._push = self._push, None
        if push is None:
            return
        push.say(self._news.ends(self._run_id, reason))
        await push.end()
        for service in self._services:
            service.close()

    def _say(self, item: Item | None) -> None:
        if self._push is not None:
            self._push.say(item)

    def _look(self, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None) -> JobAnswer | None:
        """Alert where an address is none, and where a service is down or takes nothing."""
        if self._push is None:
            return None
        kept = last or {}
        alerts, state = self._push.watch(kept, market.now_ms)
        unknown = ", ".join(str(number) for number, one in enumerate(self._services, 1) if one.known is False)
        asked = all(one.known is not None for one in self._services)
        if asked and unknown != kept.get("unknown", ""):
            words = f"addresses that apprise does not know: number {unknown}"
            text = words if unknown else "apprise knows all addresses"
            alerts.append(Alert("chat_address", "warning", text, resolved=not unknown))
            state["unknown"] = unknown
        return JobAnswer(alerts=tuple(alerts), state={**kept, **state}) if alerts else None


def _nothing(place: int) -> Sequence[Limit]:
    """Each address has a sender, and so a pace, of its own: it has no limit beside that of the whole."""
    return ()
