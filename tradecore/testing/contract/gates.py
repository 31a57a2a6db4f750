"""Gates and routes: what `size`, `risk_check` and `route_order` answer means something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from tradecore.hooks.guest import Guest
from tradecore.model.book import Book
from tradecore.model.intent import Intent
from tradecore.model.order import AttemptView, OrderRequest, Outcome
from tradecore.model.units import IntentId, PositionId, TimeInForce, canonical, exact_sum, floor_to_lot, is_step, minus
from tradecore.testing.contract.asking import Question, ask, gate_questions, reaches, route_questions
from tradecore.testing.contract.cards import PASSED, Result, card, failed
from tradecore.testing.contract.fingerprint import fingerprint
from tradecore.testing.contract.subject import Subject
from tradecore.testing.contract.values import (
    attempt_of,
    book_of,
    instrument_of,
    intent_of,
    market_of,
    portfolios,
    signal_of,
)

_FAMILY = "Gates and routes"
_ORDERS_MAX: Final = 200
_NOW_MS: Final = 1_700_000_000_000


@card(
    "C50",
    "refusals-are-named",
    _FAMILY,
    "A gate says why it refuses",
    hooks=("size", "risk_check"),
    after=("C20",),
    action="Ask about entries in every condition of the account.",
    expectation=(
        "`size` answers a Size (quantity 0 with the rule named refuses), `risk_check` a Verdict (a check with `hit` "
        "refuses); "
        "`None` would deny without a reason."
    ),
)
def refusals_are_named(subject: Subject) -> Result:
    """Look for None."""
    frame = subject.grid().frame(41, empty=0.0)
    for about, guest in subject.guests():
        for question in gate_questions(guest, frame):
            if question.hook == "route_order":
                continue
            if ask(guest, question) is None:
                word = "Size(Decimal(0), reason)" if question.hook == "size" else "Verdict with a check that is hit"
                return failed(
                    f"{question.hook} on {question.about} answered None{about}: the entry is denied and nobody "
                    "knows why; "
                    f"answer a {word}"
                )
    return PASSED


@card(
    "C51",
    "sizes-round-down",
    _FAMILY,
    "Rounding never makes an entry larger",
    hooks=("size",),
    after=("C20", "C50"),
    action="Ask `size` with lots of 1e-8, and with lots that are coarser, for the same entry.",
    expectation="A coarser lot never gives more, and what is offered is a whole number of lots.",
)
def sizes_round_down(subject: Subject) -> Result:
    """Compare fine lots with coarse ones."""
    frame = subject.grid().frame(42, empty=0.0)
    market = market_of(frame)
    signal = signal_of(market.now_ms, Decimal("103.37"))
    for about, guest in subject.guests():
        for portfolio in portfolios(market.now_ms).values():
            fine = _size(guest, (signal, portfolio, _filters("0.00000001"), market))
            for lot in ("0.0001", "0.03", "0.1", "1", "7"):
                coarse = _size(guest, (signal, portfolio, _filters(lot), market))
                if coarse > fine:
                    return failed(
                        f"size offers {canonical(coarse)} with lots of {lot} and {canonical(fine)} with finer "
                        f"ones{about}: "
                        "it rounds up and spends more than meant; use floor_to_lot of tradecore.model.units"
                    )
                if not is_step(coarse, Decimal(lot)):
                    return failed(
                        f"size offers {canonical(coarse)} with lots of {lot}{about}, which no venue takes; "
                        f"offer whole lots, here {canonical(floor_to_lot(coarse, Decimal(lot)))} (floor_to_lot)"
                    )
    return PASSED


def _filters(lot: str) -> Any:
    return instrument_of(lot=lot, least="0", notional="0")


def _size(guest: Guest, arguments: tuple[Any, ...]) -> Decimal:
    answer = ask(guest, Question("size", "a lot of " + canonical(arguments[2].lot_size), arguments))
    quantity: Decimal = answer.quantity
    return quantity


@card(
    "C52",
    "money-counts-as-told",
    _FAMILY,
    "Entries are judged by the books that are handed in",
    hooks=("size", "risk_check"),
    after=("C20", "C50"),
    action=(
        "Ask about the same entry with the account's figures given in another order, and with symbols that do not "
        "matter added."
    ),
    expectation="The answers agree: no answer depends on the order of positions, live entries or mappings.",
)
def money_counts_as_told(subject: Subject) -> Result:
    """Reorder the books."""
    market = market_of(subject.grid().frame(43, empty=0.0))
    now_ms = market.now_ms
    busy = portfolios(now_ms)["an account with a position, a live entry and 300 closed ones"]
    one, entry = busy.positions[0], busy.pending[0]
    other = one._replace(position_id=PositionId("p-two"), symbol="C1/USDT")
    more = entry._replace(intent_id=IntentId("8" * 31 + "9"), symbol="C2/USDT")
    marks = {"C0/USDT": Decimal(100), "C1/USDT": Decimal(90)}
    forth = busy._replace(positions=(one, other), pending=(entry, more), marks=marks)
    back = busy._replace(positions=(other, one), pending=(more, entry), marks=dict(reversed(marks.items())))
    for about, guest in subject.guests():
        for hook in sorted({"size", "risk_check"} & guest.hooks):
            answers = []
            for portfolio in (forth, back):
                arguments = (
                    (signal_of(now_ms), portfolio, instrument_of(), market)
                    if hook == "size"
                    else (intent_of(now_ms), portfolio, market)
                )
                answers.append(fingerprint(ask(guest, Question(hook, "reordered books", arguments))))
            if answers[0] != answers[1]:
                return failed(
                    f"{hook} answered otherwise once positions and live entries came in another order{about}; "
                    "sum or search them, do not rely on the first or the last"
                )
    return PASSED


# Routes ----------------------------------------------------------------------------------------------------------


def _orders(guest: Guest, about: str) -> Iterator[tuple[Question, OrderRequest]]:
    for question in route_questions(_NOW_MS):
        answer = ask(guest, question._replace(about=question.about + about))
        if isinstance(answer, OrderRequest):
            yield question, answer


def _remaining(intent: Intent, attempts: Sequence[AttemptView]) -> Decimal:
    return minus(intent.quantity, exact_sum(attempt.filled_quantity for attempt in attempts))


@card(
    "C53",
    "never-more-than-remains",
    _FAMILY,
    "An order never asks for more than is left of its intent",
    hooks=("route_order",),
    after=("C20",),
    action=(
        "Ask after every history: partial, late and out-of-order fills, orders rejected, never sent, unknown and "
        "never placed."
    ),
    expectation="The quantity is at most the intent's less all that was filled; a sell is never rounded up.",
)
def never_more_than_remains(subject: Subject) -> Result:
    """Add up what was filled."""
    for about, guest in subject.guests():
        for question, request in _orders(guest, about):
            intent, _, attempts, _ = question.arguments
            left = _remaining(intent, attempts)
            if request.quantity > left:
                return failed(
                    f"route_order on {question.about} asks for {canonical(request.quantity)}, left are "
                    f"{canonical(left)}{about}; "
                    "subtract filled_quantity of every attempt, and round down (floor_to_lot), above all when selling"
                )
    return PASSED


@card(
    "C54",
    "filled-is-done",
    _FAMILY,
    "An intent that is filled gets no further order",
    hooks=("route_order",),
    after=("C20",),
    action="Ask about entries and exits whose attempts filled the whole quantity, in one order or in two.",
    expectation="`Done`, or `None` for an intent that is not the plugin's.",
)
def filled_is_done(subject: Subject) -> Result:
    """Ask after the last fill."""
    for about, guest in subject.guests():
        for sells in (False, True):
            intent = intent_of(_NOW_MS, sells=sells)
            whole = attempt_of(1, intent, Outcome.FILLED, filled=str(intent.quantity))
            halves = tuple(attempt_of(n, intent, Outcome.CANCELED, filled=str(intent.quantity / 2)) for n in (1, 2))
            for attempts in ((whole,), halves):
                arguments = (intent, book_of(_NOW_MS), attempts, _NOW_MS + 1_000)
                what = f"{'an exit' if sells else 'an entry'} that is filled"
                answer = ask(guest, Question("route_order", what, arguments))
                if isinstance(answer, OrderRequest):
                    return failed(f"route_order sends another order for {what}{about}; answer Done(Reason.FILLED)")
    return PASSED


@card(
    "C55",
    "ladder-ends",
    _FAMILY,
    "Unfilled orders come to an end",
    hooks=("route_order",),
    after=("C20",),
    action=f"Ask again and again, each order expiring unfilled; at most {_ORDERS_MAX} orders.",
    expectation="The answer becomes `Done` (or `None`); every label is said.",
)
def ladder_ends(subject: Subject) -> Result:
    """Climb to the end."""
    for about, guest in subject.guests():
        for sells in (False, True):
            what = "an exit" if sells else "an entry"
            if len(list(_climb(guest, intent_of(_NOW_MS, sells=sells), book_of(_NOW_MS)))) >= _ORDERS_MAX:
                return failed(
                    f"route_order still sends for {what} after {_ORDERS_MAX} orders that found nothing{about}; count "
                    "attempts and answer Done(Reason.LADDER_EXHAUSTED), the core begins another round for exits itself"
                )
    return PASSED


def _climb(guest: Guest, intent: Intent, book: Book) -> Iterator[OrderRequest]:
    """Yield the orders for an intent of which each expires unfilled."""
    attempts: tuple[AttemptView, ...] = ()
    while len(attempts) < _ORDERS_MAX:
        arguments = (intent, book, attempts, intent.created_ms + 1)
        answer = ask(guest, Question("route_order", f"order {len(attempts) + 1}", arguments))
        if not isinstance(answer, OrderRequest):
            return
        yield answer
        attempts += (
            attempt_of(
                len(attempts) + 1, intent, Outcome.EXPIRED, label=answer.label, time_in_force=answer.time_in_force,
                price=answer.price, quantity=answer.quantity,
            ),
        )  # fmt: skip


@card(
    "C56",
    "both-sides-reach-the-book",
    _FAMILY,
    "Immediate orders are priced for their own side",
    hooks=("route_order",),
    after=("C20",),
    action="Ask for every order of an entry and of an exit over an ordinary book.",
    expectation=(
        "An IOC or FOK to buy is priced at or above the best ask, one to sell at or below the best bid; else it "
        "cannot fill."
    ),
)
def both_sides_reach_the_book(subject: Subject) -> Result:
    """Compare prices with the touch."""
    book = book_of(_NOW_MS)
    for about, guest in subject.guests():
        for sells in (False, True):
            intent = intent_of(_NOW_MS, sells=sells)
            for number, request in enumerate(_climb(guest, intent, book), start=1):
                if request.time_in_force is TimeInForce.GTC or reaches(request, book, intent.side):
                    continue
                touch = book.touch(intent.side)
                return failed(
                    f"order {number} to {intent.side} is {request.time_in_force} at {canonical(request.price)} "
                    "while the other side "
                    f"stands at {canonical(touch)}{about}: it can never fill; price it from "
                    "book.touch(intent.side), buys "
                    "above and sells below"
                )
    return PASSED


@card(
    "C57",
    "unknown-is-no-fill",
    _FAMILY,
    "What never reached the venue counts as nothing filled",
    hooks=("route_order",),
    after=("C20", "C53"),
    action="Ask after an attempt whose outcome was unknown and is now proven never placed, or never sent.",
    expectation="Not `Done` with FILLED: nothing was bought or sold.",
)
def unknown_is_no_fill(subject: Subject) -> Result:
    """Ask after an attempt without a trace."""
    for about, guest in subject.guests():
        for sells in (False, True):
            intent = intent_of(_NOW_MS, sells=sells)
            for outcome in (Outcome.NOT_PLACED, Outcome.NOT_SENT, Outcome.REJECTED):
                attempts = (attempt_of(1, intent, outcome, code="X"),)
                question = Question(
                    "route_order", f"outcome {outcome}", (intent, book_of(_NOW_MS), attempts, _NOW_MS + 1_000)
                )
                answer = ask(guest, question)
                if getattr(answer, "reason", None) == "FILLED":
                    return failed(
                        f"route_order calls an intent FILLED after an attempt that was {outcome}{about}; read "
                        "filled_quantity, "
                        "not the number of attempts"
                    )
    return PASSED
