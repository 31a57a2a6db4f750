"""Whatever two or three writers do, and in whatever order: never two senders under one epoch (INV-14)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.lease.conftest import LENGTH_MS, RENEW_MS, Wall, someone
from tests.store.conftest import Records
from tradecore.errors import LeaseLost, StateFolderError
from tradecore.model.order import AttemptState
from tradecore.store.database import Database, sqlite_url
from tradecore.store.lease import Claim, StoreLease, read_lease, take_lease
from tradecore.store.schema import ensure_schema
from tradecore.store.writer import Transaction, Writer

WRITERS = st.sampled_from(["alpha", "beta", "gamma"])
MAKE = Records()


class Writers(RuleBasedStateMachine):
    """Each takes, writes SENDING, waits as long as it likes, looks once more and sends: as the engine does."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="tradecore-lease-")
        self.wall = Wall()
        self.database = Database(sqlite_url(Path(self.folder.name) / "s.db"), "OFF")
        self.writers: dict[str, tuple[Writer, StoreLease]] = {}
        self.written: dict[str, list[int]] = {}
        """Writer to the orders that it has written as SENDING and not yet sent."""
        self.number = 0
        self.committed: list[tuple[int, str]] = []
        self.sent: list[tuple[int, str]] = []

    @initialize()
    def make_store(self) -> None:
        ensure_schema(self.database)

    @rule(who=WRITERS)
    def take(self, who: str) -> None:
        before = self.held()
        try:
            lease = take_lease(self.database, Claim(someone(who), LENGTH_MS, RENEW_MS, self.wall))
        except StateFolderError:
            assert before is not None
            assert before.left_ms(self.wall.ms) > 0
            return
        assert lease.epoch == (before.epoch + 1 if before is not None else 1)
        self.drop(who)
        self.writers[who] = (Writer(self.database, self.database.connect(), lease=lease), lease)

    @rule(who=WRITERS)
    def write_sending(self, who: str) -> None:
        if who not in self.writers:
            return
        writer, lease = self.writers[who]
        self.number += 1
        sending = MAKE.attempt(self.number, AttemptState.SENDING, sent_ms=1, fence_ms=2)
        held = self.held()
        (answer,) = writer.write([Transaction((MAKE.intent(self.number), sending), (MAKE.event(self.number),))])
        ours = held is not None and (held.epoch, held.holder.host) == (lease.epoch, who)
        assert isinstance(answer, LeaseLost) == (not ours), answer
        if ours:
            self.committed.append((lease.epoch, who))
            self.written.setdefault(who, []).append(lease.epoch)

    @rule(who=WRITERS)
    def look_and_send(self, who: str) -> None:
        if self.written.get(who) and self.writers[who][1].fresh:
            held = self.held()
            assert held is not None
            epoch = self.written[who].pop()
            assert (held.epoch, held.holder.host) == (epoch, who), "sent while another held the store"
            self.sent.append((epoch, who))

    @rule(who=WRITERS)
    def renew(self, who: str) -> None:
        if who in self.writers:
            try:
                self.writers[who][0].renew()
            except LeaseLost:
                assert self.writers[who][1].lost

    @rule(who=WRITERS)
    def end(self, who: str) -> None:
        if who in self.writers:
            self.writers[who][0].leave()
            self.drop(who)

    @rule(who=WRITERS)
    def killed(self, who: str) -> None:
        self.drop(who)

    @rule(
        ms=st.sampled_from([1, RENEW_MS - 1, RENEW_MS, LENGTH_MS - RENEW_MS, LENGTH_MS - 1, LENGTH_MS, 10 * LENGTH_MS])
    )
    def wait(self, ms: int) -> None:
        self.wall.ms += ms

    @invariant()
    def one_sender_an_epoch(self) -> None:
        for done in (self.committed, self.sent):
            by: dict[int, set[str]] = {}
            for epoch, who in done:
                by.setdefault(epoch, set()).add(who)
            assert all(len(names) == 1 for names in by.values()), by
        epochs = [epoch for epoch, _ in self.committed]
        assert epochs == sorted(epochs), "an older epoch wrote after a newer one"

    def held(self):
        raw = self.database.connect()
        try:
            return read_lease(raw)
        finally:
            self.database.try_close(raw)

    def drop(self, who: str) -> None:
        self.written.pop(who, None)
        if who in self.writers:
            writer, _ = self.writers.pop(who)
            self.database.try_close(writer.raw)

    def teardown(self) -> None:
        for who in list(self.writers):
            self.drop(who)
        self.folder.cleanup()


def test_inv14_no_interleaving_has_two_senders_under_one_epoch():
    run_state_machine_as_test(
        Writers,
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
