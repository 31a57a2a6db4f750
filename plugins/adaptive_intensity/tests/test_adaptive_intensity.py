"""adaptive_intensity: moves worked out by hand, what always holds, and a tier that lives through several sessions."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_adaptive_intensity.plugin import AdaptiveIntensity
from tradecore_adaptive_intensity.tiers import Tier

from tradecore import Market, MarketFrame, Portfolio, Reason
from tradecore.model.events import TradingStateChanged, TuneApplied
from tradecore.model.portfolio import TradingState
from tradecore.model.position import ClosedPosition
from tradecore.model.records import Command
from tradecore.model.units import TimeInForce
from tradecore.store.queries import put_command
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, row_close_ms, sizer, wisher
from tradecore.testing.harness import STORE_FILE, Scene, at, play
from tradecore.testing.readme import assert_readme_settings

D = Decimal
NOW = 1_700_000_000_000
LOW, NORMAL, HIGH = Tier.LOW_TRUST, Tier.NORMAL, Tier.HIGH_TRUST


HOUR_MS = 3_600_000


def guest(**values):
    return AdaptiveIntensity(AdaptiveIntensity.Settings.model_validate(values))


def trades(wins, losses, after_ms=NOW):
    found = [True] * wins + [False] * losses
    return tuple(
        ClosedPosition(f"p{n}", "A/USDT", "w", after_ms, after_ms + n + 1, D(1 if won else -1), 0.0, Reason.LEAVE)
        for n, won in enumerate(found)
    )


def look(made, closed=(), last=None, state=TradingState.ACTIVE, now_ms=NOW):
    money = D(1000)
    portfolio = Portfolio(
        now_ms, "USDT", state, money, money, money, money, D(0), D(0), (), (), tuple(closed), 0, 0, {}, {}, (), {}
    )
    empty = {name: np.zeros((0, 0)) for name in ("open", "high", "low", "close", "volume")}
    market = Market(MarketFrame(60_000, np.zeros(0, dtype=np.int64), (), empty), now_ms, {})
    (job,) = made.jobs()
    answer = job.ask(portfolio, market, last)
    return answer, {tune.setting: tune.value for tune in answer.tunes}


def at_tier(tier, since_ms=NOW):
    return {"tier": str(tier), "since_ms": since_ms, "why": "test"}


def test_settings_and_the_readme():
    made = AdaptiveIntensity.Settings()
    assert (made.up_win_rate_pct, made.up_trades, made.down_win_rate_pct, made.down_trades) == (60, 300, 50, 50)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), AdaptiveIntensity.Settings)


KNOB = {"low_trust": 3, "normal": 2, "high_trust": 1}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"knobs": []}, "at least 1"),
        ({"knobs": [{"setting": "drop", **KNOB}]}, "pattern"),
        ({"knobs": [{"setting": "a.b", **KNOB}] * 2}, "each setting once, was a.b"),
        ({"down_win_rate_pct": 60}, "below up_win_rate_pct=60, was 60"),
        ({"up_trades": 40}, "at most up_trades=40, was 50"),
        ({"win_rate": 1}, "Extra inputs"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        guest(**values)


def test_r37_it_starts_low_with_the_values_of_the_specification():
    answer, values = look(guest())
    assert values == {
        "signals_drop.drop_pct": "3", "filter_rsi.level": "60", "filter_volume.min_quote_per_minute": "2000",
    }  # fmt: skip
    assert answer.state["tier"] == "LOW_TRUST"
    assert look(guest(), last=answer.state)[0].state is None
    assert look(guest(), last=at_tier(NORMAL))[1]["signals_drop.drop_pct"] == "2"
    high = look(guest(), last=at_tier(HIGH))[1]
    assert high == {
        "signals_drop.drop_pct": "1.5", "filter_rsi.level": "40", "filter_volume.min_quote_per_minute": "500",
    }  # fmt: skip


def test_r37_up_needs_the_whole_sample_and_more_than_the_rate():
    for wins, losses, tier in ((181, 119, NORMAL), (180, 120, None), (299, 0, None), (300, 0, NORMAL)):
        answer, _ = look(guest(), trades(wins, losses), at_tier(LOW))
        assert (answer.state or {}).get("tier") == tier
    answer, values = look(guest(), trades(190, 110), at_tier(NORMAL), now_ms=NOW + 999)
    assert answer.state == {
        "tier": "HIGH_TRUST",
        "since_ms": NOW + 999,
        "why": "NORMAL to HIGH_TRUST: win rate 63.3 % over 300 trades",
    }
    assert values["filter_rsi.level"] == "40"
    assert answer.tunes[0].reason == answer.state["why"]
    assert look(guest(), trades(300, 0), at_tier(HIGH))[0].state is None


def test_r37_only_the_newest_trades_count():
    assert look(guest(), trades(200, 200), at_tier(NORMAL))[0].state["tier"] == "LOW_TRUST"
    turned = tuple(reversed(trades(200, 200)))
    ordered = tuple(one._replace(closed_ms=NOW + n) for n, one in enumerate(turned, start=1))
    assert look(guest(), ordered, at_tier(NORMAL))[0].state["tier"] == "HIGH_TRUST"


def test_r37_down_needs_its_sample_and_one_tier_at_a_time():
    for wins, losses, tier in ((24, 26, NORMAL), (25, 25, None), (0, 49, None), (0, 50, NORMAL)):
        answer, _ = look(guest(), trades(wins, losses), at_tier(HIGH))
        assert (answer.state or {}).get("tier") == tier
    assert look(guest(), trades(0, 300), at_tier(LOW))[0].state is None


def test_r37_after_a_move_only_newer_trades_count():
    made, closed = guest(), trades(300, 0)
    first, _ = look(made, closed, at_tier(LOW), now_ms=NOW + 1_000)
    assert first.state["tier"] == "NORMAL"
    assert look(made, closed, first.state, now_ms=NOW + 2_000)[0].state is None
    later = closed + trades(299, 0, NOW + 1_000)
    assert look(made, later, first.state)[0].state is None
    assert look(made, closed + trades(300, 0, NOW + 1_000), first.state)[0].state["tier"] == "HIGH_TRUST"


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_r37_the_breaker_leads_to_low_trust_from_any_tier(state):
    for tier in (NORMAL, HIGH):
        answer, values = look(guest(), trades(300, 0), at_tier(tier), state, NOW + 9)
        assert answer.state == {
            "tier": "LOW_TRUST",
            "since_ms": NOW + 9,
            "why": f"{tier} to LOW_TRUST: trading is {state}",
        }
        assert values["signals_drop.drop_pct"] == "3"
    low, _ = look(guest(), trades(300, 0), at_tier(LOW, NOW - 1), state, NOW + 500)
    assert low.state["since_ms"] == NOW + 500
    again, _ = look(guest(), trades(300, 0), low.state, state, NOW + 900)
    assert again.state is None
    assert look(guest(), trades(300, 0), low.state, now_ms=NOW + 900)[0].state is None


def test_r37_what_was_won_before_a_second_trip_of_the_breaker_counts_no_more():
    first, _ = look(guest(), (), at_tier(LOW, NOW - 1), TradingState.REDUCING, NOW)
    won = trades(299, 0, NOW + 1_000)
    assert look(guest(), won, first.state, now_ms=NOW + HOUR_MS)[0].state is None
    second, _ = look(guest(), won, first.state, TradingState.REDUCING, NOW + 2 * HOUR_MS)
    assert second.state == {"tier": "LOW_TRUST", "since_ms": NOW + 2 * HOUR_MS, "why": "trading is REDUCING"}
    more = (*won, *trades(1, 0, NOW + 3 * HOUR_MS))
    assert look(guest(), more, second.state, now_ms=NOW + 4 * HOUR_MS)[0].state is None


@pytest.mark.parametrize(
    "last", [{}, {"tier": "HIGH"}, {"tier": 3}, {"tier": "NORMAL"}, {"tier": "NORMAL", "since_ms": "x"}]
)
def test_r37_a_state_that_cannot_be_read_starts_low_and_counts_from_now(last):
    for closed in (trades(300, 0, NOW - 1_000), ()):
        answer, values = look(guest(), closed, last)
        assert answer.state == {"tier": "LOW_TRUST", "since_ms": NOW, "why": "starts low"}
        assert values["signals_drop.drop_pct"] == "3"


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_r37_it_never_moves_without_a_sample_nor_by_more_than_one_tier_up(seed):
    chance = random.Random(seed)
    made = guest(up_trades=20, down_trades=8)
    order = [LOW, NORMAL, HIGH]
    state, closed, moved_at, now = None, [], 0, NOW
    tier = LOW
    for _ in range(120):
        now += 60_000
        closed += [
            one._replace(position_id=f"q{now}", closed_ms=now - 1)
            for one in trades(*((1, 0) if chance.random() < 0.55 else (0, 1)))[: chance.randint(0, 1)]
        ]
        trading = TradingState.REDUCING if chance.random() < 0.02 else TradingState.ACTIVE
        answer, values = look(made, closed[-300:], state, trading, now)
        state = answer.state or state
        new = Tier(state["tier"])
        assert values["filter_rsi.level"] == {"LOW_TRUST": "60", "NORMAL": "50", "HIGH_TRUST": "40"}[new]
        fresh = sum(one.closed_ms > moved_at for one in closed)
        if order.index(new) > order.index(tier):
            assert order.index(new) == order.index(tier) + 1
            assert fresh >= 20
        if order.index(new) < order.index(tier):
            assert trading is not TradingState.ACTIVE or fresh >= 8
        if new is not tier:
            moved_at = now
        tier = new


# Sessions ----------------------------------------------------------------------------------------------------------

PAIR = "AAA/USDT"
KNOBS = '[{setting="signals_drop.drop_pct",low_trust=30,normal=20,high_trust=10}]'


def scene_of(rises, *, for_rows=None):
    """Buy in every other row; prices that rise win at once, prices that fall lose at once."""
    closes = [100.0]
    for up in rises:
        closes += [closes[-1], closes[-1] * (1.02 if up else 0.98)]
    buys = dict.fromkeys(range(1, len(closes), 2), (PAIR,))
    guests = [
        wisher(buys), "signals_drop", "adaptive_intensity", sizer("1"), allower(),
        router((TimeInForce.IOC, "40", 2_000)), leader(stop=0.99, take=1.01),
    ]  # fmt: skip
    sets = (
        "market.between_closes=false", "signals_drop.lookback=2m", "breaker.loss_streak=0",
        "adaptive_intensity.up_trades=4", "adaptive_intensity.down_trades=4", f"adaptive_intensity.knobs={KNOBS}",
    )  # fmt: skip
    market = ScriptedSource({PAIR: closing_at(*[round(close, 2) for close in closes])})
    return Scene(market, guests, sets, for_ms=None if for_rows is None else for_rows * 60_000)


def moves(played):
    return [
        (e.event.setting, e.event.old, e.event.new, e.event.reason.partition(":")[0]) for e in played.notes(TuneApplied)
    ]


def test_r37_trust_is_earned_lost_and_kept_over_several_sessions(tmp_path):
    """Wins lead up, losses down; the same days cut into three sessions end where the whole one does."""
    story = [*[True] * 14, *[False] * 8]
    whole = play(scene_of(story), tmp_path / "whole")
    assert [str(v) for v in whole.violations()] == []
    told = moves(whole)
    setting = "signals_drop.drop_pct"
    assert told[0] == (setting, "2", "30", "starts low")
    assert told[1] == (setting, "30", "20", "LOW_TRUST to NORMAL")
    assert told[2] == (setting, "20", "10", "NORMAL to HIGH_TRUST")
    assert (setting, "10", "20", "HIGH_TRUST to NORMAL") in told[3:]
    states = []
    for rows in (12, 14, None):
        part = play(scene_of(story, for_rows=rows), tmp_path / "cut")
        assert [str(v) for v in part.violations()] == []
        states.append(orjson.loads(part.records.memory["job/adaptive_intensity/tier"].text)["tier"])
        kept = orjson.loads(part.records.memory[f"tune/{setting}"].text)
        assert kept[:2] == ["adaptive_intensity", {"LOW_TRUST": "30", "NORMAL": "20", "HIGH_TRUST": "10"}[states[-1]]]
    assert states[0] != "LOW_TRUST"
    cut = moves(part)
    assert [move[1:] for move in cut[:3]] == [move[1:] for move in told[:3]]
    assert len({move for move in cut if move[3] == "starts low"}) == 1


def test_r37_a_halt_leads_to_low_trust(tmp_path):
    halt = Command("c1", "reduce", "", "looking", "anna")
    moment = row_close_ms(24) + 1
    played = play(
        scene_of([True] * 16), tmp_path / "state",
        begin=lambda e: at(e, moment, lambda: put_command(tmp_path / "state" / STORE_FILE, halt)),
    )  # fmt: skip
    (changed,) = played.notes(TradingStateChanged)
    assert changed.event.new == "REDUCING"
    assert moves(played)[-1][2:] == ("30", "HIGH_TRUST to LOW_TRUST")
