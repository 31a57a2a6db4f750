"""A stand-in for what an operator's channel is handed: fixed views, commands kept in a list (``ports/operate.py``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.errors import OperatorRefused
from tradecore.model.intent import IntentRow
from tradecore.model.order import Attempt
from tradecore.model.portfolio import Portfolio, TradingState
from tradecore.model.records import TradingRecord
from tradecore.ports.operate import RIGHT_OF, RIGHTS, Because, Blocked


class Asked(NamedTuple):
    """One command that a guest asked for."""

    verb: str
    argument: str
    reason: str
    actor: str


def empty_portfolio(now_ms: int = 0, equity: Decimal = Decimal(1000)) -> Portfolio:
    """An account that holds nothing but money."""
    zero = Decimal(0)
    state = TradingState.ACTIVE
    return Portfolio(
        now_ms, "USDT", state, equity, equity, equity, equity, zero, zero, (), (), (), 0, 0, {}, {}, (), {}
    )  # fmt: skip


class StandInOperate:
    """Answers views from its attributes and keeps commands.

    Args:
        rights: What the guest may.
        portfolio: The account; ``None``: an empty one.
    """

    def __init__(self, rights: frozenset[str] = frozenset(RIGHTS), portfolio: Portfolio | None = None) -> None:
        self.asked: Final[list[Asked]] = []
        self.account = portfolio or empty_portfolio()
        self.state = TradingRecord(TradingState.ACTIVE, "core", "first start", 0)
        self.live: Sequence[IntentRow] = ()
        self.unproven: Sequence[Attempt] = ()
        self.held: Mapping[str, str] = {}
        self.because = Because(0, 300_000, 10, 1, (Blocked("THRESHOLD_NOT_MET", "core", 9),), ())
        self._rights: Final = rights

    @property
    def rights(self) -> frozenset[str]:
        """What the guest may."""
        return self._rights

    def portfolio(self) -> Portfolio:
        """The account."""
        return self.account

    def trading(self) -> TradingRecord:
        """The trading state."""
        return self.state

    def intents(self) -> Sequence[IntentRow]:
        """Live intents."""
        return self.live

    def unknown(self) -> Sequence[Attempt]:
        """Orders without proof."""
        return self.unproven

    def quarantines(self) -> Mapping[str, str]:
        """Quarantined hooks."""
        return self.held

    async def why(self, symbol: str = "", span_ms: int = 86_400_000) -> Because:
        """Why there were no more trades."""
        return self.because

    async def ask(self, verb: str, argument: str, *, reason: str, actor: str) -> str:
        """Keep a command.

        Raises:
            OperatorRefused: The guest has not the right.
        """
        if RIGHT_OF.get(verb) not in self._rights:
            raise OperatorRefused(f"expected the right for {verb!r}, had {sorted(self._rights)}")
        self.asked.append(Asked(verb, argument, reason, actor))
        return f"command-{len(self.asked)}"
