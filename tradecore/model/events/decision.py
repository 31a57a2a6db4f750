"""What was decided of a candidate, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.events.kinds import Taxonomy, event_kind


class CheckFact(NamedTuple):
    """One gate of a candidate: which guest, which limit, how far."""

    plugin: str
    limit: str
    value: Decimal
    threshold: Decimal
    unit: str
    hit: bool


@event_kind("scan_outcomes", Taxonomy.DECISION)
class ScanOutcomes(NamedTuple):
    """One row judged: how many candidates, and how many ended in which outcome (R4)."""

    row_ms: int
    candidates: int
    outcomes: Mapping[str, int]
    duration_us: int
    """0 on virtual time."""


class OutcomeGroup(NamedTuple):
    """Candidates of one interval that ended for the same reason by the same guest; the lists run along `symbols`."""

    outcome: str
    by: str
    """The guest that decided, or ``core``."""
    unit: str
    symbols: tuple[str, ...]
    counts: tuple[int, ...]
    """Rows in which the symbol ended so."""
    margins: tuple[float, ...] = ()
    """The smallest distance to the condition, relative to the threshold; empty where nothing was measured."""
    values: tuple[float, ...] = ()
    """What was measured then."""
    thresholds: tuple[float, ...] = ()
    offsets_ms: tuple[int, ...] = ()
    """When that was, from the interval's first row."""


@event_kind("candidate_outcomes", Taxonomy.DECISION)
class CandidateOutcomes(NamedTuple):
    """Every candidate of five minutes: exact counts by symbol, reason and guest, and the nearest miss of each (R4)."""

    first_ms: int
    """Close of the first row."""
    last_ms: int
    rows: int
    candidates: int
    """The sum of all counts: symbols of the universe x rows."""
    groups: tuple[OutcomeGroup, ...]


@event_kind("universe_removed", Taxonomy.DECISION)
class UniverseRemoved(NamedTuple):
    """A universe guest keeps a symbol out: no entries until it is asked again."""

    symbol: str
    plugin: str
    reason: str


@event_kind("universe_returned", Taxonomy.DECISION)
class UniverseReturned(NamedTuple):
    """No universe guest keeps a symbol out any more."""

    symbol: str
    plugin: str
    """The guest that had kept it out."""
    reason: str
    """Why it had."""


@event_kind("drop_trigger_eval", Taxonomy.DECISION)
class DropTriggerEval(NamedTuple):
    """A signal guest's value met its threshold in this row."""

    plugin: str
    symbol: str
    row_ms: int
    value: float
    threshold: float
    unit: str
    reason: str
    strength: float
    price: Decimal


@event_kind("guards_eval", Taxonomy.DECISION)
class GuardsEval(NamedTuple):
    """What the risk guests said of one intent, every check (R31)."""

    symbol: str
    attempt: int
    """0 before the reservation, then the attempt that it was asked for."""
    allowed: bool
    checks: tuple[CheckFact, ...]
    caps: Mapping[str, str]


@event_kind("risk_limits_eval", Taxonomy.DECISION)
class RiskLimitsEval(NamedTuple):
    """The check that denied an intent, named (R31)."""

    symbol: str
    plugin: str
    limit: str
    value: Decimal
    threshold: Decimal
    unit: str


@event_kind("decision_outcome", Taxonomy.DECISION)
class DecisionOutcome(NamedTuple):
    """A candidate whose signal was met, and what became of it."""

    plugin: str
    symbol: str
    row_ms: int
    outcome: str
    decided_by: str
    """The guest, or ``core``."""
    value: float
    threshold: float
    margin: float
    """Relative to the threshold; <= 0 is inside."""
    unit: str
    detail: str = ""
    limit: str = ""
    """What refused it, as ``spread_bps`` or a check of a risk guest; empty where nothing was measured."""
    limit_value: Decimal | None = None
    limit_threshold: Decimal | None = None
    limit_unit: str = ""


@event_kind("refusals_again", Taxonomy.DECISION)
class RefusalsAgain(NamedTuple):
    """The same refusal in rows that follow each other: what the first of them says stands in its `decision_outcome`."""

    plugin: str
    symbol: str
    outcome: str
    decided_by: str
    first_ms: int
    """Close of the first row told here."""
    offsets_ms: tuple[int, ...]
    """Row by row, from the first: so many candidates ended so."""
    values: tuple[float, ...]
    """What the signal guest measured, row by row."""
    threshold: float
    """The newest."""
    unit: str
    limit: str
    limit_values: tuple[Decimal, ...]
    """What refused them, row by row; empty where nothing was measured."""
    limit_threshold: Decimal | None
    """The newest."""
    limit_unit: str
    detail: str


@event_kind("decision_record", Taxonomy.DECISION)
class DecisionRecord(NamedTuple):
    """What the guests were handed and what came of it, so that they can be asked again (`tradecore why --what-if`).

    The texts are the fields of the values one after the other, as `tradecore/engine/explain/tokens.py` writes them.
    """

    question: str
    """``entry`` (size, risk_check, the book), ``gate`` (risk_check before a further attempt) or ``route``."""
    symbol: str
    outcome: str
    """A reason code; ``ALLOWED`` for a gate, ``ORDER`` for a router's order."""
    by: str
    """The guest that decided, or ``core``."""
    body: tuple[str, ...]
    refers: Mapping[str, str]
    """What it shares with other questions: names of parts."""
    parts: Mapping[str, tuple[str, ...]]
    """The parts that it is the first to name, since the hour began or events were lost."""


@event_kind("sizing_calc", Taxonomy.DECISION)
class SizingCalc(NamedTuple):
    """All sizes offered and the one that binds."""

    symbol: str
    quantity: Decimal
    constraint: str
    offers: Mapping[str, str]
    free_quote: Decimal
    price_cap: Decimal


@event_kind("dynamic_constraints", Taxonomy.DECISION)
class DynamicConstraints(NamedTuple):
    """Caps in force on an intent and who set them (R8)."""

    symbol: str
    caps: Mapping[str, str]
    inputs: Mapping[str, str]


@event_kind("price_snapshot", Taxonomy.TRACER)
class PriceSnapshot(NamedTuple):
    """The touch at a decision or a send."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    age_ms: int
    source: str
