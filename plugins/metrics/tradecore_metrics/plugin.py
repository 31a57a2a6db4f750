"""Count what the core tells and hand the figures to Prometheus, StatsD and a JSON file (R47)."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from tradecore import Fill, Intent, Job, JobAnswer, Market, Portfolio, Reason, Resources, hookimpl
from tradecore.model.events import SessionEnded, Stamped
from tradecore_metrics import account
from tradecore_metrics.exporter import Exporter
from tradecore_metrics.figures import Figures
from tradecore_metrics.hearing import KINDS, Hearing
from tradecore_metrics.sinks import StatsD


class Metrics:
    """Keep the figures of one run; a thread of its own hands them out.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `metrics`."""

        endpoint: bool = Field(
            True,
            description="Answer scrapes of Prometheus at `http://host:port/metrics`.",
            json_schema_extra={"unit": "flag"},
        )
        host: str = Field(
            "127.0.0.1",
            description="Address to listen on. There is no password: others than this machine need a proxy before it.",
            json_schema_extra={"unit": "IP address"},
        )
        port: int = Field(
            9464,
            ge=0,
            le=65_535,
            description="Port to listen on; 0 takes any free one, which the JSON file names.",
            json_schema_extra={"unit": "number"},
        )
        file: str = Field(
            "metrics.json",
            description="JSON file, in the guest's folder `plugins/metrics` of the state unless absolute; empty: none.",
            json_schema_extra={"unit": "path"},
        )
        statsd: str = Field(
            "",
            description="StatsD server to send to over UDP, as `127.0.0.1:8125`; empty: none.",
            json_schema_extra={"unit": "host:port"},
        )
        statsd_tags: bool = Field(
            True,
            description="Send labels as tags (`|#side:buy`); false puts their values into the names.",
            json_schema_extra={"unit": "flag"},
        )
        symbols_max: int = Field(
            200,
            ge=0,
            le=5_000,
            description="Symbols that a figure by symbol shows at a time; those beyond are left out of it.",
            json_schema_extra={"unit": "symbols"},
        )

        @field_validator("host")
        @classmethod
        def _is_address(cls, host: str) -> str:
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise ValueError(f"expected an IP address, as 127.0.0.1, was {host!r}") from None
            return host

        @field_validator("statsd")
        @classmethod
        def _is_host_and_port(cls, statsd: str) -> str:
            host, _, port = statsd.rpartition(":")
            if statsd and not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
                raise ValueError(f"expected host:port with a port of 1 to 65535, was {statsd!r}")
            return statsd

    events: ClassVar[frozenset[str]] = KINDS
    warmup: ClassVar[Mapping[str, str]] = {}

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._exporter: Exporter | None = None
        """``None`` until the run begins."""

    @functools.cached_property
    def figures(self) -> Figures:
        """The figures; made when the first is told, since their library looks at clock and process as it makes them."""
        return Figures(self.settings.symbols_max)

    @functools.cached_property
    def _hearing(self) -> Hearing:
        return Hearing(self.figures)

    @hookimpl
    def on_start(self, resources: Resources) -> None:
        """Begin to listen; a port in use is an alert, never a fault: trading goes on without an endpoint."""
        settings = self.settings
        host, _, port = settings.statsd.rpartition(":")
        self._exporter = Exporter(
            self.figures,
            address=(settings.host, settings.port) if settings.endpoint else None,
            file=Path(resources.folder, settings.file) if settings.file else None,
            statsd=StatsD(host.strip("[]"), int(port), tags=settings.statsd_tags) if settings.statsd else None,
            run_id=resources.run_id,
            live=resources.scale is not None,
        )
        self._exporter.start()

    @hookimpl
    def jobs(self) -> Sequence[Job]:
        """Look at the account and export at the interval `metrics_export_s`."""
        return (Job("metrics_export", 60.0, self._export),)

    def _export(self, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None) -> JobAnswer | None:
        """Take the account's figures and ask for an export; tells what did not work since the last time."""
        account.take(self.figures, portfolio, self._hearing.exposure_limit)
        if self._exporter is None:
            return None
        self._exporter.ask(portfolio.as_of_ms)
        alerts = self._exporter.alerts()
        return JobAnswer(alerts=alerts) if alerts else None

    @hookimpl
    def on_event(self, event: Stamped) -> None:
        """Count an event; with the end of the run the file is written a last time, so that it holds everything."""
        self._hearing.event(event)
        if self._exporter is not None and isinstance(event.event, SessionEnded):
            self._exporter.export(self._hearing.newest_ms, final=True)

    @hookimpl
    def on_fill(self, fill: Fill, intent: Intent, event_id: str) -> None:
        """Count a trade, once."""
        self._hearing.fill(fill, intent, event_id)

    @hookimpl
    def on_fail(self, intent: Intent, reason: Reason, event_id: str) -> None:
        """Count an intent that ended without a fill, once."""
        self._hearing.failed(intent, reason, event_id)

    @hookimpl
    def on_shutdown(self, reason: str) -> Any:
        """Export a last time and close the endpoint."""
        if self._exporter is not None:
            self._exporter.close(self._hearing.newest_ms)
