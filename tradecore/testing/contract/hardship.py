"""Hardship: bad data, odd markets, extreme numbers, raising inputs, and the time that a hook may take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import numpy as np

from tradecore.hooks.guest import Guest
from tradecore.hooks.watchdog import Overrun
from tradecore.market.frame import MarketFrame
from tradecore.model.units import price_of
from tradecore.settings.sections import Deadlines
from tradecore.testing.contract.asking import (
    DECIDING,
    Question,
    ask,
    ask_raw,
    held,
    hours_of,
    ordinary,
    universe_question,
)
from tradecore.testing.contract.cards import PASSED, Result, card, failed
from tradecore.testing.contract.markets import hard_frames, scaled
from tradecore.testing.contract.subject import Subject
from tradecore.testing.contract.values import (
    ARGUMENTS,
    book_of,
    histories,
    instrument_of,
    intent_of,
    market_of,
    portfolios,
    position_of,
    signal_of,
)
from tradecore.testing.contract.watchers import monotonic_s

_FAMILY = "Bad data and extremes"
_FRAMED: Final = ("signal", "follow")
_GATES: Final = ("size", "risk_check", "route_order")
_MANY: Final = 2_000
_TRIES: Final = 3
_HOPELESS: Final = 4


def _over_frame(guest: Guest, frame: MarketFrame, about: str) -> Iterator[Question]:
    """Questions of `signal` and `follow` about all rows of a frame, and about its last one alone."""
    last = range(max(0, frame.rows - 1), frame.rows)
    for rows in (range(frame.rows), last):
        if "signal" in guest.hooks:
            yield Question("signal", about, (frame, rows))
        if "follow" in guest.hooks and frame.rows:
            place = position_of(int(frame.timestamps[0]), price_of(100.0))
            yield Question("follow", about, (frame, rows, place))


@card(
    "C40",
    "gaps-and-silence",
    _FAMILY,
    "No data, gaps, no volume and a price that stands still are no surprise",
    hooks=_FRAMED,
    after=("C20",),
    action="Ask about markets that are all NaN, full of holes, with a gap of 12 rows, without volume, with one price.",
    expectation="The answers are accepted; a cell without data (NaN close) never meets a wisher's threshold.",
)
def gaps_and_silence(subject: Subject) -> Result:
    """Ask about hard markets."""
    for number, (about, guest) in enumerate(subject.guests()):
        for name, frame in hard_frames(subject.grid(number)).items():
            for question in _over_frame(guest, frame, name + about):
                answer = ask(guest, question)
                if question.hook == "signal" and guest.role == "wisher":
                    rows = question.arguments[1]
                    empty = np.isnan(frame.close[rows.start : rows.stop])
                    if (answer.hits() & empty).any():
                        return failed(
                            f"signal on {name} wishes for a symbol that has no data in that row{about}; "
                            "answer NaN where frame.close is NaN"
                        )
    return PASSED


@card(
    "C41",
    "one-symbol",
    _FAMILY,
    "One symbol and few rows are enough",
    hooks=_FRAMED,
    after=("C20",),
    action="Ask about a market of one symbol, and about one of a single row.",
    expectation="The answers are accepted.",
)
def one_symbol(subject: Subject) -> Result:
    """Ask about the smallest markets."""
    for number, (about, guest) in enumerate(subject.guests()):
        grid = subject.grid(number)
        for name, frame in (("one symbol", grid.frame(31, symbols=1)), ("one row", grid.frame(32, rows=1))):
            for question in _over_frame(guest, frame, name + about):
                ask(guest, question)
    return PASSED


@card(
    "C42",
    "no-rows",
    _FAMILY,
    "An empty question gets an empty answer",
    hooks=("signal", "follow", "universe"),
    after=("C20",),
    action=(
        "Ask for no rows of a frame, for a frame without rows, for one without symbols, for a universe without symbols."
    ),
    expectation="The answers are accepted: arrays of the asked shape, perhaps with no cell.",
)
def no_rows(subject: Subject) -> Result:
    """Ask for nothing."""
    guest, grid = subject.guest(), subject.grid()
    frame = grid.frame(33)
    bare = grid.frame(34, symbols=0)
    if "signal" in guest.hooks:
        ask(guest, Question("signal", "no rows of a frame", (frame, range(3, 3))))
        ask(guest, Question("signal", "a frame without rows", (frame.cut(0, 0), range(0))))
        ask(guest, Question("signal", "a frame without symbols", (bare, range(bare.rows))))
    if "follow" in guest.hooks:
        ask(guest, Question("follow", "no rows of a frame", (frame, range(3, 3), held(frame, 1))))
    if "universe" in guest.hooks:
        ask(guest, Question("universe", "no symbols", ({}, {}, hours_of({}, {}))))
    return PASSED


@card(
    "C43",
    "two-thousand-symbols",
    _FAMILY,
    "2,000 symbols are answered in time",
    hooks=("signal", "universe"),
    after=("C20",),
    action="Ask for one row of 2,000 symbols; the fastest of three tries counts.",
    expectation="The answer is accepted and comes within the hook's deadline.",
)
def two_thousand_symbols(subject: Subject) -> Result:
    """Ask about a whole venue."""
    guest, grid = subject.guest(), subject.grid()
    if "signal" in guest.hooks:
        frame = grid.frame(35, rows=grid.warmup_rows + 2, symbols=_MANY)
        question = Question("signal", "2,000 symbols", (frame, range(frame.rows - 1, frame.rows)))
        late = _late(guest, question)
        if late:
            return failed(late)
    if "universe" in guest.hooks:
        late = _late(guest, universe_question(tuple(f"C{place}/USDT" for place in range(_MANY))))
        if late:
            return failed(late)
    return PASSED


def _late(guest: Guest, question: Question) -> str:
    """Say how late the fastest of some tries was; empty where it was in time."""
    limit_ms = float(getattr(Deadlines(), question.hook))
    spent_ms = []
    for _ in range(_TRIES):
        start = monotonic_s()
        ask(guest, question)
        spent_ms.append((monotonic_s() - start) * 1_000)
        if spent_ms[-1] <= limit_ms:
            return ""
        if spent_ms[-1] > _HOPELESS * limit_ms:
            break  # no other load on the machine explains that
    return (
        f"{question.hook} on {question.about} took {min(spent_ms):.0f} ms, its deadline is {limit_ms:g} ms; "
        "compute over whole arrays instead of cell by cell, and prepare what does not change in the constructor"
    )


@card(
    "C44",
    "time-budget",
    "Time",
    "Each hook answers within its deadline",
    hooks=(*DECIDING, "jobs", "universe"),
    after=("C20",),
    action="Ask ordinary questions, `signal` about 256 rows of 137 symbols; the fastest of three tries counts.",
    expectation="Each answer comes within the default deadline of its hook (`engine.deadlines_ms`).",
)
def time_budget(subject: Subject) -> Result:
    """Measure each hook."""
    for number, (about, guest) in enumerate(subject.guests()):
        grid = subject.grid(number)
        questions = list(ordinary(guest, grid))
        if "signal" in guest.hooks and number == 0:
            frame = grid.frame(36, rows=grid.warmup_rows + 256, symbols=137)
            block = range(grid.warmup_rows, frame.rows)
            questions.append(Question("signal", "256 rows of 137 symbols", (frame, block)))
        for question in questions:
            late = _late(guest, question)
            if late:
                return failed(late + about)
    return PASSED


@card(
    "C45",
    "extreme-prices",
    _FAMILY,
    "Prices of 1e-9 and 1e9 are prices",
    hooks=DECIDING,
    after=("C20",),
    action="Ask about markets, entries, exits and positions at 1e-9 and at 1e9 quote.",
    expectation="The answers are accepted, amounts and prices above 0.",
)
def extreme_prices(subject: Subject) -> Result:
    """Ask at both ends."""
    for number, (about, guest) in enumerate(subject.guests()):
        grid = subject.grid(number)
        plain = grid.frame(37, empty=0.0)
        for text in ("1e-9", "1e9"):
            frame = scaled(plain, float(text) / 100.0)
            price = Decimal(text)
            where = f"a price of {text}{about}"
            for question in (*_over_frame(guest, frame, where), *_at_price(guest, frame, price, where)):
                ask(guest, question)
    return PASSED


def _at_price(guest: Guest, frame: MarketFrame, price: Decimal, about: str) -> Iterator[Question]:
    market = market_of(frame, price)
    now_ms = market.now_ms
    filters = instrument_of(tick="0.0000000000001", lot="0.00000001" if price > 1 else "1", least="0")
    for portfolio in portfolios(now_ms, price).values():
        if "size" in guest.hooks:
            yield Question("size", about, (signal_of(now_ms, price), portfolio, filters, market))
        if "risk_check" in guest.hooks:
            yield Question("risk_check", about, (intent_of(now_ms, price=price), portfolio, market))
    for sells in (False, True):
        if "route_order" in guest.hooks:
            intent = intent_of(now_ms, sells=sells, price=price)
            for attempts in histories(intent).values():
                yield Question("route_order", about, (intent, book_of(now_ms, price), tuple(attempts), now_ms + 1_000))
    if "follow" in guest.hooks:
        row = frame.rows - 1
        yield Question("follow", about, (frame, range(row, row + 1), position_of(int(frame.timestamps[0]), price)))


@card(
    "C46",
    "odd-lots",
    _FAMILY,
    "Tiny and huge lots, minimums and maximums are obeyed",
    hooks=("size",),
    after=("C20",),
    action="Ask `size` with lots of 1e-8, 1 and 1,000 base units, with minimums out of reach and a maximum of 0.01.",
    expectation="The answers are accepted; an answer above 0 is a whole number of lots or is left to the core to cut.",
)
def odd_lots(subject: Subject) -> Result:
    """Ask with every kind of filter."""
    frame = subject.grid().frame(38, empty=0.0)
    market = market_of(frame)
    kinds = (
        {"lot": "0.00000001"}, {"lot": "1"}, {"lot": "1000"}, {"least": "1000000"}, {"notional": "1000000"},
        {"most": "0.01"}, {"lot": "0.00000001", "least": "0", "notional": "0"},
    )  # fmt: skip
    for about, guest in subject.guests():
        for kind in kinds:
            for portfolio in portfolios(market.now_ms).values():
                arguments = (signal_of(market.now_ms), portfolio, instrument_of(**kind), market)
                ask(guest, Question("size", f"filters {kind}{about}", arguments))
    return PASSED


# Raising inputs --------------------------------------------------------------------------------------------------


class _Unforeseen(Exception):
    """An error that no plugin can know, so that nothing but a catch-all takes it."""


class _UnforeseenBase(BaseException):
    """One that is no Exception."""


_KINDS: Final = (_Unforeseen, _UnforeseenBase, Overrun, KeyboardInterrupt, SystemExit, asyncio.CancelledError)


class _Trap:
    """Stands for an argument; whatever is read of it raises.

    Args:
        error: What it raises.
    """

    def __init__(self, error: type[BaseException]) -> None:
        self.__dict__["_error"] = error
        self.__dict__["_trips"] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.__dict__["_trips"].append(name)
        raise self.__dict__["_error"](f"reading {name} failed")


@card(
    "C47",
    "faults-are-not-swallowed",
    _FAMILY,
    "A fault goes through to the core, whatever its kind",
    hooks=DECIDING,
    after=("C20",),
    action=(
        "Put in place of each argument one that raises on reading: an Exception that nobody can foresee, a "
        "BaseException, the "
        "watchdog's interrupt, KeyboardInterrupt, SystemExit, CancelledError."
    ),
    expectation=(
        "The hook raises what was raised to it, or never reads that argument. Answered as if nothing were, an entry "
        "would "
        "pass unjudged and a hanging guest could not be interrupted."
    ),
)
def faults_are_not_swallowed(subject: Subject) -> Result:
    """Ask with traps."""
    guest = subject.fresh()
    questions: dict[str, Question] = {}
    for question in ordinary(guest, subject.grid()):
        if question.hook in ARGUMENTS:
            questions.setdefault(question.hook, question)
    for hook, question in questions.items():
        for place, argument in enumerate(ARGUMENTS[hook]):
            if isinstance(question.arguments[place], (int, range)):
                continue
            for kind in _KINDS:
                trap = _Trap(kind)
                arguments = (*question.arguments[:place], trap, *question.arguments[place + 1 :])
                swallowed = _swallows(guest, Question(hook, f"a {argument} that raises", arguments), kind)
                if swallowed and trap.__dict__["_trips"]:
                    return failed(
                        f"{hook} swallowed {kind.__name__.lstrip('_')} raised by its {argument}; catch only the "
                        "errors you know by "
                        "name and let the rest through, the core answers for a fault and counts it"
                    )
    return PASSED


def _swallows(guest: Guest, question: Question, kind: type[BaseException]) -> bool:
    try:
        ask_raw(guest, question)
    except kind:
        return False
    except Exception:  # noqa: BLE001 - another error of the same cause: the core hears of it, so it is not swallowed
        return False
    return True
