"""What-if equals a real run under the other settings, as far as both were asked the same."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradecore.app.questions import stored_questions
from tradecore.app.what_if import ask_again, check_changes, run_of, runs_again, settings_of
from tradecore.engine.explain.inputs import ENTRY, Answer
from tradecore.engine.explain.looked import KeptMarket, LookedMarket
from tradecore.engine.explain.reask import Asker, reask
from tradecore.errors import SettingsError
from tradecore.model.signal import Check, Verdict
from tradecore.testing.factories import make_guest
from tradecore.testing.harness import play, prepared_of


def asked_of(inputs):
    """All that a guest is handed; an entry's intent is part of the answer."""
    left_out = {"answer": Answer(""), "guests": {}}
    return inputs._replace(**left_out, intent=None if inputs.question == ENTRY else inputs.intent)


@pytest.mark.parametrize(
    "change", ["risk_limits.max_positions_per_symbol=2", "size_fixed.amount=180", "risk_limits.slippage_bps_max=12",
               "exec_ioc_gtc.steps=[{time_in_force=\"IOC\", premium_bps=5, attempts=3, ttl_ms=2000}]",
               "engine.max_spread_bps=3"],
)  # fmt: skip
def test_it_equals_a_real_run(session, lively, tmp_path, change):
    """Every question that the real run was asked too, with the same account and market, is answered as predicted."""
    other = lively(change)
    really = {}
    for one in stored_questions(play(other, tmp_path / "state").journal):
        really.setdefault(repr(asked_of(one.inputs)), one.inputs.answer)
    prepared = prepared_of(other)
    engine = prepared.settings.engine
    limits = session.asked[0].inputs.limits._replace(max_spread_bps=engine.max_spread_bps)
    compared = differing = 0
    first = None
    for one in session.asked:
        now = reask(prepared.guests, one.inputs, limits=limits)
        key = repr(asked_of(one.inputs._replace(limits=limits if one.inputs.question == ENTRY else None)))
        if not now.same and first is None:
            first = one.inputs
            assert key in really, "until the first answer that differs both runs are one"
        if key in really:
            compared += 1
            differing += not now.same
            expected = really[key]
            assert now.answer is not None
            assert now.answer.decided == expected.decided
            assert (now.answer.value, now.answer.detail) == (expected.value, expected.detail)
        elif first is None:
            pytest.fail(f"the real run was not asked {one.inputs}")
    assert first is not None, "the change changes something"
    assert compared >= 1
    assert differing >= 1


def test_a_run_is_made_again_from_its_journal(session):
    values = settings_of(session.played.journal)
    run = run_of(values)
    assert [guest.name for guest in run.guests] == [guest.name for guest in prepared_of(session.scene).guests]
    shown = run.resolved.shown({guest.name: guest.settings for guest in run.guests})
    assert shown == values
    found = ask_again(session.asked, runs_again(session.played.journal, ()))
    assert found.asked == found.same == len(session.asked)
    assert found.before == found.after
    assert not found.untold
    assert not found.changes


def test_each_run_of_a_state_is_asked_under_its_own_settings(lively, tmp_path):
    """A change that changes nothing changes nothing, though the runs before had other settings and other guests."""
    folder = tmp_path / "state"
    play(lively("size_fixed.amount=100", "engine.max_spread_bps=900", hours=0.5), folder)
    journal = play(lively("size_fixed.amount=200", "risk_limits.max_positions=2", hours=0.5), folder).journal
    asked = tuple(stored_questions(journal))
    assert len({one.session for one in asked}) == 2
    same = ask_again(asked, runs_again(journal, ["risk_limits.max_trades_per_day=120"]))
    assert (same.asked, same.same, same.untold) == (len(asked), len(asked), {})
    other = ask_again(asked, runs_again(journal, ["size_fixed.amount=150"]))
    assert {change.stored.session for change in other.changes} == {one.session for one in asked}
    alone = ask_again(asked, runs_again(tmp_path / "nobody", ()))
    assert (alone.same, sum(alone.untold.values())) == (0, len(asked)), "settings that are gone are not guessed"


def test_what_was_tuned_then_is_tuned_when_asked_again(session):
    """A tune lies over the settings of the files, as it did in the run; one that does not fit now is said."""
    guests = prepared_of(session.scene).guests
    entry = next(one.inputs for one in session.asked if one.inputs.answer.outcome == "INTENT_CREATED")
    tuned = entry._replace(tunes={"size_fixed.amount": "125", "signals_drop.drop_pct": "3"})
    asker = Asker(guests)
    then, now = asker.ask(entry), asker.ask(tuned)
    assert then.same
    assert now.faults == ()
    assert Decimal(0) < now.answer.quantity < then.answer.quantity
    assert asker.ask(entry).answer == then.answer, "the next question is asked without"
    stored = next(one for one in session.asked if one.inputs is entry)._replace(inputs=tuned)
    assert ask_again([stored], runs_again(session.played.journal, ())).tuned["size_fixed.amount"] == 1
    unfit = asker.ask(entry._replace(tunes={"size_fixed.amount": "-1"}))
    assert unfit.faults[0].startswith("tuned to -1 then: size_fixed.amount: expected")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("signals_drop.drop_pct=2", "run the market again with --set signals_drop.drop_pct=2"),
        ("exits.take_profit_pct=2", "expected a setting of a sizing"),
        ("store.synchronous=OFF", "expected a setting of one of exec_ioc_gtc, risk_limits, size_fixed"),
        ("risk_limits.max_positions", "expected KEY=VALUE"),
    ],
)
def test_what_no_question_depends_on_is_refused(session, change, says):
    run = run_of(settings_of(session.played.journal))
    with pytest.raises(SettingsError, match=says.replace(".", r"\.")):
        check_changes(run, [change])
    check_changes(run, ["risk_limits.max_positions=1", "plugins.size_fixed.amount=1", "engine.max_spread_bps=5"])


def test_what_was_not_kept_is_said_and_never_guessed(session):
    """A guest that reads more of the market than any did then is answered from its source, or not at all."""

    def risk_check(intent, market):
        closes = market.window(intent.symbol, "close", 5)
        return Verdict((Check("mean", prices(closes), prices(closes), "x", False),))

    def prices(values):
        return Decimal(repr(float(values.mean())))

    curious = make_guest("curious", risk_check=risk_check)
    guests = [*prepared_of(session.scene).guests, curious._replace(order=9)]
    entry = next(one.inputs for one in session.asked if one.inputs.answer.outcome == "INTENT_CREATED")
    alone = reask(guests, entry)
    assert alone.answer is None
    assert not alone.same
    assert alone.missing == (f"5 rows of close of {entry.signal.symbol}, kept 0",)
    source = session.scene.source

    def again(close_ms, count):
        row = (close_ms - source.first_close_ms) // source.timeframe_ms
        return source.read(max(0, row + 1 - count), row + 1)

    found = reask(guests, entry, rows=again)
    assert found.same


def test_a_market_answers_what_was_read_of_it(session):
    source = session.scene.source
    frame = source.read(0, 20)
    market = LookedMarket(frame, 5, {})
    symbol, other = frame.symbols[:2]
    market.window(symbol, "close", 4)
    wide = market.window(symbol, "close", 9)
    market.window(other, "volume", 500)
    assert market.book(symbol) is None
    kept = KeptMarket(market.facts())
    assert kept.window(symbol, "close", 9).tolist() == wide.tolist()
    assert kept.window(symbol, "close", 2).tolist() == wide[-2:].tolist()
    assert len(kept.window(other, "volume", 10_000)) == 20
    assert kept.book(symbol) is None
    for ask in (lambda: kept.window(symbol, "close", 10), lambda: kept.window(symbol, "high", 1),
                lambda: kept.book(other), lambda: kept.frame):  # fmt: skip
        with pytest.raises(LookupError):
            ask()
    assert len(kept.missing) == 4
