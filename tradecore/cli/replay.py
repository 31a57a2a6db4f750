"""``tradecore replay``: the account rebuilt from the journal, compared with the store; decisions taken again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from tradecore.cli.options import LATEST, json_option, sets_option, state_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal
    from pathlib import Path

    from tradecore.app.redeciding import Redecided
    from tradecore.cli.kept import Kept
    from tradecore.engine.differences import Compared
    from tradecore.engine.replaying import Rebuilt, RebuiltRun
    from tradecore.journal.verify import Verified
    from tradecore.model.events import BookedEvent, StoreBehind
    from tradecore.store.kept import KeptStore

EXIT_DIFFERENT = 1
_WAIT_S = 5.0
"""How long a running process may take to write what its store holds."""


class Replayed(NamedTuple):
    """All that a replay found."""

    verified: Verified
    rebuilt: Rebuilt
    run: RebuiltRun | None
    """``None`` where the journal names no run."""
    compared: Compared
    whole: bool
    """False where the run is not the newest: then only what never changes is compared with the store."""
    broken: str
    """Why the journal could not be read to its end; empty where it could."""
    redecided: Redecided | None
    """``None`` where nobody asked for it."""

    @property
    def equal(self) -> bool:
        """True where nothing is wrong and nothing differs."""
        decisions = self.redecided is None or not self.redecided.total
        return self.verified.ok and self.compared.equal and decisions and not self.broken


@click.command()
@click.argument("run", default=LATEST)
@state_option
@json_option
@click.option("--decisions", is_flag=True, help="Ask the plugins of now what was asked then, and compare the answers.")
@click.option("--profile", metavar="NAME", help="For --decisions: settings of a profile as it is now, not the run's.")
@sets_option
def replay(*, run: str, state: Path, as_json: bool, decisions: bool, profile: str | None, sets: tuple[str, ...]) -> int:
    """Rebuild positions, cash and profit from the journal alone and compare them with the store.

    RUN is a run id or its number; latest is the newest. All runs before it are rebuilt with it. The journal's chain is
    proven first: a changed byte, a removed, moved or inserted line, a cut or missing file are named.

    Exit codes: 0 equal, 1 different, 2 bad input.
    """
    from tradecore.cli.kept import find
    from tradecore.cli.paper import print_json
    from tradecore.cli.replay_show import json_of, show
    from tradecore.errors import SettingsError

    if not decisions and (profile is not None or sets):
        raise SettingsError("--profile and --set: expected together with --decisions, were alone")
    kept = find(state)
    found = _replay(kept, run, _decider(kept, profile, sets) if decisions else None)
    if as_json:
        print_json(json_of(kept.folder, found))
    else:
        show(kept.folder, found)
    return 0 if found.equal else EXIT_DIFFERENT


def _replay(kept: Kept, wanted: str, decide: Callable[[str, Rebuilt], Redecided] | None) -> Replayed:
    """Prove the chain, rebuild, compare, and where asked decide again.

    Raises:
        SettingsError: If there is no such run.
        DataError: If there is no journal.
    """
    from tradecore.engine.comparing import Comparison, still_held
    from tradecore.errors import DataError, SettingsError
    from tradecore.journal.booked import read_booked
    from tradecore.journal.verify import verify
    from tradecore.model.places import JOURNAL_FOLDER
    from tradecore.store.kept import open_kept

    journal = kept.folder / JOURNAL_FOLDER
    if not journal.is_dir():
        raise DataError(f"expected a journal at {journal}, found none")
    pick = _Pick(wanted)
    broken = ""
    with open_kept(kept.store) as store:
        events = _settled(kept, journal, store, still_held(read_booked(journal), _found_behind(journal)))
        verified = verify(journal)
        comparison = Comparison(store)
        try:
            whole = comparison.take_all(events, pick.ends)
        except (DataError, ValueError) as error:
            broken, whole = str(error), False
        compared = comparison.done()
    rebuilt = comparison.rebuilt
    if wanted != LATEST and not pick.found and not broken:
        names = ", ".join(str(run.number) for run in rebuilt.runs) or "none"
        raise SettingsError(f"expected the id or the number of a run of this state ({names}), was {wanted!r}")
    run = rebuilt.runs[-1] if rebuilt.runs else None
    redecided = decide(run.run_id, rebuilt) if decide is not None and run is not None and not broken else None
    return Replayed(verified, rebuilt, run, compared, whole, broken, redecided)


def _found_behind(journal: Path) -> list[StoreBehind]:
    """Starts that found the store behind; none where a damaged line is in the way, which is told where it is met."""
    from tradecore.errors import DataError
    from tradecore.journal.read import decode, read_journal

    try:
        return [decode(line).event for line in read_journal(journal, kinds=("store_behind",))]
    except DataError:
        return []


def _settled(kept: Kept, journal: Path, store: KeptStore, events: Iterator[BookedEvent]) -> Iterator[BookedEvent]:
    """Events up to where the store's picture ends, if a process goes on writing both."""
    from itertools import takewhile

    from tradecore.cli.kept import holder
    from tradecore.journal.booked import wait_for

    if holder(kept.folder) is None:
        return events
    last = store.last_sequence()
    wait_for(journal, last, _WAIT_S)
    return takewhile(lambda booked: booked.sequence <= last, events)


class _Pick:
    """Finds where the wanted run ends: where the next one begins."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self.found = False

    def ends(self, booked: BookedEvent) -> bool:
        """Tell whether this is the first event after the run."""
        from tradecore.model.events import SessionStarted

        event = booked.stamped.event
        if self._wanted == LATEST or not isinstance(event, SessionStarted):
            return False
        if self.found:
            return True
        self.found = self._wanted in (event.run_id, str(event.run_number))
        return False


def _decider(kept: Kept, profile: str | None, sets: tuple[str, ...]) -> Callable[[str, Rebuilt], Redecided]:
    """Make what takes a run's decisions again."""

    def decide(run_id: str, rebuilt: Rebuilt) -> Redecided:
        import os

        from tradecore.app.redeciding import guests_now, questions_of, redecide
        from tradecore.model.places import JOURNAL_FOLDER

        journal = kept.folder / JOURNAL_FOLDER
        now = guests_now(journal, run_id, profile, sets, os.environ)
        return redecide(questions_of(journal, frozenset({run_id})), now, _results(rebuilt))

    return decide


def _results(rebuilt: Rebuilt) -> dict[str, Decimal]:
    """What each round trip that has ended brought."""
    from tradecore.model.position import PositionState, realised_pnl_quote

    return {
        position_id: realised_pnl_quote(known.position)
        for position_id, known in rebuilt.positions.items()
        if known.position.state is PositionState.CLOSED
    }
