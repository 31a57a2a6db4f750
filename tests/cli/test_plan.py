"""``tradecore plan``: every value with its origin, and what a run would refuse, said before anything runs."""

import json

import pytest

FAILED_SESSION = """
extends = "demo"
[twin]
spread_bps = 24
latency_ms = 350
[engine]
max_slippage_bps = 15
max_spread_bps = 10
[plugins.risk_limits]
slippage_bps_max = 15
spread_bps_max = 10
[plugins.exec_ioc_gtc]
cap_bps = 60
steps = [
  { time_in_force = "IOC", premium_bps = 10, attempts = 1, ttl_ms = 600 },
  { time_in_force = "IOC", premium_bps = 30, attempts = 1, ttl_ms = 600 },
  { time_in_force = "IOC", premium_bps = 60, attempts = 1, ttl_ms = 600 },
]
"""


@pytest.fixture
def failed_session(tmp_path):
    path = tmp_path / "failed.toml"
    path.write_text(FAILED_SESSION)
    return path


def test_r53_the_failed_sessions_settings_are_refused_with_named_findings(cli, failed_session):
    result = cli("plan", "--profile", failed_session, "--json")
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    assert told["runs"] is False
    found = [(one["code"], one["severity"]) for one in told["findings"]]
    assert found.count(("premium_over_cap", "impossible")) == 2
    assert {code for code, severity in found if severity == "impossible"} >= {
        "premium_over_cap", "spread_over_cap", "ttl_under_latency",
    }  # fmt: skip
    over = next(one for one in told["findings"] if "steps[3].premium_bps" in one["text"])
    assert "60 bps" in over["text"]
    assert "15 bps" in over["text"]
    assert over["way_out"]


def test_r7_a_run_refuses_them_in_one_line_with_the_way_out(refused, failed_session):
    line = refused("run", "--profile", failed_session, "--for", "1m")
    for word in ("premium_over_cap", "60 bps", "15 bps", "ttl_under_latency", "--set run.allow="):
        assert word in line


def test_an_explicit_override_runs_it_all_the_same(cli, failed_session):
    allow = "run.allow=premium_over_cap,spread_over_cap,ttl_under_latency"
    result = cli("plan", "--profile", failed_session, "--set", allow, "--no-values")
    assert result.exit_code == 0
    assert "allowed by run.allow" in result.stdout
    assert cli("run", "--profile", failed_session, "--set", allow, "--for", "5m", "--json").exit_code == 0


def test_an_override_must_name_a_finding(refused):
    assert "run.allow: expected codes of findings" in refused("plan", "--set", "run.allow=everything")


def test_r53_every_value_is_printed_with_its_origin(cli):
    told = json.loads(cli("plan", "--json").stdout)
    assert told["runs"] is True
    assert told["findings"] == []
    assert told["settings"]["engine.max_slippage_bps"]["origin"].startswith("default base.toml")
    assert all(set(line) == {"value", "unit", "origin"} for line in told["settings"].values())


def test_r53_a_take_that_costs_eat_is_refused(refused):
    line = refused("run", "--set", "plugins.exits.take_profit_pct=0.5", "--for", "1m")
    assert "take_under_costs" in line


@pytest.mark.parametrize("profile", ["demo", "conservative", "altcoin", "paper", "full"])
def test_shipped_profiles_have_nothing_impossible(cli, profile):
    result = cli("plan", "--profile", profile, "--json")
    assert result.exit_code == 0, result.output


def test_the_live_profile_is_refused_until_the_account_is_named(refused):
    assert "venue.trade_account: expected the account's name 'live'" in refused("run", "--profile", "live")


def test_r53_latencies_of_an_earlier_run_are_used(cli, tmp_path):
    kept = tmp_path / "kept"
    # slow enough that a busy machine does not make the venue look slow
    assert cli("run", "--for", "30s", "--speed", "12", "--state", kept, "--json").exit_code == 0
    told = json.loads(cli("plan", "--state", kept, "--json").stdout)
    assert told["runs"] is True


def test_r53_an_exchange_that_nobody_knows_is_refused_with_the_nearest_name(cli):
    found = cli("plan", "--profile", "paper", "--set", "venue.exchange=binnance", "--no-values")
    assert found.exit_code == 2, found.output
    assert "exchange_unknown: venue.exchange: expected an exchange of ccxt, was 'binnance', nearest is" in found.stdout
    assert "way out" in found.stdout
