"""R41: every registered kind of event is written by a session that runs, and told by `query events`."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.campaigns.bot import CACHE, Bot
from tests.campaigns.wire_processes import Venue, _path
from tests.replay.unruly import doubled, forgetful, runs
from tradecore.model.events import REGISTRY

LIVE_ONLY = {"feed_source", "feed_past", "config_drift", "clock_gap", "late_call", "log_record", "rate_limit_hit"}
"""Kinds of real time and of real venues: on virtual time nothing stands still, comes late or has to wait its turn."""


def told_by(cli, state, kinds):
    """Those kinds of which `query events` tells a line, each line of its kind."""
    found = set()
    for kind in kinds:
        result = cli("query", "events", "--kind", kind, "--limit", 1, "--state", state, "--json")
        assert result.exit_code == 0, result.output
        found |= {event["kind"] for event in json.loads(result.stdout)["events"]}
    return found


def test_r41_every_kind_is_written_on_virtual_time_but_those_of_real_time(tmp_path, cli):
    found = set()
    for state in runs(tmp_path):
        found |= told_by(cli, state, sorted(REGISTRY.keys() - found))
    found |= told_by(cli, doubled(tmp_path / "doubled"), ["duplicate_order_blocked"])
    found |= told_by(cli, forgetful(tmp_path / "forgetful"), ["store_behind"])
    assert REGISTRY.keys() - found == LIVE_ONLY


@pytest.fixture
def compiled(tmp_path_factory, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path_factory.mktemp("compiled")))


@pytest.mark.usefixtures("compiled")
def test_r41_the_kinds_of_real_time_are_written_against_a_venue(tmp_path, cli):
    """A process against a served venue: held up, its settings file changed."""
    speed = 12.0
    with Venue("binance", tmp_path, speed) as venue:
        options, sets = venue.options(None)
        # what a channel logs of an alert is a warning of a library like any other
        options += ["--plugins", "signals_drop,size_fixed,risk_limits,exec_ioc_gtc,exits,notify_log"]
        state = tmp_path / "state"
        with Bot(state, options, [*sets, "engine.deadlines_ms.signal=0.001"], env={"PYTHONPATH": _path()}) as bot:
            bot.until_event("scan_outcomes", 2, timeout_s=200)
            with venue.profile.open("a") as profile:
                profile.write("\n# changed while it runs\n")
            bot.send(signal.SIGSTOP)
            time.sleep(6.2)
            bot.send(signal.SIGCONT)
            for kind in sorted(LIVE_ONLY):
                bot.until_event(kind, 1, timeout_s=90)
            bot.send(signal.SIGTERM)
            assert bot.wait(30).code in (0, 3)
    assert told_by(cli, state, LIVE_ONLY) == LIVE_ONLY
