"""Every plugin of the repository in one run over recorded candles, and with each one switched off in turn."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from bench.together import CANDLES, NEEDED, ROOT, SESSIONS, clean, guests, sets_of, written_by
from tradecore.app import Options, execute, prepare
from tradecore.cli.main import main
from tradecore.errors import SettingsError
from tradecore.hooks.loader import available
from tradecore.journal.read import decode, read_journal
from tradecore.model.events import PluginFault
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE, TWIN_FILE
from tradecore.testing.invariants import check_run
from tradecore.testing.records import records_of, truth_of

SHORT = {
    "crash": SESSIONS["crash"]._replace(start="2021-05-19T12:00", stop="2021-05-19T14:00"),
    "thin": SESSIONS["thin"]._replace(start="2023-03-11T00:00", stop="2023-03-11T04:00"),
}
THIN = ("universe_filters", "filter_volume", "gate_roundtrip", "exec_dynamic")
"""They act where little is traded."""
WATCHERS = ("metrics", "alerts", "notify_log", "notify_telegram", "notify_apprise")
"""They decide nothing: with or without them the same happens."""
OF_THIS_RUN = {"wall_s", "state", "plugins", "run_id", "alerts"}


def options(session, without=(), state=None):
    taking_part = [name for name in guests() if name not in without]
    return Options("full", {}, sets_of(SHORT[session], taking_part), ",".join(taking_part), state=state)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Play a session once for all tests of this file."""
    if not CANDLES.is_dir():
        pytest.skip("no recorded candles beside the repository")
    if not set(guests()) <= available().keys():
        pytest.skip("the plugins of the profile are not installed here")
    kept = {}

    def play(session, *without):
        if (session, without) not in kept:
            state = tmp_path_factory.mktemp("together") / "state"
            prepared = prepare(options(session, without, state))
            kept[session, without] = prepared, execute(prepared), state
        return kept[session, without]

    return play


def figures(outcome):
    return {name: value for name, value in outcome.summary.items() if name not in OF_THIS_RUN}


def sound(prepared, outcome, state):
    """The run ended clean, no guest failed, and no invariant is broken."""
    notes = [decode(line) for line in read_journal(state / JOURNAL_FOLDER)]
    assert clean(outcome.exit_code, outcome.summary), outcome.summary
    assert [note.event for note in notes if isinstance(note.event, PluginFault)] == []
    records, truth = records_of(state / STORE_FILE), truth_of(state / TWIN_FILE)
    found = check_run(records, truth, prepared.instruments, prepared.settings.account.name, notes)
    assert [str(violation) for violation in found] == []


def test_the_profile_has_every_plugin_of_the_repository():
    listed = re.findall(r"^\| \[`(\w+)`\]\(plugins/", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(listed) > 10
    assert sorted(guests()) == sorted(listed), "settings/full.toml and the README's table of plugins"


@pytest.mark.parametrize("session", SHORT)
def test_all_on(played, session):
    prepared, outcome, state = played(session)
    sound(prepared, outcome, state)
    assert outcome.summary["orders_sent"] > 5
    assert outcome.summary["plugins"] == guests()
    assert written_by(state)["metrics"] > 100


@pytest.mark.parametrize("name", [name for name in guests() if name not in (*NEEDED, *WATCHERS)])
def test_each_one_off_ends_clean_and_makes_a_difference(played, name):
    session = "thin" if name in THIN else "crash"
    sound(*played(session, name))
    assert figures(played(session, name)[1]) != figures(played(session)[1])


@pytest.mark.parametrize("name", WATCHERS)
def test_who_only_watches_changes_nothing(played, name):
    prepared, outcome, state = played("thin", name)
    sound(prepared, outcome, state)
    assert figures(outcome) == figures(played("thin")[1])
    assert name not in written_by(state)


def refusing(name):
    """Options without a plugin that a run needs, and without leave to do so."""
    taking_part = [one for one in guests() if one != name]
    sets = [one for one in sets_of(SHORT["crash"], taking_part) if not one.startswith("run.allow=")]
    return Options("full", {}, sets, ",".join(taking_part))


@pytest.mark.parametrize(("name", "code"), NEEDED.items())
def test_r5_without_a_sizer_or_a_router_a_run_is_refused_with_a_way_out(played, name, code):
    with pytest.raises(SettingsError, match=f"missing .* in {guests()[0]}, .*--set run.allow={code}$"):
        prepare(refusing(name))


@pytest.mark.parametrize(("name", "code"), NEEDED.items())
def test_r5_allowed_without_a_sizer_or_a_router_it_says_why_it_enters_nothing(played, name, code):
    prepared, outcome, state = played("crash", name)
    sound(prepared, outcome, state)
    assert outcome.summary["allowed"] == [code]
    assert any(code in line for line in prepared.warnings)
    assert outcome.summary["orders_sent"] == 0
    outcomes = outcome.summary["outcomes"]
    reason = {"no_sizer": "SIZE_MISSING", "no_router": "ROUTER_MISSING"}[code]
    assert outcomes[reason] > 100
    assert "INTENT_CREATED" not in outcomes
    assert figures(outcome) != figures(played("crash")[1])
    result = CliRunner().invoke(main, ["why", "--top", "--json", "--state", str(state)])
    assert json.loads(result.stdout)["refusals"][0]["outcome"] == reason


def test_every_test_that_the_page_names_is_there():
    page = (ROOT / "docs" / "plugins.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page.partition("## What is demanded")[2].partition("## What it costs")[0]))
    sources = [path.read_text() for folder in ("tests", "plugins") for path in (ROOT / folder).rglob("test_*.py")]
    there = {name for source in sources for name in re.findall(r"^def (test_\w+)\(", source, re.MULTILINE)}
    assert len(named) > 40
    assert named - there == set()
    for number in ("R8", "R27", "R30", "R32", "R33", "R35", "R36", "R37", "R50"):
        assert f"| {number} | " in page
