"""State: nothing is shared between instances, nothing outlives one, a restart in any phase changes no answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradecore.hooks.guest import Guest
from tradecore.testing.contract.asking import ASKED, Question, ask, held, ordinary
from tradecore.testing.contract.cards import PASSED, Result, card, failed
from tradecore.testing.contract.fingerprint import difference, fingerprint
from tradecore.testing.contract.markets import Grid
from tradecore.testing.contract.subject import Subject
from tradecore.testing.contract.values import (
    book_of,
    histories,
    instrument_of,
    intent_of,
    market_of,
    portfolio_of,
    portfolios,
    signal_of,
)

_FAMILY = "Restart and state"


@card(
    "C70",
    "restart-in-each-phase",
    _FAMILY,
    "A restart in any phase changes no answer",
    hooks=ASKED,
    after=("C20",),
    action=(
        "Lead one instance through a trade: wish, size, check, each attempt, the open position row by row, the exit. "
        "At every "
        "step ask a new instance too."
    ),
    expectation="The new one answers the same: all it needs is what the core hands over.",
)
def restart_in_each_phase(subject: Subject) -> Result:
    """Compare one that lived with one that just began."""
    for number in range(len(subject.sections)):
        lived = subject.fresh(number)
        for question in _trade(lived, subject.grid(number)):
            one, other = (fingerprint(ask(guest, question)) for guest in (lived, subject.fresh(number)))
            if one != other:
                return failed(
                    f"{question.hook} in the phase '{question.about}' answers otherwise after a restart: "
                    f"{difference(one, other)}{subject.about(number)}; rebuild what you need from the arguments "
                    "(attempts, "
                    "position.peak_price, memo, portfolio), an instance's own memory is lost"
                )
    return PASSED


def _trade(guest: Guest, grid: Grid) -> Iterator[Question]:
    """Make the questions of one trade in their order."""
    frame = grid.frame(61, empty=0.0)
    start = min(grid.warmup_rows + 2, frame.rows - 12)
    if "signal" in guest.hooks:
        for row in range(start, start + 10):
            yield Question("signal", f"before the entry, row {row}", (frame.cut(0, row + 1), range(row, row + 1)))
    market = market_of(frame.cut(0, start + 1))
    now_ms = market.now_ms
    for portfolio in (portfolio_of(now_ms), *list(portfolios(now_ms).values())[:2]):
        if "size" in guest.hooks:
            yield Question("size", "sizing", (signal_of(now_ms), portfolio, instrument_of(), market))
        if "risk_check" in guest.hooks:
            yield Question("risk_check", "checking", (intent_of(now_ms), portfolio, market))
    for sells in (False, True):
        intent = intent_of(now_ms, sells=sells)
        for about, attempts in histories(intent).items():
            if "route_order" in guest.hooks:
                phase = f"{'exit' if sells else 'entry'} after {about}"
                yield Question("route_order", phase, (intent, book_of(now_ms), tuple(attempts), now_ms + 1_000))
    if "follow" in guest.hooks:
        yield from _lead(frame, start)


def _lead(frame: Any, start: int) -> Iterator[Question]:
    """Questions row by row, peak and trough carried as the core carries them."""
    position = held(frame, start)
    column = frame.index(position.symbol)
    for row in range(start + 1, frame.rows):
        yield Question("follow", f"position open, row {row}", (frame.cut(0, row + 1), range(row, row + 1), position))
        high, low = (type(position.peak_price)(repr(float(part[row, column]))) for part in (frame.high, frame.low))
        position = position._replace(
            peak_price=max(position.peak_price, high), trough_price=min(position.trough_price, low)
        )


@card(
    "C71",
    "instances-share-nothing",
    _FAMILY,
    "Two instances do not know each other",
    hooks=ASKED,
    after=("C20",),
    action="Ask one instance; make others with each section and ask them; ask the first again.",
    expectation="The first one's answers agree to the bit.",
)
def instances_share_nothing(subject: Subject) -> Result:
    """Interleave instances."""
    first = subject.fresh()
    questions = list(ordinary(first, subject.grid()))
    before = [fingerprint(ask(first, question)) for question in questions]
    for number in range(len(subject.sections)):
        other = subject.fresh(number)
        for question in ordinary(other, subject.grid(number), seed=99):
            ask(other, question)
    for question, one in zip(questions, before, strict=True):
        two = fingerprint(ask(first, question))
        if one != two:
            return failed(
                f"{question.hook} on {question.about} answered otherwise after another instance was asked: "
                f"{difference(one, two)}; move what is shared (a module's or a class's variable) into the "
                "instance's settings"
            )
    return PASSED


@card(
    "C72",
    "no-module-state",
    _FAMILY,
    "Nothing is kept in a module or a class",
    hooks=ASKED,
    action=(
        "Compare the dictionaries, lists, sets and plain values of the plugin's modules and class before and after "
        "asking."
    ),
    expectation="They are the same: what is kept there is shared by all instances and lost with the process.",
)
def no_module_state(subject: Subject) -> Result:
    """Compare modules before and after."""
    for number in range(len(subject.sections)):
        guest = subject.fresh(number)
        for question in ordinary(guest, subject.grid(number), seed=71):
            try:
                guest.asks[question.hook](*question.arguments)
            except Exception:  # noqa: BLE001 - what a hook raises is told by the card that asks for accepted answers
                continue
    after = subject.module_values()
    changed = sorted(name for name in after if subject.begun.get(name) != after[name])
    if changed:
        return failed(
            f"{', '.join(changed)} changed while the plugin was asked; keep nothing in modules or classes, two "
            "plugins of the "
            "same class would share it and a restart would lose it"
        )
    return PASSED
