"""The report of one plugin: what was asked, what came of it, and of which files it is true."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tradecore.errors import DataError
from tradecore.testing.contract.cards import Outcome


class CardLine(NamedTuple):
    """One card of a report."""

    id: str
    """``C31-no-look-ahead``."""
    outcome: Outcome
    reason: str


class Report(NamedTuple):
    """What the suite says of one plugin."""

    suite_version: str
    core_version: str
    plugin: str
    plugin_version: str
    """Empty where the class was handed in without a distribution."""
    digest: str
    """SHA-256 over the plugin's files, see `digest_of`."""
    settings: tuple[Mapping[str, Any], ...]
    """Sections that it was asked with; an empty one stands for the defaults. Secrets are not in them."""
    cards: tuple[CardLine, ...]

    def count(self, outcome: Outcome) -> int:
        """Cards with an outcome."""
        return sum(line.outcome is outcome for line in self.cards)

    @property
    def passed(self) -> bool:
        """True where no card failed."""
        return not self.count(Outcome.FAILED)

    @property
    def failures(self) -> tuple[CardLine, ...]:
        """Cards that failed."""
        return tuple(line for line in self.cards if line.outcome is Outcome.FAILED)

    def headline(self) -> str:
        """One line for a list: ``61 passed, 0 failed, 9 skipped``."""
        return ", ".join(f"{self.count(outcome)} {outcome}" for outcome in Outcome)

    def to_json(self) -> str:
        """Write the report as JSON, keys in a fixed order."""
        about = self._asdict() | {"cards": [line._asdict() for line in self.cards], "settings": list(self.settings)}
        return json.dumps(about, indent=2, ensure_ascii=False, default=str) + "\n"


def report_path(folder: Path, name: str) -> Path:
    """Where the newest report of a plugin lies.

    Args:
        folder: The person's folder of tradecore, as ``.tradecore`` beside the working directory.
        name: Name of the plugin.
    """
    return folder / "reports" / f"{name}.json"


def parse_report(text: str) -> Report:
    """Read a report from its JSON.

    Raises:
        DataError: If the text is no report.
    """
    try:
        found = json.loads(text)
        lines = tuple(CardLine(line["id"], Outcome(line["outcome"]), line["reason"]) for line in found.pop("cards"))
        settings = tuple(found.pop("settings"))
        return Report(**found, settings=settings, cards=lines)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"expected a report of the contract suite, was {error}") from error


def write_report(path: Path, report: Report) -> None:
    """Write a report, whole or not at all; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_text(report.to_json(), encoding="utf-8")
    beside.replace(path)


def read_report(path: Path) -> Report | None:
    """Read a report; ``None`` where none was written.

    Raises:
        DataError: If the file is no report.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return parse_report(text)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def digest_of(module: str) -> str:
    """Digest a plugin's files without importing them: names and contents of the whole top package.

    Args:
        module: The module that the entry point names, as ``tradecore_signals_drop.plugin``.
    Returns:
        64 hex digits; the same files give the same digest wherever they lie. Empty where there are none on disk.
    """
    files = _files(module.partition(".")[0])
    if not files:
        return ""
    total = hashlib.sha256()
    for path, name in files:
        total.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _files(top: str) -> list[tuple[Path, str]]:
    try:
        # A top package's spec is found on the path; nothing of it runs.
        spec = importlib.util.find_spec(top)
    except ValueError:
        return []
    if spec is None:
        return []
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if not places:
        file = Path(spec.origin or "")
        return [(file, file.name)] if file.is_file() else []
    found = [
        (path, path.relative_to(place).as_posix())
        for place in places
        for path in place.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return sorted(found, key=lambda pair: pair[1])
