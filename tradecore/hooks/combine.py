"""What several answers mean together: pure rules, no guest is asked here (HOOKS.md, "how answers combine")."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tradecore.market.answers import Plan, Wishes
from tradecore.model.events import CheckFact
from tradecore.model.intent import Cap
from tradecore.model.order import Done, OrderRequest
from tradecore.model.signal import Keep, Size, Verdict


class Silence(NamedTuple):
    """A guest that gave no usable answer."""

    fault: str
    """``guest.hook: what happened``."""


class SignalAnswers(NamedTuple):
    """Answers of all signal guests for one block, in guest order; ``None`` where a guest faulted or is quarantined."""

    wishers: tuple[tuple[str, Wishes | None], ...]
    filters: tuple[tuple[str, tuple[str, ...] | None, Wishes | None], ...]
    """Name, the guests that it judges (``None``: all), and its answer (``None``: shut in its scope)."""


class FollowAnswers(NamedTuple):
    """Plans for one position, in guest order."""

    plans: tuple[tuple[str, Plan], ...]
    faulted: bool
    """True where a guest failed or is quarantined: its last durable plan stays in force, entries halt."""


class LastWords:
    """What each universe guest said last: of one that fails it stands, so that no fault lets a symbol in."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Keep, ...]] = {}

    def heard(
        self, answers: Iterable[tuple[str, tuple[Keep, ...] | Silence]], symbols: Collection[str]
    ) -> tuple[tuple[str, Keep], ...]:
        """Take the answers to one question, in guest order; returns what holds of the symbols asked about."""
        found: list[tuple[str, Keep]] = []
        for name, answer in answers:
            if not isinstance(answer, Silence):
                self._kept[name] = answer
            found += [(name, keep) for keep in self._kept.get(name, ()) if keep.symbol in symbols]
        return tuple(found)


class SizeAnswer(NamedTuple):
    """The size that binds."""

    best: Size | None
    """``None``: denied."""
    by: str
    """The guest whose size binds; of equal ones the first in order."""
    offers: Mapping[str, Size]
    fault: str
    """Why it is denied; empty where it is not."""


class RiskAnswer(NamedTuple):
    """What all risk guests say together."""

    allowed: bool
    checks: tuple[CheckFact, ...]
    caps: Mapping[str, Cap]
    """Name out of `CAPS` to the tightest cap and the guest that set it."""
    inputs: Mapping[str, str]
    """``guest.name`` to text."""
    denied_by: str
    """The guest that denied; empty where none did or no guest was there to ask."""
    denied: CheckFact | None
    """The first check that was hit; ``None`` where a fault denied, or nothing."""
    fault: str
    """Why there is no verdict; empty where there is one."""


class RouteAnswer(NamedTuple):
    """What a router says."""

    router: str
    """The guest that took the intent, or that was asked; empty where none took it."""
    answer: OrderRequest | Done | None
    fault: str
    """Why there is no answer; empty also where every router said "not mine"."""


def smallest(answers: Iterable[tuple[str, Size | Silence | None]]) -> SizeAnswer:
    """Take the smallest size. Every guest must answer: silence, ``None`` or a fault of any one denies."""
    offers: dict[str, Size] = {}
    fault = ""
    by = ""
    for name, answer in answers:
        if isinstance(answer, Size):
            offers[name] = answer
            if not by or answer.quantity < offers[by].quantity:
                by = name
        else:
            fault = fault or _unanswered(name, "size", "Size", answer)
    if not offers and not fault:
        fault = "no sizing guest"
    best = offers[by] if by and not fault else None
    return SizeAnswer(best, by if best is not None else "", MappingProxyType(offers), fault)


def tightest(answers: Iterable[tuple[str, Verdict | Silence | None]]) -> RiskAnswer:
    """Allow what every guest allows, under the tightest cap of each name. No guest, no entry."""
    checks: list[CheckFact] = []
    caps: dict[str, Cap] = {}
    inputs: dict[str, str] = {}
    silent, fault, asked = "", "", False
    denied: CheckFact | None = None
    for name, answer in answers:
        asked = True
        if not isinstance(answer, Verdict):
            if not fault:
                fault, silent = _unanswered(name, "risk_check", "Verdict", answer), name
            continue
        for check in answer.checks:
            fact = CheckFact(name, *check)
            checks.append(fact)
            if check.hit and denied is None:
                denied = fact
        for cap, value in answer.caps.items():
            if cap not in caps or value < caps[cap].value:
                caps[cap] = Cap(value, name, answer.inputs)
        inputs.update((f"{name}.{key}", text) for key, text in answer.inputs.items())
    if not asked:
        fault = "no risk guest"
    allowed = not fault and denied is None
    denied_by = denied.plugin if denied is not None else silent
    return RiskAnswer(
        allowed, tuple(checks), MappingProxyType(caps), MappingProxyType(inputs), denied_by, denied, fault
    )


def _unanswered(name: str, hook: str, expected: str, answer: Silence | object) -> str:
    return answer.fault if isinstance(answer, Silence) else f"{name}.{hook}: expected {expected}, was None"
