"""The whole program on both wires with every fault of the catalogue in turn, placements one by one, and kill -9.

    python -m tests.campaigns.wire                      # all of it, about ten minutes
    python -m tests.campaigns.wire --faults F2,F10 --wires mexc --kills 0 --no-placements

Prints one JSON object; exits with 1 where anything was found: an over-buy, a double, an orphan, a ledger that is not
the venue's truth, something pending, a fault that never hit, a secret in what was written.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.campaigns.wire_faults import CASES, Case
from tests.campaigns.wire_placement import QUICK, ROWS, deal
from tests.campaigns.wire_processes import kill_and_start
from tests.campaigns.wire_stage import WIRES, Played, Scene, play
from tests.canary import KEY, KEY_FILE, SECRET, SECRET_FILE
from tests.leaks import Leaks

_KEPT = 20
"""Findings of one session that are printed."""


def run_case(case: Case, wire: str, folder: Path, speed: float, seed: int) -> dict[str, Any]:
    """Play one fault on one wire."""
    found: list[str] = []
    try:
        played = play(Scene(wire, seed=seed, speed=speed, **case.scene), folder, case.story)
    except Exception:  # noqa: BLE001 - one session that cannot be played must not end the campaign
        return {"fault": case.number, "wire": wire, "findings": [traceback.format_exc()]}
    found += played.findings()
    if case.hits and not any(played.happened.get(name) for name in case.hits):
        found.append(f"expected one of {', '.join(case.hits)} to hit, none did")
    if not played.summary["orders_filled"]:
        found.append("expected some order to be filled, none was")
    return {"fault": case.number, "text": case.text, "wire": wire, **figures(played), "findings": found[:_KEPT]}


def figures(played: Played) -> dict[str, Any]:
    """What one session did."""
    summary = played.summary
    return {
        "sent": summary["orders_sent"], "filled": summary["orders_filled"], "failed": summary["orders_failed"],
        "positions_open": summary["positions_open"], "pending_peak": summary["pending_peak"],
        "alerts": summary["alerts"], "hits": dict(sorted(played.happened.items())), "state": summary["trading_state"],
        "wall_s": round(played.wall_s, 1),
    }  # fmt: skip


def run_placements(wire: str, folder: Path, seed: int) -> dict[str, Any]:
    """Play the placement table on one wire."""
    played, fates = deal(Scene(wire, seed=seed, **QUICK), folder)
    wrong = [f"{fate.row.fault} {fate.wire_id}: {fate.wrong}" for fate in fates if fate.wrong]
    missed = [f"{row.fault} met no order" for row in ROWS[len(fates) :]]
    settled = sorted(fate.settle_ms for fate in fates if fate.settle_ms is not None)
    there = sorted(fate.settle_ms for fate in fates if fate.settle_ms is not None and fate.there)
    return {
        "wire": wire, "orders": len(fates), "unknown": len(settled),
        "settle_ms": {"p50": settled[len(settled) // 2], "max": settled[-1]},
        "settle_there_ms": {"p50": there[len(there) // 2], "max": there[-1]},
        "rows": [
            {
                "fault": fate.row.fault, "exists": fate.there, "at_once": fate.at_once, "outcome": fate.outcome,
                "settle_ms": fate.settle_ms,
            }
            for fate in fates
        ],
        # a slow machine lets a time stamp grow old, a market refuse a price: then the order ends another way
        "other_than_meant": [fate.row.fault for fate in fates if fate.there is not fate.row.exists],
        "findings": [*wrong, *missed, *played.findings()],
    }  # fmt: skip


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", default="", help="numbers of faults, with commas; all where empty")
    parser.add_argument("--wires", default=",".join(WIRES), help="with commas")
    parser.add_argument("--speed", type=float, default=60.0, help="market seconds per second of the wall")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=10, help="kill -9 of the bot, on each wire")
    parser.add_argument("--no-placements", dest="placements", action="store_false", help="leave the table out")
    parser.add_argument("--state", type=Path, help="keep what the sessions leave in this folder")
    return parser.parse_args(arguments)


def _run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    began, wires = time.monotonic(), asked.wires.split(",")
    wanted = set(filter(None, asked.faults.split(",")))
    report: dict[str, Any] = {"speed": asked.speed, "seed": asked.seed, "sessions": [], "placements": [], "kills": []}
    for case in CASES:
        for wire in wires:
            if wire not in case.wires or (wanted and case.number not in wanted):
                continue
            place = folder / f"{case.number}-{wire}"
            report["sessions"].append(run_case(case, wire, place, asked.speed, asked.seed))
            sys.stderr.write(f"{case.number} {wire}: {len(report['sessions'][-1]['findings'])} findings\n")
    for wire in wires if asked.placements else ():
        report["placements"].append(run_placements(wire, folder / f"place-{wire}", asked.seed))
    for wire in wires if asked.kills else ():
        killed = kill_and_start(wire, folder / f"kill-{wire}", asked.kills, seed=asked.seed)
        report["kills"].append({name: value for name, value in killed.items() if name != "summary"})
    leaks = Leaks((KEY, SECRET), {KEY_FILE, SECRET_FILE})
    report["leaks"] = list(leaks.under(folder))
    report["looked_through"] = {"files": leaks.files, "megabytes": round(leaks.bytes / 1e6, 1)}
    report["found"] = sum(len(row["findings"]) for part in ("sessions", "placements", "kills") for row in report[part])
    report["wall_s"] = round(time.monotonic() - began, 1)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    asked = _asked(arguments)
    with tempfile.TemporaryDirectory(prefix="wire-") as made:
        report = _run(asked, asked.state or Path(made))
    text = json.dumps(report, indent=1, default=str)
    if any(word in text for word in (KEY, SECRET)):
        report["leaks"].append("the report itself")
        text = json.dumps({"leaks": report["leaks"]})
    sys.stdout.write(text + "\n")
    return 1 if report["found"] or report["leaks"] else 0


if __name__ == "__main__":
    sys.exit(main())
