"""Kill a run with SIGKILL at random moments, start it again on the same state, and look for what was lost or doubled.

    python tests/campaigns/kill9.py --kills 50 --seed 1 --faults lost_ack:0.1,lost_request:0.1

Prints one JSON object; exits with 1 where anything was found.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot import BUSY, CACHE, Bot, Ended
from checks import Market, State, after_end, after_kill, figures, state_of, under_way

from tradecore.app import Options, prepare

#: Kind of moment: its share of all kills, and the bounds in wall seconds from the moment it counts from.
MOMENTS = {
    "loading": (0.06, 0.0, 1.0),  # from the start of the process: most often before it holds the folder
    "starting": (0.34, 0.0, 0.25),  # from the lock: opening, migrating, reconciling
    "early": (0.25, 0.2, 1.0),  # from the lock: the first rows
    "late": (0.35, 0.8, 4.0),
}


class Campaign:
    """One state folder and its many lives."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self._asked = asked
        self._folder = folder
        self._random = random.Random(asked.seed)
        self._sets = [*BUSY, *asked.sets]
        if asked.faults:
            self._sets.append(f"twin.faults={json.dumps(asked.faults.split(','))}")
        self._options = ["--seed", str(asked.seed), "--speed", str(asked.speed), "--for", "1000h"]
        if asked.data:
            self._options += ["--data", asked.data, "--timeframe", asked.timeframe]
        self._market = self._prepared()
        self._found: list[str] = []
        self._killed: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._with_work = 0

    def _prepared(self) -> Market:
        flags = {"--seed": f"run.seed={self._asked.seed}"}
        if self._asked.data:
            flags |= {"a": "market.source=files", "b": f"market.folder={json.dumps(self._asked.data)}"}
            flags |= {"c": f"market.timeframe={self._asked.timeframe}"}
        prepared = prepare(Options("demo", {}, self._sets, flags=flags))
        return Market(prepared.instruments, prepared.settings.account.name)

    def run(self) -> dict[str, Any]:
        """Kill as often as asked, end cleanly, and say what was found."""
        began = time.monotonic()
        for number in range(1, self._asked.kills + 1):
            self._one_life(number)
        ended = self._last_life()
        state = state_of(self._folder)
        if state is None:
            self._found.append("the end: no state was left")
        else:
            self._found += [f"the end: {text}" for text in after_end(state, self._market)]
        return self._report(ended, state, time.monotonic() - began)

    def _one_life(self, number: int) -> None:
        moment = self._random.choices(list(MOMENTS), [share for share, _, _ in MOMENTS.values()])[0]
        _, least, most = MOMENTS[moment]
        delay = self._random.uniform(least, max(least, min(most, self._asked.longest)))
        with Bot(self._folder, self._options, self._sets) as bot:
            if moment != "loading":
                bot.until_locked()
            time.sleep(delay)
            if not bot.running:
                self._found.append(f"life {number}: expected to be killed, had ended by itself: {bot.wait()}")
                return
            bot.kill()
        self._killed[moment] += 1
        state = state_of(self._folder)
        if state is None:
            return
        self._found += [f"kill {number} ({moment} +{delay:.3f} s): {text}" for text in after_kill(state, self._market)]
        left = under_way(state)
        self._with_work += bool(left)
        self._under_way.update(left)

    def _last_life(self) -> Ended:
        with Bot(self._folder, self._options, self._sets) as bot:
            bot.until_locked()
            time.sleep(self._asked.tail)
            bot.send(signal.SIGTERM)
            ended = bot.wait(60.0)
        if ended.code != 0 or ended.traceback:
            self._found.append(f"the end: expected exit 0, was {ended.code}: {ended.err[-2000:]}")
        return ended

    def _report(self, ended: Ended, state: State | None, wall_s: float) -> dict[str, Any]:
        summary = json.loads(ended.out) if ended.out.startswith("{") else {}
        for key, wanted in (
            ("pending_intents", 0), ("reserved", "0"), ("ledger_balanced", True), ("unexplained_drift", "0"),
        ):  # fmt: skip
            if summary.get(key) != wanted:
                self._found.append(f"the end: expected {key} {wanted}, was {summary.get(key)}")
        return {
            "kills": sum(self._killed.values()),
            "seed": self._asked.seed,
            "speed": self._asked.speed,
            "faults": self._asked.faults,
            "data": Path(self._asked.data).name if self._asked.data else "generated",
            "killed": dict(self._killed),
            "kills_with_work_under_way": self._with_work,
            "under_way_at_kills": dict(sorted(self._under_way.items())),
            **(figures(state) if state is not None else {}),
            "last_run": {
                key: summary.get(key)
                for key in ("orders_sent", "fill_rate", "trading_state", "errors", "positions_open", "equity_end")
            },
            "stop_s": round(ended.seconds, 2),
            "wall_s": round(wall_s, 1),
            "findings": self._found,
        }


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="how often the process is killed")
    parser.add_argument("--seed", type=int, default=1, help="of the market, the faults and the moments")
    parser.add_argument("--speed", type=float, default=300, help="market seconds per wall second")
    parser.add_argument("--faults", default="", help="names for twin.faults, with commas")
    parser.add_argument("--data", default="", help="folder of candle files instead of a generated market")
    parser.add_argument("--timeframe", default="1m", help="of the candle files")
    parser.add_argument("--tail", type=float, default=3.0, help="wall seconds that the last life may trade")
    parser.add_argument("--longest", type=float, default=4.0, help="wall seconds of the longest life after its lock")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE", help="further settings")
    parser.add_argument("--state", type=Path, help="keep the state in this folder")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    asked = _asked(arguments)
    with tempfile.TemporaryDirectory(prefix="kill9-") as made:
        os.environ.setdefault(CACHE, str(Path(made) / "compiled"))
        report = Campaign(asked, asked.state or Path(made) / "state").run()
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 1 if report["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
