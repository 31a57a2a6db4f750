"""Stored decisions asked again: the same guests say the same; others are named with what it means in money."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from tradecore.app.questions import stored_questions
from tradecore.app.redeciding import Now, guests_now, questions_of, redecide
from tradecore.engine.explain.inputs import ENTRY
from tradecore.hooks.guest import Guest
from tradecore.journal.read import read_journal
from tradecore.model.order import OrderRequest
from tradecore.model.units import ZERO, exact_sum, times


@pytest.fixture(scope="module")
def sessions(two_runs):
    return list(dict.fromkeys(stored.session for stored in stored_questions(two_runs / "journal")))


def test_r44_the_same_guests_decide_the_same(two_runs, replayed, sessions):
    stored = list(stored_questions(two_runs / "journal"))
    for run, session in zip(("1", "latest"), sessions, strict=True):
        code, found = replayed(two_runs, run, "--decisions")
        decisions = found["decisions"]
        mine = [(one.inputs.question, one.inputs.answer.outcome) for one in stored if one.session == session]
        assert code == 0
        assert decisions["asked"] == decisions["same"] == len(mine)
        assert (decisions["total"], decisions["untold"], decisions["faults"]) == (0, 0, [])
        kinds = {("entry", "INTENT_CREATED"), ("entry", "RISK_REFUSED"), ("gate", "ALLOWED"), ("route", "ORDER")}
        assert kinds <= set(mine), "each kind of question was asked in each run"
        assert Counter(mine)["entry", "INTENT_CREATED"] == made_by(two_runs, session) > 5


def made_by(folder, session):
    """Entries that a run made, as its own events tell."""
    lines = read_journal(folder / "journal", kinds=("intent_created",))
    return sum(line.session == session and not line.data["reduces"] for line in lines)


def test_r44_other_settings_show_the_first_difference_and_its_worth(two_runs, replayed, cli):
    code, found = replayed(two_runs, "1", "--decisions", "--set", "size_fixed.amount=125")
    assert code == 1
    assert found["store"]["equal"]
    decisions = found["decisions"]
    first = decisions["differing"][0]
    entries = [stored for stored in stored_questions(two_runs / "journal") if stored.inputs.question == ENTRY]
    made = next(stored for stored in entries if stored.inputs.answer.outcome == "INTENT_CREATED")
    assert (first["seq"], first["symbol"], first["effect"]) == (made.seq, made.inputs.signal.symbol, "other size")
    then, now = Decimal(first["then"]["quantity"]), Decimal(first["now"]["quantity"])
    assert now < then
    assert Decimal(first["effect_quote"]) == times(now - then, made.inputs.signal.price)
    assert [change[0] for change in first["changed"]] == ["quantity"]
    shown = cli("replay", "1", "--decisions", "--set", "size_fixed.amount=125", "--state", two_runs)
    assert shown.exit_code == 1
    assert f"{made.inputs.signal.symbol} entry, signal {made.inputs.signal.signal_id}, line {made.seq}" in shown.stdout


def test_r44_a_trade_not_made_is_shown_with_what_it_brought(two_runs, replayed):
    code, found = replayed(two_runs, "1", "--decisions", "--set", "risk_limits.spread_bps_max=0.1")
    assert code == 1
    decisions = found["decisions"]
    assert set(decisions["effects"]) >= {"trade not made"}
    not_made = [one for one in decisions["differing"] if one["effect"] == "trade not made"]
    assert all(Decimal(one["effect_quote"]) < 0 for one in not_made)
    assert {one["now"]["by"] for one in not_made} == {"risk_limits"}
    results = [Decimal(one["result_quote"]) for one in not_made if one["result_quote"] is not None]
    assert results
    assert exact_sum(results) == Decimal(decisions["results_quote"])
    assert exact_sum(results) == Decimal(found["rebuilt"]["realised_quote"]), "no entry would have been made"


def test_r44_a_profile_of_now_takes_the_place_of_the_runs_settings(two_runs, replayed):
    code, found = replayed(two_runs, "--decisions", "--profile", "conservative")
    assert code == 1
    assert found["decisions"]["total"] > 0


def test_r44_another_version_of_a_plugin_is_told_apart(two_runs, sessions):
    now = guests_now(two_runs / "journal", sessions[0], None, (), {})

    def newer(guest: Guest) -> Guest:
        if guest.name != "exec_ioc_gtc":
            return guest
        ask = guest.asks["route_order"]

        def route_order(*given, **named):
            answer = ask(*given, **named)
            dearer = isinstance(answer, OrderRequest)
            return answer._replace(price=times(answer.price, Decimal("1.001"))) if dearer else answer

        return guest._replace(version="99.0", asks={**guest.asks, "route_order": route_order})

    changed = Now(tuple(newer(guest) for guest in now.guests), now.limits, now.rows)
    found = redecide(questions_of(two_runs / "journal", frozenset(sessions[:1])), changed, {})
    assert found.guests["exec_ioc_gtc"][1] == "99.0"
    assert found.guests["exec_ioc_gtc"][0] not in ("", "99.0")
    assert set(found.by) == {"exec_ioc_gtc"}
    first = found.differing[0]
    assert first.effect == "other price"
    assert first.effect_quote == times(first.now.order.quantity, first.now.order.price - first.then.order.price) > ZERO


@pytest.mark.parametrize(
    "given", [("--set", "a.b=1"), ("--profile", "demo"), ("--decisions", "--set", "size_fixed.amuont=3"),
              ("--decisions", "--profile", "nobody")],
)  # fmt: skip
def test_r44_what_is_given_in_vain_or_wrong_is_refused(two_runs, cli, given):
    result = cli("replay", *given, "--state", two_runs)
    assert result.exit_code == 2
    assert result.stderr.startswith("tradecore: ")
