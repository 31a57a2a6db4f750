"""Write alerts, and fills and failures where asked for, into the log and a file of JSON lines (R48)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import BaseModel, Field, field_validator

from tradecore import Fill, Intent, Reason, Resources, hookimpl
from tradecore.channels.news import grave, reaches
from tradecore.model.events import Stamped
from tradecore.model.units import canonical
from tradecore_notify_log.lines import LineFile

_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


class NotifyLog:
    """A channel: whatever it cannot write is counted, and trading goes on.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `notify_log`."""

        least: Literal["info", "warning", "critical"] = Field(
            "info", description="Alerts below this severity are left out.", json_schema_extra={"unit": "name"}
        )
        log: bool = Field(
            True,
            description="Write to the program's log, at the level of the severity.",
            json_schema_extra={"unit": "flag"},
        )
        file: str = Field(
            "alerts.jsonl",
            description="File of JSON lines in the plugin's folder of the state; empty writes none.",
            json_schema_extra={"unit": "file name"},
        )
        max_mb: int = Field(
            10,
            ge=1,
            le=1_000,
            description="At this size the file becomes `.1` and a new one begins.",
            json_schema_extra={"unit": "MB"},
        )
        fills: bool = Field(False, description="Write every fill too.", json_schema_extra={"unit": "flag"})
        failures: bool = Field(
            False, description="Write every intent that ended without a fill too.", json_schema_extra={"unit": "flag"}
        )

        @field_validator("file")
        @classmethod
        def _plain_name(cls, name: str) -> str:
            if name and (not name.isprintable() or "/" in name or name.startswith(".")):
                raise ValueError(f"expected a plain file name or nothing, was {name!r}")
            return name

    events = frozenset({"alert_fired"})

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lines: LineFile | None = None
        self._log = logging.getLogger("tradecore_notify_log")

    @hookimpl
    def on_start(self, resources: Resources) -> None:
        """Know where the file goes."""
        if self.settings.file:
            self._lines = LineFile(resources.folder / self.settings.file, self.settings.max_mb * 2**20)

    @hookimpl
    def on_event(self, event: Stamped) -> None:
        """Write an alert."""
        alert = event.event
        if not reaches(alert.severity, self.settings.least):
            return
        level = "info" if alert.resolved else grave(alert.severity)
        facts = {
            "kind": "alert", "name": alert.name, "severity": alert.severity, "by": alert.by,
            "resolved": alert.resolved, "text": alert.text,
        }  # fmt: skip
        what = "resolved" if alert.resolved else alert.severity
        self._write(event.at_ns // 1_000_000, level, f"{what}: {alert.name} by {alert.by}: {alert.text}", facts)

    @hookimpl
    def on_fill(self, fill: Fill, intent: Intent, event_id: str) -> None:
        """Write a fill, where asked for."""
        if not self.settings.fills:
            return
        trade = fill.trade
        words = f"fill: {trade.side} {canonical(trade.quantity)} {trade.symbol} at {canonical(trade.price)}"
        facts = {
            "kind": "fill", "id": event_id, "symbol": trade.symbol, "side": str(trade.side),
            "quantity": canonical(trade.quantity), "price": canonical(trade.price), "fee": canonical(trade.fee),
            "fee_currency": trade.fee_currency, "plugin": intent.signal.plugin,
        }  # fmt: skip
        self._write(trade.traded_ms, "info", words, facts)

    @hookimpl
    def on_fail(self, intent: Intent, reason: Reason, detail: str, event_id: str) -> None:
        """Write a failure, where asked for."""
        if not self.settings.failures:
            return
        words = f"failed: {intent.side} {intent.symbol}: {reason} {detail}".rstrip()
        facts = {
            "kind": "failure", "id": event_id, "symbol": intent.symbol, "side": str(intent.side),
            "reason": str(reason), "detail": detail,
        }  # fmt: skip
        self._write(intent.created_ms, "info", words, facts)

    @hookimpl
    def on_shutdown(self, reason: str) -> None:
        """Say how much was lost, where something was."""
        if self._lines is not None and self._lines.failed and self.settings.log:
            self._log.warning("%d lines could not be written to the file", self._lines.failed)

    def _write(self, at_ms: int, level: str, text: str, facts: Mapping[str, object]) -> None:
        if self.settings.log:
            # one line: what others have written into it must not look like lines of ours
            self._log.log(_LEVELS[level], "%s", text.encode("unicode_escape").decode("ascii"))
        if self._lines is not None:
            moment = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
            self._lines.put({"at": moment, **facts})
