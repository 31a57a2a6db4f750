"""Whole sessions on the wall with a Telegram beside them: people command; whatever Telegram does, trading goes on."""

import sqlite3
import time
from collections import deque
from pathlib import Path

import pytest
from pydantic import ValidationError
from tradecore_notify_telegram.plugin import NotifyTelegram

from tradecore.app.session import Session
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.errors import SettingsError
from tradecore.model.events import (
    AlertFired,
    Heartbeat,
    LateCall,
    OperatorCommand,
    PluginFault,
    SlowCycle,
    TradingStateChanged,
)
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, row_close_ms, sizer, wisher
from tradecore.testing.harness import Played, Scene, at, play, prepared_of
from tradecore.testing.readme import assert_readme_settings

A, B = "A/USDT", "B/USDT"
OWNER, CHAT = 33, 77
SPEED = 1_000.0
"""A row of one minute lasts 0.06 s: the first wish comes after a third of a second, when a busy machine has started."""


def scene(server, *sets, rows=28, token="env:BOT", env=None):
    guests = [
        wisher({6: [A], 9: [B]}, expires_after_ms=20 * 60_000), sizer("1"), allower(),
        router((TimeInForce.IOC, "20", 2_000)), leader(take=1.05), "notify_telegram",
    ]  # fmt: skip
    source = ScriptedSource({A: closing_at(*[100.0] * rows), B: closing_at(*[50.0] * 20, *[53.0] * (rows - 20))})
    mine = (
        f"notify_telegram.api_url={server.url}", f"notify_telegram.token={token}", f"notify_telegram.chats=[{CHAT}]",
        "notify_telegram.people=[{id=33,role='money'}]", "run.operators=notify_telegram", "intervals.commands_s=0.05",
        "notify_telegram.poll_s=1", "notify_telegram.timeout_s=1", "engine.price_age_s_max=600",
        "engine.book_age_ms_max=600000", "engine.intent_ttl_s=600", "intervals.heartbeat_s=0.2", *sets,
    )  # fmt: skip
    return Scene(source, guests, mine, env=env or {})


def play_on_the_wall(wanted, folder, *acts, speed=SPEED):
    """Run a scene in real time, sped up; acts are pairs of a row and something to do then."""
    folder.mkdir(exist_ok=True)
    prepared = prepared_of(wanted.with_sets(f"run.speed={speed:g}"))

    class Stage:
        def begin(self, engine, clock, stop_at_ms):
            for row, act in acts:
                at(engine, row_close_ms(row), act)

        def end(self):
            pass

    loop = MarketLoop(speed)
    session = Session(prepared, folder, True, time.monotonic())
    outcome = run_on(session.run(loop, Stage()), loop)
    return Played(outcome.summary, outcome.exit_code, folder, "demo", prepared.instruments, ())


def unharmed(played):
    assert played.exit_code == 0
    assert played.notes(PluginFault) == []
    assert played.notes(LateCall) == []
    assert [one.event for one in played.notes(SlowCycle) if one.event.what in {"slow", "failed"}] == []
    assert played.summary["errors"] == {}
    assert max(one.event.loop_lag_ms for one in played.notes(Heartbeat)) < 500  # ms of the wall, on a busy machine
    assert sum(row.intent.reduces is False for row in played.records.intents) == 2, played.summary["outcomes"]


def test_readme_and_defaults():
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), NotifyTelegram.Settings)


@pytest.mark.parametrize(
    "values",
    [{"api_url": "http://api.telegram.org"}, {"api_url": "ftp://127.0.0.1"}, {"api_url": "https://u:p@x.example"},
     {"people": [{"id": 1}, {"id": 1, "role": "money"}]}, {"people": [{"id": -5}]},
     {"people": [{"id": 1, "role": "god"}]}],
)  # fmt: skip
def test_settings_that_would_let_somebody_in_are_refused(values):
    with pytest.raises(ValidationError):
        NotifyTelegram.Settings.model_validate(values)


def test_f43_a_token_in_the_settings_is_refused_and_not_repeated(server, telegram):
    with pytest.raises(SettingsError, match=r"notify_telegram\.token: expected env:NAME") as error:
        Session(prepared_of(scene(server, token=telegram.token)), Path("nowhere"), True, 0.0)
    assert telegram.token not in str(error.value)


def test_r49_a_conversation_over_a_whole_session(server, telegram, tmp_path):
    def confirm():
        code = server.texts(OWNER).rsplit("/confirm ", 1)[1].split()[0]
        server.write(OWNER, f"/confirm {code}")

    acts = [
        (6, lambda: server.write(OWNER, "/status")), (6, lambda: server.write(66, "/forceexit all")),
        (11, lambda: server.write(OWNER, "/positions")), (12, lambda: server.write(OWNER, "/why")),
        (14, lambda: server.write(OWNER, "/halt thin market")), (21, lambda: server.write(OWNER, "/forceexit a/usdt")),
        (42, confirm), (44, lambda: server.write(OWNER, "/profit")),
    ]  # fmt: skip
    played = play_on_the_wall(
        scene(server, rows=64, env={"BOT": telegram.token}), tmp_path / "state", *acts, speed=600.0
    )
    unharmed(played)
    told = [one.event for one in played.notes(OperatorCommand)]
    assert [(one.verb, one.argument, one.actor, one.reason) for one in told] == [
        ("halt", "", "notify_telegram/33", "thin market"), ("exit", A, "notify_telegram/33", "by Telegram"),
    ]  # fmt: skip
    assert [one.event.new for one in played.notes(TradingStateChanged) if "telegram" in one.event.actor] == ["HALTED"]
    ended = {one.symbol: one.close_reason for one in played.records.positions}
    assert ended == {A: "OPERATOR", B: "TAKE_PROFIT"}
    mine, all_of_us = server.texts(OWNER), server.texts(CHAT)
    for words in (
        "equity ",
        "A/USDT 1 from 100",
        "candidates, ",
        "halt: written down",
        "exit A/USDT: written down",
        "2 trades, 50 % won",
    ):
        assert words in mine, words
    for words in (
        "run ", "BUY 1 A/USDT at ", "by lead (TAKE_PROFIT)", "trading is HALTED", "exit A/USDT, by notify_telegram/33",
        "ends: end of data", " fills, ",
    ):  # fmt: skip
        assert words in all_of_us, words
    assert server.texts(66) == ""
    assert {to for to, _, _ in server.sent} == {OWNER, CHAT}
    strangers = [one.event for one in played.notes(AlertFired) if one.event.name == "chat_strangers"]
    assert [one.by for one in strangers] == ["notify_telegram"]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or telegram.token.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("fault", ["hang", "drop", (401, {"ok": False})])
def test_f42_trading_never_notices_what_telegram_does(server, telegram, tmp_path, fault):
    for method in ("sendMessage", "getUpdates", "getMe"):
        server.always[method] = fault
    wanted = scene(server, env={"BOT": telegram.token})
    played = play_on_the_wall(wanted, tmp_path / "state")
    unharmed(played)
    assert server.sent == []
    if fault != "drop":
        return
    # what waited is told by the next run on this state, once
    server.always.clear()
    outbox = sqlite3.connect(tmp_path / "state" / "plugins" / "notify_telegram" / "outbox.sqlite")
    assert outbox.execute("SELECT count(*) FROM message WHERE state = 'waiting'").fetchone()[0] >= 4
    outbox.close()
    source = wanted.source
    longer = ScriptedSource({A: closing_at(*[100.0] * 60), B: closing_at(*[50.0] * 20, *[53.0] * 40)})
    assert source.symbols == longer.symbols
    play_on_the_wall(wanted._replace(source=longer), tmp_path / "state")
    assert server.texts(CHAT).count("BUY 1 A/USDT at ") == 1
    assert server.texts(CHAT).count("begins") == 2


def test_r49_an_answer_that_is_lost_is_sent_again_and_a_429_is_waited_out(server, telegram, tmp_path):
    server.faults["sendMessage"] = deque([telegram.slow(1), "lost"])
    played = play_on_the_wall(scene(server, rows=80, env={"BOT": telegram.token}), tmp_path / "state")
    unharmed(played)
    assert server.texts(CHAT).count("begins") == 2
    assert server.texts(CHAT).count("ends: end of data") == 1


def test_f42_a_replaying_server_and_a_flood_of_strangers(server, telegram, tmp_path):
    server.replay = True

    def flood():
        server.write(OWNER, "/reduce")
        for number in range(300):
            server.write(1_000 + number, "/forceexit all")

    played = play_on_the_wall(scene(server, env={"BOT": telegram.token}), tmp_path / "state", (12, flood))
    unharmed(played)
    assert [one.event.verb for one in played.notes(OperatorCommand)] == ["reduce"]
    assert {to for to, _, _ in server.sent} == {OWNER, CHAT}


def test_without_a_token_the_channel_is_switched_off(server, tmp_path):
    off = scene(server, "notify_telegram.chats=[]", "notify_telegram.people=[]", token="")
    played = play_on_the_wall(off, tmp_path / "state")
    unharmed(played)
    assert list(server.calls) == []


def test_r49_on_virtual_time_it_is_silent_and_changes_nothing(server, telegram, tmp_path):
    wanted = scene(server, env={"BOT": telegram.token})
    played = play(wanted, tmp_path / "with")
    plain = play(wanted._replace(guests=wanted.guests[:-1], sets=()), tmp_path / "without")
    assert list(server.calls) == []
    assert played.records.attempts == plain.records.attempts
    assert played.violations() == ()


def test_f41_a_disk_that_takes_no_outbox_costs_messages_at_most(server, telegram, tmp_path):
    folder = tmp_path / "state" / "plugins" / "notify_telegram"
    folder.mkdir(parents=True)
    (folder / "outbox.sqlite").write_bytes(b"this is no database, says the disk " * 50)
    played = play_on_the_wall(scene(server, env={"BOT": telegram.token}), tmp_path / "state")
    unharmed(played)
    assert "BUY 1 A/USDT" in server.texts(CHAT)


def test_f42_two_programs_with_one_token_are_told_of(server, telegram, tmp_path):
    conflict = (409, {"ok": False, "description": "Conflict: terminated by other getUpdates request"})
    server.faults["getUpdates"] = deque([conflict] * 4)
    played = play_on_the_wall(scene(server, rows=60, env={"BOT": telegram.token}), tmp_path / "state", speed=600.0)
    unharmed(played)
    alerts = [one.event for one in played.notes(AlertFired) if one.event.name == "chat_contested"]
    assert [(one.severity, one.by) for one in alerts] == [("critical", "notify_telegram")]


def test_f42_a_token_that_is_revoked_while_it_runs(server, telegram, tmp_path):
    revoked = (401, {"ok": False, "description": "Unauthorized"})

    def revoke():
        for method in ("sendMessage", "getUpdates"):
            server.always[method] = revoked

    played = play_on_the_wall(scene(server, env={"BOT": telegram.token}), tmp_path / "state", (8, revoke))
    unharmed(played)
    assert "begins" in server.texts(CHAT)
    # a wrong token is tried every five minutes: one that is refused is not hammered with
    assert sum(method == "sendMessage" for method, _ in server.calls) < 8
    assert sum(method == "getUpdates" for method, _ in server.calls) < 8


def test_r54_a_run_is_ended_from_outside_by_somebody_who_says_it_twice(server, telegram, tmp_path):
    def confirm():
        code = server.texts(OWNER).rsplit("/confirm ", 1)[1].split()[0]
        server.write(OWNER, f"/confirm {code}")

    acts = [(14, lambda: server.write(OWNER, "/stop for today")), (30, confirm)]
    wanted = scene(server, rows=400, env={"BOT": telegram.token})
    played = play_on_the_wall(wanted, tmp_path / "state", *acts, speed=600.0)
    assert played.exit_code == 0
    assert played.summary["ended"] == "for today"
    assert "positions are left to themselves" in server.texts(OWNER)
    assert [one.event.actor for one in played.notes(OperatorCommand)] == ["notify_telegram/33"]
