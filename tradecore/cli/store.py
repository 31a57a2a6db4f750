"""``tradecore store``: copies of what a run keeps, and stores of an older tradecore made fit for this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradecore.cli.options import json_option, state_option

if TYPE_CHECKING:
    from tradecore.cli.kept import Kept


@click.group(invoke_without_command=True)
@click.pass_context
def store(context: click.Context) -> None:
    """Copy the store of a run, or bring it to this tradecore's schema."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@store.command()
@state_option
@click.option("--to", required=True, type=click.Path(path_type=Path), metavar="FILE", help="File to write; a new one.")
@json_option
def backup(state: Path, to: Path, as_json: bool) -> None:
    """Copy the store as of one moment into a file, also while the run goes on; the copy is checked.

    For a store on PostgreSQL use its own pg_dump.
    """
    from tradecore.cli.kept import find
    from tradecore.cli.paper import print_json
    from tradecore.store.backup import back_up

    made = back_up(_file(find(state), "copy it with pg_dump"), to)
    if as_json:
        print_json({"file": str(made.path), "schema": made.schema, "bytes": made.bytes})
    else:
        click.echo(f"copied to {made.path}: schema {made.schema or 'none'}, {made.bytes:,} bytes, whole")


@store.command()
@state_option
@json_option
def migrate(state: Path, as_json: bool) -> None:
    """Bring the store to this tradecore's schema; a copy of it as it was stays beside it.

    No run may use the state folder meanwhile. For a store on PostgreSQL: python -m tradecore.store.migrate URL.
    """
    from tradecore.cli.kept import find
    from tradecore.cli.paper import print_json
    from tradecore.store import backup as copies
    from tradecore.store.instance import InstanceLock

    kept = find(state)
    file = _file(kept, "copy it with pg_dump, then run: python -m tradecore.store.migrate URL")
    if not kept.folder.is_dir():
        copies.migrate(file)  # says what is missing, and makes no folder
    with InstanceLock(kept.folder, "tradecore store migrate"):
        moved = copies.migrate(file)
    if as_json:
        print_json(
            {"before": moved.before, "after": moved.after, "copy": None if moved.copy is None else str(moved.copy)}
        )
    elif moved.copy is None:
        click.echo(f"{file}: schema {moved.after} already")
    else:
        click.echo(f"{file}: schema {moved.before} became {moved.after}; as it was: {moved.copy}")


def _file(kept: Kept, way_out: str) -> Path:
    """The store's file.

    Raises:
        UsageError: It is on a server.
    """
    from tradecore.errors import UsageError

    if "://" in str(kept.store):
        raise UsageError(f"expected a store in a state folder, was on a server (store.url): {way_out}")
    return Path(kept.store)
