"""The head of a journal: how far each taxonomy's chain reached when its files were last made durable.

Without it nobody could tell a file that was cut at its end, or a newest file that was taken away, from one that ends
there. ``head.json`` is replaced as a whole, always after the lines that it speaks of have reached the disk: after a
crash the files go further than the head, never less far.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from tradecore.errors import DataError
from tradecore.journal.chain import origin
from tradecore.model.events import Taxonomy

HEAD_FILE: Final = "head.json"


class Reach(NamedTuple):
    """How far one taxonomy's chain goes, and where it begins."""

    seq: int
    """Number of its last line; 0 for none."""
    link: bytes
    """Of that line; the origin where there is none."""
    file: str
    """The file that holds it, without its folder; empty where there is none."""
    gone_seq: int = 0
    """Number of the last line that retention deleted; 0 where all are there."""
    gone_link: bytes = b""
    """Of that line; empty where nothing is gone, or where the head was lost and the first line is taken on trust."""
    gone_files: int = 0
    """Files that retention deleted."""


class Head(NamedTuple):
    """What was durable when the head was written."""

    seq: int
    """Highest line number."""
    sequence: int
    """The store's number of the newest booked event."""
    reaches: Mapping[Taxonomy, Reach]


def fresh_reach(taxonomy: Taxonomy) -> Reach:
    """The reach of a taxonomy without a line."""
    return Reach(0, origin(taxonomy), "")


def fresh_head() -> Head:
    """The head of an empty journal."""
    return Head(0, 0, {taxonomy: fresh_reach(taxonomy) for taxonomy in Taxonomy})


def read_head(folder: Path) -> Head | None:
    """Read the head; ``None``: there is none.

    Raises:
        DataError: If it is damaged.
    """
    path = folder / HEAD_FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"expected a head of the journal that can be read: {error.strerror}") from error
    try:
        found = orjson.loads(raw)
        check = found.pop("check")
        if check != _check(found) or raw != _bytes(found, check):
            raise DataError(f"expected {HEAD_FILE} as it was written, was changed")
        return Head(
            found["seq"],
            found["sequence"],
            {Taxonomy(name): _reach(fields) for name, fields in found["taxonomies"].items()},
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"expected {HEAD_FILE} to hold a head, was damaged") from error


def write_head(folder: Path, head: Head) -> None:
    """Replace the head, durably.

    Raises:
        OSError: If the disk refuses; the old one is still there.
    """
    taxonomies = {taxonomy.value: _fields(reach) for taxonomy, reach in head.reaches.items()}
    found = {"seq": head.seq, "sequence": head.sequence, "taxonomies": taxonomies}
    draft = folder / (HEAD_FILE + ".tmp")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.write(file, _bytes(found, _check(found)))
        os.fsync(file)
    finally:
        os.close(file)
    draft.replace(folder / HEAD_FILE)


def _bytes(found: Mapping[str, Any], check: str) -> bytes:
    return orjson.dumps({**found, "check": check}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _check(found: Mapping[str, Any]) -> str:
    return hashlib.blake2b(orjson.dumps(found), digest_size=8).hexdigest()


def _fields(reach: Reach) -> dict[str, Any]:
    return {**reach._asdict(), "link": reach.link.decode(), "gone_link": reach.gone_link.decode()}


def _reach(fields: Mapping[str, Any]) -> Reach:
    return Reach(**{**fields, "link": fields["link"].encode(), "gone_link": fields["gone_link"].encode()})
