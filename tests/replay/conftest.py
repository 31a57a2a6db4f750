"""Sessions that left a state folder, and the command that replays them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tradecore.cli.main import main
from tradecore.market.generate import GeneratedSource
from tradecore.testing.harness import Scene, play

GUESTS = ("signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc", "exits")
SETS = (
    "signals_drop.drop_pct=1.2", "signals_drop.lookback=10m", "size_fixed.amount=250", "risk_limits.max_positions=3",
    "twin.depth_quote=400",
)  # fmt: skip
HOUR_MS = 3_600_000
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "candles"


def lively_scene(*sets: str, symbols: int = 6, seed: int = 1, hours: float = 1.0) -> Scene:
    """A market that gives signals every few minutes."""
    source = GeneratedSource(seed, symbols, 5_000, "lively")
    return Scene(source, GUESTS, (*SETS, *sets), seed=seed, for_ms=int(hours * HOUR_MS))


@pytest.fixture(scope="session")
def lively():
    return lively_scene


@pytest.fixture(scope="session")
def candles() -> Path:
    if not DATA.is_dir():
        pytest.skip("no recorded candles beside the repository")
    return DATA


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory) -> Path:
    """Two runs on one state; read it, do not write to it.

    The first leaves positions open on the symbols that move most: under its own limits the second could only refuse
    those, row after row, and a refusal that comes again is asked once in five minutes. So it may hold more.
    """
    folder = tmp_path_factory.mktemp("two") / "state"
    play(lively_scene(hours=1.2), folder)
    more = ("risk_limits.max_positions=5", "risk_limits.max_positions_per_symbol=2", "signals_drop.drop_pct=0.5")
    played = play(lively_scene("twin.faults=lost_ack:0.1", *more, hours=0.8), folder)
    assert played.violations() == ()
    return folder


@pytest.fixture
def state(two_runs, tmp_path) -> Path:
    """A copy of the two runs, to do harm to."""
    return Path(shutil.copytree(two_runs, tmp_path / "state"))


@pytest.fixture
def cli(monkeypatch):
    """Call the command line in process, without the caller's TRADECORE_ variables."""
    for name in [name for name in os.environ if name.startswith(("TRADECORE_", "COLUMNS", "LINES"))]:
        monkeypatch.delenv(name)

    def call(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="tradecore")

    return call


@pytest.fixture
def replayed(cli):
    """Replay a state folder; returns the exit code and what was printed as JSON."""

    def call(folder, *arguments):
        result = cli("replay", *arguments, "--state", folder, "--json")
        assert result.exit_code in (0, 1), result.output
        return result.exit_code, json.loads(result.stdout)

    return call
