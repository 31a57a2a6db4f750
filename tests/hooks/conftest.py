"""Guests are admitted as classes here; whoever answers nonsense does so on purpose."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import BaseModel

from tradecore.hooks.admit import admit
from tradecore.hooks.calls import Calls
from tradecore.market.frame import Market, MarketFrame
from tradecore.model.book import Book, Level
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Intent
from tradecore.model.order import OrderRequest
from tradecore.model.portfolio import Portfolio, TradingState
from tradecore.model.position import Position
from tradecore.model.signal import Signal
from tradecore.model.units import IntentId, PositionId, Side, SignalId, TimeInForce

MINUTE = 60_000
T0 = 1_700_000_040_000


class StillClock:
    """Market time that moves only when told."""

    def __init__(self, virtual: bool = False) -> None:
        self.virtual = virtual
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def now_ms(self) -> int:
        return T0 + int(self.now_s * 1000)


class NoSettings(BaseModel, frozen=True, extra="forbid"):
    """Settings of guests that need none."""


class GuestBase:
    """What every test guest is made of."""

    Settings = NoSettings

    def __init__(self, settings: BaseModel) -> None:
        self.settings = settings


class Ear:
    """Hears the callbacks of `Calls`."""

    def __init__(self) -> None:
        self.faults = []
        self.quarantines = []
        self.late = []
        self.traces = []

    def quarantined(self, *facts) -> None:
        self.quarantines.append(facts)


def house(*makers, sections=None, **options):
    """Admit classes under the names of `name` attributes or of the classes, and seat them."""
    sections = sections or {}
    guests = []
    for order, maker in enumerate(makers):
        name = getattr(maker, "name", maker.__name__.lower())
        guests.append(admit(name, maker, sections.get(name, {}), version="1.0", order=order))
    ear = options.pop("ear", Ear())
    clock = options.pop("clock", StillClock())
    options.setdefault("deadlines_ms", {})
    options.setdefault("virtual", clock.virtual)
    calls = Calls(
        guests,
        clock=clock,
        on_fault=ear.faults.append,
        on_quarantine=ear.quarantined,
        on_late=ear.late.append,
        **options,
    )
    calls.ear = ear
    return calls


def frame_of(rows: int = 5, symbols: tuple[str, ...] = ("AAA/USDT", "BBB/USDT")) -> MarketFrame:
    times = np.arange(rows, dtype=np.int64) * MINUTE + T0
    close = np.asfortranarray(np.linspace(1.0, 2.0, rows * len(symbols)).reshape(rows, len(symbols)))
    columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": close * 100}
    return MarketFrame(MINUTE, times, symbols, columns)


@pytest.fixture(scope="session")
def seat():
    return house


@pytest.fixture(scope="session")
def base():
    return GuestBase


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
def still_clock():
    return StillClock


@pytest.fixture(scope="session")
def words():
    """One value of each kind that a hook is asked with, and one good order request."""
    symbol = "AAA/USDT"
    frame = frame_of()
    signal = Signal(
        SignalId("s1"), "drop", symbol, Side.BUY, T0, T0 + MINUTE, Decimal("1.5"), T0, 0.5, "drop", -2.5, -2.0, "%"
    )
    intent = Intent(
        IntentId("i1"), signal, symbol, Side.BUY, Decimal(10), Decimal("1.5"), T0, Decimal("1.51"), T0, T0 + MINUTE,
        "fixed: amount", False, PositionId("p1"), caps={},
    )  # fmt: skip
    position = Position(
        PositionId("p1"),
        symbol,
        "drop",
        "",
        Decimal(10),
        Decimal("1.5"),
        T0,
        1,
        Decimal("1.6"),
        Decimal("1.4"),
        memo={},
    )
    portfolio = Portfolio(
        T0, "USDT", TradingState.ACTIVE, Decimal(1000), Decimal(1000), Decimal(1000), Decimal(900), Decimal(0),
        Decimal(100), (position,), (intent,), (), 0, 0, {"AAA": Decimal(0)}, {}, (), {symbol: Decimal("1.5")}, {},
    )  # fmt: skip
    instrument = Instrument(
        symbol, "AAA", "USDT", Decimal("0.01"), Decimal("0.1"), Decimal("0.1"), Decimal(0), Decimal(5), Decimal(10),
        Decimal(10), "USDT",
    )  # fmt: skip
    book = Book(symbol, T0, (Level(Decimal("1.49"), Decimal(5)),), (Level(Decimal("1.50"), Decimal(5)),), "twin")
    trade = VenueTrade(
        "t1", "v1", "w1", symbol, Side.BUY, Decimal("1.5"), Decimal(10), Decimal(15), Decimal(0), "", False, T0
    )
    request = OrderRequest(TimeInForce.IOC, Decimal("1.50"), Decimal(10), 2_000, "IOC 10 bps 1/1")
    return SimpleNamespace(
        symbol=symbol, frame=frame, signal=signal, intent=intent, exit=intent._replace(side=Side.SELL, reduces=True),
        position=position, portfolio=portfolio, instrument=instrument, book=book, request=request,
        market=Market(frame, T0, {symbol: book}), fill=Fill("demo", trade, "c1", IntentId("i1"), PositionId("p1"), T0),
        t0=T0,
    )  # fmt: skip
