"""Cards: what the contract asks of a plugin, one numbered question each, and how a question may end."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tradecore.testing.contract.subject import Subject

SUITE_VERSION: Final = "1.0"
"""Rises with every card that is added or asks for more than before."""


class Outcome(enum.StrEnum):
    """How a card ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Result(NamedTuple):
    """What became of one card."""

    outcome: Outcome
    reason: str = ""
    """Failed: what was found and what to change. Skipped: why. Passed: empty."""


PASSED: Final = Result(Outcome.PASSED)


def failed(reason: str) -> Result:
    """Make the result of a card that found something wrong.

    Args:
        reason: What was found, then what the author changes.
    """
    return Result(Outcome.FAILED, reason)


def skipped(reason: str) -> Result:
    """Make the result of a card that does not apply."""
    return Result(Outcome.SKIPPED, reason)


class Broken(Exception):
    """A promise that the plugin does not keep: raised by helpers, turned into `failed` by the runner."""


class Hanging(BaseException):
    """Raised inside a card that takes too long; no Exception, so that a plugin's own handlers let it pass."""


Check = Callable[["Subject"], Result]


class Card(NamedTuple):
    """One question of the contract."""

    number: str
    """``C01``; never given to another question."""
    slug: str
    family: str
    title: str
    prerequisite: str
    action: str
    expectation: str
    skipped_when: str
    hooks: frozenset[str]
    """The plugin needs one of these; empty asks every plugin."""
    after: tuple[str, ...]
    """Numbers of cards that must not have failed: after their failure this one could only repeat them."""
    check: Check

    @property
    def test_id(self) -> str:
        """``C31-no-look-ahead``: what pytest shows."""
        return f"{self.number}-{self.slug}"


_CARDS: Final[dict[str, Card]] = {}


def card(
    number: str,
    slug: str,
    family: str,
    title: str,
    *,
    action: str,
    expectation: str,
    prerequisite: str = "",
    skipped_when: str = "",
    hooks: tuple[str, ...] = (),
    after: tuple[str, ...] = ("C04",),
) -> Callable[[Check], Check]:
    """Register a check as a card.

    Raises:
        ValueError: If the number is taken.
    """

    def register(check: Check) -> Check:
        if number in _CARDS:
            raise ValueError(f"expected each card number once, was {number} twice")
        need = prerequisite or (f"the plugin has {_either(hooks)}" if hooks else "none")
        why = skipped_when or (f"it has no {_either(hooks)}" if hooks else "never")
        _CARDS[number] = Card(
            number, slug, family, title, need, action, expectation, why, frozenset(hooks), after, check
        )
        return check

    return register


def registered() -> tuple[Card, ...]:
    """All cards of the families that were imported, by number; `suite.CARDS` has every one."""
    return tuple(_CARDS[number] for number in sorted(_CARDS))


def _either(hooks: tuple[str, ...]) -> str:
    names = [f"`{hook}`" for hook in hooks]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
