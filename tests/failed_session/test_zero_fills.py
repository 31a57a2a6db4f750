"""The zero-fill alarm: when it rises, when it ends, what a restart knows."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.failed_session.conftest import call, played
from tests.failed_session.market import ALLOW
from tradecore.engine.fillwatch import FillWatch
from tradecore.errors import StoreError
from tradecore.model.book import Book, Level
from tradecore.model.events import AlertFired
from tradecore.model.intent import IntentState
from tradecore.model.order import AttemptState, Outcome
from tradecore.model.reasons import Reason
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    closing_at,
    leader,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import Scene, at, play, twin_of

A, D, IOC = "AAA/USDT", Decimal, TimeInForce.IOC


class Account:
    """Just what the watch asks for: a store of intents and orders, a market, a clock, and who hears alarms."""

    def __init__(self, sends: int) -> None:
        self.clock = SimpleNamespace(now_ms=lambda: self.now_ms)
        self.store = SimpleNamespace(
            attempts_of=lambda name: self.attempts[name], intent=self.rows_of, newest_entries=self.newest
        )
        book = Book(A, 0, (), (Level(D("100.3"), D(1)),), "test")
        self.feed = SimpleNamespace(book=lambda _: book)
        self.alerts: list[tuple[str, str, str]] = []
        """Name, severity and text; an end has ``_over`` behind its name."""
        self.uncaught: list[str] = []
        self.now_ms = 0
        self.rows: dict[str, object] = {}
        self.attempts: dict[str, list[object]] = {}
        self.sends = sends
        self.watch = FillWatch(self, sends)  # type: ignore[arg-type]  # it has all that the watch uses

    def alert(self, name: str, severity: str, text: str, *, resolved: bool = False) -> None:
        self.alerts.append((f"{name}_over" if resolved else name, severity, text))

    def report_uncaught(self, where: str, error: BaseException) -> None:
        self.uncaught.append(f"{where}: {error}")

    def rows_of(self, name: str) -> object:
        return self.rows[name]

    def newest(self, limit: int) -> list[object]:
        return [attempt for name in reversed(self.attempts) for attempt in reversed(self.attempts[name])][:limit]

    def entry(self, *fills: bool, reduces: bool = False, sent: bool = True) -> None:
        """Play one intent whose orders fill or do not, one after the other, to its end."""
        name = f"intent-{len(self.rows)}"
        intent = SimpleNamespace(
            intent_id=name, symbol=A, side=Side.BUY, price=D(100), price_cap=D("100.15"), reduces=reduces
        )
        orders = self.attempts[name] = []
        for fill in fills:
            self.now_ms += 1
            executed = D(1) if fill else D(0)
            if fill:
                trade = SimpleNamespace(symbol=A, quantity=D(1), price=D("100.1"))
                self.watch.fills([SimpleNamespace(intent=intent, fill=SimpleNamespace(trade=trade))])
            self.now_ms += 1
            orders.append(
                SimpleNamespace(
                    intent_id=name, state=AttemptState.SETTLED, sent_ms=self.now_ms if sent else None,
                    settled_ms=self.now_ms, executed_quantity=executed, code="" if fill else "EXPIRED_UNFILLED",
                    outcome=Outcome.FILLED if fill else Outcome.EXPIRED, request=SimpleNamespace(price=D("100.1")),
                )
            )  # fmt: skip
        row = SimpleNamespace(intent=intent, reason=Reason.PRICE_MOVED, state=IntentState.UNFILLED)
        self.rows[name] = row
        self.watch.ended(row)

    @property
    def said(self) -> list[str]:
        return [name for name, _, _ in self.alerts]


def test_r48_it_rises_at_the_last_of_so_many_and_not_before():
    account = Account(3)
    account.entry(False, False)
    assert account.alerts == []
    account.entry(False)
    ((name, severity, text),) = account.alerts
    assert (name, severity) == ("zero_fills", "critical")
    assert text == (
        "none of the last 3 orders of entries filled: EXPIRED_UNFILLED 3; limits stood 10.0 bps from the signal's "
        "price, caps allowed 15.0 bps; the best price stood 30.0 bps from it in the end; their intents ended "
        "PRICE_MOVED 3"
    )
    account.entry(False, False, False)
    assert len(account.alerts) == 1


def test_r48_the_next_fill_ends_it_and_it_can_rise_again():
    account = Account(2)
    account.entry(False, False)
    account.entry(True)
    assert [alert[:2] for alert in account.alerts] == [("zero_fills", "critical"), ("zero_fills_over", "info")]
    assert "filled 1 at 100.1" in account.alerts[1][2]
    account.entry(True)
    account.entry(False)
    assert len(account.alerts) == 2
    account.entry(False)
    assert account.said == ["zero_fills", "zero_fills_over", "zero_fills"]


def test_r48_exits_and_orders_that_never_left_do_not_count():
    account = Account(2)
    account.entry(False, False, False, reduces=True)
    account.entry(False, False, False, sent=False)
    assert account.alerts == []
    account.entry(False, False)
    account.entry(True, reduces=True)
    assert account.said == ["zero_fills"]


def test_zero_never_raises_it():
    account = Account(0)
    for _ in range(5):
        account.entry(False, False)
    account.watch.start()
    assert account.alerts == []


def test_a_store_that_does_not_answer_is_told_and_costs_no_session():
    account = Account(1)

    def broken(name):
        raise StoreError("expected to read, was: disk I/O error")

    account.store.attempts_of = broken
    account.entry(False)
    assert account.alerts == []
    assert account.uncaught == ["zero-fill watch: expected to read, was: disk I/O error"]


@given(
    entries=st.lists(st.lists(st.booleans(), min_size=1, max_size=4), max_size=25), sends=st.integers(1, 6),
)  # fmt: skip
def test_r48_it_stands_exactly_while_the_newest_orders_brought_nothing(entries, sends):
    account = Account(sends)
    since, standing = 0, False
    for fills in entries:
        account.entry(*fills)
        for fill in fills:
            since = 0 if fill else since + 1
            standing = standing and not fill
        standing = standing or since >= sends
        assert account.watch.raised is standing
        said = list(account.alerts)
        fresh = FillWatch(account, sends)
        fresh.start()  # a restart comes to the same answer from the store alone
        assert fresh.raised is (since >= sends)
        assert len(account.alerts) - len(said) == fresh.raised
        account.alerts = said
    turns = ["zero_fills", "zero_fills_over"] * len(entries)
    assert account.said == turns[: len(account.said)]
    assert len(account.said) % 2 == standing


def alarms(notes):
    told = [stamped.event for stamped in notes(AlertFired) if stamped.event.name == "zero_fills"]
    return [(event.severity, event.resolved) for event in told]


def test_r48_a_session_that_begins_to_fill_takes_the_alarm_back(tmp_path):
    """Nobody is there for the first orders, then somebody is."""

    def begin(engine):
        at(engine, row_close_ms(0), lambda: twin_of(engine).faults.once("no_liquidity", times=4))

    scene = Scene(
        ScriptedSource({A: closing_at(*(100,) * 14)}),
        [wisher({1: (A,), 4: (A,), 7: (A,)}), sizer("1"), allower(), router((IOC, "20", 2_000), (IOC, "40", 2_000)),
         leader()],
        ("market.between_closes=false", "engine.zero_fill_sends=4"),
    )  # fmt: skip
    done = play(scene, tmp_path / "state", begin=begin)
    assert [str(violation) for violation in done.violations()] == []
    assert done.summary["orders_sent"] == 5
    assert alarms(done.notes) == [("critical", False), ("info", True)]


def test_r48_a_restart_raises_it_again_from_the_store(story, tmp_path):
    state = tmp_path / "state"
    more = ("--set", ALLOW, "--set", "engine.zero_fill_sends=30")
    first = played(story, story.failed, state, *more, "--for", "2m")
    assert 0 < first.summary["orders_sent"] < 30
    assert alarms(first.notes) == []
    second = played(story, story.failed, state, *more, "--for", "2m")
    sent = first.summary["orders_sent"] + second.summary["orders_sent"]
    assert second.summary["orders_sent"] < 30 <= sent
    assert alarms(second.notes) == [("critical", False)]
    assert "none of the last 30 orders" in next(
        stamped.event.text for stamped in second.notes(AlertFired) if stamped.event.name == "zero_fills"
    )
    third = played(story, story.failed, state, *more, "--for", "5s")
    assert third.summary["orders_sent"] == 0
    assert third.summary["alerts"]["zero_fills"] == 1


@pytest.mark.parametrize("value", ["-1", "1.5", "many"])
def test_the_setting_is_a_number_of_orders(value):
    result = call("plan", "--set", f"engine.zero_fill_sends={value}")
    assert result.exit_code == 2
    assert "engine.zero_fill_sends" in result.stderr
