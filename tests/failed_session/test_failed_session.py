"""The earlier bot sent 67 orders, filled none and wrote not one error line: the same day with this one.

What else that day's reports tell, exposure 715 times too large, exposure that piled up over restarts, and the position
that was "Oversold", is in `tests/ledger/test_failed_session_money.py`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal

import pytest

from tests.failed_session.conftest import answer, call, played
from tests.failed_session.market import ALLOW, CHASED, COINS
from tradecore.model.events import AlertFired, IntentCleared, OrderDone, OrderFailed, OrderFill
from tradecore.model.intent import IntentState
from tradecore.model.units import Side, bps_between

ORDERS = COINS + len(CHASED)


def test_r55_it_is_that_session_53_signals_67_orders_no_fill(failed):
    summary = failed.summary
    assert (COINS, ORDERS) == (53, 67)
    assert summary["signals"] == summary["outcomes"]["INTENT_CREATED"] == 53
    assert summary["orders_sent"] == 67
    assert summary["orders_filled"] == summary["orders_partly_filled"] == 0
    assert summary["fill_rate"] == 0
    assert failed.notes(OrderFill) == []
    assert summary["equity_start"] == summary["equity_end"]
    assert (summary["errors"], summary["ended"]) == ({}, "end of data")


def test_r10_every_order_that_failed_says_so_with_a_code(failed):
    attempts = {attempt.client_order_id: attempt for attempt in failed.records.attempts}
    told = failed.notes(OrderFailed)
    assert len(attempts) == len(told) == 67
    assert {stamped.ids.client_order for stamped in told} == set(attempts)
    for stamped in told:
        event, attempt = stamped.event, attempts[stamped.ids.client_order]
        assert event.code == attempt.code == "EXPIRED_UNFILLED"
        assert (event.outcome, event.error_class, event.symbol) == ("EXPIRED", "unfilled", attempt.symbol)
        assert event.latency_ms == 450
        assert stamped.ids.intent == attempt.intent_id
        assert stamped.ids.venue_order == attempt.venue_order_id != ""
    assert failed.summary["orders_failed"] == {"EXPIRED_UNFILLED": 67}
    assert len(failed.notes(OrderDone)) == 67


def test_r15_no_intent_is_left_behind(failed):
    summary, records = failed.summary, failed.records
    assert summary["pending_intents"] == 0
    assert summary["pending"] == []
    assert summary["reserved"] == "0"
    assert summary["pending_peak"] < 10
    cleared = Counter(stamped.ids.intent for stamped in failed.notes(IntentCleared))
    assert len(cleared) == 53
    assert set(cleared.values()) == {1}
    assert {row.state for row in records.intents} == {IntentState.UNFILLED}
    assert Counter(len([a for a in records.attempts if a.intent_id == intent]) for intent in cleared) == {1: 39, 2: 14}


def test_r43_each_of_the_53_intents_is_explained(failed):
    rows = answer("query", "intents", "--limit", 1000, "--state", failed.folder)["intents"]
    assert len(rows) == 53
    for row in rows:
        intent = row["intent"]
        life = answer("why", intent["intent_id"], "--state", failed.folder)
        assert life["symbol"] == intent["symbol"]
        assert life["decision"] == intent["signal"]["signal_id"]
        assert life["signal"]["plugin"] == "signals_drop"
        assert Decimal(life["sizing"]["quantity"]) > 0
        assert life["checks"][0]["allowed"]
        assert life["caps"]["caps"] == {"spread_bps_max": "10 risk_limits", "slippage_bps_max": "15 risk_limits"}
        for attempt in life["attempts"]:
            assert attempt["request"]["time_in_force"] == "IOC"
            assert [state for _, state in attempt["states"]][:2] == ["PREPARED", "SENDING"]
            assert attempt["answer"]["status"] == "EXPIRED"
            assert attempt["latency_ms"] == pytest.approx(450)
            assert attempt["end"]["outcome"] == "EXPIRED"
            assert attempt["fills"] == []
        cleared = life["cleared"]
        assert (cleared["state"], cleared["reason"], cleared["attempts"]) == (
            "UNFILLED", "PRICE_MOVED", len(life["attempts"]),
        )  # fmt: skip
        touch, cap = map(Decimal, re.fullmatch(r"touch=([\d.]+), cap=([\d.]+)", cleared["detail"]).groups())
        assert cap == Decimal(intent["price_cap"]) < touch
        kinds = [kind for kind, _ in life["budget"]]
        assert kinds == ["budget_reserved", "budget_released"]
        assert Decimal(life["budget"][1][1]["consumed"]) == 0


def test_r48_the_zero_fill_alarm_rises_once_with_its_reasons_and_figures(failed):
    (raised,) = [stamped for stamped in failed.notes(AlertFired) if stamped.event.name == "zero_fills"]
    assert (raised.event.name, raised.event.severity) == ("zero_fills", "critical")
    assert failed.summary["alerts"]["zero_fills"] == 1
    done = [stamped.at_ns for stamped in failed.notes(OrderDone)]
    assert sum(at_ns <= raised.at_ns for at_ns in done) == 20
    text = raised.event.text
    assert "none of the last 20 orders of entries filled: EXPIRED_UNFILLED 20" in text
    assert "their intents ended PRICE_MOVED 20" in text
    limits = re.search(r"limits stood ([\d.]+) \(([\d.]+) to ([\d.]+)\) bps from the signal's price", text)
    stood = re.search(r"the best price stood ([\d.]+) \(([\d.]+) to ([\d.]+)\) bps from it in the end", text)
    assert float(limits[3]) <= 15 < float(stood[2]), text


def test_r43_why_top_names_the_blocker_with_its_figures(failed):
    found = answer("why", "--top", "--state", failed.folder)["entries"]
    assert (found["intents"], found["filled"], found["orders"], found["orders_filled"]) == (53, 0, 67, 0)
    (end,) = found["ends"]
    assert (end["reason"], end["state"], end["times"]) == ("PRICE_MOVED", "UNFILLED", 53)
    assert re.fullmatch(r"touch=[\d.]+, cap=[\d.]+", end["detail"])
    near, far = found["unfilled"]
    assert [(one["code"], one["label"], one["times"]) for one in (near, far)] == [
        ("EXPIRED_UNFILLED", "IOC 10 bps 1/1", 53), ("EXPIRED_UNFILLED", "IOC 30 bps 1/1", 14),
    ]  # fmt: skip
    intents = {row.intent.intent_id: row.intent for row in failed.records.intents}
    first = [attempt for attempt in failed.records.attempts if attempt.number == 1]
    limits = [float(bps_between(intents[a.intent_id].price, a.request.price)) for a in first]
    assert near["limit_bps"]["mean"] == pytest.approx(sum(limits) / 53, abs=0.01)
    assert near["limit_bps"]["least"] == pytest.approx(min(limits), abs=0.01)
    # the rung of 30 bps was clipped to the cap of 15: what the plan calls a step that can never trade
    assert far["limit_bps"] == far["cap_bps"]
    assert far["cap_bps"]["most"] <= 15


def test_r43_the_program_itself_says_it_to_a_person(failed):
    code = "import sys; from tradecore.cli.main import main; sys.argv[0] = 'tradecore'; main()"
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS" and "TRADECORE" not in name}
    said = subprocess.run(
        [sys.executable, "-c", code, "why", "--top", "--state", str(failed.folder)],
        capture_output=True, text=True, check=True, timeout=60, env=env,
    ).stdout  # fmt: skip
    assert "0 of 53 entries bought something; 0 of 67 orders filled" in said
    assert re.search(r"PRICE_MOVED +UNFILLED +53 +100\.0 % +touch=[\d.]+, cap=[\d.]+", said)
    assert re.search(r"EXPIRED_UNFILLED +IOC 10 bps 1/1 +\d+\.\d .* 53 +79\.1 %", said)


def test_r43_why_of_one_symbol_tells_its_own_entry(failed):
    found = answer("why", "C01/USDT", "--state", failed.folder)["entries"]
    assert (found["intents"], found["orders"]) == (1, 2)
    assert sum(one["times"] for one in found["unfilled"]) == 2


def test_r53_its_settings_are_refused_with_at_least_three_findings(story):
    result = story.plan(story.failed, "--json")
    assert result.exit_code == 2
    told = [one for one in json.loads(result.stdout)["findings"] if one["severity"] == "impossible"]
    assert Counter(one["code"] for one in told) == {"premium_over_cap": 2, "ttl_under_latency": 3}
    for one in told:
        numbers = re.findall(r"[\d.]+ (?:bps|ms)", one["text"])
        assert len(numbers) >= 2, one
        assert one["keys"]
        assert re.search(r"\d", one["way_out"]), one


def test_r53_a_run_refuses_them_until_each_is_allowed_by_its_code(story, tmp_path):
    for allow in ("run.allow=[]", "run.allow=premium_over_cap"):
        result = story.run(story.failed, tmp_path / "state", "--set", allow)
        assert result.exit_code == 2
        assert "ttl_under_latency" in result.stderr
        assert ("premium_over_cap: " in result.stderr) == (allow == "run.allow=[]")
        assert not (tmp_path / "state").exists()


def test_r55_with_the_default_profiles_orders_the_same_market_fills(failed, sound):
    summary = sound.summary
    assert summary["signals"] == failed.summary["signals"] == 53
    entries = [attempt for attempt in sound.records.attempts if attempt.side is Side.BUY]
    filled = [attempt for attempt in entries if attempt.executed_quantity]
    assert len(filled) / len(entries) > 0.3
    assert summary["fill_rate"] > 0.3
    assert len({attempt.intent_id for attempt in filled}) == 53
    assert (summary["pending_intents"], summary["reserved"]) == (0, "0")
    assert "zero_fills" not in summary["alerts"]
    found = answer("why", "--state", sound.folder)["entries"]
    assert (found["intents"], found["filled"], found["ends"]) == (53, 53, [])
    assert (found["orders"], found["orders_filled"]) == (len(entries), len(filled))


@pytest.mark.parametrize("which", ["failed", "sound"])
def test_inv_both_sessions_keep_every_invariant(which, request):
    session = request.getfixturevalue(which)
    assert [str(violation) for violation in session.violations()] == []
    assert session.summary["ledger_balanced"]
    assert session.summary["unexplained_drift"] == "0"
    checked = call("ledger", "check", "--state", session.folder)
    assert checked.exit_code == 0, checked.output


def test_r44_both_sessions_are_rebuilt_from_their_journals(failed, sound):
    for session in (failed, sound):
        result = call("replay", "--state", session.folder)
        assert result.exit_code == 0, result.output


def test_it_is_the_same_session_each_time(failed, tmp_path):
    again = played(failed.story, failed.profile, tmp_path / "state", "--set", ALLOW)
    own = {"wall_s", "state"}
    assert {k: v for k, v in again.summary.items() if k not in own} == {
        k: v for k, v in failed.summary.items() if k not in own
    }
