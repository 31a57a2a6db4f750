"""Writes the questions of a run down as they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tradecore.engine.explain.inputs import GATE, ROUTE, Answer, DecisionInputs
from tradecore.engine.explain.looked import LookedMarket, MarketFacts
from tradecore.engine.explain.record import Encoder
from tradecore.engine.verdict import refusal_by
from tradecore.hooks.calls import Calls
from tradecore.hooks.combine import RiskAnswer, RouteAnswer
from tradecore.market.frame import Market
from tradecore.model.book import Book
from tradecore.model.events import Ids
from tradecore.model.intent import Intent
from tradecore.model.order import AttemptView, Done, OrderRequest
from tradecore.model.portfolio import Portfolio
from tradecore.ports.journal import Journal


class Recorder:
    """Keeps what the guests were asked and what they said (`decision_record`). Nothing is decided by it.

    Args:
        journal: Takes the events.
        calls: The door, for who is there in which version and which settings are tuned.
    """

    def __init__(self, journal: Journal, calls: Calls) -> None:
        self._journal = journal
        self._calls = calls
        self._encoder = Encoder()
        self._dropped = 0
        self._guests: Mapping[str, str] = {guest.name: guest.version for guest in calls.guests}

    def keep(self, inputs: DecisionInputs) -> None:
        """Write one question, under the ids of its signal and its intent."""
        if self._journal.dropped != self._dropped:
            # a lost event may have held parts that others refer to
            self._dropped = self._journal.dropped
            self._encoder.forget()
        tunes = {setting: str(tuned.value) for setting, tuned in self._calls.tunes.items()}
        record = self._encoder.encode(inputs._replace(guests=self._guests, tunes=tunes))
        intent_id = inputs.intent.intent_id if inputs.intent is not None else ""
        self._journal.note(record, Ids(inputs.signal.signal_id, intent_id))

    def gate(self, intent: Intent, portfolio: Portfolio, market: Market, answer: RiskAnswer) -> None:
        """Keep what the risk guests said of an entry before its next attempt."""
        self.keep(
            DecisionInputs(
                GATE, intent.signal, _facts(market, None), gate_answer(answer), portfolio=portfolio, intent=intent
            )
        )

    def route(
        self,
        intent: Intent,
        book: Book | None,
        attempts: Sequence[AttemptView],
        now_ms: int,
        *,
        router: str,
        answer: RouteAnswer,
    ) -> None:
        """Keep what a router was asked and what it said."""
        facts = MarketFacts(now_ms, 0, 0, 0)
        kept = route_answer(answer)
        self.keep(
            DecisionInputs(
                ROUTE, intent.signal, facts, kept, book, intent=intent, attempts=tuple(attempts), router=router
            )
        )


def gate_answer(answer: RiskAnswer) -> Answer:
    """Say what a gate said."""
    if answer.allowed:
        return Answer("ALLOWED", caps=answer.caps)
    refused = refusal_by(answer)
    return Answer(
        str(refused.reason), refused.by, refused.limit, refused.value, refused.threshold, refused.unit, refused.detail
    )


def route_answer(answer: RouteAnswer) -> Answer:
    """Say what a router said: an order, that it is done, or nothing."""
    said = answer.answer
    if isinstance(said, OrderRequest):
        quantity: Decimal = said.quantity
        return Answer("ORDER", answer.router, quantity=quantity, order=said)
    if isinstance(said, Done):
        return Answer(str(said.reason), answer.router, detail=said.detail)
    return Answer("NO_ANSWER", answer.router, detail=answer.fault)


def _facts(market: Market, book: Book | None) -> MarketFacts:
    if isinstance(market, LookedMarket):
        return market.facts(book)
    return MarketFacts(market.now_ms, 0, 0, 0, whole=True)
