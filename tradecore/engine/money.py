"""What the venue says we hold, read beside the loop; the last answer is used, with its age (R20)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from tradecore.engine.desk import Desk
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import BalanceRefresh
from tradecore.model.units import ZERO
from tradecore.ports.limiter import Priority
from tradecore.ports.venue import Balance


class VenueMoney:
    """The newest balances of the venue and when they came."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.balances: Mapping[str, Balance] | None = None
        """``None`` until the first answer: a missing answer is not zero."""
        self.read_ms = 0
        self.problem: Exception | None = None
        """Why the newest read got no answer; ``None``: it got one."""
        self._touched_ms: dict[str, int] = {}
        self._unsent: asyncio.Future[bool | None] | None = None
        """The read that still waits for its turn; its answer will be of after that."""

    def touched(self, coin: str) -> None:
        """Take note that a fill moved a coin: older answers about it are stale."""
        self._touched_ms[coin] = self._desk.clock.now_ms()

    def moved_within(self, coin: str, lag_ms: int) -> bool:
        """Tell whether a fill moved a coin so shortly before the balances were asked for, or since."""
        return self._touched_ms.get(coin, -lag_ms - 1) >= self.read_ms - lag_ms

    def moved_since_read(self) -> set[str]:
        """Coins that a fill moved since the balances were asked for."""
        return {coin for coin in self._touched_ms if self.moved_within(coin, 0)}

    @property
    def age_ms(self) -> int:
        """Age of the balances."""
        return self._desk.clock.now_ms() - self.read_ms

    async def refresh(self) -> bool:
        """Read the balances with a limit of time; on failure the last ones stay in use (R20).

        Who asks while a read still waits for its turn is served by that one: it is asked later than he was.
        """
        while self._unsent is not None:
            served = await asyncio.shield(self._unsent)
            if served is not None:
                return served
        mine = self._unsent = asyncio.get_running_loop().create_future()
        answered: bool | None = None
        try:
            answered = await self._read(mine)
            return answered
        finally:
            self._sent(mine)
            mine.set_result(answered)  # None: whoever read was cancelled, and the next one reads himself

    def _sent(self, read: asyncio.Future[bool | None]) -> None:
        """Serve nobody else with a read that is on its way: it may not see what happens from now on."""
        if self._unsent is read:
            self._unsent = None

    async def _read(self, read: asyncio.Future[bool | None]) -> bool:
        desk = self._desk
        started = sent = desk.clock.now_ms()
        problem, self.problem = "", None
        try:
            async with asyncio.timeout(desk.config.balance_timeout_s * desk.config.time_scale):
                await desk.limiter.acquire(Priority.RECONCILE, weight=desk.venue.weight_of("balances"))
                self._sent(read)
                sent = desk.clock.now_ms()
                balances = await desk.venue.balances()
        except (TimeoutError, RetryableVenueError, VenueRefused) as error:
            problem, self.problem = f"{type(error).__name__}: {error}", error
            desk.heed(error)
        else:
            if sent >= self.read_ms:  # an answer that was asked for earlier than the one in use is no news
                self.balances, self.read_ms = balances, sent
        desk.tally.balance_refreshes += 1
        desk.tally.balance_timeouts += bool(problem)
        latency = float(desk.clock.now_ms() - started)
        age = self.age_ms if self.balances is not None else 0
        desk.note(BalanceRefresh(not problem, latency, age, problem))
        if problem:
            known = f"are {age} ms old" if self.balances is not None else "were never read"
            desk.alert("balance_stale", "warning", f"balances {known}: {problem}")
        return not problem

    def free_base(self, coin: str) -> Decimal:
        """What can be sold of a coin: the ledger's figure, and the venue's where its answer is not stale (R28)."""
        books = self._desk.books
        available = books.available(coin)
        if self.balances is None or self._touched_ms.get(coin, -1) >= self.read_ms:
            return available
        balance = self.balances.get(coin)
        venue_free = balance.free if balance is not None else ZERO
        return min(available, venue_free)
