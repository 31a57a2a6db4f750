"""State folders by name: where runs are kept, and which is the newest. Imports nothing: readers start at once."""

from __future__ import annotations

from pathlib import Path

from tradecore.errors import StateFolderError

LATEST = "latest"
STATE_ROOT = Path("state")


def named_state(wanted: Path) -> Path:
    """Turn ``latest`` into the newest run's folder; any other path stays as it is.

    Raises:
        StateFolderError: If there is no newest run.
    """
    if wanted == Path():
        raise StateFolderError("expected a folder of the run's own, was empty or the current one")
    if str(wanted) != LATEST or wanted.exists():
        return wanted
    link = STATE_ROOT / LATEST
    if not link.exists():
        raise StateFolderError(f"expected a run that was kept below {STATE_ROOT}/, found none")
    return link.resolve()
