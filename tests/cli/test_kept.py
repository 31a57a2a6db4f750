"""What was kept can be read: query, status, commands for the next start, settings, plugins."""

import json
import shutil
from decimal import Decimal

import pytest

NAMES = ("trades", "orders", "intents")


def rows_of(cli, folder, name, *more):
    result = cli("query", name, "--state", folder, "--json", *more)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)[name]


def test_queries_agree_with_the_summary(cli, kept):
    folder, summary = kept
    assert len(rows_of(cli, folder, "intents", "--limit", 1000)) == sum(summary["intents"].values())
    orders = rows_of(cli, folder, "orders", "--limit", 1000)
    assert len(orders) == summary["orders_sent"]
    trades = rows_of(cli, folder, "trades", "--limit", 1000)
    filled = sum(Decimal(order["executed_quantity"]) for order in orders)
    assert filled == sum(Decimal(fill["trade"]["quantity"]) for fill in trades) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_query_fits_a_hundred_columns(cli, kept, name):
    result = cli("query", name, "--state", kept[0])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("time (UTC)")
    assert "2025-01-01 " in lines[2]
    assert "USDT" in lines[2]
    assert max(map(len, lines)) <= 100


def test_a_query_filters(cli, kept):
    folder, _ = kept
    every = rows_of(cli, folder, "intents", "--limit", 1000)
    symbol = every[0]["intent"]["symbol"]
    of_symbol = rows_of(cli, folder, "intents", "--symbol", symbol.lower(), "--limit", 1000)
    assert of_symbol == [row for row in every if row["intent"]["symbol"] == symbol]
    filled = rows_of(cli, folder, "intents", "--status", "filled", "--limit", 1000)
    assert filled == [row for row in every if row["state"] == "FILLED"]
    assert len(rows_of(cli, folder, "intents", "--limit", 1)) == 1
    moments = sorted(row["intent"]["created_ms"] for row in every)
    from_last = rows_of(cli, folder, "intents", "--since", "2100-01-01T00:00")
    assert from_last == []
    all_again = rows_of(cli, folder, "intents", "--since", "1d", "--limit", 1000)
    assert len(all_again) == len(moments)


def test_since_counts_back_from_the_newest_market_time(cli, kept):
    folder, _ = kept
    newest = json.loads(cli("status", "--state", folder, "--json").stdout)["market_time_ms"]
    found = rows_of(cli, folder, "trades", "--since", "2h", "--limit", 1000)
    every = rows_of(cli, folder, "trades", "--limit", 1000)
    assert found == [fill for fill in every if fill["trade"]["traded_ms"] >= newest - 7_200_000]


def test_status_shows_what_is_held(cli, kept):
    folder, summary = kept
    found = json.loads(cli("status", "--state", folder, "--json").stdout)
    assert found["running"] is False
    assert found["run"]["run_id"] == summary["run_id"]
    assert found["figures"]["equity"] == summary["equity_end"]
    assert found["figures_age_ms"] >= 0
    assert len(found["positions"]) == summary["positions_open"] > 0
    text = cli("status", "--state", folder).stdout
    assert "running     no" in text
    assert f"open positions: {summary['positions_open']}" in text
    assert found["positions"][0]["symbol"] in text
    assert "equity " in text


def test_r54_a_command_waits_for_the_next_start(cli, kept, tmp_path, candle_folder):
    folder = shutil.copytree(kept[0], tmp_path / "copy")
    result = cli("reduce", "--reason", "care", "--state", folder)
    assert result.exit_code == 0
    assert "nobody is running" in result.stdout
    assert "next start carries it out" in result.stdout
    status = cli("status", "--state", folder).stdout
    assert "commands not yet carried out" in status
    assert ": care" in status


@pytest.mark.parametrize("origin", [False, True])
def test_r52_config_shows_every_value_with_its_unit(cli, origin):
    result = cli("config", "show", "--set", "signals_drop.drop_pct=4", *(["--origin"] if origin else []))
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    (drop,) = [line for line in lines if line.strip().startswith("drop_pct")]
    assert drop.split()[1:3] == ["4", "%"]
    assert ("command line --set signals_drop.drop_pct" in " ".join(result.stdout.split())) is origin
    sections = [line.strip() for line in lines if line.startswith("[")]
    assert len(sections) == len(set(sections)), "each section stands in one piece"


def test_r52_config_as_json_names_origins(cli, monkeypatch):
    monkeypatch.setenv("TRADECORE_RUN__SEED", "9")
    found = json.loads(cli("config", "show", "--json").stdout)
    assert found["settings"]["run.seed"] == {
        "value": "9", "unit": "number", "origin": "environment TRADECORE_RUN__SEED",
    }  # fmt: skip
    assert found["settings"]["plugins.exits.time_to_live"]["unit"]


def test_r1_plugins_are_listed(cli):
    found = {row["name"]: row for row in json.loads(cli("plugins", "list", "--json").stdout)["plugins"]}
    assert found["exits"]["distribution"].startswith("tradecore-")
    assert "hooks" not in found["exits"]
    with_hooks = json.loads(cli("plugins", "list", "--hooks", "--json").stdout)["plugins"]
    assert {row["name"]: row["hooks"] for row in with_hooks}["exits"] == ["follow"]
    assert "exec_ioc_gtc" in cli("plugins", "list").stdout


def test_status_says_of_when_its_figures_are(cli, kept):
    lines = cli("status", "--state", kept[0]).stdout.splitlines()
    names = [line.split("  ")[0] for line in lines]
    assert names.index("figures of") < names.index("money") < names.index("work"), "their age stands before them"
    assert not any("-0s" in line for line in lines)


def test_performance_begins_with_the_money_of_the_summary(cli, kept):
    folder, summary = kept
    found = json.loads(cli("query", "performance", "--state", folder, "--json").stdout)
    assert found["equity"]["first"] == pytest.approx(float(summary["equity_start"]))
    assert found["equity"]["last"] == pytest.approx(float(summary["equity_end"]), abs=0.01)
