"""One request as the handlers see it: parameters read with the venue's own complaints, the key, the faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from tradecore.errors import UnitError
from tradecore.model.instrument import Instrument
from tradecore.model.units import decimal_of
from tradecore.venues.twin.manners import Answer
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.dialect import Dialect
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.words import WireError, no

_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_NUMBER_TEXT: Final = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
_DECIMALS_MAX: Final = 8
"""Of an amount, where its symbol's steps need no more."""


class Params:
    """Parameters of one request, each there once.

    Args:
        wire: Whose complaints are used.
        text: Query and body as they came, ``a=1&b=2``.
    Raises:
        WireError: If a name comes twice.
    """

    def __init__(self, wire: str, text: str) -> None:
        self._wire: Final = wire
        self._values: Final[dict[str, str]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            if name in self._values:
                raise no(wire, "duplicate", name)
            self._values[name] = value

    @property
    def all(self) -> Mapping[str, str]:
        """Every parameter by name."""
        return self._values

    def get(self, name: str) -> str:
        """A parameter; empty where it was not sent."""
        return self._values.get(name, "")

    def need(self, name: str) -> str:
        """A parameter that must be there."""
        value = self._values.get(name)
        if not value:
            raise no(self._wire, "missing", name)
        return value

    def amount(self, name: str, decimals: int = 0) -> Decimal:
        """A number >= 0, exact, with at most eight decimals, or `decimals` where a symbol's steps are finer."""
        text = self.need(name)
        if not _NUMBER.fullmatch(text):
            raise no(self._wire, "illegal", name, _NUMBER_TEXT)
        value = text.rstrip("0") if "." in text else text
        if len(value.partition(".")[2]) > max(_DECIMALS_MAX, decimals):
            raise no(self._wire, "precision", name)
        try:
            return decimal_of(text)
        except UnitError as error:
            raise no(self._wire, "illegal", name, _NUMBER_TEXT) from error

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number; `default` where it was not sent, which ``None`` forbids."""
        text = self.get(name)
        if not text and default is not None:
            return default
        if not text:
            raise no(self._wire, "missing", name)
        if not _WHOLE.fullmatch(text):
            raise no(self._wire, "illegal", name, "^[0-9]{1,20}$")
        return int(text)

    def limit(self, default: int, most: int) -> int:
        """How many rows are asked for: as the venue does, more than `most` is cut, less than one refused."""
        value = self.whole("limit", default)
        if value < 1:
            raise no(self._wire, "bad_value", "limit")
        return min(value, most)


@dataclass(slots=True)
class Call:
    """One request on its way through the venue."""

    desk: WireDesk
    dialect: Dialect
    params: Params
    hits: Mapping[str, float]
    now_ms: int
    """Market time at which it reached the engine."""
    key: ApiKey | None = None
    """Whose it is; ``None`` for public data."""
    sent_ms: int = -1
    """When it says that it was sent, market time; negative where it does not say."""
    window_ms: int = 5_000
    """Longest way that it allows."""

    @property
    def wire(self) -> str:
        """``binance`` or ``mexc``."""
        return self.desk.wire

    def no(self, name: str, *facts: object) -> WireError:
        """A no in the venue's words."""
        return no(self.wire, name, *facts)

    def instrument(self, name: str = "symbol") -> Instrument:
        """The listed instrument that a parameter names."""
        found = self.desk.instrument(self.params.need(name))
        if found is None:
            raise self.no("symbol")
        return found

    def known_symbol(self) -> str:
        """The symbol that is named, one that was delisted too: its past can still be read."""
        symbol = self.desk.raw_symbols.get(self.params.need("symbol"))
        if symbol is None:
            raise self.no("symbol")
        return symbol


Handler = Callable[[Call], Answer | None]
"""What answers an endpoint; ``None``: nobody will hear an answer, the request is still on its way."""


class Endpoint(NamedTuple):
    """One thing that can be asked."""

    method: str
    path: str
    operation: str
    """Which faults can hit it: place, cancel, order, lists, trades, balances, time or data."""
    handler: Handler
    signed: bool = False
    weight: Callable[[Params], int] = lambda _: 1
    trades: bool = False
    """True where the key needs the right to trade."""
    counts: bool = True
    """False where its weight is counted elsewhere, as Binance does for sapi."""

    @property
    def name(self) -> str:
        """As ``POST /api/v3/order``."""
        return f"{self.method} {self.path}"
