"""docs/write-a-plugin.md: every block is cut from a file below tutorial/, and what it tells is done here, in order."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tradecore.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(__file__).parent / "tutorial"
PAGE = (ROOT / "docs/write-a-plugin.md").read_text(encoding="utf-8")
LANGUAGES = {".py": "python", ".sh": "sh", ".toml": "toml", ".md": "markdown"}
BLOCK = re.compile(r"^<!-- tests/strangers/tutorial/(\S+) (\w+) -->\n```(\w+)\n(.*?)\n```$", re.M | re.S)
PART = re.compile(r"^[^\n]*\[(\w+)\][^\n]*\n(.*?)\n[^\n]*\[/\1\]", re.M | re.S)


def parts(file):
    """Name to text of the parts that a file marks, in order."""
    return {name: text.strip("\n") for name, text in PART.findall((FILES / file).read_text(encoding="utf-8"))}


def test_every_block_of_the_page_is_cut_from_a_file():
    shown = [(file, name) for file, name, _, _ in BLOCK.findall(PAGE)]
    for file, name, language, text in BLOCK.findall(PAGE):
        assert text == parts(file)[name], f"docs/write-a-plugin.md: expected {name} as it stands in {file}"
        assert language == LANGUAGES[Path(file).suffix]
    assert len(re.findall(r"^```\w+$", PAGE, re.M)) == len(shown), "a block without the file that it is cut from"
    marked = {(path.name, name) for path in FILES.iterdir() if path.is_file() for name in parts(path.name)}
    assert set(shown) == marked
    assert len(shown) == len(marked)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Somebody who follows the page; `pip install -e` is done by a link and its metadata."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TRADECORE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def follow(step):
        said = []
        for line in parts("commands.sh")[step].splitlines():
            words = shlex.split(line, comments=True)
            if words[0] == "tradecore":
                result = CliRunner().invoke(main, words[1:])
                assert result.exit_code == 0, f"{line}\n{result.output}"
                said.append(result.stdout)
            elif words[0] == "cd":
                monkeypatch.chdir(words[1])
            elif words[:3] == ["pip", "install", "-e"]:
                put_on_path(tmp_path / "tradecore-rebound", tmp_path / "site")
        return said

    yield follow
    for name in [name for name in sys.modules if name.startswith("tradecore_rebound")]:
        del sys.modules[name]


def put_on_path(project, site):
    (site / "tradecore_rebound-0.1.0.dist-info").mkdir(parents=True)
    (site / "tradecore_rebound").symlink_to(project / "tradecore_rebound")
    about = "Metadata-Version: 2.1\nName: tradecore-rebound\nVersion: 0.1.0\nSummary: Buys rebounds.\n"
    about += "Requires-Dist: tradecore>=0.1,<1\n"
    (site / "tradecore_rebound-0.1.0.dist-info/METADATA").write_text(about)
    entry = "[tradecore]\nrebound = tradecore_rebound.plugin:Rebound\n"
    assert entry.splitlines()[1] in (project / "pyproject.toml").read_text().replace('"', "")
    (site / "tradecore_rebound-0.1.0.dist-info/entry_points.txt").write_text(entry)
    importlib.invalidate_caches()


def test_who_follows_the_page_ends_with_a_plugin_that_trades(reader, tmp_path):
    reader("new")
    _, info, ran = reader("found")
    assert "drop_pct" in info
    assert "profile trial" in ran

    # sections 3 to 6: what the page shows takes the place of what was generated
    folder = tmp_path / "tradecore-rebound"
    for name in [name for name in sys.modules if name.startswith("tradecore_rebound")]:
        del sys.modules[name]
    shown = parts("plugin.py")
    source = f"{shown['imports']}\n\n\n{shown['settings']}\n\n{shown['signal']}\n"
    (folder / "tradecore_rebound/plugin.py").write_text(source)
    (folder / "trial.toml").write_text(parts("trial.toml")["trial"])
    (folder / "twice.toml").write_text(parts("twice.toml")["twice"])

    (checked,) = reader("prove")
    assert ", 0 failed, " in checked
    check, ran, intents = reader("run")
    assert "guests: rebound, size_fixed, risk_limits, exec_ioc_gtc, exits" in check
    assert re.search(r"intents +FILLED [1-9]", ran), ran
    assert "rebound" in intents or "FILLED" in intents
    disabled, enabled, compared, twice = reader("switch")
    assert "rebound is disabled; trial.toml: size_fixed, risk_limits" in disabled
    assert "rebound is enabled; trial.toml: rebound, size_fixed" in enabled
    assert "plugins.rebound.fall_pct" in compared
    assert "rebound, rebound_slow, size_fixed" in twice.splitlines()[0]
