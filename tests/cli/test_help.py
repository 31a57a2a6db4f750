"""Help is quick, complete, and imports nothing heavy."""

import subprocess
import sys
import time

import click
import pytest

from tradecore import __version__
from tradecore.cli.main import main

HEAVY = ("numpy", "sqlalchemy", "sqlmodel", "pydantic", "ccxt", "apscheduler", "pyarrow", "rich", "loguru", "orjson")


def commands():
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, child) for child in command.list_commands(context))


@pytest.mark.parametrize("words", [(), ("run",), ("query", "trades"), ("halt",)])
def test_r53_help_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom tradecore.cli.main import main\n"
        f"try:\n    main({[*words, '--help']!r})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: " in done.stdout
    assert done.stderr.strip() == "[]"


def test_r53_help_is_quick():
    took = []
    for _ in range(4):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "from tradecore.cli.main import main; main(['run', '--help'])"],
            check=True, capture_output=True,
        )  # fmt: skip
        took.append(time.perf_counter() - start)
    # the best of a few: other work on the machine must not fail this. The aim is 100 ms.
    assert min(took) < 1.0


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_help_with_a_promise(cli, words):
    result = cli(*words, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: tradecore {' '.join(words)} ")
    promise = result.stdout.split("\n\n")[1].strip()
    assert promise.endswith("."), promise
    assert promise[0].isupper()


@pytest.mark.parametrize("words", [(), ("query",), ("plugins",), ("config",)])
def test_a_group_without_a_command_prints_its_help(cli, words):
    result = cli(*words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Commands:" in result.stdout


@pytest.mark.parametrize("words", [("version",), ("--version",)])
def test_version_is_printed(cli, words):
    assert cli(*words).stdout == f"tradecore {__version__}\n"
