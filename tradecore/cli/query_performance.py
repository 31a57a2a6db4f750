"""``tradecore query performance``: what a run earned, at which risk, and what its orders cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from tradecore.cli.options import json_option, state_option
from tradecore.cli.when import when, when_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from tradecore.journal.day_index import LeftOut
    from tradecore.journal.query_figures import EquityFigures, RungFigures, TradeFigures

_ALL = 1_000_000_000


class _Figures(NamedTuple):
    first_ms: int
    last_ms: int
    currency: str
    trades: TradeFigures
    equity: EquityFigures
    exposure_time: float | None
    """Share of the time in which a position was open."""
    fees: Mapping[str, Decimal]
    """By coin."""
    rungs: Sequence[RungFigures]
    left_out: Sequence[LeftOut]
    """Lines of the journal that could not be counted."""


@click.command()
@state_option
@click.option("--symbol", metavar="BASE/QUOTE", help="One symbol; the equity stays that of the account.")
@when_options
@click.option("--run", "run", metavar="N|ID", help="Only what one run did, by its number or its id.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the rungs as comma-separated values with a header line.")
@json_option
def performance(
    *, state: Path, symbol: str | None, since: str | None, until: str | None, run: str | None, as_json: bool,
    as_csv: bool,
) -> None:  # fmt: skip
    """Print what was earned, at which risk, and what execution cost, rung by rung.

    Sharpe and Sortino are of hourly returns of the equity, annualised over 8,760 hours, from thirty days on of daily
    ones over 365 days; the risk-free rate is 0. Costs are in bps of the money traded.
    """
    from tradecore.cli.left_out import say_left_out
    from tradecore.cli.paper import facts, print_csv, print_json

    found = _figures(state, symbol.upper() if symbol else "", since, until, run)
    if as_json:
        print_json({"state": str(state), **facts(found)})
        return
    if as_csv:
        print_csv(facts(list(found.rungs)))
    else:
        _show(found)
    say_left_out(found.left_out)


def _figures(state: Path, symbol: str, since: str | None, until: str | None, run: str | None) -> _Figures:
    from tradecore.cli.kept import find, open_rows, run_named
    from tradecore.journal.query_day import equity_of, orders_of
    from tradecore.journal.query_figures import equity_figures, exposure_share, rung_figures, trade_figures
    from tradecore.journal.query_lines import newest_ns
    from tradecore.model.places import JOURNAL_FOLDER
    from tradecore.store.light import Filter

    kept = find(state)
    journal = kept.folder / JOURNAL_FOLDER
    with open_rows(kept) as rows:
        newest_ms = max(rows.newest_ms(), (newest_ns(journal) or 0) // 1_000_000)
        span = when(newest_ms, since, until)
        runs = [run_named(rows, run)] if run is not None else list(rows.runs())
        first_ms = max(span.since_ms or 0, min([one.started_ms for one in runs], default=0))
        ended = runs[0].ended_ms if run is not None and runs[0].ended_ms is not None else newest_ms
        last_ms = min(span.until_ms if span.until_ms is not None else newest_ms + 1, ended + 1)
        wanted = Filter(symbol=symbol, since_ms=first_ms, until_ms=last_ms, limit=_ALL)
        closed = rows.closed(wanted)
        spans = [(one.opened_ms, one.closed_ms) for one in closed]
        spans += [(one.opened_ms, last_ms) for one in rows.open_positions() if symbol in ("", one.symbol)]
        fees: dict[str, Decimal] = {}
        for fill in rows.trades(wanted):
            if fill.trade.fee:
                coin = fill.trade.fee_currency
                fees[coin] = _plus(fees.get(coin), fill.trade.fee)
    left_out: list[LeftOut] = []
    day = orders_of(journal, first_ms, last_ms, left_out, symbol)
    points = equity_of(journal, first_ms, last_ms, left_out)
    return _Figures(
        first_ms, last_ms, points[-1].currency if points else "", trade_figures(closed), equity_figures(points),
        exposure_share(spans, first_ms, last_ms), fees, rung_figures(day), left_out,
    )  # fmt: skip


def _plus(total: Decimal | None, amount: Decimal) -> Decimal:
    from tradecore.model.units import plus

    return amount if total is None else plus(total, amount)


def _show(found: _Figures) -> None:
    from tradecore.cli.paper import console, table
    from tradecore.cli.write import length, moment

    out = console()
    span = f"{moment(found.first_ms)} to {moment(found.last_ms)} UTC ({length(found.last_ms - found.first_ms)})"
    out.print(span, style="bold", soft_wrap=True)
    for name, text in (*_trade_lines(found), *_risk_lines(found)):
        out.print(f"{name:<15}{text}", soft_wrap=True)
    if not found.rungs:
        return
    delays = sorted({delay for rung in found.rungs for delay in rung.markout_bps}, key=int)
    columns = ("rung", "side", "sent", "filled", "fill rate", "cost bps", *(f"+{delay}s" for delay in delays))
    shown = table(*columns, right=columns[2:])
    for rung in found.rungs:
        shown.add_row(
            rung.label, rung.side, f"{rung.sent:,}", f"{rung.filled:,}", _percent(rung.fill_rate),
            _figure(rung.cost_bps), *(_figure(rung.markout_bps.get(delay)) for delay in delays),
        )  # fmt: skip
    out.print()
    out.print(shown)
    out.print(
        "cost: fill price against the middle of the book at the decision, > 0 is money lost; +Ns: what the fills were "
        "worth N s later, > 0 is money won",
    )


def _trade_lines(found: _Figures) -> list[tuple[str, str]]:
    from tradecore.cli.write import money, short, signed

    trades, unit = found.trades, found.currency
    # a hundredth is no measure of other coins: 0.00 BTC would hide what was paid
    shown = {coin: money(amount) if coin == unit else short(amount) for coin, amount in sorted(found.fees.items())}
    fees = ", ".join(f"{amount} {coin}" for coin, amount in shown.items()) or "none"
    return [
        ("trades", f"{trades.trades:,} closed: {trades.wins:,} won, {trades.losses:,} lost, win rate "
                   f"{_percent(trades.win_rate)}"),
        ("result", f"{signed(trades.realised_pnl)} {unit} realised, won {money(trades.gross_win)}, "
                   f"lost {money(trades.gross_loss)}, profit factor {_figure(trades.profit_factor)}"),
        ("expectancy", f"{_money(trades.expectancy)} {unit} a trade; average win {_money(trades.average_win)}, "
                       f"average loss {_money(trades.average_loss)}"),
        ("fees", fees),
    ]  # fmt: skip


def _risk_lines(found: _Figures) -> list[tuple[str, str]]:
    equity = found.equity
    ratios = (
        f"Sharpe {_figure(equity.sharpe)}, Sortino {_figure(equity.sortino)} ({equity.returns} returns of "
        f"{equity.period}, annualised over {equity.periods_a_year:,}, risk-free rate 0)"
    )
    fall = f"{equity.max_drawdown_pct:.2f} %" if equity.max_drawdown_pct is not None else "-"
    return [
        ("equity", f"{_figure(equity.first)} to {_figure(equity.last)} {found.currency}, max drawdown {fall}"),
        ("ratios", ratios),
        ("exposure time", _percent(found.exposure_time)),
    ]


def _money(value: Decimal | None) -> str:
    from tradecore.cli.write import signed

    return signed(value) if value is not None else "-"


def _figure(value: float | None) -> str:
    return f"{value:,.2f}" if value is not None else "-"


def _percent(value: float | None) -> str:
    return f"{100 * value:.1f} %" if value is not None else "-"
