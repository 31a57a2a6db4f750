"""The template: what is generated passes lint, types, its own tests and the suite, and copier can update it."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tradecore.errors import UsageError
from tradecore.hooks.specs import HOOKS
from tradecore.testing.scaffold import ANSWERS_FILE, TAKEN, TEMPLATE, Origin, Plugin, make_plugin, origin_of, render

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = Path(__file__).parent / "tutorial"
NOWHERE = Origin("nowhere", "v0.1.0")
#: Each hook alone, pairs whose imports meet, and all of them: every import line of the template in its forms.
SETS = {
    **{f"only_{hook}": (hook,) for hook in HOOKS},
    "strategy": ("signal", "follow"),
    "entry": ("signal", "size"),
    "gate": ("size", "risk_check"),
    "listener": ("on_fill", "on_fail"),
    "tally": ("on_fail", "on_event"),
    "teller": ("on_start", "on_shutdown"),
    "rebound": ("signal",),
    "every_hook": HOOKS,
}
needs_copier = pytest.mark.skipif(importlib.util.find_spec("copier") is None, reason="copier is not installed here")


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    for name, hooks in SETS.items():
        make_plugin(Plugin(name, hooks), folder / name, NOWHERE)
    follow_the_page(folder / "rebound")
    return folder


def follow_the_page(folder):
    """Put what docs/write-a-plugin.md shows in the place of what was generated, so that the tools judge it too."""
    plugin = shown("plugin.py")
    source = f"{plugin['imports']}\n\n\n{plugin['settings']}\n\n{plugin['signal']}\n"
    (folder / "tradecore_rebound/plugin.py").write_text(source)
    (folder / "tests/test_rebound.py").write_text(shown("rebound_tests.py")["tests"] + "\n")
    (folder / "trial.toml").write_text(shown("trial.toml")["trial"] + "\n")
    readme = folder / "README.md"
    head, _, rest = readme.read_text().partition("| setting |")
    readme.write_text(f"{head}{shown('settings.md')['table']}\n\n{rest.partition(chr(10) * 2)[2]}")


def shown(file):
    """Name to text of the parts of a file that the page shows."""
    found = re.findall(r"^[^\n]*\[(\w+)\][^\n]*\n(.*?)\n[^\n]*\[/\1\]", (TUTORIAL / file).read_text(), re.M | re.S)
    return {name: text.strip("\n") for name, text in found}


def tool(folder, *words, **extra):
    """Run a tool of this environment on what was generated, with the settings that were generated."""
    environment = {**os.environ, "NO_COLOR": "1", **extra}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_what_is_generated_passes_lint_and_format(generated):
    tool(generated, "ruff", "check", "--no-cache", ".")
    tool(generated, "ruff", "format", "--no-cache", "--check", ".")


def test_what_is_generated_passes_strict_types(generated, request):
    path = os.pathsep.join(str(generated / name) for name in SETS)
    packages = [word for name in SETS for word in ("-p", f"tradecore_{name}")]
    # numpy and pydantic stay known from run to run; what was generated is read anew
    cache = request.config.cache.mkdir("generated-types")
    # strict is what the generated pyproject asks for; one question for all packages is much quicker
    tool(generated, "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", *packages, MYPYPATH=path)


def test_what_is_generated_passes_its_own_tests(generated):
    path = os.pathsep.join(str(generated / name) for name in SETS)
    config = "[pytest]\nfilterwarnings = error\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    (generated / "pytest.ini").write_text(config)
    tests = [generated / name / f"tests/test_{name}.py" for name in SETS]
    tool(
        generated, "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", "pytest.ini", *tests,
        PYTHONPATH=path,
    )  # fmt: skip


def test_a_new_plugin_takes_less_than_ten_seconds(tool, tmp_path):
    started = time.monotonic()
    made = tool("plugins", "new", "mean_dip", "--hooks", "size,signal")
    taken = time.monotonic() - started
    assert made.code == 0, made.said
    assert taken < 10
    folder = tmp_path / "cwd/tradecore-mean-dip"
    assert (
        made.out.splitlines()[0]
        == f"{len([p for p in folder.rglob('*') if p.is_file()])} files in tradecore-mean-dip; what now:"
    )
    assert "Hooks: `signal`, `size`." in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", SETS)
def test_the_profile_that_comes_with_it_is_one_that_loads(generated, name):
    profile = (generated / name / "trial.toml").read_text()
    assert f'plugins = ["{name}", ' in profile
    keys = {
        line.partition(" = ")[0] for line in profile.partition(f"[plugins.{name}]")[2].splitlines() if " = " in line
    }
    source = (generated / name / f"tradecore_{name}/plugin.py").read_text()
    assert all(f"        {key}: " in source for key in keys)


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        (Plugin("Dip"), "NAME: expected a name of small letters, digits and single _, was 'Dip'"),
        (Plugin("engine"), "NAME: expected a name that is no section of the settings, was 'engine'"),
        (Plugin("a" * 41), "NAME: expected at most 40 letters, was 41"),
        (Plugin("counter"), "NAME: expected a name whose class is no word of the hooks, was 'counter' (Counter)"),
        (Plugin("signal"), "NAME: expected a name whose class is no word of the hooks, was 'signal' (Signal)"),
        (Plugin("none"), "NAME: expected a name whose class is no word of the hooks, was 'none' (None)"),
        (Plugin("dip", ("sginal",)), "--hooks: expected names of hooks, was 'sginal', nearest is 'signal'"),
        (Plugin("dip", ()), "--hooks: expected at least one of signal, follow"),
        (Plugin("dip", summary='Say "no".'), "--summary: expected one sentence of at most 100 letters without quotes"),
        (Plugin("dip", summary="a\nb."), "--summary: expected one sentence"),
        (Plugin("dip", summary="a" * 101), "--summary: expected one sentence"),
    ],
)
def test_what_cannot_be_generated_is_refused_and_writes_nothing(tmp_path, plugin, said):
    with pytest.raises(UsageError) as caught:
        make_plugin(plugin, tmp_path / "new", NOWHERE)
    assert str(caught.value).startswith(said)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_files_is_left_alone_and_one_under_git_is_taken(tmp_path):
    (tmp_path / ".git").mkdir()
    make_plugin(Plugin("dip"), tmp_path, NOWHERE)
    with pytest.raises(UsageError, match="expected no such folder or an empty one, found files"):
        make_plugin(Plugin("dip"), tmp_path, NOWHERE)


def test_the_source_of_updates_is_this_repository_where_there_is_one():
    found = origin_of(None)
    if (ROOT / ".git").exists():
        assert found.source == str(ROOT)
        assert found.commit
    assert origin_of("https://example.org/tradecore.git") == Origin("https://example.org/tradecore.git", "v0.1.0")


# copier --------------------------------------------------------------------------------------------------------------


def git(folder, *words):
    quiet = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-C", str(folder))
    done = subprocess.run(["git", *quiet, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def template_repository(folder):
    """The part of this repository that copier reads, as a repository with a first version."""
    shutil.copytree(TEMPLATE, folder / TEMPLATE.relative_to(ROOT), ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "copier.yml", folder)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "tag", "v0.1.0")


def copier(folder, *words):
    names = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
    names |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in names.items()}
    return tool(folder, "copier", *words, **names)


@needs_copier
def test_copier_writes_the_same_files(tmp_path):
    hooks = HOOKS
    (tmp_path / "answers.yml").write_text(json.dumps({"name": "mean_dip", "hooks": hooks}))
    copier(tmp_path, "copy", "--quiet", "--defaults", "--data-file", "answers.yml", TEMPLATE, "made")
    theirs = {
        path.relative_to(tmp_path / "made").as_posix() for path in (tmp_path / "made").rglob("*") if path.is_file()
    }
    make_plugin(Plugin("mean_dip", hooks), tmp_path / "ours", Origin(str(TEMPLATE), ""))
    ours = {path.relative_to(tmp_path / "ours").as_posix() for path in (tmp_path / "ours").rglob("*") if path.is_file()}
    assert ours == theirs
    for name in sorted(ours - {ANSWERS_FILE}):
        assert (tmp_path / "ours" / name).read_text() == (tmp_path / "made" / name).read_text(), name
    lines = {folder: sorted((tmp_path / folder / ANSWERS_FILE).read_text().splitlines()) for folder in ("ours", "made")}
    assert lines["ours"] == lines["made"]


@needs_copier
def test_copier_update_brings_what_is_new_and_keeps_what_the_author_wrote(tmp_path):
    template, mine = tmp_path / "tradecore", tmp_path / "mine"
    template_repository(template)
    make_plugin(Plugin("mean_dip", ("signal",)), mine, origin_of(str(template)))
    assert "_commit: 'v0.1.0'" in (mine / ANSWERS_FILE).read_text()
    git(mine, "init", "-q")
    plugin = mine / "tradecore_mean_dip/plugin.py"
    plugin.write_text(plugin.read_text().replace("Decimal(2),", "Decimal(3),  # mine"))
    git(mine, "add", "-A")
    git(mine, "commit", "-q", "-m", "mine")

    newer = template / TEMPLATE.relative_to(ROOT) / "project/pyproject.toml.jinja"
    newer.write_text(newer.read_text().replace("line-length = 120", "line-length = 110"))
    git(template, "commit", "-q", "-a", "-m", "second")
    git(template, "tag", "v0.2.0")

    copier(mine, "update", "--quiet", "--defaults")
    assert "line-length = 110" in (mine / "pyproject.toml").read_text()
    assert "Decimal(3),  # mine" in plugin.read_text()
    assert "_commit: v0.2.0" in (mine / ANSWERS_FILE).read_text().replace("'", "")
    assert sorted(git(mine, "diff", "--name-only").splitlines()) == [ANSWERS_FILE, "pyproject.toml"]


def test_no_import_of_the_template_can_be_the_name_of_a_class(generated):
    """A plugin called `counter` would hide what its own module imports."""
    tree = ast.parse((generated / "every_hook/tradecore_every_hook/plugin.py").read_text())
    words = {name.name for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert {word for word in words if word[0].isupper() and not word.isupper()} <= {*TAKEN}


def test_the_questions_name_every_hook_and_the_range_of_this_version():
    questions = (TEMPLATE / "questions.yml").read_text()
    assert f"choices: [{', '.join(HOOKS)}]" in questions
    assert f'default: "{Plugin("x").core_range}"' in questions
    assert f"in [{', '.join(repr(word) for word in TAKEN)}]" in questions
    assert dict(render(Plugin("x", ("signal",), "Says x."), NOWHERE))["pyproject.toml"]
