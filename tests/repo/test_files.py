"""What every tracked file must hold to, read from the files themselves."""

import ast
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 70
#: Modules that may be longer, and why.
LONG_MODULES: dict[str, str] = {}
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"

# A folder of somebody's machine at the start of a path; built so that this file does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.>}$])/(?:" + "|".join(["root", "home", "work", "Users", "mnt"]) + r")/[\w.-]+")
PRIVATE_HOST = re.compile(
    r"//[^\s/'\"]*(?:py" + r"pi|python" + r"hosted|artifactory|nexus)"
    r"|//[^\s/'\"]+\.(?:internal|corp|lan|intranet)\b"
    r"|//(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d"
)
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|NotImplemented" + r"Error)\b")


def texts(root: Path, names: list[str]):
    for name in names:
        try:
            yield name, (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def hits(root: Path, names: list[str], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts(root, names)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("cd " + "/ro" + "ot/x", True),
        ("see " + "/ho" + "me/ann/bot", True),
        ("docs/home/page.md", False),
        ("https://venue.test/home/x", False),
    ],
)
def test_machine_path_is_recognised(line, found):
    assert bool(MACHINE_PATH.search(line)) is found


def test_no_file_names_a_folder_of_some_machine(root, tracked):
    assert hits(root, tracked, MACHINE_PATH) == []


def test_no_file_names_a_registry_or_a_private_host(root, tracked):
    assert PRIVATE_HOST.search("https:" + "//py" + "pi.org/x")
    assert PRIVATE_HOST.search("http:" + "//10" + ".0.0.8/x")
    assert hits(root, tracked, PRIVATE_HOST) == []


def test_nothing_is_left_unfinished(root, sources):
    assert hits(root, sources, UNFINISHED) == []


def test_lock_file_and_caches_are_not_tracked(tracked):
    made = re.compile(r"(^|/)(uv\.lock|__pycache__|\.venv|\.tox|\.cache|[^/]*\.egg-info|\.[a-z_]+_cache)(/|$)")
    assert [name for name in tracked if made.search(name)] == []


def test_every_module_says_what_it_is_for(root, sources):
    assert [name for name in sources if not ast.get_docstring(ast.parse((root / name).read_text()))] == []


def test_modules_are_short_enough_to_read(root, sources):
    lengths = {name: len((root / name).read_text().splitlines()) for name in sources}
    assert {n: x for n, x in lengths.items() if x > MODULE_LINES_MAX and n not in LONG_MODULES} == {}
    assert [n for n in LONG_MODULES if lengths.get(n, 0) <= MODULE_LINES_MAX] == [], "no longer long: strike it off"


def functions(tree: ast.AST):
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    described = ast.get_docstring(function, clean=False) is not None
    skipped = (first.end_lineno or first.lineno) - first.lineno + 1 if described else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - skipped


def test_functions_fit_a_screen(root, sources):
    long = [
        f"{name}:{function.lineno} {function.name}: {body_lines(function)} lines"
        for name in sources
        if "/migrations/versions/" not in name  # a migration is a list of columns, and frozen once it was released
        for function in functions(ast.parse((root / name).read_text()))
        if body_lines(function) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_only_the_command_line_imports_late(root, sources):
    late = [
        f"{name}:{node.lineno}"
        for name in sources
        if not name.startswith("tradecore/cli/")
        for function in functions(ast.parse((root / name).read_text()))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert late == []


def test_licence_is_apache_2_in_full(root):
    assert hashlib.sha256((root / "LICENSE").read_bytes()).hexdigest() == APACHE_2_SHA256


@pytest.mark.parametrize(("name", "shell"), [("go", "sh"), (".ci/run", "bash")])
def test_script_may_be_run_and_reads_well(root, name, shell):
    assert (root / name).stat().st_mode & 0o111 == 0o111
    subprocess.run([shell, "-n", str(root / name)], check=True)
