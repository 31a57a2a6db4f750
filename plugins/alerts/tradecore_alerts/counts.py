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

    def hit(self, at_ms: int) -> None:
        """Take note of a request held back."""
        self.hits_ms = [*self.hits_ms[-_HITS_MAX:], at_ms]

    def note(self, at_ms: int, text: str) -> None:
        """Take note of a part found unwell."""
        self.notes = [*self.notes[-_NOTES_MAX:], (at_ms, text[:_TEXT_MAX])]

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
        """Sum a count over the window up to now; a window of more than an hour is counted by whole hours."""
        if window_s <= HOUR_MS // 1_000:
            first = (now_ms - window_s * 1_000) // MINUTE_MS
            return sum(counted[key] for minute, counted in self.minutes.items() if minute > first)
        first = (now_ms - window_s * 1_000) // HOUR_MS
        return sum(counted[key] for hour, counted in self.hours.items() if hour > first)

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
        self.latches = {name: text for name, text in (self.latches | newer.latches).items() if text}
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
