"""The desk behind the wire: one twin with its keys, listings, clock and read model, for REST and streams alike.

Everything in here is plain and synchronous; `server.py` puts HTTP around it, `streams.py` websockets. Both lead the
engine up to now with `lead` before they look and end with `settle`: it commits, then tells the listeners, so nobody
hears of what the twin's file does not hold.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson

from tradecore.errors import SettingsError
from tradecore.model.instrument import Instrument
from tradecore.model.units import floor_to_tick, price_of
from tradecore.ports.clock import Clock
from tradecore.venues.twin.build import Twin, with_fees
from tradecore.venues.twin.faults import Faults
from tradecore.venues.twin.gate import Gate
from tradecore.venues.twin.manners import Manners
from tradecore.venues.twin.market import TwinMarket
from tradecore.venues.twin.matching import Engine
from tradecore.venues.twin.outside import Outside
from tradecore.venues.twin.reads import Reads
from tradecore.venues.twin.records import EngineEvent
from tradecore.venues.twin.state import pack
from tradecore.venues.twin.wire.faults import WIRE_FAULTS
from tradecore.venues.twin.wire.keys import ApiKey, KeyRing
from tradecore.venues.twin.wire.listing import Listing, SymbolStatus, changed_instrument, known_facts

TICK_S: Final = 0.1
"""Market seconds from one look at the market to the next: resting orders fill and streams push so often."""
WIRES: Final = ("binance", "mexc")


class ReadLag(NamedTuple):
    """By how much reads lag behind the engine, milliseconds: each copy has its own.

    Source: Binance rest-api.md, data sources.
    """

    memory_ms: int = 0
    """One order, open orders."""
    database_ms: int = 0
    """All orders, own trades."""
    balance_ms: int = 0


class Limits(NamedTuple):
    """How much the venue lets its customers ask; ``None`` means without a limit."""

    weight_per_minute: int | None = 6_000
    orders_per_10_s: int | None = 100
    orders_per_day: int | None = 200_000
    weight_per_10_s: int | None = 300
    """MEXC's own way of counting; Binance has no such limit."""


_NO_LAG: Final = ReadLag()
_LIMITS: Final = Limits()


class WireDesk:
    """A twin as the wire's venue.

    Args:
        twin: Its manners say which wire it speaks: binance or mexc.
        clock: Market time.
        keys: Customers of the one account.
        lag: Of reads.
        limits: Of requests.
    Raises:
        SettingsError: If the twin's manners are those of no wire.
    """

    def __init__(
        self, twin: Twin, clock: Clock, keys: KeyRing, *, lag: ReadLag = _NO_LAG, limits: Limits = _LIMITS
    ) -> None:  # fmt: skip
        self.manners: Final[Manners] = twin.venue.manners
        if self.manners.name not in WIRES:
            raise SettingsError(f"expected a twin with the manners {' or '.join(WIRES)}, was {self.manners.name!r}")
        self.clock: Final = clock
        self.engine: Final[Engine] = twin.venue.engine
        self.market: Final[TwinMarket] = twin.market
        self.outside: Final[Outside] = twin.venue.outside
        self.faults: Final[Faults] = twin.venue.faults
        self.faults.learn(WIRE_FAULTS)
        self.reads: Final = Reads(self.engine)
        self.keys: Final = keys
        self.lag = lag
        self.limits: Final = limits
        in_10_s = [(limits.weight_per_10_s, 10_000)] if self.wire == "mexc" else []
        self.gate: Final = Gate(limits.weight_per_minute, in_10_s)
        self.skew_ms = 0
        """How far the venue's clock is ahead of market time; negative: behind."""
        self.ack_without_status = False
        self.maintained_until_ms = 0
        self.orders_taken: Final[deque[int]] = deque()
        """When orders were taken, for the limits of a day and of ten seconds; the door forgets what is older."""
        self.cut: Final[set[str]] = set()
        """Endpoints that nobody can reach: ``POST /api/v3/order``, a path, an operation, or ``all``."""
        self.raw_symbols: Final[Mapping[str, str]] = dict(twin.venue.symbols)
        """Our symbol by the venue's."""
        self.listings: Final[dict[str, Listing]] = {symbol: Listing() for symbol in self.market.instruments}
        self.listeners: Final[list[Callable[[EngineEvent], None]]] = []
        """Each is told of each event of the engine, once and in order, as soon as it is durable. Must not raise."""
        self._events: list[EngineEvent] = []
        self.engine.listen(self._events.append)
        self._restore()

    @property
    def wire(self) -> str:
        """``binance`` or ``mexc``."""
        return self.manners.name

    def now_ms(self) -> int:
        """The venue's own clock; orders and trades carry market time."""
        return self.clock.now_ms() + self.skew_ms

    def lead(self) -> int:
        """Lead the engine up to now, make it durable, tell. Returns the moment, market time."""
        now_ms = self.clock.now_ms()
        self.engine.advance(now_ms)
        self.settle()
        return now_ms

    def settle(self) -> None:
        """Make what happened durable, then tell the listeners."""
        self.engine.state.commit()
        while self._events:
            told, self._events[:] = tuple(self._events), []
            for event in told:
                for listener in self.listeners:
                    listener(event)

    async def run(self) -> None:
        """Lead the engine on as time passes, until cancelled."""
        while True:
            await self.clock.sleep(TICK_S)
            self.lead()
            await asyncio.sleep(0)

    # What is traded -----------------------------------------------------------------------------------------

    def instrument(self, raw_symbol: str) -> Instrument | None:
        """What the venue trades under a name; ``None`` where it lists none, or no more."""
        symbol = self.raw_symbols.get(raw_symbol)
        if symbol is None or self.listings[symbol].status is SymbolStatus.DELISTED:
            return None
        return self.market.instruments[symbol]

    def listed(self) -> list[Instrument]:
        """All instruments that the venue lists, in its order."""
        return [
            item for symbol, item in self.market.instruments.items()
            if self.listings[symbol].status is not SymbolStatus.DELISTED
        ]  # fmt: skip

    def last_price(self, symbol: str) -> Decimal | None:
        """Newest price, to the tick; ``None`` where nothing was traded yet."""
        step = self.market.step(symbol, self.clock.now_ms())
        return None if step is None else floor_to_tick(price_of(step.price), self.market.instruments[symbol].tick_size)

    def update_id(self, symbol: str, at_ms: int) -> int:
        """Number of the book's state at a moment: larger with each change; 0 where nobody trades."""
        depth = self.market.depth(symbol, at_ms)
        return 0 if depth is None else depth.at_ms * 1_000 + depth.changes

    # What others change -------------------------------------------------------------------------------------

    def change_symbol(self, symbol: str, facts: Mapping[str, Any]) -> None:
        """Change status or filters of a symbol. A delisting cancels its orders.

        Raises:
            SettingsError: If the symbol or a fact is not known or not usable.
        """
        if symbol not in self.listings:
            raise SettingsError(f"expected a symbol of the market, was {symbol!r}")
        if strange := sorted(set(facts) - known_facts()):
            raise SettingsError(f"expected some of {', '.join(sorted(known_facts()))}, was {', '.join(strange)}")
        plain = dict(facts)
        listing = self.listings[symbol].changed(plain)
        instrument = changed_instrument(self.market.instruments[symbol], plain)
        now_ms = self.lead()
        if instrument != self.market.instruments[symbol]:
            self.outside.change(instrument)
        self.listings[symbol] = listing
        if listing.status is SymbolStatus.DELISTED:
            for order in [item for item in self.engine.open_orders.values() if item.symbol == symbol]:
                self.engine.cancel(symbol, order.wire_id, order.venue_order_id, now_ms)
        kept = orjson.loads(self.engine.state.notes().get(f"symbol.{symbol}", "{}"))
        self.engine.state.put_note(f"symbol.{symbol}", pack({**kept, **plain}))
        self.settle()

    def change_fees(self, facts: Mapping[str, Any]) -> None:
        """Put one plan of fees on all symbols.

        Args:
            facts: ``fee_in`` (base, quote, other), ``fee_coin``, ``maker_bps``, ``taker_bps``.
        Raises:
            SettingsError: If a fact is not usable.
            ValueError: If orders stand: their locks were made for the old fees.
        """
        fee_in, coin = facts.get("fee_in", "base"), str(facts.get("fee_coin", ""))
        if fee_in not in ("base", "quote", "other") or (fee_in == "other" and not coin):
            raise SettingsError(f"expected fee_in base, quote, or other with a fee_coin, was {fee_in!r} and {coin!r}")
        try:
            maker, taker = (Decimal(str(facts.get(name, 10))) for name in ("maker_bps", "taker_bps"))
        except ArithmeticError as error:
            raise SettingsError(f"expected fees in basis points, was {dict(facts)}") from error
        self.lead()
        if self.engine.open_orders:
            raise ValueError("expected no open order while fees change")
        for item in with_fees(self.market.instruments, maker, taker, fee_in, coin).values():
            self.outside.change(item)
        self.engine.state.put_note("fees", pack(dict(facts)))
        self.settle()

    def change_key(self, name: str, facts: Mapping[str, Any]) -> ApiKey:
        """Change what a key may do.

        Args:
            facts: ``trade``, ``withdraw``, ``revoked``, ``address_ok``, each true or false.
        Raises:
            SettingsError: If there is no such key or fact.
        """
        key = self.keys.find(name)
        if key is None:
            raise SettingsError("expected a key that the server knows, was another")
        for fact, value in facts.items():
            if fact not in ("trade", "withdraw", "revoked", "address_ok") or not isinstance(value, bool):
                raise SettingsError(f"expected trade, withdraw, revoked or address_ok true or false, was {fact!r}")
            setattr(key, fact, value)
        flags = {"trade": key.trade, "withdraw": key.withdraw, "revoked": key.revoked, "address_ok": key.address_ok}
        self.engine.state.put_note(f"key.{_print_of(name)}", pack(flags))
        self.settle()
        return key

    def _restore(self) -> None:
        """Go on with what had been changed before a restart."""
        notes = self.engine.state.notes()
        for note, text in notes.items():
            kind, _, name = note.partition(".")
            facts = orjson.loads(text) if kind in ("symbol", "key", "fees") else {}
            if kind == "symbol" and name in self.listings:
                self.listings[name] = self.listings[name].changed(facts)
                self.market.change(changed_instrument(self.market.instruments[name], facts))
            elif kind == "key":
                for key in (key for key in self.keys.all.values() if _print_of(key.name) == name):
                    for fact, value in facts.items():
                        setattr(key, fact, value)
        if "fees" in notes:
            facts = orjson.loads(notes["fees"])
            maker, taker = (Decimal(str(facts.get(fact, 10))) for fact in ("maker_bps", "taker_bps"))
            fee_in, coin = facts.get("fee_in", "base"), str(facts.get("fee_coin", ""))
            for item in with_fees(self.market.instruments, maker, taker, fee_in, coin).values():
                self.market.change(item)


def _print_of(key: str) -> str:
    """Fingerprint of a key's name: the twin's file needs to know it again, not to hold it."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
