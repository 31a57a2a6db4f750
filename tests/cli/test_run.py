"""`tradecore run`: over files, as JSON, beside a second one, and ended by a signal."""

import json
import signal
import time
from decimal import Decimal

import pytest

WANTED = [
    "run_id",
    "seed",
    "profile",
    "plugins",
    "symbols",
    "rows",
    "candidates",
    "outcomes",
    "signals",
    "intents",
    "orders_sent",
    "orders_filled",
    "orders_partly_filled",
    "fill_rate",
    "pending_intents",
    "reserved",
    "positions_open",
    "positions_closed",
    "realised_pnl",
    "fees",
    "equity_start",
    "equity_end",
    "ledger_balanced",
    "unexplained_drift",
    "slow_cycles",
    "events_dropped",
    "wall_s",
]


def test_json_is_one_object_with_all_that_was_promised(kept, candle_folder):
    _, summary = kept
    assert [key for key in WANTED if key not in summary] == []
    assert summary["symbols"] == 2
    assert summary["rows"] == 240
    assert sum(summary["outcomes"].values()) == summary["candidates"] == 480
    assert summary["orders_filled"] > 0
    assert summary["ledger_balanced"] is True
    assert summary["unexplained_drift"] == "0"
    assert summary["pending_intents"] == 0


def test_the_same_seed_gives_the_same_summary(cli, kept, candle_folder):
    found = []
    for _ in range(2):
        result = cli("run", "--data", candle_folder, "--speed", "max", "--seed", "5", "--json")
        assert result.exit_code == 0, result.stderr
        found.append(json.loads(result.stdout))
        assert found[-1].pop("wall_s") > 0
        assert "note: tick, lot and least order derived" in result.stderr
        assert "seed 5" in result.stderr
    assert found[0] == found[1]


def test_data_is_run_to_its_end_unless_told_otherwise(cli, candle_folder):
    def rows(*more):
        result = cli("run", "--data", candle_folder, "--speed", "max", "--json", *more)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)["rows"]

    assert rows() == 240
    assert rows("--for", "30m") == 30
    assert rows("--set", "run.for=20m") == 20
    assert rows("--from", "2025-01-01T01:00", "--to", "2025-01-01T02:00") == 60


def test_plain_lines_say_what_ran_and_what_to_type_next(cli, candle_folder, tmp_path):
    result = cli("run", "--data", candle_folder, "--speed", "max", "--state", "here")
    assert result.exit_code == 0, result.stderr
    first = result.stdout.splitlines()[:3]
    assert first[0].startswith("tradecore 0.1.0: profile demo, seed 1, signals_drop, size_fixed")
    assert "2 symbols, rows of 1m" in first[1]
    assert first[2] == "state:  here"
    assert "THRESHOLD_NOT_MET" in result.stdout
    assert "balanced" in result.stdout
    assert "tradecore query trades --state here" in result.stdout
    report = result.stdout[result.stdout.index("ended:") :]  # a slow machine prints progress lines before it
    assert max(len(line) for line in report.splitlines()) <= 100
    assert (tmp_path / "here" / "tradecore.db").is_file()


def test_a_temporary_run_says_how_to_keep_the_next(cli, candle_folder, tmp_path):
    result = cli("run", "--data", candle_folder, "--speed", "max", "--for", "10m")
    assert "--state DIR" in result.stdout
    assert list(tmp_path.iterdir()) == []


def wait_until_it_runs(cli, folder, process):
    """Wait until the store names the run: before that there is nobody who could answer."""
    until = time.monotonic() + 20
    while True:
        seen = cli("status", "--state", folder, "--json")
        if seen.exit_code == 0 and (found := json.loads(seen.stdout))["run"] is not None and found["running"]:
            return
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, seen.output
        time.sleep(0.05)


@pytest.fixture
def running(cli, program, tmp_path):
    """A run that goes on, and its state folder."""
    folder = tmp_path / "live"
    process = program("run", "--state", folder, "--speed", "60", "--timeframe", "1s", "--set", "run.for=10h")
    wait_until_it_runs(cli, folder, process)
    return process, folder


def test_r54_an_operator_steers_a_run(running, cli):
    process, folder = running

    def ask(*words):
        asked = cli(*words, "--state", folder, "--json")
        assert asked.stdout, (words, asked.exit_code, asked.stderr, asked.exception)
        return asked.exit_code, json.loads(asked.stdout), asked.stderr

    code, answer, err = ask("halt", "--reason", "lunch", "--wait", "20")
    assert (code, answer["running"], answer["command"]["state"]) == (0, True, "DONE"), err
    assert answer["command"]["result"] == "trading state is HALTED"
    code, found, err = ask("status")
    assert code == 0, err
    assert found["running"] is True
    assert found["holder"] == f"pid {process.pid}"
    assert (found["trading"]["state"], found["trading"]["reason"]) == ("HALTED", "lunch")
    assert found["trading"]["actor"]
    code, answer, _ = ask("exit", "nil/usdt", "--wait", "20")
    assert (code, answer["command"]["state"]) == (1, "REFUSED")
    assert "NIL/USDT" in answer["command"]["result"]
    second = cli("run", "--state", folder)
    assert second.exit_code == 2
    assert f"in use by pid {process.pid}" in second.stderr.splitlines()[-1]
    assert "Traceback" not in second.stderr
    code, answer, _ = ask("stop", "--reason", "enough", "--wait", "20")
    assert (code, answer["command"]["result"]) == (0, "stopping")
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "ended: enough" in out


def test_r24_ctrl_c_ends_a_run_cleanly(running):
    process, _ = running
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert process.returncode == 0, err
    assert "ended: SIGINT" in out
    assert err.count("\n") == 1, err  # the note on the made-up market


def test_equity_of_the_summary_is_exact_money(kept):
    summary = kept[1]
    assert Decimal(summary["equity_start"]) == 10_000
    assert Decimal(summary["equity_end"]) > 9_000


def test_the_end_says_what_to_type_next_and_who_leads_open_positions(cli, candle_folder, tmp_path):
    folder = tmp_path / "state"
    still = ("--set", "exits.time_to_live=3h", "--set", "exits.take_profit_pct=30", "--set", "exits.stop_loss_pct=20")
    more = ("--set", "exits.trailing_activation_pct=20")
    result = cli("run", "--data", candle_folder, "--speed", "max", "--state", folder, *still, *more)
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("positions ")]
    assert line.rstrip().endswith("open; nobody leads them until the next start")
    named = [line for line in result.stdout.splitlines() if line.endswith(" --state state")]
    assert any(" why --top " in line for line in named)
    for line in named:
        words = line.split()
        assert cli(*words[1:]).exit_code == 0, line
