"""``tradecore query guards`` and ``query events``: lines of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tradecore.cli.options import F, json_option, state_option
from tradecore.cli.when import when, when_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tradecore.journal.day_index import LeftOut
    from tradecore.journal.read import Line


def _filters(function: F) -> F:
    for option in (
        json_option,
        click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header line."),
        click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000_000), help="Rows at most."),
        click.option("--run", "run", metavar="N|ID", help="Only lines of one run, by its number or its id."),
        when_options,
        click.option("--symbol", metavar="BASE/QUOTE", help="Lines about one symbol."),
        state_option,
    ):
        function = option(function)
    return function


@click.command()
@_filters
@click.option("--status", type=click.Choice(["denied", "allowed"]), help="Only intents that were denied, or allowed.")
@click.option("--reason", metavar="LIMIT", help="Only checks of one limit, such as max_positions.")
def guards(*, status: str | None, reason: str | None, as_json: bool, as_csv: bool, limit: int, **where: Any) -> None:
    """Print what the risk guests said: every check with its value and threshold."""
    from tradecore.cli.left_out import say_left_out
    from tradecore.cli.paper import facts, print_csv, print_json

    rows = []
    left_out: list[LeftOut] = []
    for line in _lines(("guards_eval",), left_out, **where):
        if status is not None and line.data["allowed"] is not (status == "allowed"):
            continue
        for check in line.data["checks"]:
            if reason is None or check["limit"] == reason:
                rows.append(_check_facts(line, check))
        if len(rows) >= limit:
            break
    del rows[limit:]
    if as_json:
        print_json({"state": str(where["state"]), "guards": rows, "left_out": facts(left_out)})
        return
    if as_csv:
        print_csv(rows)
    else:
        _show_guards(rows, limit)
    say_left_out(left_out)


def _check_facts(line: Line, check: dict[str, Any]) -> dict[str, Any]:
    return {
        "at_ns": line.at_ns, "symbol": line.data["symbol"], "attempt": line.data["attempt"],
        "allowed": line.data["allowed"], **check, "decision": line.ids.decision, "intent": line.ids.intent,
    }  # fmt: skip


def _show_guards(rows: Sequence[dict[str, Any]], limit: int) -> None:
    from decimal import Decimal

    from tradecore.cli.paper import console, table
    from tradecore.cli.write import moment, short

    if not rows:
        click.echo("no checks that fit")
        return
    shown = table(
        "time (UTC)", "symbol", "guest", "limit", "value", "threshold", "", right=("value", "threshold"),
        wide=("limit",),
    )  # fmt: skip
    for row in rows:
        shown.add_row(
            moment(row["at_ns"] // 1_000_000), row["symbol"], row["plugin"], row["limit"],
            short(Decimal(row["value"])), f"{short(Decimal(row['threshold']))} {row['unit']}".rstrip(),
            "HIT" if row["hit"] else "ok",
        )  # fmt: skip
    console().print(shown)
    if len(rows) == limit:
        click.echo(f"the newest {limit}; --limit N shows more", err=True)


@click.command()
@_filters
@click.option("--kind", "kinds", multiple=True, metavar="NAME", help="Lines of one kind (docs/events.md); often.")
@click.option("--id", "name", metavar="ID", help="Lines that hold an id: of an intent, a signal, an order, a position.")
def events(*, kinds: tuple[str, ...], name: str | None, as_json: bool, as_csv: bool, limit: int, **where: Any) -> None:
    """Print lines of the journal, newest first."""
    from itertools import islice

    from tradecore.cli.left_out import say_left_out
    from tradecore.cli.paper import facts, print_csv, print_json

    _check_kinds(kinds)
    left_out: list[LeftOut] = []
    lines = list(islice(_lines(kinds, left_out, texts=(name,) if name else (), **where), limit))
    if as_json:
        rows = [_line_facts(line) for line in lines]
        print_json({"state": str(where["state"]), "events": rows, "left_out": facts(left_out)})
        return
    if as_csv:
        print_csv([_line_facts(line) for line in lines])
    else:
        _show_events(lines, limit)
    say_left_out(left_out)


def _check_kinds(kinds: Sequence[str]) -> None:
    from tradecore.errors import SettingsError
    from tradecore.model.events import REGISTRY

    for kind in kinds:
        if kind not in REGISTRY:
            from tradecore.settings.wording import nearest

            raise SettingsError(f"--kind: expected a kind of docs/events.md, was {kind!r}{nearest(kind, REGISTRY)}")


def _line_facts(line: Line) -> dict[str, Any]:
    return {
        "seq": line.seq, "at_ns": line.at_ns, "kind": line.kind, "taxonomy": str(line.taxonomy),
        "session": line.session, **line.ids._asdict(), "store_seq": line.store_seq, "data": dict(line.data),
    }  # fmt: skip


def _show_events(lines: Sequence[Line], limit: int) -> None:
    from tradecore.cli.paper import console, table
    from tradecore.cli.write import moment

    if not lines:
        click.echo("no events that fit")
        return
    shown = table("time (UTC)", "kind", "says", wide=("says",))
    for line in lines:
        words = [f"{key}={_word(value)}" for key, value in line.data.items() if value not in ("", None)]
        text = " ".join(words)
        shown.add_row(moment(line.at_ns // 1_000_000), line.kind, text if len(text) < 300 else text[:297] + "...")
    console().print(shown)
    if len(lines) == limit:
        click.echo(f"the newest {limit}; --limit N shows more", err=True)


def _word(value: Any) -> str:
    """A value as a person reads it: what holds others as compact JSON."""
    import json

    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def _lines(
    kinds: Sequence[str], left_out: list[LeftOut], *, state: Path, symbol: str | None, since: str | None,
    until: str | None, run: str | None, texts: Sequence[str] = (),
) -> Iterator[Line]:  # fmt: skip
    """Lines that fit, the newest first.

    Raises:
        StateFolderError: There is no such state, or its journal is empty.
        SettingsError: A moment or a run is none.
    """
    from tradecore.cli.kept import find, open_rows, run_named
    from tradecore.errors import StateFolderError
    from tradecore.journal.query_lines import newest_lines, newest_ns
    from tradecore.model.places import JOURNAL_FOLDER

    kept = find(state)
    journal = kept.folder / JOURNAL_FOLDER
    newest = newest_ns(journal)
    if newest is None:
        raise StateFolderError(f"expected a journal with lines in {journal}, found none")
    span = when(newest // 1_000_000, since, until)
    wanted = list(texts)
    session = None
    if run is not None:
        with open_rows(kept) as rows:
            session = run_named(rows, run).run_id
        wanted.append(f'"session":"{session}"')
    if symbol is not None:
        wanted.append(f'"{symbol.upper()}"')
    yield from newest_lines(
        journal, kinds, wanted,
        since_ns=span.since_ms * 1_000_000 if span.since_ms is not None else None,
        until_ns=span.until_ms * 1_000_000 if span.until_ms is not None else None, left_out=left_out,
    )  # fmt: skip
