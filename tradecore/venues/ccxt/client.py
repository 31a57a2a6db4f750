"""Calls to an exchange: turns at the limiter, evidence, the caller's decimal context, nothing secret in a word.

Everything that the market data and the venue ask goes through `Client.ask`.
"""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import ExchangeCall, RateLimitHit
from tradecore.ports.clock import Clock
from tradecore.ports.limiter import Limiter, Priority
from tradecore.venues import weights
from tradecore.venues.ccxt import evidence
from tradecore.venues.ccxt.exchange import ClockOffset
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.listing import put_aside
from tradecore.venues.ccxt.transport import Transport
from tradecore.venues.ccxt.ways import Ways
from tradecore.venues.classify import RawReply, excerpt_of, object_of, retry_after_of
from tradecore.venues.rules import ErrorClass, Said, VenueRules

#: Headers with the weight that the address has used in this minute, whoever used it.
_USED: Final = ("x-mbx-used-weight-1m",)
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_TOO_MANY: Final = frozenset({418, 429})
_PASSING: Final = frozenset({ErrorClass.RATE, ErrorClass.CLOCK, ErrorClass.BUSY})
_SYNC_TRIES: Final = 3
_MEASURE_PAUSE_S: Final = 5.0
"""Between two measurements that doubt asks for: a venue that always blames the clock is not asked each time."""

Note = Callable[[ExchangeCall | RateLimitHit], None]


class Asked(NamedTuple):
    """What came of one call."""

    heard: Sequence[evidence.Heard]
    result: Any
    """What ccxt made of it; ``None`` where it raised."""
    error: str
    """Class and text of what ccxt raised, without queries and keys; empty where it did not."""
    kinds: frozenset[str]
    """Names of the classes of what ccxt raised, its bases too."""

    @property
    def read(self) -> RawReply:
        """The last answer."""
        return evidence.reply_of(self.heard, self.error)

    @property
    def sent(self) -> RawReply:
        """The answer to the one request that may have changed something."""
        return evidence.sent_of(self.heard, self.error)


class ClockReading(NamedTuple):
    """One comparison of clocks, milliseconds."""

    offset_ms: int
    """The exchange's clock minus ours."""
    round_trip_ms: float
    """The offset is uncertain by half of it."""


def _ignore(event: ExchangeCall | RateLimitHit) -> None:
    del event


class Client:
    """One exchange as both of our classes ask it.

    Args:
        exchange: ccxt's object, made by `exchange.build`.
        rules: The venue's words.
        ways: Its ways.
        limiter: Gives turns; the callers of the venue port take their own.
        offset: The difference of clocks that the exchange object adds.
        note: Told of each request and of each refusal for too many of them.
    """

    def __init__(
        self,
        exchange: Any,
        *,
        rules: VenueRules,
        ways: Ways,
        clock: Clock,
        limiter: Limiter,
        transport: Transport,
        keys: ApiKeys,
        offset: ClockOffset,
        note: Note | None = None,
    ) -> None:
        self.exchange: Final = exchange
        self.rules: Final = rules
        self.ways: Final = ways
        self.clock: Final = clock
        self.limiter: Final = limiter
        self.keys: Final = keys
        self._transport: Final = transport
        self._offset: Final = offset
        self._note: Final = note or _ignore
        self._clock_doubted = bool(keys)
        """True until the clocks were compared: nothing is signed on a guess."""
        self._measure_after_s = -math.inf
        self._closed = False

    def __repr__(self) -> str:
        return f"Client({self.name})"

    @property
    def name(self) -> str:
        """Ccxt's id of the exchange."""
        return str(self.exchange.id)

    def weight_of(self, operation: str) -> int:
        """What a call costs at the limiter."""
        return weights.weight_of(self.name, operation)

    # Calls ------------------------------------------------------------------------------------------------------

    async def turn(self, operation: str, priority: Priority, weight: int | None = None) -> None:
        """Wait for a turn at the limiter."""
        await self.limiter.acquire(priority, weight=self.weight_of(operation) if weight is None else weight)

    async def ask(self, operation: str, symbol: str, call: Callable[[Any], Awaitable[Any]]) -> Asked:
        """Make one call and gather what the transport saw. Raises nothing of what the library or a venue does.

        Args:
            operation: For the trace, as ``order``.
            symbol: For the trace; may be empty.
            call: Given ccxt's object.
        """
        result: Any = None
        error, kinds = "", frozenset[str]()
        # ccxt sets the rounding and the traps of whatever decimal context it finds (reference orders.md 2.6).
        with evidence.gathering() as heard, decimal.localcontext():
            try:
                result = await call(self.exchange)
            except Exception as raised:  # noqa: BLE001 - on garbage it raises anything; the raw answer is the judge
                error = self._worded(raised)
                kinds = frozenset(kind.__name__ for kind in type(raised).__mro__)
        self._trace(operation, symbol, heard, error)
        return Asked(heard, result, error, kinds)

    def _worded(self, raised: Exception) -> str:
        # why there was no connection (no such name, refused, TLS) is known to the cause alone; its class says enough
        cause = f" ({type(raised.__cause__).__name__})" if raised.__cause__ is not None else ""
        return f"{type(raised).__name__}: {excerpt_of(self.keys.scrub(str(raised)))}{cause}"

    def _trace(self, operation: str, symbol: str, heard: Sequence[evidence.Heard], error: str) -> None:
        for one in heard:
            used = used_weight(one.headers)
            if used is not None:
                self.limiter.observe(used)
            if one.status in _TOO_MANY:
                wait_s = retry_after_of(one.reply)
                self.limiter.penalize(wait_s)
                self._note(RateLimitHit(operation, int((wait_s or 0) * 1000), self.name))
            if operation != "place":  # the engine traces its own sends
                told = error.split(":", 1)[0] if one is heard[-1] else ""
                self._note(ExchangeCall(operation, symbol, one.status, one.latency_ms, used, told))

    # Markets ----------------------------------------------------------------------------------------------------

    async def load_markets(self, *, anew: bool = False) -> Mapping[str, Any]:
        """Read what is traded, once or anew.

        Raises:
            RetryableVenueError: If no usable answer came.
            VenueRefused: If the venue said no.
        """
        if anew or not self.exchange.markets:
            before = put_aside(self.exchange)
            asked = await self.ask("instruments", "", lambda exchange: exchange.load_markets(anew))
            self.usable(asked, "instruments")
            if not any(market.get("spot") for market in self.exchange.markets.values()):
                # A venue without a market has not answered; what was known stays known.
                if before.markets:
                    self.exchange.set_markets_from_exchange(before)
                raise RetryableVenueError("instruments: expected at least one spot market, was none")
        found: Mapping[str, Any] = self.exchange.markets
        return found

    def usable(self, asked: Asked, what: str) -> Any:
        """The result of a read by ccxt's parser, where the raw answer bears it out.

        Args:
            what: What was asked, for the message.
        Raises:
            RetryableVenueError: If no usable answer came.
            VenueRefused: If the venue said no.
        """
        reply = asked.read
        if not asked.error and asked.heard and reply.status == 200 and _whole(reply.body):
            return asked.result
        told = f"{what}: {asked.error or f'http {reply.status}, no usable body: {excerpt_of(reply.body)}'}"
        if not asked.heard and "ExchangeError" in asked.kinds:
            raise VenueRefused(told)  # ccxt itself knows that it cannot be asked
        wait = retry_after_of(reply)
        said = self._said(reply)
        code = said.code if said is not None else ""
        unsaid = said is None and reply.status == 200
        if reply.status is None or reply.status >= 500 or reply.status in _TOO_MANY or unsaid:
            busy = str(ErrorClass.RATE) if reply.status in _TOO_MANY else ""
            raise RetryableVenueError(told, code, wait, error_class=busy)
        rule = self.rules.judged(said) if said is not None else None
        named = str(rule.error_class) if rule is not None else ""
        if rule is not None:
            self.doubt_clock(rule.error_class)
        passing = rule.error_class in _PASSING if rule is not None else "ExchangeError" not in asked.kinds
        if passing or "RateLimitExceeded" in asked.kinds:
            raise RetryableVenueError(told, code, wait, error_class=named)
        raise VenueRefused(told, code, error_class=named)

    def _said(self, reply: RawReply) -> Said | None:
        payload = object_of(reply.body)
        return self.rules.error_of(payload, self.rules.success_codes) if payload is not None else None

    # Clocks -----------------------------------------------------------------------------------------------------

    def doubt_clock(self, error_class: ErrorClass | None) -> None:
        """Take note of an answer that says that our time stamp is off: it is measured before the next signed call."""
        self._clock_doubted = self._clock_doubted or error_class is ErrorClass.CLOCK

    def doubt_clock_of(self, asked: Asked) -> None:
        """Take note of a read whose answer says that our time stamp is off."""
        said = self._said(asked.read)
        rule = self.rules.judged(said) if said is not None else None
        self.doubt_clock(rule.error_class if rule is not None else None)

    async def trust_clock(self) -> None:
        """Measure the clocks if nobody did or an answer gave cause; a failed measurement leaves the doubt."""
        now_s = self.clock.monotonic_s()
        if self._clock_doubted and now_s >= self._measure_after_s:
            self._measure_after_s = now_s + _MEASURE_PAUSE_S
            try:
                await self.sync_clock()
            except (RetryableVenueError, VenueRefused):
                return

    async def sync_clock(self) -> ClockReading:
        """Measure the exchange's clock against ours and stamp requests by it from now on.

        Returns:
            The measurement with the shortest way of three.
        Raises:
            RetryableVenueError: If no usable answer came.
            VenueRefused: If the venue said no.
        """
        best: ClockReading | None = None
        for _ in range(_SYNC_TRIES):
            before_ms, started_s = self.clock.now_ms(), self.clock.monotonic_s()
            server_ms = await self.server_time_ms()
            round_trip_ms = (self.clock.monotonic_s() - started_s) * 1000
            reading = ClockReading(server_ms - before_ms - int(round_trip_ms / 2), round_trip_ms)
            if best is None or round_trip_ms < best.round_trip_ms:
                best = reading
        assert best is not None
        self._offset.offset_ms = best.offset_ms
        self._clock_doubted = False
        return best

    async def server_time_ms(self) -> int:
        """Read the exchange's clock."""
        await self.turn("time", Priority.RECONCILE)
        moment = self.usable(await self.ask("time", "", lambda exchange: exchange.fetch_time()), "server time")
        if isinstance(moment, bool) or not isinstance(moment, int):
            raise RetryableVenueError(f"server time: expected milliseconds, was {type(moment).__name__}")
        return moment

    @property
    def offset_ms(self) -> int:
        """The exchange's clock minus ours, as requests are stamped."""
        return self._offset.offset_ms

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        if not self._closed:
            self._closed = True
            await self.exchange.close()
            await self._transport.close()


def _whole(body: str | None) -> bool:
    """Whether a body begins and ends as JSON does; a page and a cut one do not. Cheap, since bodies are large."""
    ends = ((body or "").lstrip()[:1], (body or "").rstrip()[-1:])
    return ends in (("{", "}"), ("[", "]"))


def used_weight(headers: Mapping[str, str]) -> int | None:
    """Weight that the address has used in this minute; ``None`` where the venue does not say."""
    for name, value in headers.items():
        # what is no number of a usable size tells nothing; digits of other scripts are none
        if name.lower() in _USED and _COUNT.fullmatch(value.strip()):
            return int(value)
    return None
