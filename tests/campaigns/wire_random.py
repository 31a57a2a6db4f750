"""Whole sessions on the wire with several faults at once, drawn by a seed, and crashes at commits drawn with them.

    python -m tests.campaigns.wire_random --seeds 40                    # seeds 1 to 40
    python -m tests.campaigns.wire_random --first 17 --seeds 1 --state DIR   # one of them again, kept for a look

What a seed draws: the wire, the coin and rate of fees, streams or none, how orders are placed, which faults overlap
when, what others do meanwhile (filters, halts, clocks, lags, endpoints cut), and at which commits the program dies. A
crash copies the state folder right before or right after a commit, and from then on the venue hears nothing of that
life any more; the next life begins on the copy. The last one ends by itself, and everything must have settled.

Prints one JSON object; exits with 1 where anything was found. The wall's time adds chance of its own, so a seed that
found something may need some tries to do so again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.campaigns.checks import Market, State, after_kill, under_way
from tests.campaigns.wire_faults import FIRST_S, RESTING
from tests.campaigns.wire_stage import VENUE_FILE, WIRES, Act, Played, Scene, Stage
from tradecore.errors import RetryableVenueError
from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.instrument import Instrument
from tradecore.model.order import Attempt, AttemptState
from tradecore.model.places import STORE_FILE
from tradecore.model.records import Row
from tradecore.model.units import canonical, times
from tradecore.ports.store import Store
from tradecore.testing.around import AroundStore
from tradecore.testing.records import records_of, truth_of
from tradecore.venues.twin.wire.auth import Request
from tradecore.venues.twin.wire.desk import ReadLag
from tradecore.venues.twin.wire.spoil import Reply, cut

_KEPT = 20
_BURIAL_S = 2.0
"""Seconds of the wall that a dead life is given to let go of its files and sockets."""
_BEGINS = 5
"""How often a life is begun whose start got no answer in time."""
_GAP_S = 7
"""Market seconds between a crash and the next start."""
QUIET_S = 120
"""Market seconds after the last fault in which everything must settle: fence, read lag and two reads, and some."""
_SETS = ("venue.read_lag_ms=15000",)


class Chance(NamedTuple):
    """A fault that may be drawn."""

    name: str
    most: float
    """Largest share of the operations that it hits."""
    arguments: tuple[float, float] | None = None
    """Range of its argument; ``None``: it takes none."""
    wires: tuple[str, ...] = WIRES


CHANCES = (
    Chance("lost_request", 0.25), Chance("cut_request", 0.1), Chance("not_sent", 0.1),
    Chance("hang", 0.03, (5.0, 60.0)), Chance("lost_ack", 0.3), Chance("cut_after_accept", 0.3),
    Chance("cut_answer", 0.05), Chance("late_request", 0.3, (500.0, 45_000.0)),
    Chance("slow_engine", 0.2, (200.0, 30_000.0)), Chance("slow_answer", 0.05, (200.0, 25_000.0)),
    Chance("slow_request", 0.05, (200.0, 20_000.0)), Chance("http_500_accepted", 0.15),
    Chance("http_502_accepted", 0.15), Chance("http_503_accepted", 0.15), Chance("http_504_accepted", 0.15),
    Chance("code_1006_accepted", 0.15), Chance("http_502", 0.05), Chance("http_403", 0.05), Chance("http_404", 0.03),
    Chance("duplicate_reply", 0.2), Chance("duplicate_fills", 0.5), Chance("stale_executed", 0.3),
    Chance("read_lag", 0.3, (500.0, 10_000.0)), Chance("not_found_for", 0.4, (500.0, 12_000.0)),
    Chance("late_fills", 0.5, (500.0, 10_000.0)), Chance("balance_lag", 0.4, (500.0, 15_000.0)),
    Chance("read_lost", 0.15), Chance("unmapped_status", 0.2), Chance("partial_fill", 0.5, (0.2, 0.8)),
    Chance("no_liquidity", 0.6), Chance("ioc_becomes_gtc", 0.3), Chance("split_fills", 0.3, (2.0, 40.0)),
    Chance("cancel_partly_filled", 0.6, (0.2, 0.9)), Chance("cancel_refused_filled", 0.6), Chance("cancel_lost", 0.3),
    Chance("cancel_502", 0.3), Chance("cancel_dropped", 0.3), Chance("insufficient_30005", 0.2),
    Chance("ack_without_status", 0.5), Chance("truncated_body", 0.05), Chance("html_200", 0.04),
    Chance("empty_body", 0.04), Chance("null_body", 0.04), Chance("empty_object", 0.2), Chance("wrong_types", 0.2),
    Chance("numbers_as_strings", 0.5), Chance("gzip_garbage", 0.04), Chance("wrong_echo", 0.25),
    Chance("wrong_symbol", 0.25), Chance("wrong_id", 0.2), Chance("rate_limited", 0.01, (1.0, 5.0)),
    Chance("stream_cut", 0.1), Chance("stream_dropped", 0.3), Chance("stream_duplicated", 0.3),
    Chance("stream_swapped", 0.3), Chance("stream_late", 0.3, (500.0, 8_000.0)),
)  # fmt: skip


DYING = tuple(state for state in AttemptState if state is not AttemptState.STUCK)
"""States in whose commits a life may end."""


class Spell(NamedTuple):
    """One fault for a while."""

    chance: Chance
    from_s: float
    for_s: float
    share: float
    argument: float | None


class Death(NamedTuple):
    """A commit at which a life ends."""

    state: AttemptState | None
    """Commits count that take an order to this state; ``None``: all do."""
    number: int
    """From 1."""
    done: bool
    """True where that commit is still written."""


class Plan(NamedTuple):
    """What one seed plays."""

    seed: int
    scene: Scene
    spells: tuple[Spell, ...]
    deeds: tuple[tuple[str, float], ...]
    """What others do, and when, seconds after the first life began."""
    deaths: tuple[Death, ...]
    """One for each life but the last; a life that does not come so far ends by itself."""

    @property
    def names(self) -> list[str]:
        """Everything that was drawn, in words."""
        return [spell.chance.name for spell in self.spells] + [name for name, _ in self.deeds]


def plan_of(seed: int, *, for_s: int = 420, lives: int | None = None, speed: float = 60.0) -> Plan:
    """Draw what a seed plays.

    Args:
        for_s: Market seconds of all lives together.
        lives: How many; ``None`` draws one to four.
    """
    draw = random.Random(f"wire {seed}")
    wire = draw.choice(WIRES)
    # Binance does not tell that it takes the fee of a buy in quote, and does not
    fee_in = draw.choice(("base", "other") if wire == "binance" else ("base", "quote", "other"))
    sets = (*_SETS, *(RESTING if draw.random() < 0.4 else ()))
    end_s = for_s - QUIET_S
    spells = tuple(_spell(draw, chance, end_s) for chance in draw.sample(CHANCES, draw.randint(3, 8)))
    deeds = tuple(
        sorted(((name, draw.uniform(FIRST_S, end_s)) for name in draw.sample(sorted(DEEDS), draw.randint(0, 3))),
               key=lambda deed: deed[1])
    )  # fmt: skip
    count = draw.choice((1, 2, 2, 3, 4)) if lives is None else lives
    deaths = tuple(_death(draw) for _ in range(count - 1))
    scene = Scene(
        wire, seed=seed, speed=speed, for_s=for_s, sets=sets, streams=draw.random() < 0.5, fee_in=fee_in,
        fees_bps=draw.choice((("10", "10"), ("0", "5"), ("-1", "7.5"))),
    )  # fmt: skip
    return Plan(seed, scene, spells, deeds, deaths)


def _spell(draw: random.Random, chance: Chance, end_s: float) -> Spell:
    from_s = draw.uniform(FIRST_S, end_s * 0.6)
    argument = draw.uniform(*chance.arguments) if chance.arguments is not None else None
    return Spell(
        chance, from_s, draw.uniform(20.0, end_s - from_s), draw.uniform(chance.most / 4, chance.most), argument
    )


def _death(draw: random.Random) -> Death:
    state = draw.choice((None, *DYING))
    return Death(state, draw.randint(4, 300) if state is None else draw.randint(1, 12), draw.random() < 0.5)


# What others do ---------------------------------------------------------------------------------------------------


async def _coarser(act: Act) -> None:
    symbol = act.random.choice(act.symbols)
    item = act.desk.market.instruments[symbol]
    tick, lot = (canonical(times(step, type(step)(10))) for step in (item.tick_size, item.lot_size))
    act.desk.change_symbol(symbol, {"tick_size": tick, "lot_size": lot, "min_notional_quote": "20"})


async def _halted(act: Act) -> None:
    symbol = act.random.choice(act.symbols)
    act.desk.change_symbol(symbol, {"status": act.random.choice(("HALT", "BREAK", "CANCEL_ONLY"))})
    await act.wait(act.random.uniform(10, 60))
    act.desk.change_symbol(symbol, {"status": "TRADING"})


async def _clock_off(act: Act) -> None:
    act.desk.skew_ms = act.random.choice((-20_000, -1_500, 1_500, 4_000))
    await act.wait(act.random.uniform(10, 40))
    act.desk.skew_ms = 0


async def _lagging(act: Act) -> None:
    act.desk.lag = ReadLag(memory_ms=4_000, database_ms=9_000, balance_ms=12_000)
    await act.wait(act.random.uniform(20, 80))
    act.desk.lag = ReadLag()


async def _cuts(act: Act) -> None:
    names = ["place", "cancel", "order", "lists", "trades", "balances", "time", "data"]
    for name in act.random.sample(names, act.random.randint(1, 4)):
        act.desk.cut.add(name)
        await act.wait(act.random.uniform(1, 8))
    await act.wait(act.random.uniform(1, 20))
    act.desk.cut.clear()


async def _banned(act: Act) -> None:
    act.faults.ask("banned", 1.0, act.random.uniform(5, 40), 1)


async def _maintained(act: Act) -> None:
    act.faults.ask("maintenance", 1.0, act.random.uniform(5_000, 40_000), 1)


DEEDS: dict[str, Callable[[Act], Any]] = {
    "coarser filters": _coarser, "halt": _halted, "clock off": _clock_off, "lag": _lagging, "cuts": _cuts,
    "ban": _banned, "maintenance": _maintained,
}  # fmt: skip


def story_of(plan: Plan, begun_s: float) -> Callable[[Act], Any]:
    """The part of a plan that is left to one life.

    Args:
        begun_s: When it begins, market seconds after the first one did.
    """

    async def spelled(act: Act, spell: Spell) -> None:
        until_s = spell.from_s + spell.for_s - begun_s
        if until_s <= 0:
            return
        began_s = act.clock.monotonic_s()
        await act.wait(max(0.0, spell.from_s - begun_s))
        act.faults.ask(spell.chance.name, spell.share, spell.argument)
        await act.wait(max(0.0, until_s - (act.clock.monotonic_s() - began_s)))
        act.faults.clear(spell.chance.name)

    async def done(act: Act, name: str, at_s: float) -> None:
        if at_s >= begun_s:
            await act.wait(at_s - begun_s)
            await DEEDS[name](act)

    async def story(act: Act) -> None:
        act.random = random.Random(f"deeds {plan.seed} {begun_s}")
        parts = [spelled(act, spell) for spell in plan.spells] + [done(act, *deed) for deed in plan.deeds]
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)

    return story


# Deaths -----------------------------------------------------------------------------------------------------------


class Dying(AroundStore):
    """Dies at a commit: copies the state folder, tells, and never goes on.

    Args:
        inner: The store.
        death: At which one.
        die: Called at that moment; must not wait.
    """

    def __init__(self, inner: Store, death: Death, die: Callable[[], None]) -> None:
        super().__init__(inner)
        self._death, self._die = death, die
        self._count = 0

    async def commit(self, rows: Sequence[Row], events: Sequence[Stamped]) -> Sequence[BookedEvent]:
        """Commit, until the one that it dies at."""
        death = self._death
        states = {row.state for row in rows if isinstance(row, Attempt)}
        if self._count < death.number:
            self._count += death.state is None or death.state in states
            if self._count < death.number:
                return await super().commit(rows, events)
            if death.done:
                await super().commit(rows, events)
            self._die()
        await asyncio.Event().wait()
        raise AssertionError("the dead do not commit")


def _copy_at_once(folder: Path, copy: Path) -> None:
    """Copy a folder as it is at one moment: the journal's thread may write between two files."""
    for _ in range(100):
        before = _looks(folder)
        shutil.copytree(folder, copy)
        if _looks(folder) == before:
            return
        shutil.rmtree(copy)
    raise AssertionError(f"expected {folder} to stand still for a moment, did not")


def _looks(folder: Path) -> dict[str, tuple[int, int]]:
    found = {str(path): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


async def _live(stage: Stage, story: Callable[[Act], Any], death: Death | None) -> Played | None:
    """Live once: to the end, or to a death; then the state folder is what the crash left. ``None``: it died."""
    if death is None:
        return await stage.trade(story)
    died, folder, copy = asyncio.Event(), stage.folder / "state", stage.folder / "copy"
    door = stage.server._door

    async def deaf(request: Request) -> Reply:
        return cut()

    def die() -> None:
        _copy_at_once(folder, copy)
        door.serve = deaf  # type: ignore[method-assign]  # what the dead still say reaches nobody
        died.set()

    living = asyncio.ensure_future(stage.trade(story, lambda store: Dying(store, death, die)))
    dying = asyncio.ensure_future(died.wait())
    await asyncio.wait({living, dying}, return_when=asyncio.FIRST_COMPLETED)
    dying.cancel()
    if not died.is_set():
        return await living
    living.cancel()
    await asyncio.wait({living}, timeout=_BURIAL_S * stage.scene.speed)  # whatever the dead complain of
    if living.done() and not living.cancelled():
        living.exception()
    shutil.rmtree(folder)
    copy.rename(folder)
    return None


class Told(NamedTuple):
    """What one seed showed."""

    findings: list[str]
    played: Played | None
    """Its last life; ``None`` where that could not be played."""
    deaths: int
    under_way: dict[str, int]
    """Orders and intents that the deaths found unfinished."""


def play_plan(plan: Plan, folder: Path) -> Told:
    """Play a plan, life after life, on one folder."""
    found, busy, begun_s, begins = list[str](), Counter[str](), 0, _BEGINS
    first: dict[str, Instrument] = {}
    lives = [*plan.deaths, None]
    deaths = 0
    while True:
        scene = plan.scene._replace(for_s=max(QUIET_S + 10, plan.scene.for_s - begun_s))
        stage = Stage(scene, folder, begin_s=begun_s)
        stage.instruments = first = first or stage.instruments  # filters that a life has changed stay so
        try:
            story, death = story_of(plan, begun_s), lives[deaths]
            played: Played | None = stage.run(lambda: _live(stage, story, death))  # noqa: B023 - run at once
        except Exception as error:  # noqa: BLE001 - one life that cannot be lived must not end the campaign
            begins -= isinstance(error, RetryableVenueError)
            if begins and isinstance(error, RetryableVenueError):  # a busy machine: whoever supervises starts it again
                begun_s += int(stage.loop.time()) + _GAP_S
                continue
            told = f"life {deaths + 1}: {traceback.format_exc()[-900:]}"
            return Told([*found, told], None, deaths, dict(busy))
        if played is not None:
            return Told([*found, *played.findings()], played, deaths, dict(busy))
        deaths += 1
        begun_s += int(stage.loop.time()) + _GAP_S
        state = State(folder / "state", records_of(folder / "state" / STORE_FILE), truth_of(folder / VENUE_FILE))
        busy.update(under_way(state))
        found += [f"death {deaths}: {text}" for text in after_kill(state, Market(stage.instruments, "mine"))]


def report_of(plan: Plan, folder: Path) -> dict[str, Any]:
    """Play a plan and say what came of it."""
    began = time.monotonic()
    told = play_plan(plan, folder)
    summary = told.played.summary if told.played is not None else {}
    return {
        "seed": plan.seed, "wire": plan.scene.wire, "drawn": plan.names, "died_at": plan.deaths[: told.deaths],
        "under_way_at_deaths": told.under_way, "sent": summary.get("orders_sent"),
        "filled": summary.get("orders_filled"), "failed": summary.get("orders_failed"),
        "alerts": summary.get("alerts"), "orders": len(told.played.truth.orders) if told.played is not None else None,
        "wall_s": round(time.monotonic() - began, 1), "findings": told.findings[:_KEPT],
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--speed", type=float, default=60.0, help="market seconds per second of the wall")
    parser.add_argument("--for", dest="for_s", type=int, default=420, help="market seconds of each seed")
    parser.add_argument("--quiet", action="store_true", help="leave out what ended without a finding")
    parser.add_argument("--state", type=Path, help="keep what the sessions leave in this folder")
    asked = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory(prefix="wire-") as made:
        for seed in range(asked.first, asked.first + asked.seeds):
            plan = plan_of(seed, for_s=asked.for_s, speed=asked.speed)
            folder = (asked.state or Path(made)) / f"seed-{seed}"
            rows.append(report_of(plan, folder))
            if asked.state is None:
                shutil.rmtree(folder, ignore_errors=True)
            row = rows[-1]
            said = ", ".join([*plan.names, *(f"died at {death.state or 'any'}" for death in row["died_at"])])
            sys.stderr.write(f"seed {seed} {row['wire']}: {len(row['findings'])} findings, {said}\n")
            sys.stderr.writelines(f"  {text}\n" for text in row["findings"])
    found = sum(len(row["findings"]) for row in rows)
    if asked.quiet:
        rows = [row for row in rows if row["findings"]]
    sys.stdout.write(json.dumps({"seeds": rows, "found": found}, indent=1, default=str) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
