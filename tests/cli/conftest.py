"""Helpers: the command line in process and as a program, a small folder of candles, a run that was kept."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from tradecore.cli.main import main

START_MS = 1_735_689_600_000
ROWS = 240
CODE = "import sys; from tradecore.cli.main import main; sys.argv[0] = 'tradecore'; main()"


def written_candles(folder, symbol, seed=0, spoil=None):
    """Write minute candles that fall by 4 % in ten minutes of every hour and come back: there is something to buy."""
    draw = np.random.default_rng(seed)
    phase = np.arange(ROWS) % 60
    close = 100 * np.interp(phase, (0, 20, 30, 60), (1, 1, 0.96, 1))
    close = np.round(close * np.exp(draw.normal(0, 0.0005, ROWS)), 2)
    opened = np.concatenate((close[:1], close[:-1]))
    columns = {
        "ts": START_MS + 60_000 * np.arange(ROWS, dtype=np.int64),
        "open": opened,
        "high": np.round(np.maximum(opened, close) + 0.02, 2),
        "low": np.round(np.minimum(opened, close) - 0.02, 2),
        "close": close,
        "volume": np.round(draw.uniform(5_000, 9_000, ROWS), 3),
    }
    texts = {name: [repr(value) for value in values.tolist()] for name, values in columns.items()}
    if spoil is not None:
        spoil(texts)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(texts), *(",".join(row) for row in zip(*texts.values(), strict=True))]
    (folder / f"{symbol}-1m.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def write_candles():
    return written_candles


@pytest.fixture(scope="session")
def candle_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candles")
    written_candles(folder, "AAA_USDT", seed=1)
    return written_candles(folder, "BBB_USDT", seed=2)


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Call the command line in process, in an empty folder, without the caller's TRADECORE_ variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("TRADECORE_", "COLUMNS", "LINES"))]:
        monkeypatch.delenv(name)

    def call(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="tradecore")

    return call


@pytest.fixture
def refused(cli):
    """Call and expect exit 2 with one line on stderr; returns the line."""

    def call(*arguments):
        result = cli(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("tradecore: ")
        assert "Traceback" not in line
        return line

    return call


@pytest.fixture
def program(tmp_path):
    """Start the command line as a program of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TRADECORE_", "COLUMNS"))}

    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, "-c", CODE, *map(str, arguments)],
            cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    started = []

    def tracked(*arguments):
        process = start(*arguments)
        started.append(process)
        return process

    yield tracked
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def kept(tmp_path_factory, candle_folder):
    """A run over the small folder that was kept: its folder and its summary. Read it; do not write to it."""
    folder = tmp_path_factory.mktemp("kept") / "state"
    arguments = [
        "run", "--data", candle_folder, "--speed", "max", "--state", folder, "--json",
        "--set", "exits.time_to_live=3h", "--set", "exits.take_profit_pct=30",
        "--set", "exits.trailing_activation_pct=20", "--set", "exits.stop_loss_pct=20",
    ]  # fmt: skip
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return folder, json.loads(result.stdout)
