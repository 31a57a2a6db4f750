"""Defects: the real source of a plugin with some text replaced, loaded under a name of its own."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tradecore.hooks.entries import available
from tradecore.testing.contract.runner import BY_NUMBER, CARDS, ask_card
from tradecore.testing.contract.subject import Subject

FIRST_SESSION = "C80"
FOLDER = Path(__file__).parent / "defects"


class Defect(NamedTuple):
    plugin: str
    id: str
    card: str
    says: str
    change: tuple[tuple[str, str], ...]
    settings: tuple[dict[str, Any], ...]
    also: tuple[str, ...]
    """Other cards that the same defect breaks."""
    slow: bool

    def subject(self) -> Subject:
        """Load the plugin with the defect in it."""
        info = available()[self.plugin]
        home, _, name = info.target.partition(":")
        spec = importlib.util.find_spec(home)
        source = Path(spec.origin).read_text(encoding="utf-8")
        for find, put in self.change:
            assert source.count(find) == 1, (
                f"{self.id}: expected once in {home}, was {source.count(find)} times: {find}"
            )
            source = source.replace(find, put)
        module = ModuleType(f"defect_{self.id.replace('-', '_')}")
        sys.modules[module.__name__] = module
        exec(compile(source, f"<{self.id}>", "exec"), vars(module))
        return Subject(self.plugin, getattr(module, name), self.settings)

    def judged(self) -> Subject:
        """Ask all cards in order; sessions only where one names the defect, and a slow plugin its own card only."""
        subject = self.subject()
        sessions = self.card >= FIRST_SESSION
        cards = [card for card in CARDS if sessions or card.number < FIRST_SESSION]
        try:
            for card in [BY_NUMBER[self.card]] if self.slow else cards:
                ask_card(card, subject)
        finally:
            del sys.modules[subject.maker.__module__]
        return subject


def all_defects() -> list[Defect]:
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        for one in tomllib.loads(path.read_text(encoding="utf-8"))["defect"]:
            changes = tuple((change["find"], change["put"]) for change in one["change"])
            settings = tuple(one.get("settings", ({},)))
            also = tuple(one.get("also", ()))
            named = (path.stem, one["id"], one["card"], one["says"], changes)
            found.append(Defect(*named, settings, also, one.get("slow", False)))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "defect" in metafunc.fixturenames:
        metafunc.parametrize("defect", all_defects(), ids=lambda defect: f"{defect.card}-{defect.id}")


@pytest.fixture(scope="session")
def defects() -> list[Defect]:
    return all_defects()
