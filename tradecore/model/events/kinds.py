"""What an event is, its stamp and the one registry of kinds (R39 to R41).

An event is a NamedTuple of plain values: text, int, float, bool, Decimal, ``None``, and tuples or string
mappings of them. Order and ledger events are *booked*: they are rows of the transaction that they
report and are never dropped. The rest are diagnostics: they may be dropped, counted.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar


class Taxonomy(enum.StrEnum):
    """The five families of R39, each a set of journal files with its own retention."""

    DECISION = "decision"
    ORDER = "order"
    TRACER = "tracer"
    AUDIT = "audit"
    HEALTH = "health"


class Ids(NamedTuple):
    """Correlation ids (R40); empty where they do not apply. The session id is the journal's own."""

    decision: str = ""
    """The signal id."""
    intent: str = ""
    client_order: str = ""
    venue_order: str = ""


NO_IDS: Final = Ids()


class Kind(NamedTuple):
    """A registered event kind."""

    name: str
    taxonomy: Taxonomy
    booked: bool
    schema: type[Any]


class Stamped(NamedTuple):
    """An event with its moment and its ids, before it has a sequence number."""

    at_ns: int
    event: Any
    """One of the registered NamedTuples."""
    ids: Ids = NO_IDS


class BookedEvent(NamedTuple):
    """A booked event as the store holds it: the journal follows these by `sequence`."""

    sequence: int
    """Rises by one per event, without a hole, from 1."""
    stamped: Stamped


REGISTRY: Final[dict[str, Kind]] = {}
_BY_TYPE: Final[dict[type[Any], Kind]] = {}
_E = TypeVar("_E", bound=type[Any])


def event_kind(name: str, taxonomy: Taxonomy, *, booked: bool = False) -> Callable[[_E], _E]:
    """Register a schema under its name; used as a decorator by the modules beside this one."""

    def register(schema: _E) -> _E:
        kind = Kind(name, taxonomy, booked, schema)
        assert name not in REGISTRY, name
        REGISTRY[name] = kind
        _BY_TYPE[schema] = kind
        return schema

    return register


def kind_of(event: Any) -> Kind:
    """Look an event's kind up.

    Raises:
        KeyError: If its type is not registered.
    """
    return _BY_TYPE[type(event)]


def kind_of_type(schema: type[Any]) -> Kind:
    """Look the kind of a schema up.

    Raises:
        KeyError: If it is not registered.
    """
    return _BY_TYPE[schema]
