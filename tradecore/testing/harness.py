"""Sessions in process on virtual time: chosen guests, a scripted market, a twin with faults, every commit watched.

The session is the application's own (`tradecore.app`); nothing is put together a second time. What a session leaves is
a state folder, so that the records are read back as any other program would read them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradecore.app.prepare import Options, Prepared
from tradecore.app.session import Session
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.engine.engine import Engine
from tradecore.errors import StoreError
from tradecore.hooks.guest import Guest
from tradecore.hooks.loader import PluginInfo, available, load
from tradecore.journal.read import decode, read_journal
from tradecore.market.frame import window_rows
from tradecore.market.source import RowSource
from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.instrument import Instrument
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE, TWIN_FILE
from tradecore.model.records import Row
from tradecore.ports.clock import Clock
from tradecore.ports.store import Store
from tradecore.settings.profiles import profile_folder
from tradecore.settings.resolve import Resolved, resolve
from tradecore.store.database import sqlite_url
from tradecore.testing.around import AroundStore
from tradecore.testing.invariants import Violation, check_run
from tradecore.testing.records import Records, Truth, records_of, truth_of
from tradecore.testing.watch import Watch, WatchedStore
from tradecore.venues.twin.build import with_fees
from tradecore.venues.twin.venue import TwinVenue

#: The guests of a plain session, by the names of their entry points.
REAL_GUESTS: Final = ("size_fixed", "risk_limits", "exec_ioc_gtc", "exits")
_QUICK: Final = ("store.synchronous=OFF",)
"""A test's disk need not survive a power cut."""


class Scene(NamedTuple):
    """What is to be played."""

    source: RowSource
    guests: Sequence[str | Guest]
    """In order; a name is an installed plugin."""
    sets: Sequence[str] = ()
    """``section.key=value`` or ``plugin.key=value``, as on the command line."""
    seed: int = 1
    for_ms: int | None = None
    """Market time to run for; ``None``: to the end of the data."""
    env: Mapping[str, str] = {}
    """Where secrets are read from that settings refer to; no settings."""

    def with_sets(self, *sets: str) -> Scene:
        """The same scene with more settings."""
        return self._replace(sets=(*self.sets, *sets))


class Played(NamedTuple):
    """What a session left."""

    summary: Mapping[str, Any]
    exit_code: int
    folder: Path
    account: str
    instruments: Mapping[str, Instrument]
    watched: tuple[Violation, ...]
    """What was wrong right after some commit."""

    @property
    def records(self) -> Records:
        """Everything that the store holds."""
        return records_of(self.folder / STORE_FILE)

    @property
    def truth(self) -> Truth:
        """What really happened at the twin."""
        return truth_of(self.folder / TWIN_FILE)

    @property
    def journal(self) -> Path:
        """The journal's folder."""
        return self.folder / JOURNAL_FOLDER

    def notes(self, *kinds: type[Any]) -> list[Stamped]:
        """Events of the journal in order; all of them where no kind is named."""
        lines = (decode(line) for line in read_journal(self.journal))
        return [line for line in lines if not kinds or isinstance(line.event, kinds)]

    def violations(self) -> tuple[Violation, ...]:
        """What breaks an invariant, while the session ran or in what it left."""
        left = check_run(self.records, self.truth, self.instruments, self.account, self.notes())
        return (*self.watched, *left)


class Stage:
    """Sees a session begin and end (`app.session.Screen`).

    Args:
        watch: Is shown the engine.
        begin: Called on the loop when the engine stands, before the first row.
    """

    def __init__(self, watch: Watch, begin: Callable[[Engine], None] | None) -> None:
        self._watch = watch
        self._begin = begin

    def begin(self, engine: Engine, clock: Clock, stop_at_ms: int | None) -> None:
        """Show the engine to the watch, then do what the test asked for."""
        self._watch.engine = engine
        if self._begin is not None:
            self._begin(engine)

    def end(self) -> None:
        """Look at the books a last time."""
        self._watch.check_books()


def play(
    scene: Scene,
    folder: Path,
    *,
    begin: Callable[[Engine], None] | None = None,
    around: Callable[[Store], Store] = lambda store: store,
) -> Played:
    """Run a scene to its end on virtual time, in a state folder that is kept; one that exists is gone on with.

    Args:
        folder: The state folder.
        begin: Called on the loop when the engine stands, before the first row: to arm faults, to plan what others do.
        around: Puts something between engine and store.
    Raises:
        StoreError: The store failed while the session started.
        RetryableVenueError: The venue did not answer at the start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prepared = prepared_of(scene)
    watch = Watch(prepared.instruments)

    def wrapped(store: Store) -> Store:
        return around(WatchedStore(store, watch))

    loop = MarketLoop()
    session = Session(prepared, folder, True, time.monotonic(), around_store=wrapped)
    outcome = run_on(session.run(loop, Stage(watch, begin)), loop)
    return Played(
        outcome.summary, outcome.exit_code, folder, prepared.settings.account.name, prepared.instruments,
        tuple(watch.violations),
    )  # fmt: skip


def prepared_of(scene: Scene) -> Prepared:
    """Make a run that can begin from a scene, with the built-in settings as its profile.

    Raises:
        SettingsError: If a setting is unknown or wrong.
        PluginLoadError: If a guest may not enter.
    """
    installed = _available()
    names = [guest if isinstance(guest, str) else guest.name for guest in scene.guests]
    resolved = _resolved(tuple(scene.sets), tuple(names), frozenset(installed), scene.seed)
    guests = tuple(
        load((guest,), resolved.sections, installed=installed)[0]._replace(order=order)
        if isinstance(guest, str)
        else guest._replace(order=order)
        for order, guest in enumerate(scene.guests)
    )
    windows = [guest.warmup.get("base") for guest in guests]
    warmup = max((window_rows(window, scene.source.timeframe_ms) for window in windows if window), default=0)
    options = Options("base", scene.env, tuple(scene.sets))
    return Prepared(
        options,
        resolved,
        guests,
        scene.source,
        _instruments(scene, resolved),
        scene.source.timeframe_ms,
        warmup,
        "scripted",
        scene.for_ms,
    )


@lru_cache(maxsize=1)
def _available() -> Mapping[str, PluginInfo]:
    return available()


@lru_cache(maxsize=32)
def _resolved(sets: tuple[str, ...], names: tuple[str, ...], installed: frozenset[str], seed: int) -> Resolved:
    """Read the settings once for scenes that are played again and again."""
    return resolve(
        profile_folder() / "base.toml", {}, [*_QUICK, *sets], ",".join(names), installed={*installed, *names},
        flags={"--seed": f"run.seed={seed}"},
    )  # fmt: skip


def _instruments(scene: Scene, resolved: Resolved) -> Mapping[str, Instrument]:
    twin = resolved.settings.twin
    return with_fees(scene.source.instruments, twin.maker_fee_bps, twin.taker_fee_bps, twin.fee_in, twin.fee_coin)


def twin_of(engine: Engine) -> TwinVenue:
    """The twin behind an engine, for its faults and for what others do on the account."""
    venue = engine.desk.venue
    assert isinstance(venue, TwinVenue), venue
    return venue


def at(engine: Engine, moment_ms: int, act: Callable[[], None]) -> None:
    """Have something done at a moment of market time."""
    clock = engine.desk.clock

    async def later() -> None:
        await clock.sleep_until_ms(moment_ms)
        act()

    engine.desk.spawn(later(), f"scene at {moment_ms}")


# Crashes and failures of the disk --------------------------------------------------------------------------------


class SnapshotStore(AroundStore):
    """Copies the state folder right before and right after every commit: what a kill -9 at that moment leaves.

    Nothing else runs while it copies, and what a file handle had not yet handed to the system is not in the copy.

    Args:
        inner: The store.
        folder: The state folder.
        copies: Where the copies go, ``NNNN-before`` and ``NNNN-after``.
    """

    def __init__(self, inner: Store, folder: Path, copies: Path) -> None:
        super().__init__(inner)
        self._folder = folder
        self._copies = copies
        self.commits = 0

    async def commit(self, rows: Sequence[Row], events: Sequence[Stamped]) -> Sequence[BookedEvent]:
        """Copy, commit, copy."""
        self.commits += 1
        self._copy("before")
        booked = await super().commit(rows, events)
        self._copy("after")
        return booked

    def _copy(self, when: str) -> None:
        shutil.copytree(self._folder, self._copies / f"{self.commits:04d}-{when}")


class FailingStore(AroundStore):
    """Refuses some commits: nothing of them is written.

    Args:
        inner: The store.
        fails: Tells by the commit's number, from 1, whether it is refused.
    """

    def __init__(self, inner: Store, fails: Callable[[int], bool]) -> None:
        super().__init__(inner)
        self._fails = fails
        self.commits = 0
        self.refused = 0

    async def commit(self, rows: Sequence[Row], events: Sequence[Stamped]) -> Sequence[BookedEvent]:
        """Commit, or refuse.

        Raises:
            StoreError: Nothing was written.
        """
        self.commits += 1
        if self._fails(self.commits):
            self.refused += 1
            raise StoreError(f"expected a disk that takes commit {self.commits}, was told to refuse it")
        return await super().commit(rows, events)


def store_url(folder: Path) -> str:
    """The URL of a session's store."""
    return sqlite_url(folder / STORE_FILE)
