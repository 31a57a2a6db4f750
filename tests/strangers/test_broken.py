"""Broken packages of strangers: `tradecore` starts without them, and says what is wrong where they are asked for."""

from __future__ import annotations

import json
import sys

import pytest

from tradecore.errors import PluginLoadError, UsageError
from tradecore.hooks.entries import available, survey
from tradecore.hooks.loader import core_range, load

OURS = {"signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc", "exits"}
METADATA = b"Metadata-Version: 2.1\nName: tradecore-odd\nVersion: 1.2\n"
ENTRY = b"[tradecore]\nodd = tradecore_odd:Plugin\n"
SOURCE = """
from pydantic import BaseModel
from tradecore import Verdict, hookimpl

class Plugin:
    class Settings(BaseModel, frozen=True, extra="forbid"):
        pass
    def __init__(self, settings):
        pass
    @hookimpl
    def risk_check(self):
        return Verdict()
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write what an installer would leave, on a path of its own."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def write(metadata=METADATA, entries=ENTRY, source=SOURCE, distribution="tradecore_odd"):
        info = site / f"{distribution}-1.2.dist-info"
        info.mkdir()
        for name, content in (("METADATA", metadata), ("entry_points.txt", entries)):
            if content is not None:
                (info / name).write_bytes(content)
        (site / "tradecore_odd.py").write_text(source, encoding="utf-8")

    yield write
    sys.modules.pop("tradecore_odd", None)


BROKEN = [
    ({"entries": b"[tradecore]\nodd = \xff\xfe\n"}, None),
    ({"entries": b"[tradecore\nodd\n"}, None),
    ({"entries": b"[tradecore]\nodd\n"}, None),
    ({"entries": b"[tradecore]\nodd = not a target\n"}, "expected an entry point such as 'package.module:Class', was"),
    ({"metadata": None}, "expected metadata of tradecore_odd-1.2.dist-info"),
    ({"metadata": b"\xff\xfe\x00"}, "expected metadata of tradecore_odd-1.2.dist-info"),
    ({"metadata": b"Version: 1\n"}, "expected metadata of tradecore_odd-1.2.dist-info with a name and a version"),
    ({"metadata": METADATA + b"Requires-Dist: tradecore (((\n"}, "expected requirements of tradecore-odd 1.2"),
    (
        {"metadata": METADATA + b"Requires-Dist: tradecore; what is this\n"},
        "expected requirements of tradecore-odd 1.2",
    ),
    ({"source": "import nowhere_at_all"}, "to be importable, was ModuleNotFoundError"),
    ({"source": "raise SystemExit(3)"}, "to be importable, was SystemExit"),
    ({"source": "raise GeneratorExit"}, "to be importable, was GeneratorExit"),
    ({"source": "class Strange(BaseException): ...\nraise Strange('x')"}, "to be importable, was Strange: x"),
    ({"source": "Plugin = None"}, "expected the entry point to lead to a class"),
]


@pytest.mark.parametrize(("broken", "said"), BROKEN)
def test_a_broken_package_is_refused_alone(package, broken, said):
    package(**broken)
    found = survey()
    assert found.plugins.keys() >= OURS
    assert [guest.name for guest in load(["exits"])] == ["exits"]
    with pytest.raises(UsageError) as caught:
        load(["odd"])
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("odd: ")
    if said is not None:
        assert said in str(caught.value), str(caught.value)
    else:
        # nobody can tell that it is a plugin: it is named as a distribution, and the plugin is not there
        assert "odd" not in found.plugins
        assert not found.unreadable or "tradecore_odd-1.2.dist-info" in found.unreadable[0]


def test_two_plugins_of_one_name_are_refused_where_they_are_used(package):
    package()
    package(metadata=METADATA.replace(b"odd", b"other"), distribution="tradecore_other")
    with pytest.raises(PluginLoadError, match=r"^odd: expected one distribution with this plugin, found tradecore-o"):
        load(["odd"])
    assert load(["exits"])


def test_the_same_distribution_twice_on_the_path_is_one(package):
    package()
    package(metadata=METADATA.replace(b"-odd", b"_Odd"), distribution="tradecore_odd_again")
    assert [guest.name for guest in load(["odd"])] == ["odd"]


@pytest.mark.parametrize(
    ("requires", "fits"),
    [
        ("tradecore>=0.1,<1", True),
        ("tradecore", True),
        ("TradeCore >= 0.1", True),
        ("tradecore[testing]~=0.1", True),
        ('tradecore>=9; python_version < "3"', True),
        ('tradecore>=9; extra == "late"', True),
        ("tradecore>=0.2", False),
        ("tradecore<0.1", False),
        ("tradecore==2.*", False),
    ],
)
def test_the_range_of_the_core_is_checked_before_any_code_is_run(package, requires, fits):
    source = SOURCE if fits else "raise RuntimeError('was imported')"
    package(metadata=METADATA + f"Requires-Dist: {requires}\n".encode(), source=source)
    if fits:
        assert load(["odd"])[0].version == "1.2"
        return
    with pytest.raises(PluginLoadError) as caught:
        load(["odd"])
    wanted = requires.removeprefix("tradecore")
    assert str(caught.value) == f"odd: expected tradecore {wanted} as tradecore-odd 1.2 asks, was tradecore 0.1.0"


def test_a_plugin_that_names_no_range_has_none(package):
    package()
    assert core_range(available()["odd"]) is None


def test_the_program_lists_a_broken_package_with_what_is_wrong_and_starts(package, tmp_path, tool):
    package(metadata=None)
    listed = tool("plugins", "list", "--json")
    assert listed.code == 0, listed.said
    (odd,) = [row for row in json.loads(listed.out)["plugins"] if row["name"] == "odd"]
    assert odd["fault"].startswith("expected metadata of tradecore_odd-1.2.dist-info")
    assert tool("config", "check", "--profile", "demo").code == 0
    refused = tool("config", "check", "--profile", "demo", "--plugins", "odd,size_fixed")
    assert refused.code == 2
    assert refused.err.startswith("tradecore: odd: expected metadata of")
    assert len(refused.err.splitlines()) == 1


def test_the_program_names_distributions_that_it_could_not_read(package, tool):
    package(entries=b"[tradecore]\nodd = \xff\xfe\n")
    listed = tool("plugins", "list")
    assert listed.code == 0
    assert listed.err.startswith("tradecore: note: tradecore_odd-1.2.dist-info: expected entry points that can be read")
    assert "signals_drop" in listed.out
