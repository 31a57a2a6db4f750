"""The control endpoint: faults, filters, keys, clock and money while the venue runs, and the truth for checkers.

It listens on loopback at a port of its own and asks for a token: a bot that is tried out never talks to it.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web

from tradecore.errors import SettingsError, UnitError
from tradecore.model.order import NewOrder
from tradecore.model.units import ONE, Side, TimeInForce, decimal_of
from tradecore.venues.twin.records import Rejected, TwinOrder
from tradecore.venues.twin.state import pack
from tradecore.venues.twin.truth import TruthLog
from tradecore.venues.twin.wire.desk import ReadLag, WireDesk
from tradecore.venues.twin.wire.door import Door

_Facts = dict[str, Any]
_T = TypeVar("_T")


class Control:
    """What can be done to a running venue.

    Args:
        desk: The twin behind the wire.
        door: For what can be cut.
    """

    def __init__(self, desk: WireDesk, door: Door) -> None:
        self._desk: Final = desk
        self._door: Final = door

    # Faults -------------------------------------------------------------------------------------------------

    def faults(self, facts: _Facts) -> _Facts:
        """Faults in force, those that there are, and how often each has hit."""
        faults = self._desk.faults
        return {
            "asked": [asked._asdict() for asked in faults.asked],
            "happened": dict(faults.happened),
            "known": {
                name: {"text": kind.text, "unit": kind.unit, "default": kind.default, "on": sorted(kind.on)}
                for name, kind in sorted(faults.known.items())
            },
        }

    def add_fault(self, facts: _Facts) -> _Facts:
        """Let a fault hit: name, share (1), argument (its default), times (for ever)."""
        argument, times = facts.get("argument"), facts.get("times")
        self._desk.faults.ask(
            _need(facts, "name"), _as(float, facts.get("share", 1.0), "share"),
            None if argument is None else _as(float, argument, "argument"),
            None if times is None else _as(int, times, "times"),
        )  # fmt: skip
        return {"asked": len(self._desk.faults.asked)}

    def drop_faults(self, facts: _Facts) -> _Facts:
        """Ask for no fault any more, or for one name no more."""
        self._desk.faults.clear(facts.get("name"))
        return {"asked": len(self._desk.faults.asked)}

    def cut(self, facts: _Facts) -> _Facts:
        """Cut an endpoint off."""
        name = _need(facts, "endpoint")
        if not self._door.is_known(name):
            raise SettingsError(f"expected an endpoint, a path, an operation, stream or all, was {name!r}")
        self._desk.cut.add(name)
        return {"cut": sorted(self._desk.cut)}

    def restore(self, facts: _Facts) -> _Facts:
        """Restore an endpoint, or all of them."""
        if "endpoint" in facts:
            self._desk.cut.discard(str(facts["endpoint"]))
        else:
            self._desk.cut.clear()
        return {"cut": sorted(self._desk.cut)}

    # Market, keys, clock, reads -----------------------------------------------------------------------------

    def market(self, facts: _Facts) -> _Facts:
        """Change a symbol's status (TRADING, HALT, BREAK, CANCEL_ONLY, DELISTED), filters, or trading by programs."""
        symbol = _need(facts, "symbol")
        rest = {name: value for name, value in facts.items() if name != "symbol"}
        self._desk.change_symbol(self._desk.raw_symbols.get(symbol, symbol), rest)
        return self.state({})

    def keys(self, facts: _Facts) -> _Facts:
        """Change what a key may do: trade, withdraw, revoked, address_ok; without a key named, of all."""
        rest = {name: value for name, value in facts.items() if name != "key"}
        for name in [str(facts["key"])] if "key" in facts else list(self._desk.keys.all):
            self._desk.change_key(name, rest)
        return self.state({})

    def fees(self, facts: _Facts) -> _Facts:
        """Put one plan of fees on all symbols: fee_in, fee_coin, maker_bps, taker_bps."""
        self._desk.change_fees(facts)
        return {"done": True}

    def clock(self, facts: _Facts) -> _Facts:
        """Set how far the venue's clock is ahead of market time: skew_ms."""
        self._desk.skew_ms = _as(int, _need(facts, "skew_ms", int), "skew_ms")
        return {"now_ms": self._desk.now_ms()}

    def reads(self, facts: _Facts) -> _Facts:
        """Set the lag of each copy: memory_ms, database_ms, balance_ms; and ack_without_status true or false."""
        facts = dict(facts)
        if "ack_without_status" in facts:
            self._desk.ack_without_status = bool(facts.pop("ack_without_status"))
        if strange := sorted(set(facts) - set(ReadLag._fields)):
            raise SettingsError(f"expected {', '.join(ReadLag._fields)}, was {', '.join(strange)}")
        values = {name: _as(int, value, name) for name, value in facts.items()}
        if any(value < 0 for value in values.values()):
            raise SettingsError("expected a lag >= 0 ms")
        self._desk.lag = self._desk.lag._replace(**values)
        return {**self._desk.lag._asdict(), "ack_without_status": self._desk.ack_without_status}

    # Money and orders of others -----------------------------------------------------------------------------

    def account(self, facts: _Facts) -> _Facts:
        """Let others act: deposit or withdraw {coin: amount}, place an order, cancel or fill one that stands."""
        desk, done = self._desk, dict[str, Any]()
        for name, move in (("deposit", desk.outside.deposit), ("withdraw", desk.outside.withdraw)):
            for coin, amount in dict(facts.get(name, {})).items():
                move(str(coin), _amount(amount, name))
                done[name] = True
        if "order" in facts:
            done["order"] = _told(desk.outside.place(self._order(facts["order"])))
        for name in ("cancel", "fill"):
            if name in facts:
                done[name] = _told(self._touch(name, facts[name]))
        desk.settle()
        if not done:
            raise SettingsError("expected deposit, withdraw, order, cancel or fill, found none")
        return done

    def _order(self, facts: Mapping[str, Any]) -> NewOrder:
        try:
            symbol = str(facts["symbol"])
            return NewOrder(
                str(facts["client_order_id"]), self._desk.raw_symbols.get(symbol, symbol),
                Side(str(facts["side"]).lower()), TimeInForce(str(facts.get("time_in_force", "GTC")).upper()),
                _amount(facts["price"], "price"), _amount(facts["quantity"], "quantity"),
                bool(facts.get("post_only", False)),
            )  # fmt: skip
        except (KeyError, ValueError) as error:
            raise SettingsError(f"expected an order with price and client_order_id, was unusable: {error}") from error

    def _touch(self, what: str, facts: Mapping[str, Any]) -> TwinOrder | Rejected:
        desk = self._desk
        symbol, wire_id = str(facts.get("symbol", "")), str(facts.get("client_order_id", ""))
        symbol = desk.raw_symbols.get(symbol, symbol)
        if what == "cancel":
            return desk.outside.cancel(symbol, wire_id)
        now_ms = desk.lead()
        standing = desk.engine.find_open(symbol, wire_id)
        if standing is None:
            raise SettingsError(f"expected an open order {wire_id!r} on {symbol!r}, found none")
        share = _amount(facts.get("share", 1), "share")
        desk.engine.fill_now(standing, now_ms, min(ONE, share))
        return standing

    # Looking ------------------------------------------------------------------------------------------------

    def truth(self, facts: _Facts) -> _Facts:
        """What really happened: events, and the orders, trades and balances that they tell of."""
        self._desk.lead()
        log = TruthLog(self._desk.engine.state)
        return {
            "events": [event._asdict() for event in log.events()],
            "orders": [order._asdict() for order in log.orders()],
            "trades": [trade._asdict() for trade in log.trades()],
            "balances": {coin: list(held) for coin, held in log.balances().items()},
        }

    def state(self, facts: _Facts) -> _Facts:
        """Where the venue stands: clock, load, orders, symbols, keys (never a secret)."""
        desk = self._desk
        desk.lead()
        desk.gate.forget(desk.clock.now_ms())
        return {
            "wire": desk.wire, "now_ms": desk.now_ms(), "market_ms": desk.clock.now_ms(), "skew_ms": desk.skew_ms,
            "weight_used": desk.gate.used, "orders_open": len(desk.engine.open_orders), "cut": sorted(desk.cut),
            "orders_made": desk.engine.state.orders_made, "trades_made": desk.engine.state.trades_made,
            "reads": desk.lag._asdict(), "ack_without_status": desk.ack_without_status,
            "faults": [asked._asdict() for asked in desk.faults.asked],
            "symbols": {
                symbol: {**listing._asdict(), "can_buy": item.can_buy, "can_sell": item.can_sell}
                for symbol, listing in desk.listings.items()
                if (item := desk.market.instruments[symbol])
            },
            "keys": {
                key.name: {
                    "trade": key.trade, "withdraw": key.withdraw, "revoked": key.revoked, "address_ok": key.address_ok,
                }
                for key in desk.keys.all.values()
            },
        }  # fmt: skip


def add_control(app: web.Application, desk: WireDesk, door: Door, token: str) -> None:
    """Add all routes of the control endpoint to an application; each asks for the token."""
    control = Control(desk, door)
    routes: tuple[tuple[str, str, Callable[[_Facts], _Facts]], ...] = (
        ("GET", "/faults", control.faults), ("POST", "/faults", control.add_fault),
        ("DELETE", "/faults", control.drop_faults), ("POST", "/cut", control.cut), ("DELETE", "/cut", control.restore),
        ("POST", "/market", control.market), ("POST", "/keys", control.keys), ("POST", "/fees", control.fees),
        ("POST", "/clock", control.clock), ("POST", "/reads", control.reads), ("POST", "/account", control.account),
        ("GET", "/truth", control.truth), ("GET", "/state", control.state),
    )  # fmt: skip
    for method, path, action in routes:
        app.router.add_route(method, path, _handler(action, token))


def _handler(
    action: Callable[[_Facts], _Facts], token: str
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:  # fmt: skip
    async def handle(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            return _json(401, {"error": "expected the control token, was none or another"})
        try:
            facts: Any = orjson.loads(await request.read() or b"{}") if request.can_read_body else {}
            if not isinstance(facts, dict):
                raise SettingsError("expected a JSON object")
            return _json(200, action({**dict(request.query), **facts}))
        except orjson.JSONDecodeError:
            return _json(400, {"error": "expected JSON, was something else"})
        except (SettingsError, ValueError) as error:
            return _json(400, {"error": str(error)})

    return handle


def _json(status: int, facts: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, text=pack(facts), content_type="application/json")


def _told(result: TwinOrder | Rejected) -> _Facts:
    if isinstance(result, Rejected):
        raise SettingsError(f"{result.rejection}: {result.detail}")
    return {"venue_order_id": result.venue_order_id, "status": str(result.status), "executed": result.executed}


def _need(facts: _Facts, name: str, kind: type = str) -> Any:
    if name not in facts or not isinstance(facts[name], kind):
        raise SettingsError(f"expected {name}, found none")
    return facts[name]


def _as(kind: Callable[[Any], _T], value: Any, name: str) -> _T:
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"expected a number for {name}, was {value!r}") from error


def _amount(value: Any, name: str) -> Decimal:
    try:
        amount = decimal_of(str(value))
    except UnitError as error:
        raise SettingsError(f"expected an amount for {name}, was {value!r}") from error
    if amount <= 0:
        raise SettingsError(f"expected {name} > 0, was {value!r}")
    return amount
