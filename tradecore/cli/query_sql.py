"""``tradecore query sql``: a question of one's own over the journal, where DuckDB is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tradecore.cli.options import json_option, state_option

if TYPE_CHECKING:
    from pathlib import Path

    from tradecore.journal.sql import Answer


@click.command()
@click.argument("question", metavar="SELECT")
@state_option
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header line.")
@click.option("--limit", default=1_000, show_default=True, type=click.IntRange(1, 10_000_000), help="Rows at most.")
@json_option
def sql(*, question: str, state: Path, as_csv: bool, limit: int, as_json: bool) -> None:
    """Ask the journal one SELECT over the views events, intents, orders, fills and guards (docs/why.md).

    Needs the package duckdb: pip install 'tradecore[duckdb]'. Nothing is written, and nothing but the journal is read.
    """
    from tradecore.cli.kept import find
    from tradecore.cli.left_out import say_left_out
    from tradecore.cli.paper import facts, print_csv, print_json
    from tradecore.errors import SettingsError
    from tradecore.model.places import JOURNAL_FOLDER

    if as_json and as_csv:
        raise SettingsError("--csv: expected one form of output, was --json too")
    try:
        from tradecore.journal.sql import JournalSql
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        raise SettingsError(
            "query sql: expected the package duckdb, found none; pip install 'tradecore[duckdb]' brings it"
        ) from None
    kept = find(state)
    with JournalSql(kept.folder / JOURNAL_FOLDER) as journal:
        found = journal.ask(question, limit)
        left_out = list(journal.left_out)
    rows = [dict(zip(found.columns, map(_plain, row), strict=True)) for row in found.rows]
    if as_json:
        print_json({"state": str(kept.folder), "columns": list(found.columns), "rows": facts(rows), "cut": found.cut,
                    "left_out": facts(left_out)})  # fmt: skip
        return
    if as_csv:
        if rows:
            print_csv(facts(rows))
        else:
            click.echo(",".join(found.columns))
    else:
        _show(found)
    if found.cut:
        click.echo(f"the first {limit}; --limit N shows more", err=True)
    say_left_out(left_out)


def _plain(value: Any) -> Any:
    """A value as JSON and tables have it: moments as ISO 8601 in UTC."""
    from datetime import date, datetime

    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) or _is_decimal(value) else str(value)


def _is_decimal(value: Any) -> bool:
    from decimal import Decimal

    return isinstance(value, Decimal)


def _show(found: Answer) -> None:
    from tradecore.cli.paper import console, facts, table

    if not found.rows:
        click.echo("no rows")
        return
    rows = [[facts(_plain(value)) for value in row] for row in found.rows]
    # a column of texts may fold, figures and short words may not
    wide = [name for at, name in enumerate(found.columns) if max(len(str(row[at])) for row in rows) > 40]
    figures = [
        name
        for at, name in enumerate(found.columns)
        if all(isinstance(row[at], (int, float)) or _is_decimal(row[at]) or row[at] is None for row in found.rows)
    ]
    shown = table(*found.columns, right=tuple(figures), wide=tuple(wide))
    for row in rows:
        shown.add_row(*["-" if value is None else str(value) for value in row])
    console().print(shown)
