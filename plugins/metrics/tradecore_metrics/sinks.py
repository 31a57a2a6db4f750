"""Where figures are written to: a JSON file, and StatsD over UDP."""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

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
        """
        if resolve or self._found is None:
            named = socket.getaddrinfo(*self._where, type=socket.SOCK_DGRAM)[0]
            self._found = named[0], named[4]
        family, address = self._found
        with socket.socket(family, socket.SOCK_DGRAM) as sending:
            sending.setblocking(False)
            for packet in packets(self._lines(figures.values())):
                sending.sendto(packet, address)

    def _lines(self, values: Iterable[Value]) -> Iterator[str]:
        for value in values:
            if not math.isfinite(value.value) or value.name.endswith("_bucket"):
                continue  # a StatsD server makes its own percentiles; sum and count of a histogram are told
            name, tags = self._named(value)
            before = self._sent.get((name, tags))
            self._sent[name, tags] = value.value
            if value.kind == "gauge":
                if value.value < 0:
                    yield f"{name}:0|g{tags}"  # a sign would mean a step down, so a negative value begins at 0
                yield f"{name}:{_number(value.value)}|g{tags}"
            elif value.value != (before or 0.0):
                yield f"{name}:{_number(value.value - (before or 0.0))}|c{tags}"

    def _named(self, value: Value) -> tuple[str, str]:
        name = value.name.replace("tradecore_", "tradecore.", 1)
        if not value.labels:
            return name, ""
        if self._tags:
            return name, "|#" + ",".join(f"{key}:{_fit(text)}" for key, text in value.labels.items())
        return ".".join([name, *(_fit(text).replace(".", "_") for text in value.labels.values())]), ""


def packets(lines: Iterable[str]) -> Iterator[bytes]:
    """Put lines together into datagrams that fit the smallest frame."""
    waiting = b""
    for line in lines:
        block = line.encode()
        if waiting and len(waiting) + 1 + len(block) > _PACKET_MAX:
            yield waiting
            waiting = b""
        waiting = waiting + b"\n" + block if waiting else block
    if waiting:
        yield waiting


def _fit(text: str) -> str:
    return _UNFIT.sub("_", text) or "_"


def _number(value: float) -> str:
    return f"{value:.12g}" if value != int(value) else str(int(value))
