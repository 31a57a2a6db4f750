"""Sessions on virtual time; every one of them is held against the invariants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from tradecore.engine.engine import Engine
from tradecore.hooks.guest import Guest
from tradecore.market.source import RowSource
from tradecore.model.units import TimeInForce
from tradecore.ports.store import Store
from tradecore.testing.factories import ScriptedSource, allower, closing_at, router, sizer, wisher
from tradecore.testing.harness import Played, Scene, play

IOC = TimeInForce.IOC


class Run(Protocol):
    def __call__(
        self,
        scene: Scene,
        folder: str = "state",
        *,
        begin: Callable[[Engine], None] | None = None,
        around: Callable[[Store], Store] = ...,
        sound: bool = True,
        errors: bool | None = False,
    ) -> Played: ...


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(
        scene: Scene,
        folder: str = "state",
        *,
        begin: Callable[[Engine], None] | None = None,
        around: Callable[[Store], Store] = lambda store: store,
        sound: bool = True,
        errors: bool | None = False,
    ) -> Played:
        """Play; `errors`: exceptions which nobody expected belong to the story, or may (``None``)."""
        played = play(scene, tmp_path / folder, begin=begin, around=around)
        if sound:
            assert [str(violation) for violation in played.violations()] == []
            assert errors is None or bool(played.summary["errors"]) is errors
        summary = played.summary
        assert summary["candidates"] == sum(summary["outcomes"].values())
        return played

    return run


@pytest.fixture
def scene() -> Callable[..., Scene]:
    """One symbol, one wish at the close of row 1, plain guests; prices are the four of each candle."""

    def make(
        *closes: float,
        guests: Sequence[str | Guest] = (),
        sets: Sequence[str] = (),
        buys: Mapping[int, Sequence[str]] | None = None,
        source: RowSource | None = None,
        wish: Guest | None = None,
        size: Guest | None = None,
        risk: Guest | None = None,
        route: Guest | str | None = None,
        seed: int = 1,
        volume: float = 1_000.0,
        **fields: Any,
    ) -> Scene:
        cast: list[str | Guest] = [
            wish or wisher({1: ("AAA/USDT",)} if buys is None else buys),
            size or sizer("1"),
            risk or allower(),
            route or router((IOC, "20", 2_000), (IOC, "40", 2_000)),
            *guests,
        ]
        market = source or ScriptedSource({"AAA/USDT": closing_at(*closes, volume=volume)})
        return Scene(market, cast, ("market.between_closes=false", *sets), seed=seed, **fields)

    return make
