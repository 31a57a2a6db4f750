"""Is this machine, this account and this exchange fit to trade? Every question alone, with a figure for its answer.

A check that cannot be made says so and why; none is passed over in silence, and none ends the others.
"""

from __future__ import annotations

import enum
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Protocol

from tradecore.errors import TradecoreError, VenueRefused
from tradecore.model.instrument import Instrument
from tradecore.model.units import canonical
from tradecore.ports.clock import Clock
from tradecore.ports.quotes import MarketData
from tradecore.ports.venue import Venue

_FREE_MB_LEAST = 500
_FREE_MB_GOOD = 2_048
_SYNC_MS_GOOD = 50.0
_SLOW_MS = 1_000
_CALLS = 5
"""Calls whose time is taken."""
_PROBED = 10
"""Symbols that the venue's test order is asked about."""


class Health(enum.IntEnum):
    """How bad a finding is; the worst is the exit code."""

    GOOD = 0
    LOOK = 1
    BAD = 2


class Sign(NamedTuple):
    """The answer to one question."""

    name: str
    health: Health
    text: str
    figures: Mapping[str, object]
    way_out: str = ""
    """What a person can do about it; empty where all is good."""


class Trial(Protocol):
    """What came of a trial."""

    @property
    def tradable(self) -> bool | None:
        """``None``: nobody could tell."""

    @property
    def detail(self) -> str:
        """What said so."""


class Prober(Protocol):
    """A venue that can say whether it would take an order, without one."""

    async def probe(self, symbol: str) -> Trial:
        """Ask the exchange's test-order endpoint."""


def look_at_disk(folder: Path) -> Sign:
    """Look for room on the disk, and take the time of a durable write."""
    try:
        place = folder if folder.exists() else folder.parent
        free_mb = shutil.disk_usage(place).free // 1_048_576
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as file:
            started_s = time.monotonic()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            sync_ms = (time.monotonic() - started_s) * 1000
    except OSError as error:
        way_out = "make room there, give this user the right to write, or name another folder with --state"
        return Sign("disk", Health.BAD, f"{folder} cannot be written: {error.strerror}", {}, way_out)
    health = Health.GOOD if free_mb >= _FREE_MB_GOOD and sync_ms <= _SYNC_MS_GOOD else Health.LOOK
    if free_mb < _FREE_MB_LEAST:
        health = Health.BAD
    text = f"{free_mb} MB free, a durable write takes {sync_ms:.1f} ms"
    way_out = ""
    if free_mb < _FREE_MB_GOOD:
        way_out = (
            f"make room: {_FREE_MB_GOOD} MB are good; journal.cap_mb and journal.retention_days bound a run's files"
        )
    elif health is not Health.GOOD:
        way_out = f"put the state on a faster disk: each order waits for such writes, {_SYNC_MS_GOOD:.0f} ms are good"
    return Sign("disk", health, text, {"free_mb": free_mb, "sync_ms": round(sync_ms, 3)}, way_out)


async def look_at_clock(data: MarketData, clock: Clock, error_ms: int) -> Sign:
    """Compare our clock with the exchange's: the best of several, since an answer's way takes time too."""
    best: tuple[float, float] | None = None
    for _ in range(_CALLS):
        before_ms, begun_s = clock.now_ms(), clock.monotonic_s()
        server_ms = await data.server_time_ms()
        travel_ms = (clock.monotonic_s() - begun_s) * 1000
        skew_ms = server_ms - (before_ms + travel_ms / 2)
        if best is None or travel_ms < best[1]:
            best = (skew_ms, travel_ms)
    assert best is not None
    skew = abs(best[0])
    proven = skew - best[1] / 2
    # a start refuses what is proven to be too much, as this does
    health = Health.BAD if proven > error_ms else Health.LOOK if skew > error_ms else Health.GOOD
    text = f"{best[0]:+.0f} ms from the exchange's, give or take {best[1] / 2:.0f} ms (a start allows {error_ms} ms)"
    way_out = "" if health is Health.GOOD else "set this machine's clock and keep it by NTP, then ask again"
    return Sign("clock", health, text, {"skew_ms": round(best[0], 1), "error_ms": round(best[1] / 2, 1)}, way_out)


async def look_at_latency(data: MarketData, clock: Clock, window_ms: int) -> Sign:
    """Take the time of calls.

    Args:
        window_ms: How long the exchange takes a request after its time stamp: an order that is longer on its way is
            refused.
    """
    times = []
    for _ in range(_CALLS):
        begun_s = clock.monotonic_s()
        await data.server_time_ms()
        times.append((clock.monotonic_s() - begun_s) * 1000)
    median, worst = statistics.median(times), max(times)
    health = Health.BAD if median > window_ms else Health.LOOK if worst >= _SLOW_MS else Health.GOOD
    way_out = ""
    if health is not Health.GOOD:
        way_out = (
            f"run it nearer to the exchange, or on a better line: below {_SLOW_MS} ms is good, orders that are longer "
            f"than venue.receive_window_ms ({window_ms} ms) on their way are refused"
        )
    return Sign(
        "latency", health, f"{median:.0f} ms in the middle, {worst:.0f} ms at worst of {_CALLS}",
        {"median_ms": round(median, 1), "worst_ms": round(worst, 1)}, way_out,
    )  # fmt: skip


async def look_at_keys(venue: Venue, confirmed: bool) -> Sign:
    """Read whether the key may trade and not withdraw (R21)."""
    rights = await venue.rights()
    balances = await venue.balances()
    figures = {"trade": rights.trade, "withdraw": rights.withdraw, "coins": len(balances)}
    if rights.withdraw:
        way_out = "make a key that may trade on spot and not withdraw, best with this machine's address listed"
        return Sign("keys", Health.BAD, "the key may withdraw: make one that may not", figures, way_out)
    if rights.trade is False:
        way_out = "grant the key spot trading at the exchange, and nothing else"
        return Sign("keys", Health.BAD, "the key may not trade on the spot market", figures, way_out)
    if rights.withdraw is None:
        text = "the exchange does not tell whether the key may withdraw"
        if confirmed:
            return Sign("keys", Health.GOOD, f"{text}; confirmed by venue.key_rights_confirmed", figures)
        way_out = "look at the exchange that it may not, then set venue.key_rights_confirmed = true"
        return Sign("keys", Health.BAD, f"{text}: look yourself", figures, way_out)
    return Sign("keys", Health.GOOD, f"the key may trade and not withdraw; {len(balances)} coins held", figures)


async def look_at_symbols(symbols: Sequence[str], instruments: Mapping[str, Instrument], prober: Prober | None) -> Sign:
    """Look whether the universe can be traded, by its flags and by the exchange's test order.

    Args:
        symbols: Of the universe, those that are not trading now too.
    """
    halted = [symbol for symbol in symbols if not (instruments[symbol].can_buy and instruments[symbol].can_sell)]
    refused: dict[str, str] = {}
    unknown: dict[str, str] = {}
    asked = [symbol for symbol in symbols if symbol not in halted][:_PROBED] if prober is not None else []
    for symbol in asked:
        assert prober is not None
        trial = await prober.probe(symbol)
        if trial.tradable is False:
            refused[symbol] = trial.detail
        elif trial.tradable is None:
            unknown[symbol] = trial.detail
    figures: dict[str, object] = {
        "symbols": len(symbols), "halted": halted, "test_orders": len(asked), "refused": refused,
        "unknown": unknown,
    }  # fmt: skip
    if not symbols:
        way_out = "name symbols that the exchange lists in universe.symbols, as BTC/USDT, or patterns, as */USDT"
        return Sign("symbols", Health.BAD, "no symbol of the universe is listed", figures, way_out)
    text = f"{len(symbols)} in the universe, {len(halted)} not trading"
    if asked:
        text += f", {len(refused)} of {len(asked)} test orders refused"
    if unknown:
        text += f", {len(unknown)} without an answer"
    for symbol, why in (refused or unknown).items():
        text += f" ({symbol}: {why})"
        break  # one is enough to go on; the figures name them all
    none_left = len(halted) == len(symbols) or (asked and len(refused) == len(asked))
    health = Health.BAD if none_left else Health.LOOK if halted or refused or unknown else Health.GOOD
    way_out = ""
    if refused:
        way_out = "see what the exchange says of the first: the key's rights, its list of symbols, or the symbol itself"
    elif halted:
        way_out = "leave them out (universe.exclude), or wait: the run enters them when they trade again"
    elif unknown:
        way_out = "ask again: the exchange did not answer, or has no trial of orders and the flags are all there is"
    return Sign("symbols", health, text, figures, way_out)


def look_at_money(balance: Decimal | None, currency: str, least: Decimal | None) -> Sign:
    """Look whether there is enough for one entry."""
    way_out = f"move {currency} to the spot account; until then the run can only close what it holds"
    if balance is None:
        return Sign("money", Health.LOOK, f"no {currency} on the account", {"free": "0"}, way_out)
    figures = {"free": canonical(balance), "entry": canonical(least) if least is not None else None}
    if least is not None and balance < least:
        text = f"{canonical(balance)} {currency} free, the least order is {canonical(least)}"
        return Sign("money", Health.LOOK, text, figures, way_out)
    return Sign("money", Health.GOOD, f"{canonical(balance)} {currency} free", figures)


async def asked(name: str, question: Callable[[], Awaitable[Sign]]) -> Sign:
    """Ask one question; a no is a finding of its own, and so is an answer that does not come."""
    try:
        return await question()
    except VenueRefused as error:
        way_out = "the code says why: mostly the key, its rights, or this machine's address at the exchange"
        return Sign(name, Health.BAD, f"the exchange said no: {error}", {"code": error.code}, way_out)
    except TradecoreError as error:
        way_out = "see whether the exchange is up and this machine reaches it, then ask again"
        return Sign(name, Health.BAD, f"no answer: {error}", {}, way_out)
