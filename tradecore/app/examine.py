"""All of a doctor's questions in one round, for the embedded venue, paper and live."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Sequence
from decimal import Decimal
from pathlib import Path

from tradecore.app.doctor import (
    Health,
    Sign,
    asked,
    look_at_clock,
    look_at_disk,
    look_at_keys,
    look_at_latency,
    look_at_money,
    look_at_symbols,
)
from tradecore.app.floor_real import Exchange, epoch_ms, open_exchange, read_keys
from tradecore.app.planning import judge
from tradecore.app.prepare import Prepared, world_of_run
from tradecore.clocks.clock import LoopClock, SystemClock
from tradecore.clocks.ids import SeededChance
from tradecore.clocks.loop import MarketLoop, run
from tradecore.errors import RetryableVenueError, SchemaMismatch, StateFolderError, StoreError, UsageError
from tradecore.model.places import STORE_FILE
from tradecore.settings.combinations import Severity
from tradecore.store.holder import is_gone, this_process
from tradecore.store.queries import open_reader
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.limiter import RequestLimiter
from tradecore.venues.live.listing import Universe, choose
from tradecore.venues.weights import windows_of


def examine(prepared: Prepared, folder: Path) -> Sequence[Sign]:
    """Ask everything that can be asked of a run that was prepared, and start nothing.

    Args:
        folder: State folder that the run would use; it need not exist.
    """
    server = prepared.settings.store.url.get_secret_value()
    signs = [look_at_plan(prepared), look_at_disk(folder), look_at_store(server or folder / STORE_FILE)]
    if prepared.source is not None:
        symbols = len(prepared.source.symbols)
        signs.append(Sign("venue", Health.GOOD, f"embedded, {symbols} symbols", {"symbols": symbols}))
        return signs
    settings = prepared.settings
    live = settings.run.mode == "live"
    try:
        keys = read_keys(settings, prepared.options.env) if live else ApiKeys()
    except UsageError as error:
        way_out = "name where it is: env:NAME, file:PATH or credential:NAME, and put it there"
        signs.append(Sign("keys", Health.BAD, str(error), {}, way_out))
        # what needs no key can be asked all the same
        prepared, keys = _without_keys(prepared), ApiKeys()
        settings = prepared.settings
    try:
        began_ms = epoch_ms(settings)
    except RetryableVenueError as error:
        signs.append(Sign("clock", Health.BAD, f"no answer: {error}", {}, "start the server that venue.base_url names"))
        return signs
    loop = MarketLoop(settings.run.scale)
    signs += run(_ask_exchange(prepared, LoopClock(loop, began_ms), keys), loop)
    return signs


def look_at_plan(prepared: Prepared) -> Sign:
    """Judge the settings as `tradecore plan` does."""
    found = judge(prepared.settings, prepared.guests, world_of_run(prepared))
    barred = [one for one in found if one.severity is Severity.IMPOSSIBLE]
    health = Health.BAD if barred else Health.LOOK if found else Health.GOOD
    text = "; ".join(f"{one.code}: {one.text}" for one in found) or "nothing in the settings contradicts itself"
    way_out = "; ".join(dict.fromkeys(f"{one.code}: {one.way_out}" for one in found))
    return Sign("settings", health, text, {"findings": [one.code for one in found]}, way_out)


def look_at_store(place: str | Path) -> Sign:
    """Look whether the database is one of this program's, and who writes it.

    Args:
        place: Database URL, or path of a SQLite file.
    """
    if isinstance(place, Path) and not place.exists():
        return Sign("store", Health.GOOD, "no state yet: the first run makes it", {"exists": False})
    try:
        with open_reader(place) as reader:
            last, lease = reader.last_run(), reader.lease()
    except (SchemaMismatch, StateFolderError, StoreError) as error:
        way_out = "do what it says, or name a new folder with --state: a store of another kind is never written to"
        return Sign("store", Health.BAD, str(error), {"exists": True}, way_out)
    number = last.number if last is not None else 0
    text, figures = f"schema fits, {number} runs so far", {"exists": True, "runs": number}
    if lease is None:
        return Sign("store", Health.GOOD, text, figures)
    mine = this_process()
    held = bool(lease.left_ms(SystemClock().now_ms())) and not is_gone(lease.holder, mine)
    # a bot of this machine is what one looks after each day; one elsewhere is in the way of a start here
    elsewhere = held and lease.holder.machine != mine.machine
    figures |= {"epoch": lease.epoch, "held": held}
    writer = f"{lease.shown} writes it" if held else "nobody writes it"
    health, way_out = (Health.LOOK, "end that run first, or name another store") if elsewhere else (Health.GOOD, "")
    return Sign("store", health, f"{text}; {writer}, epoch {lease.epoch}", figures, way_out)


def _without_keys(prepared: Prepared) -> Prepared:
    """The same run as it could be on paper: with what the exchange tells everybody."""
    settings = prepared.settings
    public = settings.model_copy(update={"run": settings.run.model_copy(update={"mode": "paper"})})
    return prepared._replace(resolved=dataclasses.replace(prepared.resolved, settings=public))


async def _ask_exchange(prepared: Prepared, clock: LoopClock, keys: ApiKeys) -> list[Sign]:
    settings = prepared.settings
    limiter = RequestLimiter(clock, settings.limiter.requests_per_minute, windows_of(settings.venue.exchange))
    chance = SeededChance(settings.run.seed)
    exchange = open_exchange(
        settings, keys, clock=clock, limiter=limiter, chance=chance, note=lambda event: None
    )  # fmt: skip
    try:
        signs = [await one for one in _questions(prepared, clock, exchange)]
        used = settings.limiter.requests_per_minute - limiter.left
        text = f"{limiter.left} of {settings.limiter.requests_per_minute} a minute left, {used} used by this look"
        health = Health.LOOK if limiter.left < settings.limiter.requests_per_minute / 2 else Health.GOOD
        way_out = ""
        if health is not Health.GOOD:
            way_out = (
                "find out who else asks the exchange from this address; if nobody does, set "
                "limiter.requests_per_minute to what it allows"
            )
        signs.append(Sign("requests", health, text, {"left": limiter.left, "used": used}, way_out))
        return signs
    finally:
        await exchange.data.close()
        if exchange.venue is not None:
            await exchange.venue.close()
        for stream in (exchange.stream, exchange.hints):
            if stream is not None:
                await stream.close()


def _questions(prepared: Prepared, clock: LoopClock, exchange: Exchange) -> Sequence[Awaitable[Sign]]:
    settings, data, venue = prepared.settings, exchange.data, exchange.venue
    minima: list[Decimal] = []

    async def symbols() -> Sign:
        instruments = await data.instruments()
        wanted = settings.universe
        universe = Universe(wanted.quote, wanted.symbols, wanted.exclude, None)
        named = [item.symbol for item in instruments.values() if universe.fits(item)]
        chosen = choose(instruments, await data.quotes(named), universe._replace(most=wanted.count))
        # a run would leave out what is not trading; somebody who wrote its name wants to know
        minima.extend(instruments[symbol].min_notional_quote for symbol in chosen)
        shut = set(wanted.symbols) & set(named) - set(chosen)
        return await look_at_symbols([*chosen, *sorted(shut)], instruments, venue)

    questions = [
        asked("latency", lambda: look_at_latency(data, clock, settings.venue.receive_window_ms)),
        asked(
            "clock",
            lambda: look_at_clock(data, clock, settings.venue.clock_error_ms),
        ),
        asked("symbols", symbols),
    ]
    if venue is not None:

        async def money() -> Sign:
            balance = (await venue.balances()).get(settings.account.currency)
            free = balance.free if balance is not None else None
            return look_at_money(free, settings.account.currency, min(minima, default=None))

        questions.append(asked("keys", lambda: look_at_keys(venue, settings.venue.key_rights_confirmed)))
        questions.append(asked("money", money))
    return questions
