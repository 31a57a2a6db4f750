"""The faults of placing an order (reference orders.md 2.2), one per order, while the real program trades over the wire.

Each order that arrives meets the next fault of the list. What the program made of it at once is held against what the
venue knows, and what it was not sure of must settle: by the resolver, in measured market time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from tests.campaigns.wire_stage import Act, Played, Scene, play
from tradecore.model.events import OrderAck, OrderAttempt, OrderDone, OrderFailed
from tradecore.model.order import AttemptState, Outcome
from tradecore.model.places import STORE_FILE
from tradecore.testing.records import records_of
from tradecore.venues.twin.wire.auth import Request
from tradecore.venues.twin.wire.spoil import Reply

#: Many symbols and short lives: an order that nobody is sure of holds its symbol for a minute.
QUICK: Mapping[str, Any] = {
    "symbols": 16, "for_s": 600, "speed": 80.0,
    "sets": (
        "signals_drop.drop_pct=0.1", "risk_limits.max_positions=40", 'exits.time_to_live="20s"', "size_fixed.amount=40",
    ),
}  # fmt: skip


class Row(NamedTuple):
    """One row of the table, or a trap beside it."""

    fault: str
    argument: float | None
    exists: bool
    """Whether the venue has the order afterwards."""


_DUPLICATE = "duplicate_code"
"""Done, and answered as if it had been there before: made here, from a true answer."""
ROWS = (
    Row("lost_request", None, False), Row("lost_ack", None, True), Row("cut_request", None, False),
    Row("cut_after_accept", None, True), Row("http_502", None, False), Row("http_502_accepted", None, True),
    Row("http_503_accepted", None, True), Row("http_504_accepted", None, True), Row("code_1006_accepted", None, True),
    Row("http_500_accepted", None, True), Row("truncated_body", None, True), Row("html_200", None, True),
    Row("empty_object", None, True), Row("empty_body", None, True), Row("null_body", None, True),
    Row("http_403", None, False), Row("http_404", None, False), Row("http_504", None, False),
    Row(_DUPLICATE, None, True),
    Row("wrong_id", None, True), Row("wrong_echo", None, True), Row("wrong_symbol", None, True),
    Row("wrong_types", None, True), Row("numbers_as_strings", None, True), Row("gzip_garbage", None, True),
    Row("huge_body", 10_000_000.0, True), Row("ack_without_status", None, True), Row("duplicate_reply", None, True),
    Row("hang", 60.0, False), Row("late_request", 21_000.0, True), Row("late_request", 26_000.0, True),
    Row("late_request", 45_000.0, False),
    Row("cut_answer", None, True), Row("slow_answer", 25_000.0, True), Row("slow_engine", 25_000.0, True),
    Row("insufficient_30005", None, False), Row("rate_limited", 2.0, False), Row("maintenance", 2_000.0, False),
    Row("banned", 2.0, False),
)  # fmt: skip
"""All rows of the table and the traps around it; those that shut the venue for a while come last."""


class Fate(NamedTuple):
    """What became of one order."""

    row: Row
    wire_id: str
    at_once: str
    """What the answer proved: ACCEPTED, REJECTED, NOT_SENT or UNKNOWN."""
    outcome: str
    there: bool
    """Whether the venue's truth log has it."""
    settle_ms: int | None
    """Market time from the send to the end of an order whose answer proved nothing; ``None``: the answer was proof, or
    it did not settle."""

    @property
    def wrong(self) -> str:
        """Why the program was wrong; empty where it was not."""
        if self.at_once == "ACCEPTED" and not self.there:
            return "believed to be there, and is not"
        if self.at_once in ("REJECTED", "NOT_SENT") and self.there:
            return f"believed to be {self.at_once}, and is there"
        if not self.outcome:
            return "has not settled"
        absent = self.outcome in (Outcome.NOT_PLACED, Outcome.NOT_SENT, Outcome.REJECTED)
        if absent is self.there:
            return f"ended as {self.outcome}, and {'is' if self.there else 'is not'} there"
        return ""


class Dealer:
    """Deals each order that arrives the next fault.

    Args:
        act: The stage.
    """

    def __init__(self, act: Act) -> None:
        self._faults = act.faults
        self._door = act.server._door
        self._serve = self._door.serve
        self.dealt: dict[str, Row] = {}
        self._left = list(ROWS)
        self._door.serve = self._answer  # type: ignore[method-assign]  # between the socket and the venue

    @property
    def left(self) -> int:
        """Faults that nobody met yet."""
        return len(self._left)

    async def _answer(self, request: Request) -> Reply:
        if (request.method, request.path) != ("POST", "/api/v3/order") or not self._left:
            return await self._serve(request)
        row = self._left.pop(0)
        (wire_id,) = parse_qs(request.text)["newClientOrderId"]
        self.dealt[wire_id] = row
        if row.fault == _DUPLICATE:
            true = await self._serve(request)
            assert true.status == 200, true
            return true._replace(status=400, body=b'{"code":-2010,"msg":"Duplicate order sent."}')
        self._faults.ask(row.fault, 1.0, row.argument, 1)
        return await self._serve(request)


def deal(scene: Scene, folder: Path) -> tuple[Played, list[Fate]]:
    """Trade until every fault was met and its order has settled."""
    dealers: list[Dealer] = []

    async def story(act: Act) -> None:
        dealers.append(Dealer(act))
        while dealers[0].left:
            await act.wait(1)

    played = play(scene, folder, story)
    (dealer,) = dealers
    return played, fates_of(played, dealer.dealt)


def fates_of(played: Played, dealt: Mapping[str, Row]) -> list[Fate]:
    """Hold what the program told and wrote of each order against the truth."""
    records = records_of(played.folder / STORE_FILE)
    there = {order.wire_id for order in played.truth.orders}
    by_wire = {attempt.wire_id: attempt for attempt in records.attempts}
    told: dict[str, list[Any]] = {}
    for stamped in (booked.stamped for booked in records.events):
        if isinstance(stamped.event, OrderAttempt | OrderAck | OrderDone | OrderFailed):
            told.setdefault(stamped.ids.client_order, []).append(stamped)
    found = []
    for wire_id, row in dealt.items():
        attempt = by_wire[wire_id]
        events = told[attempt.client_order_id]
        sent = next(one.at_ns for one in events if getattr(one.event, "state", "") == AttemptState.SENDING)
        doubted = any(getattr(one.event, "state", "") == AttemptState.UNKNOWN for one in events)
        acked = any(isinstance(one.event, OrderAck) for one in events)
        done = next((one.at_ns for one in events if isinstance(one.event, OrderDone)), None)
        settled = attempt.state is AttemptState.SETTLED
        outcome = str(attempt.outcome) if settled else ""
        at_once = "UNKNOWN" if doubted else "ACCEPTED" if acked else outcome
        settle_ms = (done - sent) // 1_000_000 if doubted and done is not None else None
        found.append(Fate(row, wire_id, at_once, outcome, wire_id in there, settle_ms))
    return found
