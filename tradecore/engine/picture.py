"""Frozen pictures of account and market for deciding hooks, made anew only when something changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from tradecore.engine.budget import worst_spend
from tradecore.engine.desk import Desk
from tradecore.engine.explain.looked import LookedMarket
from tradecore.engine.explain.recorder import Recorder
from tradecore.engine.intents import trades_today
from tradecore.engine.locks import Locks
from tradecore.market.frame import MarketFrame
from tradecore.model.book import Book
from tradecore.model.intent import Intent
from tradecore.model.portfolio import Portfolio
from tradecore.model.position import ClosedPosition
from tradecore.model.records import Memory
from tradecore.model.units import ZERO, IntentId, canonical, exact_sum, minus, plus, times

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000


class _Books(Mapping[str, Book]):
    """Newest book per symbol, asked of the feed only when a guest looks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __getitem__(self, symbol: str) -> Book:
        book = self._desk.feed.book(symbol)
        if book is None:
            raise KeyError(symbol)
        return book

    def __iter__(self) -> Iterator[str]:
        return iter(self._desk.feed.symbols)

    def __len__(self) -> int:
        return len(self._desk.feed.symbols)


class Pictures:
    """Makes `Portfolio` and `Market` for the moment."""

    def __init__(self, desk: Desk, history_rows: int) -> None:
        self._desk = desk
        self.recorder = Recorder(desk.journal, desk.calls)
        """Keeps what guests were asked with these pictures."""
        self.locks = Locks(desk)
        """Locks in force."""
        self.day: tuple[Decimal, Decimal] = (ZERO, ZERO)
        """Equity of the newest row, and its highest since 00:00 UTC."""
        self._foreign: tuple[int, tuple[str, ...]] = (0, ())
        self._history_rows = history_rows
        self._books = _Books(desk)
        self._frame: MarketFrame | None = None
        self._frame_ms = -1
        self._portfolio: Portfolio | None = None
        self._portfolio_key: tuple[int, int, str] = (-1, -1, "")
        self._closed: tuple[ClosedPosition, ...] = ()
        self._row_ms = 0

    def new_row(self, row_ms: int) -> None:
        """Take note that a row closed: marks have moved."""
        self._row_ms = row_ms

    def market(self) -> LookedMarket:
        """The market up to the newest closed row, made anew for each question: it notes what is read of it."""
        if self._frame is None or self._frame_ms != self._row_ms:
            self._frame = self._desk.feed.history(self._history_rows)
            self._frame_ms = self._row_ms
        return LookedMarket(self._frame, self._desk.clock.now_ms(), self._books, self._desk.instruments)

    def fresh_book(self, symbol: str) -> Book | None:
        """The newest book if it is young enough to price an order; ``None`` otherwise."""
        book = self._desk.feed.book(symbol)
        if book is None or self._desk.clock.now_ms() - book.received_ms > self._desk.config.book_age_ms_max:
            return None
        return book

    def marks(self) -> Mapping[str, Decimal]:
        """Newest price of each symbol with a position."""
        found = {}
        for position in self._desk.books.positions.values():
            mark = self._desk.worth(position.symbol)
            if mark is not None:
                found[position.symbol] = mark
        return found

    def marks_age_ms(self) -> int | None:
        """Age of the oldest price that a position is valued by; ``None`` where there is no position with a price."""
        feed, now_ms = self._desk.feed, self._desk.clock.now_ms()
        known = [feed.newest(position.symbol) for position in self._desk.books.positions.values()]
        return max((now_ms - step.at_ms for step in known if step is not None), default=None)

    def equity(self) -> Decimal:
        """Everything the ledger says we own, at its marks, in the account's currency.

        A coin without a price counts nothing (no price is invented); it shows up as a difference in health checks.
        """
        desk = self._desk
        parts = []
        for (account, coin), amount in desk.books.balances.items():
            if account == "assets" and amount:
                rate = desk.rate(coin, desk.config.currency)
                if rate is not None:
                    parts.append(times(amount, rate))
        return exact_sum(parts)

    def exposure(self) -> Decimal:
        """Positions at their marks plus active buy reservations: a function of the books (idea 3)."""
        books = self._desk.books
        marks = self.marks()
        held = [times(p.quantity, marks.get(p.symbol, p.average_price)) for p in books.positions.values()]
        return plus(exact_sum(held), books.reserved(self._desk.config.currency))

    def free(self, exposure: Decimal | None = None) -> Decimal:
        """What a new entry may spend: available in the ledger, and within the capital limit."""
        desk = self._desk
        free = desk.books.available(desk.config.currency)
        limit = desk.config.capital_limit
        if limit is None:
            return free
        return max(ZERO, min(free, minus(limit, exposure if exposure is not None else self.exposure())))

    def portfolio(self, *, without: IntentId | None = None, planned: Sequence[Intent] = ()) -> Portfolio:
        """The account now.

        Args:
            without: The intent asked about, which must not count as pending.
            planned: Earlier legs of the same group, counted as pending though not durable yet.
        """
        key = (self._desk.books.version, self._row_ms, without or "")
        if self._portfolio is None or self._portfolio_key != key:
            self._portfolio = self._make(without)
            self._portfolio_key = key
        picture = self._portfolio
        return _with_planned(self._desk, picture, planned) if planned else picture

    def _make(self, without: IntentId | None) -> Portfolio:
        desk = self._desk
        books, now = desk.books, desk.clock.now_ms()
        exposure = self.exposure()
        equity = self.equity()
        day_open, day_peak = self._day(now, equity)
        if books.closed and (not self._closed or self._closed[-1] is not books.closed[-1]):
            self._closed = tuple(books.closed)
        while desk.sent_at and desk.sent_at[0] < now - _MINUTE_MS:
            desk.sent_at.popleft()
        return Portfolio(
            as_of_ms=now, currency=desk.config.currency, state=books.trading.state, equity=equity,
            equity_day_open=day_open, equity_day_peak=day_peak, free=self.free(exposure),
            reserved=books.reserved(desk.config.currency), exposure=exposure,
            positions=tuple(books.positions.values()),
            pending=tuple(r.intent for r in books.intents.values() if r.intent.intent_id != without),
            closed=self._closed,
            trades_today=trades_today(desk, now), orders_last_minute=len(desk.sent_at),
            dust=MappingProxyType(dict(books.dust)), fill_rate_24h=desk.recent.rates(now),
            locks=self.locks.picture(), marks=MappingProxyType(dict(self.marks())),
            quote_rates=self._quote_rates(),
        )  # fmt: skip

    def _quote_rates(self) -> Mapping[str, Decimal]:
        """Account currency per quote unit, of the symbols whose quote is another coin."""
        desk = self._desk
        currency, instruments = desk.config.currency, desk.instruments
        if self._foreign[0] != len(instruments):
            symbols = tuple(symbol for symbol, one in instruments.items() if one.quote != currency)
            self._foreign = (len(instruments), symbols)
        rates = {}
        for symbol in self._foreign[1]:
            rate = desk.rate(instruments[symbol].quote, currency)
            rates[symbol] = rate if rate is not None else instruments[symbol].quote_rate
        return MappingProxyType(rates)

    def _day(self, now_ms: int, equity: Decimal) -> tuple[Decimal, Decimal]:
        """Equity at the day's start and its highest since, from the durable fact or from now on."""
        day, opened, peak = _day_fact(self._desk.recall("day"))
        if day != now_ms // _DAY_MS:
            return equity, equity
        return opened, max(peak, equity)

    def day_memory(self) -> Memory | None:
        """The day's figures as a row, marked every row on every path; ``None`` where nothing has changed."""
        now = self._desk.clock.now_ms()
        equity = self.equity()
        opened, peak = self._day(now, equity)
        self.day = (equity, peak)
        text = f"{now // _DAY_MS} {canonical(opened)} {canonical(peak)}"
        return None if text == self._desk.recall("day") else Memory("day", text, now)


def _day_fact(text: str) -> tuple[int, Decimal, Decimal]:
    if not text:
        return -1, ZERO, ZERO
    day, opened, peak = text.split(" ")
    return int(day), Decimal(opened), Decimal(peak)


def _with_planned(desk: Desk, picture: Portfolio, planned: Sequence[Intent]) -> Portfolio:
    spent = []
    for intent in planned:
        currency, amount = worst_spend(desk.instruments[intent.symbol], intent.side, intent.quantity, intent.price_cap)
        if currency == picture.currency:
            spent.append(amount)
    total = exact_sum(spent)
    return picture._replace(
        pending=(*picture.pending, *planned),
        free=max(ZERO, minus(picture.free, total)),
        reserved=plus(picture.reserved, total),
        exposure=plus(picture.exposure, total),
    )
