"""The twin behind the venue port: latency, faults, and answers that pass the same judge as a wire's.

A call travels half of the latency, meets the doorman and the engine, is committed to the twin's file, and travels
back. A process that dies on either way finds the truth in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from tradecore.errors import RetryableVenueError, UnitError
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.order import Cancelation, NewOrder, OrderReport, Placement
from tradecore.model.units import ONE, ZERO, ClientOrderId, TimeInForce
from tradecore.ports.clock import Clock
from tradecore.ports.venue import Balance, CoinTransfer, KeyRights, TradePage, VenueTiming
from tradecore.venues.classify import (
    RawReply,
    classify_cancel,
    classify_place,
    classify_read,
    read_order,
    read_orders,
)
from tradecore.venues.payload import balances_of, trade_of
from tradecore.venues.twin import network
from tradecore.venues.twin.faults import Faults
from tradecore.venues.twin.gate import Gate
from tradecore.venues.twin.manners import Answer, Manners
from tradecore.venues.twin.matching import Engine
from tradecore.venues.twin.outside import Outside
from tradecore.venues.twin.reads import Reads
from tradecore.venues.twin.records import Rejected, Rejection, TwinOrder, TwinTrade
from tradecore.venues.twin.truth import TruthLog
from tradecore.venues.twin.views import view_of

_OURS: Final = re.compile(r"[0-9a-f]{32}")
_Hits = Mapping[str, float]


class TwinVenue:
    """A spot venue of our own (ports/venue.py).

    Args:
        clock: Market time.
        engine: Orders and balances.
        manners: How it answers.
        faults: What goes wrong.
        timing: Times of the fence; its read lag should cover `read_lag_ms`.
        latency_ms: Of each call, there and back together, >= 0.
        read_lag_ms: By how much reads of orders and trades lag behind the engine, >= 0.
        ack_without_status: True answers every accepted order with its id alone, as MEXC does.
        gate: Counts requests.
    """

    def __init__(
        self,
        clock: Clock,
        engine: Engine,
        manners: Manners,
        faults: Faults,
        timing: VenueTiming,
        *,
        latency_ms: int = 0,
        read_lag_ms: int = 0,
        ack_without_status: bool = False,
        gate: Gate | None = None,
    ) -> None:
        self.engine: Final = engine
        self.faults: Final = faults
        self._clock: Final = clock
        self.manners: Final = manners
        self._timing: Final = timing
        self._travel_s: Final = latency_ms / 2000
        self._read_lag_ms: Final = read_lag_ms
        self._ack_without_status: Final = ack_without_status
        self._gate: Final = gate or Gate()
        self._reads: Final = Reads(engine)
        self._maintained_until_ms = 0
        self.symbols: Final[Mapping[str, str]] = {
            manners.raw_symbol(symbol): symbol for symbol in engine.market.instruments
        }
        self.outside: Final = Outside(engine, clock)
        """What others do to the account and the market; for tests and drills."""
        faults.count_with(self._next_draw)

    def _next_draw(self) -> int:
        self.engine.state.draws += 1
        return self.engine.state.draws

    @property
    def name(self) -> str:
        """Always ``twin``."""
        return "twin"

    @property
    def timing(self) -> VenueTiming:
        """Times of the fence."""
        return self._timing

    def wire_id(self, client_order_id: ClientOrderId) -> str:
        """Our id as it stands: 32 hex digits suit all three manners."""
        return str(client_order_id)

    def is_ours(self, wire_id: str) -> bool:
        """Tell whether an id has the form of ours."""
        return _OURS.fullmatch(wire_id) is not None

    def weight_of(self, operation: str) -> int:
        """What a call costs at the limiter: the lists cost more, as they do elsewhere."""
        return {"open_orders_all": 3, "recent_orders": 2}.get(operation, 1)

    # Reads --------------------------------------------------------------------------------------------------

    async def instruments(self) -> Mapping[str, Instrument]:
        """Read what can be traded, by symbol."""
        found: dict[str, Instrument] = {}

        def act(now_ms: int, hits: _Hits) -> Answer:
            found.update(self.engine.market.instruments)
            return Answer(200, "{}")

        classify_read(await self._ask("data", act), self.manners.rules, "instruments")
        return found

    async def balances(self) -> Mapping[str, Balance]:
        """Read all coins of the account that are not zero."""

        def act(now_ms: int, hits: _Hits) -> Answer:
            return self.manners.account(self._reads.balances(now_ms - int(hits.get("balance_lag", 0)), now_ms))

        payload = classify_read(await self._ask("balances", act), self.manners.rules, "balances")
        try:
            return balances_of(payload)
        except UnitError as error:
            raise RetryableVenueError(f"balances: {error}") from error

    async def book(self, symbol: str) -> Book:
        """Read the order book."""
        found: list[Book] = []

        def act(now_ms: int, hits: _Hits) -> Answer:
            book = self.engine.market.book(symbol, now_ms)
            if book is None:
                return self.manners.rejected(Rejected(Rejection.UNKNOWN_SYMBOL, symbol))
            found.append(book)
            return Answer(200, "{}")

        classify_read(await self._ask("data", act), self.manners.rules, f"book {symbol}")
        return found[0]

    async def order(self, symbol: str, wire_id: str) -> OrderReport | None:
        """Read one order by our id; ``None`` means that the venue says it has no such order."""

        def act(now_ms: int, hits: _Hits) -> Answer:
            until_ms = self._until(now_ms, hits)
            order = self._reads.order(symbol, wire_id, until_ms)
            if order is None or now_ms - order.accepted_ms < hits.get("not_found_for", 0):
                return self.manners.rejected(Rejected(Rejection.UNKNOWN_ORDER))
            return self.manners.order(view_of(order, until_ms, "stale_executed" in hits))

        return read_order(await self._ask("order", act), self.manners.rules, symbol, wire_id)

    async def open_orders(self, symbol: str | None = None) -> Sequence[OrderReport]:
        """Read open orders, foreign ones too."""

        def act(now_ms: int, hits: _Hits) -> Answer:
            until_ms = self._until(now_ms, hits) - int(hits.get("not_found_for", 0))
            return self.manners.orders(self._reads.open_orders(symbol, until_ms, now_ms))

        reply = await self._ask("lists", act)
        return read_orders(reply, self.manners.rules, self.symbols, f"open orders {symbol or 'of all symbols'}")

    async def recent_orders(self, symbol: str, since_ms: int) -> Sequence[OrderReport]:
        """Read orders of one symbol updated since then, whatever their state."""

        def act(now_ms: int, hits: _Hits) -> Answer:
            until_ms = self._until(now_ms, hits) - int(hits.get("not_found_for", 0))
            return self.manners.orders(self._reads.recent_orders(symbol, since_ms, until_ms))

        return read_orders(await self._ask("lists", act), self.manners.rules, self.symbols, f"orders {symbol}")

    async def trades(self, symbol: str, cursor: str, since_ms: int) -> TradePage:
        """Read own trades after `cursor`, oldest first; an empty cursor starts at `since_ms`. Nothing is skipped."""
        page: list[TwinTrade] = []
        more = False

        def act(now_ms: int, hits: _Hits) -> Answer:
            nonlocal more
            until_ms = min(self._until(now_ms, hits), now_ms - int(hits.get("late_fills", 0)))
            rows, more = self._reads.trades(symbol, int(cursor or 0), 0 if cursor else since_ms, until_ms)
            page.extend(rows)
            doubled = [row for row in rows for _ in range(2)] if "duplicate_fills" in hits else rows
            return self.manners.trades(doubled)

        payload = classify_read(await self._ask("trades", act), self.manners.rules, f"trades {symbol}")
        try:
            if not isinstance(payload, list):
                raise UnitError(f"expected a list, was {type(payload).__name__}")
            found = tuple(trade_of(row, self.manners.rules, symbol) for row in payload)
        except UnitError as error:
            raise RetryableVenueError(f"trades {symbol}: {error}") from error
        return TradePage(found, str(page[-1].number) if page else cursor, more)

    async def transfers(self, since_ms: int) -> Sequence[CoinTransfer]:
        """Read deposits and withdrawals since then, oldest first."""
        found: list[CoinTransfer] = []

        def act(now_ms: int, hits: _Hits) -> Answer:
            for number, at_ms, coin, amount in self.engine.state.transfers(since_ms):
                found.append(CoinTransfer(f"T{number}", coin, amount, ZERO, at_ms))
            return Answer(200, "[]")

        classify_read(await self._ask("data", act), self.manners.rules, "deposits and withdrawals")
        return found

    async def server_time_ms(self) -> int:
        """Read the venue's clock."""

        def act(now_ms: int, hits: _Hits) -> Answer:
            return Answer(200, f'{{"serverTime":{now_ms + int(hits.get("clock_skew", 0))}}}')

        payload = classify_read(await self._ask("time", act), self.manners.rules, "server time")
        moment = payload.get("serverTime") if isinstance(payload, dict) else None
        if not isinstance(moment, int):
            raise RetryableVenueError(f"server time: expected milliseconds, was {moment!r}")
        return moment

    async def rights(self) -> KeyRights:
        """Trading only: the twin has nowhere to withdraw to."""
        return KeyRights(trade=True, withdraw=False)

    # Orders -------------------------------------------------------------------------------------------------

    async def place(self, order: NewOrder) -> Placement:
        """Send once. Never raises for what a venue or a network does; never sends twice."""

        def act(now_ms: int, hits: _Hits) -> Answer | None:
            if "late_request" in hits:
                self.engine.hold(order, now_ms, int(hits["late_request"]))
                return None
            placed = self._place_now(order, now_ms, hits)
            if isinstance(placed, Rejected):
                return self.manners.rejected(placed)
            return self.manners.placed(view_of(placed))

        return classify_place(await self._ask("place", act), self.manners.rules, order)

    def _place_now(self, order: NewOrder, now_ms: int, hits: _Hits) -> TwinOrder | Rejected:
        refusal: Rejected | None = None
        if "insufficient_30005" in hits:
            refusal = Rejected(Rejection.INSUFFICIENT_BASE, "asked for by a fault")
        elif "symbol_halted" in hits:
            refusal = Rejected(Rejection.HALTED, "asked for by a fault")
        elif hits.get("clock_skew", 0) > self._timing.receive_window_ms:
            refusal = Rejected(Rejection.OUTSIDE_WINDOW, "asked for by a fault")
        if refusal is not None:
            self.engine.reject(order, refusal, now_ms)
            return refusal
        reach = ONE
        if "no_liquidity" in hits:
            reach = Decimal(0)
        elif "partial_fill" in hits:
            reach = min(ONE, Decimal(repr(hits["partial_fill"])))
        if "ioc_becomes_gtc" in hits and order.time_in_force is TimeInForce.IOC:
            order = order._replace(time_in_force=TimeInForce.GTC)
        return self.engine.place(order, now_ms, reach=reach)

    async def cancel(self, symbol: str, wire_id: str, venue_order_id: str) -> Cancelation:
        """Ask for a cancel. `venue_order_id` may be empty. The caller reads the order afterwards."""

        def act(now_ms: int, hits: _Hits) -> Answer:
            standing = self.engine.find_open(symbol, wire_id, venue_order_id)
            if standing is not None and "cancel_refused_filled" in hits:
                self.engine.fill_now(standing, now_ms)
            ended = self.engine.cancel(symbol, wire_id, venue_order_id, now_ms)
            if isinstance(ended, Rejected):
                return self.manners.rejected(ended, cancel=True)
            return self.manners.canceled(view_of(ended))

        reply = await self._ask("cancel", act)
        return classify_cancel(reply, self.manners.rules, symbol, wire_id, venue_order_id)

    async def close(self) -> None:
        """Close the twin's file. May be called twice."""
        self.engine.state.close()

    # The way there and back ---------------------------------------------------------------------------------

    def _until(self, now_ms: int, hits: _Hits) -> int:
        """The moment whose picture a lagging read shows."""
        return now_ms - max(self._read_lag_ms, int(hits.get("read_lag", 0)))

    async def _ask(self, operation: str, act: Callable[[int, _Hits], Answer | None]) -> RawReply:
        started_s = self._clock.monotonic_s()
        hits = self.faults.draw(operation)
        if operation == "place" and self._ack_without_status:
            hits["ack_without_status"] = 0.0
        if "not_sent" in hits:
            return RawReply(False, None, {}, None, "not sent: no connection")
        if self._travel_s:
            await self._clock.sleep(self._travel_s)
        sent = self._arrive(act, hits)
        # Nothing leaves the twin that its file does not hold.
        self.engine.state.commit()
        if self._travel_s:
            await self._clock.sleep(self._travel_s)
        latency_ms = (self._clock.monotonic_s() - started_s) * 1000
        return network.reply_of(sent, hits, self.manners.headers(self._gate.used), latency_ms)

    def _arrive(self, act: Callable[[int, _Hits], Answer | None], hits: _Hits) -> network.Sent:
        now_ms = self._clock.now_ms()
        self.engine.advance(now_ms)
        # Reads ask the file for what has ended, so it must hold what the market just did.
        self.engine.state.commit()
        stop = network.stopped(hits)
        if stop is not None:
            return stop
        for name, status in (("rate_limited", 429), ("banned", 418)):
            if name in hits:
                return network.turned_away(self._gate.shut(now_ms, status, hits[name]), self.manners)
        refused = self._gate.enter(now_ms)
        if refused is not None:
            return network.turned_away(refused, self.manners)
        if "maintenance" in hits:
            self._maintained_until_ms = now_ms + int(hits["maintenance"])
            return network.closed_for_maintenance()
        if now_ms < self._maintained_until_ms:
            return network.closed_for_maintenance()
        return network.Sent(act(now_ms, hits))

    # What only the program around it and tests use ----------------------------------------------------------

    def peek_book(self, symbol: str) -> Book | None:
        """The book at this moment without a call; ``None`` for an unknown symbol or before the data start."""
        return self.engine.market.book(symbol, self._clock.now_ms())

    @property
    def market_time_ms(self) -> int:
        """Market time that the program had reached by its own word; 0 on a fresh file."""
        return self.engine.state.market_time_ms

    def note_market_time(self, at_ms: int) -> None:
        """Write down, durably, that the program has reached a row's close."""
        self.engine.advance(at_ms)
        self.engine.state.market_time_ms = at_ms
        self.engine.state.commit()

    def open_balances(self, balances: Mapping[str, Decimal]) -> bool:
        """Set opening balances, once in the life of the file. Returns whether it did."""
        if self.engine.state.opened:
            return False
        for coin, amount in balances.items():
            self.engine.move(coin, amount, self._clock.now_ms(), "OPENED")
        self.engine.state.opened = True
        self.engine.state.commit()
        return True

    def truth(self) -> TruthLog:
        """What really happened; for checkers, never for the bot."""
        return TruthLog(self.engine.state)
