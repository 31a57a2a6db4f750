"""Settings that change: a start tells every value that differs, a run under way the file that was edited (R54)."""

from __future__ import annotations

import hashlib
import threading

from tests.failed_session.conftest import Session, call, played
from tests.failed_session.market import ALLOW, write_profiles
from tradecore.model.events import AlertFired, ConfigChange, ConfigDrift, ConfigSnapshot
from tradecore.model.places import STORE_FILE
from tradecore.store.queries import open_reader


def test_r54_a_start_writes_all_values_their_origins_and_their_hash(failed):
    (snapshot,) = [stamped.event for stamped in failed.notes(ConfigSnapshot)]
    assert snapshot.values["engine.max_slippage_bps"] == "15"
    origins = snapshot.origins
    assert set(origins) == set(snapshot.values)
    assert origins["engine.max_slippage_bps"] == origins["plugins.exec_ioc_gtc.cap_bps"] == "profile"
    assert origins["run.allow"] == "command line"
    assert origins["engine.zero_fill_sends"] == "default"
    assert origins["plugins.risk_limits.max_trades_per_day"] == "default"
    with open_reader(failed.folder / STORE_FILE) as reader:
        assert reader.last_run().settings_digest == snapshot.digest
    assert failed.notes(ConfigChange) == []


def test_r54_the_next_start_tells_each_value_that_differs(story, tmp_path):
    state = tmp_path / "state"
    played(story, story.failed, state, "--set", ALLOW, "--for", "1m")
    again = played(
        story, story.failed, state, "--set", ALLOW, "--for", "1m", "--set", "engine.max_slippage_bps=12",
        "--set", "exits.stop_loss_pct=1.9",
    )  # fmt: skip
    changed = {stamped.event.setting: stamped.event for stamped in again.notes(ConfigChange)}
    assert set(changed) == {"engine.max_slippage_bps", "plugins.exits.stop_loss_pct"}
    assert changed["engine.max_slippage_bps"][1:] == ("15", "12", "command line")
    first, second = [stamped.event.digest for stamped in again.notes(ConfigSnapshot)]
    assert first != second


def test_r54_a_file_that_changes_under_a_run_is_an_alert_and_not_in_force(tmp_path):
    """A running program, an operator who edits its profile, and who takes the edit back."""
    _, profile = write_profiles(tmp_path / "profiles")
    text = profile.read_text()
    edited = text.replace("spread_bps = 2", "spread_bps = 3")
    timers = [
        threading.Timer(0.6, profile.write_text, [edited]),
        threading.Timer(1.4, profile.write_text, [text]),
    ]  # fmt: skip
    for timer in timers:
        timer.daemon = True
        timer.start()
    state = tmp_path / "state"
    result = call("run", "--profile", profile, "--speed", "400", "--for", "15m", "--state", state, "--json")
    for timer in timers:
        timer.join()
    assert result.exit_code == 0, result.stderr
    session = Session(None, profile, state, {})  # type: ignore[arg-type]  # the story's market takes no part
    drifts = [stamped.event for stamped in session.notes(ConfigDrift)]
    first, second = (hashlib.sha256(one.encode()).hexdigest() for one in (text, edited))
    assert drifts == [ConfigDrift("story.toml", first, second), ConfigDrift("story.toml", first, first)]
    told = [stamped.event for stamped in session.notes(AlertFired) if stamped.event.name == "config_drift"]
    assert [(alert.severity, alert.resolved) for alert in told] == [("warning", False), ("info", True)]
    assert told[0].text == "story.toml changed: not in force before the next start"
    (snapshot,) = [stamped.event for stamped in session.notes(ConfigSnapshot)]
    assert snapshot.values["twin.spread_bps"] == "2"
