"""Finding lines without reading them all: by kind and by texts that must stand in them, on the bytes of whole days.

A day of a big universe is tens of megabytes; parsing it takes half a second, searching it a few hundredths.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path

from tradecore.journal.chain import unseal
from tradecore.journal.day_index import LeftOut
from tradecore.journal.files import DayFile, day_of, list_files
from tradecore.journal.read import Line, parse
from tradecore.journal.sound import read_sound
from tradecore.model.events import REGISTRY, Taxonomy


def matching(data: bytes, kinds: Collection[str], texts: Sequence[bytes] = ()) -> Iterator[bytes]:
    """Take the lines of some kinds in which every one of `texts` stands, in the order of the file.

    Args:
        kinds: Empty takes all.
    """
    for match in _pattern(tuple(sorted(kinds))).finditer(data):
        start, end = data.rfind(b"\n", 0, match.start()) + 1, data.find(b"\n", match.end())
        line = data[start:end]
        if all(text in line for text in texts):
            yield line


@cache
def _pattern(kinds: tuple[str, ...]) -> re.Pattern[bytes]:
    # the frame's own key: inside of a text its quotes would stand behind backslashes
    names = b"|".join(re.escape(kind.encode()) for kind in kinds) if kinds else rb"[a-z_0-9]+"
    return re.compile(rb',"kind":"(?:' + names + rb')","taxonomy"')


def families_of(kinds: Collection[str]) -> tuple[Taxonomy, ...]:
    """The taxonomies in which some kinds stand; all of them for none, or for one of another version."""
    if not kinds or any(kind not in REGISTRY for kind in kinds):
        return tuple(Taxonomy)
    wanted = {REGISTRY[kind].taxonomy for kind in kinds}
    return tuple(taxonomy for taxonomy in Taxonomy if taxonomy in wanted)


def newest_lines(
    folder: Path,
    kinds: Collection[str],
    texts: Sequence[str] = (),
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    left_out: list[LeftOut] | None = None,
) -> Iterator[Line]:
    """Find lines, the newest first; a day is read when the days after it are used up.

    Args:
        folder: The journal's folder.
        kinds: Empty takes all.
        texts: Texts that must stand in a line as they are written there.
        since_ns: Nanoseconds since 1970 UTC, included; ``None``: no bound.
        until_ns: Not included.
        left_out: Is given what the answer is given without, as far as it was read; ``None``: nobody wants to know.
    """
    wanted = [text.encode() for text in texts]
    days: dict[int, list[DayFile]] = {}
    for taxonomy in families_of(kinds):
        for file in list_files(folder, taxonomy):
            # lines come late into a file, never early
            if since_ns is None or file.day >= day_of(since_ns):
                days.setdefault(file.day, []).append(file)
    for day in sorted(days, reverse=True):
        found = [raw for file in days[day] for raw in matching(read_sound(file, left_out), kinds, wanted)]
        lines = list(map(parse, found))
        lines.sort(key=lambda line: (line.at_ns, line.seq), reverse=True)
        for line in lines:
            if (since_ns is None or line.at_ns >= since_ns) and (until_ns is None or line.at_ns < until_ns):
                yield line


def newest_ns(folder: Path) -> int | None:
    """The newest market time in the journal's last sound lines; ``None`` for an empty one."""
    found = []
    for taxonomy in Taxonomy:
        for file in reversed(list_files(folder, taxonomy)):
            tail = _tail(file)
            if tail is not None:
                found.append(parse(tail).at_ns)
                break
    return max(found, default=None)


def _tail(file: DayFile, window: int = 1 << 18) -> bytes | None:
    """The last sound line of a file; ``None`` where it has none."""
    if not file.packed:
        try:
            with file.path.open("rb") as raw:
                raw.seek(max(0, raw.seek(0, 2) - window))
                lines = raw.read().split(b"\n")[:-1]
        except FileNotFoundError:
            lines = []  # packed between the listing and now
        for line in reversed(lines):
            taken = unseal(line + b"\n")
            if taken is not None and taken.sound:
                return line
    data = read_sound(file).rstrip(b"\n")
    return data[data.rfind(b"\n") + 1 :] or None
