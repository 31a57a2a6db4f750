"""The object at the end of a run: what happened, in figures that a test can hold together."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.engine import Engine
from tradecore.engine.ledger import FEES
from tradecore.engine.lifecycle import Left
from tradecore.model.units import ROUNDED, ZERO, canonical, exact_sum, minus, plus, times

_SHOWN = Decimal("1e-8")
"""Profit has average prices in it and so no exact end; the ledger beneath it is exact."""


class Before(NamedTuple):
    """Figures at the start, so that the summary speaks of this run alone."""

    equity: Decimal
    fees: Decimal


class Known(NamedTuple):
    """What the engine does not know of its own run."""

    run_id: str
    seed: int
    profile: str
    plugins: tuple[str, ...]
    wall_s: float
    state: str
    """Folder that keeps the run; empty where it was temporary."""
    allowed: tuple[str, ...] = ()
    """Codes of what cannot do what it says and runs all the same, by `run.allow`."""


def before(engine: Engine) -> Before:
    """Take the figures at the start."""
    return Before(engine.pictures.equity(), fees_paid(engine))


def fees_paid(engine: Engine) -> Decimal:
    """All fees in the ledger, in the account's currency; a coin without a price counts nothing."""
    desk = engine.desk
    parts = []
    for (account, coin), amount in desk.books.balances.items():
        rate = desk.rate(coin, desk.config.currency) if account == FEES else None
        if rate is not None:
            parts.append(times(amount, rate))
    return exact_sum(parts)


def dust_value(engine: Engine) -> Decimal:
    """What closed positions left behind, at the newest prices, in the account's currency; part of the equity."""
    desk = engine.desk
    parts = []
    for coin, quantity in desk.books.dust.items():
        rate = desk.rate(coin, desk.config.currency)
        if rate is not None:
            parts.append(times(quantity, rate))
    return exact_sum(parts)


def unbalanced(engine: Engine) -> Mapping[str, Decimal]:
    """Currencies whose postings do not sum to zero: empty in a sound ledger (INV-9)."""
    sums: dict[str, Decimal] = {}
    for (_, currency), amount in engine.desk.books.balances.items():
        sums[currency] = plus(sums.get(currency, ZERO), amount)
    return {currency: total for currency, total in sums.items() if total}


def summary(engine: Engine, left: Left, start: Before, known: Known) -> dict[str, object]:
    """Write a run's summary as plain JSON values; money as text."""
    desk, tally = engine.desk, engine.tally
    books = desk.books
    filled = tally.orders_filled + tally.orders_partly_filled
    feed = desk.feed
    drift = engine.reconciler.drift_value()
    return {
        "run_id": known.run_id,
        "seed": known.seed,
        "profile": known.profile,
        "plugins": list(known.plugins),
        "allowed": list(known.allowed),
        "state": known.state,
        "ended": left.reason,
        "symbols": len(feed.symbols),
        "timeframe_ms": feed.timeframe_ms,
        "rows": tally.rows,
        "gaps": feed.gaps(),
        "candidates": tally.candidates,
        "outcomes": dict(sorted(tally.outcomes.items())),
        "signals": tally.signals,
        "intents": dict(sorted(tally.intents.items())),
        "orders_sent": tally.orders_sent,
        "orders_filled": tally.orders_filled,
        "orders_partly_filled": tally.orders_partly_filled,
        "orders_failed": dict(sorted(tally.orders_failed.items())),
        "fill_rate": round(filled / tally.orders_sent, 4) if tally.orders_sent else None,
        "pending_intents": len(books.intents),
        "pending_peak": tally.pending_peak,
        "pending": list(left.pending),
        "reserved": canonical(exact_sum(r.held for r in books.reservations.values())),
        "positions_open": len(books.positions),
        "positions_closed": tally.positions_closed,
        "dust": {coin: canonical(quantity) for coin, quantity in sorted(books.dust.items()) if quantity},
        "dust_value": canonical(dust_value(engine).quantize(_SHOWN, context=ROUNDED)),
        "realised_pnl": canonical(tally.realised_pnl.quantize(_SHOWN, context=ROUNDED)),
        "fees": canonical(minus(fees_paid(engine), start.fees)),
        "currency": desk.config.currency,
        "equity_start": canonical(start.equity),
        "equity_end": canonical(engine.pictures.equity()),
        "ledger_balanced": not unbalanced(engine),
        "unexplained_drift": canonical(drift),
        "trading_state": str(books.trading.state),
        "quarantined": sorted(f"{plugin}.{hook}" for plugin, hook in desk.calls.quarantined),
        "slow_cycles": tally.slow_cycles,
        "events_dropped": desk.journal.dropped,
        "errors": dict(sorted(tally.errors.items())),
        "alerts": dict(sorted(tally.alerts.items())),
        "balance_refreshes": tally.balance_refreshes,
        "balance_timeouts": tally.balance_timeouts,
        "failed_phases": list(left.failed_phases),
        "wall_s": round(known.wall_s, 3),
    }
