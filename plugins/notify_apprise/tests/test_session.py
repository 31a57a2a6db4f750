"""Whole sessions on the wall with services beside them: all news arrives; whatever a service does, trading goes on."""

import sqlite3
import time
from pathlib import Path

import pytest
from pydantic import ValidationError
from tradecore_notify_apprise.plugin import NotifyApprise

from tradecore.app.session import Session
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.errors import SettingsError
from tradecore.model.events import AlertFired, Heartbeat, LateCall, PluginFault, SlowCycle
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, sizer, wisher
from tradecore.testing.harness import Played, Scene, play, prepared_of
from tradecore.testing.readme import assert_readme_settings

pytest.importorskip("apprise", reason="apprise is an extra, and is not installed here")

A, B = "A/USDT", "B/USDT"
TOKEN = "canaryTOKENcanaryTOKEN"
SPEED = 800.0


def scene(addresses, *sets, rows=28, reference="env:ADDRESSES"):
    guests = [
        wisher({6: [A], 9: [B]}, expires_after_ms=20 * 60_000), sizer("1"), allower(),
        router((TimeInForce.IOC, "20", 2_000)), leader(take=1.05), "notify_apprise",
    ]  # fmt: skip
    source = ScriptedSource({A: closing_at(*[100.0] * rows), B: closing_at(*[50.0] * 20, *[53.0] * (rows - 20))})
    mine = (
        f"notify_apprise.addresses={reference}", "notify_apprise.timeout_s=1", "notify_apprise.per_minute=60",
        "engine.price_age_s_max=600", "engine.book_age_ms_max=600000", "engine.intent_ttl_s=600",
        "intervals.heartbeat_s=0.2", *sets,
    )  # fmt: skip
    return Scene(source, guests, mine, env={"ADDRESSES": addresses} if reference else {})


def play_on_the_wall(wanted, folder, speed=SPEED):
    folder.mkdir(exist_ok=True)
    prepared = prepared_of(wanted.with_sets(f"run.speed={speed:g}"))

    class Stage:
        def begin(self, engine, clock, stop_at_ms):
            pass

        def end(self):
            pass

    loop = MarketLoop(speed)
    outcome = run_on(Session(prepared, folder, True, time.monotonic()).run(loop, Stage()), loop)
    return Played(outcome.summary, outcome.exit_code, folder, "demo", prepared.instruments, ())


def unharmed(played):
    assert played.exit_code == 0
    assert played.notes(PluginFault) == []
    assert played.notes(LateCall) == []
    assert [one.event for one in played.notes(SlowCycle) if one.event.what in {"slow", "failed"}] == []
    assert played.summary["errors"] == {}
    assert max(one.event.loop_lag_ms for one in played.notes(Heartbeat)) < 500  # ms of the wall, on a busy machine
    assert sum(row.intent.reduces is False for row in played.records.intents) == 2, played.summary["outcomes"]


def depth(folder):
    raw = sqlite3.connect(folder / "plugins" / "notify_apprise" / "outbox.sqlite")
    (count,) = raw.execute("SELECT count(*) FROM message WHERE state = 'waiting'").fetchone()
    raw.close()
    return count


def test_readme_and_defaults():
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), NotifyApprise.Settings)


@pytest.mark.parametrize("values", [{"per_minute": 0}, {"timeout_s": 0}, {"least": "loud"}, {"address": "x"}])
def test_settings_that_make_no_sense_are_refused(values):
    with pytest.raises(ValidationError):
        NotifyApprise.Settings.model_validate(values)


def test_f43_an_address_in_the_settings_is_refused_and_not_repeated():
    with pytest.raises(SettingsError, match=r"notify_apprise\.addresses: expected env:NAME") as error:
        Session(prepared_of(scene("", reference=f"json://{TOKEN}@x")), Path("nowhere"), True, 0.0)
    assert TOKEN not in str(error.value)


def test_r48_all_news_reaches_every_address_and_no_file_holds_one(hook, tmp_path):
    addresses = f"# two rooms\n{hook.address('one/' + TOKEN)}\n{hook.address('two')}"
    played = play_on_the_wall(scene(addresses, rows=60), tmp_path / "state", speed=600.0)
    unharmed(played)
    for path in (f"/one/{TOKEN}", "/two"):
        words = hook.texts(path)
        for part in ("run ", " begins", "BUY 1 A/USDT at ", "by lead (TAKE_PROFIT)", "ends: end of data", " fills, "):
            assert part in words, part
        assert words.count("BUY 1 A/USDT at ") == 1
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("fault", ["hang", "drop", 500])
def test_f42_trading_never_notices_what_a_service_does_nor_does_another_address(hook, tmp_path, fault):
    other = hook.address("other")
    hook.always = fault
    addresses = f"{hook.address()} nosuch://{TOKEN}"
    played = play_on_the_wall(scene(addresses), tmp_path / "state")
    unharmed(played)
    assert hook.got == []
    assert depth(tmp_path / "state") >= 4
    if fault != "drop":
        return
    # what waited is told by the next run on this state, once; an address that is none is told by its place
    hook.always = None
    longer = ScriptedSource({A: closing_at(*[100.0] * 90), B: closing_at(*[50.0] * 20, *[53.0] * 70)})
    again = play_on_the_wall(scene(f"{addresses} {other}")._replace(source=longer), tmp_path / "state")
    assert hook.texts().count("BUY 1 A/USDT at ") == 1
    assert hook.texts().count("begins") == 2
    assert hook.texts("/other").count("begins") == 1
    alerts = [one.event for one in again.notes(AlertFired) if one.event.name == "chat_address"]
    assert [one.text for one in alerts] == ["addresses that apprise does not know: number 2"]


def test_r48_severities_below_the_least_are_not_told(hook, tmp_path):
    quiet = ("notify_apprise.fills=false", "notify_apprise.failures=false", "notify_apprise.least=critical")
    unharmed(play_on_the_wall(scene(hook.address(), *quiet, rows=50), tmp_path / "state"))
    assert "BUY" not in hook.texts()
    assert "WARNING" not in hook.texts()
    assert "begins" in hook.texts()


def test_without_an_address_the_channel_is_switched_off(tmp_path):
    played = play_on_the_wall(scene("", reference=""), tmp_path / "state")
    unharmed(played)
    assert not (tmp_path / "state" / "plugins" / "notify_apprise" / "outbox.sqlite").exists()


def test_on_virtual_time_it_is_silent_and_changes_nothing(hook, tmp_path):
    wanted = scene(hook.address())
    played = play(wanted, tmp_path / "with")
    plain = play(wanted._replace(guests=wanted.guests[:-1], sets=()), tmp_path / "without")
    assert hook.calls == 0
    assert played.records.attempts == plain.records.attempts
    assert played.violations() == ()
