"""The table of guards names every invariant and fault, and only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TABLE = Path(__file__).with_name("GUARDS.md")
ROOT = TABLE.parents[2]


def test_every_invariant_and_fault_has_a_row_and_each_test_named_exists():
    text = TABLE.read_text()
    firsts = " ".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    assert set(re.findall(r"INV-\d+", firsts)) == {f"INV-{number}" for number in range(1, 23)}
    assert set(re.findall(r"\bF\d+", firsts)) == {f"F{number}" for number in range(1, 51)}
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", text))
    known = set()
    for folder in (ROOT / "tests", ROOT / "plugins"):
        for path in folder.rglob("test_*.py"):
            known |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    assert named - known == set()
    assert len(named) > 50
