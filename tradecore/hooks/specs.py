"""The promises: every hook that the core asks, and the only words a guest needs to know.

pluggy finds guests and checks these names; ``calls.py`` asks them, one by one, and gives each hook its meaning.
``HOOKS.md`` of the design is the contract; ``docs/hooks.md`` has a heading and an example for each.

Deciding hooks (`signal`, `follow`, `size`, `risk_check`, `route_order`) are plain functions of their arguments:
no I/O, no clock, no randomness, no threads, no state that matters. Telling hooks may be async and have a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy
from pydantic import SecretStr

if TYPE_CHECKING:
    from tradecore.market.answers import Plan, Wishes
    from tradecore.market.frame import Market, MarketFrame
    from tradecore.model.book import Book
    from tradecore.model.events import Stamped
    from tradecore.model.fill import Fill
    from tradecore.model.instrument import Instrument
    from tradecore.model.intent import Intent
    from tradecore.model.order import AttemptView, Done, OrderRequest
    from tradecore.model.portfolio import Portfolio
    from tradecore.model.position import Position
    from tradecore.model.reasons import Reason
    from tradecore.model.signal import Job, Keep, Signal, Size, Verdict
    from tradecore.ports.operate import Operate

PROJECT = "tradecore"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

DECIDING = ("signal", "follow", "size", "risk_check", "route_order")
TELLING = ("on_start", "on_fill", "on_fail", "on_event", "on_shutdown")
PROPOSING = ("jobs", "universe")
HOOKS = (*DECIDING, *PROPOSING, *TELLING)


def wall_ms() -> int:
    """Milliseconds since 1970 UTC, by the system's clock."""
    return time.time_ns() // 1_000_000


class Resources(NamedTuple):
    """What `on_start` is handed: the only place for files, sockets and tasks."""

    folder: Path
    """A folder of the guest's own below the state folder."""
    files: Mapping[str, bytes]
    """Model files named in the guest's `resources`, opened and digested by the core."""
    run_id: str
    secrets: Mapping[str, SecretStr] = MappingProxyType({})
    """The guest's settings named in its `secrets`, to the secret that each refers to; the journal masks them."""
    operate: Operate | None = None
    """For a guest that `operates`: views and commands. ``None`` where ``run.operators`` does not name it."""
    scale: float | None = 1.0
    """Seconds of the loop per second of the wall. ``None``: time is virtual and jumps, so that nobody outside can be
    waited for: a guest that talks to the outside must leave it."""
    wall_ms: Callable[[], int] = wall_ms
    """Milliseconds since 1970 UTC of the wall, for what people and servers outside date; nothing is decided by it."""


class Hooks:
    """Hook specifications. Not called: read by pluggy and by the docs test."""

    @hookspec
    def signal(self, frame: MarketFrame, rows: range) -> Wishes:
        """Say for a block of rows and all symbols how far each is from the guest's condition.

        Called: once per row that closes, or ahead for many rows of recorded data; the answers must be the same.
        Args:
            frame: Rows; an answer for a row may use that row and the guest's `warmup` rows before it.
            rows: Indices into the frame that are asked for.
        Returns:
            `Wishes` with arrays of shape [len(rows), symbols].
        Combine: each guest's hits are candidates, ordered by strength, guest order, symbol; where none hits, the guest
            with the smallest relative margin names the outcome. A guest with ``role = "filter"`` must hold for the
            guests in its `applies_to`.
        None or an exception: a wisher: no wish, counted. A filter: entries in its scope are shut.
        """

    @hookspec
    def follow(self, frame: MarketFrame, rows: range, position: Position) -> Plan | None:
        """Say which prices are in force for an open position in each row.

        Called: when a position opens or changes and at each close; the frame's last row may be one that has not
            closed yet (all NaN).
        Args:
            frame: Rows before and with `rows`.
            rows: Indices asked for. Levels of a row come from rows before it; `leave` from rows up to and with it.
            position: Its peak and trough are those before the first of `rows`.
        Returns:
            A `Plan`; ``None`` means "not mine, nothing to say".
        Combine: highest stop, lowest take, earliest leave. Several hit in one row: time, stop, take, close, add.
        None or an exception: the last durable plan stays in force; on an exception entries halt.
        """

    @hookspec
    def size(self, signal: Signal, portfolio: Portfolio, instrument: Instrument, market: Market) -> Size | None:
        """Say how much of an entry to buy.

        Returns:
            `Size` in base units with the rule that binds.
        Combine: the smallest quantity binds; the core then cuts to free budget and lot, and checks the minimum
            notional.
        None or an exception: the entry is denied. Never asked for exits.
        """

    @hookspec
    def risk_check(self, intent: Intent, portfolio: Portfolio, market: Market) -> Verdict | None:
        """Check an entry, and again before each of its attempts.

        Args:
            intent: Before the reservation it is what would be made.
            portfolio: `pending` does not hold the intent asked about.
        Returns:
            `Verdict`: checks with value and threshold, and caps. An empty Verdict is "no objection".
        Combine: every guest must allow; the tightest cap binds.
        None or an exception: the entry is denied. Never asked for exits.
        """

    @hookspec
    def route_order(
        self, intent: Intent, book: Book | None, attempts: Sequence[AttemptView], now_ms: int
    ) -> OrderRequest | Done | None:
        """Say what to send next for an intent.

        Called: first, and again each time the attempt before is settled.
        Args:
            book: Newest book; ``None`` where there is none.
            attempts: All attempts so far, oldest first, all settled.
        Returns:
            `OrderRequest`, `Done` with a reason, or ``None`` for "not mine".
        Combine: the first taker keeps the intent to its end.
        None or an exception: an entry FAILED with reason; an exit goes on the core's own ladder.
        """

    @hookspec
    def jobs(self) -> Sequence[Job]:
        """Name work to be done at an interval. A job proposes signals, locks or Tunes; it never trades.

        None or an exception: the guest has no jobs, counted.
        """

    @hookspec
    def universe(
        self, instruments: Mapping[str, Instrument], quotes: Mapping[str, Book], market: Market
    ) -> Sequence[Keep]:
        """Keep or remove symbols, a reason for each; a symbol not named is kept.

        Called: at the start, and again each `intervals.universe_s`; in force from the next row on. A removal shuts
            entries on the symbol; a position that is open there is led and left as ever.
        Args:
            instruments: Of this run's symbols.
            quotes: Newest books; a symbol without one is absent.
            market: Its rows are closed hours, as many as the guest's `warmup` names for ``1h``; fewer at the start.
        Combine: a symbol stays if no guest removes it.
        None or an exception: its answer before this one stands, at first nothing is removed; counted.
        """

    @hookspec
    def on_start(self, resources: Resources) -> Any:
        """Be told that the run begins. May be async; has a deadline.

        An exception: the guest is quarantined for this hook and told nothing more of it; the run goes on, unless the
        guest is a filter, a risk, sizing or routing guest, whose silence shuts entries.
        """

    @hookspec
    def on_fill(self, fill: Fill, intent: Intent, position: Position | None, event_id: str) -> Any:
        """Be told of one venue trade, after it is booked. May be async; has a deadline.

        Args:
            position: After the fill; ``None`` where the fill belongs to none (an orphan's).
            event_id: The same after a crash, when it may come again.
        """

    @hookspec
    def on_fail(self, intent: Intent, reason: Reason, detail: str, event_id: str) -> Any:
        """Be told of an intent that ended without a fill; denials are outcomes, not failures. May be async."""

    @hookspec
    def on_event(self, event: Stamped) -> Any:
        """Be told of an event of a kind in the guest's `events`, from a bounded queue beside the trading path."""

    @hookspec
    def on_shutdown(self, reason: str) -> Any:
        """Be told that the run ends, in reverse order of the guest list. May be async; has a deadline."""
