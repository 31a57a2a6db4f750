"""All plugins over a market that nobody would draw: gaps, no volume, twelve decimals, late and lost symbols."""

from __future__ import annotations

import numpy as np
import pytest

from bench.together import clean, guests
from tradecore.app import Options, execute, prepare
from tradecore.hooks.loader import available
from tradecore.journal.read import decode, read_journal
from tradecore.model.events import PluginFault
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE, TWIN_FILE
from tradecore.testing.invariants import check_run
from tradecore.testing.records import records_of, truth_of

START_MS = 1_735_689_600_000
ROWS = 300
OFFER = np.tile(np.interp(np.arange(60), (0, 15, 25, 40, 60), (1, 1, 0.965, 1.02, 1)), ROWS // 60)
"""Falls by 3.5 % in ten minutes of each hour and comes back: there is something to buy and to sell."""


def hostile_market(seed):
    """Symbol to (rows that are there, closes, volumes)."""
    chance = np.random.default_rng(seed)
    noise = np.exp(chance.normal(0, 0.0008, (8, ROWS)))
    every = np.arange(ROWS)
    busy = chance.uniform(2e4, 9e4, ROWS)
    crash = OFFER * np.where(every < 150, 1, 0.1) * np.where(every < 200, 1, 6)
    return {
        "CALM": (every, 100 * OFFER * noise[0], busy),
        "TINY": (every, 1.2345e-8 * OFFER * noise[1], busy * 1e9),
        "HUGE": (every, 98_765_432.1 * OFFER * noise[2], busy / 1e6),
        "GAPS": (every[chance.random(ROWS) > 0.4], 5 * OFFER * noise[3], busy * 20),
        "IDLE": (every, np.full(ROWS, 3.0), np.zeros(ROWS)),
        "LATE": (every[-25:], 20 * OFFER * noise[4], busy * 5),
        "GONE": (every[:160], 8 * OFFER * noise[5], busy * 12),
        "JUMP": (every, 40 * crash * noise[6], busy * 3),
        "ONCE": (every[150:151], np.full(ROWS, 7.0), busy),
    }


def written(folder, seed):
    folder.mkdir()
    for name, (rows, closes, volumes) in hostile_market(seed).items():
        lines = ["ts,open,high,low,close,volume"]
        for row in rows.tolist():
            close, before = closes[row], closes[max(0, row - 1)]
            prices = (before, max(close, before) * 1.0004, min(close, before) * 0.9996, close)
            told = (f"{price:.12f}" for price in prices)
            lines.append(",".join([str(START_MS + 60_000 * row), *told, f"{volumes[row]:.3f}"]))
        (folder / f"{name}_USDT-1m.csv").write_text("\n".join(lines) + "\n")
    return folder


def options(folder, state, *more, plugins=None):
    taking_part = plugins or guests()
    sets = (
        "market.source=files", f'market.folder="{folder}"', "market.timeframe=1m", "run.speed=max",
        "store.synchronous=OFF", 'run.for=""', "metrics.port=0", "signals_drop.lookback=20m",
        "filter_rsi.warm_rows=20", *more,
    )  # fmt: skip
    return Options("full", {}, sets, ",".join(taking_part), state=state)


def sound(prepared, outcome, state):
    notes = [decode(line) for line in read_journal(state / JOURNAL_FOLDER)]
    assert clean(outcome.exit_code, outcome.summary), outcome.summary
    assert [note.event for note in notes if isinstance(note.event, PluginFault)] == []
    records, truth = records_of(state / STORE_FILE), truth_of(state / TWIN_FILE)
    found = check_run(records, truth, prepared.instruments, prepared.settings.account.name, notes)
    assert [str(violation) for violation in found] == []
    return records


@pytest.fixture(scope="module", autouse=True)
def _all_installed():
    if not set(guests()) <= available().keys():
        pytest.skip("the plugins of the profile are not installed here")


def ran(options_of):
    prepared = prepare(options_of)
    return prepared, execute(prepared)


@pytest.mark.parametrize("seed", [1])
def test_all_plugins_over_a_hostile_market_end_clean(tmp_path, seed):
    folder = written(tmp_path / "candles", seed)
    prepared, outcome = ran(options(folder, tmp_path / "state"))
    records = sound(prepared, outcome, tmp_path / "state")
    assert outcome.summary["positions_closed"] > 3
    traded = {position.symbol for position in records.positions}
    assert "CALM/USDT" in traded
    assert not traded & {"IDLE/USDT", "ONCE/USDT"}, "nothing was traded there, so nothing may be bought"


def test_all_plugins_restarted_again_and_again_in_the_middle_end_clean(tmp_path):
    """Warm-ups begin anew at each start, locks, tunes and dust go on."""
    folder, state = written(tmp_path / "candles", 3), tmp_path / "state"
    outcome = None
    for _ in range(4):
        prepared, outcome = ran(options(folder, state, "run.for=67m"))
        sound(prepared, outcome, state)
    prepared, outcome = ran(options(folder, state))
    records = sound(prepared, outcome, state)
    assert len(records.positions) > 3
    assert all(intent.reason != "" for intent in records.intents)


@pytest.mark.parametrize("rows", [1, 2])
def test_all_plugins_over_one_row_of_history_end_clean(tmp_path, rows):
    folder = written(tmp_path / "candles", 1)
    stop = f"2025-01-01T00:0{rows}"
    prepared, outcome = ran(options(folder, tmp_path / "state", f"market.stop={stop}"))
    sound(prepared, outcome, tmp_path / "state")
    assert outcome.summary["rows"] <= rows
    assert outcome.summary["orders_sent"] == 0


def test_two_instances_of_protections_with_contradictory_pauses_the_longer_holds(tmp_path):
    folder = written(tmp_path / "candles", 1)
    plugins = [*guests(), "protections_hard"]
    more = ("protections.cooldown=5m", "protections_hard.cooldown=3h", "protections_hard.use=protections")
    prepared, outcome = ran(options(folder, tmp_path / "state", *more, plugins=plugins))
    records = sound(prepared, outcome, tmp_path / "state")
    by_symbol = {}
    for position in sorted(records.positions, key=lambda one: one.opened_ms):
        before = by_symbol.get(position.symbol)
        if before is not None and position.entries:
            assert position.opened_ms >= before.closed_ms + 3 * 3_600_000, position
        by_symbol[position.symbol] = position
    assert len(by_symbol) > 1
