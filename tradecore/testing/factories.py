"""Markets and guests made in code, for sessions on virtual time: no files, no entry points."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from tradecore.hooks.admit import admit
from tradecore.hooks.guest import Guest
from tradecore.hooks.specs import hookimpl
from tradecore.market.answers import Plan, Wishes
from tradecore.market.frame import COLUMNS, Array, MarketFrame
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Intent
from tradecore.model.order import AttemptView, Done, OrderRequest
from tradecore.model.position import Position
from tradecore.model.reasons import Reason
from tradecore.model.signal import Signal, Size, Verdict
from tradecore.model.units import Side, TimeInForce, add_bps, exact_sum, minus

MINUTE_MS: Final = 60_000
FIRST_CLOSE_MS: Final = 1_699_999_980_000
"""Close of row 0 of a scripted market: a whole minute."""
Candle = tuple[float, float, float, float, float]
"""Open, high, low, close (quote per base), volume (base units)."""
NO_CANDLE: Final[Candle] = (float("nan"),) * 5
"""A row in which a symbol does not trade."""


class NoSettings(BaseModel, frozen=True, extra="forbid"):
    """Settings of a guest that has none."""


def row_close_ms(row: int) -> int:
    """Moment at which a row of a scripted market closes."""
    return FIRST_CLOSE_MS + row * MINUTE_MS


def instrument(
    symbol: str,
    *,
    tick: str = "0.01",
    lot: str = "0.001",
    min_quantity: str = "0.001",
    max_quantity: str = "0",
    min_notional: str = "5",
) -> Instrument:
    """Make an instrument; fees are put on it by the session's settings."""
    base, quote = symbol.split("/")
    return Instrument(
        symbol, base, quote, Decimal(tick), Decimal(lot), Decimal(min_quantity), Decimal(max_quantity),
        Decimal(min_notional), Decimal(0), Decimal(0), quote,
    )  # fmt: skip


class ScriptedSource:
    """A market whose candles are given as lists (market/source.py).

    Args:
        candles: Per symbol its candles, all lists of one length.
        instruments: Filters by symbol; a symbol without gets `instrument`'s.
        timeframe_ms: Length of a row.
    """

    warnings: tuple[str, ...] = ()

    def __init__(
        self,
        candles: Mapping[str, Sequence[Candle]],
        instruments: Mapping[str, Instrument] | None = None,
        timeframe_ms: int = MINUTE_MS,
    ) -> None:
        lengths = {len(rows) for rows in candles.values()}
        if len(lengths) != 1:
            raise ValueError(f"expected candle lists of one length, was {sorted(lengths)}")
        self.symbols = tuple(candles)
        self.timeframe_ms = timeframe_ms
        self.first_close_ms = FIRST_CLOSE_MS
        self.rows: int | None = lengths.pop()
        self.instruments: Mapping[str, Instrument] = {
            symbol: (instruments or {}).get(symbol) or instrument(symbol) for symbol in candles
        }
        table = np.array([list(rows) for rows in candles.values()], dtype=np.float64)
        self._columns: dict[str, Array] = {
            name: np.asfortranarray(table[:, :, place].T) for place, name in enumerate(COLUMNS)
        }

    def read(self, start: int, stop: int) -> MarketFrame:
        """Read rows start to stop, fewer at the end of the data."""
        stop = max(start, min(stop, self.rows or 0))
        times = self.first_close_ms + np.arange(start, stop, dtype=np.int64) * self.timeframe_ms
        columns = {name: values[start:stop] for name, values in self._columns.items()}
        return MarketFrame(self.timeframe_ms, times, self.symbols, columns)


def closing_at(*closes: float, start: float | None = None, volume: float = 1_000.0) -> list[Candle]:
    """Make candles from their closes; each opens where the one before closed, with nothing beyond the two.

    Args:
        start: Open of the first; ``None``: its close.
        volume: Base units of each.
    """
    candles: list[Candle] = []
    price = closes[0] if start is None else start
    for close in closes:
        candles.append((price, max(price, close), min(price, close), close, volume))
        price = close
    return candles


def wandering(
    chance: random.Random, rows: int, *, price: float = 100.0, volume: float = 1_000.0, reach_bps: float = 30.0
) -> list[Candle]:
    """Make candles of a seeded walk, prices with two decimals.

    Args:
        reach_bps: Farthest that a close lies from the one before, and an extreme from the body.
    """
    candles: list[Candle] = []
    for _ in range(rows):
        close = round(price * (1 + chance.uniform(-reach_bps, reach_bps) / 1e4), 2)
        high = round(max(price, close) * (1 + chance.uniform(0, reach_bps) / 1e4), 2)
        low = round(min(price, close) * (1 - chance.uniform(0, reach_bps) / 1e4), 2)
        candles.append((price, max(high, price, close), min(low, price, close), close, volume))
        price = close
    return candles


# Guests ------------------------------------------------------------------------------------------------------


def make_guest(
    name: str,
    *,
    settings: type[BaseModel] = NoSettings,
    section: Mapping[str, Any] | None = None,
    promises: Mapping[str, Any] | None = None,
    **hooks: Callable[..., Any],
) -> Guest:
    """Admit a guest whose hooks are plain functions, through the same door as an installed plugin.

    Args:
        name: Name in the guest list.
        settings: Its settings class.
        section: Its section of the settings.
        promises: Class attributes, as ``role`` or ``warmup``.
        hooks: Hook to function; it takes any of the hook's arguments by name. A function whose first argument is
            ``self`` is a method, so that it can read ``self.settings``.
    Raises:
        PluginLoadError: If it may not enter.
        SettingsError: If its section is wrong.
    """

    def make(self: Any, given: BaseModel) -> None:
        self.settings = given

    body: dict[str, Any] = {"Settings": settings, "__init__": make, **(promises or {})}
    for hook, function in hooks.items():
        code = getattr(function, "__code__", None)
        is_method = code is not None and code.co_varnames[:1] == ("self",) and code.co_argcount > 0
        marked = hookimpl(function)
        body[hook] = marked if is_method else staticmethod(marked)
    return admit(name, type(name.title().replace("_", ""), (), body), section or {}, version="0")


def wisher(
    buys: Mapping[int, Sequence[str]],
    *,
    name: str = "script",
    first_close_ms: int = FIRST_CLOSE_MS,
    group: int = -1,
    expires_after_ms: int = MINUTE_MS,
    quote_wanted: float | None = None,
    **hooks: Any,
) -> Guest:
    """Admit a signal guest that wishes to buy certain symbols at the close of certain rows.

    Args:
        buys: Row to symbols.
        first_close_ms: Close of row 0.
        group: Number of the group that the symbols of one row form; -1: each stands alone.
        quote_wanted: Quote units asked for; ``None`` leaves it to the sizing guests.
        hooks: Further hooks of the same guest.
    """

    def signal(frame: MarketFrame, rows: range) -> Wishes:
        value = np.ones((len(rows), len(frame.symbols)))
        for at, row in enumerate(rows):
            number = (int(frame.timestamps[row]) - first_close_ms) // frame.timeframe_ms
            for symbol in buys.get(number, ()):
                value[at, frame.index(symbol)] = 0.0
        groups = None if group < 0 else np.full(value.shape, group, dtype=np.int64)
        return Wishes(
            value, "<=", 0.5, "script", "scripted", expires_after_ms=expires_after_ms, group=groups,
            quote_wanted=quote_wanted,
        )  # fmt: skip

    return make_guest(name, signal=signal, **hooks)


def sizer(quantity: str | Mapping[str, str], *, name: str = "size") -> Guest:
    """Admit a sizing guest that always offers the same.

    Args:
        quantity: Base units, for all symbols or by symbol.
    """

    def size(signal: Signal) -> Size:
        wanted = quantity if isinstance(quantity, str) else quantity[signal.symbol]
        return Size(Decimal(wanted), "scripted")

    return make_guest(name, size=size)


def allower(caps: Mapping[str, str] | None = None, *, name: str = "risk") -> Guest:
    """Admit a risk guest that has no objection, perhaps with caps."""
    amounts = {cap: Decimal(value) for cap, value in (caps or {}).items()}

    def risk_check(intent: Intent) -> Verdict:
        return Verdict((), amounts)

    return make_guest(name, risk_check=risk_check)


Rung = tuple[TimeInForce, str, int]
"""Time in force, premium over the touch in bps, ttl in ms."""


def router(*rungs: Rung, exits: bool = False, name: str = "route") -> Guest:
    """Admit a routing guest that climbs a ladder, one rung per attempt, asking for all that is left.

    Args:
        rungs: In order; after the last one it is done.
        exits: True routes exits too; else it leaves them to the core's own ladder.
    """

    def route_order(
        intent: Intent, book: Book | None, attempts: Sequence[AttemptView], now_ms: int
    ) -> OrderRequest | Done | None:
        if intent.reduces and not exits:
            return None
        if len(attempts) >= len(rungs):
            return Done(Reason.LADDER_EXHAUSTED, f"after {len(attempts)} attempts")
        touch = book.touch(intent.side) if book is not None else None
        if not touch:
            return Done(Reason.NO_LIQUIDITY)
        tif, premium, ttl_ms = rungs[len(attempts)]
        bps = Decimal(premium) if intent.side is Side.BUY else Decimal(premium).copy_negate()
        left = minus(intent.quantity, exact_sum(attempt.filled_quantity for attempt in attempts))
        return OrderRequest(tif, add_bps(touch, bps), left, ttl_ms, f"{tif} {premium} bps {len(attempts) + 1}")

    return make_guest(name, route_order=route_order)


def leader(
    *,
    stop: float | None = None,
    take: float | None = None,
    add: float | None = None,
    add_quote: float | None = None,
    leave_after_ms: int | None = None,
    leave_rows: Sequence[int] = (),
    name: str = "lead",
) -> Guest:
    """Admit a follow guest with fixed levels.

    Args:
        stop: Ratio of the average price; so are `take` and `add`.
        add_quote: Quote units to add.
        leave_after_ms: Market time after the opening.
        leave_rows: Rows at whose close it wants to leave.
    """

    def follow(frame: MarketFrame, rows: range, position: Position) -> Plan:
        price = float(position.average_price)

        def level(ratio: float | None) -> Array | None:
            return None if ratio is None else np.full(len(rows), price * ratio)

        numbers = [(int(frame.timestamps[row]) - FIRST_CLOSE_MS) // frame.timeframe_ms for row in rows]
        return Plan(
            stop=level(stop), take=level(take), add=level(add), add_quote=add_quote,
            leave=np.array([number in leave_rows for number in numbers], dtype=np.bool_),
            leave_at_ms=None if leave_after_ms is None else position.opened_ms + leave_after_ms,
        )  # fmt: skip

    return make_guest(name, follow=follow)
