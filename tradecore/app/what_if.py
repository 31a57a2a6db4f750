"""The settings and guests of a kept run made again, and its stored questions asked under other settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tradecore.app.prepare import open_source
from tradecore.app.questions import Stored
from tradecore.app.what_if_reach import Reach, Standing, Stop
from tradecore.engine.explain.inputs import ENTRY, Limits
from tradecore.engine.explain.looked import Rows
from tradecore.engine.explain.reask import Asker, Reasked
from tradecore.errors import DataError, PluginLoadError, SettingsError
from tradecore.hooks.guest import Guest
from tradecore.hooks.loader import available, load
from tradecore.journal.query_lines import newest_lines
from tradecore.market.frame import MarketFrame
from tradecore.market.source import RowSource
from tradecore.settings import profile_folder, resolve
from tradecore.settings.resolve import Resolved
from tradecore.settings.wording import MASK

_PLUGINS: Final = "plugins."
_CORE: Final = "engine"
_NOTHING: Final = ("none", '""')
_DOES: Final = frozenset({"signal", "follow", "universe", "jobs", "on_start", "on_fill", "on_fail", "on_event"})
_ASKED_OF_ROWS: Final = frozenset({"signal", "follow", "universe", "jobs"})


class Run(NamedTuple):
    """Settings and guests as they were, or with some settings changed."""

    resolved: Resolved
    guests: tuple[Guest, ...]

    @property
    def limits(self) -> Limits:
        """The core's own limits on entries."""
        engine = self.resolved.settings.engine
        return Limits(engine.max_slippage_bps, engine.max_spread_bps, int(engine.intent_ttl_s * 1_000))


def settings_of(journal: Path, session: str | None = None) -> Mapping[str, str]:
    """The effective settings that a run wrote at its start, as text by dotted key.

    Args:
        session: Run id; ``None``: the newest.
    Raises:
        DataError: If the journal does not hold them.
    """
    for line in newest_lines(journal, ("config_snapshot",), (session,) if session else ()):
        if session is None or line.session == session:
            values: Mapping[str, str] = line.data["values"]
            return values
    raise DataError(f"expected the settings of run {session or 'any'} in {journal}, found none")


def run_of(values: Mapping[str, str], changes: Sequence[str] = ()) -> Run:
    """Make a run's guests again.

    Args:
        values: Effective settings as `settings_of` gives them.
        changes: ``section.key=value`` or ``plugin.key=value`` laid over them.
    Raises:
        SettingsError: If a value is wrong now.
        PluginLoadError: If a guest may not enter any more.
    """
    installed = available()
    sets = [f"{key}={text}" for key, text in values.items() if text != MASK and text not in _NOTHING]
    sets += [change.removeprefix(_PLUGINS) for change in changes]
    resolved = resolve(profile_folder() / "base.toml", {}, sets, installed=installed)
    return Run(resolved, load(resolved.settings.run.plugins, resolved.sections, installed=installed))


def check_changes(run: Run, changes: Sequence[str]) -> None:
    """Refuse changes that no stored question depends on, with the way out.

    Raises:
        SettingsError: Naming the change.
    """
    hooks = {guest.name: guest.hooks for guest in run.guests}
    for change in changes:
        key, equals, _ = change.partition("=")
        name = key.removeprefix(_PLUGINS).partition(".")[0]
        if not equals:
            raise SettingsError(f"--what-if: expected KEY=VALUE, was {change!r}")
        if name in hooks and not hooks[name] - _ASKED_OF_ROWS:
            raise SettingsError(
                f"--what-if: expected a setting of a sizing, risk or routing guest, was {key!r}: {name} is asked of "
                f"market rows, not of signals; run the market again with --set {change}"
            )
        core = ("engine.max_slippage_bps", "engine.max_spread_bps", "engine.intent_ttl_s")
        if name not in hooks and key not in core:
            known = ", ".join((*sorted(n for n, some in hooks.items() if some - _ASKED_OF_ROWS), *core))
            raise SettingsError(f"--what-if: expected a setting of one of {known}, was {key!r}")


def rows_of(run: Run) -> Rows | None:
    """Make market rows again from their source; ``None`` where the run was over live prices or the files are gone."""
    if run.resolved.settings.run.mode != "twin":
        return None
    try:
        source = open_source(run.resolved.settings)
    except (DataError, SettingsError):
        return None

    def rows(close_ms: int, count: int) -> MarketFrame | None:
        return _rows(source, close_ms, count)

    return rows


def _rows(source: RowSource, close_ms: int, count: int) -> MarketFrame | None:
    row, rest = divmod(close_ms - source.first_close_ms, source.timeframe_ms)
    return None if rest or row < 0 else source.read(max(0, row + 1 - count), row + 1)


class Change(NamedTuple):
    """One question that is answered otherwise now."""

    at_ms: int
    stored: Stored
    now: Reasked
    standing: Standing


class WhatIf(NamedTuple):
    """Stored questions under other settings."""

    asked: int
    same: int
    untold: Counter[str]
    """What was missing to answer, by how many questions."""
    before: Counter[str]
    """Outcomes of the entries as they were."""
    after: Counter[str]
    changes: tuple[Change, ...]
    faults: Counter[str]
    tuned: Counter[str]
    """Setting to the questions in which it stayed as it was tuned then."""
    standings: Counter[Standing]
    """What the answers are worth, by how many questions."""
    stop: Stop | None
    """Where exactness ends; ``None``: it does not."""


class Again(NamedTuple):
    """Who is asked the questions of one run."""

    asker: Asker
    limits: Limits | None
    """The core's own limits; ``None``: those of each question."""
    rows: Rows | None


def runs_again(journal: Path, changes: Sequence[str]) -> Callable[[str], Again | str]:
    """Make the runs of a journal again as they are asked for, each with its own settings and some of them changed.

    Args:
        changes: ``section.key=value`` or ``plugin.key=value``; those of guests that a run did not have change nothing.
    Returns:
        Run id to who is asked, or why nobody can be.
    """
    known: dict[str, Mapping[str, str]] = {}
    snapshots = newest_lines(journal, ("config_snapshot",))
    made: dict[str, Again | str] = {}

    def of(session: str) -> Again | str:
        while session not in known and (line := next(snapshots, None)) is not None:
            known.setdefault(line.session, line.data["values"])
        if session not in made:
            made[session] = _made(known[session], changes) if session in known else f"the settings of run {session}"
        return made[session]

    return of


def _made(values: Mapping[str, str], changes: Sequence[str]) -> Again | str:
    try:
        then = run_of(values)
        hooks = {guest.name for guest in then.guests}
        keys = [(change, change.removeprefix(_PLUGINS).partition(".")[0]) for change in changes]
        now = run_of(values, [change for change, name in keys if name in hooks or name == _CORE])
    except (PluginLoadError, SettingsError) as error:
        return f"guests of then: {error}"
    # what the settings leave as it was stays what was written with each question
    return Again(Asker(now.guests), now.limits if now.limits != then.limits else None, rows_of(now))


def unasked_of(run: Run, changes: Sequence[str]) -> str:
    """Why no answer about a change can be exact: its guest does more than answer questions; empty: it does not."""
    for change in changes:
        name = change.removeprefix(_PLUGINS).partition(".")[0]
        more = sorted({hook for guest in run.guests if guest.name == name for hook in guest.hooks} & _DOES)
        if more:
            return f"{name} does more than was kept of it: {', '.join(more)}"
    return ""


def ask_again(
    stored: Iterable[Stored], again: Callable[[str], Again | str], symbol: str | None = None, reach: Reach | None = None
) -> WhatIf:
    """Ask every stored question again, each as it stood.

    Args:
        again: Run id to who is asked, or why nobody can be: `runs_again`.
        symbol: Only its questions are counted; ``None``: all.
        reach: Says what each answer is worth; ``None``: nobody wants to know.
    """
    standings: Counter[Standing] = Counter()
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    untold: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    tuned: Counter[str] = Counter()
    changes: list[Change] = []
    asked = same = 0
    for kept in stored:
        one = kept if reach is None else reach.adjusted(kept)
        now = _ask(again(one.session), one)
        standing = Standing.OPEN
        if reach is not None:
            # what another symbol would have done changes the account that this one is judged with
            standing = reach.place(one, now, other_life=_other_life(again(one.session), one))
        if symbol is not None and one.inputs.signal.symbol != symbol:
            continue
        asked += 1
        standings[standing] += 1
        if standing is Standing.MOOT:
            continue
        tuned.update(one.inputs.tunes.keys())
        faults.update(now.faults)
        if now.answer is None:
            untold.update(now.missing)
            continue
        if one.inputs.question == ENTRY:
            before[one.inputs.answer.outcome] += 1
            after[now.answer.outcome] += 1
        if now.same:
            same += 1
        else:
            changes.append(Change(one.at_ns // 1_000_000, one, now, standing))
    stop = reach.stop if reach is not None else None
    return WhatIf(asked, same, untold, before, after, tuple(changes), faults, tuned, standings, stop)


def _other_life(again: Again | str, one: Stored) -> bool:
    limits = one.inputs.limits
    changed = None if isinstance(again, str) else again.limits
    return changed is not None and limits is not None and changed.intent_ttl_ms != limits.intent_ttl_ms


def _ask(again: Again | str, one: Stored) -> Reasked:
    if isinstance(again, str):
        return Reasked(one.inputs, None, (again,))
    return again.asker.ask(one.inputs, limits=again.limits, rows=again.rows)
