"""Ctrl-C and SIGTERM at any moment of a start: one line and a documented exit code, nothing half-written (R24, F36).

Processes of their own, and real time: a signal is the subject. Delays count from the moment at which the program's
first line answers signals; before it is read the interpreter does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.campaigns.bot import CACHE
from tests.campaigns.wire_processes import ROOT, Venue

CODE = "import sys; sys.argv[0] = 'tradecore'; from tradecore.cli.start import main; main()"
STATUS = Path("/proc/self/status")
#: Twenty in all: five for each signal and each venue, from the first import to after the start. Seconds.
DELAYS = {
    ("SIGINT", "embedded"): (0.0, 0.24, 0.48, 0.72, 1.1),
    ("SIGTERM", "embedded"): (0.06, 0.3, 0.54, 0.78, 1.4),
    ("SIGINT", "wire"): (0.12, 0.6, 1.2, 1.9, 2.6),
    ("SIGTERM", "wire"): (0.18, 0.9, 1.5, 2.2, 3.0),
}

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="who answers signals is read from /proc")


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory):
    """Let the processes share their compiled modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(scope="module")
def wire(tmp_path_factory):
    """A venue that takes its time, so that a start has several moments."""
    with Venue("binance", tmp_path_factory.mktemp("wire"), 1.0, "--latency-ms", "120") as venue:
        yield venue


def program(folder: Path, *arguments: str) -> subprocess.Popen:
    unwanted = ("TRADECORE_", "COLUMNS", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments], cwd=folder, text=True, env={**env, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def answers(process: subprocess.Popen, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return True  # gone: what follows says so
    (mask,) = [line.split()[1] for line in text.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def signalled(process: subprocess.Popen, number: signal.Signals, delay_s: float) -> tuple[int, str, str]:
    """Send a signal so long after the first line of the program; give exit code, stdout and stderr."""
    try:
        while not answers(process, signal.SIGTERM):  # taken last
            time.sleep(0.001)
        time.sleep(delay_s)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.returncode, out, err


def held_against(name: str, code: int, out: str, err: str) -> bool:
    """Hold an end against what is promised; True where the run had not begun."""
    number = signal.Signals[name]
    assert "Traceback" not in err + out, err
    assert "Exception ignored" not in err, err
    told = [line for line in err.splitlines() if line.startswith("tradecore: ") and "note:" not in line]
    if code == 0:
        assert json.loads(out)["ended"] == name
        assert told == []
        return False
    assert code == 128 + number, err
    assert told == [f"tradecore: interrupted by {name} before the run began"]
    assert out == ""
    return True


@pytest.mark.parametrize(("name", "venue"), DELAYS)
def test_f36_a_signal_at_any_moment_of_a_start(name, venue, request, tmp_path, cli):
    where = ["--profile", "demo", "--speed", "60"]
    if venue == "wire":
        served = request.getfixturevalue("wire")
        where = ["--profile", str(served.profile), "--set", "venue.streams=false"]

    def begin(delay_s: float) -> tuple[int, str, str]:
        process = program(tmp_path / f"{delay_s}", "run", "--json", "--for", "100h", *where)
        return signalled(process, signal.Signals[name], delay_s)

    early = 0
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(begin, DELAYS[name, venue]))
    for delay_s, end in zip(DELAYS[name, venue], ends, strict=True):
        early += held_against(name, *end)
        folder = tmp_path / f"{delay_s}"
        kept = sorted((folder / "state").glob("*/tradecore.db"))
        if not kept:
            assert [path for path in (folder / "state").glob("*") if path.name != "latest"] == []
            assert not (folder / "state" / "latest").is_symlink()
            continue
        result = cli("status", "--state", kept[0].parent, "--json")
        assert result.exit_code == 0, result.stderr
        shown = json.loads(result.stdout)
        assert shown["running"] is False
        assert shown["run"] is None or shown["run"]["reason"] == name, "a run that is written down has its end"
    assert early >= 1


def test_f36_a_signal_while_a_silent_venue_is_asked(tmp_path, cli, request):
    served = request.getfixturevalue("wire")
    served.control("POST", "/cut", endpoint="GET /api/v3/account")
    try:
        folder = tmp_path / "bot"
        process = program(
            folder, "run", "--json", "--profile", str(served.profile), "--state", "s", "--set", "venue.streams=false",
            "--set", "shutdown.phase_s=0.3", "--set", "market.backfill=false",
        )  # fmt: skip
        journal = folder / "s" / "journal"
        asked = "balance_refresh"
        end_s = time.monotonic() + 20
        while not any(asked in file.read_text() for file in journal.glob("*/*.jsonl")):
            assert time.monotonic() < end_s
            assert process.poll() is None
            time.sleep(0.02)
        assert held_against("SIGTERM", *signalled(process, signal.SIGTERM, 0.0))
    finally:
        served.control("DELETE", "/cut")
    assert json.loads(cli("status", "--state", folder / "s", "--json").stdout)["running"] is False


def test_a_command_that_reads_is_ended_by_sigterm_as_by_ctrl_c(tmp_path):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = program(tmp_path / number.name, "venue", "serve", "--wire", "binance", "--seed", "1")
        code, _, err = signalled(process, number, 0.0)
        assert (code, err.count("tradecore: interrupted by")) == (128 + number, 1), err


def test_who_is_started_with_sigint_ignored_keeps_it_so(tmp_path):
    shell = f"trap '' INT; exec {sys.executable} -c \"{CODE}\" run --for 1s --json"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(["sh", "-c", shell], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    try:
        while not answers(process, signal.SIGTERM):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0
    assert json.loads(out)["ended"] == "time is up"
