"""Live books of a real exchange as the market in which the twin matches our orders.

What can be had is what stands in the newest book, and nothing of a book that is too old. What we took of a level
stays taken until the exchange's book shows another quantity there: our fills move nothing out there, so without that
a level could be taken again and again. A resting order fills where the market comes to it: somebody stands at its
limit or beyond, or a trade went through it. A trade at its very limit fills nothing: how many stood before us nobody
knows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final, Protocol

from tradecore.market.path import Step
from tradecore.model.book import Book, Level
from tradecore.model.instrument import Instrument
from tradecore.model.units import ZERO, Side, canonical, minus, plus, price_of
from tradecore.ports.quotes import Quote
from tradecore.venues.twin.depth import Depth
from tradecore.venues.twin.stage import Meeting

_STEPS_KEPT: Final = 64
_WITHOUT_END: Final = Decimal(10) ** 15
"""A trade beyond a limit would have filled all that stood there before it went on."""


class LivePrices(Protocol):
    """What paper trading needs of a live feed."""

    def quote(self, symbol: str) -> Quote | None:
        """The newest quote."""

    def book(self, symbol: str) -> Book | None:
        """The newest book known, with its moment; ``None`` where there is none or the symbol cannot be traded."""

    def newest(self, symbol: str) -> Step | None:
        """The newest price however old."""

    def note_book(self, book: Book) -> None:
        """Take a whole book that was read."""

    def on_price(self, listener: Callable[[str], None]) -> None:
        """Have `listener` told of each symbol whose price came in anew."""

    def on_instruments(self, listener: Callable[[Mapping[str, Instrument]], None]) -> None:
        """Have `listener` told of each new list of instruments."""


class _Trade(Step):
    """Somebody traded at this price."""

    __slots__ = ()


class _Touch(Step):
    """The book changed; the price is the newest, for whoever looks."""

    __slots__ = ()


class _Taken:
    """What we took of one level, and what stood there then."""

    __slots__ = ("seen", "taken")

    def __init__(self, seen: Decimal, taken: Decimal) -> None:
        self.seen: Final = seen
        self.taken: Final = taken


class PaperMarket:
    """A market of live books (stage.py).

    Args:
        prices: The live feed.
        instruments: Filters and fees of what can be traded, by symbol.
        book_age_ms_max: Of an older book nothing can be had.
    """

    def __init__(self, prices: LivePrices, instruments: Mapping[str, Instrument], book_age_ms_max: int) -> None:
        self.instruments: dict[str, Instrument] = dict(instruments)
        self._prices: Final = prices
        self._age_ms_max: Final = book_age_ms_max
        self._depths: Final[dict[str, tuple[Book, Depth]]] = {}
        self._taken: Final[dict[str, dict[str, _Taken]]] = {}
        self._last: Final[dict[str, float]] = {}
        self._steps: Final[dict[str, deque[Step]]] = {}

    # Instruments --------------------------------------------------------------------------------------------

    def change(self, instrument: Instrument) -> None:
        """Put new filters or a halt into force for one symbol."""
        self.instruments[instrument.symbol] = instrument

    def relist(self, found: Mapping[str, Instrument]) -> None:
        """Take over what the exchange lets be traded now; the fees of this account stay, what is gone is halted."""
        for symbol, old in list(self.instruments.items()):
            new = found.get(symbol)
            if new is None:
                self.change(old._replace(can_buy=False, can_sell=False))
                continue
            self.change(
                new._replace(
                    maker_fee_bps=old.maker_fee_bps, taker_fee_bps=old.taker_fee_bps, fee_currency=old.fee_currency
                )
            )

    # Steps: what resting orders meet --------------------------------------------------------------------------

    def look(self, symbol: str, now_ms: int, standing: bool) -> None:
        """Look at a quote that has just come in.

        Args:
            standing: Whether an order of ours rests there: only then are steps kept.
        """
        quote = self._prices.quote(symbol)
        if quote is None:
            return
        last, before = quote.last, self._last.get(symbol)
        if last > 0.0:
            self._last[symbol] = last
        if not standing:
            return
        steps = self._steps.setdefault(symbol, deque(maxlen=_STEPS_KEPT))
        if before is not None and 0.0 < last < float("inf") and last != before:
            steps.append(_Trade(now_ms, last))
        known = self._prices.newest(symbol)
        if known is not None:
            steps.append(_Touch(now_ms, known.price))

    def row_at(self, at_ms: int) -> int:
        """All of time is one piece here."""
        return 0

    def steps(self, symbol: str, row: int) -> Sequence[Step]:
        """The newest steps, in order."""
        return tuple(self._steps.get(symbol, ()))

    def step(self, symbol: str, at_ms: int) -> Step | None:
        """The newest price; ``None`` where there never was one."""
        return self._prices.newest(symbol)

    def meets(self, symbol: str, step: Step, side: Side, limit: Decimal) -> Meeting:
        """Tell what a step does to an order of `side` that rests at `limit`."""
        if not isinstance(step, _Trade):
            depth = self.depth(symbol, step.at_ms)
            return Meeting.THROUGH if depth is not None and depth.within(side, limit) else Meeting.NONE
        price = price_of(step.price)
        if price == limit:
            return Meeting.TOUCHED
        beyond = price < limit if side is Side.BUY else price > limit
        return Meeting.THROUGH if beyond else Meeting.NONE

    def flow(self, symbol: str, step: Step) -> Decimal:
        """Base units that passed: without end where a trade went through a limit, else what stands in the book."""
        return _WITHOUT_END if isinstance(step, _Trade) else ZERO

    def draw(self, purpose: str, symbol: str, at_ms: int) -> float:
        """Always the last place of the queue."""
        return 0.0

    # Books --------------------------------------------------------------------------------------------------

    def depth(self, symbol: str, at_ms: int) -> Depth | None:
        """What stands in the newest book, less what was taken; ``None`` where it is too old or there is none."""
        book = self._prices.book(symbol)
        if book is None or symbol not in self.instruments or not 0 <= at_ms - book.received_ms <= self._age_ms_max:
            return None
        known = self._depths.get(symbol)
        if known is not None and known[0] is book:
            return known[1]
        taken = self._taken.get(symbol, {})
        still = {key: one for key, one in taken.items() if _seen(book, key) == one.seen}
        if taken:
            self._taken[symbol] = still
        newest = self._prices.newest(symbol)
        depth = Depth(
            book.received_ms, newest.price if newest is not None else 0.0, _left(book.bids, Side.SELL, still),
            _left(book.asks, Side.BUY, still),
        )  # fmt: skip
        self._depths[symbol] = (book, depth)
        return depth

    def book(self, symbol: str, at_ms: int) -> Book | None:
        """The newest book less what was taken; ``None`` where it is too old or there is none."""
        depth = self.depth(symbol, at_ms)
        return None if depth is None else Book(symbol, depth.at_ms, tuple(depth.bids), tuple(depth.asks), "paper")

    def note_taken(self, symbol: str, depth: Depth) -> tuple[int, Mapping[str, Decimal]]:
        """Remember what was taken of the newest book. Returns what a restart needs."""
        book, known = self._depths[symbol]
        assert known is depth, "what was taken was taken of the newest book"
        taken = self._taken.setdefault(symbol, {})
        for key, quantity in depth.taken.items():
            seen = _seen(book, key)
            assert seen is not None, "only what stands there can be taken"
            before = taken[key].taken if key in taken else ZERO
            taken[key] = _Taken(seen, plus(before, quantity))
        depth.taken.clear()
        return depth.at_ms, {f"{key}@{one.seen}": one.taken for key, one in taken.items()}

    def restore_taken(self, symbol: str, step_ms: int, taken: dict[str, Decimal]) -> None:
        """Take over what had been taken before a restart."""
        kept = self._taken.setdefault(symbol, {})
        for text, quantity in taken.items():
            key, _, seen = text.rpartition("@")
            kept[key] = _Taken(Decimal(seen), quantity)

    def watched(self, symbols: Collection[str]) -> None:
        """Forget the steps of symbols at which no order rests any more."""
        for symbol in [symbol for symbol in self._steps if symbol not in symbols]:
            del self._steps[symbol]


def _seen(book: Book, key: str) -> Decimal | None:
    """What stands at a level now, by its key; ``None`` where nothing does."""
    side, _, price = key.partition(":")
    levels, wanted = (book.asks if side == Side.BUY else book.bids), Decimal(price)
    return next((level.quantity for level in levels if level.price == wanted), None)


def _left(levels: Sequence[Level], taker: Side, taken: Mapping[str, _Taken]) -> list[Level]:
    found = []
    for level in levels:
        price = canonical(level.price)  # a price read as 99.00 and one pushed as 99.0 are the same level
        one = taken.get(f"{taker}:{price}")
        quantity = level.quantity if one is None else minus(level.quantity, one.taken)
        if quantity > 0:
            found.append(Level(Decimal(price), quantity))
    return found
