"""``tradecore ledger``: balances with their lots, the proofs, and exports. Reads beside a running process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tradecore.cli.options import json_option, state_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tradecore.cli.ledger_rows import CoinLine, Read

EXIT_DISPROVED = 1
_LOTS_SHOWN = 5
_OFTEN_EMPTY = ("reserved", "locked", "dust")
"""Columns that stay away where they hold nothing."""
_MAY_GO = ("lots", "reserved", "locked", "price", "cost", "dust")
"""Columns that may go, in this order."""


@click.group(invoke_without_command=True)
@click.pass_context
def ledger(context: click.Context) -> None:
    """See, prove and export what is owned, coin by coin. Times are market time, UTC."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@ledger.command()
@state_option
@click.option("--lots", is_flag=True, help="List every lot.")
@json_option
def balances(state: Path, lots: bool, as_json: bool) -> None:
    """Print balances per coin and account, with lots, cost, value and gain not yet realised.

    Values are at the prices of the newest comparison with the venue, whose age is shown.
    """
    from tradecore.cli.ledger_rows import coin_lines, read_ledger
    from tradecore.cli.paper import facts, place, print_json

    read = read_ledger(state)
    lines = coin_lines(read.rows)
    if as_json:
        print_json(
            {
                "state": str(read.folder), "currency": read.rows.currency, "prices_ms": read.prices_ms,
                "coins": facts(list(lines)), "accounts": _accounts(read),
            }
        )  # fmt: skip
        return
    if not lines:
        click.echo(f"no balances in {place(read.folder)}")
        return
    _show_coins(lines, read)
    _show_lots(lines, every=lots)
    _show_accounts(read)


@ledger.command()
@state_option
@json_option
def check(state: Path, as_json: bool) -> int:
    """Prove the ledger: exit code 0 if every proof holds, 1 if one does not."""
    from tradecore.cli.ledger_rows import read_ledger
    from tradecore.cli.paper import facts, print_json
    from tradecore.cli.write import moment
    from tradecore.engine.proofs import prove_all

    read = read_ledger(state)
    proofs = prove_all(read.rows)
    ok = all(proof.ok for proof in proofs)
    if as_json:
        external = [{"order": name, "what": what, "seen_ms": at_ms} for name, what, at_ms in read.external]
        print_json(
            {
                "state": str(read.folder), "ok": ok, "proofs": facts(list(proofs)), "external_orders": external,
                "venue_read_ms": read.prices_ms,
            }
        )  # fmt: skip
        return 0 if ok else EXIT_DISPROVED
    for proof in proofs:
        click.echo(f"{'holds' if proof.ok else 'FAILS'}  {proof.name:<12}  {proof.text}")
        for finding in proof.findings:
            click.echo(f"       {'':<12}  {finding}")
    if read.prices_ms is not None:
        click.echo(f"venue balances of {moment(read.prices_ms)} UTC")
    for name, what, at_ms in read.external:
        click.echo(f"EXTERNAL order {name}: {what}, seen {moment(at_ms)}; left alone")
    return 0 if ok else EXIT_DISPROVED


@ledger.command()
@state_option
@click.option(
    "--format", "form", type=click.Choice(["csv", "beancount"]), default="csv", show_default=True, help="What to write."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write there, not on stdout."
)
def export(state: Path, form: str, out: Path | None) -> None:
    """Write all transactions: one leg per line as CSV, or a beancount file with lots, fees and external entries."""
    from tradecore.cli.ledger_csv import csv_text
    from tradecore.cli.ledger_rows import read_ledger
    from tradecore.errors import SettingsError

    read = read_ledger(state)
    if form == "csv":
        text = csv_text(read.rows.postings)
    else:
        from tradecore.cli.ledger_beancount import beancount_text

        text = beancount_text(read.rows, read.account)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--out: expected a file that can be written, was {out}: {error.strerror}") from error
    click.echo(f"{form} of {len({leg.posting_id for leg in read.rows.postings})} transactions in {out}", err=True)


def _accounts(read: Read) -> Mapping[str, Mapping[str, str]]:
    from tradecore.model.units import canonical

    found: dict[str, dict[str, str]] = {}
    for (account, coin), amount in sorted(read.rows.balances.items()):
        found.setdefault(account, {})[coin] = canonical(amount)
    return found


def _show_coins(lines: Sequence[CoinLine], read: Read) -> None:
    from tradecore.cli.paper import console, table
    from tradecore.cli.write import moment, money, short, signed
    from tradecore.model.units import canonical, exact_sum

    def amount(value: Any) -> str:
        return "-" if value is None else short(value)

    rows = [
        {
            "coin": line.coin, "balance": canonical(line.balance), "reserved": amount(line.reserved),
            "locked": amount(line.locked), "lots": str(len(line.lots)), "dust": amount(line.dust),
            "cost": amount(line.cost), "price": amount(line.price),
            "value": "-" if line.value is None else money(line.value),
            "unrealised": "-" if line.unrealised is None else signed(line.unrealised),
        }
        for line in lines
    ]  # fmt: skip
    screen = console()
    columns, left_out = _columns(rows, screen.width)
    shown = table(*columns, right=tuple(columns[1:]))
    for row in rows:
        shown.add_row(*(row[name] for name in columns))
    screen.print(shown)
    if left_out:
        click.echo(f"no room for {', '.join(left_out)}: a wider screen or --json shows them", err=True)
    total = exact_sum(line.value for line in lines if line.value is not None)
    when = f"at prices of {moment(read.prices_ms)} UTC" if read.prices_ms is not None else "no prices are known"
    click.echo(f"worth {money(total)} {read.rows.currency}, {when}")


def _columns(rows: Sequence[Mapping[str, str]], width: int) -> tuple[list[str], list[str]]:
    """Choose the columns that fit: those without a figure go first, then what `--lots` and `--json` tell.

    Returns:
        The columns, and those with figures that had to go.
    """
    empty = {name for name in _OFTEN_EMPTY if all(row[name] in {"0", "-"} for row in rows)}
    columns = [name for name in rows[0] if name not in empty]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) + 2 for name in columns}
    left_out: list[str] = []
    for name in _MAY_GO:
        if name in columns and sum(widths[one] for one in columns) > width:
            columns.remove(name)
            left_out.append(name)
    return columns, left_out


def _show_lots(lines: Sequence[CoinLine], *, every: bool) -> None:
    from tradecore.cli.paper import console, table
    from tradecore.cli.write import moment, short
    from tradecore.model.units import canonical

    shown = table("coin", "lot of", "quantity", "cost", "", "belongs to", right=("quantity", "cost"))
    left = 0
    for line in lines:
        for lot in line.lots if every else line.lots[:_LOTS_SHOWN]:
            owner = "dust" if lot.dust else lot.owner or "the account"
            cost = "not known" if lot.cost is None else short(lot.cost)
            shown.add_row(lot.coin, moment(lot.at_ms), canonical(lot.quantity), cost, lot.cost_currency, owner)
        left += 0 if every else max(0, len(line.lots) - _LOTS_SHOWN)
    if shown.row_count:
        click.echo()
        console().print(shown)
    if left:
        click.echo(f"and {left} more; --lots shows all", err=True)


def _show_accounts(read: Read) -> None:
    from tradecore.cli.paper import console, table

    shown = table("account", "coin", "sum", right=("sum",))
    for account, coins in _accounts(read).items():
        for coin, amount in coins.items():
            if account != "assets" and amount != "0":
                shown.add_row(account, coin, amount)
    if shown.row_count:
        click.echo()
        console().print(shown)
