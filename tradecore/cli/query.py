"""``tradecore query``: rows of the store, also beside a running process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from tradecore.cli.options import F, json_option, state_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from enum import StrEnum
    from pathlib import Path

    from tradecore.model.fill import Fill
    from tradecore.model.intent import IntentRow
    from tradecore.model.order import Attempt
    from tradecore.store.queries import Reader

    E = TypeVar("E", bound=StrEnum)
    R = TypeVar("R")


def _filters(function: F) -> F:
    for option in (
        json_option,
        click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000_000), help="Rows at most."),
        click.option(
            "--since",
            metavar="WHEN",
            help="Oldest moment: ISO 8601 UTC, or a length such as 2h before the newest market time of the state.",
        ),
        click.option("--symbol", metavar="BASE/QUOTE", help="Rows of one symbol."),
        state_option,
    ):
        function = option(function)
    return function


@click.group(invoke_without_command=True)
@click.pass_context
def query(context: click.Context) -> None:
    """Print trades, orders or intents, newest first. Times are market time, UTC."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@query.command()
@_filters
def trades(state: Path, symbol: str | None, since: str | None, limit: int, as_json: bool) -> None:
    """Print fills as the venue traded them."""

    def ask(reader: Reader, since_ms: int | None) -> Sequence[Fill]:
        return reader.trades(limit, _symbol(symbol), since_ms)

    _answer("trades", ask, _show_trades, state=state, since=since, limit=limit, as_json=as_json)


@query.command()
@_filters
@click.option("--status", metavar="X", help="Rows in one state, such as UNKNOWN, or with one end, such as EXPIRED.")
def orders(
    *, state: Path, symbol: str | None, since: str | None, limit: int, as_json: bool, status: str | None
) -> None:
    """Print order requests, each with what became of it."""
    from tradecore.model.order import AttemptState, Outcome

    outcome = Outcome[status.upper()] if status is not None and status.upper() in Outcome.__members__ else None
    wanted = _one_of(AttemptState, status) if outcome is None else None

    def ask(reader: Reader, since_ms: int | None) -> Sequence[Attempt]:
        return reader.orders(limit, _symbol(symbol), since_ms, wanted, outcome=outcome)

    _answer("orders", ask, _show_orders, state=state, since=since, limit=limit, as_json=as_json)


@query.command()
@_filters
@click.option("--status", metavar="X", help="Rows in one state, such as WORKING or FILLED.")
def intents(
    *, state: Path, symbol: str | None, since: str | None, limit: int, as_json: bool, status: str | None
) -> None:
    """Print intents: each wish to buy or sell, and why it ended."""
    from tradecore.model.intent import IntentState

    wanted = _one_of(IntentState, status)

    def ask(reader: Reader, since_ms: int | None) -> Sequence[IntentRow]:
        return reader.intents(limit, _symbol(symbol), since_ms, wanted)

    _answer("intents", ask, _show_intents, state=state, since=since, limit=limit, as_json=as_json)


def _answer(
    name: str,
    ask: Callable[[Reader, int | None], Sequence[R]],
    show: Callable[[Sequence[R]], None],
    *,
    state: Path,
    since: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Open the store, ask, print."""
    from tradecore.cli.kept import find
    from tradecore.cli.paper import facts, place, print_json
    from tradecore.store.queries import open_reader

    kept = find(state)
    with open_reader(kept.store) as reader:
        rows = ask(reader, _since_ms(reader, since))
    if as_json:
        print_json({"state": str(kept.folder), name: facts(list(rows))})
        return
    if not rows:
        click.echo(f"no {name} that fit in {place(kept.folder)}")
        return
    show(rows)
    if len(rows) == limit:
        click.echo(f"the newest {limit}; --limit N shows more", err=True)


def _symbol(text: str | None) -> str | None:
    return text.upper() if text is not None else None


def _one_of(states: type[E], text: str | None) -> E | None:
    """Read a state's name; ``None`` stays ``None``."""
    from tradecore.errors import SettingsError
    from tradecore.settings.wording import nearest

    if text is None:
        return None
    if text.upper() not in states.__members__:
        near = nearest(text, {name.lower() for name in states.__members__}).upper().replace("NEAREST IS", "nearest is")
        raise SettingsError(f"--status: expected one of {', '.join(states.__members__)}, was {text!r}{near}")
    return states[text.upper()]


def _since_ms(reader: Reader, text: str | None) -> int | None:
    """Read ``--since``: a length before the newest market time, else a moment; ``None`` stays ``None``."""
    from tradecore.app.prepare import moment_ms
    from tradecore.cli.kept import newest_ms
    from tradecore.errors import SettingsError
    from tradecore.settings import duration_s

    if text is None:
        return None
    try:
        return newest_ms(reader) - int(duration_s(text) * 1_000)
    except SettingsError:
        pass  # no length of time: a moment then, or the error that names it
    try:
        return moment_ms(text, "--since")
    except SettingsError as error:
        raise SettingsError(
            f"--since: expected a length such as 2h or a moment such as 2021-05-19T12:00, was {text!r}"
        ) from error


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
