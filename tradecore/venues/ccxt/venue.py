"""A real exchange behind the venue port: ccxt asks, the transport's evidence decides (R13, reference orders.md 2.3)."""

from __future__ import annotations

import decimal
from collections.abc import Awaitable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tradecore.errors import RetryableVenueError, UnitError, VenueRefused
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.order import Cancelation, CancelKind, NewOrder, OrderReport, Placement, PlacementKind
from tradecore.model.reasons import Reason
from tradecore.model.units import ClientOrderId, TimeInForce, decimal_of
from tradecore.ports.limiter import Priority
from tradecore.ports.venue import Balance, CoinTransfer, KeyRights, TradePage, VenueTiming
from tradecore.venues.ccxt.client import Asked, Client, ClockReading
from tradecore.venues.ccxt.market import CcxtMarketData
from tradecore.venues.ccxt.orders import OrderReads
from tradecore.venues.ccxt.parsed import balances_from, order_facts, says_none, texts_in
from tradecore.venues.ccxt.probe import Probe, ask_probe
from tradecore.venues.ccxt.rights import read_rights, read_self_symbols
from tradecore.venues.ccxt.trades import TradeReads
from tradecore.venues.ccxt.transfers import read_transfers
from tradecore.venues.classify import classify_cancel, classify_place, classify_read
from tradecore.venues.payload import balances_of, parse_json


def _text(value: Decimal) -> str:
    return format(value, "f")


class CcxtVenue:
    """The account at one exchange (ports/venue.py).

    The caller takes the turns of `place`, `cancel`, `order`, `open_orders`, `recent_orders`, `trades` and `balances` at
    the limiter, with `weight_of`; every other read takes its own.

    Args:
        client: The exchange, with keys.
        timing: Times of the fence.
    """

    def __init__(self, client: Client, timing: VenueTiming) -> None:
        self._client: Final = client
        self._timing: Final = timing
        self.market: Final = CcxtMarketData(client, owns=False)
        """The public side over the same connections."""
        self._orders: Final = OrderReads(client)
        self._trades: Final = TradeReads(client, timing.read_lag_ms + timing.clock_error_ms)

    def __repr__(self) -> str:
        return f"CcxtVenue({self.name})"

    @property
    def name(self) -> str:
        """Id of the exchange at ccxt."""
        return self._client.name

    @property
    def timing(self) -> VenueTiming:
        """Times of the fence."""
        return self._timing

    def wire_id(self, client_order_id: ClientOrderId) -> str:
        """Write our id in the form that the exchange takes."""
        return self._client.ways.wire_id(client_order_id)

    def is_ours(self, wire_id: str) -> bool:
        """Tell whether an id has the form of ours."""
        return self._client.ways.is_ours(wire_id)

    def weight_of(self, operation: str) -> int:
        """What a call costs at the limiter."""
        return self._client.weight_of(operation)

    # Reads ------------------------------------------------------------------------------------------------------

    async def instruments(self) -> Mapping[str, Instrument]:
        """Read what can be traded, by symbol; with MEXC what our key may trade there."""
        return await self.market.instruments_for(await read_self_symbols(self._client), Priority.RECONCILE)

    async def balances(self) -> Mapping[str, Balance]:
        """Read all coins of the account that are not zero."""
        await self._ready()
        asked = await self._client.ask("balances", "", lambda exchange: exchange.fetch_balance({"type": "spot"}))
        try:
            if self._client.rules.raw:
                self._client.doubt_clock_of(asked)
                return balances_of(classify_read(asked.read, self._client.rules, "balances"))
            found = balances_from(self._client.usable(asked, "balances"))
            if not found and not says_none(asked.read.body):
                raise UnitError("expected a list of coins, was none")
            return found
        except ValueError as error:
            raise RetryableVenueError(f"balances: {error}") from error

    async def book(self, symbol: str) -> Book:
        """Read the order book."""
        return await self.market.book_for(symbol, Priority.ORDER)

    async def order(self, symbol: str, wire_id: str) -> OrderReport | None:
        """Read one order by our id; ``None`` means that the venue says it has no such order."""
        await self._ready()
        return await self._orders.one(symbol, wire_id)

    async def open_orders(self, symbol: str | None = None) -> Sequence[OrderReport]:
        """Read open orders, foreign ones too."""
        await self._ready()
        return await self._orders.open(symbol)

    async def recent_orders(self, symbol: str, since_ms: int) -> Sequence[OrderReport]:
        """Read orders of one symbol since then, whatever their state."""
        await self._ready()
        return await self._orders.recent(symbol, since_ms)

    async def trades(self, symbol: str, cursor: str, since_ms: int) -> TradePage:
        """Read own trades after `cursor`; an empty cursor starts at `since_ms`. Some may come twice, none never."""
        await self._ready()
        return await self._trades.page(symbol, cursor, since_ms)

    async def transfers(self, since_ms: int) -> Sequence[CoinTransfer] | None:
        """Read deposits and withdrawals since then; ``None`` where nobody knows how to ask the exchange."""
        await self._ready()
        return await read_transfers(self._client, since_ms)

    async def server_time_ms(self) -> int:
        """Read the venue's clock."""
        return await self._client.server_time_ms()

    async def sync_clock(self) -> ClockReading:
        """Measure the venue's clock against ours; requests are stamped by it from now on."""
        return await self._client.sync_clock()

    async def rights(self) -> KeyRights:
        """Read what our key may do; ``None`` in a field where the exchange does not tell."""
        return await read_rights(self._client)

    async def probe(self, symbol: str) -> Probe:
        """Ask the exchange whether our key could trade a symbol now, without placing anything."""
        return await ask_probe(self._client, self.market, symbol)

    # Orders -----------------------------------------------------------------------------------------------------

    async def place(self, order: NewOrder) -> Placement:
        """Send once. Never raises for what a venue or a network does; never sends twice."""
        try:
            await self._ready()
        except (RetryableVenueError, VenueRefused) as error:
            return _not_sent(Reason.NOT_SENT, str(error))
        refused = self._refused_here(order)
        if refused is not None:
            return refused
        params = self._params(order)

        def call(exchange: Any) -> Awaitable[Any]:
            return exchange.create_order(  # type: ignore[no-any-return]
                order.symbol, "limit", str(order.side), _text(order.quantity), _text(order.price), params
            )

        asked = await self._client.ask("place", order.symbol, call)
        placement = classify_place(asked.sent, self._client.rules, order, self._acknowledged(asked))
        rule = self._client.rules.codes.get(placement.code)
        self._client.doubt_clock(rule.error_class if rule else None)
        return placement

    def _params(self, order: NewOrder) -> dict[str, Any]:
        ways = self._client.ways
        params: dict[str, Any] = {ways.create_key: ways.sent_id(order.wire_id)}
        if order.post_only:
            params["postOnly"] = True
        elif order.time_in_force is not TimeInForce.GTC:
            params["timeInForce"] = str(order.time_in_force)
        return params

    def _refused_here(self, order: NewOrder) -> Placement | None:
        """Make sure that ccxt sends the very numbers that we meant; ``None``: it will.

        It rounds a price half up, so a cap off its tick would become a dearer one (reference orders.md 2.6).
        """
        exchange = self._client.exchange
        if order.symbol not in exchange.markets:
            return _not_sent(Reason.SYMBOL_HALTED, f"{self.name} does not list {order.symbol}")
        with decimal.localcontext():
            for reason, value, rounded in (
                (Reason.QUANTITY_OFF_LOT, order.quantity, exchange.amount_to_precision),
                (Reason.PRICE_OFF_TICK, order.price, exchange.price_to_precision),
            ):
                if not value.is_finite() or value <= 0:
                    return _not_sent(reason, f"expected a positive number, was {value}")
                try:
                    sent = decimal_of(rounded(order.symbol, _text(value)))
                except Exception as error:  # noqa: BLE001 - ccxt raises anything on numbers that it cannot fit
                    return _not_sent(reason, f"{value} does not fit the steps: {type(error).__name__}")
                if sent != value:
                    return _not_sent(reason, f"expected {value} to fit the steps, would be sent as {sent}")
        return None

    def _acknowledged(self, asked: Asked) -> Mapping[str, Any] | None:
        """The placed order as ccxt read it, for exchanges whose form of acknowledgement nobody described."""
        rules = self._client.rules
        if rules.raw or rules.described or asked.error:
            return None
        try:
            return order_facts(asked.result, texts_in(parse_json(asked.sent.body)))
        except ValueError:
            return None  # without proof it stays UNKNOWN

    async def cancel(self, symbol: str, wire_id: str, venue_order_id: str) -> Cancelation:
        """Ask for a cancel. `venue_order_id` may be empty. The caller reads the order afterwards."""
        client, ways = self._client, self._client.ways
        try:
            await self._ready()
            if not (venue_order_id or ways.cancel_key or ways.cancel_as_id):
                found = await self._orders.one(symbol, wire_id)
                venue_order_id = found.venue_order_id if found is not None else ""
                if not venue_order_id:
                    return Cancelation(CancelKind.NOT_FOUND, "", "the exchange has no such order, or not yet")
        except (RetryableVenueError, VenueRefused) as error:
            return Cancelation(CancelKind.UNKNOWN, error.code, str(error))
        named = venue_order_id or (wire_id if ways.cancel_as_id else None)
        params = {} if named else {ways.cancel_key: ways.sent_id(wire_id)}
        asked = await client.ask("cancel", symbol, lambda exchange: exchange.cancel_order(named, symbol, params))
        taken: Mapping[str, Any] | None = None
        if not (client.rules.raw or client.rules.described or asked.error):
            taken = {}
        canceled = classify_cancel(asked.sent, client.rules, symbol, wire_id, venue_order_id, parsed=taken)
        rule = client.rules.codes.get(canceled.code)
        client.doubt_clock(rule.error_class if rule else None)
        return canceled

    async def _ready(self) -> None:
        """Have the markets, which ccxt needs to name a symbol, and a clock that nobody doubts."""
        if not self._client.exchange.markets:
            await self._client.turn("instruments", Priority.RECONCILE)
            await self._client.load_markets()
        await self._client.trust_clock()

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        await self._client.close()


def _not_sent(reason: Reason, detail: str) -> Placement:
    return Placement(PlacementKind.NOT_SENT, reason, "", detail)
