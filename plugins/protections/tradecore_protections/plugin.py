"""Keep entries away for a while: after an exit, after stops, in a drawdown, from symbols that lose (R32)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from tradecore import Check, Intent, Job, JobAnswer, Market, Portfolio, Verdict, hookimpl
from tradecore.errors import SettingsError
from tradecore.market.frame import window_ms
from tradecore.model.lock import EVERY_SYMBOL, Lock
from tradecore.model.position import ClosedPosition
from tradecore.model.units import ZERO, canonical
from tradecore_protections.equity import drawdown_pct, read_peaks, with_equity
from tradecore_protections.rules import LowProfit, Span, StopGuard, cooldowns, low_profit_locks, stop_locks

OFF = "off"
_CENT = Decimal("0.01")


class Protections:
    """Lock symbols for a while; the core keeps the locks, shows them and enforces them.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `protections`."""

        cooldown: str = Field(
            "10m",
            description="No entry on a symbol for so long after any exit from it; `off` turns it off.",
            json_schema_extra={"unit": "time"},
        )
        stop_guard_stops: int = Field(
            3,
            ge=0,
            le=300,
            description="So many stops with a loss within the window shut entries; 0 turns it off.",
            json_schema_extra={"unit": "stops"},
        )
        stop_guard_window: str = Field(
            "6h", description="Window in which stops are counted.", json_schema_extra={"unit": "time"}
        )
        stop_guard_pause: str = Field(
            "2h",
            description="No entries for so long after the last of these stops.",
            json_schema_extra={"unit": "time"},
        )
        stop_guard_scope: Literal["symbol", "all"] = Field(
            "symbol",
            description="Stops of one symbol shut that `symbol`, or stops of any symbols shut `all`.",
            json_schema_extra={"unit": "name"},
        )
        drawdown_pct: Decimal = Field(
            Decimal(0),
            ge=0,
            lt=100,
            description="A fall of the equity so deep below its peak of the window shuts all entries; 0 turns it off.",
            json_schema_extra={"unit": "% of the peak"},
        )
        drawdown_window: str = Field("24h", description="Window of that peak.", json_schema_extra={"unit": "time"})
        drawdown_pause: str = Field(
            "4h", description="No entries for so long after such a fall.", json_schema_extra={"unit": "time"}
        )
        low_profit_trades: int = Field(
            0,
            ge=0,
            le=300,
            description="A symbol is judged by its profit after so many trades in the window; 0 turns it off.",
            json_schema_extra={"unit": "trades"},
        )
        low_profit_pct: Decimal = Field(
            Decimal(0),
            ge=-100,
            le=1_000,
            description="Least that those trades brought together, each as a share of what it cost.",
            json_schema_extra={"unit": "%"},
        )
        low_profit_window: str = Field("24h", description="Window of those trades.", json_schema_extra={"unit": "time"})
        low_profit_pause: str = Field(
            "12h",
            description="No entry on that symbol for so long after its last trade.",
            json_schema_extra={"unit": "time"},
        )
        look_s: int = Field(
            60,
            ge=1,
            le=3_600,
            description="How often locks are written down and the equity is looked at; at most once per row.",
            json_schema_extra={"unit": "s"},
        )

        @field_validator(
            "cooldown", "stop_guard_window", "stop_guard_pause", "drawdown_window", "drawdown_pause",
            "low_profit_window", "low_profit_pause",
        )  # fmt: skip
        @classmethod
        def _is_time(cls, text: str) -> str:
            if text == OFF:
                return text
            if text.strip().endswith("r"):
                raise ValueError(f"expected a time such as '60m' or '4h', was {text!r}")
            try:
                window_ms(text, 60_000)
            except SettingsError as error:
                # pydantic names the field only where the error is a ValueError.
                raise ValueError(str(error)) from error
            return text

        @model_validator(mode="after")
        def _only_the_cooldown_is_off(self) -> Protections.Settings:
            for name in type(self).model_fields:
                if name != "cooldown" and getattr(self, name) == OFF:
                    raise ValueError(f"expected a time for {name}, was 'off': set the rule's number to 0")
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._cooldown = None if settings.cooldown == OFF else _span(settings.cooldown)
        self._guard = StopGuard(
            settings.stop_guard_stops, _span(settings.stop_guard_window), _span(settings.stop_guard_pause),
            settings.stop_guard_scope == "all",
        )  # fmt: skip
        self._low = LowProfit(
            settings.low_profit_trades, _span(settings.low_profit_window), _span(settings.low_profit_pause),
            settings.low_profit_pct,
        )  # fmt: skip
        self._peak = _span(settings.drawdown_window)
        self._pause = _span(settings.drawdown_pause)

    @hookimpl
    def risk_check(self, intent: Intent, portfolio: Portfolio, market: Market) -> Verdict:
        """Answer one check per lock that binds; the locks of now are made anew, so that none is a moment late."""
        if intent.reduces:
            return Verdict()
        now_ms = market.now_ms
        known = {(lock.rule, lock.symbol): lock.since_ms for lock in portfolio.locks}
        # A lock that the core keeps speaks for itself, also where an operator has lifted it; newer evidence does not.
        # only positions of this symbol can lock it, but for the guard over all: a row may bring hundreds of entries
        own = [one for one in portfolio.closed if one.symbol == intent.symbol]
        fresh = [
            lock for lock in self._locks(portfolio.closed, own, now_ms) if known.get(_key(lock), -1) < lock.since_ms
        ]
        binding = [lock for lock in (*portfolio.locks, *fresh) if lock.binds(intent.symbol, now_ms)]
        checks = [
            Check(f"{lock.rule or 'lock'}: {lock.reason}", Decimal(lock.expires_ms - now_ms), ZERO, "ms left", True)
            for lock in binding
        ]
        return Verdict(tuple(checks) or (Check("lock", ZERO, ZERO, "ms left", False),))

    @hookimpl
    def jobs(self) -> Sequence[Job]:
        """Write the locks of now down, and look at the equity."""
        return [Job("protect", self.settings.look_s, self._protect)]

    def _protect(self, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None) -> JobAnswer | None:
        now_ms = market.now_ms
        locks = list(self._locks(portfolio.closed, portfolio.closed, now_ms))
        state: Mapping[str, object] | None = None
        if self.settings.drawdown_pct:
            before = read_peaks(last)
            peaks = with_equity(before, portfolio.equity, now_ms, self._peak.ms)
            fall = drawdown_pct(peaks, portfolio.equity)
            if fall >= self.settings.drawdown_pct:
                locks.append(self._drawdown_lock(fall, now_ms))
                # the pause has its cause; the next one needs a fall from here
                peaks = with_equity(read_peaks(None), portfolio.equity, now_ms, self._peak.ms)
            if peaks != before:
                state = peaks.state
        return JobAnswer(state=state, locks=tuple(locks)) if locks or state is not None else None

    def _drawdown_lock(self, fall: Decimal, now_ms: int) -> Lock:
        limit = canonical(self.settings.drawdown_pct)
        reason = f"equity {fall.quantize(_CENT)} % below its peak of {self._peak.text}, limit {limit} %"
        rule = f"drawdown {limit} % in {self._peak.text} for {self._pause.text}"
        return Lock(EVERY_SYMBOL, reason, "", now_ms + self._pause.ms, rule, now_ms)

    def _locks(self, every: Sequence[ClosedPosition], asked: Sequence[ClosedPosition], now_ms: int) -> Iterator[Lock]:
        """Yield every lock that finished positions ask for now.

        Args:
            every: All that are known, oldest first.
            asked: Those of the symbols that are asked about.
            now_ms: Market time.
        """
        if self._cooldown is not None:
            yield from cooldowns(asked, self._cooldown, now_ms)
        if self._guard.stops:
            yield from stop_locks(every if self._guard.every_symbol else asked, self._guard, now_ms)
        if self._low.trades:
            yield from low_profit_locks(asked, self._low, now_ms)


def _span(text: str) -> Span:
    return Span(text, window_ms(text, 60_000))


def _key(lock: Lock) -> tuple[str, str]:
    return (lock.rule, lock.symbol)
