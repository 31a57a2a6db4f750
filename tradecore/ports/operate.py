"""What stands between an operator's channel (a chat, a web page) and the engine: views, and commands as rows.

A guest that declares `operates` and is named in ``run.operators`` is handed one of these at its start. It never sees
engine, store or venue: what it asks for becomes the same row that `tradecore halt` writes, with its name on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from tradecore.model.intent import IntentRow
from tradecore.model.order import Attempt
from tradecore.model.portfolio import Portfolio
from tradecore.model.records import TradingRecord

RIGHTS: Final = ("view", "control", "money")
"""What a guest may be handed: to look; to shut entries and open them again; to have positions sold or left alone."""
RIGHT_OF: Final[Mapping[str, str]] = {
    "halt": "control", "reduce": "control", "resume": "control", "release": "control", "unlock": "control",
    "exit": "money", "stop": "money",
}  # fmt: skip
"""Verb of a command to the right that it needs; no other verb is taken from a guest. `stop` needs the highest: after it
nobody watches the stops of open positions, and nobody outside can start the run again."""


class Blocked(NamedTuple):
    """One reason why candidates became no trades."""

    outcome: str
    by: str
    """The guest that decided, or ``core``."""
    times: int
    limit: str = ""
    """What refused a signal, as ``spread_bps``; empty where no signal was met or nothing was measured."""
    detail: str = ""


class Because(NamedTuple):
    """Why there were no more trades in a span of time."""

    first_ms: int
    last_ms: int
    candidates: int
    created: int
    """Candidates that became intents."""
    reasons: tuple[Blocked, ...]
    """What became of candidates, the most frequent first."""
    refusals: tuple[Blocked, ...]
    """Signals that were met and refused, the most frequent first."""


class Operate(Protocol):
    """Views of the run, and commands to it. Values are frozen; nothing here waits for the venue."""

    @property
    def rights(self) -> frozenset[str]:
        """Those out of `RIGHTS` that the guest has."""

    def portfolio(self) -> Portfolio:
        """The account now."""

    def trading(self) -> TradingRecord:
        """The trading state, who set it and why."""

    def intents(self) -> Sequence[IntentRow]:
        """Live intents, oldest first."""

    def unknown(self) -> Sequence[Attempt]:
        """Orders without proof of their outcome, oldest first."""

    def quarantines(self) -> Mapping[str, str]:
        """``plugin.hook`` to the fault that led there."""

    async def why(self, symbol: str = "", span_ms: int = 86_400_000) -> Because:
        """Say why candidates became no trades, from the journal.

        Args:
            symbol: Empty for all.
            span_ms: Market time up to now, ms; a day at most.
        """

    async def ask(self, verb: str, argument: str, *, reason: str, actor: str) -> str:
        """Write a command for the engine to carry out; what becomes of it is an `operator_command` event.

        Args:
            verb: One of `RIGHT_OF`.
            argument: A symbol or ``all`` for ``exit`` and ``unlock``, there also ``*`` for locks on all symbols; a
                plugin or plugin.hook that is in quarantine for ``release``; seconds of market time for ``halt`` and
                ``reduce``, empty: no end; nothing for ``resume`` and ``stop``.
            reason: Why; is written down.
            actor: Who asks, as the guest knows him; the guest's name is put before it.
        Returns:
            The command's id. It is durable then.
        Raises:
            OperatorRefused: The guest has not the right, asks too often, or asks for what no command is.
            StoreError: Nothing was written.
        """
