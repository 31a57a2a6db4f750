"""The same seed gives the same run to the byte, however many rows are asked for at once."""

from __future__ import annotations

import decimal
import random

from tradecore.testing.factories import NO_CANDLE, ScriptedSource, wandering
from tradecore.testing.harness import REAL_GUESTS, Scene

SYMBOLS = tuple(f"{letter * 3}/USDT" for letter in "ABCD")


def lively(seed=3, *sets):
    chance = random.Random(11)
    candles = {symbol: wandering(chance, 50, volume=400, reach_bps=60) for symbol in SYMBOLS}
    candles["CCC/USDT"][20:30] = [NO_CANDLE] * 10
    settings = (
        "signals_drop.drop_pct=0.6", "signals_drop.lookback=6m", "size_fixed.amount=400", "exits.take_profit_pct=0.8",
        "exits.stop_loss_pct=0.8", "exits.trailing_activation_pct=0.5", "exits.trailing_distance_pct=0.3",
        "exits.time_to_live=20m", "twin.faults=lost_ack:0.05,read_lost:0.03,partial_fill:0.1",
    )  # fmt: skip
    return Scene(ScriptedSource(candles), ["signals_drop", *REAL_GUESTS], (*settings, *sets), seed=seed)


def told(played):
    return {key: value for key, value in played.summary.items() if key not in {"wall_s", "state"}}


def files(played):
    return {path.relative_to(played.journal): path.read_bytes() for path in played.journal.rglob("*") if path.is_file()}


def trades(played):
    return [(f.trade.symbol, f.trade.side, f.trade.price, f.trade.quantity, f.booked_ms) for f in played.records.fills]


def test_same_seed_same_summary_and_journal(run):
    one, two = run(lively(), "one"), run(lively(), "two")
    assert told(one) == told(two)
    assert files(one) == files(two)
    assert one.summary["orders_sent"] > 20
    assert one.summary["gaps"] == 10


def test_other_seed_other_run(run):
    one, two = run(lively(3), "one"), run(lively(4), "two")
    assert trades(one) != trades(two)


def test_rows_asked_at_once_change_nothing(run):
    """One row at a time, a few, and all: the same decisions and the same trades."""
    played = {rows: run(lively(3, f"market.block_rows={rows}"), str(rows)) for rows in (1, 7, 256)}
    for rows in (7, 256):
        assert trades(played[rows]) == trades(played[1])
        assert told(played[rows]) == told(played[1])
    assert len(trades(played[1])) > 20


def test_ambient_decimal_context_changes_nothing(run):
    """A library that changes the interpreter's decimal context must not change a figure."""
    plain = run(lively(), "plain")
    with decimal.localcontext() as context:
        context.prec, context.rounding = 6, decimal.ROUND_UP
        odd = run(lively(), "odd", sound=False)
    assert trades(odd) == trades(plain)
    assert odd.summary["equity_end"] == plain.summary["equity_end"]
