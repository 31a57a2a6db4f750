"""A plugin's whole life outside of this repository: made, built, installed, found, switched on, run, removed."""

from __future__ import annotations

import json
import tomllib

from tradecore.hooks.specs import HOOKS

QUICK = ("--speed", "max", "--for", "5m")


def names(house, cwd):
    return [row["name"] for row in json.loads(house.tradecore("plugins", "list", "--json", cwd=cwd).out)["plugins"]]


def test_r1_a_strangers_wheel_is_found_switched_on_run_and_removed(house, tmp_path):
    def tradecore(*words):
        done = house.tradecore(*words, cwd=tmp_path)
        assert done.code == 0, done.said
        return done.out

    def verdict():
        listed = json.loads(tradecore("plugins", "list", "--json"))["plugins"]
        (found,) = [row["contract"] for row in listed if row["name"] == "calm_guard"]
        return found["outcome"], found["stale"]

    ours = names(house, tmp_path)
    assert {"exec_ioc_gtc", "exits", "risk_limits", "signals_drop", "size_fixed"} <= set(ours)
    assert "calm_guard" not in ours

    # made and built: the environment has no checkout, so the template is the packaged one
    tradecore("plugins", "new", "calm_guard", "--hooks", ",".join(HOOKS), "--folder", "calm")
    answers = (tmp_path / "calm/.copier-answers.yml").read_text()
    assert str(house.folder) in answers
    assert "_commit" not in answers
    wheel = house.build(tmp_path / "calm")
    assert wheel.name == "tradecore_calm_guard-0.1.0-py3-none-any.whl"

    # installed and found
    house.install(wheel)
    assert names(house, tmp_path) == sorted([*ours, "calm_guard"])
    about = json.loads(tradecore("plugins", "info", "calm_guard", "--json"))
    assert about["hooks"] == sorted(HOOKS)
    assert about["core_range"] == "<1,>=0.1"
    assert about["settings"][0] == {
        "key": "drop_pct", "default": "2", "unit": "%",
        "meaning": "Buy when the close is at least this far below the mean of the window.",
    }  # fmt: skip

    # checked: the report names its files, and says so once they change
    assert ", 0 failed, " in tradecore("plugins", "check", "calm_guard")
    assert verdict() == ("passed", "")
    (module,) = house.folder.glob("lib/*/site-packages/tradecore_calm_guard/plugin.py")
    module.write_text(module.read_text() + "\n# touched\n")
    assert verdict() == ("passed", "files changed")

    # switched on in a profile of its own, run, switched off
    assert "copied the shipped profile to demo.toml" in tradecore(
        "plugins", "enable", "calm_guard", "--profile", "demo"
    )
    assert tomllib.loads((tmp_path / "demo.toml").read_text())["run"]["plugins"][-1] == "calm_guard"
    with_it = tradecore("run", "--profile", "demo.toml", *QUICK)
    assert "exits, calm_guard" in with_it.splitlines()[0]
    tradecore("plugins", "disable", "calm_guard", "--profile", "demo.toml")
    assert "calm_guard" not in tradecore("config", "check", "--profile", "demo.toml")

    # removed: named nowhere it is not missed, named somewhere it is refused
    house.pip("uninstall", "--yes", "--quiet", "tradecore-calm-guard")
    assert names(house, tmp_path) == ours
    refused = house.tradecore("run", "--profile", "demo", "--plugins", "calm_guard", cwd=tmp_path)
    assert refused.code == 2
    assert refused.err.startswith("tradecore: calm_guard: expected an installed plugin")
