"""The project files agree with each other and with the folders."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import tradecore

PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;]+)(?: ; (?P<marker>.+))?$")
FLOORS = ["cli", "app", "engine", "hooks", "ports", "market", "model", "errors"]


def project(path: Path) -> dict:
    return tomllib.loads(path.read_text())


def pins(root: Path) -> dict[str, Version]:
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    parsed = [PIN.match(line) for line in lines]
    assert [line for line, match in zip(lines, parsed, strict=True) if match is None] == [], (
        "expected name==version lines only"
    )
    return {canonicalize_name(match["name"]): Version(match["version"]) for match in parsed if match}


def wanted(root: Path) -> list[Requirement]:
    core = project(root / "pyproject.toml")
    texts = [*core["project"]["dependencies"], *core["build-system"]["requires"]]
    for group in (*core["project"]["optional-dependencies"].values(), *core["dependency-groups"].values()):
        texts += group
    for path in root.glob("plugins/*/pyproject.toml"):
        texts += project(path)["project"].get("dependencies", [])
    return [requirement for requirement in map(Requirement, texts) if not requirement.name.startswith("tradecore")]


def test_every_requirement_is_pinned_within_its_range(root):
    pinned = pins(root)
    for requirement in wanted(root):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"constraints.txt: expected a pin of {requirement.name}"
        assert requirement.specifier.contains(version), f"expected {requirement}, constraints.txt pins {version}"


def test_changelog_has_this_version(root):
    assert f"## [{tradecore.__version__}]" in (root / "CHANGELOG.md").read_text()


def test_settings_are_toml(root):
    found = {path.stem: tomllib.loads(path.read_text()) for path in (root / "settings").glob("*.toml")}
    assert {"base", "demo", "paper", "live"} <= set(found)


@pytest.fixture(scope="module")
def tox(root) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(root / "tox.ini")
    return parser


def test_tox_asks_every_question_and_describes_it(tox, plugins):
    listed = tox["tox"]["env_list"].split()
    assert listed == ["lint", "type", "imports", "core", f"plugin-{{{tox_names(tox)}}}", "contract", "docs"]
    assert sorted(tox_names(tox).split(",")) == plugins
    for name in listed:
        assert tox[f"testenv:{name}"]["description"]


def tox_names(tox: configparser.ConfigParser) -> str:
    match = re.search(r"plugin-\{(.+)\}", tox["tox"]["env_list"])
    assert match is not None
    return match[1]


def test_tox_installs_each_plugin_alone_and_all_in_the_house(tox, plugins):
    alone = tox[f"testenv:plugin-{{{tox_names(tox)}}}"]
    for name in plugins:
        assert f"-e ./plugins/{name}" in tox["house"]["deps"]
        assert f"{name}: -e ./plugins/{name}" in alone["deps"]
        assert f"{name}: pytest" in alone["commands"]


def test_types_and_import_contracts_know_every_plugin_and_floor(root, plugins):
    tools = project(root / "pyproject.toml")["tool"]
    linter = tools["importlinter"]
    packages = {f"tradecore_{name}" for name in plugins}
    assert set(tools["mypy"]["packages"]) == {"tradecore", *packages}
    assert set(linter["root_packages"]) == {"tradecore", *packages}
    for contract in linter["contracts"]:
        for key in ("source_modules", "forbidden_modules", "modules"):
            named = {module for module in contract.get(key, []) if module.startswith("tradecore_")}
            assert named in (set(), packages), contract["name"]
    layers = next(contract for contract in linter["contracts"] if contract["type"] == "layers")
    assert layers["exhaustive"]
    order = [name.strip(" ()") for layer in layers["layers"] for name in layer.split("|")]
    assert [name for name in order if name in FLOORS] == FLOORS


def test_each_plugin_is_a_whole_package(root, plugins):
    assert plugins, "expected plugins below plugins/, found none"
    for name in plugins:
        folder = root / "plugins" / name
        about = project(folder / "pyproject.toml")["project"]
        assert about["name"] == f"tradecore-{name.replace('_', '-')}" or about["name"] == f"tradecore-{name}"
        assert about["entry-points"]["tradecore"].keys() == {name}
        assert any(Requirement(text).name == "tradecore" for text in about["dependencies"]), (
            f"{name}: expected a range of tradecore"
        )
        for part in ("README.md", "CHANGELOG.md", f"tradecore_{name}/__init__.py"):
            assert (folder / part).is_file(), f"plugins/{name}: expected {part}"
        assert list(folder.glob("tests/test_*.py")), f"plugins/{name}: expected tests"
        assert (
            f"[{about['version']}]" in (folder / "CHANGELOG.md").read_text()
            or about["version"] in (folder / "CHANGELOG.md").read_text()
        )
