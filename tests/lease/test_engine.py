"""A run that loses its lease sends nothing more and ends; the next holder leads what it left (INV-14, F36)."""

from __future__ import annotations

import pytest

from tests.lease.conftest import someone
from tradecore.clocks.clock import SystemClock
from tradecore.model.events import AlertFired
from tradecore.model.order import AttemptState
from tradecore.model.units import TimeInForce
from tradecore.store.database import Database
from tradecore.store.lease import Claim, take_lease
from tradecore.store.queries import open_reader
from tradecore.testing.factories import ScriptedSource, allower, closing_at, router, sizer, wisher
from tradecore.testing.harness import AroundStore, Scene, play, store_url

A = "AAA/USDT"
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
LATER_MS = 3_600_000


def take_over(folder):
    """Another machine takes the store: its clock shows that the holder has been silent for an hour."""
    claim = Claim(someone("beta"), 1, 1, lambda: SystemClock().now_ms() + LATER_MS)
    return take_lease(Database(store_url(folder)), claim)


def story(*steps, rows=8):
    source = ScriptedSource({A: closing_at(*(100,) * rows, volume=1_000.0)})
    guests = [wisher(dict.fromkeys(range(1, rows, 2), (A,))), sizer("1"), allower(), router(*steps)]
    return Scene(source, guests)


class TakenAt(AroundStore):
    """Has the store taken over right before or right after one commit of an attempt in a state."""

    def __init__(self, inner, folder, state, *, before):
        super().__init__(inner)
        self._folder, self._state, self._before = folder, state, before
        self.taken = False

    async def commit(self, rows, events):
        hit = not self.taken and any(getattr(row, "state", None) is self._state for row in rows)
        if hit and self._before:
            self._take()
        booked = await super().commit(rows, events)
        if hit and not self._before:
            self._take()
        return booked

    def _take(self):
        self.taken = True
        take_over(self._folder)


def lost(played):
    """Hold the end of a run against what a person must see."""
    (alarm,) = [e.event for e in played.notes(AlertFired) if e.event.name == "lease_lost"]
    assert alarm.severity == "critical"
    assert alarm.text.startswith("LEASE_LOST: expected the lease of epoch 1, was held by pid 7 on beta (epoch 2)")
    assert (played.exit_code, played.summary["ended"]) == (46, "LEASE_LOST")
    assert played.summary["errors"] == {}


def let_go(folder):
    """The other machine ends: what it held is free."""
    database = Database(store_url(folder))
    raw = database.connect()
    raw.execute("UPDATE lease SET released = 1 WHERE host = 'beta' AND epoch = 2")
    database.try_close(raw)


@pytest.mark.parametrize("state", [AttemptState.PREPARED, AttemptState.SENDING])
def test_inv14_nothing_is_sent_where_the_lease_is_lost_before_sending_is_written(tmp_path, state):
    scene, folder = story((IOC, "20", 2_000)), tmp_path / "s"
    played = play(scene, folder, around=lambda store: TakenAt(store, folder, state, before=True))
    lost(played)
    assert played.truth.orders == ()
    assert not [a for a in played.records.attempts if a.state is AttemptState.SENDING]


def test_inv14_what_was_on_the_wire_is_led_by_the_next_holder(tmp_path):
    """Lost between the commit of SENDING and the answer: the order stands at the venue, its answer is not written."""
    scene, folder = story((IOC, "20", 2_000)), tmp_path / "s"
    played = play(scene, folder, around=lambda store: TakenAt(store, folder, AttemptState.SENDING, before=False))
    lost(played)
    (order,) = played.truth.orders
    (attempt,) = played.records.attempts
    assert (attempt.state, attempt.wire_id) == (AttemptState.SENDING, order.wire_id)
    assert any(order.wire_id in line for line in played.summary["pending"])
    let_go(folder)
    again = play(scene, folder)
    assert again.violations() == ()
    assert (again.exit_code, again.summary["pending"]) == (0, [])
    mine = [a for a in again.records.attempts if a.wire_id == order.wire_id]
    assert [a.executed_quantity for a in mine] == [order.executed]
    with open_reader(folder / "tradecore.db") as reader:
        assert (reader.lease().epoch, reader.lease().released) == (3, True)


def test_inv14_an_open_order_is_not_cancelled_by_who_lost_the_lease(tmp_path):
    scene, folder = story((GTC, "-50", 20_000)), tmp_path / "s"
    played = play(scene, folder, around=lambda store: TakenAt(store, folder, AttemptState.OPEN, before=False))
    lost(played)
    assert [order.status for order in played.truth.orders] == ["OPEN"]
    let_go(folder)
    again = play(scene, folder)
    assert again.truth.orders[0].status == "CANCELED"
    assert again.violations() == ()


def test_f36_a_machine_that_stood_still_after_the_commit_sends_nothing(tmp_path):
    """Its lease has run out by its own clock: nobody need have come for that."""
    scene, folder = story((IOC, "20", 2_000)), tmp_path / "s"
    engines = []

    class Frozen(AroundStore):
        async def commit(self, rows, events):
            booked = await super().commit(rows, events)
            sending = any(getattr(row, "state", None) is AttemptState.SENDING for row in rows)
            if sending and not asleep:
                asleep.append(engines[0].desk.lease)
                asleep[0]._lease._renewed_ms -= 31_000
            return booked

    asleep = []
    played = play(scene, folder, begin=engines.append, around=Frozen)
    first, *rest = played.records.attempts
    assert (str(first.outcome), first.code) == ("NOT_SENT", "LEASE_LOST")
    assert first.wire_id not in {order.wire_id for order in played.truth.orders}
    assert len(rest) == len(played.truth.orders) > 0, "the next transaction proved the lease: it went on"
    assert played.exit_code == 0
    assert played.violations() == ()
