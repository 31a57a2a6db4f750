"""Where the command line writes: consoles and tables that fit what they are shown on."""

from __future__ import annotations

import math
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH = 100
"""Columns where the output is no terminal: what tables are made to fit."""
_FOLDED = 12
"""Columns of text that fold are not made narrower than this."""


def console(*, err: bool = False) -> Console:
    """Open a console on stdout or stderr that prints texts as they are."""
    from rich.console import Console
    from rich.table import Table

    class Paper(Console):
        """A console on which a table is as wide as its figures need: what is cut tells nothing."""

        def print(self, *objects: Any, **how: Any) -> None:
            if len(objects) == 1 and isinstance(objects[0], Table) and not how:
                least = _least_width(objects[0])
                if least > self.width:
                    # the table's own width: what is handed to the console's is cut at the screen's edge
                    objects[0].width, how = least, {"crop": False}
            super().print(*objects, **how)

    opened = Paper(stderr=err, highlight=False, markup=False, emoji=False)
    if not opened.is_terminal and "COLUMNS" not in os.environ:
        opened.width = WIDTH
    return opened


def _least_width(shown: Table) -> int:
    """Columns of a screen that a table takes where nothing of it is cut; text that may fold does."""
    least = 0
    for column in shown.columns:
        lines = [str(column.header), *map(str, column.cells)]
        longest = max(map(len, lines))
        if not column.no_wrap:
            longest = min(longest, _FOLDED)
        column.min_width = longest
        least += longest + 2
    return least


def table(*columns: str, right: tuple[str, ...] = (), wide: tuple[str, ...] = ()) -> Table:
    """Make a table without lines: a header row and columns.

    Args:
        right: Columns of figures, set to the right and never cut.
        wide: Columns of text that fold where there is no room.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name not in wide,
            overflow="fold" if name in wide else "ellipsis",
        )
    return made


def print_json(value: object) -> None:
    """Print one JSON object on stdout, spread over lines where a person looks."""
    import json

    click.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def print_csv(rows: list[dict[str, Any]]) -> None:
    """Print rows as comma-separated values with a header line; a value inside another is named ``outer.inner``."""
    import csv
    import io

    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    if names:
        writer.writeheader()
        writer.writerows(flat)
    click.echo(text.getvalue(), nl=False)


def _flat(row: dict[str, Any], above: str = "") -> dict[str, Any]:
    import json

    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{above}{name}."))
        else:
            found[f"{above}{name}"] = json.dumps(value) if isinstance(value, list) else value
    return found


def place(folder: Path) -> str:
    """Write a folder as it is typed from here: relative where it lies below."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(folder)


def program() -> str:
    """What is typed to call this program again: its name where the shell finds it, else its path from here."""
    called = Path(sys.argv[0])
    if called.name != "tradecore":
        return "tradecore"
    found = shutil.which("tradecore")
    if found is not None and Path(found).resolve() == called.resolve():
        return "tradecore"
    return place(called) if called.exists() else "tradecore"


def facts(value: Any) -> Any:
    """Turn a record into JSON values: named fields by name, exact numbers and codes as text."""
    from collections.abc import Mapping
    from decimal import Decimal
    from enum import Enum

    from tradecore.model.units import canonical

    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # JSON has no NaN
    if isinstance(value, Enum):
        return str(value)
    if hasattr(value, "_asdict"):
        return {name: facts(item) for name, item in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): facts(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [facts(item) for item in value]
    return value
