"""Faults of venues and networks, by name: on demand, always, or by seeded chance.

The names follow the catalogue of reference orders.md 8. A fault never changes what the engine holds to be true but
where its text says so; it changes what the bot gets to see.
"""

from __future__ import annotations

import difflib
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from tradecore.errors import SettingsError


class FaultKind(NamedTuple):
    """A fault that can be asked for."""

    name: str
    on: frozenset[str]
    """Operations that it can hit: place, cancel, order, lists (of orders), trades, balances, time, data."""
    text: str
    default: float = 0.0
    """Its argument where none is given."""
    unit: str = ""
    """Unit of the argument; empty where it takes none."""


_PLACE = frozenset({"place"})
_CANCEL = frozenset({"cancel"})
_READS = frozenset({"order", "lists", "trades", "balances", "time", "data"})
_ALL = _PLACE | _CANCEL | _READS
_ORDERS = frozenset({"order", "lists"})

_KINDS: Final = (
    # The request does not reach the engine.
    FaultKind("not_sent", _ALL, "nothing leaves the machine"),
    FaultKind("lost_request", _PLACE, "request lost on its way; no answer"),
    FaultKind("late_request", _PLACE, "no answer; the request arrives later", 1_000, "ms"),
    FaultKind("http_502", _ALL, "502 page, nothing done"),
    FaultKind("http_403", _ALL, "403 page of a firewall, nothing done"),
    FaultKind("http_404", _ALL, "404 page, nothing done"),
    FaultKind("http_504", _ALL, "504 page, nothing done"),
    FaultKind("maintenance", _ALL, "503 with a maintenance message, nothing done, for a while", 0, "ms"),
    FaultKind("rate_limited", _ALL, "429 with Retry-After, nothing done", 1, "s"),
    FaultKind("banned", _ALL, "418 with Retry-After, nothing done until it is over", 120, "s"),
    FaultKind("insufficient_30005", _PLACE, "refused: less free than asked"),
    FaultKind("symbol_halted", _PLACE, "refused: symbol is not trading"),
    FaultKind("clock_skew", frozenset({"place", "time"}), "venue's clock is ahead", 10_000, "ms"),
    FaultKind("cancel_dropped", _CANCEL, "cancel lost on its way; no answer"),
    FaultKind("read_lost", _READS, "no answer to a read"),
    # The engine does something else than was asked.
    FaultKind("ioc_becomes_gtc", _PLACE, "an IOC is taken as GTC"),
    FaultKind("no_liquidity", _PLACE, "nobody is there for this order"),
    FaultKind("partial_fill", _PLACE, "only a share of each level is there", 0.5, "share"),
    FaultKind("cancel_refused_filled", _CANCEL, "somebody fills the order before the cancel arrives"),
    # The engine did it; the answer is broken.
    FaultKind("lost_ack", _PLACE, "accepted, answer lost"),
    FaultKind("cut_after_accept", _PLACE, "accepted, connection cut"),
    FaultKind("ack_without_status", _PLACE, "accepted, answer without status or amounts"),
    FaultKind("http_500_accepted", _PLACE, "accepted, 500 with code 500"),
    FaultKind("http_502_accepted", _PLACE, "accepted, 502 page"),
    FaultKind("http_503_accepted", _PLACE, "accepted, 503 with code -1000"),
    FaultKind("http_504_accepted", _PLACE, "accepted, 504 with code -1007"),
    FaultKind("code_1006_accepted", _PLACE, "accepted, 400 with code -1006"),
    FaultKind("truncated_body", _PLACE | _READS, "done, answer cut in the middle"),
    FaultKind("html_200", _PLACE | _READS, "done, 200 with a page"),
    FaultKind("empty_body", _PLACE | _READS, "done, 200 without a body"),
    FaultKind("empty_object", _PLACE, "accepted, 200 with {}"),
    FaultKind("null_body", _PLACE | _READS, "done, 200 with null"),
    FaultKind("wrong_echo", _PLACE | frozenset({"order"}), "answer names another client id"),
    FaultKind("wrong_id", _PLACE, "accepted, answer's order id is no id"),
    FaultKind("cancel_lost", _CANCEL, "canceled, answer lost"),
    FaultKind("cancel_502", _CANCEL, "canceled, 502 page"),
    # What is read is old, doubled or missing.
    FaultKind("read_lag", _ORDERS | {"trades"}, "order and trade reads show the past", 1_000, "ms"),
    FaultKind("not_found_for", _ORDERS, "an order is not visible so long after its acceptance", 1_000, "ms"),
    FaultKind("late_fills", frozenset({"trades"}), "trades become visible so late", 1_000, "ms"),
    FaultKind("duplicate_fills", frozenset({"trades"}), "each trade comes twice"),
    FaultKind("stale_executed", frozenset({"order"}), "the newest fill is missing from the order"),
    FaultKind("unmapped_status", frozenset({"order"}), "a status nobody knows"),
    FaultKind("balance_lag", frozenset({"balances"}), "balances show the past", 1_000, "ms"),
)
FAULTS: Final[Mapping[str, FaultKind]] = MappingProxyType({kind.name: kind for kind in _KINDS})


class Asked(NamedTuple):
    """A fault somebody asked for."""

    name: str
    chance: float
    """1 hits always."""
    argument: float
    left: int | None
    """How often yet; ``None`` for ever."""


class Faults:
    """Which faults happen when. Chances are a function of a seed and a counter that the twin's file keeps.

    Args:
        generator: Seeded; asked once.
        asked: Texts ``name``, ``name:chance`` or ``name:chance:argument``.
    Raises:
        SettingsError: If a text names no fault or no number.
    """

    def __init__(self, generator: random.Random, asked: Iterable[str] = ()) -> None:
        self._seed: Final = generator.getrandbits(64)
        self._known: dict[str, FaultKind] = dict(FAULTS)
        self._asked: list[Asked] = []
        self._count: Callable[[], int] = self._count_here
        self._own_count = 0
        self.happened: Final[Counter[str]] = Counter()
        """How often each fault hit."""
        for text in asked:
            self.ask_text(text)

    def count_with(self, count: Callable[[], int]) -> None:
        """Use a counter that outlives the process: each call gives the next number."""
        self._count = count

    def learn(self, kinds: Mapping[str, FaultKind]) -> None:
        """Know more faults: those that only a wire can have."""
        self._known.update(kinds)

    @property
    def known(self) -> Mapping[str, FaultKind]:
        """Every fault that can be asked for, by name."""
        return self._known

    @property
    def asked(self) -> Sequence[Asked]:
        """What is in force."""
        return tuple(self._asked)

    def ask(self, name: str, share: float = 1.0, argument: float | None = None, times: int | None = None) -> None:
        """Let a fault hit.

        Args:
            share: Chance for each operation that it can hit, 0 to 1.
            argument: In the fault's unit; ``None`` takes its default.
            times: How often at most, >= 1; ``None`` for ever.
        Raises:
            SettingsError: If there is no such fault, or a number is out of range.
        """
        kind = self._kind(name)
        if not 0 <= share <= 1:
            raise SettingsError(f"twin.faults: {name} expects a chance from 0 to 1, was {share}")
        if times is not None and times < 1:
            raise SettingsError(f"twin.faults: {name} expects a number of times >= 1, was {times}")
        if argument is not None and not (kind.unit and 0 <= argument < float("inf")):
            wanted = f"an argument >= 0 in {kind.unit}" if kind.unit else "no argument"
            raise SettingsError(f"twin.faults: {name} expects {wanted}, was {argument}")
        self._asked.append(Asked(name, share, kind.default if argument is None else argument, times))

    def ask_text(self, text: str) -> None:
        """Let a fault hit as a text ``name``, ``name:chance`` or ``name:chance:argument`` says.

        Raises:
            SettingsError: If it names no fault or no number.
        """
        name, *rest = text.split(":")
        self._kind(name)
        try:
            numbers = [float(part) for part in rest]
        except ValueError:
            numbers = [0.0] * 3
        if len(numbers) > 2:
            raise SettingsError(f"twin.faults: expected name, name:chance or name:chance:argument, was {text!r}")
        self.ask(name, numbers[0] if numbers else 1.0, numbers[1] if len(numbers) > 1 else None)

    def once(self, name: str, argument: float | None = None, times: int = 1) -> None:
        """Let a fault hit the next `times` operations that it can hit."""
        self.ask(name, 1.0, argument, times)

    def always(self, name: str, argument: float | None = None) -> None:
        """Let a fault hit every operation that it can hit."""
        self.ask(name, 1.0, argument)

    def sometimes(self, name: str, chance: float, argument: float | None = None) -> None:
        """Let a fault hit by chance, 0 to 1."""
        self.ask(name, chance, argument)

    def clear(self, name: str | None = None) -> None:
        """Ask for no fault any more, or for one of a name no more."""
        self._asked = [asked for asked in self._asked if name is not None and asked.name != name]

    def draw(self, operation: str) -> dict[str, float]:
        """Which faults hit this operation, with their arguments, in the order in which they were asked for."""
        if not self._asked:
            return {}
        hits: dict[str, float] = {}
        for place, asked in enumerate(self._asked):
            if operation not in self._known[asked.name].on or asked.left == 0:
                continue
            if asked.chance < 1.0 and self._lot() >= asked.chance:
                continue
            if asked.left is not None:
                self._asked[place] = asked._replace(left=asked.left - 1)
            hits.setdefault(asked.name, asked.argument)
        self._asked = [asked for asked in self._asked if asked.left != 0]
        self.happened.update(hits.keys())
        return hits

    def _kind(self, name: str) -> FaultKind:
        kind = self._known.get(name)
        if kind is None:
            near = difflib.get_close_matches(name, self._known, 1)
            hint = f", did you mean {near[0]!r}" if near else ""
            raise SettingsError(f"twin.faults: expected the name of a fault, was {name!r}{hint}")
        return kind

    def _lot(self) -> float:
        digest = hashlib.blake2b(f"{self._seed}|{self._count()}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def _count_here(self) -> int:
        self._own_count += 1
        return self._own_count
