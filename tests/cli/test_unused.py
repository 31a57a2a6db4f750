"""What would be given in vain is refused; what a run leaves and said is in its summary."""

import json

TRADING = "signals_drop,size_fixed,risk_limits,exec_ioc_gtc"


def refused(cli, *arguments, env=None):
    result = cli("run", "--speed", "max", "--for", "1m", *arguments, **({"env": env} if env else {}))
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


def test_r52_a_setting_of_a_plugin_that_takes_no_part_is_refused(cli):
    said = refused(cli, "--plugins", TRADING, "--set", "exits.stop_loss_pct=1.1")
    assert "--set exits.stop_loss_pct" in said
    assert "'exits'" in said


def test_r52_a_variable_of_a_plugin_that_takes_no_part_is_refused(cli, monkeypatch):
    monkeypatch.setenv("TRADECORE_PLUGINS__EXITS__STOP_LOSS_PCT", "1.1")
    said = refused(cli, "--plugins", TRADING)
    assert "TRADECORE_PLUGINS__EXITS__STOP_LOSS_PCT" in said


def test_an_empty_state_folder_is_refused_and_nothing_is_written(cli, tmp_path):
    assert "folder" in refused(cli, "--state", "")
    assert list(tmp_path.iterdir()) == []


def test_orders_are_found_by_their_end(cli, candle_folder, tmp_path):
    ran = cli("run", "--data", candle_folder, "--speed", "max", "--state", "here", "--json")
    summary = json.loads(ran.stdout)
    assert {"dust", "dust_value", "alerts"} <= summary.keys()
    asked = cli("query", "orders", "--state", "here", "--status", "filled", "--limit", "1000", "--json")
    filled = json.loads(asked.stdout)
    rows = filled if isinstance(filled, list) else filled["orders"]
    assert len(rows) == summary["orders_filled"] > 0
