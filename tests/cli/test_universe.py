"""`tradecore universe show`: of a run beside its process, and asked now of a profile."""

import json

import pytest

LISTED = "universe_filters,signals_drop,size_fixed,risk_limits,exec_ioc_gtc,exits"


@pytest.fixture
def filtered(cli, tmp_path, candle_folder):
    result = cli(
        "run", "--data", candle_folder, "--state", tmp_path / "state", "--plugins", LISTED, "--json", "--speed", "max",
        "--set", 'universe_filters.never=["BBB/*"]', "--set", "universe_filters.volume_min_quote=1",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    return tmp_path / "state"


def test_r5_each_symbol_is_listed_with_its_guest_and_reason(cli, filtered):
    result = cli("universe", "show", "--state", filtered, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["guests"] == ["universe_filters"]
    by = {line["symbol"]: line for line in told["symbols"]}
    assert by["AAA/USDT"]["kept"] is True
    assert by["AAA/USDT"]["reason"].startswith("volume over 24h ")
    assert by["BBB/USDT"]["kept"] is False
    assert by["BBB/USDT"]["by"] == ["universe_filters"]
    assert by["BBB/USDT"]["reason"] == "never holds BBB/*"
    shown = cli("universe", "show", "--state", filtered).stdout
    assert "never holds BBB/*" in shown
    assert "1 of 2 kept, 1 removed (1 by universe_filters), asked 2025-01-01 03:" in shown


def test_a_run_without_universe_guests_says_so(cli, kept):
    assert cli("universe", "show", "--state", kept[0]).stdout == (
        "no universe guest was asked: every symbol of the market is kept\n"
    )
    told = json.loads(cli("universe", "show", "--state", kept[0], "--json").stdout)
    assert told == {"at_ms": 0, "guests": [], "symbols": []}


def test_r5_a_profile_is_asked_now_and_nothing_is_kept(cli, tmp_path, candle_folder):
    sets = [
        "--set", f'run.plugins={json.dumps(LISTED.split(","))}', "--set", 'market.source="files"',
        "--set", f"market.folder={json.dumps(str(candle_folder))}", "--set", "universe_filters.volume_min_quote=1",
    ]  # fmt: skip
    at_once = json.loads(cli("universe", "show", "--profile", "demo", "--json", *sets).stdout)
    assert {line["reason"] for line in at_once["symbols"]} == {"volume over 24h is not known"}
    later = json.loads(cli("universe", "show", "--profile", "demo", "--for", "3h", "--json", *sets).stdout)
    assert all(line["kept"] for line in later["symbols"])
    assert later["at_ms"] > at_once["at_ms"]
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_are_refused_in_one_line(refused, kept):
    assert "--profile" in refused("universe", "show", "--state", kept[0], "--for", "3h")
    assert "was both" in refused("universe", "show", "--state", kept[0], "--profile", "demo")
    assert "expected" in refused("universe", "show", "--state", kept[0] / "nowhere")
    assert "nowhere" in refused("universe", "show", "--profile", "nowhere")
