"""An event as one line of bytes, its secrets masked.

The keys of a line, in this order::

    seq           line number over all five taxonomies of the folder, from 1, rising in each file, on over restarts
    at_ns         market time, nanoseconds since 1970 UTC
    kind          name in the registry (docs/events.md)
    taxonomy      which of the five families of files
    session       run id
    decision, intent, client_order, venue_order    correlation ids, "" where they do not apply
    store_seq     only for booked events: the sequence number that the store gave
    data          the event's own fields
    chain         what ties the line to the one before it; added when it is written (journal/chain.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from tradecore.journal.mask import MASKED, Mask
from tradecore.journal.shapes import shape_of
from tradecore.model.events import Ids
from tradecore.model.units import canonical

FRAME: Final = ("seq", "at_ns", "kind", "taxonomy", "session", "decision", "intent", "client_order", "venue_order")
"""Keys that every line has, in order; ``store_seq`` may follow, then ``data`` and, in a file, ``chain``."""
_MASKED_TEXT: Final = MASKED.decode()


class Encoder:
    """Writes lines for one session.

    Args:
        session: The run id.
        mask: Knows the secrets; they may be added later.
    """

    def __init__(self, session: str, mask: Mask) -> None:
        self._session = session
        self._mask = mask

    def line(self, seq: int, at_ns: int, event: Any, ids: Ids, store_seq: int | None = None) -> bytes:
        """Write one event.

        Args:
            seq: Line number, >= 1.
            at_ns: Nanoseconds since 1970 UTC.
            store_seq: The store's sequence number; ``None`` for a diagnostic.
        Returns:
            One line with its line feed.
        Raises:
            KeyError: If the event's type is not registered.
            TypeError: If one of its values has no JSON form.
        """
        shape = shape_of(type(event))
        values = list(event)
        for at, packer in shape.packers:
            values[at] = packer(values[at])
        decision, intent, client_order, venue_order = ids
        frame = {
            "seq": seq,
            "at_ns": at_ns,
            "kind": shape.kind.name,
            "taxonomy": shape.kind.taxonomy.value,
            "session": self._session,
            "decision": decision,
            "intent": intent,
            "client_order": client_order,
            "venue_order": venue_order,
        }
        if store_seq is not None:
            frame["store_seq"] = store_seq
        frame["data"] = dict(zip(shape.names, values, strict=True))
        try:
            raw = orjson.dumps(frame, _other, orjson.OPT_APPEND_NEWLINE)
        except TypeError:
            # Half a surrogate pair in a file name, a number wider than 64 bits: rare, and worth a slower second try.
            raw = orjson.dumps(_scrub(frame), _other, orjson.OPT_APPEND_NEWLINE)
        cleaned = self._mask.clean_line(raw)
        return raw if cleaned is raw else self._sound(raw, cleaned)

    def _sound(self, raw: bytes, cleaned: bytes) -> bytes:
        """Make sure that a masked line is still a line.

        A secret that consists of digits, or that equals a word of the schema, would tear the JSON or its keys.
        Then the values are masked one by one instead: the schema's own words are public and stay.
        """
        before = orjson.loads(raw)
        try:
            after = orjson.loads(cleaned)
        except orjson.JSONDecodeError:
            after = None
        if isinstance(after, dict) and _same_frame(before, after):
            return cleaned
        kept = {"seq", "at_ns", "kind", "taxonomy", "store_seq", "data"}
        masked = {key: value if key in kept else self._mask.text(value) for key, value in before.items()}
        masked["data"] = {name: self._walk(value) for name, value in before["data"].items()}
        return orjson.dumps(masked, option=orjson.OPT_APPEND_NEWLINE)

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._mask.text(value)
        if isinstance(value, dict):
            return {self._mask.text(key): self._walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._walk(item) for item in value]
        text = str(value)
        return value if self._mask.text(text) == text else _MASKED_TEXT


def _same_frame(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if list(before) != list(after) or not isinstance(after["data"], dict):
        return False
    fixed = ("seq", "at_ns", "kind", "taxonomy", "store_seq")
    return all(before.get(key) == after.get(key) for key in fixed) and list(before["data"]) == list(after["data"])


def _other(value: Any) -> Any:
    """Turn a value that orjson does not know into one that it does."""
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, set, frozenset)):
        return list(value) if isinstance(value, tuple) else sorted(value)
    if hasattr(value, "item"):  # a number of numpy's
        return value.item()
    raise TypeError(f"expected a plain value in an event, was {type(value).__name__}")


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_scrub(str(key)): _scrub(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrub(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    return value
