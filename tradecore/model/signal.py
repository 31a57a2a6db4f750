"""A wish that passed the core's comparison, and what gates say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from tradecore.model.alert import Alert
from tradecore.model.lock import Lock
from tradecore.model.units import PositionId, Side, SignalId


class Signal(NamedTuple):
    """A candidate whose value met its threshold. Made by the core, never by a guest (R3)."""

    signal_id: SignalId
    """Hash of plugin, symbol, side and row: the same wish twice is one signal."""
    plugin: str
    """The guest; where a job proposes one, empty is its own name, which it need not know."""
    symbol: str
    side: Side
    decided_ms: int
    """Close of the row that was judged, market time."""
    expires_ms: int
    price: Decimal
    """Quote per base: the row's close for an entry, the level or touch for an exit."""
    price_ms: int
    strength: float
    """0 to 1; candidates of one row are asked strongest first."""
    reason: str
    value: float
    threshold: float
    unit: str
    position_id: PositionId | None = None
    """The position that an exit or an add is for; ``None`` for an entry."""
    fraction: Decimal = Decimal(1)
    """Share of the position that an exit sells, 0 < fraction <= 1."""
    quote_wanted: Decimal | None = None
    """Quote units that the guest asks for; ``None`` leaves it to the sizing guests."""
    tag: str = ""
    group: str = ""
    """Legs of one row with the same group are reserved all or none; empty stands alone."""


class Check(NamedTuple):
    """One limit of a risk guest, hit or not (R31)."""

    limit: str
    value: Decimal
    threshold: Decimal
    unit: str
    hit: bool


#: Caps that a Verdict may carry; the tightest of all guests binds (HOOKS.md). Units are in the names.
CAPS = frozenset({"slippage_bps_max", "spread_bps_max", "notional_quote_max", "ttl_ms_max", "taking_orders_max"})


class Verdict(NamedTuple):
    """What a risk guest says of an intent. Any check with `hit` denies; an empty Verdict is "no objection"."""

    checks: tuple[Check, ...] = ()
    caps: Mapping[str, Decimal] = {}
    """Names out of `CAPS`."""
    inputs: Mapping[str, str] = {}
    """What the figures were made from, for the journal."""


class Size(NamedTuple):
    """What a sizing guest offers; the smallest of all guests binds."""

    quantity: Decimal
    """Base units, >= 0; 0 is a named refusal."""
    constraint: str
    """The rule of the guest that set this quantity."""
    inputs: Mapping[str, str] = {}


class Tune(NamedTuple):
    """A job's wish to change another guest's setting from the next row on."""

    setting: str
    """``plugin.key``."""
    value: str | int | float | bool
    reason: str


JobFunction = Callable[[Any, Any, "Mapping[str, object] | None"], "JobAnswer | None"]
"""(portfolio, market, last durable answer) to an answer; ``None`` means nothing to propose."""


class Job(NamedTuple):
    """Work that a guest wants done at an interval. It proposes; it never trades.

    `ask` is called with (portfolio, market, last) where `last` is its own last durable answer or ``None``.
    """

    name: str
    interval_s: float
    ask: JobFunction


class JobAnswer(NamedTuple):
    """What a job proposes. `state` is JSON-able, is stored, and is handed back as `last`."""

    tunes: tuple[Tune, ...] = ()
    signals: tuple[Signal, ...] = ()
    state: Mapping[str, object] | None = None
    locks: tuple[Lock, ...] = ()
    """Symbols to keep entries away from. The core keeps them durably and enforces them until they expire or an
    operator lifts them; one that is proposed again without newer evidence (`since_ms`) changes nothing."""
    alerts: tuple[Alert, ...] = ()
    """What a person should look at; each becomes an `alert_fired` event with the guest's name."""
    merges: tuple[str, ...] | None = None
    """Symbols on which the next position takes along what earlier ones left behind as dust, until the next answer that
    names any; ``None`` leaves it as it is."""


class Keep(NamedTuple):
    """A universe guest's word on one symbol."""

    symbol: str
    keep: bool
    reason: str
