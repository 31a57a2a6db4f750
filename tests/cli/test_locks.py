"""Locks and states with an end, from the command line."""

import json
import shutil

import pytest

PLUGINS = "signals_drop,size_fixed,risk_limits,protections,exec_ioc_gtc,exits"


@pytest.fixture(scope="module")
def locked(tmp_path_factory, candle_folder):
    """A run in which every symbol that was left stays locked for days."""
    from click.testing import CliRunner

    from tradecore.cli.main import main

    folder = tmp_path_factory.mktemp("locked") / "state"
    words = [
        "run", "--data", str(candle_folder), "--speed", "max", "--state", str(folder), "--plugins", PLUGINS, "--json",
        "--set", "protections.cooldown=9d", "--set", "exits.time_to_live=5m", "--set", "signals_drop.drop_pct=2",
        "--set", "size_fixed.amount=100", "--for", "2h",
    ]  # fmt: skip
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return folder


def test_r32_status_lists_locks_with_reason_and_end(cli, locked):
    found = json.loads(cli("status", "--state", locked, "--json").stdout)["locks"]
    assert {lock["plugin"] for lock in found} == {"protections"}
    assert {lock["rule"] for lock in found} == {"cooldown 9d"}
    assert all(lock["expires_ms"] - lock["since_ms"] == 9 * 86_400_000 for lock in found)
    text = cli("status", "--state", locked).stdout
    assert "locked for entries" in text
    assert f"{found[0]['symbol']} until 2025-01-1" in text
    assert f"by protections (cooldown 9d): {found[0]['reason']}" in text


def test_r32_unlock_is_carried_out_by_the_next_start(cli, locked, tmp_path, candle_folder):
    folder = shutil.copytree(locked, tmp_path / "copy")
    result = cli("unlock", "all", "--reason", "looked at it", "--state", folder)
    assert result.exit_code == 0
    assert "the next start carries it out" in result.stdout
    cli("run", "--data", candle_folder, "--speed", "max", "--state", folder, "--plugins", PLUGINS, "--for", "3m")
    answered = json.loads(cli("status", "--state", folder, "--json").stdout)
    assert answered["locks"] == []
    assert answered["pending_commands"] == []


def test_r32_unlock_needs_a_symbol_and_a_reason(refused, locked):
    assert "--reason" in refused("unlock", "AAA/USDT", "--state", locked)
    assert "SYMBOL" in refused("unlock", "--reason", "x", "--state", locked)


@pytest.mark.parametrize("verb", ["halt", "reduce"])
def test_r54_a_state_may_end_by_itself(cli, refused, locked, tmp_path, verb):
    folder = shutil.copytree(locked, tmp_path / "copy")
    cli(verb, "--for", "1h30m", "--reason", "x", "--state", folder)
    (command,) = json.loads(cli("status", "--state", folder, "--json").stdout)["pending_commands"]
    assert (command["verb"], command["argument"]) == (verb, "5400")
    assert "expected a duration" in refused(verb, "--for", "soon", "--reason", "x", "--state", folder)
    assert "--for: expected at least 1s" in refused(verb, "--for", "10ms", "--reason", "x", "--state", folder)
