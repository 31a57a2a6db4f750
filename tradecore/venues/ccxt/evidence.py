"""What the transport saw while ccxt worked: one record per request, gathered beside the call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from tradecore.venues.classify import RawReply


class Heard:
    """One request and its answer; filled in while it runs.

    Args:
        method: HTTP method.
        path: Path of the address, never its query: that one is signed.
        started_s: Monotonic market time.
    """

    __slots__ = (
        "body", "entered", "error", "headers", "latency_ms", "method", "path", "prepared", "started_s", "status"
    )  # fmt: skip

    def __init__(self, method: str, path: str, started_s: float) -> None:
        self.method: Final = method
        self.path: Final = path
        self.started_s: Final = started_s
        self.entered = True
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body: str | None = None
        self.error = ""
        self.latency_ms = 0.0
        self.prepared: tuple[str, Any] | None = None
        """A large answer and what it says, until ccxt asks for it."""

    @property
    def reply(self) -> RawReply:
        """The record as the judge takes it."""
        return RawReply(self.entered, self.status, self.headers, self.body, self.error, self.latency_ms)


_HEARD: Final[ContextVar[list[Heard] | None]] = ContextVar("heard", default=None)


_RUNNING: Final[ContextVar[Heard | None]] = ContextVar("running", default=None)


@contextmanager
def running(heard: Heard) -> Iterator[None]:
    """Name the request under way in this task, for whoever hears its answer."""
    token = _RUNNING.set(heard)
    try:
        yield
    finally:
        _RUNNING.reset(token)


def prepare(body: str, parsed: Any) -> None:
    """Keep what an answer to the request under way says, so that it need not be parsed again in one go."""
    heard = _RUNNING.get()
    if heard is not None:
        heard.prepared = (body, parsed)


def prepared(body: str) -> tuple[Any] | None:
    """What an answer to the request under way says, to be had once; ``None`` where it was not prepared."""
    heard = _RUNNING.get()
    if heard is None or heard.prepared is None:
        return None
    (text, parsed), heard.prepared = heard.prepared, None
    return (parsed,) if text == body else None


def answered(status: int, headers: Mapping[str, str], body: str) -> None:
    """Write down the answer to the request under way."""
    heard = _RUNNING.get()
    if heard is not None:
        heard.status, heard.headers, heard.body = status, dict(headers), body


@contextmanager
def gathering() -> Iterator[list[Heard]]:
    """Gather the requests made inside; ccxt's own tasks inherit the list."""
    heard: list[Heard] = []
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)


def note(heard: Heard) -> None:
    """Add a request to the gathering under way; outside of one nobody asked."""
    gathered = _HEARD.get()
    if gathered is not None:
        gathered.append(heard)


def reply_of(heard: Sequence[Heard], error: str) -> RawReply:
    """The last answer of a read.

    Args:
        error: What ccxt raised; empty if nothing.
    """
    if not heard:
        return RawReply(False, None, {}, None, error or "nothing left the machine")
    return heard[-1].reply


def sent_of(heard: Sequence[Heard], error: str) -> RawReply:
    """The answer to the one request that may have changed something.

    Some exchanges are asked for their settings first; a send is what is not a GET. Were there two of them, no single
    answer could tell the fate of both, so there is none.
    """
    sends = [one for one in heard if one.method != "GET"]
    entered = [one for one in sends if one.entered]
    if len(entered) > 1:
        return RawReply(True, None, {}, None, f"expected one send, were {len(entered)}")
    if entered:
        return entered[0].reply
    told = error or (sends[-1].error if sends else "") or "nothing left the machine"
    return RawReply(False, None, {}, None, told, sum(one.latency_ms for one in heard))
