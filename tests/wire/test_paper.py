"""Paper trading against a wire server: prices over HTTP, fills of what the books held, and the figures of R55."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal

import pytest

from tests.campaigns.checks import Market, after_end, state_of
from tests.campaigns.wire_stage import BUSY, WIRES, Scene, Stage, hurried
from tradecore.app import Options, prepare
from tradecore.app.floor_real import RealMaker
from tradecore.app.session import Session
from tradecore.engine.summary import FEES
from tradecore.model.places import STORE_FILE
from tradecore.model.units import Side
from tradecore.testing.records import records_of

PAPER = """extends = "paper"

[venue]
exchange = "{wire}"
base_url = "{url}"

[twin]
manners = "{wire}"
"""
#: What signals, sizes and times are; the limits of the venue and of risk are those of the profile.
LIVELY = tuple(text for text in BUSY if not text.startswith(("venue.receive", "venue.engine", "venue.read_lag")))


class Ear:
    """Keeps what the venue told of its books: price to the largest quantity, by symbol and side."""

    def __init__(self, stage: Stage) -> None:
        self.levels: dict[tuple[str, Side], dict[Decimal, Decimal]] = defaultdict(dict)
        self.orders = 0
        self._names = dict(stage.server.desk.raw_symbols)
        self._serve = stage.server._door.serve
        stage.server._door.serve = self._answer

    async def _answer(self, request):
        reply = await self._serve(request)
        self.orders += request.method == "POST"
        if reply.status == 200 and request.path.endswith(("/depth", "/bookTicker", "/24hr")):
            told = json.loads(reply.body)
            for row in told if isinstance(told, list) else [told]:
                self._take(row, dict(part.split("=") for part in request.query.split("&") if "=" in part))
        return reply

    def _take(self, row, asked):
        symbol = self._names[row.get("symbol") or asked["symbol"]]
        for side, names, levels in (
            (Side.BUY, ("bidPrice", "bidQty"), row.get("bids")), (Side.SELL, ("askPrice", "askQty"), row.get("asks")),
        ):  # fmt: skip
            rows = levels if levels is not None else [[row[name] for name in names]]
            for price, quantity, *_ in rows:
                kept = self.levels[symbol, side]
                kept[Decimal(price)] = max(kept.get(Decimal(price), Decimal(0)), Decimal(quantity))


@pytest.fixture(scope="module", params=WIRES)
def played(request, tmp_path_factory):
    """One paper session: its summary, its state, and what the venue's books were."""
    folder = tmp_path_factory.mktemp(request.param)
    stage = Stage(Scene(request.param, symbols=8), folder)

    async def story():
        ear = Ear(stage)
        profile = folder / "paper.toml"
        profile.write_text(PAPER.format(wire=request.param, url=stage.server.base_url))
        sets = (*LIVELY, *hurried(60.0), "run.speed=60", 'run.for="5m"', "venue.streams=false")
        prepared = prepare(Options(str(profile), {}, sets, state=folder / "state"))
        (folder / "state").mkdir()
        maker = RealMaker(prepared)
        assert maker.secrets == ()
        outcome = await Session(prepared, folder / "state", True, 0.0, maker=maker).run(stage.loop, None)
        return outcome, ear

    outcome, ear = stage.run(story)
    return outcome, ear, state_of(folder / "state"), stage


def test_r55_the_figures_of_a_paper_run(played):
    outcome, ear, _, _ = played
    summary = outcome.summary
    assert outcome.exit_code == 0
    assert summary["orders_sent"] >= 10
    assert summary["fill_rate"] > 0.3
    failed = sum(
        n for code, n in summary["orders_failed"].items() if code not in ("EXPIRED_UNFILLED", "CANCELED_BY_US")
    )
    assert failed < 0.1 * summary["orders_sent"]
    assert all(summary["orders_failed"])
    assert summary["pending_peak"] < 10
    assert (summary["pending_intents"], summary["reserved"], summary["errors"]) == (0, "0", {})
    assert summary["balance_timeouts"] < 0.05 * summary["balance_refreshes"]
    assert (summary["ledger_balanced"], summary["unexplained_drift"]) == (True, "0")
    assert ear.orders == 0, "paper places nothing"


def test_paper_is_held_against_its_own_truth(played):
    outcome, _, state, stage = played
    # the paper venue's instruments are those that the exchange lists, with the fees that its list names
    records = records_of(state.folder / STORE_FILE)
    assert any(account == FEES for account, _ in records.balances)
    assert len(state.truth.orders) == outcome.summary["orders_sent"]
    assert after_end(state, Market(stage.instruments, "paper")) == []


def test_a_fill_is_never_more_than_a_book_held(played):
    _, ear, state, _ = played
    taken = [trade for trade in state.truth.trades if not trade.is_maker]
    assert len(taken) > 5
    for trade in taken:
        other = Side.SELL if trade.side is Side.BUY else Side.BUY
        levels = ear.levels[trade.symbol, other]
        assert trade.price in levels, trade
        assert trade.quantity <= levels[trade.price], trade
