"""The real program trading over real HTTP at a wire server of this process: one market clock, every commit watched.

Nothing of the program is put together anew: profile, `tradecore.app.Session`, `RealMaker`, ccxt's own classes. What the
venue's truth log says is held against what the program left.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.campaigns.checks import Market, State, after_end
from tests.canary import KEY, KEY_FILE, SECRET, SECRET_FILE
from tradecore.app import Options, prepare
from tradecore.app.floor_real import RealMaker
from tradecore.app.prepare import Prepared
from tradecore.app.session import Session
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.engine.engine import Engine
from tradecore.journal.read import decode, read_journal
from tradecore.market.generate import GeneratedSource
from tradecore.model.events import Stamped
from tradecore.model.instrument import Instrument
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE
from tradecore.ports.clock import Clock
from tradecore.ports.store import Store
from tradecore.testing.records import Truth, records_of, truth_of
from tradecore.testing.watch import Watch, WatchedStore
from tradecore.venues.twin.build import Twin, TwinPlan, open_twin, with_fees
from tradecore.venues.twin.records import BookShape
from tradecore.venues.twin.wire.desk import Limits, ReadLag
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.listing import with_decimal_steps
from tradecore.venues.twin.wire.server import WireServer

EPOCH_MS = 1_700_000_000_000 - 1_700_000_000_000 % 60_000
DAY_MS = 86_400_000
VENUE_FILE = "venue.db"
WIRES = ("binance", "mexc")

#: Much happens in little time, and a moment of the wall is long in market time: old prices are taken.
BUSY = (
    'market.row="10s"',
    "signals_drop.drop_pct=0.15",
    'signals_drop.lookback="10m"',
    "signals_drop.expires_s=120",
    "size_fixed.amount=80",
    "size_fixed.symbol_max=160",
    "risk_limits.max_positions=20",
    "risk_limits.max_exposure_pct=95",
    "risk_limits.max_trades_per_day=100000",
    "risk_limits.max_orders_per_minute=10000",
    "risk_limits.max_daily_drawdown_pct=100",
    "risk_limits.spread_bps_max=60",
    'exits.time_to_live="45s"',
    "exits.take_profit_pct=0.9",
    "exits.stop_loss_pct=0.9",
    "engine.max_spread_bps=60",
    "engine.price_age_s_max=60",
    "engine.book_age_ms_max=30000",
    "limiter.requests_per_minute=100000",
    "venue.receive_window_ms=30000",
    "venue.engine_timeout_ms=2000",
    "venue.read_lag_ms=8000",
    "venue.clock_error_ms=5000",
    "venue.timeout_ms=20000",
    "venue.instruments_s=30",
    "market.stale_s=60",
    "store.synchronous=OFF",
    "breaker.daily_drawdown_pct=0",
    "breaker.loss_streak=0",
    "breaker.failed_orders_pct=0",
    "breaker.rejects_in_a_row=0",
)

#: Housekeeping counts on the wall's seconds; a hurried session does it as often as a slow one in market time.
INTERVALS_S = {
    "scan": 5, "exit_check": 1, "position_update": 2, "persist": 30, "stale_cleanup": 30, "heartbeat": 30, "health": 60,
    "balance_refresh": 20, "reconcile": 10, "clock_check": 20, "conservation": 60,
}  # fmt: skip

_PROFILE = """extends = "live"

[account]
name = "mine"
capital_limit_quote = 8000

[venue]
exchange = "{wire}"
trade_account = "mine"
base_url = "{url}"
api_key = "file:{keys}/{key_file}"
api_secret = "file:{keys}/{secret_file}"
key_rights_confirmed = true
"""


class Scene(NamedTuple):
    """What is to be played."""

    wire: str
    seed: int = 1
    speed: float = 60.0
    """Market seconds per second of the wall."""
    for_s: int = 360
    """Market time that the program runs for."""
    spell_s: int = 170
    """Market time that a fault lasts."""
    sets: Sequence[str] = ()
    symbols: int = 6
    streams: bool = False
    fee_in: str = "base"
    fees_bps: tuple[str, str] = ("10", "10")
    """Maker, taker."""
    money: Mapping[str, str] = {"USDT": "10000", "BNB": "50"}
    lag: ReadLag = ReadLag()
    limits: Limits = Limits()


class Act:
    """What a story can reach while the program trades.

    Args:
        stage: Server, clock and twin.
        engine: The program's.
    """

    def __init__(self, stage: Stage, engine: Engine) -> None:
        self.stage = stage
        self.engine = engine
        self.server = stage.server
        self.desk = stage.server.desk
        self.faults = self.desk.faults
        self.clock: Clock = stage.clock
        self.random = random.Random(stage.scene.seed)
        self.spell_s = stage.scene.spell_s

    async def wait(self, seconds: float) -> None:
        """Let market time pass."""
        await self.clock.sleep(seconds)

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is traded at the venue."""
        return tuple(self.desk.market.instruments)


Story = Callable[[Act], Awaitable[None]]


class Played(NamedTuple):
    """What a session left."""

    summary: Mapping[str, Any]
    exit_code: int
    folder: Path
    truth: Truth
    happened: Mapping[str, int]
    """Faults that hit, by name."""
    watched: tuple[str, ...]
    """What was wrong right after some commit."""
    instruments: Mapping[str, Instrument]
    wall_s: float

    def notes(self, *kinds: type[Any]) -> list[Stamped]:
        """Events of the journal in order; all of them where no kind is named."""
        lines = (decode(line) for line in read_journal(self.folder / JOURNAL_FOLDER))
        return [line for line in lines if not kinds or isinstance(line.event, kinds)]

    def findings(self) -> list[str]:
        """What must not be, while it ran or in what it left."""
        state = State(self.folder, records_of(self.folder / STORE_FILE), self.truth)
        found = [*self.watched, *after_end(state, Market(self.instruments, "mine"))]
        for key, wanted in (
            ("pending_intents", 0), ("reserved", "0"), ("ledger_balanced", True), ("unexplained_drift", "0"),
            ("errors", {}),
        ):  # fmt: skip
            if self.summary.get(key) != wanted:
                found.append(f"summary: expected {key} {wanted}, was {self.summary.get(key)}")
        if self.exit_code:
            found.append(f"expected exit code 0, was {self.exit_code}")
        return found


class Stage:
    """One wire server and the market behind it, on a loop that the program shares.

    Args:
        scene: What is to be played.
        folder: Keeps the venue, the keys and the program's state.
        begin_s: Market seconds after the usual start, for a second session on the same folder.
    """

    def __init__(self, scene: Scene, folder: Path, begin_s: int = 0) -> None:
        self.scene = scene
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.loop = MarketLoop(scene.speed)
        self.clock = LoopClock(self.loop, EPOCH_MS + begin_s * 1_000)
        source = GeneratedSource(scene.seed, scene.symbols, 10_000, "lively", start_ms=EPOCH_MS - DAY_MS // 4)
        maker, taker = (Decimal(text) for text in scene.fees_bps)
        coin = "BNB" if scene.fee_in == "other" else ""
        instruments = with_fees(source.instruments, maker, taker, scene.fee_in, coin)  # type: ignore[arg-type]
        if scene.wire == "mexc":
            instruments = with_decimal_steps(instruments)
        self.twin: Twin = open_twin(
            self.clock, source, seed=scene.seed, generator=random.Random(scene.seed), path=folder / VENUE_FILE,
            plan=TwinPlan(manners=scene.wire, latency_ms=0, shape=BookShape(depth_quote=20_000.0)),
            instruments=instruments,
        )  # fmt: skip
        self.twin.venue.open_balances({coin: Decimal(amount) for coin, amount in scene.money.items()})
        self.server = WireServer(
            self.twin, wire=scene.wire, clock=self.clock, keys=[ApiKey(KEY, SECRET)], lag=scene.lag,
            limits=scene.limits,
        )  # fmt: skip
        self.instruments = dict(self.twin.market.instruments)
        self.engine: Engine | None = None

    def prepared(self, *sets: str) -> Prepared:
        """The program's settings; the server must listen."""
        scene = self.scene
        profile = write_profile(self.folder, scene.wire, self.server.base_url)
        return prepare(Options(
            str(profile), {}, (
                *BUSY, *hurried(scene.speed), f"run.speed={scene.speed:g}", f'run.for="{scene.for_s}s"',
                f"run.seed={scene.seed}", f"venue.streams={json.dumps(scene.streams)}", *scene.sets, *sets,
            ), state=self.folder / "state",
        ))  # fmt: skip

    async def trade(self, story: Story | None = None, around: Callable[[Store], Store] = lambda store: store) -> Played:
        """Let the program trade once, from its start to its end. The server must listen.

        Args:
            story: Runs beside it from the moment at which the engine stands; an error in it is raised here.
            around: Puts something between engine and store.
        """
        began = time.monotonic()
        prepared = self.prepared()
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        watch = Watch(self.instruments)
        screen = _Screen(self, watch, story)
        session = Session(
            prepared, state, True, time.monotonic(), maker=RealMaker(prepared),
            around_store=lambda store: around(WatchedStore(store, watch)),
        )  # fmt: skip
        try:
            outcome = await session.run(self.loop, screen)
        finally:
            await screen.done()
        self.server.desk.settle()
        return Played(
            outcome.summary, outcome.exit_code, state, truth_of(self.folder / VENUE_FILE),
            dict(self.server.desk.faults.happened), tuple(map(str, watch.violations)), self.instruments,
            time.monotonic() - began,
        )  # fmt: skip

    def run(self, story: Callable[[], Awaitable[Any]]) -> Any:
        """Serve, run a story, and close everything."""

        async def whole() -> Any:
            await self.server.start()
            try:
                return await story()
            finally:
                await self.server.close()

        try:
            return run(whole(), self.loop)
        finally:
            self.twin.venue.engine.state.close()


def play(scene: Scene, folder: Path, story: Story | None = None) -> Played:
    """Play one session from its start to its end."""
    stage = Stage(scene, folder)
    return stage.run(lambda: stage.trade(story))


class _Screen:
    """Sees the engine stand (`app.session.Screen`), shows it to the watch, and starts the story."""

    def __init__(self, stage: Stage, watch: Watch, story: Story | None) -> None:
        self._stage = stage
        self._watch = watch
        self._story = story
        self._task: asyncio.Task[None] | None = None

    def begin(self, engine: Engine, clock: Clock, stop_at_ms: int | None) -> None:
        """The engine stands."""
        self._watch.engine = engine
        self._stage.engine = engine
        if self._story is not None:
            self._task = asyncio.get_running_loop().create_task(self._told(Act(self._stage, engine)))

    async def _told(self, act: Act) -> None:
        assert self._story is not None
        await self._story(act)

    def end(self) -> None:
        """Look at the books a last time."""
        self._watch.check_books()

    async def done(self) -> None:
        """Wait for the story, which must have come to its end."""
        if self._task is not None:
            if not self._task.done():
                self._task.cancel()
            await asyncio.wait({self._task})
            if not self._task.cancelled():
                self._task.result()


def hurried(speed: float) -> list[str]:
    """Intervals of housekeeping, so that they are usual ones in market time."""
    return [f"intervals.{name}_s={seconds / speed:.6f}" for name, seconds in INTERVALS_S.items()]


def write_profile(folder: Path, wire: str, url: str) -> Path:
    """Write a live profile for a wire server, and its keys by reference, for their owner alone."""
    keys = folder / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    for name, text in ((KEY_FILE, KEY), (SECRET_FILE, SECRET)):
        (keys / name).touch(mode=0o600)
        (keys / name).write_text(text)
    profile = folder / "mine.toml"
    profile.write_text(
        _PROFILE.format(wire=wire, url=url, keys=keys, key_file=KEY_FILE, secret_file=SECRET_FILE)
    )  # fmt: skip
    return profile
