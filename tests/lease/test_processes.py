"""Two machines, played by two processes, one server, one account: who stood still sends nothing (INV-14, F34, F36)."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import time

import pytest

from tests.campaigns import bot as bots
from tests.campaigns.checks import Market, State, after_end, after_kill, state_of
from tests.campaigns.wire_processes import Venue
from tests.lease.test_behind import proven
from tradecore.app import Options, prepare
from tradecore.journal.read import decode, read_journal
from tradecore.model.order import AttemptState, Outcome
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE
from tradecore.store.queries import open_reader
from tradecore.testing.records import records_of

#: What is a matter of one kernel, is told apart as two machines would: name, process ids, and the account's lock.
_HOST = """
from tradecore.app.account_lock import AccountLock
from tradecore.store import holder
AccountLock.take = lambda self: True
holder._machine = lambda: "kernel of {name}"
holder.socket.gethostname = lambda: "{name}"
from tradecore.cli.main import main
main()
"""
_LEASE = ("store.lease_s=3", "store.lease_renew_s=0.5")


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory):
    """Let the processes share their compiled modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(bots.CACHE, str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture
def host(tmp_path, monkeypatch, postgres_url):
    """Start a machine: `host(name, venue)`; none outlives its test."""
    begun = []

    def start(name, venue):
        options, sets = venue.options(None)
        monkeypatch.setattr(bots, "_MAIN", _HOST.format(name=name))
        one = bots.Bot(tmp_path / name, options, [*sets, *_LEASE, f"store.url={postgres_url}"])
        begun.append(one)
        return one

    yield start
    for one in begun:
        one.close()


def test_f36_who_stood_still_while_another_took_over_sends_nothing(tmp_path, host, postgres_url):
    with Venue("binance", tmp_path / "venue", 25.0, "--fault", "no_liquidity:0.3") as venue:
        first = host("alpha", venue)
        first.until_event("order_fill", 1, timeout_s=150.0)
        first.send(signal.SIGSTOP)
        time.sleep(3.0)
        known = {order.wire_id for order in venue.truth().orders}
        second = host("beta", venue)
        second.until_event(
            "session_started", 2, timeout_s=150.0
        )  # the journal of this folder repeats the store's first
        first.send(signal.SIGCONT)
        ended = first.wait(150.0)
        assert (ended.code, ended.summary["ended"]) == (46, "LEASE_LOST"), ended.err
        assert first.lines("alert_fired", "lease_lost") == 1
        time.sleep(1.0)
        second.send(signal.SIGTERM)
        last = second.wait(150.0)
        assert last.code == 0, last.err
        truth, records = venue.truth(), records_of(postgres_url)
    rows = {attempt.wire_id: attempt for attempt in records.attempts}
    new = [order.wire_id for order in truth.orders if order.wire_id not in known]
    assert {order.wire_id for order in truth.orders} <= rows.keys(), "an order without a row"
    absent = {Outcome.NOT_PLACED, Outcome.NOT_SENT}
    assert [w for w in new if rows[w].outcome in absent] == [], "sent by who had lost the store"
    assert [a for a in records.attempts if a.state is not AttemptState.SETTLED] == []
    found = after_end(State(tmp_path / "beta", records, truth), Market(venue.instruments, "mine"))
    assert [text for text in found if "before its SENDING" not in text] == []
    with open_reader(postgres_url) as reader:
        lease = reader.lease()
    assert (lease.epoch, lease.holder.host, lease.released) == (2, "beta", True)


#: What a store cannot show of orders whose rows it had lost: that they were written before they were sent.
_HISTORY = ("no SENDING was booked", "was reserved 0 x, released 0 x", "before it was SENDING", "was told to go")


def test_f34_a_backup_put_back_under_a_bot_of_the_wall_clock(tmp_path):
    """The store's writer and the journal's are threads here: numbers go on above both, and the books come out whole."""
    folder, copy = tmp_path / "s", tmp_path / "backup.db"
    options = ["--speed", "60", "--for", "100h", "--seed", "1"]
    with bots.Bot(folder, options, bots.BUSY) as bot:
        bot.until_event("order_fill", 1, timeout_s=150.0)
        with (
            contextlib.closing(sqlite3.connect(folder / STORE_FILE)) as live,
            contextlib.closing(sqlite3.connect(copy)) as to,
        ):
            live.backup(to)
            mark = to.execute("SELECT max(sequence) FROM event").fetchone()[0]
        bot.until_event("order_fill", 4, timeout_s=150.0)
        bot.send(signal.SIGTERM)
        assert bot.wait().code == 0
    for file in folder.glob(f"{STORE_FILE}*"):
        file.unlink()
    shutil.copy(copy, folder / STORE_FILE)
    with bots.Bot(folder, options, bots.BUSY) as bot:
        bot.until_event("session_started", 2, timeout_s=150.0)
        bot.until_event("sweep_report", 2, timeout_s=150.0)
        bot.send(signal.SIGTERM)
        ended = bot.wait()
    assert ended.code == 0, ended.err
    assert bot.lines("alert_fired", "store_behind") == 1
    (behind,) = [decode(line).event for line in read_journal(folder / JOURNAL_FOLDER, kinds=("store_behind",))]
    assert behind.store == mark
    assert behind.orders > 0
    with open_reader(folder / STORE_FILE) as reader:
        assert reader.trading().state == "REDUCING"
    prepared = prepare(Options("demo", {}))
    state = state_of(folder)
    found = after_kill(state, Market(prepared.instruments, prepared.settings.account.name))
    assert [text for text in found if not any(words in text for words in _HISTORY)] == []
    proven(folder)
    assert ended.summary["unexplained_drift"] == "0"
    with contextlib.closing(sqlite3.connect(folder / STORE_FILE)) as raw:
        new = raw.execute("SELECT min(sequence) FROM event WHERE sequence > ?", (mark,)).fetchone()[0]
    assert new == behind.journal + 1
