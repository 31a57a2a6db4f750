"""The journal alone tells the account as the store has it; where one of the two was changed, the place is named."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from tradecore.app.execute import execute
from tradecore.app.prepare import Options, prepare
from tradecore.engine.comparing import Comparison, rebuild
from tradecore.journal.booked import read_booked
from tradecore.journal.verify import verify
from tradecore.model.events import BookedEvent, LedgerEntry, Leg, OrderFill, PositionClosed, Stamped
from tradecore.model.position import PositionState, realised_pnl_quote
from tradecore.model.units import TimeInForce, canonical, exact_sum
from tradecore.store.kept import open_kept
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    closing_at,
    leader,
    router,
    sizer,
    wisher,
)  # fmt: skip
from tradecore.testing.harness import Scene, SnapshotStore, play
from tradecore.testing.records import records_of
from tradecore.venues.twin.faults import FAULTS

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
GUESTS = ("signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc", "exits")


def compared(folder):
    with open_kept(folder / "tradecore.db") as kept:
        comparison = Comparison(kept)
        comparison.take_all(read_booked(folder / "journal"))
        return comparison.rebuilt, comparison.done()


@pytest.mark.parametrize(
    "sets",
    [
        (),
        ("twin.fee_in=base",),
        ("twin.fee_in=other", "twin.fee_coin=BNB"),
        ("twin.manners=mexc", "twin.faults=lost_ack:0.15"),
        ("twin.manners=binance", "twin.depth_quote=150"),
    ],
    ids=lambda sets: " ".join(sets) or "plain",
)
def test_r44_a_session_replays_equal(tmp_path, lively, sets):
    played = play(lively(*sets), tmp_path)
    rebuilt, found = compared(tmp_path)
    assert found.differences == []
    records = played.records
    assert rebuilt.fills == len(records.fills) > 5
    assert rebuilt.balances == dict(records.balances)
    closed = [one for one in records.positions if one.state is PositionState.CLOSED]
    assert rebuilt.realised == exact_sum(realised_pnl_quote(one) for one in closed)
    assert {key for key, one in rebuilt.positions.items() if one.position.state is not PositionState.CLOSED} == {
        one.position_id for one in records.positions if one.state is not PositionState.CLOSED
    }
    assert verify(played.journal).findings == ()


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_r44_every_fault_of_a_venue_replays_equal(tmp_path, fault):
    """Whatever the venue does, the events tell what became of it: the journal alone knows what the store knows."""
    fall = [*closing_at(100, 100, 100), (100.0, 100.0, 97.0, 97.0, 1_000.0), *closing_at(97, 97)]
    guests = [wisher({1: ("AAA/USDT",), 2: ("BBB/USDT",)}), sizer({"AAA/USDT": "3", "BBB/USDT": "2"}), allower(),
              router((IOC, "10", 2_000), (GTC, "30", 3_000)), leader(stop=0.985)]  # fmt: skip
    sets = (f"twin.faults={fault}:0.4", "market.between_closes=false", "twin.depth_quote=800")
    source = ScriptedSource({"AAA/USDT": fall, "BBB/USDT": closing_at(*(50,) * 6)})
    played = play(Scene(source, guests, sets), tmp_path)
    _, found = compared(tmp_path)
    assert found.differences == []
    assert verify(played.journal).ok


def test_r44_two_runs_are_one_story(two_runs, replayed):
    code, found = replayed(two_runs)
    assert (code, found["equal"], found["chain"]["ok"]) == (0, True, True)
    assert found["run"]["number"] == 2
    records = records_of(two_runs / "tradecore.db")
    assert found["rebuilt"]["positions_closed"] == sum(p.state is PositionState.CLOSED for p in records.positions) > 0
    assert {coin: Decimal(text) for coin, text in found["rebuilt"]["cash"].items()} == {
        coin: amount for (account, coin), amount in records.balances.items() if account == "assets" and amount
    }
    whole = Decimal(found["rebuilt"]["realised_quote"])
    assert whole != Decimal(found["rebuilt"]["run_realised_quote"])


def test_r44_an_earlier_run_is_rebuilt_to_its_end(two_runs, replayed):
    code, found = replayed(two_runs, "1")
    assert code == 0
    assert found["run"]["number"] == 1
    assert found["store"]["compared"] == "events, fills and ledger entries"
    assert replayed(two_runs, found["run"]["run_id"])[1]["rebuilt"] == found["rebuilt"]
    later = replayed(two_runs, "latest")[1]
    assert later["rebuilt"]["last_sequence"] > found["rebuilt"]["last_sequence"]
    first = Decimal(found["rebuilt"]["realised_quote"])
    assert first + Decimal(later["rebuilt"]["run_realised_quote"]) == Decimal(later["rebuilt"]["realised_quote"])


@pytest.mark.parametrize("wanted", ["3", "XYZ", "-1", ""])
def test_r44_a_run_that_is_not_there_is_refused(two_runs, cli, wanted):
    result = cli("replay", "--state", two_runs, "--", wanted)
    assert result.exit_code == 2
    assert result.stderr.startswith("tradecore: expected the id or the number of a run of this state (1, 2)")


def test_a_state_without_a_journal_is_refused(state, cli):
    shutil.rmtree(state / "journal")
    result = cli("replay", "--state", state)
    assert result.exit_code == 2
    assert "expected a journal at" in result.stderr


def harm(state, statement, *parameters):
    with sqlite3.connect(state / "tradecore.db") as raw:
        changed = raw.execute(statement, parameters).rowcount
    raw.close()
    assert changed == 1, statement


def one(state, query):
    raw = sqlite3.connect(state / "tradecore.db")
    try:
        return raw.execute(query).fetchone()[0]
    finally:
        raw.close()


def events_of(state, kind):
    return [booked for booked in read_booked(state / "journal") if isinstance(booked.stamped.event, kind)]


def first_difference(replayed, state):
    code, found = replayed(state)
    assert code == 1
    assert found["chain"]["ok"], "the journal is not what was harmed"
    assert not found["equal"]
    return found["store"]["differences"][0]


def test_r44_a_fill_changed_by_hand_is_named(state, replayed):
    booked = events_of(state, OrderFill)[3]
    event = booked.stamped.event
    where = "WHERE symbol = ? AND venue_trade_id = ?"
    harm(state, f"UPDATE fill SET price = '7' {where}", event.symbol, event.venue_trade_id)
    first = first_difference(replayed, state)
    assert first == {
        "sequence": booked.sequence, "what": f"fill {event.symbol} {event.venue_trade_id} price",
        "journal": canonical(event.price), "other": "7", "where": "store",
    }  # fmt: skip


def test_r44_a_fill_taken_away_is_named(state, replayed):
    booked = events_of(state, OrderFill)[2]
    event = booked.stamped.event
    harm(state, "DELETE FROM fill WHERE symbol = ? AND venue_trade_id = ?", event.symbol, event.venue_trade_id)
    first = first_difference(replayed, state)
    assert (first["sequence"], first["other"]) == (booked.sequence, "no such row")


def test_r44_a_ledger_leg_changed_by_hand_is_named(state, replayed):
    booked = events_of(state, LedgerEntry)[4]
    posting = booked.stamped.event.posting_id
    harm(state, "UPDATE posting SET amount = '0.5' WHERE posting_id = ? AND leg = 2", posting)
    first = first_difference(replayed, state)
    assert (first["sequence"], first["what"]) == (booked.sequence, f"ledger entry {posting} leg 2")
    assert first["other"].endswith(" 0.5")
    _, found = replayed(state)
    assert any(one["what"].startswith("balance of USDT in assets") for one in found["store"]["differences"])


def test_r44_a_row_that_no_event_tells_of_is_named(state, replayed):
    columns = "account, symbol, 'made-up', venue_order_id, wire_id, side, price, quantity, quote_quantity, fee," \
        " fee_currency, is_maker, traded_ms, client_order_id, intent_id, position_id, booked_ms"  # fmt: skip
    key = one(state, "SELECT venue_trade_id FROM fill LIMIT 1")
    harm(state, f"INSERT INTO fill SELECT {columns} FROM fill WHERE venue_trade_id = ?", key)
    assert first_difference(replayed, state)["what"] == "number of fills"


def test_r44_a_position_changed_by_hand_is_named(state, replayed):
    booked = events_of(state, PositionClosed)[1]
    position_id = booked.stamped.event.position_id
    harm(state, "UPDATE position SET sold_quote = '1' WHERE position_id = ?", position_id)
    first = first_difference(replayed, state)
    assert (first["sequence"], first["what"], first["other"]) == (
        booked.sequence, f"position {position_id} sold_quote", "1",
    )  # fmt: skip


def test_r44_an_intent_changed_by_hand_is_named(state, replayed):
    intent = one(state, "SELECT intent_id FROM intent WHERE state = 'FILLED' LIMIT 1")
    harm(state, "UPDATE intent SET reason = 'OPERATOR', executed_quantity = '9' WHERE intent_id = ?", intent)
    first = first_difference(replayed, state)
    assert first["what"] in (f"intent {intent} reason", f"intent {intent} executed quantity")


def test_r44_an_order_changed_by_hand_is_named(state, replayed):
    order = one(state, "SELECT client_order_id FROM attempt WHERE outcome = 'FILLED' LIMIT 1")
    harm(state, "UPDATE attempt SET outcome = 'CANCELED' WHERE client_order_id = ?", order)
    first = first_difference(replayed, state)
    assert (first["what"], first["journal"], first["other"]) == (f"order {order} outcome", "FILLED", "CANCELED")


def test_r44_an_event_changed_or_taken_from_the_outbox_is_named(state, replayed):
    booked = events_of(state, OrderFill)[1]
    data = one(state, f"SELECT data FROM event WHERE sequence = {booked.sequence}")
    fee = canonical(booked.stamped.event.fee)
    assert fee in data
    harm(state, "UPDATE event SET data = ? WHERE sequence = ?", data.replace(fee, "0.123"), booked.sequence)
    harm(state, "DELETE FROM event WHERE sequence = ?", booked.sequence + 1)
    first = first_difference(replayed, state)
    assert (first["sequence"], first["what"], first["other"]) == (booked.sequence, "event order_fill fee", "0.123")
    _, found = replayed(state)
    assert (found["store"]["differences"][1]["sequence"], found["store"]["differences"][1]["other"]) == (
        booked.sequence + 1, "no such row",
    )  # fmt: skip


def test_r44_a_store_that_is_behind_or_ahead_is_named(state, replayed):
    last = one(state, "SELECT max(sequence) FROM event")
    harm(state, "DELETE FROM event WHERE sequence = ?", last)
    first = first_difference(replayed, state)
    assert (first["sequence"], first["what"], first["other"]) == (last, "events", f"ends with {last - 1}")


def test_r44_what_the_store_deleted_by_its_policy_is_no_difference(state, replayed):
    raw = sqlite3.connect(state / "tradecore.db")
    raw.execute("DELETE FROM event WHERE sequence <= 200")
    ended = "SELECT intent_id FROM intent WHERE state <> 'WORKING' ORDER BY created_ms LIMIT 5"
    raw.execute(f"DELETE FROM attempt WHERE intent_id IN ({ended})")
    raw.execute(f"DELETE FROM reservation WHERE intent_id IN ({ended})")
    raw.execute(f"DELETE FROM intent WHERE intent_id IN ({ended})")
    raw.commit()
    raw.close()
    assert replayed(state)[0] == 0


# Harm to the journal -------------------------------------------------------------------------------------------------


def newest(state, family):
    return max((state / "journal" / family).glob("*.jsonl"))


def test_r44_a_torn_last_line_is_tolerated_and_said(state, replayed):
    with newest(state, "health").open("ab") as file:
        file.write(b'{"seq":99999,"at')
    code, found = replayed(state)
    assert code == 0
    assert [finding["what"] for finding in found["chain"]["findings"]] == ["torn"]


@pytest.mark.parametrize(("old", "new"), [(b'"quantity":"', b'"quantity":"1'), (b'"data":{', b'"data":[')])
def test_r44_a_changed_byte_is_named_with_its_line(state, replayed, cli, old, new):
    path = newest(state, "order")
    lines = path.read_bytes().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if b'"order_fill"' in line)
    lines[number] = lines[number].replace(old, new, 1)
    path.write_bytes(b"".join(lines))
    code, found = replayed(state)
    assert code == 1
    (finding,) = found["chain"]["findings"]
    assert (finding["what"], finding["file"], finding["line"]) == ("changed", f"order/{path.name}", number + 1)
    if old == b'"data":{':
        assert "expected a line of JSON" in found["broken"]
    else:
        assert found["store"]["differences"][0]["what"] == "event order_fill quantity"
    shown = cli("replay", "--state", state)
    assert shown.exit_code == 1
    assert f"changed: order/{path.name} line {number + 1}" in shown.stdout


def test_r44_a_removed_booked_line_is_named_by_chain_and_by_sequence(state, replayed):
    path = newest(state, "order")
    lines = path.read_bytes().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if b'"order_fill"' in line)
    path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
    code, found = replayed(state)
    assert code == 1
    assert [finding["what"] for finding in found["chain"]["findings"]] == ["removed"]
    assert found["store"]["differences"][0]["what"] == "event sequence"


def test_r44_people_read_what_json_says(two_runs, cli):
    result = cli("replay", "--state", two_runs)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("chain     whole: ")
    assert any(line.startswith("store     equal in everything") for line in lines)
    assert max(map(len, [line for line in lines if not line.startswith("coins")])) <= 100


async def test_r44_a_journal_that_contradicts_itself_is_found_without_a_store(two_runs):
    events = list(read_booked(two_runs / "journal"))
    at = next(n for n, booked in enumerate(events) if isinstance(booked.stamped.event, OrderFill))
    fill = events[at].stamped.event
    more = fill._replace(quantity=fill.quantity + 1)
    events[at] = events[at]._replace(stamped=events[at].stamped._replace(event=more))
    found = rebuild(events).contradictions
    assert found[0].what.endswith("quantity")
    assert found[0].where == "journal"
    legs = LedgerEntry("x", "trade", (Leg("assets", "USDT", Decimal(1)), Leg("venue", "USDT", Decimal(-2))))
    (lost,) = rebuild([BookedEvent(1, Stamped(1, legs))]).contradictions
    assert lost.what == "ledger entry x sum of USDT"


# Power cuts between store and journal --------------------------------------------------------------------------------


def test_r25_power_cut_between_store_and_journal_at_every_commit(tmp_path):
    """The folder is copied right after each commit, before the journal wrote it; the next start makes them agree."""
    fall = [*closing_at(100, 100), (100.0, 100.0, 97.0, 97.0, 1_000.0), *closing_at(97, 97)]
    guests = [wisher({1: ("AAA/USDT",)}), sizer({"AAA/USDT": "1"}), allower(),
              router((GTC, "-3", 3_000), (IOC, "20", 2_000)), leader(stop=0.985)]  # fmt: skip
    scene = Scene(ScriptedSource({"AAA/USDT": fall}), guests, ("market.between_closes=false", "twin.depth_quote=1500"))
    stores = []

    def around(store):
        stores.append(SnapshotStore(store, tmp_path / "state", tmp_path / "copies"))
        return stores[-1]

    whole = play(scene, tmp_path / "state", around=around)
    assert whole.violations() == ()
    behind = 0
    for copy in sorted((tmp_path / "copies").iterdir())[1::2]:
        _, cut = compared(copy)
        with open_kept(copy / "tradecore.db") as kept:
            stored = kept.last_sequence()
        if cut.total:
            behind += 1
            assert {one.what for one in cut.differences} & {"events"}, "the journal lacks what was committed last"
        play(scene, copy)
        rebuilt, found = compared(copy)
        assert found.differences == [], copy.name
        assert rebuilt.sequence > stored
        assert verify(copy / "journal").findings == ()
        shutil.rmtree(copy)
    assert behind > 20, "the copies were taken while the journal lacked what the store had"


def test_r25_a_journal_that_was_lost_is_written_again_from_the_store(state, replayed, lively):
    shutil.rmtree(state / "journal")
    play(lively(hours=0.1), state)
    code, found = replayed(state)
    assert code == 0
    assert found["rebuilt"]["first_sequence"] == 1


# Real time, recorded candles -----------------------------------------------------------------------------------------


def test_r44_beside_a_running_process_it_compares_to_where_the_store_stands(tmp_path, replayed):
    state = tmp_path / "state"
    code = "from tradecore.cli.main import main; main()"
    arguments = ["run", "--speed", "600", "--for", "4h", "--state", str(state), "--set", "signals_drop.drop_pct=0.8"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("TRADECORE_")}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        seen = []
        until = time.monotonic() + 60
        while time.monotonic() < until and (len(seen) < 3 or seen[-1] == seen[0]):
            time.sleep(0.3)
            if not (state / "journal" / "head.json").exists() or not (state / "tradecore.db").exists():
                continue
            assert process.poll() is None
            code, found = replayed(state)
            assert code == 0, found["store"]["differences"][:3] or found["chain"]["findings"]
            seen.append(found["rebuilt"]["last_sequence"])
        assert seen[-1] > seen[0], "the run went on between two looks"
    finally:
        process.kill()
        process.wait()
    code, found = replayed(state)
    left = {one["what"] for one in found["store"]["differences"]}
    assert found["chain"]["ok"]
    assert code == 0 or "events" in left, "what the kill kept from the journal is named as such"


def test_r44_recorded_candles_replay_equal(tmp_path, candles, replayed):
    sets = [
        "run.mode=twin", "store.synchronous=OFF", "market.source=files", "run.speed=max", 'run.for=""',
        f"market.folder={json.dumps(str(candles / 'binance-2021-05-crash'))}", "market.timeframe=1m",
        "market.start=2021-05-19T12:00", "market.stop=2021-05-19T14:00", "signals_drop.drop_pct=2.0",
        "signals_drop.lookback=40m", "size_fixed.amount=300", "account.opening={USDT=5000}",
    ]  # fmt: skip
    prepared = prepare(Options("demo", {}, sets, ",".join(GUESTS), state=tmp_path / "state"))
    execute(prepared)
    code, found = replayed(tmp_path / "state")
    assert code == 0, found["store"]["differences"][:3]
    assert found["rebuilt"]["fills"] > 0
