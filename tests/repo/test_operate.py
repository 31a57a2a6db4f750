"""What docs/operate.md and the systemd unit name exists: commands, options, settings, exit codes, deadlines (R54)."""

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib

import click
import pytest

from tradecore.cli.main import EXIT_BUG, EXIT_NO_ANSWER, EXIT_USAGE, main
from tradecore.engine.lifecycle import EXIT_LEASE, EXIT_OK, EXIT_PENDING, EXIT_PHASE
from tradecore.hooks.watchdog import EXIT_HUNG
from tradecore.model.events.kinds import REGISTRY
from tradecore.settings.sections import Settings


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/operate.md").read_text()


@pytest.fixture(scope="module")
def unit(root):
    """Sections of the unit; a key that stands twice keeps its last value."""
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(root / "ops/tradecore@.service")
    return parser


def commands_of(text):
    """Every call of the program in code, as words without the program's name."""
    spans = re.findall(r"`((?:tradecore|\S*/tradecore) [^`]+)`", text)
    spans += re.findall(r"^(?:\S*/tradecore|tradecore) .+$", text, re.M)
    return [shlex.split(span, comments=True)[1:] for span in spans]


def told(words):
    """Walk down to the command that words name; its name, the command, and what follows."""
    command, context, name = main, click.Context(main), []
    while isinstance(command, click.Group):
        child = command.get_command(context, words[0])
        assert child is not None, f"there is no command {' '.join([*name, words[0]])}"
        name.append(words[0])
        command, words = child, words[1:]
    return " ".join(name), command, words


def test_r54_every_command_of_the_page_exists_with_its_options(page):
    found = commands_of(page)
    assert len(found) > 25
    for words in found:
        name, command, rest = told([word for word in words if word != "--debug"] if "..." not in words else ["status"])
        options = {option for parameter in command.params for option in parameter.opts}
        for word in rest:
            assert not word.startswith("--") or word in options, f"{name} has no {word}"


def test_r54_settings_and_kinds_that_the_page_names_exist(page):
    for section, key in re.findall(r"`(run|venue|account|limiter|shutdown)\.(\w+)", page):
        assert key in Settings.model_fields[section].annotation.model_fields, f"{section}.{key}"
    for kind in re.findall(r"--kind (\w+)", page):
        assert kind in REGISTRY


def test_r54_the_unit_gives_the_end_its_time(root, unit):
    total_s = tomllib.loads((root / "settings/base.toml").read_text())["shutdown"]["total_s"]
    assert int(unit["Service"]["TimeoutStopSec"]) > 2 * total_s
    assert unit["Service"]["KillSignal"] == "SIGTERM"


def test_r54_every_exit_code_has_its_row_and_systemd_does_what_it_says(page, unit):
    stays = {int(code) for code in unit["Service"]["RestartPreventExitStatus"].split()}
    assert unit["Service"]["RestartForceExitStatus"] == str(EXIT_HUNG)
    assert unit["Service"]["Restart"] == "on-failure"
    rows = dict(re.findall(r"^\| ([\d to]+) \| (leaves it|starts it again)", page, re.M))
    told_of = {}
    for codes, does in rows.items():
        first, _, last = codes.partition(" to ")
        told_of |= dict.fromkeys(range(int(first), int(last or first) + 1), does)
    known = {EXIT_OK, EXIT_NO_ANSWER, EXIT_USAGE, EXIT_PENDING, EXIT_LEASE, EXIT_BUG, EXIT_HUNG, *EXIT_PHASE.values()}
    assert set(told_of) == known
    assert {code for code, does in told_of.items() if does == "leaves it"} == stays | {EXIT_OK}


def test_r54_the_unit_names_the_credentials_of_the_page(page, unit, root):
    text = (root / "ops/tradecore@.service").read_text()
    for name in re.findall(r"^LoadCredential=(\w+):", text, re.M):
        assert f'{name} = "credential:{name}"' in page
    assert "NoNewPrivileges=yes" in text
    assert unit["Service"]["User"] == "tradecore"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_r54_systemd_reads_the_unit_without_a_word(root, tmp_path):
    text = (root / "ops/tradecore@.service").read_text().replace("/opt/tradecore/bin/tradecore", "/bin/true")
    (tmp_path / "tradecore@x.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "tradecore@x.service"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
