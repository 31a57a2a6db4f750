"""A hostile guest at each place, in each way: trading goes on, gates shut, exits leave in time and in full.

Each cell is held against the same session in which the guest stays sound.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tradecore.model.events import (
    AlertFired,
    PluginFault,
    PluginQuarantined,
    PositionClosed,
    ScanOutcomes,
    SellTriggerEval,
    UncaughtException,
)
from tradecore.model.order import Done, OrderRequest
from tradecore.model.position import PositionState
from tradecore.model.reasons import Reason
from tradecore.model.units import Side, TimeInForce, minus
from tradecore.testing.factories import (
    MINUTE_MS,
    ScriptedSource,
    allower,
    closing_at,
    leader,
    make_guest,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import Played, Scene, at, play
from tradecore.testing.hostile import PLACES, THREAD, TOLD, Switch, hostile

ROWS = 12
FALL, LEAVE = 4, 9
"""Rows in which the stops are hit, and at whose close the last of the early positions leaves."""
TURNS_MS = row_close_ms(2) + MINUTE_MS // 2
GATES = frozenset({"filter", "size", "risk_check"})
ASKED_ONCE = frozenset({"jobs", "universe", "on_start", "on_shutdown"})
LATER_MS = 13_000
"""A router may cost an exit one round of the core's ladder: four attempts of 3 s, and the calls."""
EARLY = ("AAA/USDT", "BBB/USDT", "CCC/USDT")
LATE = tuple(f"{letter * 3}/USDT" for letter in "DEFGHI")
VAIN = "VVV/USDT"
"""Is asked for far below the market, so that its intents end without a fill."""
BUYS = {1: EARLY, **{row: (LATE[row - 4], *((VAIN,) if row < 7 else ())) for row in range(4, 4 + len(LATE))}}
FAULTY = ("raises", "exits", "garbage", "lies", "huge")


def market() -> ScriptedSource:
    """Two of the early symbols fall below their stops; all others stand still."""
    falling = closing_at(*(100.0,) * FALL, *(97.0,) * (ROWS - FALL))
    still = closing_at(*(100.0,) * ROWS)
    return ScriptedSource(
        {symbol: falling if symbol in EARLY[:2] else still for symbol in (*EARLY, *LATE, VAIN)}
    )  # fmt: skip


def route_order(intent, book, attempts):
    """Route entries plainly; exits go by the core's own ladder."""
    if intent.side is Side.SELL:
        return None
    if len(attempts) > 1:
        return Done(Reason.LADDER_EXHAUSTED)
    price = book.best_ask if intent.symbol != VAIN else minus(book.best_ask, book.best_ask / 2)
    return OrderRequest(TimeInForce.IOC, price, intent.quantity, 2_000, "in")


def cast():
    return [
        wisher(BUYS), sizer("1"), allower(), make_guest("route", route_order=route_order),
        leader(stop=0.99, leave_rows=(LEAVE,)),
    ]  # fmt: skip


class Cell:
    """One session with a hostile guest in front of all others."""

    def __init__(self, place: str, way: str, folder, *, on: bool = True, awaited: bool = False) -> None:
        self.place = place
        self.switch = Switch(on and place in ASKED_ONCE)
        guest = hostile(place, way, self.switch, awaited=awaited)
        scene = Scene(market(), [guest, *cast()], ("market.between_closes=false", "market.block_rows=1"))

        def begin(engine) -> None:
            if on:
                at(engine, TURNS_MS, lambda: setattr(self.switch, "on", True))

        try:
            self.played: Played = play(scene, folder, begin=begin)
        finally:
            self.switch.release.set()
        self.notes = self.played.notes()

    def of(self, *kinds):
        return [note for note in self.notes if isinstance(note.event, kinds)]

    @property
    def trades(self):
        """What was bought and sold, when and at which price."""
        return sorted(
            (fill.trade.symbol, fill.trade.side, fill.trade.price, fill.trade.quantity, fill.trade.traded_ms)
            for fill in self.played.records.fills
        )

    @property
    def exits(self):
        """Per symbol of the early positions: when its exit was triggered, and how long it took to leave."""
        triggers = {note.event.symbol: note.at_ns for note in self.of(SellTriggerEval)}
        closed = {note.event.symbol: note.at_ns for note in self.of(PositionClosed)}
        return {symbol: (triggers[symbol], closed[symbol] - triggers[symbol]) for symbol in EARLY}

    def entered_after(self, moment_ms: int):
        return [
            row.intent.symbol
            for row in self.played.records.intents
            if row.intent.side is Side.BUY and row.intent.created_ms > moment_ms and row.executed_quantity
        ]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory):
    """The session in which the guest of a place stays sound; all places trade alike."""
    cells = {
        place: Cell(place, "raises", tmp_path_factory.mktemp("plain") / "s", on=False) for place in ("wisher", *GATES)
    }
    first = cells["wisher"]
    assert all(cell.trades == first.trades and cell.exits == first.exits for cell in cells.values())
    assert first.entered_after(TURNS_MS) == list(LATE)
    assert first.of(PluginFault, PluginQuarantined, UncaughtException) == []
    return first


def hold(cell: Cell, plain: Cell) -> None:
    """What holds in every cell."""
    played = cell.played
    assert cell.switch.calls > 0
    assert cell.switch.spoils == []
    assert [str(violation) for violation in played.violations()] == []
    assert played.exit_code == 0
    assert played.summary["pending"] == []
    # every row was judged, and every candidate answered
    assert len(cell.of(ScanOutcomes)) == ROWS == len(plain.of(ScanOutcomes))
    # the early positions left in full, when they would have left without it
    slack_ns = LATER_MS * 1_000_000 if cell.place == "route_order" else 0
    for symbol, (triggered, took) in plain.exits.items():
        found_triggered, found_took = cell.exits[symbol]
        assert found_triggered == triggered, symbol
        assert found_took <= took + slack_ns, symbol
    for position in played.records.positions:
        if position.symbol in EARLY:
            assert (position.state, position.quantity) == (PositionState.CLOSED, 0)
            assert position.sold_quantity + position.dust_quantity == position.bought_quantity
    # a third fault is followed by a quarantine within a scan
    for fault in cell.of(PluginFault):
        assert fault.event.plugin == "hostile"
        assert fault.event.hook == PLACES[cell.place]
        if fault.event.faults == 3:
            (quarantine,) = cell.of(PluginQuarantined)
            assert 0 <= quarantine.at_ns - fault.at_ns <= MINUTE_MS * 1_000_000


def hold_trading(cell: Cell, plain: Cell, since_ms: int = TURNS_MS) -> None:
    """What a guest of a place that is faulty since a moment does to entries: a gate shuts them, nobody else does."""
    entered = cell.entered_after(since_ms)
    if cell.place in GATES:
        assert entered == []
    elif cell.place == "follow":
        # entries halt until the last position whose way it does not tell has left
        assert entered == list(LATE[LEAVE + 1 - FALL :])
    elif cell.place == "route_order":
        # whom it fails ends with its reason; once it is quarantined, the next router is asked
        assert entered == list(LATE)[-len(entered) :]
        assert len(entered) >= len(LATE) - 3
    else:
        assert cell.trades == plain.trades


@pytest.mark.parametrize(
    ("place", "way"),
    [(place, way) for place in PLACES for way in (FAULTY if place not in TOLD else ("raises", "exits", "garbage"))],
)
def test_faults_at_every_place(tmp_path, plain, place, way):
    cell = Cell(place, way, tmp_path / "s")
    hold(cell, plain)
    hold_trading(cell, plain)
    assert len(cell.of(PluginFault)) <= 3
    silent = place in TOLD and way == "garbage"  # what is told may answer anything
    if silent:
        pass
    elif place == "on_start":
        assert [note.event.hook for note in cell.of(PluginQuarantined)] == ["on_start"]
    elif place in ASKED_ONCE:
        assert [note.event.faults for note in cell.of(PluginFault)] == [1]
    else:
        assert [note.event.faults for note in cell.of(PluginFault)] == [1, 2, 3]
        assert cell.played.summary["quarantined"] == [f"hostile.{PLACES[place]}"]
    assert cell.of(UncaughtException) == []


@pytest.mark.parametrize("way", ["raises", "exits"])
@pytest.mark.parametrize("place", sorted(TOLD))
def test_faults_where_the_answer_is_awaited(tmp_path, plain, place, way):
    cell = Cell(place, way, tmp_path / "s", awaited=True)
    hold(cell, plain)
    assert cell.trades == plain.trades
    assert len(cell.of(PluginFault)) == (1 if place in ASKED_ONCE else 3)


@pytest.mark.parametrize("way", ["mutates", "grabs"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_that_is_handed_over_can_be_changed_or_leads_to_the_engine(tmp_path, plain, place, way):
    cell = Cell(place, way, tmp_path / "s")
    hold(cell, plain)
    assert cell.trades == plain.trades
    assert cell.of(PluginFault) == []


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("place", "awaited"), [*((place, False) for place in PLACES), *((place, True) for place in sorted(TOLD))]
)
@pytest.mark.usefixtures("no_thread_is_left")
def test_tasks_and_threads_are_ended_or_named(tmp_path, plain, place, awaited):
    cell = Cell(place, "spawns", tmp_path / "s", awaited=awaited)
    hold(cell, plain)
    # a task that exits is a fault of its hook, a callback that exits an event; neither ends the run
    assert cell.of(PluginFault)
    assert {note.event.error_class for note in cell.of(UncaughtException)} == {"KeyboardInterrupt"}
    if cell.place not in ASKED_ONCE:
        (quarantine,) = cell.of(PluginQuarantined)
        hold_trading(cell, plain, quarantine.at_ns // 1_000_000)
    left = [note.event.text for note in cell.of(AlertFired) if note.event.name == "guest_left_behind"]
    named = f"task holds-on of hostile.{PLACES[place]} did not end when it was told to"
    assert left == [named, f"thread {THREAD} still runs at the end"]
