"""The live screen: what it looks at. `panes` draws it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from tradecore.cli.panes import draw
from tradecore.cli.watch import Progress, Watcher
from tradecore.cli.write import unrealised
from tradecore.model.units import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.live import Live

    from tradecore.app import Prepared
    from tradecore.model.intent import IntentRow
    from tradecore.model.position import Position

_SYMBOLS_MAX = 100


class Price(NamedTuple):
    """One symbol of the market."""

    symbol: str
    price: float | None
    """``None``: it never traded."""
    since_start: float | None
    """Change since the screen began, as a ratio."""
    value: float | None
    """What the nearest signal guest measures, at the newest close; ``None`` where nobody is near."""
    threshold: float
    unit: str
    plugin: str
    tick: Decimal
    held: bool


class Held(NamedTuple):
    """One open position at its mark."""

    position: Position
    mark: Decimal | None
    pnl: Decimal
    """Fees so far paid, quote units; 0 without a mark."""
    part: Decimal
    """PnL to what was paid."""
    tick: Decimal


class Working(NamedTuple):
    """One live intent."""

    row: IntentRow
    attempts: int
    newest: str
    """State and label of the newest attempt; empty before the first."""
    tick: Decimal


class Why(NamedTuple):
    """The newest refusal on a symbol after a signal."""

    symbol: str
    text: str
    at_ms: int
    """When the screen first saw it."""


class Picture(NamedTuple):
    """Everything that the screen shows, as plain values."""

    title: str
    progress: Progress
    row_ms: int | None
    """Close of the newest row; ``None`` before the first."""
    symbols: int
    free: Decimal
    reserved: Decimal
    exposure: Decimal
    trading_by: str
    quarantined: Sequence[str]
    prices: Sequence[Price]
    held: Sequence[Held]
    working: Sequence[Working]
    reasons: Sequence[Why]


class LiveScreen(Watcher[Picture]):
    """The whole terminal, four times a second; gone at the end."""

    def __init__(self, out: Console, prepared: Prepared) -> None:
        super().__init__(prepared)
        self._out = out
        self._live: Live | None = None
        self._first: dict[str, float] = {}
        self._whys: dict[str, Why] = {}
        run = prepared.settings.run
        speed = f"{run.scale:g}x" if run.scale is not None else "max"
        self._title = f"tradecore {prepared.resolved.profile}  seed {run.seed}  speed {speed}"

    def opened(self) -> None:
        """Take the terminal's second page, so that the first stays as it was."""
        from rich.live import Live

        self._live = Live(
            console=self._out, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def closed(self) -> None:
        """Give the first page back."""
        if self._live is not None:
            self._live.stop()

    def paint(self, picture: Picture) -> None:
        """Draw for the size that the terminal has now."""
        assert self._live is not None
        size = self._out.size
        self._live.update(draw(picture, size.width, size.height), refresh=True)

    def look(self) -> Picture:
        """Take the picture."""
        engine = self._engine
        desk = engine.desk
        books, pictures = desk.books, engine.pictures
        next_ms = desk.feed.next_close_ms
        rows = engine.tally.rows
        exposure = pictures.exposure()
        return Picture(
            title=self._title, progress=self.progress(),
            row_ms=next_ms - desk.feed.timeframe_ms if next_ms is not None and rows else None,
            symbols=len(desk.feed.symbols), free=pictures.free(exposure),
            reserved=books.reserved(desk.config.currency), exposure=exposure,
            trading_by="" if books.trading.actor == "core" else f"{books.trading.actor}: {books.trading.reason}",
            quarantined=sorted(f"{plugin}.{hook}" for plugin, hook in desk.calls.quarantined),
            prices=self._prices(), held=self._held(), working=self._working(), reasons=self._reasons(),
        )  # fmt: skip

    def _prices(self) -> Sequence[Price]:
        """Symbols nearest to a condition first, then the others in market order."""
        engine = self._engine
        desk = engine.desk
        near = {miss.symbol: miss for miss in engine.near_misses(_SYMBOLS_MAX)}
        held = {position.symbol for position in desk.books.positions.values()}
        others = [symbol for symbol in desk.feed.symbols if symbol not in near]
        found = []
        for symbol in [*near, *others][:_SYMBOLS_MAX]:
            price, miss = desk.feed.last_price(symbol), near.get(symbol)
            first = self._first.setdefault(symbol, price) if price is not None else None
            found.append(
                Price(
                    symbol, price, price / first - 1 if price is not None and first else None,
                    miss.value if miss is not None else None, miss.threshold if miss is not None else 0.0,
                    miss.unit if miss is not None else "", miss.plugin if miss is not None else "",
                    self._tick_of(symbol), symbol in held,
                )
            )  # fmt: skip
        return found

    def _held(self) -> Sequence[Held]:
        desk = self._engine.desk
        found = []
        for position in desk.books.positions.values():
            mark = desk.mark(position.symbol)
            pnl = unrealised(position, mark) if mark is not None else Decimal(0)
            part = ratio(pnl, position.bought_quote) if position.bought_quote else Decimal(0)
            found.append(Held(position, mark, pnl, part, self._tick_of(position.symbol)))
        return found

    def _working(self) -> Sequence[Working]:
        books = self._engine.desk.books
        found = []
        for intent_id, row in books.intents.items():
            attempts = books.attempts_list(intent_id)
            newest = f"{attempts[-1].state} {attempts[-1].request.label}" if attempts else ""
            found.append(Working(row, len(attempts), newest, self._tick_of(row.intent.symbol)))
        return found

    def _reasons(self) -> Sequence[Why]:
        """Newest first; a reason that came again keeps the moment at which it first came."""
        now_ms = self._clock.now_ms()
        for symbol, text in self._engine.pipeline.last_reasons.items():
            known = self._whys.get(symbol)
            if known is None or known.text != text:
                self._whys[symbol] = Why(symbol, text, now_ms)
        return sorted(self._whys.values(), key=lambda why: (-why.at_ms, why.symbol))[:_SYMBOLS_MAX]

    def _tick_of(self, symbol: str) -> Decimal:
        return self._engine.desk.instruments[symbol].tick_size
