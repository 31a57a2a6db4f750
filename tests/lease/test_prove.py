"""Every transaction proves the lease; after it is lost none is written (INV-14)."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from tests.lease.conftest import LENGTH_MS, RENEW_MS, Place, Wall, someone
from tradecore.errors import LeaseLost, StateFolderError, StoreError
from tradecore.model.order import AttemptState
from tradecore.store.database import Database, sqlite_url
from tradecore.store.lease import take_lease
from tradecore.store.opening import open_store
from tradecore.store.writer import Transaction, Writer


def taken_over(place):
    place.wall.ms += LENGTH_MS
    return place.open(someone("beta"))


@pytest.mark.parametrize("inline", [True, False])
async def test_inv14_a_replaced_writer_writes_nothing_any_more(place, make, inline):
    first = place.open(someone("alpha"), inline=inline)
    prepared = make.attempt(1)
    await first.commit([make.intent(1), make.reservation(1), prepared], [make.event(1)])
    second = taken_over(place)
    sending = prepared._replace(state=AttemptState.SENDING, sent_ms=1, fence_ms=2)
    for work in (
        first.commit([sending], [make.event(2)]),
        first.commit([make.position(1)], []),
        first.retention(2**40, 0),
        first.lease.renew(),
        first.commit([], [make.event(3)]),
    ):
        with pytest.raises(LeaseLost, match=r"epoch 1, was held by pid 7 on beta \(epoch 2\)"):
            await work
    assert not first.lease.fresh
    loaded = second.load()
    assert [a.state for a in loaded.attempts] == [AttemptState.PREPARED]
    assert loaded.last_sequence == 1
    await first.close()
    assert not place.row().released, "a replaced writer gives back nothing"
    booked = await second.commit([sending], [make.event(2)])
    assert [event.sequence for event in booked] == [2]


async def test_inv14_a_whole_batch_of_a_replaced_writer_is_refused(place, make):
    database = Database(place.url)
    lease = place.open(someone("alpha"))
    await lease.close()
    claim = place.claim(someone("alpha"))
    writer = Writer(database, database.connect(), lease=take_lease(database, claim))
    place.wall.ms += LENGTH_MS
    place.open(someone("beta"))
    answers = writer.write([Transaction((make.intent(n),), ()) for n in range(3)])
    assert [type(answer) for answer in answers] == [LeaseLost] * 3
    writer.leave()
    database.try_close(writer.raw)


async def test_inv14_an_older_copy_with_the_same_epoch_is_not_ours(place, make):
    """After a backup was put back an epoch may come twice; who took it when does not."""
    first = place.open(someone("alpha"))
    database = Database(place.url)
    raw = database.connect()
    raw.execute("UPDATE lease SET taken_ms = taken_ms - 1")
    database.try_close(raw)
    with pytest.raises(LeaseLost):
        await first.commit([make.intent(1)], [])


async def test_inv14_a_store_without_the_row_is_nobodys(place, make):
    first = place.open(someone("alpha"))
    database = Database(place.url)
    raw = database.connect()
    raw.execute("DELETE FROM lease")
    database.try_close(raw)
    with pytest.raises(LeaseLost, match="older copy"):
        await first.commit([make.intent(1)], [])


async def test_a_commit_renews_what_is_due_and_nothing_else(place, make):
    store = place.open(someone("alpha"))
    began = place.wall.ms
    await store.commit([make.intent(1)], [])
    assert place.row().renewed_ms == began
    place.wall.ms += RENEW_MS
    await store.commit([make.reservation(1)], [])
    assert place.row().renewed_ms == began + RENEW_MS
    place.wall.ms += 1
    await store.lease.renew()
    assert place.row().renewed_ms == began + RENEW_MS + 1
    assert place.row().epoch == 1


async def test_a_renewal_that_was_not_committed_counts_for_nothing(place, make):
    store = place.open(someone("alpha"))
    began = place.wall.ms
    place.wall.ms += RENEW_MS
    with pytest.raises(StoreError):
        await store.commit([make.attempt(1)], [])  # its intent is missing: rolled back, the renewal with it
    assert place.row().renewed_ms == began
    place.wall.ms = began + LENGTH_MS - 1
    assert store.lease.fresh
    place.wall.ms += 1
    assert not store.lease.fresh


async def test_a_lease_that_ran_out_is_fresh_again_once_it_is_proven(place, make):
    """Nobody came while the machine slept: what was held is held."""
    store = place.open(someone("alpha"))
    place.wall.ms += 10 * LENGTH_MS
    assert not store.lease.fresh
    await store.commit([make.intent(1)], [])
    assert store.lease.fresh
    place.wall.ms -= 1_000  # and a clock set back says nothing before the next proof
    assert not store.lease.fresh
    await store.lease.renew()
    assert store.lease.fresh


async def test_a_store_without_a_claim_has_no_lease(tmp_path, make):
    store = open_store(sqlite_url(tmp_path / "x.db"), inline=True)
    assert store.lease is None
    await store.commit([make.intent(1)], [])
    await store.close()


# PostgreSQL's own troubles -----------------------------------------------------------------------------------------


async def test_inv14_nobody_takes_it_between_a_proof_and_its_commit(postgres_url, make):
    """The proof locks the row until the commit: a taker waits, and then finds what was sent."""
    place = Place(postgres_url, Wall(), [])
    database = Database(postgres_url)
    place.open(someone("zero"))
    place.wall.ms += LENGTH_MS
    lease = take_lease(database, place.claim(someone("alpha")))
    writer = Writer(database, database.connect(), lease=lease)
    writer._open()
    place.wall.ms += LENGTH_MS
    taking = asyncio.create_task(asyncio.to_thread(take_lease, Database(postgres_url), place.claim(someone("beta"))))
    done, _ = await asyncio.wait({taking}, timeout=0.3)
    assert not done, "the taker went past a proof that was not committed yet"
    assert writer._apply(Transaction((make.intent(1),), ())) == []
    assert writer._commit("") is None
    assert (await taking).epoch == lease.epoch + 1
    (refused,) = writer.write([Transaction((make.intent(2),), ())])
    assert isinstance(refused, LeaseLost)
    database.try_close(writer.raw)
    for store in place.opened:
        await store.close()


async def test_f36_who_stands_still_inside_a_transaction_keeps_nobody_out(postgres_url, make):
    place = Place(postgres_url, Wall(), [])
    place.open(someone("zero"))
    place.wall.ms += LENGTH_MS
    database = Database(postgres_url)
    short = place.claim(someone("alpha"), length_ms=300, renew_ms=100)
    writer = Writer(database, database.connect(), lease=take_lease(database, short))
    writer._open()
    place.wall.ms += LENGTH_MS
    second = await asyncio.to_thread(take_lease, Database(postgres_url), place.claim(someone("beta")))
    assert second.epoch == 3
    with pytest.raises(psycopg.Error):
        writer._apply(Transaction((make.intent(1),), ()))
    (refused,) = writer.write([Transaction((make.intent(2),), ())])
    assert isinstance(refused, LeaseLost)
    database.try_close(writer.raw)
    for store in place.opened:
        await store.close()


async def test_f37_two_starts_at_once_have_one_winner(place):
    place.open(someone("zero"))
    place.wall.ms += LENGTH_MS

    async def start(n):
        try:
            return await asyncio.to_thread(take_lease, Database(place.url), place.claim(someone(f"host{n}")))
        except StateFolderError:
            return None

    found = await asyncio.gather(*(start(n) for n in range(4)))
    assert [lease.epoch for lease in found if lease is not None] == [2]
