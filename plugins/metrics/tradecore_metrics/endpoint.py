"""The endpoint that Prometheus scrapes: small, bounded, and away from the trading loop.

prometheus_client's own server gives every client a thread for as long as it likes. This one runs on the exporter's
single thread: few connections at a time and few a second, a short request within a short time, one rendering a second.
A client that sends slowly, much, or often waits itself; the trading loop does not see it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Final

from prometheus_client.exposition import choose_encoder

from tradecore_metrics.figures import Figures

_REQUEST_BYTES_MAX: Final = 8_192
_CONNECTIONS_MAX: Final = 8
_PACE_S: Final = 0.01
"""Between two connections taken: at most 100 a second."""
_REQUEST_S: Final = 2.0
_ANSWER_S: Final = 5.0
_FRESH_S: Final = 1.0
_PHRASES: Final = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    431: "Request Header Fields Too Large",
}  # fmt: skip


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Raises:
        OSError: The address is in use or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=16)
    made.setblocking(False)
    return made


class Endpoint:
    """Answers ``GET /metrics``.

    Args:
        figures: What is told.
        seconds: Time of the wall.
    """

    def __init__(self, figures: Figures, seconds: Callable[[], float] = time.monotonic) -> None:
        self._figures: Final = figures
        self._seconds: Final = seconds
        self._rendered: Final[dict[str, tuple[float, bytes]]] = {}
        """Content type to when it was rendered and what came out."""
        self._clients: Final[set[asyncio.Task[None]]] = set()

    async def serve(self, listening: socket.socket) -> None:
        """Take connections until cancelled; closes the socket and what is open then."""
        loop = asyncio.get_running_loop()
        free = asyncio.Semaphore(_CONNECTIONS_MAX)
        try:
            while True:
                await free.acquire()
                try:
                    connection, _ = await loop.sock_accept(listening)
                except OSError:  # the client has gone again, or no file handle is left: the next one may do better
                    free.release()
                    await asyncio.sleep(1.0)
                    continue
                task = asyncio.create_task(self._client(connection))
                self._clients.add(task)
                task.add_done_callback(self._clients.discard)
                task.add_done_callback(lambda _: free.release())
                await asyncio.sleep(_PACE_S)
        finally:
            listening.close()
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, connection: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=_REQUEST_BYTES_MAX)
        except OSError:
            connection.close()
            self._figures.count("metrics_requests", "gone")
            return
        try:
            answer = "gone"
            status, accept, with_body = await self._request(reader)
            if status:
                async with asyncio.timeout(_ANSWER_S):
                    writer.write(self._answer(status, accept, with_body))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
                answer = str(status)
        except (OSError, TimeoutError):
            answer = "gone"
        finally:
            writer.transport.abort()
        self._figures.count("metrics_requests", answer)

    async def _request(self, reader: asyncio.StreamReader) -> tuple[int, str, bool]:
        """Read a request: status to answer with (0: nobody is there), its Accept header, whether it wants a body."""
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except TimeoutError:
            return 408, "", True
        except asyncio.LimitOverrunError:
            return 431, "", True
        except asyncio.IncompleteReadError:
            return 0, "", True
        line, *headers = head.split("\r\n")
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return 400, "", True
        method, target, _ = words
        if method not in {"GET", "HEAD"}:
            return 405, "", True
        if target.partition("?")[0] != "/metrics":
            return 404, "", method == "GET"
        named = (header.partition(":") for header in headers)
        accept = ",".join(value.strip() for name, _, value in named if name.lower() == "accept")
        return 200, accept, method == "GET"

    def _answer(self, status: int, accept: str, with_body: bool) -> bytes:
        if status == 200:
            body, kind = self._render(accept)
        else:
            body, kind = f"{_PHRASES[status]}: the figures are at GET /metrics\n".encode(), "text/plain; charset=utf-8"
        head = (
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + (body if with_body else b"")

    def _render(self, accept: str) -> tuple[bytes, str]:
        encode, kind = choose_encoder(accept)
        now = self._seconds()
        known = self._rendered.get(kind)
        if known is not None and now - known[0] < _FRESH_S:
            return known[1], kind
        body = encode(self._figures)
        if len(self._rendered) > 4:  # a client can name many types
            self._rendered.clear()
        self._rendered[kind] = (now, body)
        return body, kind
