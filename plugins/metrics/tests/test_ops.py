"""metrics: the rules and the dashboard that are shipped, against their generator and the real promtool."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tradecore_metrics.families import FAMILIES
from tradecore_metrics.ops.__main__ import main
from tradecore_metrics.ops.dashboard import SECTIONS, queries
from tradecore_metrics.ops.files import FILES
from tradecore_metrics.ops.rules import RULES, rules_yaml

OPS = Path(__file__).parents[1] / "ops"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool here: install the Debian package prometheus")
JOB = 'instance="bot:9464", job="tradecore"'
LABELS = {"instance": "bot:9464", "job": "tradecore"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_r48_shipped_files_are_what_the_generator_makes(name):
    assert (OPS / name).read_text() == FILES[name]


def test_the_generator_is_a_command(tmp_path, capsys):
    assert main([str(tmp_path / "ops")]) == 0
    assert {path.name: path.read_text() for path in (tmp_path / "ops").iterdir()} == dict(FILES)
    assert main([]) == 2
    assert main(["--help"]) == 2
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    done = subprocess.run([sys.executable, "-m", "tradecore_metrics.ops"], capture_output=True, text=True, check=False)
    assert done.returncode == 2


def names_in(expression):
    return set(re.findall(r"\btradecore_[a-z_]+", expression))


def test_r47_rules_and_panels_name_figures_that_there_are():
    known = {family.name for family in FAMILIES}
    known |= {f"{family.name}_bucket" for family in FAMILIES if family.kind == "histogram"}
    for expression in [rule.expression + rule.description for rule in RULES] + [text for _, text in queries()]:
        assert names_in(expression) <= known


def test_r48_a_counter_that_a_rule_looks_at_begins_with_all_its_children():
    families = {family.name: family for family in FAMILIES}
    for rule in RULES:
        for name in names_in(rule.expression):
            family = families[name]
            if family.kind == "counter" and "increase" in rule.expression:
                assert family.known or not family.labels, (rule.name, name)


def test_r48_dashboard_is_importable_and_has_a_variable_for_its_source():
    board = json.loads(FILES["dashboard.json"])
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert "id" not in board, "an id would overwrite a dashboard of the one who imports it"
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
            assert target["expr"]


def test_r47_every_figure_is_on_the_dashboard_or_in_a_rule_or_named_as_not():
    shown = set()
    for expression in [rule.expression for rule in RULES] + [text for _, text in queries()]:
        shown |= {re.sub(r"_bucket$", "", name) for name in names_in(expression)}
    left = {family.name for family in FAMILIES} - shown
    assert left == {
        "tradecore_as_of_timestamp_seconds", "tradecore_breaker_trips_total", "tradecore_closed_positions",
        "tradecore_drift_total", "tradecore_entries_today", "tradecore_fill_conflicts_total",
        "tradecore_intents_made_total", "tradecore_journal_faults_total", "tradecore_late_calls_total",
        "tradecore_locks_set_total", "tradecore_metrics_events_total", "tradecore_metrics_exports_total",
        "tradecore_metrics_labels_capped_total", "tradecore_metrics_requests_total",
        "tradecore_plugin_quarantines_total", "tradecore_rebates_total", "tradecore_retries_total",
        "tradecore_run_info", "tradecore_symbol_halts_total", "tradecore_traded_quote_total",
        "tradecore_venue_errors_total",
    } - shown  # fmt: skip
    assert len([panel for section in SECTIONS for panel in section.panels]) > 40


@needs_promtool
def test_r48_promtool_takes_the_rules():
    done = subprocess.run(
        [PROMTOOL, "check", "rules", str(OPS / "alerts.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


# What each rule fires at, and what it lets pass. A series is Prometheus' notation: start, step, times.


def series(name, values, labels=""):
    return {"series": f"{name}{{{JOB}{', ' + labels if labels else ''}}}", "values": values}


def gauge(name, fires, passes, at="5m", labels="", more=()):
    """A gauge that fires at one value and does not at another."""
    return (
        [series(name, f"{fires}x2000", labels), *more],
        [series(name, f"{passes}x2000", labels), *more],
        at,
    )


def counter(name, fires, passes, at, labels="", more=()):
    return ([series(name, fires, labels), *more], [series(name, passes, labels), *more], at)


UPTIME = series("tradecore_uptime_seconds", "0+60x3000")
SENT = "tradecore_orders_sent_total"
CASES = {
    "TradecoreDown": gauge("up", 0, 1),
    "TradecoreSilent": counter("tradecore_heartbeats_total", "5+0x40", "0+2x40", "30m"),
    "TradecoreVenueLost": gauge("tradecore_trouble", 1, 0, labels='what="venue"'),
    "TradecoreStoreLost": gauge("tradecore_trouble", 1, 0, labels='what="store"'),
    "TradecorePricesLost": gauge("tradecore_trouble", 3, 0, labels='what="prices"'),
    "TradecoreZeroFills": gauge("tradecore_trouble", 1, 0, labels='what="fills"'),
    "TradecoreHalted": gauge("tradecore_trading_state", 1, 0, labels='state="HALTED"'),
    "TradecoreDrawdown": gauge("tradecore_drawdown_ratio", 0.051, 0.05),
    "TradecoreExposureNear": gauge("tradecore_exposure_limit_used_ratio", 0.86, 0.85),
    "TradecoreExposureHigh": gauge("tradecore_exposure_limit_used_ratio", 0.91, 0.9),
    "TradecoreExposureOver": gauge("tradecore_exposure_limit_used_ratio", 1.01, 1.0),
    "TradecoreUnsellable": gauge("tradecore_unsellable_positions", 1, 0),
    "TradecoreOrderStuck": gauge("tradecore_orders_unproven", 1, 0, labels='state="STUCK"'),
    "TradecoreOrderUnknown": gauge("tradecore_order_unproven_age_seconds", 61, 60),
    "TradecoreDuplicateOrder": counter(
        "tradecore_duplicate_orders_total", "0x4 1x4", "0x8", "6m", labels='what="found"'
    ),
    "TradecoreDrift": gauge("tradecore_conservation_ok", 0, 1),
    "TradecoreCancelRate": counter(
        "tradecore_order_cancels_total", "0+6x90", "0+4x90", "80m", labels='reason="ttl"',
        more=(series(SENT, "0+10x90", 'side="buy"'),),
    ),
    "TradecoreRateLimit": counter("tradecore_rate_limit_hits_total", "0+4x9", "0+2x9", "6m", labels='by="venue"'),
    "TradecoreBalancesStale": counter(
        "tradecore_balance_refreshes_total", "0+1x20", "0x9 1x9", "12m", labels='result="timeout"'
    ),
    "TradecoreWinRate": gauge(
        "tradecore_win_ratio", 0.49, 0.5, at="15m", more=(series("tradecore_closed_positions", "300x2000"),)
    ),
    "TradecoreFewTrades": counter(
        "tradecore_orders_filled_total", "0x700 4x2000", "0x700 6x2000", "1500m",
        labels='side="buy", extent="full"', more=(UPTIME,),
    ),
    "TradecoreNoActivity": counter(SENT, "3x3000", "0+1x3000", "1500m", labels='side="buy"', more=(UPTIME,)),
    "TradecoreJobLate": gauge("tradecore_job_lag_seconds", 121, 120, labels='job_name="reconcile"'),
    "TradecoreLoopLag": gauge("tradecore_loop_lag_seconds", 5.1, 5),
    "TradecorePluginQuarantined": gauge("tradecore_plugins_quarantined", 1, 0),
    "TradecoreUncaught": counter("tradecore_uncaught_exceptions_total", "0x4 1x4", "0x8", "6m"),
    "TradecoreEventsDropped": counter("tradecore_events_dropped_total", "0x4 9x4", "0x8", "6m"),
    "TradecoreCriticalAlert": counter(
        "tradecore_alerts_total", "0x4 1x4", "0x8", "6m", labels='severity="critical"'
    ),
}  # fmt: skip


def promtool(tmp_path, rule, tests):
    """Run tests of one rule; alone, since promtool judges every rule of a file at every step of time."""
    (tmp_path / "alerts.yml").write_text(rules_yaml([rule]))
    # JSON is YAML
    (tmp_path / "tests.yml").write_text(
        json.dumps({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests})
    )
    return subprocess.run(
        [PROMTOOL, "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )


def test_r48_every_rule_is_tried():
    assert set(CASES) == {rule.name for rule in RULES}


@needs_promtool
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_r48_each_rule_fires_when_it_should_and_not_before(rule, tmp_path):
    fires, passes, at = CASES[rule.name]
    early = [] if rule.holds == "0m" else [("early", fires, "0m")]
    tests = [
        {"name": f"case {name}", "interval": "1m", "input_series": inputs, "alert_rule_test": [
            {"eval_time": moment, "alertname": rule.name, "exp_alerts": []}
        ]}
        for name, inputs, moment in (("quiet", passes, at), *early, ("loud", fires, at))
    ]  # fmt: skip
    done = promtool(tmp_path, rule, tests)
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert re.findall(r"case (\w+)", told) == ["loud"], told
    assert f'alertname="{rule.name}"' in told, told
    assert f'severity="{rule.severity}"' in told, told


@needs_promtool
def test_r48_no_activity_is_told_with_its_top_reasons(tmp_path):
    more = [
        series("tradecore_candidates_total", f"0+{step}x3000", f'outcome="{outcome}"')
        for outcome, step in (("THRESHOLD_NOT_MET", 100), ("SPREAD_TOO_WIDE", 10), ("LOCKED", 5), ("NO_BOOK", 1))
    ]
    fires, _, at = CASES["TradecoreNoActivity"]
    asked = {"interval": "1m", "input_series": [*fires, *more], "alert_rule_test": [
        {"eval_time": at, "alertname": "TradecoreNoActivity", "exp_alerts": []}
    ]}  # fmt: skip
    rule = next(rule for rule in RULES if rule.name == "TradecoreNoActivity")
    done = promtool(tmp_path, rule, [asked])
    told = done.stdout + done.stderr
    assert "THRESHOLD_NOT_MET 144k; SPREAD_TOO_WIDE 14.4k; LOCKED 7.2k; " in told, told
