"""Which symbols' trades must be read: those that something speaks for, as far as orders and balances tell.

A read of trades weighs 20 of Binance's limit and 10 of MEXC's, and a start may find a hundred open orders. An order
that the venue lists as open with what is booked of it has no trade that we miss; whatever else was traded has moved
both coins of its market. What is left out is not lost: its cursor stays where it is, and the next read begins there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tradecore.engine.compare import Comparison
from tradecore.engine.desk import Desk
from tradecore.engine.evidence import another_order
from tradecore.engine.money import VenueMoney
from tradecore.model.order import Attempt, AttemptState, OrderReport, VenueStatus

_STANDING = frozenset({AttemptState.OPEN, AttemptState.CANCELING})


class Traces:
    """Holds what stands in the books against the venue's list of orders and its balances. Changes nothing."""

    def __init__(self, desk: Desk, money: VenueMoney) -> None:
        self._desk = desk
        self._money = money
        self._comparison = Comparison(desk, money)

    def of_orders(self, listed: Sequence[OrderReport]) -> frozenset[str]:
        """Symbols with an order of ours whose end or amount the list does not bear out.

        Args:
            listed: All open orders, as the venue told them just now.
        """
        told = {report.wire_id: report for report in listed if report.wire_id}
        sent = (a for a in self._desk.books.live_attempts() if a.state is not AttemptState.PREPARED)
        return frozenset(a.symbol for a in sent if not _as_booked(a, told))

    def of_bases(self, symbols: Iterable[str]) -> Sequence[str]:
        """Of some symbols those whose base coin the venue counts otherwise than the ledger; all without balances."""
        return [s for s in symbols if self._differs(s.partition("/")[0])]

    def of_coins(self, symbols: Iterable[str]) -> Sequence[str]:
        """Of some symbols those of which either coin differs: a purchase and a sale leave the base as it was."""
        return [s for s in symbols if any(map(self._differs, s.split("/")))]

    def _differs(self, coin: str) -> bool:
        return self._money.balances is None or bool(self._comparison.gap(coin))


def _as_booked(attempt: Attempt, told: Mapping[str, OrderReport]) -> bool:
    """Tell whether the list proves that no fill of an order is missing: it stands, with exactly what was booked."""
    report = told.get(attempt.wire_id)
    return (
        attempt.state in _STANDING
        and report is not None
        and not another_order(attempt, report)
        and report.status is VenueStatus.OPEN
        and report.executed_quantity is not None
        and report.executed_quantity == attempt.executed_quantity == attempt.booked_quantity
    )
