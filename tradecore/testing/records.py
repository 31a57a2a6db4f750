"""The records that a session leaves, read back as plain values: the store's rows and events, and the twin's truth."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from tradecore.model.events import BookedEvent
from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow, Reservation
from tradecore.model.order import Attempt
from tradecore.model.position import Position
from tradecore.model.records import Memory
from tradecore.model.units import ZERO, plus
from tradecore.store.lookups import Lookups
from tradecore.store.queries import database_of, open_reader
from tradecore.venues.twin.records import TwinTrade
from tradecore.venues.twin.truth import TruthEvent, TruthLog, TruthOrder

_ALL: Final = 10**9


class Records(NamedTuple):
    """What a store holds, oldest first. A test may change it with ``_replace`` to see the checker bite."""

    intents: tuple[IntentRow, ...]
    attempts: tuple[Attempt, ...]
    fills: tuple[Fill, ...]
    reservations: tuple[Reservation, ...]
    """Active ones."""
    positions: tuple[Position, ...]
    balances: Mapping[tuple[str, str], Decimal]
    """Ledger balance by (account, currency)."""
    memory: Mapping[str, Memory]
    events: tuple[BookedEvent, ...]


class Truth(NamedTuple):
    """What happened at the twin, told by its events alone."""

    orders: tuple[TruthOrder, ...]
    trades: tuple[TwinTrade, ...]
    balances: Mapping[str, tuple[Decimal, Decimal]]
    """Free and locked by coin."""
    rejections: tuple[TruthEvent, ...]

    def total(self, coin: str) -> Decimal:
        """Free and locked of a coin."""
        return plus(*self.balances.get(coin, (ZERO, ZERO)))


def records_of(place: Path) -> Records:
    """Read all of a store.

    Raises:
        StateFolderError, SchemaMismatch, StoreError: If it cannot be read.
    """
    with open_reader(place) as reader:
        intents, attempts = reader.intents(_ALL), reader.orders(_ALL)
        fills, positions = reader.trades(_ALL), reader.positions(_ALL)
        reservations, balances, memory = reader.reservations(), reader.balances(), reader.memory()
    database = database_of(place)
    raw = database.connect()
    try:
        events = Lookups(database, raw).events_after(0, _ALL)
    finally:
        database.try_close(raw)
    return Records(
        tuple(reversed(intents)), tuple(reversed(attempts)), tuple(reversed(fills)), tuple(reservations),
        tuple(reversed(positions)), dict(balances), dict(memory), tuple(events),
    )  # fmt: skip


def truth_of(place: Path) -> Truth:
    """Read the truth log of a twin's file.

    Raises:
        StateFolderError: If there is no such file.
    """
    log = TruthLog(place)
    try:
        return Truth(tuple(log.orders()), tuple(log.trades()), log.balances(), tuple(log.rejections()))
    finally:
        log.close()
