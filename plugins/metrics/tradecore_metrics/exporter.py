"""The one thread that talks to the outside: serves the endpoint, writes the file, sends to StatsD.

Whatever a client, a disk or a name server does, the trading loop waits for none of it. It only moves figures, and asks
for an export by setting a flag.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Final

from tradecore.model.alert import Alert
from tradecore_metrics.endpoint import Endpoint, listen
from tradecore_metrics.figures import Figures
from tradecore_metrics.sinks import StatsD, write_json

THREAD_NAME: Final = "metrics-export"
_END_S: Final = 1.0


class Exporter:
    """Serves and writes the figures until `close`.

    Args:
        figures: What is told.
        address: Host and port of the endpoint, port 0 for any free one; ``None``: there is none.
        file: The JSON file; ``None``: there is none.
        statsd: ``None``: nothing is sent.
        run_id: Stands in the file.
        live: False where time is virtual: nobody outside can be waited for, so the file is written at the end, and that
            is all.
    """

    def __init__(
        self,
        figures: Figures,
        *,
        address: tuple[str, int] | None,
        file: Path | None,
        statsd: StatsD | None,
        run_id: str,
        live: bool = True,
    ) -> None:
        self.bound: tuple[str, int] | None = None
        """Where the endpoint listens; ``None``: it does not."""
        self._figures: Final = figures
        self._address: Final = address if live else None
        self._file: Final = file
        self._statsd: Final = statsd if live else None
        self._live: Final = live
        self._run_id: Final = run_id
        self._as_of_ms = 0
        self._failing: Final[set[str]] = set()
        self._alerts: Final[deque[Alert]] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: Final = asyncio.Event()
        self._closing = False
        self._thread: Final = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)

    def start(self) -> None:
        """Listen, and begin; a port in use is told once, and tried again at each export."""
        if not self._live:
            return
        self._loop = asyncio.new_event_loop()
        listening = self._listen()
        if listening is not None:
            self._loop.call_soon(self._serve, listening)
        self._thread.start()

    def ask(self, as_of_ms: int) -> None:
        """Have everything exported soon; returns at once."""
        self._as_of_ms = as_of_ms
        self._poke()

    def close(self, as_of_ms: int) -> bool:
        """Export a last time and end the thread; False where that takes too long and the thread is left behind."""
        self._as_of_ms = as_of_ms
        self._closing = True
        if self._loop is None:
            self.export(as_of_ms, final=True)
            return True
        self._poke()
        self._thread.join(_END_S)
        return not self._thread.is_alive()

    def export(self, as_of_ms: int, *, final: bool) -> None:
        """Write the file and send to StatsD now, on the caller's thread; what fails is counted and told once.

        Args:
            as_of_ms: Market time of the figures.
            final: True where no further export follows by plan; the name of the StatsD server is not asked for then.
        """
        if self._file is not None:
            facts = {
                "run_id": self._run_id, "as_of_ms": as_of_ms, "final": final,
                "endpoint": f"{self.bound[0]}:{self.bound[1]}" if self.bound else "",
            }  # fmt: skip
            try:
                write_json(self._figures, self._file, facts)
            except (OSError, ValueError) as error:
                self._went("json", error)
            else:
                self._went("json", None)
        if self._statsd is not None:
            try:
                self._statsd.send(self._figures, resolve=not final)
            except (OSError, ValueError) as error:  # a name that cannot be one is a UnicodeError
                self._went("statsd", error)
            else:
                self._went("statsd", None)

    def _went(self, sink: str, error: Exception | None) -> None:
        self._figures.count("metrics_exports", sink, "error" if error else "ok")
        self._tell(sink, f"the figures do not get to {sink}: {error}" if error else "")

    def alerts(self) -> tuple[Alert, ...]:
        """Hand over what went wrong since it was last asked for, and what works again: each once."""
        return tuple(self._alerts.popleft() for _ in range(len(self._alerts)))

    def _tell(self, what: str, trouble: str) -> None:
        if trouble and what not in self._failing:
            self._failing.add(what)
            self._alerts.append(Alert(f"metrics_{what}", "warning", trouble))
        elif not trouble and what in self._failing:
            self._failing.discard(what)
            self._alerts.append(Alert(f"metrics_{what}", "info", f"{what} works again", resolved=True))

    # The thread -----------------------------------------------------------------------------------------------

    def _poke(self) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._wake.set)

    def _run(self) -> None:
        made = self._loop
        assert made is not None, "start makes it"
        with asyncio.Runner(loop_factory=lambda: made) as runner:
            runner.run(self._work())

    async def _work(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            if self.bound is None and not self._closing and (listening := self._listen()) is not None:
                self._serve(listening)
            if not self._closing:
                self.export(self._as_of_ms, final=False)
        self.export(self._as_of_ms, final=True)

    def _serve(self, listening: socket.socket) -> None:
        assert self._loop is not None, "start makes it"
        self._serving = self._loop.create_task(Endpoint(self._figures).serve(listening))

    def _listen(self) -> socket.socket | None:
        if self._address is None:
            return None
        try:
            listening = listen(*self._address)
        except OSError as error:
            self._tell("endpoint", f"no endpoint for Prometheus: {self._address[0]}:{self._address[1]}: {error}")
            return None
        host, port = listening.getsockname()[:2]
        self.bound = (host, port)
        self._tell("endpoint", "")
        return listening
