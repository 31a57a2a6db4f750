"""Sessions on virtual time with somebody else at the account; each is held against the invariants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from tradecore.engine.engine import Engine
from tradecore.hooks.guest import Guest
from tradecore.model.events import ConservationProof
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, router, row_close_ms, sizer, wisher
from tradecore.testing.harness import Played, Scene, at, play

A, B = "AAA/USDT", "BBB/USDT"


class Run(Protocol):
    def __call__(
        self, scene: Scene, begin: Callable[[Engine], None] | None = None, folder: str = "state", *, sound: bool = True
    ) -> Played: ...


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(
        scene: Scene, begin: Callable[[Engine], None] | None = None, folder: str = "state", *, sound: bool = True
    ) -> Played:
        played = play(scene, tmp_path / folder, begin=begin)
        if sound:
            assert [str(violation) for violation in played.violations()] == []
        return played

    return run


@pytest.fixture
def scene() -> Callable[..., Scene]:
    """Two quiet symbols; one unit of the first is bought after row 1; housekeeping stands still."""

    def make(
        rows: int = 12,
        *,
        buys: Mapping[int, Sequence[str]] | None = None,
        sets: Sequence[str] = (),
        guests: Sequence[str | Guest] = (),
        **fields: Any,
    ) -> Scene:
        closes = (100,) * rows
        source = fields.pop("source", None) or ScriptedSource({s: closing_at(*closes) for s in (A, B)})
        cast = [
            fields.pop("wish", None) or wisher({1: (A,)} if buys is None else buys),
            fields.pop("size", None) or sizer("1"),
            allower(),
            fields.pop("route", None) or router((TimeInForce.IOC, "20", 2_000), (TimeInForce.IOC, "40", 2_000)),
            *guests,
        ]
        # no look but the ones that a test asks for
        still = ("market.between_closes=false", "intervals.reconcile_s=999999", "intervals.conservation_s=999999")
        return Scene(source, cast, (*still, *sets), **fields)

    return make


def cycle(engine: Engine, row: int, after_ms: int = 30_000) -> None:
    """Have one conservation cycle done so long after a row's close."""
    conservation = engine.reconciler.conservation
    at(
        engine,
        row_close_ms(row) + after_ms,
        lambda: engine.desk.spawn(conservation.prove(), f"proof after row {row}"),
    )


def proofs(played: Played, when: str = "running") -> list[ConservationProof]:
    """What the cycles proved, oldest first."""
    events = [stamped.event for stamped in played.notes(ConservationProof)]
    return [event for event in events if event.when == when]


def drift(proof: ConservationProof) -> dict[str, tuple[str, str, str]]:
    """Coin to word, amount and what was done."""
    return {found.coin: (found.kind, str(found.amount), found.done) for found in proof.drift}
