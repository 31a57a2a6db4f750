"""Positions: `follow` is asked about every kind of them, not only about one just bought."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tradecore.market.frame import MarketFrame
from tradecore.model.position import Levels, Position, PositionState
from tradecore.model.units import price_of
from tradecore.testing.contract.asking import Question, ask, held
from tradecore.testing.contract.cards import PASSED, Result, card
from tradecore.testing.contract.subject import Subject
from tradecore.testing.contract.values import position_of


@card(
    "C48",
    "positions-of-every-kind",
    "Bad data and extremes",
    "Positions of every kind are led or left alone",
    hooks=("follow",),
    after=("C20",),
    action="Ask about positions bought in three parts, partly sold, unsellable, opened before the first row and "
    "after the last, of another guest's group, with memos and levels of others, with a peak far away.",
    expectation="The answers are accepted: a Plan, or `None` for what is not the plugin's.",
)
def positions_of_every_kind(subject: Subject) -> Result:
    """Ask about each kind, a block of rows and one row."""
    for number, (about, guest) in enumerate(subject.guests()):
        grid = subject.grid(number)
        frame = grid.frame(45)
        first = min(grid.warmup_rows, frame.rows - 2)
        for kind, position in _kinds(frame, first).items():
            for rows in (range(first, frame.rows), range(frame.rows - 1, frame.rows)):
                ask(guest, Question("follow", kind + about, (frame, rows, position)))
    return PASSED


def _kinds(frame: MarketFrame, row: int) -> Mapping[str, Position]:
    bought = held(frame, row)
    price = bought.average_price
    levels = Levels(stop=price_of(1.0), stop_by="other_guest", take=price_of(1e6), take_by="other_guest")
    return {
        "a position bought in three parts": bought._replace(entries=3, quantity=Decimal("1.5")),
        "a position partly sold": bought._replace(
            quantity=Decimal("0.2"), sold_quantity=Decimal("0.3"), sold_quote=price
        ),
        "a position sold whole": bought._replace(quantity=Decimal(0), sold_quantity=Decimal("0.5")),
        "an unsellable position": bought._replace(
            state=PositionState.UNSELLABLE, unsellable_since_ms=bought.opened_ms + 1, exit_attempts=9
        ),
        "a position older than the frame": position_of(int(frame.timestamps[0]) - 86_400_000, price),
        "a position younger than the frame": position_of(int(frame.timestamps[-1]) + 1, price),
        "a position of a group": bought._replace(group="pair-1", plugin="other_wisher"),
        "a position with memos of others": bought._replace(memo={"other_guest.note": "kept"}, levels=levels),
        "a position with a peak far away": bought._replace(peak_price=price * 50, trough_price=price / 50),
    }
