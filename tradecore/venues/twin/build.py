"""Put a twin together: market, file, engine, faults, venue and feed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal, NamedTuple

from tradecore.market.source import RowSource
from tradecore.model.instrument import Instrument
from tradecore.ports.clock import Clock
from tradecore.ports.venue import VenueTiming
from tradecore.venues.twin.faults import Faults
from tradecore.venues.twin.feed import TwinFeed, start_row_of
from tradecore.venues.twin.gate import Gate
from tradecore.venues.twin.manners import Manners
from tradecore.venues.twin.market import TwinMarket
from tradecore.venues.twin.matching import Engine
from tradecore.venues.twin.records import BookShape, Terms
from tradecore.venues.twin.state import TwinState
from tradecore.venues.twin.venue import TwinVenue


class TwinPlan(NamedTuple):
    """How a twin is to be; the ``twin`` section of the settings."""

    manners: str = "plain"
    """plain, binance or mexc."""
    latency_ms: int = 40
    """Of each call, there and back together."""
    read_lag_ms: int = 0
    ack_without_status: bool = False
    faults: tuple[str, ...] = ()
    """Each ``name``, ``name:chance`` or ``name:chance:argument``."""
    requests_per_minute: int | None = None
    """``None``: no limit."""
    engine_timeout_ms: int = 1_000
    clock_error_ms: int = 0
    shape: BookShape = BookShape()
    terms: Terms = Terms()

    @property
    def timing(self) -> VenueTiming:
        """Times of the fence that suit this plan."""
        return VenueTiming(
            self.terms.receive_window_ms, self.engine_timeout_ms, self.read_lag_ms, self.clock_error_ms
        )  # fmt: skip


class Twin(NamedTuple):
    """A twin and its parts."""

    venue: TwinVenue
    feed: TwinFeed
    market: TwinMarket


def with_fees(
    instruments: Mapping[str, Instrument],
    maker_fee_bps: Decimal,
    taker_fee_bps: Decimal,
    fee_in: Literal["base", "quote", "other"],
    fee_coin: str = "",
) -> dict[str, Instrument]:
    """Put one plan of fees on all instruments.

    Args:
        maker_fee_bps: Negative is a rebate.
        taker_fee_bps: Negative is a rebate.
        fee_in: Coin that a buy's fee is taken in.
        fee_coin: The third coin where `fee_in` is other.
    """
    return {
        symbol: item._replace(
            maker_fee_bps=maker_fee_bps,
            taker_fee_bps=taker_fee_bps,
            fee_currency={"base": item.base, "quote": item.quote, "other": fee_coin}[fee_in],
        )
        for symbol, item in instruments.items()
    }


def open_twin(
    clock: Clock,
    source: RowSource,
    *,
    seed: int,
    generator: random.Random,
    path: Path | None = None,
    plan: TwinPlan = TwinPlan(),  # noqa: B008 - frozen
    instruments: Mapping[str, Instrument] | None = None,
) -> Twin:
    """Open a twin; an existing file goes on where it was.

    Args:
        clock: Market time.
        source: Rows, files or generated.
        seed: Of prices between closes and books.
        generator: Seeds the faults; asked once.
        path: The twin's file; ``None`` keeps everything in memory.
        instruments: Filters and fees; ``None`` takes the source's.
    Raises:
        SettingsError: If manners or a fault have no such name.
        StateFolderError: If the file cannot be used.
        SchemaMismatch: If another version of the twin wrote it.
    """
    manners = Manners(plan.manners)
    faults = Faults(generator, plan.faults)
    market = TwinMarket(source, seed, plan.shape, instruments)
    state = TwinState(path)
    engine = Engine(market, state, plan.terms, manners.order_id, manners.trade_id)
    venue = TwinVenue(
        clock, engine, manners, faults, plan.timing, latency_ms=plan.latency_ms, read_lag_ms=plan.read_lag_ms,
        ack_without_status=plan.ack_without_status, gate=Gate(plan.requests_per_minute),
    )  # fmt: skip
    feed = TwinFeed(source, market, clock, start_row_of(source, state.market_time_ms))
    return Twin(venue, feed, market)
