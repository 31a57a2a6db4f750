"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

LATEST = "latest"

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout and nothing else.")
sets_option = click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set section.key or plugin.key; may be given often."
)
profile_option = click.option(
    "--profile", default="demo", show_default=True, metavar="NAME", help="Shipped profile, or path of a .toml file."
)
plugins_option = click.option("--plugins", metavar="A,B", help="Replace the profile's list of plugins.")


def state_option(function: F) -> F:
    """Add ``--state`` to a command that reads or steers a run that was kept."""
    return click.option(
        "--state",
        default=LATEST,
        show_default=True,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="State folder of the run; latest is the newest below state/.",
    )(function)


def say_looking(what: str) -> None:
    """Say to a person who waits what is looked at: an exchange's library alone takes seconds to load.

    Args:
        what: Said on stderr, and only where that is a terminal.
    """
    if sys.stderr.isatty():
        click.echo(f"tradecore: looking at {what} ...", err=True)
