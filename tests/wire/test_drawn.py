"""Sessions on the wire with drawn faults at once and a death at a commit: short form of `campaigns/wire_random.py`."""

from __future__ import annotations

import pytest

from tests.campaigns.wire_random import CHANCES, DEEDS, QUIET_S, plan_of, play_plan
from tests.campaigns.wire_stage import WIRES
from tradecore.venues.twin.faults import FAULTS
from tradecore.venues.twin.wire.faults import WIRE_FAULTS
from tradecore.venues.twin.wire.streams_faults import STREAM_FAULTS

SEEDS = (2, 4)
"""One on each wire."""


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_faults_and_a_death_lose_and_double_nothing(seed, tmp_path):
    plan = plan_of(seed, for_s=QUIET_S + 130, lives=2, speed=50.0)
    told = play_plan(plan, tmp_path)
    assert told.findings == [], (plan.seed, plan.names)
    assert told.played is not None
    assert told.deaths == 1
    assert told.played.summary["orders_sent"] > 0


def test_the_short_form_plays_both_wires():
    assert {plan_of(seed).scene.wire for seed in SEEDS} == set(WIRES)


def test_a_seed_draws_the_same_and_seeds_draw_everything():
    assert plan_of(5) == plan_of(5)
    plans = [plan_of(seed) for seed in range(400)]
    assert {name for plan in plans for name in plan.names} == {chance.name for chance in CHANCES} | set(DEEDS)
    assert {len(plan.deaths) for plan in plans} == {0, 1, 2, 3}
    assert {chance.name for chance in CHANCES} <= {*FAULTS, *WIRE_FAULTS, *STREAM_FAULTS}
