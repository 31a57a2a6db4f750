"""Route orders up a ladder: IOC close to the touch, IOC further away, then one resting order (R6, R7, R9, R10)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pydantic import BaseModel, Field, model_validator

from tradecore import AttemptView, Book, Done, Intent, OrderRequest, Reason, Side, TimeInForce, hookimpl
from tradecore.model.order import Outcome
from tradecore.model.units import ZERO, add_bps, canonical, exact_sum, minus
from tradecore_exec_ioc_gtc.ladder import Rung, next_rung, rungs_of

#: How long an order may stand where the step does not say (R9).
WAIT_MS = {TimeInForce.IOC: 2_000, TimeInForce.GTC: 30_000, TimeInForce.FOK: 5_000}
#: Ends of an attempt that prove that the market, not we or the venue's rules, left it unfilled.
_UNFILLED = frozenset({Outcome.EXPIRED, Outcome.CANCELED})


class Step(BaseModel, frozen=True, extra="forbid"):
    """One step of the entry ladder."""

    time_in_force: TimeInForce = Field(
        description="`IOC` takes what is there and goes, `FOK` all or nothing, `GTC` rests until its time is over.",
        json_schema_extra={"unit": "IOC, FOK or GTC", "plan": "entry_time_in_force"},
    )
    premium_bps: Decimal = Field(
        ge=0,
        le=1_000,
        description="Distance of the limit from the best ask; at most `cap_bps`.",
        json_schema_extra={"unit": "bps", "plan": "entry_premium_bps"},
    )
    attempts: int = Field(
        1,
        ge=1,
        le=20,
        description="Orders of this step before the next one.",
        json_schema_extra={"unit": "orders", "plan": "entry_orders"},
    )
    ttl_ms: int | None = Field(
        None,
        ge=50,
        le=3_600_000,
        description="How long an order may stand; not set waits 2000 for IOC, 5000 for FOK, 30000 for GTC.",
        json_schema_extra={"unit": "ms", "plan": "entry_ttl_ms"},
    )


_STEPS = (
    Step(time_in_force=TimeInForce.IOC, premium_bps=Decimal(10), attempts=2, ttl_ms=2_000),
    Step(time_in_force=TimeInForce.IOC, premium_bps=Decimal(30), attempts=2, ttl_ms=2_000),
    Step(time_in_force=TimeInForce.GTC, premium_bps=Decimal(50), attempts=1, ttl_ms=30_000),
)


class ExecIocGtc:
    """Answer the next order of an intent from its attempts so far; keeps nothing itself.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `exec_ioc_gtc`."""

        steps: tuple[Step, ...] = Field(
            _STEPS,
            min_length=1,
            max_length=20,
            description="Ladder of an entry, climbed step by step for what is not yet filled.",
            json_schema_extra={"unit": "list of steps"},
        )
        cap_bps: Decimal = Field(
            Decimal(50),
            ge=0,
            le=1_000,
            description="Slippage cap that every step must fit under; a step above it could never trade.",
            json_schema_extra={"unit": "bps", "plan": "slippage_cap_bps"},
        )
        exit_premiums_bps: tuple[Decimal, ...] = Field(
            (Decimal(10), Decimal(30), Decimal(50)),
            min_length=1,
            max_length=20,
            description="Ladder of an exit: distance of each IOC below the best bid, 0 to 1000; the last one repeats.",
            json_schema_extra={"unit": "bps", "plan": "exit_premium_bps"},
        )
        exit_attempts: int = Field(
            4,
            ge=1,
            le=20,
            description="Orders of an exit in one round; the core waits between rounds.",
            json_schema_extra={"unit": "orders"},
        )
        exit_ttl_ms: int = Field(
            3_000,
            ge=50,
            le=60_000,
            description="How long an exit's IOC may take.",
            json_schema_extra={"unit": "ms", "plan": "exit_ttl_ms"},
        )

        @model_validator(mode="after")
        def _can_trade(self) -> ExecIocGtc.Settings:
            for number, step in enumerate(self.steps, start=1):
                if step.premium_bps > self.cap_bps:
                    raise ValueError(
                        f"expected premium_bps of step {number} at most cap_bps={canonical(self.cap_bps)}, "
                        f"was {canonical(step.premium_bps)}"
                    )
            kinds = [(step.time_in_force, step.premium_bps) for step in self.steps]
            if len(set(kinds)) < len(kinds):
                raise ValueError(
                    "expected each time_in_force and premium_bps once, was a step twice: raise its attempts"
                )
            for premium_bps in self.exit_premiums_bps:
                if not 0 <= premium_bps <= 1_000:
                    raise ValueError(f"expected exit_premiums_bps of 0 to 1000, was {canonical(premium_bps)}")
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._entry_rungs = rungs_of(
            (step.time_in_force, step.premium_bps, step.attempts, step.ttl_ms or WAIT_MS[step.time_in_force])
            for step in settings.steps
        )
        premiums = settings.exit_premiums_bps[: settings.exit_attempts]
        repeats = [1] * (len(premiums) - 1) + [settings.exit_attempts - len(premiums) + 1]
        self._exit_rungs = rungs_of(
            (TimeInForce.IOC, premium_bps, attempts, settings.exit_ttl_ms)
            for premium_bps, attempts in zip(premiums, repeats, strict=True)
        )

    @hookimpl
    def route_order(
        self, intent: Intent, book: Book | None, attempts: Sequence[AttemptView], now_ms: int
    ) -> OrderRequest | Done | None:
        """Answer the next rung for what remains, or why there is none.

        ``None`` only for an exit that this ladder cannot serve now (no bid, or the best bid beyond the cap): the core's
        own ladder then leads it, so that nothing here can hold an exit up.
        """
        filled = exact_sum(attempt.filled_quantity for attempt in attempts)
        remaining = minus(intent.quantity, filled)
        if remaining <= 0:
            return Done(Reason.FILLED)
        if intent.reduces:
            return self._exit(intent, book, attempts, remaining)
        return self._enter(intent, book, attempts, remaining, now_ms)

    def _enter(
        self, intent: Intent, book: Book | None, attempts: Sequence[AttemptView], remaining: Decimal, now_ms: int
    ) -> OrderRequest | Done:
        left_ms = intent.expires_ms - now_ms
        if left_ms <= 0:
            return Done(Reason.INTENT_EXPIRED, f"late_ms={-left_ms}")
        rung = next_rung(self._entry_rungs, attempts)
        if rung is None:
            return _exhausted(attempts)
        if book is None:
            return Done(Reason.NO_BOOK)
        touch = book.touch(intent.side)
        if not touch:
            return Done(Reason.NO_LIQUIDITY, f"nobody stands on the other side, after {len(attempts)} attempts")
        spent = _takes_spent(intent, attempts)
        beyond = _beyond(intent, touch)
        if (beyond or spent) and rung.time_in_force is not TimeInForce.GTC:
            # Nothing to take within the cap, or no more leave to: only an order that rests there can still trade.
            rung = next_rung(self._entry_rungs, attempts, TimeInForce.GTC)
            if rung is None and beyond:
                return Done(Reason.PRICE_MOVED, f"touch={canonical(touch)}, cap={canonical(intent.price_cap)}")
            if rung is None:
                return Done(Reason.LADDER_EXHAUSTED, f"no resting step, {spent}")
        return _request(intent, rung, touch, remaining, min(rung.ttl_ms, left_ms))

    def _exit(
        self, intent: Intent, book: Book | None, attempts: Sequence[AttemptView], remaining: Decimal
    ) -> OrderRequest | Done | None:
        rung = next_rung(self._exit_rungs, attempts)
        if rung is None:
            return _exhausted(attempts)
        touch = ZERO if book is None else book.touch(intent.side)
        if not touch or _beyond(intent, touch):
            return None
        return _request(intent, rung, touch, remaining, rung.ttl_ms)


def _beyond(intent: Intent, touch: Decimal) -> bool:
    """Tell whether the best price of the other side stands outside of the intent's cap."""
    return touch > intent.price_cap if intent.side is Side.BUY else touch < intent.price_cap


def _takes_spent(intent: Intent, attempts: Sequence[AttemptView]) -> str:
    """Say which risk guest allows no further order that takes; empty where one more may be sent."""
    cap = intent.caps.get("taking_orders_max")
    if cap is None:
        return ""
    taken = sum(attempt.time_in_force is not TimeInForce.GTC for attempt in attempts)
    return f"taking_orders_max={canonical(cap.value)} by {cap.plugin}" if taken >= cap.value else ""


def _request(intent: Intent, rung: Rung, touch: Decimal, quantity: Decimal, ttl_ms: int) -> OrderRequest:
    if intent.side is Side.BUY:
        # A step above the allowance is the core's to clip: it knows whose allowance binds, and the attempt says so.
        price = add_bps(touch, rung.premium_bps)
    else:
        price = max(add_bps(touch, -rung.premium_bps), intent.price_cap)
    return OrderRequest(rung.time_in_force, price, quantity, ttl_ms, rung.label)


def _exhausted(attempts: Sequence[AttemptView]) -> Done:
    """Name the end of the ladder: no liquidity only where every order was at the venue and nothing came of it."""
    bare = all(attempt.outcome in _UNFILLED and not attempt.filled_quantity for attempt in attempts)
    return Done(Reason.NO_LIQUIDITY if bare else Reason.LADDER_EXHAUSTED, f"after {len(attempts)} attempts")
