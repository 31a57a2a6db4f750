"""notify_log: what is written, what is left out, and a disk that takes nothing."""

import json
import logging
from pathlib import Path

import pytest
from pydantic import ValidationError
from tradecore_notify_log.plugin import NotifyLog

from tradecore import Alert, Job, JobAnswer
from tradecore.hooks.specs import Resources
from tradecore.model.events import AlertFired, PluginFault, Stamped
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, make_guest, router, sizer, wisher
from tradecore.testing.harness import Scene, play
from tradecore.testing.readme import assert_readme_settings

A = "A/USDT"
T0 = 1_700_000_000_000


def guest(folder, **values):
    made = NotifyLog(NotifyLog.Settings.model_validate(values))
    made.on_start(Resources(folder, {}, "r"))
    return made


def alert(name="low", severity="warning", text="equity fell", **more):
    return Stamped(T0 * 1_000_000, AlertFired(name, severity, text, **more))


def lines(folder, name="alerts.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_readme():
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), NotifyLog.Settings)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a\nb"])
def test_a_file_outside_of_its_folder_is_refused(name):
    with pytest.raises(ValidationError, match="expected a plain file name"):
        NotifyLog.Settings(file=name)


def test_r48_alerts_are_written_to_file_and_log(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    made = guest(tmp_path)
    made.on_event(alert(by="alerts"))
    made.on_event(alert(by="alerts", resolved=True))
    assert lines(tmp_path)[0] == {
        "at": "2023-11-14T22:13:20.000+00:00", "kind": "alert", "name": "low", "severity": "warning", "by": "alerts",
        "resolved": False, "text": "equity fell",
    }  # fmt: skip
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "warning: low by alerts: equity fell"), ("INFO", "resolved: low by alerts: equity fell"),
    ]  # fmt: skip


def test_severities_below_the_least_are_left_out_and_unknown_ones_never(tmp_path):
    made = guest(tmp_path, least="critical", log=False)
    for severity in ("info", "warning", "critical", "apocalyptic"):
        made.on_event(alert(severity=severity))
    assert [line["severity"] for line in lines(tmp_path)] == ["critical", "apocalyptic"]


def test_f42_a_text_of_others_makes_no_line_of_its_own(tmp_path, caplog):
    made = guest(tmp_path)
    made.on_event(alert(text='x"}\n{"kind":"alert","name":"forged"}\x1b[2J\u202egpj'))
    assert len(lines(tmp_path)) == 1
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert record.getMessage().isascii()


def test_the_file_is_bounded(tmp_path):
    made = guest(tmp_path, max_mb=1, log=False)
    for _ in range(700):
        made.on_event(alert(text="n" * 9_000))
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"alerts.jsonl", "alerts.jsonl.1"}
    assert max(sizes.values()) <= 2**20


def test_f41_a_disk_that_takes_nothing_is_counted_and_told_at_the_end(tmp_path, caplog):
    made = guest(tmp_path, log=True)
    (tmp_path / "alerts.jsonl").mkdir()
    for _ in range(3):
        made.on_event(alert())
    made.on_shutdown("the end")
    assert caplog.messages[-1] == "3 lines could not be written to the file"


def test_r48_a_session_in_which_one_guest_alerts_and_the_channel_hears(tmp_path):
    def look(portfolio, market, last):
        return JobAnswer(alerts=(Alert("seen", "critical", "look"),), state={"n": 1}) if last is None else None

    watcher = make_guest("watch", jobs=lambda: [Job("look", 300.0, look)])
    guests = [
        wisher({2: [A]}), sizer("1"), allower(), router((TimeInForce.IOC, "20", 2_000)), leader(take=1.01), watcher,
        "notify_log",
    ]  # fmt: skip
    closes = closing_at(*[100.0] * 5, 102.0, *[102.0] * 10)
    played = play(Scene(ScriptedSource({A: closes}), guests, ("notify_log.fills=true",)), tmp_path)
    found = lines(tmp_path / "plugins" / "notify_log")
    assert [(one["kind"], one.get("name") or one["side"]) for one in found] == [
        ("fill", "buy"), ("alert", "seen"), ("fill", "sell"),
    ]  # fmt: skip
    assert played.notes(PluginFault) == []
    assert played.violations() == ()
