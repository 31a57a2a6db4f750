"""A filter, a size, a router and a universe of strangers: begun with `plugins new`, and run together."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KINDS = {"quiet_hours": "signal", "size_by_range": "size", "exec_patient": "route_order", "universe_named": "universe"}
LIST = "universe_named,signals_drop,quiet_hours,size_by_range,risk_limits,exec_patient,exits"


def source_of(name):
    page = HERE / "tutorial" / f"{name}.py"
    return (page if page.exists() else HERE / "kinds" / f"{name}.py").read_text()


@pytest.fixture
def kinds(tool, tmp_path):
    """Make all four, put what a reader writes in the place of what was generated, and install them."""
    for name, hook in KINDS.items():
        folder = f"tradecore-{name.replace('_', '-')}"
        made = tool("plugins", "new", name, "--hooks", hook)
        assert made.code == 0, made.said
        project = tmp_path / "cwd" / folder
        (project / f"tradecore_{name}" / "plugin.py").write_text(source_of(name))
        site = tmp_path / "site"
        about = site / f"tradecore_{name}-0.1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"tradecore_{name}").symlink_to(project / f"tradecore_{name}")
        text = f"Metadata-Version: 2.1\nName: {folder}\nVersion: 0.1.0\nSummary: Tried.\n"
        text += "Requires-Dist: tradecore>=0.1,<1\n"
        (about / "METADATA").write_text(text)
        (entry,) = re.findall(rf'^{name} = "(\S+)"$', (project / "pyproject.toml").read_text(), re.MULTILINE)
        (about / "entry_points.txt").write_text(f"[tradecore]\n{name} = {entry}\n")
    return tool


def test_r1_four_kinds_of_strangers_trade_together_and_each_is_seen(kinds, tmp_path):
    words = ("--plugins", LIST, "--state", "kept", "--speed", "max", "--for", "120m", "--json")
    sets = ("universe_named.letters=ABCDELX", "size_by_range.risk_pct=0.05", "quiet_hours.first_hour=1")
    ran = kinds("run", *words, *[word for one in sets for word in ("--set", one)])
    assert ran.code == 0, ran.said
    told = json.loads(ran.out)
    assert told["quarantined"] == []
    assert told["errors"] == {}
    assert told["pending"] == []
    assert told["outcomes"]["FILTER_REFUSED"] > 10
    assert told["positions_closed"] > 0
    removed = json.loads(kinds("universe", "show", "--state", "kept", "--json").out)["symbols"]
    assert {row["symbol"][0] for row in removed if not row["kept"]} == {row["symbol"][0] for row in removed} - {
        *"ABCDELX"
    }
    orders = json.loads(kinds("query", "orders", "--state", "kept", "--json").out)
    assert "rest" in {row["request"]["label"] for row in orders["orders"]}
    sizes = json.loads(kinds("query", "intents", "--state", "kept", "--json").out)
    assert "size_by_range: risk by range" in json.dumps(sizes)


@pytest.mark.parametrize("name", ["quiet_hours", "exec_patient"])
def test_r1_they_hold_the_contract(kinds, name):
    checked = kinds("plugins", "check", name)
    assert checked.code == 0, checked.said
    assert ", 0 failed, " in checked.out


def test_r1_what_was_generated_says_itself_that_it_must_change_too(kinds):
    refused = kinds("run", "--profile", "tradecore-quiet-hours/trial.toml", "--speed", "max")
    assert refused.code == 2
    assert "quiet_hours.drop_pct: expected a known key" in refused.err
    assert "trial.toml:" in refused.err
