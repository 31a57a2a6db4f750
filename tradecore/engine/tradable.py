"""What may be traded now: the venue's list as last read, and symbols that a breaker keeps shut (F21, F22, R33).

A symbol that the venue refuses is shut for entries, durably, for a while that doubles with each further refusal.
Exits are never shut by us: they are tried at their back-off, and what cannot be left says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from tradecore.engine.desk import Desk
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import InstrumentsChanged, SymbolHalt
from tradecore.model.instrument import Instrument
from tradecore.model.records import Memory

_FIRST_HALT_S = 300.0
_LONGEST_HALT_S = 3_600.0
_FORGIVEN_MS = 6 * 3_600_000
"""A symbol that was refused last so long ago begins again with the first length."""
SYMBOL_HALT = "symbol_halt/"
"""Key of the fact that a symbol is shut: ``until_ms times why``; kept a while after its end, to know a repetition."""


class Tradable:
    """Keeps `desk.instruments`: as the venue lists them, shut where a breaker says so."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._listed: dict[str, Instrument] = {}
        self._reading = asyncio.Lock()
        self._answered = False
        self.shut: list[Callable[[str, str], None]] = []
        """Told of each symbol on which entries may no longer be made (symbol, why); must not wait."""

    async def load(self) -> str:
        """Read the list at a start, and take up the breakers of earlier runs.

        Raises:
            RetryableVenueError: The venue did not answer, or with an empty list.
            VenueRefused: The venue said no.
        """
        found = await self._desk.venue.instruments()
        if not found:
            raise RetryableVenueError("instruments: expected at least one, was an empty list")
        self.take(found)
        shut = [key.removeprefix(SYMBOL_HALT) for key in self._desk.books.memory if key.startswith(SYMBOL_HALT)]
        for symbol in shut:
            self._lift_later(symbol)
        self._tell_of_held(found)
        halted = sum(not (item.can_buy or item.can_sell) for item in found.values())
        return f"{len(found)} listed, {halted} of them not trading, {sum(map(self.is_shut, shut))} shut by us"

    def _tell_of_held(self, found: Mapping[str, Instrument]) -> None:
        """Say which positions cannot be left now: what was halted or delisted while nobody ran is a change as well."""
        for symbol in sorted({position.symbol for position in self._desk.books.positions.values()}):
            item = found.get(symbol)
            if item is None or not item.can_sell:
                why = "the venue does not list it" if item is None else "the venue does not trade it"
                text = f"{symbol}: its position cannot be left now: {why}"
                self._desk.alert("position_symbol_halted", "critical", text)

    async def reload(self) -> bool:
        """Read the list anew; one read at a time, whoever waited for another's is served by it.

        Returns:
            False where the venue did not answer: then nothing has changed.
        """
        desk = self._desk
        waited = self._reading.locked()
        async with self._reading:
            if waited:
                return self._answered
            self._answered = False
            try:
                found = await desk.venue.instruments()
            except (RetryableVenueError, VenueRefused) as error:
                desk.heed(error)
                desk.alert("instruments_stale", "warning", f"{type(error).__name__}: {error}")
                return False
            self._answered = True
            before = dict(self._listed)
            self.take(found)
            changed = self._difference(before)
            if any(changed):
                desk.note(changed)
            return True

    def take(self, found: Mapping[str, Instrument]) -> None:
        """Put a list of the venue's in force; an empty one is no list. Must not wait."""
        if not found:
            return
        gone = {s: i._replace(can_buy=False, can_sell=False) for s, i in self._listed.items() if s not in found}
        self._listed = {**gone, **found}
        for symbol in self._listed:
            self._put(symbol)

    def told(self, found: Mapping[str, Instrument]) -> None:
        """Put in force what a feed has read of the exchange; must not wait.

        Fees stay what the venue said of our account, and symbols that it does not list to us stay out: on paper the
        venue is not the exchange whose prices are read.
        """
        if not found:
            return
        known = {}
        for symbol, old in self._listed.items():
            new = found.get(symbol)
            known[symbol] = (
                old._replace(can_buy=False, can_sell=False)
                if new is None
                else new._replace(
                    maker_fee_bps=old.maker_fee_bps, taker_fee_bps=old.taker_fee_bps, fee_currency=old.fee_currency,
                    quote_rate=old.quote_rate,
                )
            )  # fmt: skip
        self.take(known)

    def _put(self, symbol: str) -> None:
        """Put one symbol in force, and say what became of positions and entries on it."""
        desk = self._desk
        old, new = desk.instruments.get(symbol), self._listed[symbol]
        if new.can_buy and self.is_shut(symbol):
            new = new._replace(can_buy=False)
        if new == old:
            return
        desk.instruments[symbol] = new
        if old is None:
            return
        if old.can_buy and not new.can_buy:
            why = self._why(symbol) or "the venue does not trade it"
            for listener in self.shut:
                listener(symbol, why)
        if old.can_sell != new.can_sell and any(p.symbol == symbol for p in desk.books.positions.values()):
            if new.can_sell:
                desk.alert("position_symbol_trades", "info", f"{symbol}: its position can be left again")
            else:
                desk.alert("position_symbol_halted", "critical", f"{symbol}: its position cannot be left now")

    def _difference(self, before: Mapping[str, Instrument]) -> InstrumentsChanged:
        """What is no longer as it was, among this run's symbols."""
        ours = set(self._desk.feed.symbols) | {p.symbol for p in self._desk.books.positions.values()}
        halted, resumed, changed = [], [], []
        for symbol in sorted(ours & before.keys() & self._listed.keys()):
            old, new = before[symbol], self._listed[symbol]
            was, now = old.can_buy or old.can_sell, new.can_buy or new.can_sell
            if was and not now:
                halted.append(symbol)
            elif now and not was:
                resumed.append(symbol)
            elif old != new:
                changed.append(symbol)
        listed = tuple(sorted((self._listed.keys() - before.keys()) & ours))
        return InstrumentsChanged(listed, (), tuple(halted), tuple(resumed), tuple(changed))

    # The breaker ----------------------------------------------------------------------------------------------

    def is_shut(self, symbol: str) -> bool:
        """Tell whether our breaker keeps a symbol shut for entries."""
        return self._fact(symbol)[0] > self._desk.clock.now_ms()

    def _fact(self, symbol: str) -> tuple[int, int, str]:
        """Until when, how often in a row, and why; zeros where it was never shut."""
        until, _, rest = self._desk.recall(f"{SYMBOL_HALT}{symbol}").partition(" ")
        times, _, why = rest.partition(" ")
        return (int(until), int(times), why) if until else (0, 0, "")

    def _why(self, symbol: str) -> str:
        return self._fact(symbol)[2] if self.is_shut(symbol) else ""

    async def halt(self, symbol: str, why: str) -> None:
        """Shut a symbol for entries, durably, for a while; one that is shut stays as it is."""
        desk = self._desk
        if self.is_shut(symbol):
            return
        now = desk.clock.now_ms()
        until, times, _ = self._fact(symbol)
        times = times + 1 if now - until < _FORGIVEN_MS else 1
        until = now + int(min(_FIRST_HALT_S * 2 ** (times - 1), _LONGEST_HALT_S) * 1_000)
        async with desk.transaction() as work:
            work.put(Memory(f"{SYMBOL_HALT}{symbol}", f"{until} {times} {why}", now))
            work.tell(SymbolHalt(symbol, why, until, times))
        held = [p.position_id for p in desk.books.positions.values() if p.symbol == symbol]
        note = f"; position {', '.join(held)} stands there" if held else ""
        severity = "critical" if held else "warning"
        desk.alert("symbol_halted", severity, f"{symbol}: no entries for {(until - now) // 1_000} s: {why}{note}")
        if symbol in self._listed:
            self._put(symbol)
        self._lift_later(symbol)

    def _lift_later(self, symbol: str) -> None:
        self._desk.spawn(self._lift(symbol), f"symbol halt {symbol}")

    async def _lift(self, symbol: str) -> None:
        """Open a symbol again when its time is over, on a list read anew."""
        until, _, _ = self._fact(symbol)
        await self._desk.clock.sleep_until_ms(until)
        if until and symbol in self._listed and not self.is_shut(symbol):
            await self.reload()
            self._put(symbol)
