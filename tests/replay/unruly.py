"""Sessions on virtual time in which everything happens that a quiet one does not know: what writes the rare events."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from tradecore.market.answers import Plan, Wishes
from tradecore.model.lock import Lock
from tradecore.model.order import NewOrder
from tradecore.model.records import Command
from tradecore.model.signal import Check, Job, JobAnswer, Keep, Tune, Verdict
from tradecore.model.units import Side, TimeInForce
from tradecore.store.queries import put_command
from tradecore.testing.factories import (
    FIRST_CLOSE_MS,
    ScriptedSource,
    closing_at,
    instrument,
    make_guest,
    router,
    row_close_ms,
    sizer,
)
from tradecore.testing.harness import STORE_FILE, TWIN_FILE, Scene, at, play, twin_of

A, B, C = "AAA/USDT", "BBB/USDT", "CCC/USDT"
DAY_ROWS = 1_440
MIDNIGHT_ROW = 107
ROWS = MIDNIGHT_ROW + DAY_ROWS + 20
IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
BUYS = {1: (A, B), 15: (B,), 18: (C,), 19: (C,), 20: (C,), 25: (C,), 50: (A, B)}
SETS = (
    "market.between_closes=false", "twin.fee_in=base", "intervals.universe_s=60",
    "engine.trace_hooks=true", "journal.cap_mb=1", "journal.retention_days.health=1", "journal.retention_days.tracer=1",
)  # fmt: skip


class Limit(BaseModel, frozen=True, extra="forbid"):
    """Settings of the guest that is tuned."""

    limit: float = 0.25


def wisher() -> Any:
    """Wishes to buy by the script, and has a setting that somebody may tune."""

    def signal(self, frame, rows):
        value = np.ones((len(rows), len(frame.symbols)))
        for place, row in enumerate(rows):
            number = (int(frame.timestamps[row]) - FIRST_CLOSE_MS) // frame.timeframe_ms
            for symbol in BUYS.get(number, ()):
                if symbol in frame.symbols:
                    value[place, frame.index(symbol)] = 0.0
        return Wishes(value, "<=", self.settings.limit, "script", "scripted", expires_after_ms=60_000)

    return make_guest("wish", settings=Limit, signal=signal)


def guard() -> Any:
    """Refuses one symbol, and caps the others."""

    def risk_check(intent):
        check = Check("test", Decimal(2), Decimal(1), "tries", intent.symbol == C)
        return Verdict((check,), {"slippage_bps_max": Decimal(90)})

    return make_guest("guard", risk_check=risk_check)


def leader() -> Any:
    """Leaves after three minutes, with a stop that moves up meanwhile."""

    def follow(frame, rows, position):
        numbers = [(int(frame.timestamps[row]) - FIRST_CLOSE_MS) // frame.timeframe_ms for row in rows]
        stop = np.array([float(position.average_price) * (0.5 + number / 10_000) for number in numbers])
        return Plan(stop=stop, leave_at_ms=position.opened_ms + 180_000)

    return make_guest("lead", follow=follow)


def manager() -> Any:
    """A guest whose jobs lock, tune and take dust along, and one that breaks each time."""

    def manage(portfolio, market, last):
        lock = Lock(C, "to be tried", "", row_close_ms(8), "test", row_close_ms(0))
        return JobAnswer(tunes=(Tune("wish.limit", 0.5, "to be tried"),), locks=(lock,), merges=(B,))

    def fails(portfolio, market, last):
        raise ValueError("always")

    return make_guest("manage", jobs=lambda: [Job("manage", 60.0, manage)]), make_guest(
        "broken", jobs=lambda: [Job("broken", 60.0, fails)]
    )


def chooser() -> Any:
    """Keeps a symbol out for five minutes."""

    def universe(market):
        shut = market.now_ms < row_close_ms(5)
        return [Keep(C, not shut, "to be tried")]

    return make_guest("choose", universe=universe)


def scene(*, tuned: bool = True, for_rows: int | None = None) -> Scene:
    """The market and its guests.

    Args:
        tuned: False leaves the guest out that tunes.
    """
    candles = {symbol: closing_at(*(100,) * ROWS) for symbol in (A, B, C)}
    # what the ladder rests at is not met: it is cancelled
    source = ScriptedSource(candles, {s: instrument(s, lot="0.01", min_quantity="0.01") for s in candles})
    managers = manager() if tuned else manager()[1:]
    cast = [
        wisher(), sizer("1"), guard(), router((GTC, "-300", 20_000), (IOC, "30", 2_000)), leader(), *managers,
        chooser(),
    ]  # fmt: skip
    return Scene(source, cast, SETS, for_ms=None if for_rows is None else for_rows * 60_000)


def incidents(folder: Path) -> Any:
    """What happens on the way: to be handed to `play`."""

    def command(verb, number):
        wish = Command(f"c{number}", verb, "", "to be tried", "anna")
        return lambda: put_command(folder / STORE_FILE, wish)

    def begin(engine):
        desk, twin = engine.desk, twin_of(engine)
        size = desk.calls.size

        def stumbles(signal, *arguments):
            if signal.symbol == C and signal.decided_ms > row_close_ms(22):
                raise RuntimeError("nobody expected this")
            return size(signal, *arguments)

        desk.calls.size = stumbles
        ghost = NewOrder("0" * 31 + "7", B, Side.BUY, GTC, Decimal(90), Decimal(1))

        async def told_again():
            page = await desk.venue.trades(A, "", 0)
            await engine.settler.book([trade._replace(price=Decimal(99)) for trade in page.trades])

        def fails(*arguments):
            raise RuntimeError("a job of the core breaks")

        for row, act in (
            (3, lambda: desk.spawn(told_again(), "again")),
            (2, lambda: twin.outside.halt(A, can_buy=True, can_sell=False)),
            (13, lambda: twin.outside.halt(A, can_buy=True, can_sell=True)),
            (14, lambda: twin.faults.once("read_lost")),
            (33, command("halt", 1)), (36, command("resume", 2)),
            (40, lambda: twin.engine.place(ghost, desk.clock.now_ms())),
            (45, lambda: setattr(desk.calls, "universe", fails)),
        ):  # fmt: skip
            at(engine, row_close_ms(row), act)

    return begin


def doubled(folder: Path) -> Path:
    """Play a wish twice: the venue's file is put back to an older copy, so its market is played again.

    Returns:
        The state folder.
    """
    state = folder / "state"
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(103, 103)]
    story = Scene(
        ScriptedSource({A: rows}), [wisher(), sizer("1"), guard(), router((IOC, "20", 2_000))],
        ("market.between_closes=false",),
    )  # fmt: skip
    play(story._replace(for_ms=60_000), state)
    shutil.copy(state / TWIN_FILE, folder / "older")
    play(story, state)
    shutil.copy(folder / "older", state / TWIN_FILE)
    play(story, state)
    return state


def forgetful(folder: Path) -> Path:
    """Put the store back to an older copy: it knows less than its journal.

    Returns:
        The state folder.
    """
    state = folder / "state"
    story = Scene(
        ScriptedSource({A: closing_at(*(100,) * 9)}), [wisher(), sizer("1"), guard(), router((IOC, "20", 2_000))],
        ("market.between_closes=false",),
    )  # fmt: skip
    play(story._replace(for_ms=60_000), state)
    shutil.copy(state / STORE_FILE, folder / "older")
    play(story._replace(for_ms=180_000), state)
    for left in state.glob(f"{STORE_FILE}-*"):
        left.unlink()
    shutil.copy(folder / "older", state / STORE_FILE)
    play(story, state)
    return state


def runs(folder: Path) -> Iterator[Path]:
    """Play runs on one state: with incidents, on a torn journal without a guest, over midnight.

    Yields:
        The state folder after each run: the last one makes room in its journal by deleting.
    """
    state = folder / "state"
    play(scene(for_rows=1), state)
    yield state
    play(scene(for_rows=60), state, begin=incidents(state))
    yield state
    with max((state / "journal" / "order").glob("*.jsonl")).open("ab") as torn:
        torn.write(b'{"seq":')
    play(scene(for_rows=10, tuned=False), state)
    yield state
    play(scene(tuned=False), state)
    yield state
