"""Performance figures against sums done by hand, and the row readers against each other."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.engine.explain.tokens import from_tokens, to_tokens
from tradecore.errors import DataError
from tradecore.journal.query_day import Equity, FillCost, OrderDay, Sent
from tradecore.journal.query_figures import equity_figures, exposure_share, rung_figures, trade_figures
from tradecore.model.portfolio import FillRate, Lock
from tradecore.model.position import ClosedPosition
from tradecore.model.reasons import Reason
from tradecore.model.signal import Check, Verdict
from tradecore.model.units import PositionId
from tradecore.store.light import Filter, Rows
from tradecore.store.queries import open_reader
from tradecore.store.wide import WideRows

HOUR_MS = 3_600_000


def closed(pnl):
    return ClosedPosition(PositionId("p"), "A/B", "x", 0, 1, Decimal(pnl), 0.0, Reason.TAKE_PROFIT)


def test_trades_are_summed_up():
    found = trade_figures([closed("10"), closed("-4"), closed("2"), closed("0")])
    assert (found.trades, found.wins, found.losses, found.win_rate) == (4, 2, 1, 0.5)
    assert (found.realised_pnl, found.gross_win, found.gross_loss) == (Decimal(8), Decimal(12), Decimal(4))
    assert found.profit_factor == 3.0
    assert (found.expectancy, found.average_win, found.average_loss) == (Decimal(2), Decimal(6), Decimal(-4))
    nothing = trade_figures([])
    assert (nothing.win_rate, nothing.profit_factor, nothing.expectancy) == (None, None, None)


def test_equity_is_summed_up():
    levels = [100.0, 110.0, 99.0, 104.0, 120.0]
    points = [Equity(hour * HOUR_MS, level, "USDT") for hour, level in enumerate(levels)]
    found = equity_figures(points)
    returns = [later / earlier - 1 for earlier, later in pairwise(levels)]
    assert found.max_drawdown_pct == pytest.approx(10.0)
    assert found.sharpe == pytest.approx(statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(8_760))
    below = math.sqrt(statistics.mean(min(one, 0.0) ** 2 for one in returns))
    assert found.sortino == pytest.approx(statistics.mean(returns) / below * math.sqrt(8_760))
    assert (found.period, found.periods_a_year, found.returns) == ("1h", 8_760, 4)
    days = equity_figures([Equity(day * 24 * HOUR_MS, 100.0 + day % 3, "USDT") for day in range(40)])
    assert (days.period, days.periods_a_year, days.returns) == ("1d", 365, 39)
    few = equity_figures(points[:2])
    assert (few.sharpe, few.sortino) == (None, None)
    assert equity_figures([]).max_drawdown_pct is None


def test_a_rung_costs_what_its_fills_lie_off_the_middle():
    sent = [Sent(0, "A/B", "buy", "IOC 10", f"o{n}") for n in range(4)]
    fills = [
        FillCost(0, "A/B", "buy", "IOC 10", "o0", 100.1, 300.0, 100.0, {"1": 100.1, "10": 101.101}),
        FillCost(0, "A/B", "buy", "IOC 10", "o0", 100.3, 100.0, 100.0, {"1": 100.3}),
        FillCost(0, "A/B", "sell", "IOC 5", "s0", 99.0, 50.0, 100.0, {}),
        FillCost(0, "A/B", "sell", "IOC 5", "s1", 99.0, 50.0, None, {}),
    ]
    buy, sell = rung_figures(OrderDay(tuple(sent), tuple(fills)))
    assert (buy.sent, buy.filled, buy.fill_rate) == (4, 1, 0.25)
    assert buy.cost_bps == pytest.approx((300 * 10 + 100 * 30) / 400)
    assert buy.markout_bps["1"] == pytest.approx(0)
    assert buy.markout_bps["10"] == pytest.approx(100)
    assert sell.cost_bps == pytest.approx(100)
    assert sell.fill_rate is None


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted).map(tuple), max_size=8))
def test_exposure_counts_every_moment_once(spans):
    covered = {moment for opened, ended in spans for moment in range(opened, ended) if 10 <= moment < 90}
    assert exposure_share(spans, 10, 90) == pytest.approx(len(covered) / 80)
    assert exposure_share(spans, 5, 5) is None


def test_both_readers_say_the_same(session):
    path = session.played.folder / "tradecore.db"
    middle = session.asked[len(session.asked) // 2].at_ns // 1_000_000
    wanted = [
        Filter(limit=1_000), Filter(limit=3), Filter(symbol=session.asked[0].inputs.signal.symbol),
        Filter(since_ms=middle), Filter(until_ms=middle, limit=5), Filter(status=("FILLED",)), Filter(reason="FILLED"),
    ]  # fmt: skip
    with Rows(path) as light, WideRows(open_reader(path)) as wide:
        assert light.current
        for one in wanted:
            for name in ("trades", "orders", "intents", "closed"):
                if name == "trades" and (one.status or one.reason):
                    continue
                given_one = one._replace(status=()) if name == "closed" else one
                assert list(getattr(light, name)(given_one)) == list(getattr(wide, name)(given_one)), (name, one)
        assert light.newest_ms() == wide.newest_ms() > 0
        assert (light.trading(), light.runs(), light.open_positions()) == (
            wide.trading(), wide.runs(), wide.open_positions(),
        )  # fmt: skip


def test_tokens_come_back_and_older_records_are_read():
    verdict = Verdict((Check("a", Decimal("1.50"), Decimal("-0"), "x", True),), {"ttl_ms_max": Decimal(9)}, {"k": "~"})
    assert from_tokens(to_tokens(verdict, Verdict), Verdict) == verdict
    assert from_tokens(("2", "7", "3"), FillRate) == FillRate(7, 3)
    assert from_tokens(("1", "0"), Verdict) == Verdict()
    for wrong in (("2", "7"), ("3", "7", "3", "1"), ("2", "7", "x"), ("2", "7", "3", "4")):
        with pytest.raises(DataError):
            from_tokens(wrong, FillRate)
    lock = Lock("*", "", "=", 5)
    assert from_tokens(to_tokens(lock, Lock), Lock) == lock
    with pytest.raises(TypeError):
        to_tokens(1j, complex)
