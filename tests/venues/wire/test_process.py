"""The venue as a process of its own: one line, a clean end, and nothing lost to kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.venues.wire.conftest import trusting
from tradecore.cli.main import main
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop
from tradecore.errors import StateFolderError
from tradecore.market.archive import open_archive
from tradecore.market.frame import COLUMNS, MarketFrame
from tradecore.venues.twin.wire.opening import WirePlan, open_market, open_venue

BTC = "BTC/USDT"
WALL_MS = 1_760_000_000_000
RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data" / "candles"


class Process:
    """``tradecore venue serve`` until it is stopped."""

    def __init__(self, wire: str, folder: Path, *more: str) -> None:
        self.folder = folder
        command = ["venue", "serve", "--wire", wire, "--json", "--state", str(folder), *more]
        code = "from tradecore.cli.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *command], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.facts = json.loads(line)

    def client(self):
        secret = Path(self.facts["secret_file"]).read_text().strip()
        now_ms = lambda: time.time_ns() // 1_000_000  # noqa: E731 - the wall's clock, as a stranger's bot has it
        return trusting(self.facts["wire"], self.facts["base_url"], now_ms, self.facts["key"], secret)

    def control(self, path: str):
        token = Path(self.facts["token_file"]).read_text().strip()
        request = urllib.request.Request(self.facts["control_url"] + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.mark.parametrize("wire", ["binance", "mexc"])
def test_r22_a_killed_server_goes_on_where_it_was(wire, tmp_path):
    async def trade(process, *, first):
        exchange = process.client()
        try:
            await exchange.load_markets()
            price = (await exchange.fetch_order_book(BTC, 5))["bids"][0][0]
            low = exchange.price_to_precision(BTC, float(price) * 0.8)
            if first:
                await exchange.create_order(BTC, "limit", "buy", "0.01", low, {"clientOrderId": "a" * 32})
            return await exchange.fetch_open_orders(BTC)
        finally:
            await exchange.close()

    started = Process(wire, tmp_path / "venue", "--seed", "3")
    try:
        for name in ("api.secret", "api.key", "control.token"):
            assert stat.S_IMODE((tmp_path / "venue" / name).stat().st_mode) == 0o600
        (order,) = asyncio.run(trade(started, first=True))
        code, out, err = started.end(signal.SIGKILL)
        assert (code, out, err) == (-9, "", "")
        started = Process(wire, tmp_path / "venue", "--seed", "3")
        (again,) = asyncio.run(trade(started, first=False))
        assert (again["id"], again["clientOrderId"]) == (order["id"], "a" * 32)
        (true,) = started.control("/truth")["orders"]
        assert true["wire_id"] == "a" * 32
        code, out, err = started.end(signal.SIGTERM)
        assert (code, out, err) == (0, "", "")
    finally:
        started.process.kill()
        started.process.communicate()


def test_r53_what_cannot_be_served_is_one_line_and_exit_2(tmp_path, capsys):
    for words in (
        ("--wire", "kraken"), (), ("--wire", "binance", "--key", "x"), ("--wire", "binance", "--money", "USDT"),
        ("--wire", "binance", "--fault", "no_such"), ("--wire", "mexc", "--timeframe", "soon"),
        ("--wire", "mexc", "--data", str(tmp_path / "nothing")),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as left:
            main(["venue", "serve", *words])
        out, err = capsys.readouterr()
        assert (left.value.code, out, err.count("\n")) == (2, "", 1), (words, err)


def test_a_state_folder_belongs_to_one_venue(tmp_path):
    def at(wall_ms, **facts):
        return open_market(WirePlan("binance", **facts), tmp_path, wall_ms)

    opened = at(WALL_MS, speed=3.0)
    assert (opened.epoch_ms, opened.source.first_close_ms) == (WALL_MS, opened.start.row_ms + 60_000)
    assert WALL_MS - opened.start.row_ms >= 2 * 86_400_000
    clock = LoopClock(MarketLoop(), opened.epoch_ms)
    twin = open_venue(opened, clock, tmp_path)
    twin.venue.engine.state.close()
    again = at(WALL_MS + 10_000, speed=3.0)
    assert (again.start, again.epoch_ms) == (opened.start, WALL_MS + 30_000)
    assert at(WALL_MS + 10_000, epoch_ms=5 + WALL_MS).epoch_ms == 5 + WALL_MS
    with pytest.raises(StateFolderError, match="seed 8"):
        at(WALL_MS, seed=8)
    clock._loop.close()


def test_recorded_candles_come_as_if_they_were_of_now(tmp_path):
    folder = RECORDED / "binance-delisting"
    if not folder.is_dir():
        pytest.skip("no recorded candles")
    timeframe = next(folder.rglob("*.parquet")).stem.rpartition("-")[2]
    source = open_market(WirePlan("mexc", data=folder, timeframe=timeframe), tmp_path, WALL_MS).source
    plain = open_archive(folder, timeframe)
    moved, there = source.read(0, 5), plain.read(0, 5)
    assert (moved.timestamps - there.timestamps == source.first_close_ms - plain.first_close_ms).all()
    np.testing.assert_array_equal(moved.close, there.close)
    assert (source.rows, source.symbols, source.timeframe_ms) == (plain.rows, plain.symbols, plain.timeframe_ms)
    assert source.first_close_ms < WALL_MS < source.first_close_ms + source.rows * source.timeframe_ms


def test_minutes_without_trades_are_candles_too(make_wire):
    wire = make_wire("binance")
    market = wire.twin.market
    whole = market.frame

    def quiet(start, stop):
        frame = whole(start, stop)
        columns = {name: getattr(frame, name) for name in COLUMNS}
        return MarketFrame(frame.timeframe_ms, frame.timestamps, frame.symbols, {**columns, "volume": frame.volume * 0})

    market.frame = quiet

    async def story():
        rows = (await wire.send("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=3")).json
        assert [row[5] for row in rows[:2]] == ["0.00000000"] * 2
        day = await wire.send("GET", "/api/v3/ticker/24hr", "symbol=BTCUSDT")
        assert day.status == 200

    wire.run(story)
