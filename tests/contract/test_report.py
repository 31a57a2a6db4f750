"""Reports, the pytest plugin, and the generated page."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tradecore.errors import DataError
from tradecore.testing.contract import (
    CARDS,
    CardLine,
    Outcome,
    Report,
    digest_of,
    read_report,
    report_path,
    write_report,
)
from tradecore.testing.contract.page import page, read_defects

ROOT = Path(__file__).parents[2]
REPORT = Report(
    "1.0", "0.1.0", "p", "2.0", "d" * 64, ({"a": 1},),
    (CardLine("C01-x", Outcome.PASSED, ""), CardLine("C02-y", Outcome.FAILED, "z")),
)  # fmt: skip


def test_a_report_comes_back_the_same(tmp_path):
    path = report_path(tmp_path, "p")
    assert path == tmp_path / "reports" / "p.json"
    assert read_report(path) is None
    write_report(path, REPORT)
    assert read_report(path) == REPORT
    assert REPORT.headline() == "1 passed, 1 failed, 0 skipped"
    assert not REPORT.passed
    path.write_text("{}")
    with pytest.raises(DataError, match="expected a report"):
        read_report(path)


def test_a_digest_follows_the_files_and_imports_nothing(tmp_path, monkeypatch):
    package = tmp_path / "some_plugin_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    first = digest_of("some_plugin_of_a_test.plugin")
    assert len(first) == 64
    (package / "more.py").write_text("x = 1")
    second = digest_of("some_plugin_of_a_test.plugin")
    assert second != first
    (package / "more.py").write_text("x = 2")
    assert digest_of("some_plugin_of_a_test.plugin") not in (first, second)
    assert digest_of("no_such_package_anywhere") == ""


def run_pytest(folder, *options):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_an_installed_plugin_is_asked_without_a_file_of_its_author(tmp_path):
    (tmp_path / "test_of_the_author.py").write_text("def test_never_run():\n    assert False\n")
    done = run_pytest(tmp_path, "--tradecore-plugin", "size_fixed", "--tradecore-report", "out/r.json", "-vv")
    assert done.returncode == 0, done.stdout
    assert "test_contract[C31-no-look-ahead] SKIPPED" in done.stdout
    assert "test_contract[C51-sizes-round-down] PASSED" in done.stdout
    assert "never_run" not in done.stdout
    found = json.loads((tmp_path / "out" / "r.json").read_text())
    assert [line["id"] for line in found["cards"]] == [card.test_id for card in CARDS]
    assert found["plugin"] == "size_fixed"
    assert found["digest"] == digest_of("tradecore_size_fixed.plugin")


INHERITED = """
from pydantic import BaseModel
from tradecore import hookimpl
from tradecore.testing.contract import ContractSuite

class Mine:
    class Settings(BaseModel, frozen=True, extra="forbid"):
        pass

    def __init__(self, settings):
        pass

    @hookimpl
    def risk_check(self):
        return None

class TestContract(ContractSuite):
    plugin = Mine
"""


def test_an_inherited_suite_fails_with_the_words_of_the_card(tmp_path):
    (tmp_path / "test_mine.py").write_text(INHERITED)
    done = run_pytest(tmp_path, "--tradecore-report", "r.json", "-k", "C04 or C20 or C50")
    assert done.returncode == 1, done.stdout
    assert "mine: C50-refusals-are-named: risk_check on an empty account answered None" in done.stdout
    assert [line["outcome"] for line in json.loads((tmp_path / "r.json").read_text())["cards"]] == [
        "passed",
        "passed",
        "failed",
    ]


def test_a_report_of_no_plugin_is_refused(tmp_path):
    (tmp_path / "test_else.py").write_text("def test_else():\n    pass\n")
    done = run_pytest(tmp_path, "--tradecore-report", "r.json")
    assert done.returncode == 4
    assert "expected one plugin asked by the suite, were 0" in done.stdout


def test_the_page_is_the_one_that_the_cards_make():
    made = page(read_defects(ROOT / "tests" / "contract" / "defects"))
    assert (ROOT / "docs" / "contract.md").read_text(encoding="utf-8") == made, (
        "run: python -m tradecore.testing.contract.page tests/contract/defects > docs/contract.md"
    )
