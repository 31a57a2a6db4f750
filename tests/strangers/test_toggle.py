"""`plugins enable`, `plugins disable`, `config diff`, `config check`: profiles edited, compared, validated."""

from __future__ import annotations

import json
import tomllib

import pytest
from click.testing import CliRunner

from tradecore.cli.main import main
from tradecore.settings import profile_folder

MINE = """# my profile
extends = "demo"

[run]
# the order is the order in which they are asked
plugins = [
    "signals_drop",  # falls
    "size_fixed",
    "risk_limits",   # always last among the gates
    "exec_ioc_gtc",
]
seed = 3  # lucky

[plugins.dip_fast]
use = "signals_drop"
lookback = "3m"  # short
"""


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Call the program in this process, in an empty folder; the last word of a call may be the exit code expected."""
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == code, result.output
        return result

    return call


def written(path):
    return tomllib.loads(path.read_text())["run"]["plugins"]


def test_enable_and_disable_change_the_list_and_nothing_else(cli, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    said = cli("plugins", "enable", "exits", "--profile", "mine.toml").stdout
    assert said == "exits is enabled; mine.toml: signals_drop, size_fixed, risk_limits, exec_ioc_gtc, exits\n"
    assert path.read_text() == MINE.replace('    "exec_ioc_gtc",\n', '    "exec_ioc_gtc",\n    "exits",\n')
    cli("plugins", "disable", "exits", "--profile", "mine.toml")
    assert path.read_text() == MINE
    cli("plugins", "disable", "size_fixed", "--profile", path)
    assert path.read_text() == MINE.replace('    "size_fixed",\n', "")
    assert list(tmp_path.iterdir()) == [path]


def test_enable_takes_a_place_in_the_list_and_a_name_given_by_use(cli, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    cli("plugins", "enable", "dip_fast", "--profile", "mine.toml", "--before", "size_fixed")
    assert written(path)[:3] == ["signals_drop", "dip_fast", "size_fixed"]
    assert "# always last among the gates" in path.read_text()


def test_enable_what_is_enabled_changes_nothing(cli, tmp_path):
    (tmp_path / "mine.toml").write_text(MINE)
    assert "is in the list already" in cli("plugins", "enable", "size_fixed", "--profile", "mine.toml").stdout
    assert (tmp_path / "mine.toml").read_text() == MINE


def test_a_shipped_profile_is_copied_here_and_stays_as_it_was(cli, tmp_path):
    shipped = profile_folder() / "demo.toml"
    before = shipped.read_bytes()
    said = cli("plugins", "disable", "exits", "--profile", "demo").stdout.splitlines()
    assert said[0] == "copied the shipped profile to demo.toml; name that file from now on: --profile demo.toml"
    copy = tmp_path / "demo.toml"
    assert shipped.read_bytes() == before
    assert written(copy) == ["signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc"]
    assert [line for line in copy.read_text().splitlines() if line.startswith("plugins")] == [
        'plugins = ["signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc"]'
    ]
    # the second change goes to the copy
    assert cli("plugins", "enable", "exits", "--profile", "demo").stdout.startswith("exits is enabled; demo.toml: ")
    assert copy.read_bytes() == before


def test_a_list_that_a_profile_inherits_is_written_into_it(cli, tmp_path):
    path = tmp_path / "short.toml"
    path.write_text('extends = "demo"\n# nothing else\n')
    cli("plugins", "disable", "exits", "--profile", "short.toml")
    assert path.read_text().startswith('extends = "demo"\n# nothing else\n')
    assert written(path) == ["signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("enable", "exit"), "exit: expected an installed plugin, was 'exit', nearest is 'exits'"),
        (
            ("enable", "exits", "--before", "size"),
            "--before: expected a guest of the list, was 'size', nearest is 'size_",
        ),
        (("disable", "exits"), "exits: expected a guest of the list, was none"),
        (("enable", "dip_slow"), "dip_slow: expected an installed plugin, was 'dip_slow'"),
    ],
)
def test_what_cannot_be_is_refused_and_the_file_stays(cli, tmp_path, words, said):
    (tmp_path / "mine.toml").write_text(MINE)
    result = cli("plugins", *words, "--profile", "mine.toml", code=2)
    assert result.stderr.startswith(f"tradecore: {said}"), result.stderr
    assert (tmp_path / "mine.toml").read_text() == MINE


def test_a_plugin_whose_section_is_wrong_is_not_enabled(cli, tmp_path):
    text = MINE + "drop_pct = 0\n"
    (tmp_path / "mine.toml").write_text(text)
    result = cli("plugins", "enable", "dip_fast", "--profile", "mine.toml", code=2)
    assert "dip_fast.drop_pct: expected a value > 0 and < 100 (%), was 0, from profile mine.toml:" in result.stderr
    assert (tmp_path / "mine.toml").read_text() == text


def test_a_refused_change_makes_no_copy_of_a_shipped_profile(cli, tmp_path):
    cli("plugins", "enable", "exit", "--profile", "demo", code=2)
    assert list(tmp_path.iterdir()) == []


# config ------------------------------------------------------------------------------------------------------------


def test_config_diff_names_what_differs_with_units_and_leaves_the_shell_out(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("TRADECORE_ENGINE__STRIKES", "7")
    (tmp_path / "mine.toml").write_text(MINE.replace('"exec_ioc_gtc",', '"exec_ioc_gtc", "exits", "dip_fast",'))
    found = json.loads(cli("config", "diff", "demo", "mine.toml", "--json").stdout)
    assert (found["a"], found["b"]) == ("demo", "mine")
    settings = found["settings"]
    assert settings["run.seed"] == {"a": "1", "b": "3", "unit": "number"}
    assert settings["plugins.dip_fast.use"] == {"a": "", "b": '"signals_drop"', "unit": "name"}
    assert settings["plugins.dip_fast.drop_pct"]["b"] == "2"
    assert {key for key in settings if not key.startswith("plugins.dip_fast.")} == {"run.seed", "run.plugins"}
    text = cli("config", "diff", "demo", "mine.toml").stdout
    assert text.splitlines()[0].split() == ["key", "demo", "mine.toml", "unit"]
    assert "set the same" in cli("config", "diff", "demo", "demo").stdout


def test_config_check_validates_settings_and_guests_and_runs_nothing(cli, tmp_path):
    (tmp_path / "mine.toml").write_text(MINE)
    said = cli("config", "check", "--profile", "mine.toml").stdout.splitlines()
    assert said[0].startswith("mine: ")
    assert said[0].endswith("settings are right, from base.toml < demo.toml < mine.toml")
    assert said[1] == "guests: signals_drop, size_fixed, risk_limits, exec_ioc_gtc"
    assert json.loads(cli("config", "check", "--profile", "altcoin", "--json").stdout)["profile"] == "altcoin"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "engine.pol_ms=1"), "engine.pol_ms: expected a known setting, was 'pol_ms'"),
        (("--set", "exits.stop_loss_pct=-1"), "exits.stop_loss_pct: expected a value >= 0"),
        (("--plugins", "exits"), "run.plugins: expected a sizing, a risk and a routing guest"),
        (("--plugins", "exitz"), "exitz: expected an installed plugin, was 'exitz', nearest is 'exits'"),
        (("--profile", "dmo"), "profile: expected a path ending in .toml or one of altcoin, conservative, demo"),
    ],
)
def test_config_check_ends_with_2_and_one_line(cli, words, said):
    result = cli("config", "check", *words, code=2)
    assert result.stderr.startswith(f"tradecore: {said}"), result.stderr
    assert len(result.stderr.splitlines()) == 1
