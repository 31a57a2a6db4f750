"""Trading at a real exchange, and on paper against one: what ccxt reads, listens to and sends, put together."""

from __future__ import annotations

import http
import http.client
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tradecore.app.account_lock import AccountLock
from tradecore.app.floor import Floor
from tradecore.app.plain import twin_plan, venue_timing
from tradecore.app.prepare import Prepared
from tradecore.app.secrets import keep_out_of_core_files, read_secret
from tradecore.clocks.clock import SystemClock
from tradecore.clocks.ids import SeededChance
from tradecore.errors import RetryableVenueError
from tradecore.market.frame import window_ms, window_rows
from tradecore.model.book import Book
from tradecore.model.events import AlertFired
from tradecore.model.instrument import Instrument
from tradecore.model.places import TWIN_FILE
from tradecore.model.records import Run
from tradecore.ports.clock import Clock
from tradecore.ports.hints import AccountHints
from tradecore.ports.limiter import Limiter
from tradecore.ports.quotes import Candle, MarketData, Quote, QuoteStream
from tradecore.ports.venue import Venue
from tradecore.settings.sections import Settings
from tradecore.venues.ccxt.address import wire_host
from tradecore.venues.ccxt.credentials import check_credentials
from tradecore.venues.ccxt.exchange import ClockOffset
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.open import open_ccxt, open_market
from tradecore.venues.ccxt.streams import open_account_hints, open_quote_stream, why_not
from tradecore.venues.ccxt.streams_link import StreamNote
from tradecore.venues.ccxt.venue import CcxtVenue
from tradecore.venues.classify import RawReply, retry_after_of
from tradecore.venues.limiter import RequestLimiter
from tradecore.venues.live.build import open_live_feed
from tradecore.venues.live.feed import LiveFeed
from tradecore.venues.live.listing import Universe
from tradecore.venues.live.poller import LivePlan
from tradecore.venues.rules import ErrorClass
from tradecore.venues.twin.paper import open_paper
from tradecore.venues.weights import windows_of

Note = Callable[[Any], None]
_LOST_READS_MAX = 2
"""Reads without an answer at a start that are tried again."""
_START_TRIES = 4
"""How often a start asks an exchange that says that it was asked too much."""
_TIME_PAUSE_S = 10.0
"""Longest wait of the wall between two questions for a wire server's time."""
_TIME_PATH = "/api/v3/time"
"""Where both wires of the wire server tell their clock."""
_TIME_WAIT_S = 5.0
_TIME_BYTES = 4_096
_HISTORY_BEYOND = 2
"""Rows kept beyond what guests want: the one under way, and one whose guests are asked late."""


class Exchange(NamedTuple):
    """One exchange as a run uses it."""

    data: MarketData
    venue: CcxtVenue | None
    """``None``: read only."""
    stream: QuoteStream | None
    hints: AccountHints | None


def epoch_ms(settings: Settings) -> int:
    """Market time at the start: this machine's; of a run that is faster than the wall, its wire server's.

    Raises:
        RetryableVenueError: The wire server did not answer.
        SettingsError: `venue.base_url` is not of this machine.
    """
    if settings.run.speed == 1:
        return SystemClock().now_ms()
    host = wire_host(settings.venue.base_url, settings.venue.exchange)
    # no redirect and no proxy of the environment: the question stays on this machine
    asked = http.client.HTTPConnection(host, timeout=_TIME_WAIT_S)
    try:
        asked.request("GET", _TIME_PATH)
        answer = asked.getresponse()
        if answer.status != http.HTTPStatus.OK:
            said = RawReply(True, answer.status, dict(answer.getheaders()), None)
            told = f"{host}{_TIME_PATH}: expected the wire server's time, was: http {answer.status} {answer.reason}"
            raise RetryableVenueError(told, retry_after_s=retry_after_of(said))
        return int(json.loads(answer.read(_TIME_BYTES))["serverTime"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise RetryableVenueError(f"{host}{_TIME_PATH}: expected the wire server's time, was: {error}") from error
    finally:
        asked.close()


def read_keys(settings: Settings, env: Mapping[str, str]) -> ApiKeys:
    """Read key, secret and pass phrase from where the settings say they are.

    Raises:
        SettingsError: A reference is wrong or leads nowhere, or the exchange wants more than these.
    """
    venue = settings.venue
    key = read_secret(venue.api_key, "venue.api_key", env).get_secret_value()
    secret = read_secret(venue.api_secret, "venue.api_secret", env).get_secret_value()
    password = ""
    if venue.api_password:
        password = read_secret(venue.api_password, "venue.api_password", env).get_secret_value()
    keys = ApiKeys(key, secret, password)
    check_credentials(venue.exchange, keys)
    return keys


def open_exchange(
    settings: Settings, keys: ApiKeys, *, clock: Clock, limiter: Limiter, chance: SeededChance, note: Note
) -> Exchange:
    """Open an exchange as the settings name it, with keys for live trading, without asking it anything yet.

    Args:
        keys: Empty for paper.
    Raises:
        SettingsError: ccxt knows no such exchange, or `venue.base_url` is not of this machine.
    """
    venue_settings, name = settings.venue, settings.venue.exchange
    streams = venue_settings.streams
    if streams and (reason := why_not(name)):
        note(AlertFired("streams_off", "warning", reason))
        streams = False

    def told(said: StreamNote) -> None:
        severity = "info" if said.what == "connected" else "warning"
        again = f", again in {said.wait_s:.1f} s" if said.wait_s else ""
        note(AlertFired(f"stream_{said.what}", severity, f"{name} {said.stream}: {said.why or said.what}{again}"))

    base_url, timeout_ms = venue_settings.base_url, venue_settings.timeout_ms
    offset = ClockOffset()
    venue, hints = None, None
    if settings.run.mode == "live":
        venue = open_ccxt(
            name, clock=clock, limiter=limiter, keys=keys, timing=venue_timing(settings), base_url=base_url,
            timeout_ms=timeout_ms, note=note, offset=offset,
        )  # fmt: skip
        market = venue.market
    else:
        market = open_market(
            name, clock=clock, limiter=limiter, base_url=base_url, timeout_ms=timeout_ms, note=note
        )  # fmt: skip
    stream = None
    if streams:
        # the markets are those of the reads, so that no request passes the limiter by
        stream = open_quote_stream(
            name, clock=clock, generator=chance.generator("quotes"), base_url=base_url, note=told,
            markets=market.listed,
        )  # fmt: skip
    if streams and venue is not None:
        hints = open_account_hints(
            name, clock=clock, generator=chance.generator("hints"), keys=keys, base_url=base_url, offset=offset,
            note=told, markets=market.listed,
        )  # fmt: skip
    return Exchange(market if venue is None else AccountData(market, venue), venue, stream, hints)


class RealMaker:
    """A live or a paper venue over an exchange's prices.

    Args:
        prepared: Its settings say where the keys are; they are read here.
    Raises:
        SettingsError: A reference of a key is wrong or leads nowhere.
    """

    def __init__(self, prepared: Prepared) -> None:
        live = prepared.settings.run.mode == "live"
        self._keys = read_keys(prepared.settings, prepared.options.env) if live else ApiKeys()
        if self._keys:
            keep_out_of_core_files()

    @property
    def secrets(self) -> Sequence[str]:
        """Key, secret and pass phrase."""
        return tuple(self._keys.revealed().values())

    def epoch_ms(self, prepared: Prepared, folder: Path) -> int:
        """This machine's time, or the wire server's; one that was asked too much by who ran before is waited for."""
        for _ in range(_START_TRIES - 1):
            try:
                return epoch_ms(prepared.settings)
            except RetryableVenueError as error:
                if error.retry_after_s is None:
                    raise
                # no loop runs yet that this could hold
                time.sleep(min((error.retry_after_s + 1) / (prepared.settings.run.scale or 1.0), _TIME_PAUSE_S))
        return epoch_ms(prepared.settings)

    async def open(
        self, prepared: Prepared, folder: Path, clock: Clock, run: Run, *, held: Collection[str], note: Note
    ) -> Floor:
        """Open the exchange and what reads it.

        Raises:
            StateFolderError: Another process trades the same account.
        """
        if not self._keys:
            return await _real_floor(prepared, folder, clock, run, keys=self._keys, held=held, note=note)
        venue = prepared.settings.venue
        lock = AccountLock(venue.exchange, venue.base_url, self._keys.revealed()["apiKey"])
        if not lock.take():
            text = "this system cannot tell whether a second process trades the account: look yourself"
            note(AlertFired("account_unlocked", "warning", text))
        try:
            floor = await _real_floor(prepared, folder, clock, run, keys=self._keys, held=held, note=note)
        except BaseException:
            lock.release()
            raise

        async def close() -> None:
            try:
                await (floor.close or floor.venue.close)()
            finally:
                lock.release()

        return floor._replace(close=close)


async def _real_floor(
    prepared: Prepared, folder: Path, clock: Clock, run: Run, *, keys: ApiKeys, held: Collection[str], note: Note
) -> Floor:
    settings = prepared.settings
    limiter = RequestLimiter(clock, settings.limiter.requests_per_minute, windows_of(settings.venue.exchange))
    chance = SeededChance(run.seed)
    exchange = open_exchange(settings, keys, clock=clock, limiter=limiter, chance=chance, note=note)
    try:
        feed = await _once_let_in(
            lambda: open_live_feed(
                clock, exchange.data, exchange.stream, _live_plan(prepared), _universe(settings), note=note, keep=held
            ),
            note,
        )
        venue: Venue
        note_row = None
        if exchange.venue is None:
            paper = open_paper(
                clock, feed, exchange.data, _of_universe(feed), generator=chance.generator("twin"),
                path=folder / TWIN_FILE, plan=twin_plan(settings),
            )  # fmt: skip
            paper.venue.open_balances(settings.account.opening)
            venue, note_row = paper.venue, paper.venue.note_market_time
        else:
            venue = exchange.venue
    except BaseException:
        await _close(exchange, None, exchange.venue)
        raise

    async def close() -> None:
        await _close(exchange, feed, venue)

    def doubt_clock(by_ms: int) -> None:
        if exchange.venue is not None:
            exchange.venue.market.client.doubt_clock(ErrorClass.CLOCK)

    return Floor(
        venue, feed, limiter, note_row, exchange.hints, feed.start, close, on_instruments=feed.on_instruments,
        doubt_clock=doubt_clock,
    )  # fmt: skip


async def _once_let_in(opened: Callable[[], Awaitable[LiveFeed]], note: Note) -> LiveFeed:
    """Open the feed; where whoever ran before asked too much, once the exchange lets us in again.

    To end instead would have a supervisor start us anew, each start with a request that makes the ban longer. The
    limiter has heard how long it is and gives no turn before; a signal ends the wait. A read that got no answer is
    tried again at once, twice: one lost packet is no reason to leave positions alone.

    Raises:
        RetryableVenueError: The exchange did not answer, or shut the door again and again.
    """
    lost = 0
    for _ in range(_START_TRIES - 1):
        try:
            return await opened()
        except RetryableVenueError as error:
            if error.error_class == ErrorClass.RATE:
                note(AlertFired("start_waits", "warning", f"the exchange lets nobody in, which is waited out: {error}"))
                continue
            lost += 1
            if lost > _LOST_READS_MAX:
                raise
            note(AlertFired("start_again", "warning", f"a read at the start got no answer and is tried again: {error}"))
    return await opened()


async def _close(exchange: Exchange, feed: LiveFeed | None, venue: Venue | None) -> None:
    if feed is not None:
        await feed.close()
    if exchange.stream is not None:
        await exchange.stream.close()
    if exchange.hints is not None:
        await exchange.hints.close()
    await exchange.data.close()
    if venue is not None:
        await venue.close()


def _of_universe(feed: LiveFeed) -> Mapping[str, Instrument]:
    return {symbol: feed.instruments[symbol] for symbol in feed.symbols if symbol in feed.instruments}


def _live_plan(prepared: Prepared) -> LivePlan:
    market, venue = prepared.settings.market, prepared.settings.venue
    return LivePlan(
        row_ms=prepared.row_ms, history_rows=prepared.warmup_rows + _HISTORY_BEYOND,
        stale_ms=int(market.stale_s * 1_000), quotes_ms=int(venue.quotes_s * 1_000),
        attend_ms=int(prepared.settings.intervals.exit_check_s * 1_000),
        instruments_ms=int(venue.instruments_s * 1_000), backfill=market.backfill, slower=_slower(prepared),
    )  # fmt: skip


def _slower(prepared: Prepared) -> Mapping[str, int]:
    """Rows of slower frames that the guests want, by the frame's name."""
    wanted: dict[str, int] = {}
    for guest in prepared.guests:
        for frame, window in guest.warmup.items():
            if frame != "base":
                wanted[frame] = max(wanted.get(frame, 0), window_rows(window, window_ms(frame, 1)))
    return wanted


def _universe(settings: Settings) -> Universe:
    wanted = settings.universe
    return Universe(wanted.quote, wanted.symbols, wanted.exclude, wanted.count)


class AccountData:
    """Public data of an exchange whose list of instruments knows what our key may trade (MEXC's selfSymbols).

    Args:
        data: The public side.
        venue: The account.
    """

    def __init__(self, data: MarketData, venue: Venue) -> None:
        self._data = data
        self._venue = venue

    @property
    def name(self) -> str:
        """Name of the exchange."""
        return self._data.name

    async def instruments(self) -> Mapping[str, Instrument]:
        """Read what can be traded with our key."""
        return await self._venue.instruments()

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Read quotes."""
        return await self._data.quotes(symbols)

    async def best(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Read best bids and asks."""
        return await self._data.best(symbols)

    async def book(self, symbol: str) -> Book:
        """Read an order book."""
        return await self._data.book(symbol)

    async def candles(self, symbol: str, timeframe_ms: int, since_ms: int, limit: int) -> Sequence[Candle]:
        """Read closed candles."""
        return await self._data.candles(symbol, timeframe_ms, since_ms, limit)

    async def server_time_ms(self) -> int:
        """Read the venue's clock."""
        return await self._data.server_time_ms()

    async def close(self) -> None:
        """Nothing: the account closes the connections."""
