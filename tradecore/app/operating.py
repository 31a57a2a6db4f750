"""Operators' channels: guests that may look at the run, and command it by the same rows as the command line (R49, R54).

A view is read out of the engine's books, which change between two steps of the loop only. A command is a row that the
engine polls: whatever becomes of the guest, it is carried out once or not at all, and its name stands in the journal.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tradecore.engine.desk import Desk
from tradecore.errors import OperatorRefused
from tradecore.journal.why import Why, why
from tradecore.model.intent import IntentRow
from tradecore.model.order import ATTEMPT_UNPROVEN, Attempt
from tradecore.model.portfolio import Portfolio
from tradecore.model.records import Command, TradingRecord
from tradecore.ports.operate import RIGHT_OF, Because, Blocked

_COMMANDS_A_MINUTE: Final = 30
_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_YEAR_S: Final = 31_622_400
_SYMBOL_MAX: Final = 40
_NAME_MAX: Final = 130
"""Characters of a plugin, a dot and a hook."""
_ACTOR_MAX: Final = 80
_REASON_MAX: Final = 300
_REASONS_MAX: Final = 20
_FLUSH_S: Final = 1.0


class Reading:
    """Reads the journal beside the loop, one question after the other; on virtual time where it stands."""

    def __init__(self, journal: Path) -> None:
        self._journal: Final = journal
        self._threads: ThreadPoolExecutor | None = None

    async def why(self, desk: Desk, symbol: str, span_ms: int) -> Why:
        """Sum up what became of candidates.

        Raises:
            DataError: A day's file cannot be read.
        """
        now_ms = desk.clock.now_ms()
        await desk.journal.flush(_FLUSH_S)
        span = (now_ms - span_ms, now_ms + 1)
        if desk.clock.virtual:
            return why(self._journal, *span, symbol or None)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="tradecore-operate")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, why, self._journal, *span, symbol or None)

    def close(self) -> None:
        """Let go of the thread; a question under way is not waited for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


class GuestOperates:
    """One guest's views and commands (``ports/operate.py``).

    Args:
        desk: The engine's.
        portfolio: Makes the picture of the account.
        plugin: The guest; stands before every actor.
        rights: What it may.
        reading: Reads the journal.
    """

    def __init__(
        self, desk: Desk, portfolio: Callable[[], Portfolio], plugin: str, rights: frozenset[str], reading: Reading
    ) -> None:  # fmt: skip
        self._desk: Final = desk
        self._portfolio: Final = portfolio
        self._plugin: Final = plugin
        self._rights: Final = rights
        self._reading: Final = reading
        self._asked_ms: Final[deque[int]] = deque()

    @property
    def rights(self) -> frozenset[str]:
        """What the guest may."""
        return self._rights

    def portfolio(self) -> Portfolio:
        """The account now."""
        self._require("view")
        return self._portfolio()

    def trading(self) -> TradingRecord:
        """The trading state."""
        self._require("view")
        return self._desk.books.trading

    def intents(self) -> Sequence[IntentRow]:
        """Live intents, oldest first."""
        self._require("view")
        return sorted(self._desk.books.intents.values(), key=lambda row: row.intent.created_ms)

    def unknown(self) -> Sequence[Attempt]:
        """Orders without proof."""
        self._require("view")
        found = [attempt for attempt in self._desk.books.attempts.values() if attempt.state in ATTEMPT_UNPROVEN]
        return sorted(found, key=lambda attempt: attempt.prepared_ms)

    def quarantines(self) -> Mapping[str, str]:
        """``plugin.hook`` to its last fault."""
        self._require("view")
        return self._quarantines()

    def _quarantines(self) -> dict[str, str]:
        return {
            ".".join(key.split("/")[1:3]): fact.text
            for key, fact in self._desk.books.memory.items()
            if key.startswith("quarantine/") and fact.text
        }

    async def why(self, symbol: str = "", span_ms: int = _DAY_MS) -> Because:
        """Say why candidates became no trades."""
        self._require("view")
        found = await self._reading.why(self._desk, symbol, max(1, min(span_ms, _DAY_MS)))
        reasons = [Blocked(cell.outcome, cell.by, cell.times) for cell in found.cells[:_REASONS_MAX]]
        refusals = [
            Blocked(one.outcome, one.by, one.times, one.limit, one.detail) for one in found.denials[:_REASONS_MAX]
        ]
        return Because(
            found.first_ms, found.last_ms, found.candidates, found.created, tuple(reasons), tuple(refusals)
        )  # fmt: skip

    async def ask(self, verb: str, argument: str, *, reason: str, actor: str) -> str:
        """Write a command."""
        if not all(type(text) is str for text in (verb, argument, reason, actor)):
            raise OperatorRefused("expected texts, was something else")
        right = RIGHT_OF.get(verb)
        if right is None:
            raise OperatorRefused(f"expected one of {', '.join(RIGHT_OF)}, was {verb!r}")
        self._require(right)
        _check_argument(verb, argument)
        if verb == "release":
            self._require_quarantine(argument)
        if not actor or len(actor) > _ACTOR_MAX or len(reason) > _REASON_MAX:
            raise OperatorRefused(f"expected an actor, and a reason of at most {_REASON_MAX} characters, was not so")
        desk = self._desk
        now_ms = desk.clock.now_ms()
        while self._asked_ms and self._asked_ms[0] <= now_ms - _MINUTE_MS:
            self._asked_ms.popleft()
        if len(self._asked_ms) >= _COMMANDS_A_MINUTE:
            raise OperatorRefused(f"expected at most {_COMMANDS_A_MINUTE} commands a minute, was one more")
        self._asked_ms.append(now_ms)
        command = Command(desk.ids.new("command"), verb, argument, reason, f"{self._plugin}/{actor}")
        async with desk.transaction() as work:
            work.put(command)
        return command.command_id

    def _require(self, right: str) -> None:
        if right not in self._rights:
            raise OperatorRefused(f"{self._plugin}: expected the right {right!r}, had {sorted(self._rights)}")
        if self._desk.stopping and right != "view":
            raise OperatorRefused(f"expected a run that goes on, was ending: {self._desk.stopping}")

    def _require_quarantine(self, wanted: str) -> None:
        """Refuse to release what is not in quarantine: a prefix of a name would lift more than was meant.

        Raises:
            OperatorRefused: Naming what is.
        """
        held = sorted(self._quarantines())
        if wanted not in held and wanted not in {name.partition(".")[0] for name in held}:
            there = ", ".join(held) or "none"
            raise OperatorRefused(
                f"release: expected a plugin or plugin.hook in quarantine ({there}), was {wanted[:_NAME_MAX]!r}"
            )


def _check_argument(verb: str, argument: str) -> None:
    """Refuse what the engine would not understand.

    Raises:
        OperatorRefused: Naming what was expected.
    """
    if verb in {"exit", "unlock", "release"}:
        longest, expected = (
            (_NAME_MAX, "a plugin or plugin.hook") if verb == "release" else (_SYMBOL_MAX, "a symbol or all")
        )
        fits = 0 < len(argument) <= longest and argument.isascii() and argument.isprintable()
    elif verb in {"resume", "stop"}:
        fits, expected = argument == "", "no argument"
    else:
        digits = argument.isascii() and argument.isdigit() and len(argument) <= 9
        fits = argument == "" or (digits and 0 < int(argument) <= _YEAR_S)
        expected = "whole seconds up to a year, or nothing"
    if not fits:
        raise OperatorRefused(f"{verb}: expected {expected}, was {argument[:_SYMBOL_MAX]!r}")
