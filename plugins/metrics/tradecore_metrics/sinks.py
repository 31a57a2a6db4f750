"""Where figures are written to: a JSON file, and StatsD over UDP."""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradecore_metrics.figures import Figures, Value

_PACKET_MAX: Final = 1_400
"""Bytes of one datagram: fits the smallest frame on the way."""
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_./-]+")


def write_json(figures: Figures, path: Path, facts: Mapping[str, object]) -> None:
    """Write all figures to a file; a reader sees the file of before or the new one, never a part.

    Args:
        path: The file; a neighbour with the ending ``.tmp`` is written first.
        facts: What stands above the figures, as the run's id.
    Raises:
        OSError: The file cannot be written.
    """
    found = [
        {"name": value.name, "labels": dict(value.labels), "value": value.value, "kind": value.kind}
        for value in figures.values()
        if math.isfinite(value.value)
    ]
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(json.dumps({**facts, "figures": found}, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


class Change(NamedTuple):
    """What StatsD is told of one figure."""

    line: bytes
    key: tuple[str, str]
    """Name and tags."""
    value: float
    """What the figure is once the line has been sent."""


class StatsD:
    """Sends what changed since the last time: counters as differences, gauges as they are.

    Args:
        host: Name or address.
        port: 1 to 65535.
        tags: True writes labels as tags (``|#side:buy``, as Datadog, Telegraf and vector read them); False writes their
            values as parts of the name.
    """

    def __init__(self, host: str, port: int, *, tags: bool) -> None:
        self._where: Final = (host, port)
        self._tags: Final = tags
        self._sent: Final[dict[tuple[str, str], float]] = {}
        self._found: tuple[socket.AddressFamily, Any] | None = None
        """Family and address of the newest look-up that had an answer."""

    def send(self, figures: Figures, *, resolve: bool = True) -> None:
        """Send all that changed; UDP tells nobody whether it came.

        Args:
            figures: What is sent.
            resolve: False takes the address of last time, where there is one: a look-up may take long.
        Raises:
            OSError: The host is not known or nothing can be sent.
            ValueError: The host is no name at all.
        """
        if resolve or self._found is None:
            named = socket.getaddrinfo(*self._where, type=socket.SOCK_DGRAM)[0]
            self._found = named[0], named[4]
        family, address = self._found
        with socket.socket(family, socket.SOCK_DGRAM) as sending:
            sending.setblocking(False)
            for packet in packets(self._changes(figures.values())):
                sending.sendto(b"\n".join(change.line for change in packet), address)
                # only now: a difference that this machine could not send is part of the next one
                self._sent.update((change.key, change.value) for change in packet)

    def _changes(self, values: Iterable[Value]) -> Iterator[Change]:
        for value in values:
            if not math.isfinite(value.value) or value.name.endswith("_bucket"):
                continue  # a StatsD server makes its own percentiles; sum and count of a histogram are told
            name, tags = key = self._named(value)
            before = self._sent.get(key, 0.0)
            if value.kind == "gauge":
                # a sign would mean a step down, so a negative value begins at 0
                zero = f"{name}:0|g{tags}\n" if value.value < 0 else ""
                yield Change(f"{zero}{name}:{_number(value.value)}|g{tags}".encode(), key, value.value)
            elif value.value != before:
                yield Change(f"{name}:{_number(value.value - before)}|c{tags}".encode(), key, value.value)

    def _named(self, value: Value) -> tuple[str, str]:
        name = value.name.replace("tradecore_", "tradecore.", 1)
        if not value.labels:
            return name, ""
        if self._tags:
            return name, "|#" + ",".join(f"{key}:{_fit(text)}" for key, text in value.labels.items())
        return ".".join([name, *(_fit(text).replace(".", "_") for text in value.labels.values())]), ""


def packets(changes: Iterable[Change]) -> Iterator[Sequence[Change]]:
    """Put changes together into datagrams that fit the smallest frame."""
    waiting: list[Change] = []
    size = 0
    for change in changes:
        if waiting and size + 1 + len(change.line) > _PACKET_MAX:
            yield waiting
            waiting, size = [], 0
        size += len(change.line) + (1 if waiting else 0)
        waiting.append(change)
    if waiting:
        yield waiting


def _fit(text: str) -> str:
    return _UNFIT.sub("_", text) or "_"


def _number(value: float) -> str:
    return f"{value:.12g}" if value != int(value) else str(int(value))
