"""What an operator's channel may see and ask, and how a job's alerts reach those who listen."""

from decimal import Decimal

import pytest
from pydantic import BaseModel, SecretStr

from tradecore import Alert, Job, JobAnswer
from tradecore.app.handing import check_operators, secrets_of
from tradecore.errors import OperatorRefused, PluginLoadError, SettingsError
from tradecore.model.events import AlertFired, LockEnded, OperatorCommand, PluginFault, TradingStateChanged
from tradecore.model.lock import Lock
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import (
    MINUTE_MS,
    ScriptedSource,
    allower,
    closing_at,
    leader,
    make_guest,
    router,
    sizer,
    wisher,
)  # fmt: skip
from tradecore.testing.harness import Scene, play

A = "A/USDT"
SECRET = "7777777:very-secret-token"


class Channel:
    """A guest that asks for commands from its own task, at certain rows."""

    def __init__(self, *asks, operates=("view", "control", "money")):
        self.asks = asks
        self.operates = operates
        self.refused = []
        self.seen = []
        self.resources = None

    def guest(self, **more):
        def on_start(resources):
            self.resources = resources

        async def on_event(event):
            row = event.event.row_ms
            operate = self.resources.operate
            for number, verb, argument in self.asks:
                if operate is not None and row == 1_699_999_980_000 + number * MINUTE_MS:
                    try:
                        await operate.ask(verb, argument, reason="told to", actor="42")
                    except OperatorRefused as error:
                        self.refused.append(str(error))
            if operate is not None and "view" in operate.rights:
                self.seen.append((operate.portfolio().state, len(operate.portfolio().positions)))

        promises = {"events": frozenset({"scan_outcomes"}), "operates": self.operates}
        return make_guest("chat", promises=promises, on_start=on_start, on_event=on_event, **more)


def scene(channel, *sets, buys=None, rows=40):
    guests = [
        wisher(buys or {2: [A], 20: [A]}), sizer("1"), allower(), router((TimeInForce.IOC, "20", 2_000)), leader(),
        channel,
    ]  # fmt: skip
    return Scene(ScriptedSource({A: closing_at(*[100.0] * rows)}), guests, sets)


def test_r54_a_channel_commands_by_the_same_rows_with_its_name_on_them(tmp_path):
    channel = Channel((10, "exit", A), (15, "halt", ""), (30, "resume", ""))
    played = play(scene(channel.guest(), "run.operators=chat"), tmp_path)
    told = [one.event for one in played.notes(OperatorCommand)]
    assert [(one.verb, one.actor, one.reason) for one in told] == [
        ("exit", "chat/42", "told to"), ("halt", "chat/42", "told to"), ("resume", "chat/42", "told to"),
    ]  # fmt: skip
    assert told[1].result == "trading state is HALTED"
    assert [one.event.new for one in played.notes(TradingStateChanged) if one.event.actor == "chat/42"] == [
        "HALTED", "ACTIVE",
    ]  # fmt: skip
    # the second wish came while entries were halted, the first position was sold when told to
    assert [p.close_reason for p in played.records.positions] == ["OPERATOR"]
    assert played.violations() == ()


def test_r54_a_channel_ends_the_run_as_the_command_line_does(tmp_path):
    played = play(scene(Channel((10, "stop", "")).guest(), "run.operators=chat"), tmp_path)
    (told,) = [one.event for one in played.notes(OperatorCommand)]
    assert (told.verb, told.actor, told.reason, told.result) == ("stop", "chat/42", "told to", "stopping")
    assert played.summary["ended"] == "told to"
    assert played.exit_code == 0


def test_r32_a_channel_lifts_locks_before_their_time(tmp_path):
    def look(portfolio, market, last):
        lock = Lock(A, "too many losses", "watch", market.now_ms + 60 * MINUTE_MS, "r", market.now_ms)
        return JobAnswer(locks=(lock,), state={"n": 1}) if last is None else None

    watcher = make_guest("watch", jobs=lambda: [Job("look", 60.0, look)])
    channel = Channel((5, "unlock", "B/USDT"), (10, "unlock", A), (12, "unlock", "*"))
    base = scene(channel.guest(), "run.operators=chat", buys={4: [A], 20: [A]})
    played = play(base._replace(guests=[*base.guests, watcher]), tmp_path)
    assert [one.event.result for one in played.notes(OperatorCommand)] == [
        "no lock on 'B/USDT'", "lifted A/USDT (watch: too many losses)", "no lock on '*'",
    ]  # fmt: skip
    (ended,) = [one.event for one in played.notes(LockEnded)]
    assert (ended.actor, ended.reason) == ("chat/42", "told to")
    assert len(played.records.positions) == 1  # the wish of row 4 was refused, that of row 20 was not


def test_inv18_a_channel_releases_what_is_in_quarantine_and_nothing_else(tmp_path):
    asked = []

    def look(portfolio, market, last):
        asked.append(market.now_ms)
        raise RuntimeError("broken")

    broken = make_guest("broken", jobs=lambda: [Job("look", 60.0, look)])
    asks = [
        (20, "release", "brok"),
        (20, "release", "broken.j"),
        (21, "release", "broken.jobs"),
        (30, "release", "broken"),
    ]
    channel = Channel(*asks)
    base = scene(channel.guest(), "run.operators=chat")
    played = play(base._replace(guests=[*base.guests, broken]), tmp_path)
    assert channel.refused == [
        f"release: expected a plugin or plugin.hook in quarantine (broken.jobs), was {name!r}"
        for name in ("brok", "broken.j")
    ]
    assert [one.event.result for one in played.notes(OperatorCommand)] == [
        "broken.jobs is asked again", "broken is asked again",
    ]  # fmt: skip
    assert len(asked) == 9  # three strikes, three times


def test_r54_without_the_setting_a_channel_sees_and_asks_nothing(tmp_path):
    channel = Channel((10, "halt", ""))
    played = play(scene(channel.guest()), tmp_path)
    assert channel.resources.operate is None
    assert played.notes(OperatorCommand) == []


@pytest.mark.parametrize(
    ("operates", "verb", "argument", "says"),
    [
        (("view",), "halt", "", "expected the right 'control'"),
        (("view", "control"), "exit", A, "expected the right 'money'"),
        (("view", "control", "money"), "sell", "", "expected one of halt, reduce, resume, release, unlock, exit, stop"),
        (("view", "control"), "stop", "", "expected the right 'money'"),
        (("view",), "release", "size", "expected the right 'control'"),
        (("view",), "unlock", "all", "expected the right 'control'"),
        (("view", "control", "money"), "stop", "now", "expected no argument"),
        (("view", "control", "money"), "unlock", "", "expected a symbol or all"),
        (("view", "control", "money"), "unlock", "A/USDT\n", "expected a symbol or all"),
        (("view", "control", "money"), "release", "", "expected a plugin or plugin.hook"),
        (("view", "control", "money"), "release", "s", "in quarantine (none), was 's'"),
        (("view", "control", "money"), "exit", "", "expected a symbol or all"),
        (("view", "control", "money"), "exit", "\uff21/USDT", "expected a symbol or all"),
        (("view", "control", "money"), "halt", "9" * 5_000, "expected whole seconds"),
        (("view", "control", "money"), "halt", "²", "expected whole seconds"),
        (("view", "control", "money"), "resume", "x", "expected no argument"),
    ],
)
def test_f42_the_core_refuses_what_the_guest_may_not(tmp_path, operates, verb, argument, says):
    channel = Channel((10, verb, argument), operates=operates)
    played = play(scene(channel.guest(), "run.operators=chat"), tmp_path)
    assert len(channel.refused) == 1
    assert says in channel.refused[0]
    assert played.notes(OperatorCommand) == []
    assert played.notes(PluginFault) == []


def test_f42_a_flood_of_commands_ends_at_the_core(tmp_path):
    channel = Channel(*[(10, "reduce", "60")] * 50)
    played = play(scene(channel.guest(), "run.operators=chat"), tmp_path)
    assert len(played.notes(OperatorCommand)) == 30
    assert channel.refused == ["expected at most 30 commands a minute, was one more"] * 20


def test_r48_alerts_of_a_job_become_events_with_its_name(tmp_path):
    def look(portfolio, market, last):
        count = (last or {}).get("count", 0) + 1
        alerts = (Alert("low", "warning", f"look {count}", resolved=count == 2),) if count <= 2 else ()
        return JobAnswer(alerts=alerts, state={"count": count})

    heard = []
    watcher = make_guest("watch", jobs=lambda: [Job("look", 300.0, look)])
    listener = make_guest("ear", promises={"events": {"alert_fired"}}, on_event=lambda event: heard.append(event.event))
    base = scene(watcher)
    played = play(base._replace(guests=[*base.guests, listener]), tmp_path)
    expected = [AlertFired("low", "warning", "look 1", "watch"), AlertFired("low", "warning", "look 2", "watch", True)]
    assert [one.event for one in played.notes(AlertFired)] == expected
    assert heard == expected
    assert played.summary["alerts"] == {"low": 2}


@pytest.mark.parametrize(
    "alert", [("low", "warning", "text"), Alert("", "info", "x"), Alert("n", "loud", "x"), Alert("n", "info", "x", 1)]
)
def test_r48_an_alert_that_is_none_is_a_fault(tmp_path, alert):
    guest = make_guest("watch", jobs=lambda: [Job("look", 60.0, lambda *_: JobAnswer(alerts=(alert,)))])
    played = play(scene(guest, rows=8), tmp_path)
    assert played.notes(AlertFired)[-1].event.name == "plugin_quarantined"
    assert [one.event.hook for one in played.notes(PluginFault)] == ["jobs"] * 3


class Keyed(BaseModel, frozen=True, extra="forbid"):
    token: SecretStr = SecretStr("")


def test_f43_secrets_behind_references_are_handed_in_and_masked(tmp_path):
    file = tmp_path / "token"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    got = []
    leak = Alert("leak", "info", f"the token is {SECRET}")
    guest = make_guest(
        "chat", settings=Keyed, section={"token": f"file:{file}"}, promises={"secrets": ("token",)},
        on_start=lambda resources: got.append(resources.secrets["token"]),
        jobs=lambda: [Job("look", 60.0, lambda *_: JobAnswer(alerts=(leak,)))],
    )  # fmt: skip
    played = play(scene(guest, rows=8), tmp_path / "state")
    assert got[0].get_secret_value() == SECRET
    assert SECRET not in repr(got)
    assert played.notes(AlertFired)
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_what_cannot_be_handed_in_is_refused_before_the_start(tmp_path):
    guest = make_guest(
        "chat", settings=Keyed, section={"token": SECRET}, promises={"secrets": ("token",)}, on_start=lambda: None
    )
    with pytest.raises(SettingsError, match=r"plugins\.chat\.token: expected env:NAME") as error:
        secrets_of(guest, {})
    assert SECRET not in str(error.value)
    with pytest.raises(SettingsError, match=r"run\.operators: expected guests of run\.plugins, was 'chad'.*'chat'"):
        check_operators([guest], ["chad"])
    with pytest.raises(SettingsError, match="takes commands from outside, was 'chat'"):
        check_operators([guest], ["chat"])


@pytest.mark.parametrize(
    ("promises", "says"),
    [
        ({"operates": ("monney",)}, "was 'monney'.*'money'"),
        ({"operates": ("view",)}, "expected the hook on_start"),
        ({"secrets": ("nothing",)}, "expected names of settings that are SecretStr"),
        ({"secrets": "token"}, "expected names of settings that are SecretStr"),
        ({"secrets": ("token",)}, "expected the hook on_start"),
    ],
)
def test_promises_that_make_no_sense_do_not_enter(promises, says):
    with pytest.raises(PluginLoadError, match=says):
        make_guest("chat", settings=Keyed, promises=promises, on_fail=lambda: None)


def test_views_are_the_engines_own_pictures(tmp_path):
    channel = Channel()
    play(scene(channel.guest(), "run.operators=chat"), tmp_path)
    assert ("ACTIVE", 1) in channel.seen
    operate = channel.resources.operate
    assert operate.portfolio().equity > Decimal(9_000)
    assert operate.trading().state == "ACTIVE"
    assert operate.intents() == []
    assert operate.unknown() == []
    assert operate.quarantines() == {}
    with pytest.raises(AttributeError):
        operate.desk  # noqa: B018 - it must not lead to the engine


def test_why_is_answered_from_the_journal(tmp_path):
    kept, answers = [], []

    def on_start(resources):
        kept.append(resources)

    async def on_event(event):
        if event.event.row_ms == 1_699_999_980_000 + 30 * MINUTE_MS:
            answers.append(await kept[0].operate.why(A, 3_600_000))

    promises = {"events": {"scan_outcomes"}, "operates": ("view",)}
    guest = make_guest("chat", promises=promises, on_start=on_start, on_event=on_event)
    play(scene(guest, "run.operators=chat"), tmp_path)
    (found,) = answers
    assert found.candidates >= 20
    assert found.reasons[0].outcome == "THRESHOLD_NOT_MET"
