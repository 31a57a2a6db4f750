"""All plugins together: what each one changes over recorded candles, and what they cost on wall time.

    python bench/together.py sessions [--write]           every plugin off in turn, over both recordings
    python bench/together.py wall [--minutes 5] [--write]  137 symbols on wall time, all plugins on

Prints one JSON object. `--write` puts the tables of docs/plugins.md in place. Every run is a process of its own,
`tradecore run --profile full --json`; `sessions` needs the recordings beside the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tradecore.journal.read import decode, read_journal
from tradecore.model.events import Heartbeat, LateCall, SlowCycle
from tradecore.model.places import JOURNAL_FOLDER

ROOT = Path(__file__).resolve().parents[1]
CANDLES = ROOT.parent / "shared" / "data" / "candles"
PAGE = ROOT / "docs" / "plugins.md"
PROGRAM = (sys.executable, "-c", "from tradecore.cli.main import main; main()")
NEEDED = {"size_fixed": "no_sizer", "exec_ioc_gtc": "no_router"}
"""Nothing else sizes or routes, so without them a run is refused unless `run.allow` has this code."""


class Session(NamedTuple):
    """A stretch of recorded candles."""

    name: str
    folder: str
    start: str
    stop: str
    sets: tuple[str, ...] = ()


SESSIONS = {
    "crash": Session("crash", "binance-2021-05-crash", "2021-05-19T00:00", "2021-05-20T00:00"),
    "thin": Session(
        "thin", "kucoin-2023-03", "2023-03-11T00:00", "2023-03-12T00:00",
        ("signals_drop.lookback=30m", "account.opening={USDT=2000}",
         "size_fixed.amount=60"),
    ),
}  # fmt: skip


def guests() -> list[str]:
    """Guests of the profile, in its order."""
    names: list[str] = tomllib.loads((ROOT / "settings" / "full.toml").read_text())["run"]["plugins"]
    return names


def sets_of(session: Session, taking_part: Sequence[str], candles: Path = CANDLES) -> tuple[str, ...]:
    """Settings of a session, without those of guests that take no part: the program refuses these."""
    sets = (
        f"market.folder={json.dumps(str(candles / session.folder))}", "market.source=files", "market.timeframe=1m",
        f"market.start={session.start}", f"market.stop={session.stop}", "run.speed=max", 'run.for=""', "run.seed=1",
        "store.synchronous=OFF", "metrics.port=0", *session.sets,
    )  # fmt: skip
    every = set(guests())
    allowed = [code for name, code in NEEDED.items() if name not in taking_part]
    if allowed:
        sets += (f"run.allow={','.join(allowed)}",)
    return tuple(one for one in sets if (name := one.partition(".")[0]) not in every or name in taking_part)


class Played(NamedTuple):
    """What a run left."""

    code: int
    said: str
    """Last line on stderr."""
    summary: Mapping[str, Any]
    events: Mapping[str, int]
    """Kind to number of journal lines."""
    files: Mapping[str, int]
    """Guest to lines in what it wrote below its folder."""


def played(session: Session, without: str = "") -> Played:
    """Run a session as a user would, one plugin left out."""
    taking_part = [name for name in guests() if name != without]
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", "--profile", "full", "--json", "--plugins", ",".join(taking_part), "--state", folder]
        for one in sets_of(session, taking_part):
            words += ["--set", one]
        done = subprocess.run(["nice", *PROGRAM, *words], capture_output=True, text=True, check=False)
        state = Path(folder)
        events = Counter(line.kind for line in read_journal(state / JOURNAL_FOLDER)) if done.stdout else {}
        return Played(done.returncode, (done.stderr.splitlines() or [""])[-1],
                      json.loads(done.stdout) if done.stdout else {}, events, written_by(state))  # fmt: skip


def written_by(state: Path) -> Mapping[str, int]:
    """Lines that guests left in files of their own."""
    lines: dict[str, int] = {}
    for path in sorted((state / "plugins").glob("*/*.json*")):
        text = path.read_text()
        number = len(json.loads(text)["figures"]) if path.suffix == ".json" else len(text.splitlines())
        lines[path.parent.name] = lines.get(path.parent.name, 0) + number
    return lines


class Wall(NamedTuple):
    """A run on wall time."""

    minutes: float
    symbols: int
    cpu_share: float
    peak_mb: float
    slow_cycles_a_minute: float
    late_calls_a_minute: float
    loop_lag_median_ms: float
    loop_lag_worst_ms: float
    job_lag_worst_ms: float
    orders_sent: int
    rows: int
    exit_code: int


def walled(minutes: float, symbols: int) -> Wall:
    """Run the profile at the speed of the wall, and ask the kernel what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "run", "--profile", "full", "--json", "--speed", "1", "--for", f"{minutes}m", "--state", folder,
            "--set", f"market.generated.symbols={symbols}", "--set", "market.generated.timeframe=5s",
            "--set", "metrics.port=0",
        ]  # fmt: skip
        with Path(folder, "out").open("w+") as out, Path(folder, "err").open("w") as err:
            child = subprocess.Popen([*PROGRAM, *words], stdout=out, stderr=err)
            started = time.monotonic()
            _, status, usage = os.wait4(child.pid, 0)
            took = time.monotonic() - started
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            summary = json.loads(out.read())
        events = [decode(line).event for line in read_journal(Path(folder, JOURNAL_FOLDER))]
        beats = [event for event in events if isinstance(event, Heartbeat)]
        lags = sorted(beat.loop_lag_ms for beat in beats)
        return Wall(
            round(took / 60, 2), symbols, round((usage.ru_utime + usage.ru_stime) / took, 3),
            round(usage.ru_maxrss / 1024, 1),
            round(sum(isinstance(event, SlowCycle) for event in events) * 60 / took, 2),
            round(sum(isinstance(event, LateCall) for event in events) * 60 / took, 2),
            round(lags[len(lags) // 2], 2), round(lags[-1], 2),
            round(max((lag for beat in beats for lag in beat.job_lag_ms.values()), default=0.0), 1),
            summary["orders_sent"], summary["rows"], child.returncode,
        )  # fmt: skip


FIGURES = (
    "signals", "filtered", "locked", "risk refused", "entries", "orders", "fill rate", "closed", "PnL", "fees", "dust",
    "tunes", "alerts", "written",
)  # fmt: skip


def row_of(one: Played) -> tuple[str, ...]:
    """Figures of a run for a table: out of its `--json`, the last three out of journal and files."""
    told = one.summary
    if not told:
        return ("-",) * len(FIGURES)
    outcomes = told["outcomes"]
    counted = [outcomes.get(code, 0) for code in ("FILTER_REFUSED", "LOCKED", "RISK_REFUSED", "INTENT_CREATED")]
    money = [f"{float(told[name]):.2f}" for name in ("realised_pnl", "fees", "dust_value")]
    figures = [told["signals"], *counted, told["orders_sent"], f"{100 * (told['fill_rate'] or 0):.0f} %",
               told["positions_closed"], *money, *(one.events.get(kind, 0) for kind in ("tune_applied", "alert_fired")),
               ", ".join(f"{name} {lines}" for name, lines in one.files.items()) or "-"]  # fmt: skip
    return tuple(str(figure) for figure in figures)


def clean(code: int, told: Mapping[str, Any]) -> bool:
    """True where a run ended as it should."""
    return (
        code == 0 and bool(told) and told["pending"] == [] and told["pending_intents"] == 0
        and told["reserved"] == "0" and told["ledger_balanced"] and told["unexplained_drift"] == "0"
        and told["errors"] == {} and told["quarantined"] == []
    )  # fmt: skip


def table(session: Session, runs: Mapping[str, Played]) -> Iterator[str]:
    """A table of docs/plugins.md."""
    yield f"| without | {' | '.join(FIGURES)} | ended |"
    yield "|---|" + "---:|" * (len(FIGURES) - 1) + "---|---|"
    for name, one in runs.items():
        ended = "clean" if clean(one.code, one.summary) else "no run" if one.code == 2 else f"exit {one.code}"
        yield f"| {f'`{name}`' if name else '(all on)'} | {' | '.join(row_of(one))} | {ended} |"


@contextmanager
def _written(mark: str) -> Iterator[list[str]]:
    """Replace what stands between two marks of the page."""
    lines: list[str] = []
    yield lines
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    head, _, rest = PAGE.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(head + begin + "\n\n" + "\n".join(lines) + "\n\n" + end + tail)


def sessions(write: bool) -> dict[str, Any]:
    """Play all sessions, two at a time."""
    found: dict[str, Any] = {}
    for session in SESSIONS.values():
        cases = ["", *guests()]
        with ThreadPoolExecutor(2) as pool:
            runs = dict(zip(cases, pool.map(lambda name, one=session: played(one, name), cases), strict=True))
        found[session.name] = {
            name or "(all on)": {
                "exit_code": one.code, "clean": clean(one.code, one.summary), "said": one.said if one.code else "",
                **dict(zip(FIGURES, row_of(one), strict=True)), "outcomes": one.summary.get("outcomes", {}),
                "events": dict(one.events),
            }
            for name, one in runs.items()
        }  # fmt: skip
        if write:
            with _written(session.name) as lines:
                lines.extend(table(session, runs))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sessions", "wall"))
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--symbols", type=int, default=137)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    found: dict[str, Any] = {"python": platform.python_version(), "cores": os.cpu_count()}
    if given.what == "sessions":
        found |= sessions(given.write)
    else:
        wall = walled(given.minutes, given.symbols)
        found |= wall._asdict()
        if given.write:
            with _written("wall") as lines:
                lines.extend(["| figure | value |", "|---|---:|"])
                lines.extend(f"| `{name}` | {value} |" for name, value in wall._asdict().items())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
