"""No false alarm: clean plugins pass every card that applies, with their defaults and with other settings."""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pytest
from pydantic import BaseModel, Field, SecretStr

from tradecore import (
    Done,
    Job,
    JobAnswer,
    Keep,
    MarketFrame,
    OrderRequest,
    Plan,
    Reason,
    Size,
    TimeInForce,
    Verdict,
    Wishes,
    hookimpl,
)
from tradecore.market.indicators import running_peak, simple_mean
from tradecore.model.units import exact_sum, floor_to_lot, minus, ratio
from tradecore.testing.contract import CARDS, Outcome, check

OURS = {
    "signals_drop": (
        {},
        {"lookback": "20m", "drop_pct": "0.8", "stop_pct": 2},
        {"lookback": "250r", "quote_wanted": 12},
    ),
    "size_fixed": ({}, {"amount": 0, "equity_pct": 2}, {"symbol_max": 200, "equity_pct": 1}),
    "risk_limits": (
        {},
        {"max_notional_per_symbol": 100, "spread_bps_max": 0},
        {"max_exposure_pct": 5, "max_positions": 1},
    ),
    "exec_ioc_gtc": (
        {},
        {"exit_attempts": 1, "exit_premiums_bps": [0]},
        {"steps": [{"time_in_force": "FOK", "premium_bps": 5}], "cap_bps": 20},
    ),
    "exits": (
        {},
        {"trailing_distance_pct": 0, "time_to_live": "off"},
        {"stop_loss_pct": 0, "trailing_activation_pct": 0},
    ),
}


@pytest.mark.parametrize("name", OURS)
def test_our_plugins_pass_with_three_settings_each(name):
    start = time.perf_counter()
    report = check(name, OURS[name])
    assert report.failures == ()
    assert time.perf_counter() - start < 60
    asked = {line.id for line in report.cards if line.outcome is Outcome.PASSED}
    assert {"C20-answers-are-accepted", "C47-faults-are-not-swallowed", "C80-full-session"} <= asked


class Everything:
    """One plugin with every hook, a secret, a slower frame and a filter's role."""

    class Settings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
        token: SecretStr = Field(SecretStr(""), description="A key.", json_schema_extra={"unit": "text"})
        level_pct: Decimal = Field(Decimal(5), gt=0, le=50, description="A level.", json_schema_extra={"unit": "%"})
        names: Mapping[str, str] = Field({"a": 'b "c"'}, description="Names.", json_schema_extra={"unit": "names"})

    role = "filter"
    warmup: ClassVar[Mapping[str, str]] = {"base": "8r", "1h": "3r"}
    events = frozenset({"slow_cycle", "order_fill"})

    def __init__(self, settings):
        self.settings = settings
        self.told = []

    @hookimpl
    def signal(self, frame: MarketFrame, rows: range) -> Wishes:
        mean = simple_mean(frame.close, rows, 8)
        place = frame.as_of("1h")[rows.start : rows.stop]
        slow = frame.other["1h"].close
        hour = np.where(place[:, None] >= 0, slow[np.maximum(place, 0)], np.nan) if len(slow) else mean * np.nan
        return Wishes(np.where(np.isnan(hour), np.nan, mean), ">=", hour * 0.2, "quote", "mean over the hour")

    @hookimpl
    def follow(self, frame, rows, position):
        peak, _ = running_peak(frame, rows, position)
        return Plan(stop=peak * 0.97)

    @hookimpl
    def size(self, signal, instrument):
        quantity = floor_to_lot(ratio(Decimal(50), signal.price), instrument.lot_size)
        return Size(quantity, "50 quote")

    @hookimpl
    def risk_check(self):
        return Verdict((), {"spread_bps_max": Decimal(30)})

    @hookimpl
    def route_order(self, intent, attempts):
        left = minus(intent.quantity, exact_sum(attempt.filled_quantity for attempt in attempts))
        if left <= 0 or len(attempts) > 2:
            return Done(Reason.FILLED if left <= 0 else Reason.LADDER_EXHAUSTED)
        return OrderRequest(TimeInForce.IOC, intent.price_cap, left, 2_000, f"IOC at the cap {len(attempts) + 1}/3")

    @hookimpl
    def jobs(self):
        return [Job("count", 60.0, self.count)]

    def count(self, portfolio, market, last):
        return JobAnswer(state={"rounds": int((last or {}).get("rounds", 0)) + 1})

    @hookimpl
    def universe(self, instruments):
        return [Keep(symbol, True, "kept") for symbol in sorted(instruments)]

    @hookimpl
    async def on_start(self, resources):
        self.told.append(resources.run_id)

    @hookimpl
    def on_fill(self, fill, event_id):
        self.told.append(event_id)

    @hookimpl
    def on_fail(self, reason, event_id):
        self.told.append(event_id)

    @hookimpl
    def on_event(self, event):
        self.told.append(event.at_ns)

    @hookimpl
    async def on_shutdown(self, reason):
        self.told.clear()


def test_a_plugin_with_every_hook_is_asked_nearly_every_card():
    report = check(Everything)
    assert report.failures == ()
    skipped = {line.id[:3] for line in report.cards if line.outcome is Outcome.SKIPPED}
    # It was not installed, and the scripted market of the sessions has no slower frame.
    assert skipped == {"C05", "C06", "C80", "C81", "C82", "C83"}


def test_every_card_says_what_it_does():
    assert len({card.number for card in CARDS}) == len({card.slug for card in CARDS}) == len(CARDS)
    assert [card.number for card in CARDS] == sorted(card.number for card in CARDS)
    for card in CARDS:
        assert min(map(len, (card.title, card.action, card.expectation, card.prerequisite, card.skipped_when))) >= 4
        assert all(number < card.number for number in card.after)
