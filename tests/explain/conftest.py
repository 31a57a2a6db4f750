"""Sessions whose stored questions are asked again: real plugins over a made-up market, on virtual time."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tradecore.app.questions import Stored, stored_questions
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
