"""Write the alert rules and the dashboard: ``python -m tradecore_metrics.ops FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from tradecore_metrics.ops.files import FILES


def main(arguments: list[str]) -> int:
    """Write the files into the folder named; exit code 2 where none is named or it cannot be written."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m tradecore_metrics.ops FOLDER", file=sys.stderr)  # noqa: T201 - a command line
        return 2
    folder = Path(arguments[0])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            (folder / name).write_text(text, encoding="utf-8")
            print(folder / name)  # noqa: T201 - a command line
    except OSError as error:
        print(f"expected a folder that can be written, was {folder}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
