"""The exact path: full engine, virtual time, the five plugins, SQLite store on. Prints one JSON object.

    python bench/exact_path.py [--symbols 10 137] [--rows 10080] [--mood mixed] [--stages]

Each size runs in a process of its own, so that its peak memory is its own. With ``--stages`` a second process runs with
clocks around every stage; its rate is not reported, since the clocks cost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGINS = "signals_drop,size_fixed,risk_limits,exec_ioc_gtc,exits"


def one(symbols: int, rows: int, mood: str, stages: bool) -> dict[str, object]:
    from tradecore.app import Options, execute, prepare

    timer = None
    if stages:
        from stages import Stages  # type: ignore[import-not-found]  # beside this file

        timer = Stages()
        timer.install()
    flags = {
        "symbols": f"market.generated.symbols={symbols}",
        "mood": f"market.generated.mood={mood}",
        "timeframe": "market.generated.timeframe=1m",
        "for": f"run.for={rows}m",
        "speed": "run.speed=max",
    }
    with tempfile.TemporaryDirectory() as folder:
        options = Options("base", dict[str, str](), plugins=PLUGINS, flags=flags, state=Path(folder) / "state")
        prepared = prepare(options)
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started = time.perf_counter()
        outcome = execute(prepared)
        wall_s = time.perf_counter() - started
        journal = sum(f.stat().st_size for f in (Path(folder) / "state" / "journal").rglob("*") if f.is_file())
    summary = outcome.summary
    candles = int(str(summary["candidates"]))
    result: dict[str, object] = {
        "symbols": symbols,
        "rows": summary["rows"],
        "candles": candles,
        "wall_s": round(wall_s, 2),
        "candles_per_s": round(candles / wall_s),
        "row_ms": round(wall_s * 1_000 / int(str(summary["rows"])), 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "memory_before_mb": round(before_mb),
        "journal_mb": round(journal / 2**20, 1),
        "exit_code": outcome.exit_code,
        **{key: summary[key] for key in ("signals", "intents", "orders_sent", "positions_closed", "ledger_balanced")},
    }
    if timer is not None:
        result["share_of_time"] = timer.shares(wall_s)
    return result


def apart(*arguments: str) -> dict[str, object]:
    """Run one size in a fresh process."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, nargs="+", default=[10, 137])
    parser.add_argument("--rows", type=int, default=10_080)
    parser.add_argument("--mood", default="mixed")
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--one", action="store_true", help="run in this process and print its object alone")
    parser.add_argument("--timed", action="store_true", help="with --one: clocks around the stages")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(chosen.symbols[0], chosen.rows, chosen.mood, chosen.timed)))
        return
    runs = []
    for symbols in chosen.symbols:
        words = ("--one", "--symbols", str(symbols), "--rows", str(chosen.rows), "--mood", chosen.mood)
        run = apart(*words)
        if chosen.stages:
            run["share_of_time"] = apart(*words, "--timed")["share_of_time"]
        runs.append(run)
    about = {"python": platform.python_version(), "cores": os.cpu_count(), "load_1m": round(os.getloadavg()[0], 2)}
    print(json.dumps({"benchmark": "exact path", **about, "mood": chosen.mood, "runs": runs}, indent=1))


if __name__ == "__main__":
    main()
