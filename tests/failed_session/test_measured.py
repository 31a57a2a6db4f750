"""What a run measured of venue, market and jobs, and what `tradecore plan --state` makes of it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.failed_session.conftest import call, played
from tests.failed_session.market import ALLOW
from tradecore.app.planning import judge, world_of
from tradecore.app.prepare import Options, measured_of, prepare
from tradecore.engine.measured import Measured
from tradecore.model.events import BalanceRefresh, DecisionOutcome, ExchangeCall, Heartbeat, PriceSnapshot
from tradecore.model.places import MEASURED, STORE_FILE
from tradecore.store.queries import open_reader

D = Decimal


def impossible(result):
    return {one["code"] for one in json.loads(result.stdout)["findings"] if one["severity"] == "impossible"}


@given(st.lists(st.floats(0, 60_000), min_size=1, max_size=50))
def test_the_latency_is_the_middle_one(latencies):
    measured = Measured()
    for ms in latencies:
        measured.take(ExchangeCall("place", "A/USDT", 200, ms, None, ""))
    found = measured.figures()["latency_ms"]
    below, above = sum(ms <= found + 0.001 for ms in latencies), sum(ms >= found - 0.001 for ms in latencies)
    assert 2 * below >= len(latencies) <= 2 * above


def test_only_answers_of_the_venue_and_books_count():
    measured = Measured()
    measured.take(BalanceRefresh(False, 5_000, 0, "TimeoutError: "))
    measured.take(Heartbeat(1, 1, 0, 0, 0, 0, "ACTIVE"))
    measured.take(PriceSnapshot("A/USDT", None, D(1), 0, "twin"))
    assert measured.figures() == {}
    measured.take(BalanceRefresh(True, 80, 0))
    measured.take(PriceSnapshot("A/USDT", D(100), D("100.1"), 0, "twin"))
    for ms in (30, 50, 40):
        measured.job("reconcile", ms)
    assert measured.figures() == {"latency_ms": 80, "spread_bps": 10, "job.reconcile": 50}


def test_a_spread_that_refused_an_entry_counts_too():
    measured = Measured()
    refused = DecisionOutcome("p", "A/USDT", 0, "SPREAD_TOO_WIDE", "core", 0, 0, 0, "", "", "spread_bps", D(24), D(10))
    measured.take(refused)
    measured.take(refused._replace(limit="max_positions"))
    assert measured.figures() == {"spread_bps": 24}


def test_the_newest_thousand_calls_count():
    measured = Measured()
    for number in range(3_000):
        measured.take(ExchangeCall("place", "A/USDT", 200, 10 if number < 2_000 else 90, None, ""))
    assert measured.figures() == {"latency_ms": 90}


def test_r53_a_run_on_virtual_time_keeps_latency_and_spread_and_no_times_of_the_wall(failed):
    found = measured_of(failed.folder)
    assert set(found) == {"latency_ms", "spread_bps"}
    assert found["latency_ms"] == 450
    assert 1 < found["spread_bps"] < 10


def test_r53_what_a_run_measured_is_kept_while_it_goes_on_and_at_its_end(story, tmp_path):
    """Half a minute of market time is enough; the figures are those of the newest run."""
    state = tmp_path / "state"
    played(story, story.failed, state, "--set", ALLOW, "--for", "2m")
    with open_reader(state / STORE_FILE) as reader:
        fact, run = reader.memory(MEASURED)[MEASURED], reader.last_run()
    assert run is not None
    assert fact.at_ms <= run.ended_ms
    played(story, story.failed, state, "--set", ALLOW, "--set", "twin.latency_ms=120", "--for", "2m")
    assert measured_of(state)["latency_ms"] == 120


def test_r53_a_run_on_the_wall_keeps_the_longest_run_of_each_job(tmp_path):
    state = tmp_path / "state"
    result = call(
        "run", "--speed", "600", "--for", "10m", "--state", state, "--json",
        "--set", "intervals.persist_s=0.2", "--set", "intervals.reconcile_s=0.2",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = measured_of(state)
    assert {"job.scan", "job.persist", "job.reconcile", "latency_ms"} <= set(found)
    assert all(0 <= ms < 10_000 for ms in found.values())


def test_r53_plan_takes_the_measured_latency_for_the_assumed_one(story, failed):
    assumed = ("--set", "twin.latency_ms=40", "--json")
    assert "ttl_under_latency" not in impossible(story.plan(story.failed, *assumed))
    result = story.plan(story.failed, *assumed, "--state", failed.folder)
    assert "ttl_under_latency" in impossible(result)
    told = [one for one in json.loads(result.stdout)["findings"] if one["code"] == "ttl_under_latency"]
    assert "600 ms" in told[0]["text"]
    assert "900 ms" in told[0]["text"]


@pytest.mark.parametrize(
    ("measured", "code"),
    [
        ({"spread_bps": 24.0}, "spread_over_cap"),
        ({"latency_ms": 2_000.0}, "ttl_under_latency"),
        ({"job.reconcile": 12_000.0}, "interval_under_job"),
        ({"job.sweeper.dust_sweep": 4_000_000.0}, "interval_under_job"),
    ],
)
def test_r53_each_measured_figure_has_its_finding(measured, code):
    prepared = prepare(Options("paper", {}))
    before = world_of(prepared.settings, {}, 0, 5)
    after = world_of(prepared.settings, {}, 0, 5, measured)
    assert before.spread_bps is None
    assert before != after
    assert code not in {one.code for one in judge(prepared.settings, prepared.guests, before)}
    (found, *_) = [one for one in judge(prepared.settings, prepared.guests, after) if one.code == code]
    assert found.way_out
    assert found.keys


def test_figures_of_jobs_without_an_interval_setting_say_nothing():
    prepared = prepare(Options("paper", {}))
    after = world_of(prepared.settings, {}, 0, 5, {"job.signals_drop.learn": 1e9, "latency_ms": 120.0})
    assert after.job_ms == ()
