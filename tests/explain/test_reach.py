"""What a what-if calls exact is what a real run under the other settings says; where that ends it says why."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tradecore.app.questions import stored_questions
from tradecore.app.what_if import ask_again, run_of, runs_again, settings_of, unasked_of
from tradecore.app.what_if_reach import Lives, Reach, Standing
from tradecore.engine.explain.inputs import ENTRY
from tradecore.market.generate import GeneratedSource
from tradecore.model.events import OrderFill
from tradecore.testing.harness import Scene, play

GUESTS = ("signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc", "exits")
HOUR_MS = 3_600_000
BARE = (
    "signals_drop.drop_pct=0.8", "signals_drop.lookback=10m", "size_fixed.amount=250", "risk_limits.max_positions=3",
    "twin.faults=no_liquidity:1", "engine.zero_fill_sends=0",
    'exec_ioc_gtc.steps=[{time_in_force="IOC", premium_bps=5, attempts=2, ttl_ms=2000}]',
)  # fmt: skip
"""Every order finds an empty book: entries end without a fill, as in the session that failed."""


def bare_scene(*sets, hours=0.6, seed=1):
    return Scene(GeneratedSource(seed, 6, 5_000, "lively"), GUESTS, (*BARE, *sets), seed=seed,
                 for_ms=int(hours * HOUR_MS))  # fmt: skip


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    played = play(bare_scene(), tmp_path_factory.mktemp("bare") / "state")
    assert played.notes(OrderFill) == []
    return played


def placed(journal, changes):
    """Every question with its new answer and what that is worth."""
    reach = Reach(Lives(journal, None, []), unasked_of(run_of(settings_of(journal)), changes))
    found = []

    class Noting(Reach):
        def adjusted(self, one):
            return reach.adjusted(one)

        def place(self, one, now, *, other_life=False):
            standing = reach.place(one, now, other_life=other_life)
            found.append((one, now, standing))
            return standing

    again = runs_again(journal, changes)
    told = ask_again(stored_questions(journal), again, None, Noting(Lives(journal, None, [])))
    return found, reach, told


def key_of(one, count):
    inputs = one.inputs
    name = (inputs.question, inputs.signal.signal_id, inputs.signal.decided_ms, len(inputs.attempts))
    count[name] += 1
    return (*name, count[name])


def held_against_a_real_run(journal, really, changes):
    """Every exact answer was given in the real run; the real run was asked nothing else before exactness ends."""
    found, reach, _ = placed(journal, changes)
    stop = reach.stop
    count = Counter()
    real = {key_of(one, count): one for one in stored_questions(really)}
    count = Counter()
    exact = {}
    moot = set()
    for one, now, standing in found:
        key = key_of(one, count)
        if standing is Standing.EXACT:
            exact[key] = now.answer
        elif standing is Standing.MOOT and (stop is None or not stop.before(one)):
            moot.add(key)
    created = ("INTENT_CREATED", "ALLOWED", "ORDER")
    for key, answer in exact.items():
        if key in real:
            assert real[key].inputs.answer.decided == answer.decided, key
        else:
            assert answer.outcome not in created, f"{key}: a real run is not asked"
    for key, one in real.items():
        if stop is None or one.at_ns < stop.at_ns:
            assert key not in moot
            assert key in exact or one.inputs.answer.outcome not in created, f"{key}: was never kept"
    return exact, moot, stop


@pytest.mark.parametrize(
    ("change", "least", "why"),
    [
        ("risk_limits.spread_bps_max=3", 30, "would have been bought under other caps"),
        ("engine.max_spread_bps=3", 30, "while an entry lived that would not have been made"),
        ("risk_limits.max_orders_per_minute=2", 30, "while an entry lived that would not have been made"),
        ("size_fixed.amount=180", 1, "would have had another order"),
    ],
)
def test_r43_what_is_exact_is_what_a_real_run_says(bare, tmp_path, change, least, why):
    really = play(bare_scene(change), tmp_path / "state").journal
    exact, _, stop = held_against_a_real_run(bare.journal, really, [change])
    assert len(exact) >= least
    assert stop is not None
    assert why in stop.why


def test_r43_entries_that_would_not_be_made_and_bought_nothing_do_not_end_it(bare):
    found, _, told = placed(bare.journal, ["engine.max_spread_bps=3"])
    differing = [one for one, now, _ in found if not now.same and one.inputs.question == ENTRY]
    assert len(differing) > 2
    exact = [one for one, now, standing in found if standing is Standing.EXACT and not now.same]
    assert len(exact) > 1, "beyond the first answer that differs"
    assert told.standings[Standing.MOOT] > 0


def test_r43_a_trade_that_bought_something_ends_it(session):
    journal = session.played.journal
    found, reach, _ = placed(journal, ["engine.max_spread_bps=0.5"])
    first = next(number for number, (_, now, _) in enumerate(found) if not now.same)
    stop = reach.stop
    assert (stop.at_ns, stop.seq) == (found[first][0].at_ns, found[first][0].seq + 1)
    assert stop.why == "a trade that would not have been made had bought something"
    assert {standing for _, _, standing in found[: first + 1]} == {Standing.EXACT}
    assert {standing for _, _, standing in found[first + 1 :]} == {Standing.OPEN, Standing.MOOT}


def test_r43_a_change_that_changes_nothing_is_exact_to_the_end(session):
    _, reach, told = placed(session.played.journal, ["risk_limits.max_trades_per_day=1000"])
    assert reach.stop is None
    assert told.standings == {Standing.EXACT: len(session.asked)}
    assert told.same == told.asked


def test_r43_what_if_says_how_far_it_is_exact(bare, cli):
    asked = ("why", "--what-if", "engine.max_spread_bps=3", "--state", bare.folder, "--since", "1d")
    found = json.loads(cli(*asked, "--json").stdout)
    assert found["asked"] == found["same"] + found["changed"] + found["moot"] + sum(found["untold"].values())
    assert found["asked"] == found["exact"] + found["moot"] + found["open"]
    assert found["exact_until_ms"] is not None
    assert found["stops_because"]
    assert {change["standing"] for change in found["changes"]} == {"exact", "open"}
    for change in found["changes"]:
        before = change["at_ms"] <= found["exact_until_ms"] if change["standing"] == "exact" else False
        assert before or (change["standing"] == "open" and change["at_ms"] >= found["exact_until_ms"])
    text = cli(*asked).stdout
    assert found["stops_because"] in text
    assert f"{found['moot']:,} would not be asked at all" in text


def test_a_table_that_is_cut_says_by_what(bare, cli):
    whole = json.loads(cli("why", "--state", bare.folder, "--json").stdout)["reasons"]
    text = cli("why", "--state", bare.folder, "--limit", 1).stdout
    rest = sum(cell["times"] for cell in whole[1:])
    assert f"and {len(whole) - 1} more with {rest:,}, " in text
    assert "more with" not in cli("why", "--state", bare.folder, "--limit", 100).stdout
