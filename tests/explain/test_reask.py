"""What was asked can be asked again: the same guests say the same, to the last digit."""

from __future__ import annotations

from collections import Counter

from tradecore.app.questions import stored_questions
from tradecore.engine.explain.inputs import ENTRY, GATE, ROUTE
from tradecore.engine.explain.reask import reask
from tradecore.engine.ladder import CORE_LABEL
from tradecore.model.events import DecisionOutcome, DropTriggerEval, OrderAttempt
from tradecore.testing.harness import prepared_of


def test_every_question_is_there(session):
    questions = Counter(one.inputs.question for one in session.asked)
    triggers = session.played.notes(DropTriggerEval)
    assert questions[ENTRY] == len(triggers) > 20
    outcomes = {(n.ids.decision, n.event.outcome) for n in session.played.notes(DecisionOutcome)}
    asked = {(n.inputs.signal.signal_id, n.inputs.answer.outcome) for n in session.asked if n.inputs.question == ENTRY}
    assert asked <= outcomes
    assert {outcome for _, outcome in outcomes - asked} <= {"RISK_REFUSED", "SYMBOL_BUSY"}, "only what comes again"
    attempts = [n.event for n in session.played.notes(OrderAttempt) if n.event.state == "PREPARED"]
    prepared = [event for event in attempts if not event.label.startswith(CORE_LABEL)]
    assert questions[ROUTE] >= len(prepared) > 10
    assert questions[GATE] > 0
    refused = {one.inputs.answer.outcome for one in session.asked}
    assert {"RISK_REFUSED", "INTENT_CREATED", "ORDER", "ALLOWED"} <= refused


def test_the_same_guests_say_the_same(session):
    guests = prepared_of(session.scene).guests
    for one in session.asked:
        again = reask(guests, one.inputs)
        assert again.missing == ()
        assert again.faults == ()
        assert again.answer == one.inputs.answer._replace(caps=dict(one.inputs.answer.caps))
        assert again.same


def test_a_question_says_what_the_events_say(session):
    outcomes = {}
    for note in session.played.notes(DecisionOutcome):
        outcomes[note.ids.decision, note.event.row_ms] = note.event
    for one in session.asked:
        if one.inputs.question != ENTRY or one.inputs.signal.position_id is not None:
            continue
        said = outcomes[one.inputs.signal.signal_id, one.inputs.signal.decided_ms]
        answer = one.inputs.answer
        assert said.outcome == answer.outcome
        if said.outcome != "INTENT_CREATED":
            assert (said.decided_by, said.limit, said.detail) == (answer.by, answer.limit, answer.detail)
            assert (said.limit_value, said.limit_threshold) == (answer.value, answer.threshold)


def test_the_first_question_of_any_hour_can_be_read(session):
    """A reader that starts in the middle needs no more than the hour."""
    middle = session.asked[len(session.asked) // 2].at_ns
    late = list(stored_questions(session.played.journal, middle))
    assert late == [one for one in session.asked if one.at_ns >= middle]
    early = list(stored_questions(session.played.journal, None, middle))
    assert early == [one for one in session.asked if one.at_ns < middle]


def test_a_question_costs_little(session):
    lines = [line for path in (session.played.journal / "decision").iterdir()
             for line in path.read_bytes().splitlines() if b'"decision_record"' in line]  # fmt: skip
    assert sum(map(len, lines)) / len(lines) < 3_000
