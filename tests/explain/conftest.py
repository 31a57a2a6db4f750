"""Sessions whose stored questions are asked again: real plugins over a made-up market, on virtual time."""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from tradecore.app.questions import Stored, stored_questions
from tradecore.cli.main import main
from tradecore.market.generate import GeneratedSource
from tradecore.testing.harness import Played, Scene, play

GUESTS = ("signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc", "exits")
SETS = (
    "signals_drop.drop_pct=1.2", "signals_drop.lookback=10m", "size_fixed.amount=250", "risk_limits.max_positions=3",
    "twin.depth_quote=400",
)  # fmt: skip
HOUR_MS = 3_600_000


def lively_scene(*sets: str, symbols: int = 6, seed: int = 1, hours: float = 2) -> Scene:
    """A market that gives signals every few minutes, and a limit on positions that refuses some of them."""
    source = GeneratedSource(seed, symbols, 5_000, "lively")
    return Scene(source, GUESTS, (*SETS, *sets), seed=seed, for_ms=int(hours * HOUR_MS))


@pytest.fixture(scope="session")
def lively():
    return lively_scene


class Session(NamedTuple):
    scene: Scene
    played: Played
    asked: tuple[Stored, ...]


@pytest.fixture(scope="session")
def session(tmp_path_factory) -> Session:
    scene = lively_scene()
    played = play(scene, tmp_path_factory.mktemp("explain") / "state")
    return Session(scene, played, tuple(stored_questions(played.journal)))


@pytest.fixture
def cli(monkeypatch):
    """Call the command line in process, without the caller's TRADECORE_ variables."""
    for name in [name for name in os.environ if name.startswith(("TRADECORE_", "COLUMNS", "LINES"))]:
        monkeypatch.delenv(name)

    def call(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="tradecore")

    return call


class HandClock:
    """Market time that a test sets."""

    virtual = True
    begin_ms = 20_000 * 86_400_000

    def __init__(self):
        self.ms = self.begin_ms

    def now_ms(self):
        return self.ms

    def now_ns(self):
        return self.ms * 1_000_000


@pytest.fixture
def hand_clock():
    return HandClock()
