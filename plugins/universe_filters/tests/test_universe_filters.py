"""universe_filters: each rule by hand, and sessions in which removals shut entries and nothing else."""

import math
import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_universe_filters.figures import figures_of
from tradecore_universe_filters.plugin import UniverseFilters

from tradecore import Book, Market, MarketFrame, Reason
from tradecore.model.book import Level
from tradecore.model.events import DecisionOutcome, UniverseRemoved, UniverseReturned
from tradecore.model.position import PositionState
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    closing_at,
    instrument,
    leader,
    make_guest,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import Scene, play
from tradecore.testing.readme import assert_readme_settings

D = Decimal
HOUR = 3_600_000
A, B = "AAA/USDT", "BBB/USDT"
NAN = float("nan")
IOC = TimeInForce.IOC


def guest(**values):
    return UniverseFilters(UniverseFilters.Settings.model_validate(values))


def frame_of(closes, volume=10.0, symbols=(A,)):
    close = np.array(closes, dtype=float).reshape(len(closes), len(symbols))
    columns = dict.fromkeys(("open", "high", "low", "close"), close)
    columns["volume"] = np.where(np.isnan(close), NAN, volume)
    return MarketFrame(HOUR, HOUR * np.arange(1, len(closes) + 1), symbols, columns)


def judged(made, frame, *, bid=None, ask=None, symbol=A):
    quotes = {}
    if bid is not None:
        quotes[symbol] = Book(symbol, 1, (Level(D(bid), D(1)),), (Level(D(ask), D(1)),), "test")
    (word,) = made.universe({symbol: instrument(symbol)}, quotes, Market(frame, 1, quotes, {}))
    return word.keep, word.reason


EMPTY = frame_of(np.zeros((0, 1)))


def test_settings_and_the_readme():
    made = UniverseFilters.Settings()
    assert (made.window, made.age_min, made.unknown) == ("24h", "off", "remove")
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), UniverseFilters.Settings)


@pytest.mark.parametrize(
    "values",
    [
        {"window": "off"}, {"window": "5r"}, {"window": "32d"}, {"window": "soon"}, {"age_min": "40d"},
        {"price_min": 3, "price_max": 2}, {"volatility_min_pct": 3, "volatility_max_pct": 2}, {"unknown": "ask"},
        {"volume_min_quote": -1}, {"spreads": 1},
    ],
)  # fmt: skip
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError):
        guest(**values)


def test_hours_are_asked_for_only_where_a_rule_needs_them():
    assert guest().warmup == {}
    assert guest(spread_max_bps=3, never=["X*"]).warmup == {}
    assert guest(volume_min_quote=1).warmup == {"1h": "25h"}
    assert guest(volume_min_quote=1, age_min="7d").warmup == {"1h": "168h"}
    assert guest(age_min="90m").warmup == {"1h": "2h"}


def test_hook_universe_r5_without_rules_every_symbol_stays():
    assert judged(guest(), EMPTY) == (True, "no rule is set")


@pytest.mark.parametrize(
    ("values", "kept", "reason"),
    [
        ({"never": ["AAA/*"]}, False, "never holds AAA/*"),
        ({"never": ["BBB/*"]}, True, ""),
        ({"only": ["A??/USDT"]}, True, "only holds A??/USDT"),
        ({"only": ["BTC/*"]}, False, "no pattern of only fits"),
        ({"only": ["*"], "never": ["AAA/USDT"]}, False, "never holds AAA/USDT"),
    ],
)
def test_r5_lists_of_patterns(values, kept, reason):
    word = judged(guest(**values), EMPTY)
    assert word[0] is kept
    assert reason in word[1]


def test_r5_volume_is_the_money_of_the_window():
    frame = frame_of([100.0] * 30)  # 10 units an hour at 100: 24 hours are 24,000
    assert judged(guest(volume_min_quote=24_000), frame) == (True, "volume over 24h 24000 quote")
    word = judged(guest(volume_min_quote=24_001), frame)
    assert word == (False, "volume over 24h 24000 quote, at least 24001 is asked for")
    assert judged(guest(volume_min_quote=12_001, window="12h"), frame)[0] is False
    holes = frame_of([100.0, NAN] * 15)
    assert judged(guest(volume_min_quote=12_000), holes)[0] is True
    assert judged(guest(volume_min_quote=12_001), holes)[0] is False


def test_r5_price_is_the_book_else_the_newest_close():
    frame = frame_of([5.0, 7.0, NAN])
    assert judged(guest(price_min=7, price_max=7), frame)[0] is True
    assert judged(guest(price_min=7), frame, bid="5", ask="6") == (False, "price 5.5, at least 7 is asked for")
    assert judged(guest(price_max=5), frame, bid="5", ask="6") == (False, "price 5.5, at most 5 is allowed")


def test_r5_spread_needs_a_book():
    assert judged(guest(spread_max_bps=10), EMPTY, bid="100", ask="100.1")[0] is True
    assert judged(guest(spread_max_bps=9), EMPTY, bid="100", ask="100.1") == (
        False, "spread 10 bps, at most 9 is allowed"
    )  # fmt: skip
    assert judged(guest(spread_max_bps=9), EMPTY) == (False, "spread is not known")
    assert judged(guest(spread_max_bps=9, unknown="keep"), EMPTY) == (True, "spread is not known")


def test_r5_volatility_is_the_deviation_of_hourly_returns():
    frame = frame_of([100.0, 110.0] * 4)
    returns = np.diff(np.log(np.array([100.0, 110.0] * 4)))
    wanted = float(np.std(returns, ddof=1) * 100)
    made = figures_of(frame, 24, 0)
    assert made.volatility_pct[0] == pytest.approx(wanted, rel=1e-12)
    assert judged(guest(volatility_min_pct=D(repr(wanted)) - 1), frame)[0] is True
    assert judged(guest(volatility_max_pct=D(repr(wanted)) - 1), frame)[0] is False
    assert judged(guest(volatility_max_pct=50), frame_of([100.0] * 6)) == (
        False, "volatility over 24h is not known"
    ), "five returns tell nothing"  # fmt: skip
    assert judged(guest(volatility_min_pct=D("0.1")), frame_of([100.0] * 24))[0] is False, "a coin that stands still"


def test_r5_age_counts_from_the_first_price():
    listed = frame_of([NAN] * 20 + [5.0] * 10)
    assert judged(guest(age_min="10h"), listed)[0] is True
    assert judged(guest(age_min="11h"), listed) == (False, "age 10 h, at least 11 is asked for")
    assert judged(guest(age_min="30h"), frame_of([5.0] * 30))[0] is True
    # three hours of history say nothing of a coin that was there when it began, and all of one that was not
    assert judged(guest(age_min="30h"), frame_of([5.0] * 3)) == (True, "age beyond the history")
    assert judged(guest(age_min="30h"), frame_of([NAN, 5.0, 5.0]))[0] is False
    assert judged(guest(age_min="30h"), frame_of([NAN] * 3)) == (False, "age is not known")


def test_r5_every_reason_is_named():
    word = judged(guest(never=["AAA/*"], price_min=10, spread_max_bps=1), frame_of([5.0]), bid="5", ask="6")
    assert word[1].split("; ") == [
        "never holds AAA/*", "price 5.5, at least 10 is asked for", "spread 2000 bps, at most 1 is allowed",
    ]  # fmt: skip


@given(
    seed=st.integers(0, 2**32), rows=st.integers(0, 40), symbols=st.integers(0, 6), empty=st.sampled_from([0, 0.3, 1])
)
@settings(max_examples=60, deadline=None)
def test_each_symbol_is_judged_by_itself_whatever_the_others_are(seed, rows, symbols, empty):
    draw = np.random.default_rng(seed)
    close = np.exp(draw.normal(0, 0.1, (rows, symbols)))
    close[draw.random((rows, symbols)) < empty] = NAN
    names = tuple(f"C{n}/USDT" for n in range(symbols))
    made = guest(volume_min_quote=100, volatility_max_pct=12, price_min=D("0.8"), age_min="8h", window="12h")
    whole = frame_of(close, symbols=names) if symbols else frame_of(np.zeros((0, 1)))
    instruments = {name: instrument(name) for name in names}
    together = made.universe(instruments, {}, Market(whole, 1, {}, {}))
    alone = [
        made.universe({name: instruments[name]}, {}, Market(frame_of(close[:, [n]], symbols=(name,)), 1, {}, {}))[0]
        for n, name in enumerate(names)
    ]
    assert list(together) == alone
    for n, word in enumerate(together):
        there = np.flatnonzero(np.isfinite(close[:, n]))
        if word.keep:
            assert len(there)
            assert close[there[-1], n] >= 0.8
            assert math.fsum(x * 10 for x in close[-12:, n] if not math.isnan(x)) >= 100 - 1e-9


# Sessions ---------------------------------------------------------------------------------------------------------


def scene_of(guests, *, rows=200, buys=None, leaves=(), sets=(), second=None):
    calm = closing_at(*(100.0,) * rows)
    source = ScriptedSource({A: calm, B: second or closing_at(*(50.0,) * rows)})
    wishes = buys if buys is not None else dict.fromkeys(range(1, rows, 10), (A, B))
    cast = [wisher(wishes), sizer("1"), allower(), router((IOC, "20", 2_000)), leader(leave_rows=leaves), *guests]
    return Scene(source, cast, ("market.between_closes=false", "intervals.universe_s=3600", *sets))


def sound(played):
    assert [str(violation) for violation in played.violations()] == []
    return played


def test_r5_a_removed_symbol_is_not_entered_and_counted_in_no_row(tmp_path):
    played = sound(play(scene_of(["universe_filters"], sets=('universe_filters.never=["BBB/*"]',)), tmp_path / "s"))
    assert {row.intent.symbol for row in played.records.intents} == {A}
    assert played.summary["candidates"] == 200
    (told,) = played.notes(UniverseRemoved)
    assert (told.event.symbol, told.event.plugin, told.event.reason) == (B, "universe_filters", "never holds BBB/*")


def test_r5_asked_again_a_symbol_comes_back_when_its_reason_is_gone(tmp_path):
    # nothing is known before the first hour has closed; then B is too cheap until its price has risen
    second = closing_at(*(50.0,) * 100, *(80.0,) * 140)
    sets = ("universe_filters.price_min=60", "universe_filters.volume_min_quote=1")
    played = sound(play(scene_of(["universe_filters"], rows=240, second=second, sets=sets), tmp_path / "s"))
    first = {s: min(r.intent.created_ms for r in played.records.intents if r.intent.symbol == s) for s in (A, B)}
    # the first close lies 33 minutes before the hour: asked at the start and then each hour from it
    assert row_close_ms(60) <= first[A] <= row_close_ms(75)
    assert row_close_ms(115) <= first[B] <= row_close_ms(195)
    removed = [(e.event.symbol, e.event.reason.partition(",")[0]) for e in played.notes(UniverseRemoved)]
    assert removed[:2] == [(A, "volume over 24h is not known"), (B, "volume over 24h is not known; price 50")]
    assert [e.event.symbol for e in played.notes(UniverseReturned)] == [A, B]
    assert played.summary["candidates"] == sum(played.summary["outcomes"].values())


def test_r5_a_position_on_a_symbol_that_goes_is_led_and_left(tmp_path):
    def universe(instruments, market):
        from tradecore import Keep

        gone = market.now_ms > row_close_ms(30)
        return [Keep(symbol, not gone, "the hour is over" if gone else "early") for symbol in instruments]

    adds = leader(stop=0.5, add=1.5, add_quote=50.0, leave_rows=(150,))
    scene = scene_of([make_guest("short", universe=universe)], buys={1: (A,), 100: (A, B)})
    guests = [adds if g.name == "lead" else g for g in scene.guests if not isinstance(g, str)]
    played = sound(play(scene._replace(guests=guests), tmp_path / "s"))
    (position,) = played.records.positions
    assert (position.symbol, position.state, position.close_reason) == (A, PositionState.CLOSED, Reason.LEAVE)
    assert row_close_ms(150) <= position.closed_ms < row_close_ms(152)
    later = [e.event for e in played.notes(DecisionOutcome) if e.event.row_ms > row_close_ms(65)]
    assert {event.outcome for event in later} <= {str(Reason.NOT_IN_UNIVERSE)}
    assert later, "adds are entries, too"


def test_r5_a_guest_that_fails_keeps_its_last_word(tmp_path):
    asked = []

    def universe(instruments):
        from tradecore import Keep

        asked.append(1)
        if len(asked) > 1:
            raise ValueError(random.Random(1).random())
        return [Keep(B, False, "once")]

    played = sound(play(scene_of([make_guest("moody", universe=universe)]), tmp_path / "s"))
    assert len(asked) > 2
    assert {row.intent.symbol for row in played.records.intents} == {A}
    assert not played.notes(UniverseReturned)
