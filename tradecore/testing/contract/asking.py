"""Asks a plugin the way the core does: all arguments in, one answer out, judged by the door's own checks."""

from __future__ import annotations

import random
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from tradecore.hooks import checks, checks_jobs
from tradecore.hooks.guest import Guest
from tradecore.market.frame import COLUMNS, Array, Market, MarketFrame
from tradecore.market.hours import HOUR_MS
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.order import Done, OrderRequest
from tradecore.model.units import Side, price_of
from tradecore.testing.contract.cards import Broken, Hanging
from tradecore.testing.contract.markets import Grid
from tradecore.testing.contract.values import (
    SYMBOL,
    book_of,
    histories,
    instrument_of,
    intent_of,
    market_of,
    portfolio_of,
    portfolios,
    position_of,
    signal_of,
)

DECIDING: Final = ("signal", "follow", "size", "risk_check", "route_order")
_HOURS_FROM_MS: Final = 472_222 * HOUR_MS
ASKED: Final = (*DECIDING, "jobs", "universe")
"""Hooks whose answer counts, so that it must follow from the arguments alone."""


class Question(NamedTuple):
    """One question to one hook."""

    hook: str
    about: str
    """What is special in it, for messages."""
    arguments: tuple[Any, ...]


def ask(guest: Guest, question: Question) -> Any:
    """Ask and check the answer as the door does.

    Raises:
        Broken: If the hook raises, or answers what the door refuses.
    """
    where = f"{question.hook} on {question.about}"
    try:
        answer = ask_raw(guest, question)
    except BaseException as error:
        if isinstance(error, (Broken, Hanging)):
            raise
        raise Broken(
            f"{where} raised {type(error).__name__}: {one_line(error)}{place_of(error)}; "
            "answer instead (NaN, a refusal with its reason, Done), the core counts a raise as a fault"
        ) from error
    try:
        return checked(guest, question, answer)
    except checks.BadAnswer as error:
        raise Broken(f"{where}: the core refuses the answer, {error}; change what the hook returns") from error


def ask_raw(guest: Guest, question: Question) -> Any:
    """Ask without checking; warnings of numpy on odd numbers are no concern of the contract."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return guest.asks[question.hook](*question.arguments)


def checked(guest: Guest, question: Question, answer: Any) -> Any:
    """Judge an answer by the door's check for its hook.

    Raises:
        BadAnswer: If the door refuses it.
    """
    judge: Mapping[str, Callable[[], Any]] = {
        "signal": lambda: checks.wishes(answer, (len(question.arguments[1]), len(question.arguments[0].symbols))),
        "follow": lambda: checks.plan(answer, len(question.arguments[1])),
        "size": lambda: checks.size(answer),
        "risk_check": lambda: checks.verdict(answer),
        "route_order": lambda: checks.routed(answer),
        "jobs": lambda: checks_jobs.jobs(answer),
        "universe": lambda: checks.kept(answer, question.arguments[0]),
    }
    return judge[question.hook]()


def one_line(error: BaseException) -> str:
    """The text of an error on one line, at most 200 characters."""
    return " ".join(str(error).split())[:200]


def place_of(error: BaseException) -> str:
    """Where an error came from: `` at plugin.py:97``; empty where that is not known."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name != "runner.py"]
    return f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


# Ordinary questions ----------------------------------------------------------------------------------------------


def ordinary(guest: Guest, grid: Grid, seed: int = 11) -> Iterator[Question]:
    """Make questions as a quiet day brings them, for each hook whose answer counts."""
    frame = grid.frame(seed, symbols=4)
    first = min(grid.warmup_rows, frame.rows - 2)
    if "signal" in guest.hooks:
        yield Question("signal", "a block of rows", (frame, range(first, frame.rows)))
        yield Question("signal", "one row", (frame, range(frame.rows - 1, frame.rows)))
    if "follow" in guest.hooks:
        for about, rows in (("a block of rows", range(first, frame.rows)), ("one row", range(first + 1, first + 2))):
            yield Question("follow", about, (frame, rows, held(frame, first)))
    yield from gate_questions(guest, grid.frame(seed + 1, symbols=2, empty=0.0))
    if "jobs" in guest.hooks:
        yield Question("jobs", "the start", ())
    if "universe" in guest.hooks:
        yield universe_question(("C0/USDT", "C1/USDT", "C2/USDT"))


def held(frame: MarketFrame, row: int) -> Any:
    """Make a position that was opened at the close of a row, at its close where it has one."""
    close = frame.close[row, frame.index(SYMBOL)]
    return position_of(int(frame.timestamps[row]), price_of(close) if close > 0 else price_of(100.0))


def gate_questions(guest: Guest, frame: MarketFrame) -> Iterator[Question]:
    """Make questions about entries and exits in every condition of the account."""
    market = market_of(frame)
    now_ms = market.now_ms
    signal = signal_of(now_ms)
    if "size" in guest.hooks:
        for about, portfolio in portfolios(now_ms).items():
            yield Question("size", about, (signal, portfolio, instrument_of(), market))
        wanting = signal._replace(quote_wanted=price_of(33.0))
        yield Question("size", "a wish for 33 quote", (wanting, portfolio_of(now_ms), instrument_of(), market))
    if "risk_check" in guest.hooks:
        for about, portfolio in portfolios(now_ms).items():
            yield Question("risk_check", about, (intent_of(now_ms), portfolio, market))
        # Asked again before its second attempt: what its first one bought stands in the books already.
        partly = intent_of(now_ms)
        own = position_of(
            now_ms, quantity=Decimal("0.2"), position_id=partly.position_id, bought_quantity=Decimal("0.2")
        )
        half_way = portfolio_of(now_ms, positions=(own,), trades_today=1)
        yield Question("risk_check", "an entry that is filled in part", (partly, half_way, market))
        bare = market_of(frame, book=False)
        yield Question("risk_check", "a symbol without a book", (intent_of(now_ms), portfolio_of(now_ms), bare))
    if "route_order" in guest.hooks:
        yield from route_questions(now_ms)


def route_questions(now_ms: int) -> Iterator[Question]:
    """Make questions about entries and exits after every history, and without liquidity."""
    for sells in (False, True):
        intent = intent_of(now_ms, sells=sells)
        what = "an exit" if sells else "an entry"
        book = book_of(now_ms)
        for about, attempts in histories(intent).items():
            yield Question("route_order", f"{what} after {about}", (intent, book, tuple(attempts), now_ms + 1_000))
        for about, thin in (
            ("without a book", None),
            ("with no bids", book_of(now_ms, bids=False)),
            ("with no asks", book_of(now_ms, asks=False)),
        ):
            yield Question("route_order", f"{what} {about}", (intent, thin, (), now_ms + 1_000))
        late = intent.expires_ms + 1
        yield Question("route_order", f"{what} past its expiry", (intent, book, (), late))


def universe_question(symbols: tuple[str, ...]) -> Question:
    """Make a question about symbols."""
    instruments = {symbol: instrument_of()._replace(symbol=symbol) for symbol in symbols}
    quotes = {symbol: book_of(1_700_000_000_000)._replace(symbol=symbol) for symbol in symbols[:-1]}
    return Question("universe", f"{len(symbols)} symbols", (instruments, quotes, hours_of(instruments, quotes)))


def hours_of(instruments: Mapping[str, Instrument], quotes: Mapping[str, Book]) -> Market:
    """Make a market of two days of hours; the first symbol is empty in it, the last one new."""
    rows, symbols = 48, tuple(instruments)
    close = np.full((rows, len(symbols)), 100.0) + np.arange(rows)[:, None] % 3
    close[:, :1] = np.nan
    close[: rows // 2, -1:] = np.nan
    columns: dict[str, Array] = {
        name: np.asfortranarray(close * (10.0 if name == "volume" else 1.0)) for name in COLUMNS
    }
    times = _HOURS_FROM_MS + HOUR_MS * np.arange(rows, dtype=np.int64)
    frame = MarketFrame(HOUR_MS, times, symbols, columns)
    return Market(frame, int(times[-1]) + HOUR_MS // 2, quotes, instruments)


def jobs_of(guest: Guest) -> Mapping[str, Callable[[Any, Any, Any], Any]]:
    """Name to function of the guest's jobs."""
    if "jobs" not in guest.hooks:
        return {}
    return {job.name: job.ask for job in ask(guest, Question("jobs", "the start", ()))}


def ask_job(guest: Guest, name: str, portfolio: Any, market: Market, last: Any) -> Any:
    """Ask one job and check its answer as the door does.

    Raises:
        Broken: If it raises, or answers what the door refuses.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return checks_jobs.job_answer(
                jobs_of(guest)[name](portfolio, market, checks_jobs.own_copy(last)), guest.name
            )
    except checks.BadAnswer as error:
        raise Broken(f"job {name}: the core refuses the answer, {error}; change what the job returns") from error
    except Exception as error:
        raise Broken(
            f"job {name} raised {type(error).__name__}: {one_line(error)}{place_of(error)}; answer None instead"
        ) from error


def requests(answer: Any) -> OrderRequest | None:
    """The order of a router's answer; ``None`` where it asks for none."""
    return answer if isinstance(answer, OrderRequest) else None


def is_done(answer: Any) -> bool:
    """Tell whether a router ends an intent."""
    return isinstance(answer, Done)


def reaches(request: OrderRequest, book: Any, side: Side) -> bool:
    """Tell whether an order could take anything from a book."""
    touch = book.touch(side)
    return bool(touch) and (request.price >= touch if side is Side.BUY else request.price <= touch)


def chance_of(seed: int) -> random.Random:
    """A seeded generator for the proofs of row ranges."""
    return random.Random(seed)
