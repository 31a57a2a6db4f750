"""`tradecore run` as a process of its own: started, watched, signalled and killed from outside, as a user's is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tradecore.errors import SchemaMismatch, StoreError
from tradecore.model.order import AttemptState
from tradecore.store.queries import open_reader

_MAIN = "from tradecore.cli.main import main; main()"
_LOCK = "instance.lock"

#: Names a folder for compiled modules: a start that compiles all it imports takes three times as long.
CACHE = "PYTHONPYCACHEPREFIX"

#: Much happens: a low threshold, small orders, many positions, short lives; old prices are taken, since at a speed of
#: hundreds a moment of the wall is long in market time.
BUSY = (
    "signals_drop.drop_pct=0.6",
    "signals_drop.expires_s=120",
    "size_fixed.amount=80",
    "risk_limits.max_positions=60",
    "risk_limits.max_exposure_pct=95",
    "risk_limits.max_trades_per_day=1000000",
    "risk_limits.max_orders_per_minute=10000",
    "risk_limits.max_daily_drawdown_pct=100",
    "risk_limits.spread_bps_max=60",
    "exits.time_to_live=4m",
    "exits.take_profit_pct=0.5",
    "exits.stop_loss_pct=0.5",
    # closer than costs on purpose: positions open and close all the time
    "run.allow=stop_inside_costs,take_under_costs",
    "engine.max_spread_bps=60",
    "engine.price_age_s_max=60",
    "engine.book_age_ms_max=30000",
    "limiter.requests_per_minute=100000",
)


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    """Exit code; negative is the signal that killed it."""
    out: str
    err: str
    seconds: float
    """Since the start, or since the signal where one was sent."""

    @property
    def summary(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def complaints(self) -> list[str]:
        """Lines of stderr that the program wrote about what went wrong."""
        return [line for line in self.err.splitlines() if line.startswith("tradecore:")]

    @property
    def traceback(self) -> bool:
        """True where a person was shown a traceback."""
        return "Traceback (most recent call last)" in self.err + self.out


class Bot:
    """One process of `tradecore run --json`.

    Args:
        state: The state folder; ``None`` keeps nothing.
        options: Further options of the command, as ``--for``, ``10m``.
        sets: Settings, ``section.key=value``.
        env: Environment variables besides this process's own.
        prefix: Command that starts the command, to run it as somebody else.
        cwd: Working folder; ``None`` is this process's.
    """

    def __init__(
        self,
        state: Path | None,
        options: Sequence[str] = (),
        sets: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        cwd: Path | None = None,
    ) -> None:
        kept = ["--state", str(state)] if state is not None else []
        given = [part for text in sets for part in ("--set", text)]
        unwanted = ("TRADECORE_", "PYTHONDONTWRITEBYTECODE")
        own = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
        self.state = state
        self._since = time.monotonic()
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-c", _MAIN, "run", "--json", *kept, *options, *given],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
            env={**own, "PYTHONUNBUFFERED": "1", **(env or {})},
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def wait(self, timeout_s: float = 60.0) -> Ended:
        """Wait for its end; one that takes longer is killed.

        Raises:
            AssertionError: It took longer.
        """
        try:
            out, err = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, err = self._process.communicate()
            raise AssertionError(f"expected an end within {timeout_s} s, was still running; stderr: {err}") from None
        return Ended(self._process.returncode, out, err, time.monotonic() - self._since)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; times count from now on."""
        self._since = time.monotonic()
        self._process.send_signal(number)

    def kill(self) -> Ended:
        """End it at once, as a power cut ends a program."""
        self._process.kill()
        return self.wait(10.0)

    def close(self) -> None:
        """Leave nothing behind; may be called twice."""
        if self.running:
            self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Bot:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def lines(self, kind: str, word: str = "") -> int:
        """Count its journal's lines of a kind, with a word in them."""
        return lines_of(self._folder, kind, word)

    # What can be seen from outside --------------------------------------------------------------------------

    def until_locked(self, timeout_s: float = 20.0) -> None:
        """Wait until it holds its state folder: reading is over, opening begins."""
        self.until(lambda: holder(self._folder) == self.pid, "to hold its state folder", timeout_s)

    def until_event(self, kind: str, count: int = 1, word: str = "", timeout_s: float = 30.0) -> None:
        """Wait until its journal has so many lines of a kind with a word in them."""
        self.until(lambda: self.lines(kind, word) >= count, f"to write {count} x {kind} {word}", timeout_s)

    def until_order(self, state: AttemptState, timeout_s: float = 30.0) -> None:
        """Wait until its store has an order in a state."""

        def seen() -> bool:
            if not (self._folder / "tradecore.db").exists():
                return False
            try:
                with open_reader(self._folder / "tradecore.db") as reader:
                    return bool(reader.orders(1, state=state))
            except (SchemaMismatch, StoreError):
                return False  # its tables are being made

        self.until(seen, f"to have an order that is {state}", timeout_s)

    @property
    def _folder(self) -> Path:
        assert self.state is not None, "a run that keeps nothing cannot be watched"
        return self.state

    def until(self, seen: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        """Wait until something has been seen; `what` ends the sentence of a failure that it never was."""
        end = time.monotonic() + timeout_s
        while not seen():
            if not self.running:
                raise AssertionError(f"expected it {what}, had ended: {self.wait()}")
            if time.monotonic() > end:
                raise AssertionError(f"expected it {what} within {timeout_s} s")
            time.sleep(0.01)


def holder(folder: Path) -> int | None:
    """The process that wrote its id into the folder's lock; ``None`` where nobody has."""
    try:
        found = re.match(r"pid (\d+)", (folder / _LOCK).read_text())
    except FileNotFoundError:
        return None
    return int(found.group(1)) if found else None


def lines_of(folder: Path, kind: str, word: str = "") -> int:
    """Count journal lines of a kind with a word in them, without waiting for whoever writes them."""
    mark, wanted = f'"kind":"{kind}"'.encode(), word.encode()
    return sum(
        1
        for file in (folder / "journal").glob("*/*.jsonl")
        for line in file.read_bytes().splitlines()
        if mark in line and wanted in line
    )
