"""Run on the wall's time with many symbols and report what it costs and how it keeps up (R55, R56).

    python tests/campaigns/wall.py --minutes 2 --symbols 137

Prints one JSON object; exits with 1 where a figure misses its bound.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot import BUSY, Bot
from checks import Market, after_end, figures, state_of

from tradecore.app import Options, prepare
from tradecore.journal.read import read_journal
from tradecore.model.units import decimal_of, ratio

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY_S = 1.0


class Usage:
    """CPU and memory of another process, read from the kernel once a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = (time.monotonic(), self._cpu_s())
        self.rss_mb: list[float] = []
        self.threads = 0

    def _stat(self) -> list[str]:
        return Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()

    def _cpu_s(self) -> float:
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def look(self) -> None:
        """Take one sample."""
        fields = self._stat()
        self.rss_mb.append(int(fields[21]) * _PAGE / 2**20)
        self.threads = max(self.threads, int(fields[17]))

    @property
    def cpu_pct(self) -> float:
        """Share of one core since the start of watching, %."""
        wall, cpu = self._began
        return 100 * (self._cpu_s() - cpu) / (time.monotonic() - wall)


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Let it trade, watch it, stop it, and report."""
    sets = [f"market.generated.symbols={asked.symbols}", f"market.generated.mood={asked.mood}", *asked.sets]
    if asked.busy:
        sets = [*(s for s in BUSY if not s.startswith(("engine.price_age", "engine.book_age"))), *sets]
    options = ["--seed", str(asked.seed), "--speed", str(asked.speed), "--for", "1000h"]
    with Bot(folder, options, sets) as bot:
        bot.until_event("session_started")
        time.sleep(2.0)  # what starting costs is not what running costs
        usage = Usage(bot.pid)
        end = time.monotonic() + 60 * asked.minutes
        while time.monotonic() < end and bot.running:
            time.sleep(_EVERY_S)
            usage.look()
        cpu_pct = usage.cpu_pct
        bot.send(signal.SIGINT)
        ended = bot.wait()
    summary = ended.summary
    prepared = prepare(Options("demo", {}, sets, flags={"--seed": f"run.seed={asked.seed}"}))
    state = state_of(folder)
    assert state is not None
    report = {
        "minutes": asked.minutes,
        "symbols": asked.symbols,
        "speed": asked.speed,
        "cpu_pct": round(cpu_pct, 1),
        "rss_mb_max": round(max(usage.rss_mb), 1),
        "rss_mb_growth_per_minute": round((usage.rss_mb[-1] - usage.rss_mb[0]) / asked.minutes, 2),
        "threads_max": usage.threads,
        "slow_cycles_per_minute": round(summary["slow_cycles"] / asked.minutes, 2),
        **_told(folder),
        "fill_rate": summary["fill_rate"],
        "failed_share": _failed(summary),
        "pending_peak": summary["pending_peak"],
        "pending_intents": summary["pending_intents"],
        "refresh_timeouts": _share(summary["balance_timeouts"], summary["balance_refreshes"]),
        "events_dropped": summary["events_dropped"],
        "errors": summary["errors"],
        "exit_code": ended.code,
        "stop_s": round(ended.seconds, 2),
        **figures(state),
        "findings": after_end(state, Market(prepared.instruments, prepared.settings.account.name)),
    }
    report["missed"] = _missed(report)
    return report


def _told(folder: Path) -> dict[str, Any]:
    """What the run told of itself: lateness of the loop at heartbeats, the slowest job."""
    lags, slow = [0.0], [0.0]
    for line in read_journal(folder / "journal", kinds=["heartbeat", "slow_cycle"]):
        if line.kind == "heartbeat":
            lags.append(float(line.data["loop_lag_ms"]))
        else:
            slow.append(float(line.data["duration_ms"]))
    return {"loop_lag_ms_max": round(max(lags), 1), "slowest_cycle_ms": round(max(slow), 1)}


def _share(part: int, whole: int) -> float:
    return float(round(ratio(decimal_of(part), decimal_of(whole)), 4)) if whole else 0.0


def _failed(summary: dict[str, Any]) -> float:
    """Orders that failed otherwise than by finding nobody to trade with, as a share of those sent."""
    plain = {"EXPIRED_UNFILLED", "CANCELED_BY_US"}
    failed = sum(count for code, count in summary["orders_failed"].items() if code not in plain)
    return _share(failed, summary["orders_sent"])


def _missed(report: dict[str, Any]) -> list[str]:
    """The bounds of R55 and R56 that a figure misses; a fill rate of nothing sent misses nothing."""
    bounds = {
        "cpu_pct": 50, "rss_mb_max": 500, "slow_cycles_per_minute": 10, "failed_share": 0.1, "pending_peak": 10,
        "refresh_timeouts": 0.05,
    }  # fmt: skip
    missed = [f"{name}: expected below {bound}, was {report[name]}" for name, bound in bounds.items()
              if report[name] >= bound]  # fmt: skip
    if report["fill_rate"] is not None and report["fill_rate"] <= 0.3:
        missed.append(f"fill_rate: expected above 0.3, was {report['fill_rate']}")
    for name, wanted in (("pending_intents", 0), ("exit_code", 0), ("errors", {})):
        if report[name] != wanted:
            missed.append(f"{name}: expected {wanted}, was {report[name]}")
    return missed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="of the wall")
    parser.add_argument("--symbols", type=int, default=137)
    parser.add_argument("--speed", type=float, default=1.0, help="market seconds per wall second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mood", default="lively", help="of the market")
    parser.add_argument("--busy", action="store_true", help="trade as often as the kill -9 campaign does")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE", help="further settings")
    parser.add_argument("--state", type=Path, help="keep the state in this folder")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="wall-") as made:
        report = run(asked, asked.state or Path(made) / "state")
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 1 if report["missed"] or report["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
