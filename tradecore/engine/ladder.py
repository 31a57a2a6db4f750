"""The core's own exit ladder: what sells where no router can be asked (R10)."""

from __future__ import annotations

from collections.abc import Sequence

from tradecore.engine.config import ExitLadder
from tradecore.model.book import Book
from tradecore.model.intent import Intent
from tradecore.model.order import AttemptView, OrderRequest
from tradecore.model.units import TimeInForce, add_bps, exact_sum, minus

CORE_LABEL = "core exit"


def next_exit_order(
    ladder: ExitLadder, intent: Intent, book: Book | None, attempts: Sequence[AttemptView]
) -> OrderRequest | None:
    """Name the next rung: an IOC below the best bid by a growing premium, never below the intent's collar.

    Where nobody bids, or no book came, the limit is the collar itself: an IOC that finds nothing costs nothing.

    Returns:
        The order for all that is left; ``None`` after the last attempt of the round.
    """
    tried = sum(1 for attempt in attempts if attempt.label.startswith(CORE_LABEL))
    if tried >= ladder.attempts:
        return None
    premium = ladder.premiums_bps[min(tried, len(ladder.premiums_bps) - 1)]
    touch = book.best_bid if book is not None else None
    price = max(intent.price_cap, add_bps(touch, premium.copy_negate())) if touch is not None else intent.price_cap
    remaining = minus(intent.quantity, exact_sum(a.filled_quantity for a in attempts))
    label = f"{CORE_LABEL} IOC {premium} bps {tried + 1}/{ladder.attempts}"
    return OrderRequest(TimeInForce.IOC, price, remaining, ladder.ttl_ms, label)
