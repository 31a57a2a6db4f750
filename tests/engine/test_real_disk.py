"""A disk that fails is shown while it fails: whoever watches is told in the moment, not at the end (F31 to F33)."""

from __future__ import annotations

import pytest

from tradecore.model.events import AlertFired
from tradecore.testing.factories import row_close_ms
from tradecore.testing.harness import FailingStore, at

A = "AAA/USDT"


def watching(engine):
    """Moments, names and severities of alerts as they are fired."""
    told = []
    engine.desk.alert_listeners.append(
        lambda name, severity, text: told.append((engine.desk.clock.now_ms(), name, severity))
    )
    return told


@pytest.mark.parametrize("rows", [3, 8])
def test_f31_a_store_that_takes_nothing_is_told_at_once_and_its_return_too(run, scene, rows):
    """The disk is full for some rows: nothing is sent, and both moments are told while the run goes on."""
    told, stores, clocks = [], [], []
    first, last = row_close_ms(2), row_close_ms(2 + rows)

    def around(store):
        stores.append(FailingStore(store, lambda n: bool(clocks) and first <= clocks[0].now_ms() < last))
        return stores[-1]

    def begin(engine):
        clocks.append(engine.desk.clock)
        told.append(watching(engine))

    story = scene(*(100,) * 16, buys=dict.fromkeys(range(1, 15), (A,)))
    played = run(story, begin=begin, around=around, errors=None)
    assert stores[0].refused > 0
    down = [(at_ms, severity) for at_ms, name, severity in told[0] if name == "store_unavailable"]
    back = [at_ms for at_ms, name, _ in told[0] if name == "store_available"]
    assert first <= down[0][0] < first + 60_000
    assert down[0][1] == "critical"
    assert last <= back[0] <= last + 61_000
    assert not [a for a in played.records.attempts if first <= (a.sent_ms or 0) < last]
    assert played.summary["alerts"]["store_unavailable"] >= 1


def test_a_journal_that_writes_nothing_is_told_though_it_cannot_be_written(run, scene):
    """Booked events wait for a journal that has stopped: two looks at health see it, and nothing waits for it."""
    told = []

    def begin(engine):
        told.append(watching(engine))
        stuck = _Stuck(engine.desk.journal)
        at(engine, row_close_ms(3), lambda: setattr(engine.desk, "journal", stuck))

        async def health():
            virtual = engine.desk.clock
            engine.desk.clock = _Wall(virtual)  # on virtual time lines are held back, and nobody is told
            await engine._health()
            engine.desk.clock = virtual

        for row in (4, 6, 8):
            at(engine, row_close_ms(row), lambda: engine.desk.spawn(health(), "health"))
        at(engine, row_close_ms(9), lambda: setattr(engine.desk, "journal", stuck.inner))

    played = run(scene(*(100,) * 12, buys={5: (A,), 7: (A,)}), begin=begin)
    stuck = [(name, severity) for _, name, severity in told[0] if name == "journal_stuck"]
    assert stuck
    assert set(stuck) == {("journal_stuck", "critical")}
    assert played.summary["intents"] == {"FILLED": 2}
    assert not [e for e in played.notes(AlertFired) if e.event.name == "journal_stuck"]  # it could not be written


class _Wall:
    """A clock that does not jump."""

    virtual = False

    def __init__(self, clock):
        self._clock = clock

    def __getattr__(self, name):
        return getattr(self._clock, name)


class _Stuck:
    """A journal whose writer has stopped: it takes, and writes nothing."""

    def __init__(self, inner):
        self.inner = inner
        self.last_sequence = inner.last_sequence
        self.dropped = inner.dropped
        self.depth = 0

    def note(self, event, ids=None):
        self.depth += 1

    def follow(self, events):
        self.inner.follow(events)

    async def flush(self, timeout_s):
        return await self.inner.flush(timeout_s)

    async def close(self, timeout_s):
        return await self.inner.close(timeout_s)
