"""What the README and the pages of docs/ promise exists and works as written."""

import re
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from tradecore.cli.main import main
from tradecore.settings.aliases import plugin_of

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(text) if name == language]


def test_readme_names_the_two_commands_first(readme):
    first = blocks(readme, "sh")[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["./go demo", "./go test"]


def test_readme_names_only_commands_that_go_has(root, readme):
    text = subprocess.run([str(root / "go"), "help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^ +\./go (\w+)", text, re.M))
    assert {"demo", "test", "run", "check", "help"} == known
    assert set(re.findall(r"\./go (\w+)", readme)) == known


def documented(readme: str) -> dict[str, str]:
    """Command to what its row says of it."""
    rows = re.findall(r"^\| (`tradecore .+?) \| (.+) \|$", readme, re.M)
    found = {}
    for names, text in rows:
        for name in re.findall(r"`(?:tradecore )?([a-z]+)`", names):
            found[name] = text
    assert "run" in found
    return found


def test_readme_lists_every_command_and_no_other(readme):
    context = click.Context(main)
    listed = documented(readme)
    assert set(main.list_commands(context)) == set(listed)
    for name, text in listed.items():
        command = main.get_command(context, name)
        options = {option for parameter in command.params for option in parameter.opts}
        children = command.list_commands(context) if isinstance(command, click.Group) else []
        for child in children:
            options |= {option for parameter in command.get_command(context, child).params for option in parameter.opts}
        assert set(re.findall(r"(--[a-z]+)", text)) <= options, f"{name}: README names options that it has not"
        assert [child for child in children if f"`{child}" not in text] == [], f"{name}: not in README"


def test_readme_shows_a_plugin_that_works(readme):
    (source,) = blocks(readme, "python")
    names: dict = {}
    exec(compile(source, "README.md", "exec"), names)
    guest = names["QuietHours"](names["QuietHours"].Settings(start=20))

    class Market:
        now_ms = 0

    for hour, hit in ((0, False), (19, False), (20, True), (23, True)):
        Market.now_ms = (1_000 * 24 + hour) * 3_600_000 + 59
        (check,) = guest.risk_check(None, None, Market).checks
        assert check.hit is hit


def test_readme_installs_every_plugin_by_pip(readme):
    text = "\n".join(blocks(readme, "sh"))
    assert "$(printf -- '-e %s ' plugins/*)" in text  # whatever stands in that folder is a plugin


def test_readme_tables_every_plugin(readme, plugins):
    assert sorted(re.findall(r"^\| \[`(\w+)`\]\(plugins/\1/README\.md\)", readme, re.M)) == plugins


def test_readme_profile_is_one_that_loads(readme, plugins):
    profile = tomllib.loads(next(text for text in blocks(readme, "toml") if "[run]" in text))
    assert {plugin_of(name, profile["plugins"]) for name in profile["run"]["plugins"]} <= set(plugins)
    assert set(profile["plugins"]) <= set(profile["run"]["plugins"])


def test_links_between_pages_lead_somewhere(root, tracked):
    lost = [
        f"{name}: {target}"
        for name in tracked
        if name.endswith(".md")
        for target in LINK.findall(FENCE.sub("", (root / name).read_text()))
        if "://" not in target and not (root / name).parent.joinpath(target).exists()
    ]
    assert lost == []


@pytest.mark.parametrize("index", ["docs/README.md", "docs/decisions/README.md"])
def test_docs_index_names_every_page(root: Path, index: str):
    page = root / index
    targets = set(LINK.findall(page.read_text()))
    assert {path.name for path in page.parent.glob("*.md") if path != page} <= targets


def test_docs_decisions_have_their_form(root):
    pages = sorted((root / "docs/decisions").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert re.match(
            rf"# {page.name[:4]} \w.*\n\nState: (in force|replaced by \d{{4}}) · Date: \d{{4}}-\d\d-\d\d\n", text
        ), page.name
        assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Choice", "Alternatives", "Price"], page.name
