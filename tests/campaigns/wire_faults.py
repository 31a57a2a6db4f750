"""The faults of the catalogue that a wire can show (reference orders.md 8), each as a story beside a trading session.

A fault is switched on when the program trades, and off again well before the end: then everything must settle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from tests.campaigns.wire_stage import WIRES, Act, Story
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce, canonical, times
from tradecore.venues.twin.records import OrderStatus, Rejected, SelfTrade, TwinOrder
from tradecore.venues.twin.wire.auth import Request
from tradecore.venues.twin.wire.desk import ReadLag
from tradecore.venues.twin.wire.spoil import Reply

FIRST_S = 12
"""Market seconds before a fault begins."""
_UNDER_WAY = 4
"""Requests that may be on their way at one moment."""
Asked = tuple[str, float] | tuple[str, float, float] | tuple[str, float, float | None, int]

#: Orders that stand: one rung that waits for its price and is taken back soon.
RESTING = ('exec_ioc_gtc.steps=[{time_in_force="GTC", premium_bps=0, attempts=3, ttl_ms=1500}]',)


class Case(NamedTuple):
    """One fault of the catalogue."""

    number: str
    """As ``F2``; a letter behind it tells variants apart."""
    text: str
    story: Story
    scene: Mapping[str, Any] = {}
    """What differs from the usual scene."""
    hits: tuple[str, ...] = ()
    """Faults of which at least one must have hit."""
    wires: tuple[str, ...] = WIRES


def spell(*asked: Asked) -> Story:
    """A story in which some faults hit for a while: name, share, argument, times."""

    async def story(act: Act) -> None:
        await act.wait(FIRST_S)
        for one in asked:
            act.faults.ask(*one)
        await act.wait(act.spell_s)
        act.faults.clear()

    return story


def _hit(number: str, text: str, *asked: Asked, wires: tuple[str, ...] = WIRES, **scene: Any) -> Case:
    return Case(number, text, spell(*asked), scene, tuple(one[0] for one in asked), wires)


# Stories of their own ---------------------------------------------------------------------------------------------


async def _bans(act: Act) -> None:
    """429 and 418 for a while: until it is over nothing may be asked, but what is on its way (INV-15)."""
    serve, shut = act.server._door.serve, 0

    async def counted(request: Request) -> Reply:
        nonlocal shut
        reply = await serve(request)
        shut += reply.status in (418, 429)
        return reply

    act.server._door.serve = counted  # type: ignore[method-assign]
    await act.wait(FIRST_S)
    act.faults.ask("rate_limited", 0.01, 5.0)
    act.faults.ask("banned", 1.0, 40.0, 1)
    await act.wait(act.spell_s)
    act.faults.clear()
    begun = act.faults.happened["rate_limited"] + act.faults.happened["banned"]
    if shut > begun * _UNDER_WAY:
        raise AssertionError(f"expected silence after {begun} refusals, was asked on {shut} times")


async def _clocks(act: Act) -> None:
    """The venue's clock is ahead, behind, an hour off, drifts, and comes back."""
    await act.wait(FIRST_S)
    for skew_ms in (3_000, -20_000, 3_600_000, -3_600_000):
        act.desk.skew_ms = skew_ms
        await act.wait(25)
    for step in range(20):
        act.desk.skew_ms = -2_000 + 200 * step
        await act.wait(2)
    act.desk.skew_ms = 0


async def _filters(act: Act) -> None:
    """Ticks and lots become coarser and minimums larger, one symbol after the other."""
    await act.wait(FIRST_S)
    for symbol in act.symbols:
        item = act.desk.market.instruments[symbol]
        tick, lot = (canonical(times(step, Decimal(10))) for step in (item.tick_size, item.lot_size))
        act.desk.change_symbol(symbol, {"tick_size": tick, "lot_size": lot, "min_notional_quote": "20"})
        await act.wait(act.spell_s / len(act.symbols))


async def _statuses(act: Act) -> None:
    """Symbols are halted, cancel only, shut to programs; one is delisted for good."""
    await act.wait(FIRST_S)
    first, second, third, fourth, *_ = act.symbols
    act.desk.change_symbol(first, {"status": "HALT"})
    act.desk.change_symbol(second, {"status": "CANCEL_ONLY"})
    act.desk.change_symbol(third, {"api": False})
    await act.wait(60)
    act.desk.change_symbol(fourth, {"status": "BREAK"})
    await act.wait(act.spell_s - 60)
    for symbol in (first, second, fourth):
        act.desk.change_symbol(symbol, {"status": "TRADING"})
    act.desk.change_symbol(third, {"api": True})


async def _delisted(act: Act) -> None:
    """A symbol leaves the list for good; its orders are cancelled by the venue."""
    await act.wait(60)
    act.desk.change_symbol(act.symbols[-1], {"status": "DELISTED"})


async def _keys(act: Act) -> None:
    """The key is revoked, comes back, its address changes, comes back, it may not trade, may again."""
    name = next(iter(act.desk.keys.all))
    await act.wait(60)  # an account that was refused once stays halted: it must have traded before
    for fact in ("revoked", "address_ok", "trade"):
        value = fact == "revoked"
        act.desk.change_key(name, {fact: value})
        await act.wait(40)
        act.desk.change_key(name, {fact: not value})
        await act.wait(20)


async def _lagging_balances(act: Act) -> None:
    await act.wait(FIRST_S)
    act.desk.lag = act.desk.lag._replace(balance_ms=20_000)
    act.faults.ask("balance_lag", 0.5, 30_000)
    await act.wait(act.spell_s)
    act.faults.clear()
    act.desk.lag = ReadLag()


async def _lagging_reads(act: Act) -> None:
    await act.wait(FIRST_S)
    act.desk.lag = ReadLag(memory_ms=4_000, database_ms=7_000)
    act.faults.ask("stale_executed", 0.3)
    act.faults.ask("read_lag", 0.3, 6_000)
    await act.wait(act.spell_s)
    act.faults.clear()
    act.desk.lag = ReadLag()


async def _self_trades(act: Act) -> None:
    """Somebody else on the account keeps selling into our resting buys: the venue ends ours instead.

    Every other one of ours is met as soon as it stands, before prices move away from it; the rest when they are seen.
    """
    await act.wait(FIRST_S)
    act.faults.ask("no_liquidity", 0.7)
    engine, place, number = act.desk.engine, act.desk.engine.place, 0

    def sell_into(order: TwinOrder) -> None:
        nonlocal number
        if order.status is not OrderStatus.OPEN:
            return
        number += 1
        foreign = NewOrder(f"outside{number}", order.symbol, Side.SELL, TimeInForce.IOC, order.price, order.quantity)
        place(foreign, act.desk.lead(), foreign=True, self_trade=SelfTrade.EXPIRE_BOTH)
        act.desk.settle()
        act.faults.happened["self_trade"] += order.status is OrderStatus.EXPIRED_IN_MATCH

    def met(order: NewOrder, now_ms: int, **how: Any) -> TwinOrder | Rejected:
        placed = place(order, now_ms, **how)
        if isinstance(placed, TwinOrder) and placed.side is Side.BUY and placed.number % 2:
            asyncio.get_running_loop().call_soon(sell_into, placed)
        return placed

    engine.place = met  # type: ignore[method-assign]
    end_s = act.clock.monotonic_s() + act.spell_s
    while act.clock.monotonic_s() < end_s:
        for order in list(engine.open_orders.values()):
            if not order.foreign and order.side is Side.BUY:
                sell_into(order)
        await act.wait(0.25)
    engine.place = place  # type: ignore[method-assign]
    act.faults.clear()


async def _swizzle(act: Act) -> None:
    """Endpoints are cut one by one and come back in another order (orders.md 4, FoundationDB)."""
    await act.wait(FIRST_S)
    names = ["place", "cancel", "order", "lists", "trades", "balances", "time", "data"]
    for _ in range(2):
        act.random.shuffle(names)
        for name in names:
            act.desk.cut.add(name)
            await act.wait(3)
        await act.wait(15)
        act.random.shuffle(names)
        for name in names:
            act.desk.cut.discard(name)
            await act.wait(3)
    act.desk.cut.clear()


_BASES = {
    "USDT": "10000", "BTC": "1", "ETH": "10", "SOL": "100", "XRP": "20000", "DOGE": "100000", "PEPE": "1000000000",
}  # fmt: skip
_LATE = ("venue.read_lag_ms=50000",)

CASES = (
    _hit("F1", "request lost before the venue", ("lost_request", 0.2), ("cut_request", 0.15), ("not_sent", 0.1),
         ("hang", 0.05, 60.0)),
    _hit("F2", "accepted, answer lost", ("lost_ack", 0.25), ("cut_after_accept", 0.25)),
    _hit("F3", "held, accepted late within the window", ("late_request", 0.4, 21_000.0)),
    _hit("F4", "held beyond the window, refused", ("late_request", 0.4, 40_000.0)),
    _hit("F5", "5xx and -1007 after accept", ("http_500_accepted", 0.12), ("http_502_accepted", 0.12),
         ("http_503_accepted", 0.12), ("http_504_accepted", 0.12), ("code_1006_accepted", 0.12)),
    _hit("F6", "duplicate answers, trades and pushes", ("duplicate_reply", 0.3), ("duplicate_fills", 0.5),
         ("stream_duplicated", 0.5), streams=True),
    Case("F7", "stale reads", _lagging_reads, {}, ("stale_executed", "read_lag")),
    _hit("F8", "not found for 20 s and 45 s after accept", ("not_found_for", 0.5, 20_000.0),
         ("not_found_for", 0.5, 45_000.0), ("lost_ack", 0.3), sets=_LATE, for_s=420),
    _hit("F9", "many small trades, more than a page", ("split_fills", 0.3, 200.0), ("split_fills", 1.0, 1_100.0, 1),
         ("partial_fill", 0.4, 0.4), wires=("binance",)),
    # MEXC's pages hold 100 trades and nothing in it tells those of one millisecond apart: one order stays below
    _hit("F9m", "many small trades, more than a page", ("split_fills", 0.6, 45.0), ("partial_fill", 0.4, 0.4),
         wires=("mexc",), sets=("venue.read_lag_ms=60000",)),
    _hit("F10", "fill between the last read and the cancel", ("no_liquidity", 0.7), ("cancel_partly_filled", 0.7, 0.5),
         sets=RESTING),
    _hit("F11", "cancel refused: filled", ("no_liquidity", 0.7), ("cancel_refused_filled", 0.7), sets=RESTING),
    _hit("F12", "cancel lost, its answer lost, 502", ("no_liquidity", 0.7), ("cancel_lost", 0.3), ("cancel_502", 0.3),
         ("cancel_dropped", 0.3), sets=RESTING),
    _hit("F13", "pushes out of order, missing, doubled, late, garbage", ("stream_swapped", 0.2),
         ("stream_dropped", 0.2), ("stream_duplicated", 0.2), ("stream_late", 0.2, 5_000.0),
         ("stream_garbage", 0.1), ("feed_swapped", 0.1),
         ("feed_dropped", 0.1), ("feed_garbage", 0.02), streams=True),
    _hit("F14", "streams cut, half open, silent, refused", ("stream_cut", 0.1), ("stream_half_open", 0.05),
         ("stream_silent", 0.05), ("feed_cut", 0.002), ("feed_half_open", 0.001), ("feed_silent", 0.001),
         ("stream_refused", 0.3), ("feed_refused", 0.3), streams=True),
    Case("F15", "429 with Retry-After, then 418", _bans, {}, ("rate_limited", "banned")),
    Case("F16", "clocks apart, stepped, drifting", _clocks, {"for_s": 420}),
    _hit("F17", "malformed answers", ("truncated_body", 0.04), ("empty_object", 0.2), ("null_body", 0.03),
         ("wrong_types", 0.2), ("numbers_as_strings", 0.4), ("empty_body", 0.03)),
    _hit("F18", "pages, gzip garbage, huge bodies", ("html_200", 0.03), ("http_403", 0.03), ("http_502", 0.03),
         ("gzip_garbage", 0.03), ("huge_body", 1.0, 10_000_000.0, 4)),
    Case("F21", "tick, lot and minimum changed", _filters),
    Case("F22", "halted, cancel only, shut to programs", _statuses),
    Case("F22b", "delisted", _delisted),
    _hit("F23", "maintenance", ("maintenance", 1.0, 100_000.0, 1), for_s=420),
    Case("F24", "balances lag fills", _lagging_balances, {"sets": _LATE, "for_s": 420}, ("balance_lag",)),
    Case("F25", "fee in a third coin, at times not named", spell(("fee_coin_missing", 0.3)), {"fee_in": "other"},
         ("fee_coin_missing",)),
    Case("F25b", "rebate for makers, no fee for takers", spell(("no_liquidity", 0.5)),
         {"fees_bps": ("-2", "0"), "sets": RESTING}, ("no_liquidity",)),
    Case("F26", "fee in base, small positions, dust", spell(("partial_fill", 0.5, 0.6)),
         {"fee_in": "base", "sets": ("size_fixed.amount=12", "size_fixed.symbol_max=24")}, ("partial_fill",)),
    _hit("F27", "refused: less free than asked", ("insufficient_30005", 0.6)),
    Case("F28", "own order met: expired in match", _self_trades, {"sets": RESTING, "money": _BASES}, ("self_trade",)),
    Case("F44", "key revoked, address changed, permission removed", _keys, {"for_s": 420}),
    _hit("F45", "answers about another order", ("wrong_echo", 0.25), ("wrong_symbol", 0.25), ("wrong_id", 0.2)),
    Case("F50", "endpoints cut one by one and restored", _swizzle, {"for_s": 420}),
)  # fmt: skip
"""Every fault of the catalogue that a venue or the network makes, in order."""
