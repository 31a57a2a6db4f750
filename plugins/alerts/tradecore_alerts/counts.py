"""What has happened: counts by minute for the last hour and by hour for the last day, and a few facts that last.

All of it is JSON, so that it can be the job's durable answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
_MINUTES: Final = 61
_HOURS: Final = 25
_HITS_MAX: Final = 200
_NOTES_MAX: Final = 10
_TEXT_MAX: Final = 300
HALTED: Final = "halted/"
"""Begins the latch of a symbol on which a position is held and cannot be sold."""
OUTCOME: Final = "outcome."
"""Begins the count of one outcome of candidates."""


class Counts:
    """Counts and facts. `add` takes them in; `trim` forgets what no window needs any more."""

    def __init__(self) -> None:
        self.minutes: dict[int, Counter[str]] = {}
        self.hours: dict[int, Counter[str]] = {}
        self.hits_ms: list[int] = []
        """Moments of requests held back."""
        self.notes: list[tuple[int, str]] = []
        """Moments at which some part was found unwell, and how."""
        self.latches: dict[str, str] = {}
        """What is down now, to the words in which it was told; empty words: told to be up again."""
        self.limits: dict[str, str] = {}
        """Limits of the exposure as the settings in force have them."""
        self._begun = False

    def begin(self) -> None:
        """Forget what was down: a run begins."""
        self.latches = {}
        self._begun = True

    def hit(self, at_ms: int) -> None:
        """Take note of a request held back."""
        self.hits_ms = [*self.hits_ms[1 - _HITS_MAX :], at_ms]

    def note(self, at_ms: int, text: str) -> None:
        """Take note of a part found unwell."""
        self.notes = [*self.notes[1 - _NOTES_MAX :], (at_ms, text[:_TEXT_MAX])]

    def add(self, at_ms: int, key: str, times: int = 1) -> None:
        """Count something."""
        if len(self.minutes) > 2 * _MINUTES:
            self.trim(at_ms)  # nobody has asked for a while
        self.minutes.setdefault(at_ms // MINUTE_MS, Counter())[key] += times
        self.add_hour(at_ms, key, times)

    def add_hour(self, at_ms: int, key: str, times: int = 1) -> None:
        """Count something by the hour only."""
        self.hours.setdefault(at_ms // HOUR_MS, Counter())[key] += times

    def total(self, key: str, window_s: int, now_ms: int) -> int:
        """Sum a count over the window up to now, over the minutes (above an hour: the hours) that the window touches.

        Rounded up: what has happened within the window is never left out.
        """
        cells, size_ms = (self.minutes, MINUTE_MS) if window_s <= HOUR_MS // 1_000 else (self.hours, HOUR_MS)
        first, last = (now_ms - window_s * 1_000 + 1) // size_ms, now_ms // size_ms
        return sum(counted[key] for place, counted in cells.items() if first <= place <= last)

    def most(self, key: str, window_s: int, now_ms: int, since_ms: int) -> int:
        """The highest `total` at any moment after `since_ms` up to now: nobody looked meanwhile."""
        size_ms = MINUTE_MS if window_s <= HOUR_MS // 1_000 else HOUR_MS
        ends = range(now_ms, max(since_ms, now_ms - 24 * HOUR_MS), -size_ms)
        return max((self.total(key, window_s, end_ms) for end_ms in ends), default=self.total(key, window_s, now_ms))

    def most_hits(self, window_s: int, now_ms: int, since_ms: int) -> int:
        """Most requests held back within the window that ends at any moment after `since_ms` up to now."""
        hits = sorted(at_ms for at_ms in self.hits_ms if at_ms <= now_ms)
        ends = [now_ms, *(at_ms for at_ms in hits if at_ms > since_ms)]
        return max(sum(end_ms - window_s * 1_000 < at_ms <= end_ms for at_ms in hits) for end_ms in ends)

    def clamp(self, now_ms: int) -> None:
        """Take what is dated after now, by a clock that was set back since, for what happened now."""
        self.minutes = _folded(self.minutes, now_ms // MINUTE_MS)
        self.hours = _folded(self.hours, now_ms // HOUR_MS)
        self.hits_ms = [min(at_ms, now_ms) for at_ms in self.hits_ms]
        self.notes = [(min(at_ms, now_ms), text) for at_ms, text in self.notes]

    def top(self, prefix: str, now_ms: int) -> list[tuple[str, int]]:
        """Names behind a prefix with their counts of the last day, the most frequent first."""
        found: Counter[str] = Counter()
        first = now_ms // HOUR_MS - 24
        for hour, counted in self.hours.items():
            if hour > first:
                found.update({key.removeprefix(prefix): n for key, n in counted.items() if key.startswith(prefix)})
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))

    def merge(self, newer: Counts) -> None:
        """Take in what happened since."""
        for mine, theirs in ((self.minutes, newer.minutes), (self.hours, newer.hours)):
            for place, counted in theirs.items():
                mine.setdefault(place, Counter()).update(counted)
        self.hits_ms = (self.hits_ms + newer.hits_ms)[-_HITS_MAX:]
        self.notes = (self.notes + newer.notes)[-_NOTES_MAX:]
        before = {} if newer._begun else self.latches
        self.latches = {name: text for name, text in (before | newer.latches).items() if text}
        self.limits = newer.limits or self.limits

    def trim(self, now_ms: int) -> None:
        """Forget what is older than any window."""
        minute, hour = now_ms // MINUTE_MS, now_ms // HOUR_MS
        self.minutes = {place: counted for place, counted in self.minutes.items() if place > minute - _MINUTES}
        self.hours = {place: counted for place, counted in self.hours.items() if place > hour - _HOURS}
        self.hits_ms = [at_ms for at_ms in self.hits_ms if at_ms > now_ms - HOUR_MS][-_HITS_MAX:]
        self.notes = [note for note in self.notes if note[0] > now_ms - 24 * HOUR_MS][-_NOTES_MAX:]

    @property
    def state(self) -> dict[str, object]:
        """As JSON can hold it."""
        return {
            "minutes": {str(place): dict(counted) for place, counted in sorted(self.minutes.items())},
            "hours": {str(place): dict(counted) for place, counted in sorted(self.hours.items())},
            "hits_ms": list(self.hits_ms),
            "notes": [list(note) for note in self.notes],
            "latches": dict(self.latches),
            "limits": dict(self.limits),
        }


def _folded(cells: dict[int, Counter[str]], last: int) -> dict[int, Counter[str]]:
    """Cells with all that lies beyond the last one added to it."""
    kept: dict[int, Counter[str]] = {}
    for place, counted in cells.items():
        kept.setdefault(min(place, last), Counter()).update(counted)
    return kept


def counts_of(state: Mapping[str, Any]) -> Counts:
    """Read what `Counts.state` wrote.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It is something else.
    """
    made = Counts()
    for mine, name in ((made.minutes, "minutes"), (made.hours, "hours")):
        for place, counted in state[name].items():
            mine[int(place)] = Counter({str(key): int(times) for key, times in counted.items()})
    made.hits_ms = [int(at_ms) for at_ms in state["hits_ms"]]
    made.notes = [(int(at_ms), str(text)) for at_ms, text in state["notes"]]
    made.latches = {str(name): str(text) for name, text in state["latches"].items()}
    made.limits = {str(name): str(value) for name, value in state["limits"].items()}
    return made
