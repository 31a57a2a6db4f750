"""The runner: asks cards in order, remembers what was found, and writes the report. Needs no pytest."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import tradecore
from tradecore.market.frame import MarketFrame
from tradecore.testing.contract import (
    entry,
    gates,
    hardship,
    positions,
    purity,
    ranges,
    schema,
    secrecy,
    sessions,
    states,
    telling,
)
from tradecore.testing.contract.asking import one_line, place_of
from tradecore.testing.contract.cards import (
    SUITE_VERSION,
    Broken,
    Card,
    Hanging,
    Outcome,
    Result,
    failed,
    registered,
    skipped,
)
from tradecore.testing.contract.report import CardLine, Report, digest_of
from tradecore.testing.contract.schema import shown_settings
from tradecore.testing.contract.subject import DEFAULTS, Subject, subject_of

FAMILIES: Final = (entry, schema, purity, ranges, hardship, positions, gates, telling, states, secrecy, sessions)
"""Importing them registers their cards."""
CARDS: Final = registered()
BY_NUMBER: Final[Mapping[str, Card]] = {card.number: card for card in CARDS}
LIMIT_S: Final = 30.0
"""Longest time of one card; a plugin that hangs is interrupted and told of."""


def ask_card(card: Card, subject: Subject) -> Result:
    """Ask one card, and first those that it rests on; what was asked before is remembered."""
    known = subject.results.get(card.number)
    if known is None:
        known = subject.results[card.number] = _ask(card, subject)
    return known


def _ask(card: Card, subject: Subject) -> Result:
    if card.hooks and card.hooks.isdisjoint(subject.hooks):
        return skipped(card.skipped_when)
    for number in card.after:
        # What rests on a card that does not apply has its own word for it; only a failure settles others.
        if ask_card(BY_NUMBER[number], subject).outcome is Outcome.FAILED or _settled(number, subject):
            return skipped(f"{BY_NUMBER[number].test_id} did not pass: mend that first")
    try:
        with _limited(LIMIT_S), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return card.check(subject)
    except Broken as error:
        return failed(str(error))
    except Hanging as error:
        return failed(
            f"it did not come back within {LIMIT_S:g} s{place_of(error)}; let no hook wait or loop without end"
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the plugin's code runs in here and may raise anything
        return failed(f"it raised {type(error).__name__}: {one_line(error)}{place_of(error)}; let hooks answer instead")


def _settled(number: str, subject: Subject) -> bool:
    """Tell whether a card was skipped because of a failure before it."""
    result = subject.results[number]
    return result.outcome is Outcome.SKIPPED and result.reason.endswith("mend that first")


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise inside when it takes too long; only on the main thread of systems that have such timers."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hanging

    older: Callable[..., Any] | int | None = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, older)


def report_of(subject: Subject) -> Report:
    """Write down what the cards of a subject found; a card that was not asked is told as skipped."""
    lines = []
    for card in CARDS:
        result = subject.results.get(card.number, skipped("it was not asked"))
        lines.append(CardLine(card.test_id, result.outcome, result.reason))
    version = subject.info.version if subject.info is not None else ""
    return Report(
        SUITE_VERSION, tradecore.__version__, subject.name, version, digest_of(subject.maker.__module__),
        shown_settings(subject), tuple(lines),
    )  # fmt: skip


def check_subject(subject: Subject) -> Report:
    """Ask all cards."""
    for card in CARDS:
        ask_card(card, subject)
    return report_of(subject)


def check(
    plugin: str | type[Any],
    settings: Sequence[Mapping[str, Any]] = (DEFAULTS,),
    frames: Sequence[MarketFrame] = (),
) -> Report:
    """Ask an installed plugin, or a class, all cards.

    Args:
        plugin: Name of its entry point, or the class.
        settings: Sections to ask it with; an empty one stands for the defaults.
        frames: Frames of the author's own, judged beside those of the suite.
    Raises:
        PluginLoadError: If no plugin of that name is installed, or it cannot be imported.
    """
    return check_subject(subject_of(plugin, settings, frames))
