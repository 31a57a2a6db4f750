"""Sessions: the plugin in a whole run on the twin, every commit watched, and the same run without it."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Final

from tradecore.hooks.guest import Guest
from tradecore.model.events import PluginFault
from tradecore.model.units import TimeInForce
from tradecore.testing.contract.cards import PASSED, Result, card, failed, skipped
from tradecore.testing.contract.subject import CANARY, CANARY_VARIABLE, Subject
from tradecore.testing.factories import ScriptedSource, allower, leader, router, sizer, wandering, wisher
from tradecore.testing.harness import Played, Scene, play

_FAMILY = "Sessions on the twin"
_SYMBOLS: Final = 3
_ROWS: Final = 40
_BAD_DAY: Final = "twin.faults=partial_fill:0.4,no_liquidity:0.2,lost_ack:0.2,cut_after_accept:0.1"
_SLOW: Final = "its warm-up names a slower frame, which the scripted market does not have"
_MENDS: Final = "see the hook's section in docs/hooks.md"


def _source(subject: Subject) -> ScriptedSource:
    grid = subject.grid()
    chance = random.Random(7)
    rows = grid.warmup_rows + _ROWS
    candles = {f"C{place}/USDT": wandering(chance, rows, reach_bps=60.0) for place in range(_SYMBOLS)}
    return ScriptedSource(candles, timeframe_ms=grid.timeframe_ms)


def _others(subject: Subject, plugin: Guest | None) -> list[Guest]:
    """Guests that trade with the plugin, or in its place: whatever hook it lacks is somebody's."""
    grid = subject.grid()
    first = grid.warmup_rows + 2
    buys = {first + 4 * step: [f"C{step % _SYMBOLS}/USDT"] for step in range(8)}
    hooks = plugin.hooks if plugin is not None else frozenset()
    made = [wisher(buys, name="suite_wisher", expires_after_ms=min(grid.timeframe_ms, 86_400_000))]
    if "size" not in hooks:
        made.append(sizer("0.5", name="suite_size"))
    if "risk_check" not in hooks:
        made.append(allower({"slippage_bps_max": "50"}, name="suite_risk"))
    if "route_order" not in hooks:
        rungs = ((TimeInForce.IOC, "10", 2_000), (TimeInForce.GTC, "20", 20_000))
        made.append(router(*rungs, name="suite_route"))
    if "follow" not in hooks:
        made.append(leader(stop=0.99, take=1.01, leave_after_ms=8 * grid.timeframe_ms, name="suite_lead"))
    return made


def _scene(subject: Subject, on: bool, for_rows: int | None = None, *sets: str) -> Scene:
    plugin = subject.fresh() if on else None
    guests = [*([plugin] if plugin is not None else []), *_others(subject, plugin)]
    for_ms = None if for_rows is None else for_rows * subject.grid().timeframe_ms
    if plugin is not None and plugin.operates:
        sets = (*sets, f"run.operators={plugin.name}")
    return Scene(_source(subject), guests, sets, seed=3, for_ms=for_ms, env={CANARY_VARIABLE: CANARY})


def _judge(subject: Subject, played: Played, about: str) -> Result:
    found = played.violations()
    if found:
        return failed(
            f"{about} broke {found[0]}; this is the core's fault or a hook's that changed what it was handed: {_MENDS}"
        )
    faults = [line.event for line in played.notes(PluginFault) if line.event.plugin == subject.name]
    if faults:
        return failed(f"{about} had a fault in {faults[0].hook}: {faults[0].fault}; {_MENDS}")
    if played.exit_code:
        return failed(f"{about} ended with exit code {played.exit_code}: {played.summary.get('errors')}; {_MENDS}")
    if subject.secrets() and any(CANARY in repr(line) for line in played.notes()):
        return failed(f"{about} wrote a secret into the journal; leave secrets out of answers and errors")
    return PASSED


def _play(subject: Subject, *acts: tuple[bool, int | None, str], sets: tuple[str, ...] = ()) -> Result:
    """Play one or more acts in one state folder; each is with or without the plugin, for some rows or to the end."""
    if subject.grid().slow:
        return skipped(_SLOW)
    with tempfile.TemporaryDirectory() as folder:
        for on, rows, about in acts:
            judged = _judge(subject, play(_scene(subject, on, rows, *sets), Path(folder) / "state"), about)
            if judged is not PASSED:
                return judged
    return PASSED


@card(
    "C80",
    "full-session",
    _FAMILY,
    "A whole session with it holds every invariant",
    after=("C04", "C20"),
    action=(
        "Run it with guests for the hooks that it lacks over a seeded market on the twin, invariants checked at each "
        "commit."
    ),
    expectation="No invariant is broken, it has no fault, the run ends with 0.",
    skipped_when=_SLOW,
)
def full_session(subject: Subject) -> Result:
    """Play to the end."""
    return _play(subject, (True, None, "a session with the plugin"))


@card(
    "C81",
    "session-without-it",
    _FAMILY,
    "The same session without it ends clean",
    after=("C04", "C20", "C80"),
    action="Run half of the session with it, go on in the same state folder without it, other guests in its place.",
    expectation="No invariant is broken, the run ends with 0: what it left can be led by others.",
    skipped_when=_SLOW,
)
def session_without_it(subject: Subject) -> Result:
    """Switch it off half-way."""
    half = subject.grid().warmup_rows + _ROWS // 2
    return _play(
        subject,
        (True, half, "half a session with the plugin"),
        (False, None, "the session gone on with without the plugin"),
    )


@card(
    "C82",
    "session-restarted",
    _FAMILY,
    "A session gone on with after a stop holds every invariant",
    after=("C04", "C20", "C80"),
    action="Stop the session half-way and go on in the same state folder with a new instance.",
    expectation="No invariant is broken, it has no fault, the run ends with 0.",
    skipped_when=_SLOW,
)
def session_restarted(subject: Subject) -> Result:
    """Stop and go on."""
    half = subject.grid().warmup_rows + _ROWS // 2
    return _play(subject, (True, half, "half a session"), (True, None, "the session gone on with"))


@card(
    "C83",
    "session-with-faults",
    _FAMILY,
    "A session on a venue that fails holds every invariant",
    after=("C04", "C20", "C80"),
    action="Run it while the twin fills in part, finds nobody, loses answers of orders that it took, and reports late.",
    expectation="No invariant is broken, it has no fault, the run ends with 0.",
    skipped_when=_SLOW,
)
def session_with_faults(subject: Subject) -> Result:
    """Play on a bad day."""
    return _play(subject, (True, None, "a session on a failing venue"), sets=(_BAD_DAY, "twin.read_lag_ms=150"))
