"""R53: the core's own settings against each other; each finding has both values and a way out that works."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradecore.app.planning import judge
from tradecore.errors import SettingsError
from tradecore.settings.clashes import clashes
from tradecore.settings.combinations import Facts, Severity, World
from tradecore.settings.roles import Fact, Role
from tradecore.settings.sections import Settings

D = Decimal
IMPOSSIBLE = {"intent_under_latency", "funds_under_min_notional", "entry_over_exposure", "clock_error_over_window"}
ENTRY = (Fact(Role.ENTRY_QUOTE, "plugins.size.amount", D(250), "plugins.size"),)
SHARE = (*ENTRY, Fact(Role.EXPOSURE_MAX_PCT, "plugins.risk.max_exposure_pct", D(2), "plugins.risk"))
STOP = (*ENTRY, Fact(Role.STOP_PCT, "plugins.exits.stop_loss_pct", D(50), "plugins.exits"))
RICH = World(latency_ms=D(40), min_notional_quote=D(5), funds_quote=D(10_000), equity_quote=D(10_000))

#: Code to settings that clash, facts, changes of the world, and the same settings with the way out taken.
CASES = {
    "intent_under_latency": ({"engine": {"intent_ttl_s": 0.05}}, (), {}, {"engine": {"intent_ttl_s": 0.08}}),
    "funds_under_min_notional": ({}, (), {"funds_quote": D(4)}, None),
    "entry_over_exposure": ({}, SHARE, {}, None),
    "stop_over_drawdown": (
        {"breaker": {"daily_drawdown_pct": "1.25"}}, STOP, {}, {"breaker": {"daily_drawdown_pct": "1.3"}},
    ),
    "prices_older_than_limit": (
        {"run": {"mode": "paper"}, "market": {"stale_s": 1.5}}, (), {},
        {"run": {"mode": "paper"}, "market": {"stale_s": 2}},
    ),
    "exits_slower_than_rows": (
        {"run": {"mode": "paper"}, "intervals": {"exit_check_s": 6}}, (), {},
        {"run": {"mode": "paper"}, "intervals": {"exit_check_s": 5}},
    ),
    "stuck_before_fence": (
        {"run": {"mode": "live"}, "engine": {"stuck_after_s": 45}}, (), {},
        {"run": {"mode": "live"}, "engine": {"stuck_after_s": 45.5}},
    ),
    "clock_error_over_window": (
        {"run": {"mode": "live"}, "venue": {"clock_error_ms": 2501}}, (), {},
        {"run": {"mode": "live"}, "venue": {"clock_error_ms": 2500}},
    ),
    "timeout_over_interval": (
        {"run": {"mode": "live"}, "venue": {"timeout_ms": 10_001}}, (), {},
        {"run": {"mode": "live"}, "venue": {"timeout_ms": 10_000}},
    ),
    "proof_over_interval": (
        {"run": {"mode": "live"}, "intervals": {"conservation_s": 44}}, (), {},
        {"run": {"mode": "live"}, "intervals": {"conservation_s": 45}},
    ),
    "universe_without_effect": ({"universe": {"symbols": ["BTC/USTD"]}}, (), {}, {"market": {"source": "files"}}),
}  # fmt: skip


def found(given, facts, changes):
    return list(clashes(Settings(**given), Facts(facts), RICH._replace(**changes)))


@pytest.mark.parametrize("code", CASES)
def test_r53_each_clash_is_found_alone_with_both_values_and_a_way_out(code):
    given, facts, changes, _ = CASES[code]
    (one,) = found(given, facts, changes)
    assert one.code == code
    assert (one.severity is Severity.IMPOSSIBLE) is (code in IMPOSSIBLE)
    assert one.way_out
    assert one.keys
    assert all(key.split(".")[-1] in one.text or key == "account.opening" for key in one.keys[:1]) or code.startswith(
        "funds"
    )
    assert (
        sum(word.strip("%,:.").replace(".", "").isdigit() for word in one.text.split()) >= 2 or "BTC/USTD" in one.text
    )


@pytest.mark.parametrize("code", [code for code, case in CASES.items() if case[3] is not None])
def test_r53_the_way_out_is_one(code):
    _, facts, changes, mended = CASES[code]
    assert found(mended, facts, changes) == []


@pytest.mark.parametrize("mode", ["twin", "paper", "live"])
def test_r53_the_defaults_clash_with_nothing(mode):
    assert found({"run": {"mode": mode}}, (), {}) == []
    assert found({"run": {"mode": mode}}, ENTRY, {}) == []


def test_r53_what_is_not_known_is_not_judged():
    for facts in ((), ENTRY, SHARE, STOP):
        assert list(clashes(Settings(), Facts(facts), World())) == []


def test_r53_an_allowance_that_allows_nothing_is_told_and_one_that_does_is_not():
    given = {"engine": {"intent_ttl_s": 0.05}, "run": {"allow": ["intent_under_latency", "never_rests"]}}
    told = judge(Settings(**given), (), RICH)
    codes = [one.code for one in told]
    assert codes.count("allow_without_effect") == 1
    (idle,) = [one for one in told if one.code == "allow_without_effect"]
    assert "never_rests" in idle.text
    assert idle.severity is Severity.DOUBTFUL
    kinds = [one.severity for one in told]
    assert kinds == sorted(kinds, key=lambda kind: kind is not Severity.IMPOSSIBLE)


def test_r53_an_allowance_with_a_typing_mistake_offers_the_nearest_code():
    with pytest.raises(SettingsError, match=r"was 'never_restz', nearest is 'never_rests'"):
        judge(Settings(run={"allow": ["never_restz"]}), (), RICH)
