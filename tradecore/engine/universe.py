"""Which symbols may be entered: asked of the universe guests at the start and again at an interval (R5).

A removal shuts entries and nothing else: a position on the symbol is led and left as ever. What each guest last said of
each symbol is a durable fact, for `tradecore universe show`.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from tradecore.engine.desk import Desk
from tradecore.engine.scan import Scanner
from tradecore.market.frame import Market
from tradecore.market.hours import HOUR_MS, HOURS
from tradecore.model.events import UniverseRemoved, UniverseReturned
from tradecore.model.places import UNIVERSE
from tradecore.model.signal import Keep


class UniverseWatch:
    """Keeps the scanner to the symbols that every universe guest keeps."""

    def __init__(self, desk: Desk, scanner: Scanner) -> None:
        self._desk = desk
        self._scanner = scanner
        self._removed: Mapping[str, tuple[str, str]] = {}
        """Symbol to the first guest that keeps it out, and why."""

    def why(self, symbol: str) -> tuple[str, str] | None:
        """The guest that keeps a symbol out, and its reason; ``None``: none does."""
        return self._removed.get(symbol)

    async def ask(self) -> None:
        """Ask every universe guest; in force from the next row on. Each change is told with its reason."""
        desk = self._desk
        if not desk.calls.has("universe"):
            return
        symbols = desk.feed.symbols
        quotes = {symbol: book for symbol in symbols if (book := desk.feed.book(symbol)) is not None}
        ours = {symbol: desk.instruments[symbol] for symbol in symbols if symbol in desk.instruments}
        hours = desk.feed.hours(desk.calls.warmup_rows(HOUR_MS, HOURS))
        words = desk.calls.universe(ours, quotes, Market(hours, desk.clock.now_ms(), quotes, ours))
        removed: dict[str, tuple[str, str]] = {}
        for plugin, word in words:
            if not word.keep:
                removed.setdefault(word.symbol, (plugin, word.reason))
                if self._removed.get(word.symbol, ("", ""))[0] != plugin:
                    desk.note(UniverseRemoved(word.symbol, plugin, word.reason))
        for symbol, (plugin, reason) in self._removed.items():
            if symbol not in removed:
                desk.note(UniverseReturned(symbol, plugin, reason))
        self._removed = removed
        self._scanner.keep_out(removed)
        await desk.remember(UNIVERSE, self._text(symbols, words))

    def _text(self, symbols: tuple[str, ...], words: tuple[tuple[str, Keep], ...]) -> str:
        said: dict[str, list[tuple[str, bool, str]]] = {symbol: [] for symbol in symbols}
        for plugin, word in words:
            said[word.symbol].append((plugin, word.keep, word.reason))
        guests = self._desk.calls.active("universe")
        return orjson.dumps({"at_ms": self._desk.clock.now_ms(), "guests": guests, "symbols": said}).decode()
