"""Watching a run: looked at on the engine's loop, painted in a thread, so that a slow terminal never slows a trade."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from tradecore.model.portfolio import TradingState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradecore.app import Prepared
    from tradecore.engine.engine import Engine
    from tradecore.ports.clock import Clock

G = TypeVar("G")
LOOK_S = 0.25
"""Wall seconds between two looks: 4 Hz."""
_ALARMS_KEPT = 20
_PATIENCE_S = 2.0
"""Wall seconds that the end of a run waits for a terminal that takes nothing."""


class Alarm(NamedTuple):
    """Something critical that happened while the run went on."""

    number: int
    """1 for the first of the run."""
    at_ms: int
    """Market time."""
    text: str


class Progress(NamedTuple):
    """How far a run is, as plain values: nothing of it changes once it was taken."""

    at_ms: int
    """Market time."""
    begun_ms: int
    end_ms: int | None
    """Market time at which it will end; ``None`` runs until stopped."""
    wall_s: float
    rows: int
    signals: int
    orders_sent: int
    orders_filled: int
    orders_partly_filled: int
    positions: int
    positions_closed: int
    intents: int
    equity: Decimal
    equity_start: Decimal
    realised_pnl: Decimal
    currency: str
    trading: TradingState
    dropped: int
    """Journal events dropped."""
    alarms: tuple[Alarm, ...] = ()
    """The newest, oldest first: shown whatever becomes of journal and store."""

    @property
    def fraction(self) -> float | None:
        """Part that is done, 0 to 1; ``None`` where there is no end."""
        if self.end_ms is None:
            return None
        whole = self.end_ms - self.begun_ms
        return min(1.0, max(0.0, (self.at_ms - self.begun_ms) / whole)) if whole > 0 else 1.0


class Painter(threading.Thread, Generic[G]):
    """Paints the newest of what it is offered, each at most once; what came too fast is passed over.

    Args:
        paint: Writes one picture; its stream may block or be gone.
    """

    def __init__(self, paint: Callable[[G], None]) -> None:
        super().__init__(name="tradecore-screen", daemon=True)
        self._paint = paint
        self._newest: G | None = None
        self._wake = threading.Event()
        self._closing = False

    def offer(self, picture: G) -> None:
        """Take a picture. Never blocks."""
        self._newest = picture
        self._wake.set()

    def close(self) -> None:
        """Paint what waits and end; a terminal that takes nothing is left behind."""
        self._closing = True
        self._wake.set()
        self.join(_PATIENCE_S)

    def run(self) -> None:
        """Paint until closed, or until there is nobody to paint for."""
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing
            picture, self._newest = self._newest, None
            if picture is not None:
                try:
                    self._paint(picture)
                except (OSError, ValueError):  # the terminal is gone, its stream closed: the run goes on unseen
                    return
            if closing:
                return


class Watcher(Generic[G]):
    """A screen of a run (app `Screen`): subclasses say what they look at and how they paint it.

    Where time jumps it looks after rows, else by a timer in wall terms.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._painter: Painter[G] = Painter(self.paint)
        self._timer: asyncio.TimerHandle | None = None
        self._looked_s = 0.0
        self._off = False
        self._alarms: deque[Alarm] = deque(maxlen=_ALARMS_KEPT)
        self._alarms_seen = 0

    def look(self) -> G:
        """Take a picture; called on the engine's loop, must be quick and change nothing."""
        raise AssertionError("a screen says what it looks at")

    def paint(self, picture: G) -> None:
        """Write a picture; called in the painter's thread."""
        raise AssertionError("a screen says how it paints")

    def opened(self) -> None:
        """Take the terminal; called before the first look."""

    def closed(self) -> None:
        """Give the terminal back; called after the last picture."""

    def begin(self, engine: Engine, clock: Clock, stop_at_ms: int | None) -> None:
        """Watch from now on."""
        self._engine = engine
        self._clock = clock
        for_ms = self._prepared.for_ms
        self._begun_ms = stop_at_ms - for_ms if stop_at_ms is not None and for_ms is not None else clock.now_ms()
        self._begun_s = time.monotonic()
        self._end_ms = _earlier(stop_at_ms, self._data_end_ms())
        self._equity_start = engine.pictures.equity()
        engine.desk.alert_listeners.append(self._alerted)
        self.opened()
        self._painter.start()
        if clock.virtual:
            engine.row_listeners.append(self._row_closed)
        else:
            self._tick()

    def end(self) -> None:
        """Watch no more."""
        self._off = True
        if self._timer is not None:
            self._timer.cancel()
        self._painter.close()
        self.closed()

    def _alerted(self, name: str, severity: str, text: str) -> None:
        """Keep what is critical for the next picture."""
        if severity == "critical":
            self._alarms_seen += 1
            self._alarms.append(Alarm(self._alarms_seen, self._clock.now_ms(), f"{name}: {text}"))

    def progress(self) -> Progress:
        """How far the run is. Reads the books only: no picture that guests share is made or kept by it."""
        engine = self._engine
        desk, tally, books = engine.desk, engine.tally, engine.desk.books
        return Progress(
            at_ms=self._clock.now_ms(), begun_ms=self._begun_ms, end_ms=self._end_ms,
            wall_s=time.monotonic() - self._begun_s, rows=tally.rows, signals=tally.signals,
            orders_sent=tally.orders_sent, orders_filled=tally.orders_filled,
            orders_partly_filled=tally.orders_partly_filled, positions=len(books.positions),
            positions_closed=tally.positions_closed, intents=len(books.intents), equity=engine.pictures.equity(),
            equity_start=self._equity_start, realised_pnl=tally.realised_pnl, currency=desk.config.currency,
            trading=books.trading.state, dropped=desk.journal.dropped, alarms=tuple(self._alarms),
        )  # fmt: skip

    def _data_end_ms(self) -> int | None:
        source = self._prepared.source
        if source is None or source.rows is None:
            return None
        return source.first_close_ms + (source.rows - 1) * source.timeframe_ms

    def _row_closed(self, _close_ms: int) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._offer()

    def _tick(self) -> None:
        self._offer()
        if not self._off:
            scale = self._prepared.settings.run.scale or 1.0
            self._timer = asyncio.get_running_loop().call_later(LOOK_S * scale, self._tick)

    def _offer(self) -> None:
        if self._off:
            return
        try:
            self._painter.offer(self.look())
        except Exception as error:  # noqa: BLE001 - a screen must not stop a trade: reported, and not looked again
            self._off = True
            self._engine.desk.report_uncaught("screen", error)


def _earlier(left: int | None, right: int | None) -> int | None:
    known = [moment for moment in (left, right) if moment is not None]
    return min(known) if known else None
