"""Settings that cannot work together are found, with both values and a way out (R53); what fits is left alone."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings.test_clashes import CASES as CLASHES
from tradecore.app import Options, prepare
from tradecore.app.planning import CODES, world_of
from tradecore.settings.combinations import Severity, World, findings
from tradecore.settings.roles import Fact, Role

D = Decimal
CALM = World(
    taker_fee_bps=D(10), spread_bps=D(4), latency_ms=D(40), min_notional_quote=D(5), funds_quote=D(1000), row_s=60,
    run_s=7200, collar_bps=D(500), requests_per_minute=800,
)  # fmt: skip


def fact(role, value, group="plugins.x", name=None):
    return Fact(role, f"{group}.{name or role.value}", value if isinstance(value, str) else D(str(value)), group)


def codes(facts, world=CALM):
    return {one.code for one in findings(facts, world)}


CASES = {
    "premium_over_cap": ([fact(Role.ENTRY_PREMIUM_BPS, 30), fact(Role.SLIPPAGE_CAP_BPS, 15)], {}),
    "spread_over_cap": ([fact(Role.SPREAD_CAP_BPS, 10)], {"spread_bps": D(24)}),
    "ttl_under_latency": ([fact(Role.ENTRY_TTL_MS, 600)], {"latency_ms": D(350)}),
    "never_rests": ([fact(Role.ENTRY_TIME_IN_FORCE, "IOC")], {}),
    "never_reaches_ask": (
        [fact(Role.ENTRY_TIME_IN_FORCE, "IOC"), fact(Role.SLIPPAGE_CAP_BPS, 15)], {"spread_bps": D(40)},
    ),
    "stop_inside_costs": ([fact(Role.STOP_PCT, D("0.2")), fact(Role.SPREAD_CAP_BPS, 20)], {}),
    "take_under_costs": ([fact(Role.TAKE_PCT, D("0.5")), fact(Role.ENTRY_PREMIUM_BPS, 50)], {}),
    "entry_under_min_notional": ([fact(Role.ENTRY_QUOTE, 3)], {}),
    "entry_over_funds": ([fact(Role.ENTRY_QUOTE, 2000)], {}),
    "positions_over_exposure": (
        [fact(Role.ENTRY_QUOTE, 100), fact(Role.POSITIONS_MAX, 10), fact(Role.EXPOSURE_MAX_PCT, 50)], {},
    ),
    "exit_over_collar": ([fact(Role.EXIT_PREMIUM_BPS, 600)], {}),
    "run_under_warmup": ([], {"warmup_s": 3600.0, "run_s": 600.0}),
    "interval_under_job": ([], {"job_ms": (("reconcile", 10_000.0, 12_000.0),)}),
    "requests_over_limit": ([], {"requests_planned": 900.0}),
    "no_leader": ([], {"hooks": frozenset({"size", "risk_check", "route_order"})}),
    "no_sizer": ([], {"hooks": frozenset({"risk_check", "route_order"})}),
    "no_risk": ([], {"hooks": frozenset({"size", "route_order"})}),
    "no_router": ([], {"hooks": frozenset({"size", "risk_check"})}),
    "ladder_outlives_intent": ([fact(Role.ENTRY_TTL_MS, 30_000), fact(Role.ENTRY_ORDERS, 3)], {}),
}  # fmt: skip


def test_r53_every_code_has_a_case():
    assert set(CASES) | set(CLASHES) | {"allow_without_effect"} == CODES


@pytest.mark.parametrize("code", CASES)
def test_r53_each_impossible_combination_is_found_with_a_way_out(code):
    facts, changes = CASES[code]
    found = [one for one in findings(facts, CALM._replace(**changes)) if one.code == code]
    assert found
    for one in found:
        assert one.way_out
        assert any(character.isdigit() for character in one.text) or code == "never_rests" or code.startswith("no_")


@pytest.mark.parametrize("code", [code for code, (facts, _) in CASES.items() if facts])
def test_r53_each_is_gone_where_the_world_is_kind(code):
    facts, _ = CASES[code]
    kind = World()
    told = codes(facts, kind)
    # what stands in the settings alone is found in any world
    assert (code in told) is (code in {"premium_over_cap", "never_rests", "ladder_outlives_intent"})


def test_impossible_ones_come_first():
    facts = [fact(Role.ENTRY_TIME_IN_FORCE, "IOC"), fact(Role.ENTRY_PREMIUM_BPS, 30), fact(Role.SLIPPAGE_CAP_BPS, 15)]
    kinds = [one.severity for one in findings(facts, CALM)]
    assert kinds == sorted(kinds, key=lambda kind: kind is not Severity.IMPOSSIBLE)


@given(premium=st.decimals(0, 1000, places=2), cap=st.decimals("0.01", 1000, places=2))
def test_r7_a_step_is_refused_exactly_where_it_lies_above_the_tightest_cap(premium, cap):
    facts = [
        fact(Role.ENTRY_PREMIUM_BPS, premium), fact(Role.SLIPPAGE_CAP_BPS, cap, "engine"),
        fact(Role.SLIPPAGE_CAP_BPS, 0, "plugins.none"),
    ]  # fmt: skip
    assert ("premium_over_cap" in codes(facts)) is (premium > cap)


def test_a_cap_of_zero_is_none():
    assert codes([fact(Role.ENTRY_PREMIUM_BPS, 30), fact(Role.SLIPPAGE_CAP_BPS, 0)]) == set()


@pytest.fixture
def planned(tmp_path):
    """Turns a minute that the live profile plans at an exchange: `planned(exchange, streams, mode, *sets)`."""
    path = tmp_path / "mine.toml"
    path.write_text('extends = "live"\n[account]\nname = "x"\n[venue]\ntrade_account = "x"\n')

    def count(exchange, streams, mode, *sets):
        given = (
            f"venue.exchange={exchange}", f"venue.streams={str(streams).lower()}", f"run.mode={mode}",
            "venue.api_key=env:K", "venue.api_secret=env:S", "run.allow=requests_over_limit", *sets,
        )  # fmt: skip
        prepared = prepare(Options(str(path), {"K": "k" * 16, "S": "s" * 16}, given))
        return world_of(prepared.settings, {}, 0, 5).requests_planned

    return count


@pytest.mark.parametrize("exchange", ["binance", "mexc", "kraken"])
@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("mode", ["live", "paper"])
def test_r53_the_shipped_intervals_leave_room_at_every_exchange(planned, exchange, streams, mode):
    assert 0 < planned(exchange, streams, mode) <= 0.85 * 800


def test_r53_turns_are_counted_as_the_exchange_weighs_them(planned):
    assert planned("binance", False, "live", "venue.quotes_s=0.2") > 800
    assert planned("binance", True, "live", "intervals.conservation_s=1") > 800
    assert planned("kraken", True, "live", "intervals.conservation_s=1") < 800
    often = planned("binance", True, "live", "intervals.reconcile_s=1")
    assert often <= 0.85 * 800, "what is compared keeps to its share by itself"
