"""One question to the guests about an entry or an order, with everything they were handed and what they said."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.engine.explain.looked import MarketFacts
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Cap, Intent
from tradecore.model.order import AttemptView, OrderRequest
from tradecore.model.portfolio import Portfolio
from tradecore.model.signal import Signal

ENTRY: Final = "entry"
"""May this signal become an intent: `size`, then `risk_check`, then the core's own looks at the book."""
GATE: Final = "gate"
"""May this intent go on to its next attempt: `risk_check` again."""
ROUTE: Final = "route"
"""What is sent next for this intent: `route_order`."""


class Limits(NamedTuple):
    """The core's own figures that an entry is held to."""

    max_slippage_bps: Decimal
    max_spread_bps: Decimal
    intent_ttl_ms: int


class Answer(NamedTuple):
    """What came of a question. Two answers are the same where all that is decided is the same."""

    outcome: str
    """The reason code: ``INTENT_CREATED`` or why not; ``ALLOWED`` for a gate, ``ORDER`` for a router's order."""
    by: str = ""
    """The guest that decided, or ``core``; for a size that of whom it is."""
    limit: str = ""
    """The limit that denied, as ``spread_bps``; empty where none did."""
    value: Decimal | None = None
    """What was measured; ``None`` where nothing was."""
    threshold: Decimal | None = None
    unit: str = ""
    detail: str = ""
    quantity: Decimal | None = None
    """Base units of the intent or the order; ``None`` where there is none."""
    constraint: str = ""
    price_cap: Decimal | None = None
    caps: Mapping[str, Cap] = {}
    order: OrderRequest | None = None

    @property
    def decided(self) -> tuple[object, ...]:
        """What counts when two answers are compared: not the measured figures on the way."""
        return (self.outcome, self.by, self.limit, self.quantity, self.price_cap, self.order)


class DecisionInputs(NamedTuple):
    """A question as it was asked: enough to ask it again."""

    question: str
    """``entry``, ``gate`` or ``route``."""
    signal: Signal
    market: MarketFacts
    answer: Answer
    book: Book | None = None
    """The book that the core looked at, or that the router was handed; ``None``: there was no fresh one."""
    portfolio: Portfolio | None = None
    """``None`` for a route: a router is not handed one."""
    instrument: Instrument | None = None
    limits: Limits | None = None
    """For an entry alone."""
    stop_price: Decimal | None = None
    intent: Intent | None = None
    """The intent asked about; for an entry what was made, if any was."""
    attempts: tuple[AttemptView, ...] = ()
    router: str = ""
    """For a route, the guest that kept the intent; empty: all are asked."""
    tunes: Mapping[str, str] = {}
    """``plugin.key`` to the tuned value in force."""
    guests: Mapping[str, str] = {}
    """Guest to version."""
