"""The life of a position."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.events.kinds import Taxonomy, event_kind


@event_kind("sell_trigger_eval", Taxonomy.ORDER, booked=True)
class SellTriggerEval(NamedTuple):
    """An exit level or condition was hit, with all its inputs (R27)."""

    position_id: str
    symbol: str
    reason: str
    by: str
    level: Decimal | None
    price: Decimal
    average_price: Decimal
    peak_price: Decimal
    age_ms: int
    inputs: Mapping[str, str]


@event_kind("sell_sizing_calc", Taxonomy.ORDER, booked=True)
class SellSizingCalc(NamedTuple):
    """How much of a position can be sold (R28)."""

    position_id: str
    symbol: str
    position_quantity: Decimal
    free_quantity: Decimal
    quantity: Decimal
    dust_quantity: Decimal


@event_kind("exit_refused", Taxonomy.ORDER, booked=True)
class ExitRefused(NamedTuple):
    """A position is to be left and no order may be made of it now: the core's own check says why (R28)."""

    position_id: str
    symbol: str
    reason: str
    """Why it is to be left."""
    code: str
    """What stands against it."""
    value: Decimal
    """What was measured against the limit: base units, or quote units for a notional."""
    threshold: Decimal
    position_quantity: Decimal
    free_quantity: Decimal
    became: str
    """``dust``: booked as such, the position is closed; ``unsellable``: tried again later."""
    rounds: int
    """Rounds that did not sell all they were to sell, so far."""


@event_kind("position_opened", Taxonomy.ORDER, booked=True)
class PositionOpened(NamedTuple):
    """The first fill of an entry made a position."""

    position_id: str
    symbol: str
    plugin: str
    quantity: Decimal
    average_price: Decimal


@event_kind("position_updated", Taxonomy.ORDER, booked=True)
class PositionUpdated(NamedTuple):
    """A position's quantity, levels or state changed (R29)."""

    position_id: str
    symbol: str
    what: str
    quantity: Decimal
    average_price: Decimal
    mark: Decimal | None
    unrealised_pnl_quote: Decimal | None
    peak_price: Decimal
    stop: Decimal | None
    take: Decimal | None
    age_ms: int


@event_kind("position_closed", Taxonomy.ORDER, booked=True)
class PositionClosed(NamedTuple):
    """A round trip ended (R29)."""

    position_id: str
    symbol: str
    plugin: str
    reason: str
    realised_pnl_quote: Decimal
    fees_quote: Decimal
    duration_ms: int
    dust_quantity: Decimal


@event_kind("dust_taken", Taxonomy.ORDER, booked=True)
class DustTaken(NamedTuple):
    """A position took dust of earlier ones along: its exit sells both (R50)."""

    position_id: str
    symbol: str
    plugin: str
    """The guest that asked for it."""
    quantity: Decimal
    """Base units, of all together."""
    cost_quote: Decimal
    """What they had cost."""
    taken: Mapping[str, Decimal]
    """Position that left it to base units."""
    position_quantity: Decimal
    """What the position holds with it."""


@event_kind("trailing_update", Taxonomy.ORDER, booked=True)
class TrailingUpdate(NamedTuple):
    """A stop moved up."""

    position_id: str
    symbol: str
    by: str
    old_stop: Decimal | None
    new_stop: Decimal
    peak_price: Decimal
