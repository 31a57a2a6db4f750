"""Venue and bot as two processes, as a user has them: `tradecore venue serve` and `tradecore run`, and kill -9 between.

Nothing is shared but sockets and the bot's state folder; the truth comes from the venue's control endpoint.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.campaigns.bot import Bot, Ended
from tests.campaigns.checks import Market, State, after_end, after_kill, figures, under_way
from tests.campaigns.wire_stage import BUSY, hurried, write_profile
from tests.canary import KEY, SECRET_FILE
from tradecore.market.generate import GeneratedSource
from tradecore.model.instrument import Instrument
from tradecore.model.order import AttemptState
from tradecore.model.places import STORE_FILE
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.records import Truth, records_of
from tradecore.venues.twin.build import with_fees
from tradecore.venues.twin.records import OrderStatus, TwinTrade
from tradecore.venues.twin.truth import TruthEvent, TruthOrder
from tradecore.venues.twin.wire.listing import with_decimal_steps

ROOT = Path(__file__).resolve().parents[2]
_MAIN = "from tradecore.cli.main import main; main()"
_SYMBOLS = 6
_SEED = 7


class Venue:
    """``tradecore venue serve`` until it is closed.

    Args:
        wire: binance or mexc.
        folder: Keeps the venue; the profile and the keys lie beside it.
        speed: Market seconds per second of the wall.
        options: Further options of the command.
    """

    def __init__(self, wire: str, folder: Path, speed: float, *options: str) -> None:
        self.wire, self.folder, self.speed = wire, folder, speed
        folder.mkdir(parents=True, exist_ok=True)
        write_profile(folder, wire, "http://127.0.0.1:1")  # the keys; the address is known when it listens
        command = [
            "venue", "serve", "--wire", wire, "--json", "--state", str(folder / "venue"), "--seed", str(_SEED),
            "--symbols", str(_SYMBOLS), "--timeframe", "10s", "--speed", f"{speed:g}", "--key", KEY, "--secret-file",
            str(folder / "keys" / SECRET_FILE), *options,
        ]  # fmt: skip
        self._err = folder / "venue.err"
        with self._err.open("w") as err:  # a file: a pipe that nobody reads would hold the venue once it is full
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=err, text=True, env={**os.environ, "PYTHONPATH": _path()},
            )  # fmt: skip
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            self._process.wait()
            raise AssertionError(f"expected a venue that listens, was: {self._err.read_text()}")
        self.facts: dict[str, Any] = json.loads(line)
        self._token = Path(self.facts["token_file"]).read_text().strip()
        self.profile = write_profile(folder, wire, self.facts["base_url"])
        fee_in: Any = "base"
        source = GeneratedSource(_SEED, _SYMBOLS, 10_000)
        instruments = with_fees(source.instruments, Decimal(10), Decimal(10), fee_in)
        self.instruments: Mapping[str, Instrument] = (
            with_decimal_steps(instruments) if wire == "mexc" else instruments
        )  # fmt: skip

    def control(self, method: str, path: str, **facts: Any) -> Any:
        """Ask the control endpoint."""
        request = urllib.request.Request(
            self.facts["control_url"] + path, json.dumps(facts).encode() if facts else None,
            {"Authorization": f"Bearer {self._token}"}, method=method,
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def truth(self) -> Truth:
        """What really happened, from the control endpoint."""
        found = self.control("GET", "/truth")
        orders = tuple(_order(row) for row in found["orders"])
        trades = tuple(_trade(row) for row in found["trades"])
        held = {coin: (Decimal(str(free)), Decimal(str(locked))) for coin, (free, locked) in found["balances"].items()}
        events = [TruthEvent(**row) for row in found["events"]]
        return Truth(orders, trades, held, tuple(event for event in events if event.kind == "REJECTED"))

    def options(self, for_s: int | None) -> tuple[list[str], list[str]]:
        """Options and settings of a bot that trades here."""
        sets = [*BUSY, *hurried(self.speed), f"run.speed={self.speed:g}"]
        return ["--profile", str(self.profile), "--for", f"{for_s or 1_000_000}s"], sets

    @property
    def complaints(self) -> str:
        """What it wrote to its error stream, and how it ended where it should not have; empty where all is well."""
        code = self._process.poll()
        return self._err.read_text()[-2000:] + (f"ended by itself: {code}" if code is not None else "")

    def close(self) -> None:
        """End it; may be called twice."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Venue:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])])


def _order(row: Mapping[str, Any]) -> TruthOrder:
    facts = dict(row)
    amounts = {name: Decimal(str(facts[name])) for name in ("price", "quantity", "executed", "executed_quote")}
    kinds = {"side": Side(facts["side"]), "time_in_force": TimeInForce(facts["time_in_force"])}
    return TruthOrder(**{**facts, **amounts, **kinds, "status": OrderStatus(facts["status"])})


def _trade(row: Mapping[str, Any]) -> TwinTrade:
    facts = dict(row)
    amounts = {name: Decimal(str(facts[name])) for name in ("price", "quantity", "quote", "fee")}
    return TwinTrade(**{**facts, **amounts, "side": Side(facts["side"])})


def state_at(venue: Venue, folder: Path) -> State | None:
    """What a bot left, beside the venue's truth; ``None``: it was killed before it had a store."""
    if not (folder / STORE_FILE).exists():
        return None
    return State(folder, records_of(folder / STORE_FILE), venue.truth())


def one_session(venue: Venue, folder: Path, for_s: int) -> tuple[Ended, list[str]]:
    """Trade once from start to end, and say what was found."""
    options, sets = venue.options(for_s)
    with Bot(folder, options, sets, env={"PYTHONPATH": _path()}) as bot:
        ended = bot.wait(120.0)
    found = [] if ended.code == 0 and not ended.traceback else [f"exit {ended.code}: {ended.err[-2000:]}"]
    return ended, [*found, *_at_end(venue, folder, ended)]


def _at_end(venue: Venue, folder: Path, ended: Ended) -> list[str]:
    state = state_at(venue, folder)
    if state is None:
        return ["no state was left"]
    found = _sorted(after_end(state, Market(venue.instruments, "mine")))
    summary = ended.summary if ended.out.startswith("{") else {}
    for key, wanted in (
        ("pending_intents", 0), ("reserved", "0"), ("ledger_balanced", True), ("unexplained_drift", "0"),
    ):  # fmt: skip
        if summary.get(key) != wanted:
            found.append(f"summary: expected {key} {wanted}, was {summary.get(key)}")
    return found


def _sorted(found: Sequence[str]) -> list[str]:
    """Leave out what only says that two processes have two clocks."""
    return [text for text in found if "before its SENDING" not in text]


#: Orders that stand for a while, and answers that get lost: a kill finds work under way.
UNDER_WAY = ('exec_ioc_gtc.steps=[{time_in_force="GTC", premium_bps=0, attempts=3, ttl_ms=15000}]',)
KILL_FAULTS = ("no_liquidity:0.7", "lost_ack:0.2", "read_lag:0.3:4000")


def kill_and_start(
    wire: str, folder: Path, kills: int, *, seed: int = 1, speed: float = 20.0, tail_s: float = 3.0
) -> dict[str, Any]:
    """Kill the bot with SIGKILL at random moments of its trading and start it again; then let it end by itself.

    Returns:
        Figures, and all that was found.
    """
    draw, found, busy = random.Random(seed), list[str](), Counter[str]()
    began = time.monotonic()
    asked = [part for name in KILL_FAULTS for part in ("--fault", name)]
    with Venue(wire, folder, speed, *asked) as venue:
        options, sets = venue.options(None)
        sets += UNDER_WAY
        state_folder = folder / "state"
        for number in range(1, kills + 1):
            with Bot(state_folder, options, sets, env={"PYTHONPATH": _path()}) as bot:
                if number == 1:
                    bot.until_order(AttemptState.OPEN, 60.0)
                else:
                    bot.until_event("session_started", number, timeout_s=60.0)
                time.sleep(draw.uniform(0.0, 2.5))
                bot.kill()
            state = state_at(venue, state_folder)
            assert state is not None, "it had an order"
            found += [
                f"kill {number}: {text}" for text in _sorted(after_kill(state, Market(venue.instruments, "mine")))
            ]
            busy.update(under_way(state))
        venue.control("DELETE", "/faults")
        with Bot(state_folder, options, sets, env={"PYTHONPATH": _path()}) as bot:
            bot.until_event("session_started", kills + 1, timeout_s=60.0)
            time.sleep(tail_s)
            bot.send(signal.SIGTERM)
            ended = bot.wait(60.0)
        if ended.code or ended.traceback:
            found.append(f"the end: expected exit 0, was {ended.code}: {ended.err[-2000:]}")
        found += [f"the end: {text}" for text in _at_end(venue, state_folder, ended)]
        last = state_at(venue, state_folder)
        assert last is not None
        if venue.complaints:
            found.append(f"the venue: {venue.complaints}")
    return {
        "wire": wire, "kills": kills, "summary": ended.summary if ended.out.startswith("{") else {},
        "under_way_at_kills": dict(sorted(busy.items())), **figures(last),
        "wall_s": round(time.monotonic() - began, 1), "findings": found,
    }  # fmt: skip
