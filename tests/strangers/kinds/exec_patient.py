# ruff: noqa: I001 - sorted as in a project of its own, where tradecore is a stranger
"""Rest first, take later."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field
from tradecore import AttemptView, Book, Done, Intent, OrderRequest, Reason, TimeInForce, hookimpl
from tradecore.model.units import exact_sum, minus


class ExecPatient:
    """Rest first, take later."""

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `exec_patient`."""

        rest_ms: int = Field(
            5_000, ge=100, le=60_000, description="How long the first order rests.", json_schema_extra={"unit": "ms"}
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @hookimpl
    def route_order(
        self, intent: Intent, book: Book | None, attempts: Sequence[AttemptView]
    ) -> OrderRequest | Done | None:
        """Answer a resting order at the bid, then an IOC at the cap; exits go on the core's own ladder."""
        if intent.reduces:
            return None
        left = minus(intent.quantity, exact_sum(attempt.filled_quantity for attempt in attempts))
        if left <= 0:
            return Done(Reason.FILLED)
        if not attempts and book is not None and book.best_bid is not None:
            price = min(book.best_bid, intent.price_cap)
            return OrderRequest(TimeInForce.GTC, price, left, self.settings.rest_ms, "rest", post_only=True)
        if len(attempts) < 2:
            return OrderRequest(TimeInForce.IOC, intent.price_cap, left, 2_000, "take")
        return Done(Reason.LADDER_EXHAUSTED, "rested and took")
