"""The HTTP session under ccxt: no redirects, answers of bounded size, and a word on whether bytes can have left.

ccxt calls ``session.get(...)`` and its like and reads the answer's text. A redirect would send a POST twice, and an
answer without end would fill the memory (reference orders.md F18), so both are held here and not left to the library.
"""

from __future__ import annotations

import contextlib
import ssl
from types import TracebackType
from typing import Any, Final, Protocol

import aiohttp

from tradecore.venues.ccxt import evidence
from tradecore.venues.ccxt.heap import sleeping_collector
from tradecore.venues.ccxt.pieces import LARGE, parse_in_pieces

MAX_BYTES: Final = 64_000_000
"""Largest answer read; exchangeInfo of all symbols is the largest that venues send, about 20 MB."""


class Answer:
    """One answer as ccxt reads it.

    Args:
        content: The body as it came, unpacked.
    """

    def __init__(self, status: int, reason: str, headers: Any, content: bytes) -> None:
        self.status: Final = status
        self.reason: Final = reason
        self.headers: Final = headers
        self.content: Final = content

    async def text(self, errors: str = "strict") -> str:
        """The body as text; all venues send UTF-8. A large one is parsed here already, in pieces."""
        text = self.content.decode(errors=errors).strip()
        if len(text) >= LARGE:
            # what is no JSON is left to ccxt, whose word on it is known
            with contextlib.suppress(ValueError, RecursionError), sleeping_collector(first=True):
                evidence.prepare(text, await parse_in_pieces(text))
        return text


class _Request:
    """``async with`` around one request, as aiohttp's own."""

    def __init__(self, session: aiohttp.ClientSession, method: str, url: Any, options: dict[str, Any]) -> None:
        self._context: Final = session.request(method, url, allow_redirects=False, **options)

    async def __aenter__(self) -> Answer:
        response = await self._context.__aenter__()
        try:
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise aiohttp.ClientPayloadError(f"expected at most {MAX_BYTES} bytes")
        except BaseException as error:
            await self._context.__aexit__(type(error), error, error.__traceback__)
            raise
        return Answer(response.status, response.reason or "", response.headers, bytes(content))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._context.__aexit__(kind, error, trace)


class Transport(Protocol):
    """What ccxt asks of its session; tests answer from a script instead."""

    headers: dict[str, str]
    """Sent with every request."""

    def get(self, url: Any, **options: Any) -> Any:
        """Begin a request."""

    def post(self, url: Any, **options: Any) -> Any:
        """Begin a request."""

    def put(self, url: Any, **options: Any) -> Any:
        """Begin a request."""

    def delete(self, url: Any, **options: Any) -> Any:
        """Begin a request."""

    async def close(self) -> None:
        """Let go of connections. May be called twice."""


class HttpTransport:
    """Connections of our own; opened with the first request, so it may be made before a loop runs.

    Args:
        cafile: File of trusted certificates; empty takes the system's.
    """

    def __init__(self, cafile: str = "") -> None:
        self.headers: dict[str, str] = {}
        self._cafile: Final = cafile
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            secured = ssl.create_default_context(cafile=self._cafile or None)
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=secured, limit=100))
        return self._session

    def get(self, url: Any, **options: Any) -> _Request:
        """Begin a request."""
        return _Request(self._opened(), "GET", url, options)

    def post(self, url: Any, **options: Any) -> _Request:
        """Begin a request."""
        return _Request(self._opened(), "POST", url, options)

    def put(self, url: Any, **options: Any) -> _Request:
        """Begin a request."""
        return _Request(self._opened(), "PUT", url, options)

    def delete(self, url: Any, **options: Any) -> _Request:
        """Begin a request."""
        return _Request(self._opened(), "DELETE", url, options)

    def ws_connect(self, *facts: Any, **options: Any) -> Any:
        """Begin a websocket, for streams that share the connections."""
        return self._opened().ws_connect(*facts, **options)

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def never_left(error: BaseException) -> bool:
    """Tell whether an error proves that no byte of a request left: there was no connection to write to.

    True only where connecting itself failed (refused, no route, no such name, TLS). A POST is never repeated by the
    library and never redirected, so no earlier try of the same request can have got through.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, aiohttp.ClientConnectorError):
            return True
        cause = cause.__cause__
    return False
