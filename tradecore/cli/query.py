"""``tradecore query``: what a run did, from its store and its journal, also beside a running process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from tradecore.cli.options import F, json_option, state_option
from tradecore.cli.query_events import events, guards
from tradecore.cli.query_performance import performance
from tradecore.cli.query_sql import sql
from tradecore.cli.when import when_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tradecore.cli.kept import AnyRows
    from tradecore.model.fill import Fill
    from tradecore.model.intent import IntentRow
    from tradecore.model.order import Attempt
    from tradecore.store.light import Filter

    R = TypeVar("R")

_EXTERNAL = "EXTERNAL"
"""Status of an order that is not ours."""


def _filters(function: F) -> F:
    for option in (
        json_option,
        click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header line."),
        click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000_000), help="Rows at most."),
        click.option("--run", "run", metavar="N|ID", help="Only what one run did, by its number or its id."),
        when_options,
        click.option("--symbol", metavar="BASE/QUOTE", help="Rows of one symbol."),
        state_option,
    ):
        function = option(function)
    return function


@click.group(invoke_without_command=True)
@click.pass_context
def query(context: click.Context) -> None:
    """Print what a run did, newest first. Times are market time, UTC."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@query.command()
@_filters
def trades(**options: Any) -> None:
    """Print fills as the venue traded them."""
    _answer("trades", lambda rows, wanted: rows.trades(wanted), _show_trades, **options)


@query.command()
@_filters
@click.option("--status", metavar="X", help="Rows in one state, such as UNKNOWN, or with one end, such as EXPIRED.")
@click.option("--reason", metavar="CODE", help="Rows with one code, the venue's or ours.")
def orders(*, status: str | None, **options: Any) -> None:
    """Print order requests, each with what became of it.

    Orders of the account that are not ours stand below, as EXTERNAL; --status EXTERNAL prints them alone.
    """
    from tradecore.model.order import AttemptState, Outcome

    # a settled order is told by its end, an unsettled one by its state
    states = {**AttemptState.__members__, **Outcome.__members__, _EXTERNAL: _EXTERNAL}
    wanted = _one_of(states, status)
    settled = wanted == AttemptState.SETTLED
    statuses = tuple(map(str, Outcome)) if settled else (str(wanted),) if wanted is not None else ()
    _answer(
        "orders", lambda rows, asked: rows.orders(asked), _show_orders, others=_external, status=statuses, **options
    )


def _external(rows: AnyRows, asked: Filter) -> list[dict[str, Any]]:
    """Orders that are not ours and fit, newest first; their ends and codes are not known to us."""
    if asked.reason or asked.status not in ((), (_EXTERNAL,)):
        return []
    found = [
        {"order": order, "symbol": what.partition(" ")[0], "what": what, "seen_ms": at_ms}
        for order, what, at_ms in sorted(rows.external_orders(), key=lambda one: (-one[2], one[0]))
        if (asked.since_ms is None or at_ms >= asked.since_ms) and (asked.until_ms is None or at_ms < asked.until_ms)
    ]
    return [one for one in found if asked.symbol in ("", one["symbol"])][: asked.limit]


@query.command()
@_filters
@click.option("--status", metavar="X", help="Rows in one state, such as WORKING or FILLED.")
@click.option("--reason", metavar="CODE", help="Rows that ended for one reason, such as RISK_REFUSED.")
def intents(*, status: str | None, **options: Any) -> None:
    """Print intents: each wish to buy or sell, and why it ended."""
    from tradecore.model.intent import IntentState

    wanted = _one_of(IntentState.__members__, status)
    statuses = (str(wanted),) if wanted is not None else ()
    _answer("intents", lambda rows, asked: rows.intents(asked), _show_intents, status=statuses, **options)


query.add_command(guards)
query.add_command(events)
query.add_command(performance)
query.add_command(sql)


def _answer(
    name: str,
    ask: Callable[[AnyRows, Filter], Sequence[R]],
    show: Callable[[Sequence[R]], None],
    others: Callable[[AnyRows, Filter], list[dict[str, Any]]] | None = None,
    *,
    state: Path,
    symbol: str | None,
    since: str | None,
    until: str | None,
    run: str | None,
    limit: int,
    as_json: bool,
    as_csv: bool,
    status: Sequence[str] = (),
    reason: str | None = None,
) -> None:
    """Open the store, ask, print."""
    from tradecore.cli.kept import find, open_rows
    from tradecore.cli.paper import facts, place, print_csv, print_json
    from tradecore.store.light import Filter

    _refuse_both(as_json, as_csv)
    kept = find(state)
    with open_rows(kept) as rows:
        since_ms, until_ms = _bounds(rows, since, until, run)
        wanted = Filter(_symbol(symbol), status, (reason or "").upper(), since_ms, until_ms, limit)
        found = ask(rows, wanted)
        foreign = others(rows, wanted) if others is not None else []
    if as_json:
        beside = {"external_orders": foreign} if others is not None else {}
        print_json({"state": str(kept.folder), name: facts(list(found)), **beside})
        return
    if as_csv:
        # of orders that are not ours hardly a column is known: by themselves they have columns of their own
        print_csv(facts(list(found)) if found or wanted.status != (_EXTERNAL,) else foreign)
        return
    if not found and not foreign:
        click.echo(f"no {name} that fit in {place(kept.folder)}")
        return
    if found:
        show(found)
    _show_external(foreign)
    if len(found) == limit:
        click.echo(f"the newest {limit}; --limit N shows more", err=True)


def _refuse_both(as_json: bool, as_csv: bool) -> None:
    from tradecore.errors import SettingsError

    if as_json and as_csv:
        raise SettingsError("--csv: expected one form of output, was --json too")


def _bounds(rows: AnyRows, since: str | None, until: str | None, run: str | None) -> tuple[int | None, int | None]:
    """Both ends of the time asked about, a run's own where one is named."""
    from tradecore.cli.kept import run_named
    from tradecore.cli.when import when

    span = when(rows.newest_ms(), since, until)
    if run is None:
        return span
    found = run_named(rows, run)
    ended = found.ended_ms + 1 if found.ended_ms is not None else None
    starts = [at for at in (span.since_ms, found.started_ms) if at is not None]
    ends = [at for at in (span.until_ms, ended) if at is not None]
    return max(starts), min(ends, default=None)


def _symbol(text: str | None) -> str:
    return text.upper() if text is not None else ""


def _one_of(states: Mapping[str, str], text: str | None) -> str | None:
    """Read a state's name; ``None`` stays ``None``."""
    from tradecore.errors import SettingsError
    from tradecore.settings.wording import nearest

    if text is None:
        return None
    if text.upper() not in states:
        near = nearest(text, {name.lower() for name in states}).upper().replace("NEAREST IS", "nearest is")
        raise SettingsError(f"--status: expected one of {', '.join(states)}, was {text!r}{near}")
    return states[text.upper()]


def _show_trades(rows: Sequence[Fill]) -> None:
    from tradecore.cli.paper import console, table
    from tradecore.cli.write import moment, short
    from tradecore.model.units import canonical

    shown = table(
        "time (UTC)", "symbol", "side", "quantity", "price", "value", "fee", "", "trade",
        right=("quantity", "price", "value", "fee"),
    )  # fmt: skip
    for fill in rows:
        trade = fill.trade
        shown.add_row(
            moment(trade.traded_ms), trade.symbol, str(trade.side), canonical(trade.quantity), canonical(trade.price),
            short(trade.quote_quantity), short(trade.fee), trade.fee_currency, trade.venue_trade_id,
        )  # fmt: skip
    console().print(shown)


def _show_orders(rows: Sequence[Attempt]) -> None:
    from tradecore.cli.paper import console, table
    from tradecore.cli.write import moment
    from tradecore.model.units import canonical

    shown = table(
        "time (UTC)", "symbol", "side", "kind", "price", "quantity", "filled", "became",
        right=("price", "quantity", "filled"), wide=("became",),
    )  # fmt: skip
    for row in rows:
        kind = row.request.label or str(row.request.time_in_force)
        became = str(row.outcome or row.state) + (f" {row.code}" if row.code and row.code != row.outcome else "")
        shown.add_row(
            moment(row.prepared_ms), row.symbol, str(row.side), kind, canonical(row.request.price),
            canonical(row.request.quantity), canonical(row.executed_quantity), became,
        )  # fmt: skip
    console().print(shown)


def _show_external(rows: Sequence[dict[str, Any]]) -> None:
    from tradecore.cli.write import moment

    for row in rows:
        click.echo(f"EXTERNAL order {row['order']}: {row['what']}, seen {moment(row['seen_ms'])}; left alone")


def _show_intents(rows: Sequence[IntentRow]) -> None:
    from tradecore.cli.paper import console, table
    from tradecore.cli.write import length, moment
    from tradecore.model.units import canonical

    shown = table(
        "time (UTC)", "symbol", "side", "by", "quantity", "filled", "state", "took", "why",
        right=("quantity", "filled", "took"), wide=("why",),
    )  # fmt: skip
    for row in rows:
        intent = row.intent
        took = length(row.ended_ms - intent.created_ms) if row.ended_ms is not None else "-"
        shown.add_row(
            moment(intent.created_ms), intent.symbol, str(intent.side), intent.signal.plugin,
            canonical(intent.quantity), canonical(row.executed_quantity), str(row.state), took, _why(row),
        )  # fmt: skip
    console().print(shown)


def _why(row: Any) -> str:
    """Why an intent was made, for an exit, and why it ended, where that says more than its state."""
    parts = [row.intent.signal.reason] if row.intent.reduces else []
    if row.reason is not None and str(row.reason) != str(row.state):
        parts.append(str(row.reason))
    return " ".join([*parts, row.detail]).strip()
