"""Values that the core hands to deciding hooks: signals, portfolios, intents, books and attempts of every kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tradecore.hooks.guest import spec_arguments
from tradecore.hooks.specs import HOOKS, Hooks
from tradecore.market.frame import Market, MarketFrame
from tradecore.model.book import Book, Level
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Cap, Intent
from tradecore.model.lock import Lock
from tradecore.model.order import AttemptState, AttemptView, Outcome
from tradecore.model.portfolio import FillRate, Portfolio, TradingState
from tradecore.model.position import ClosedPosition, Position
from tradecore.model.reasons import Reason
from tradecore.model.signal import Signal
from tradecore.model.units import (
    ZERO,
    ClientOrderId,
    IntentId,
    PositionId,
    Side,
    SignalId,
    TimeInForce,
    add_bps,
    limit_to_tick,
    times,
)

SYMBOL: Final = "C0/USDT"
WISHER: Final = "some_wisher"
_D: Final = Decimal
HUNDRED: Final = _D(100)

ARGUMENTS: Final = {hook: spec_arguments(Hooks, hook) for hook in HOOKS}
"""Names of the arguments of a hook, for messages."""


def instrument_of(
    *, lot: str = "0.001", tick: str = "0.01", least: str = "0.001", notional: str = "5", most: str = "0"
) -> Instrument:
    """Make filters of the symbol; all amounts as text."""
    base, quote = SYMBOL.split("/")
    return Instrument(
        SYMBOL, base, quote, _D(tick), _D(lot), _D(least), _D(most), _D(notional), _D(10), _D(10), quote
    )  # fmt: skip


def signal_of(now_ms: int, price: Decimal = HUNDRED, **parts: Any) -> Signal:
    """Make an entry's signal of the row that closed at `now_ms`."""
    made = Signal(
        SignalId("5" * 32), WISHER, SYMBOL, Side.BUY, now_ms, now_ms + 60_000, price, now_ms, 0.5, "test wish",
        0.97, 0.98, "ratio",
    )  # fmt: skip
    return made._replace(**parts)


def intent_of(now_ms: int, *, sells: bool = False, price: Decimal = HUNDRED, quantity: str = "0.5") -> Intent:
    """Make an intent: an entry, or an exit of a position; its cap lies 50 bps from the price."""
    side = Side.SELL if sells else Side.BUY
    place = PositionId("p-held") if sells else PositionId("p-new")
    signal = signal_of(now_ms, price, side=side, position_id=place if sells else None)
    cap = limit_to_tick(add_bps(price, _D(-300) if sells else _D(50)), _tick_of(price), side)
    return Intent(
        IntentId("7" * 32), signal, SYMBOL, side, _D(quantity), price, now_ms, cap, now_ms, now_ms + 60_000,
        "size: test", sells, place, {} if sells else {"slippage_bps_max": Cap(_D(50), "risk")},
    )  # fmt: skip


def _tick_of(price: Decimal) -> Decimal:
    """A tick of a ten-thousandth of the price's magnitude."""
    return _D(1).scaleb(price.adjusted() - 4)


def book_of(
    now_ms: int, price: Decimal = HUNDRED, *, spread_bps: int = 4, bids: bool = True, asks: bool = True
) -> Book:
    """Make a book of five levels around a price."""
    half = _D(spread_bps) / 2
    depth = times(_D(10), HUNDRED) / price
    levels = {
        sign: tuple(Level(add_bps(price, sign * (half + 2 * step)), depth) for step in range(5)) for sign in (-1, 1)
    }
    return Book(SYMBOL, now_ms, levels[-1] if bids else (), levels[1] if asks else (), "test")


def position_of(opened_ms: int, price: Decimal = HUNDRED, **parts: Any) -> Position:
    """Make an open position, bought at `price`."""
    made = Position(
        PositionId("p-held"), SYMBOL, WISHER, "", _D("0.5"), price, opened_ms, 1, price, price,
        memo={}, bought_quantity=_D("0.5"), bought_quote=times(_D("0.5"), price),
    )  # fmt: skip
    return made._replace(**parts)


def portfolio_of(now_ms: int, **parts: Any) -> Portfolio:
    """Make an account that holds nothing; the mappings are plain, so that a guest could write them."""
    made = Portfolio(
        as_of_ms=now_ms, currency="USDT", state=TradingState.ACTIVE, equity=_D(10_000), equity_day_open=_D(10_000),
        equity_day_peak=_D(10_050), free=_D(10_000), reserved=ZERO, exposure=ZERO, positions=(), pending=(), closed=(),
        trades_today=0, orders_last_minute=0, dust={}, fill_rate_24h={}, locks=(), marks={}, quote_rates={},
    )  # fmt: skip
    return made._replace(**parts)


def portfolios(now_ms: int, price: Decimal = HUNDRED) -> Mapping[str, Portfolio]:
    """Make accounts in every condition, by name."""
    held = position_of(now_ms - 600_000, price, memo={"x.note": "kept"})
    entry = intent_of(now_ms, price=price)._replace(symbol="C1/USDT", intent_id=IntentId("8" * 32))
    won = ClosedPosition(
        PositionId("p-old"), SYMBOL, WISHER, now_ms - 9_000_000, now_ms - 8_000_000, _D("1.5"), 0.01, Reason.TAKE_PROFIT
    )
    lost = won._replace(realised_pnl_quote=_D("-2.25"), return_ratio=-0.015, reason=Reason.STOP_LOSS)
    exposure = times(_D("0.5"), price)
    busy = portfolio_of(
        now_ms, free=_D(9_000), reserved=_D(50), exposure=exposure, positions=(held,), pending=(entry,),
        closed=(won, lost) * 150, trades_today=7, orders_last_minute=3, dust={"C0": _D("0.00001")},
        fill_rate_24h={SYMBOL: FillRate(9, 6)}, marks={SYMBOL: price}, quote_rates={SYMBOL: _D(1)},
    )  # fmt: skip
    poor = portfolio_of(now_ms, equity=ZERO, equity_day_open=ZERO, equity_day_peak=ZERO, free=ZERO)
    lock = Lock(SYMBOL, "cooling down", "some_guard", now_ms + 60_000, "cooldown", now_ms - 1_000)
    return {
        "an empty account": portfolio_of(now_ms),
        "an account with a position, a live entry and 300 closed ones": busy,
        "an account without money": poor,
        "an account far below its peak": portfolio_of(now_ms, equity=_D(5_000), free=_D(5_000)),
        "a locked symbol": portfolio_of(now_ms, locks=(lock,)),
    }  # fmt: skip


def market_of(frame: MarketFrame, price: Decimal = HUNDRED, *, book: bool = True) -> Market:
    """Make the market as sizing and risk guests see it at the close of the frame's last row."""
    now_ms = int(frame.timestamps[-1])
    books = {SYMBOL: book_of(now_ms, price)} if book else {}
    return Market(frame, now_ms, books, {SYMBOL: instrument_of()})


# Attempts ------------------------------------------------------------------------------------------------------


def attempt_of(number: int, intent: Intent, outcome: Outcome, *, filled: str = "0", **parts: Any) -> AttemptView:
    """Make a settled attempt as a router sees it.

    Args:
        filled: Base units.
    """
    done = _D(filled)
    made = AttemptView(
        number, AttemptState.SETTLED, outcome, f"test {number}", TimeInForce.IOC, intent.price, intent.quantity, done,
        intent.price if done else None, "", "", intent.created_ms + number * 100, intent.created_ms + number * 100 + 50,
    )  # fmt: skip
    return made._replace(**parts)


def histories(intent: Intent) -> Mapping[str, Sequence[AttemptView]]:
    """Make what attempts may have come to, by name; whatever was filled is less than the intent's quantity."""
    part = str(intent.quantity * _D("0.4"))
    empty = attempt_of(1, intent, Outcome.EXPIRED)
    partial = attempt_of(1, intent, Outcome.CANCELED, filled=part)
    return {
        "no attempt": (),
        "one that found nothing": (empty,),
        "one filled in part": (partial,),
        "one canceled, whose fill came late": (partial._replace(time_in_force=TimeInForce.GTC),),
        "one rejected by the venue": (attempt_of(1, intent, Outcome.REJECTED, code="-2010"),),
        "one unknown that was never placed": (attempt_of(1, intent, Outcome.NOT_PLACED, code="OUTCOME_UNKNOWN"),),
        "one never sent": (attempt_of(1, intent, Outcome.NOT_SENT, sent_ms=None),),
        "one lowered by a cap": (empty._replace(clipped_by="slippage_bps_max by risk"),),
        "one reopened after its end": (partial._replace(state=AttemptState.REOPENED, settled_ms=None),),
        "two, the later one settled first": (
            empty._replace(settled_ms=intent.created_ms + 900),
            attempt_of(2, intent, Outcome.EXPIRED, filled=str(intent.quantity * _D("0.2"))),
        ),
    }


# Fills ---------------------------------------------------------------------------------------------------------


def fill_of(number: int, intent: Intent, quantity: str = "0.1", *, traded_ms: int | None = None) -> Fill:
    """Make a booked fill of an intent."""
    amount = _D(quantity)
    moment = intent.created_ms + number * 10 if traded_ms is None else traded_ms
    trade = VenueTrade(
        f"t{number}", "v1", "w1", intent.symbol, intent.side, intent.price, amount, times(amount, intent.price),
        _D("0.01"), "USDT", False, moment,
    )  # fmt: skip
    return Fill("test", trade, ClientOrderId("9" * 32), intent.intent_id, intent.position_id, moment + 5)
