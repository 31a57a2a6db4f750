"""What guests are handed cannot be changed by them: mappings become views that refuse to be written.

Values are NamedTuples and arrays are read-only already; the dicts inside of them are what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from tradecore.model.intent import Intent
from tradecore.model.portfolio import Portfolio
from tradecore.model.position import Position

_T = TypeVar("_T")
_KEPT_MAX: Final = 1_000


def read_only(mapping: Mapping[str, _T]) -> Mapping[str, _T]:
    """A view that refuses to be written; what is none already is wrapped."""
    return MappingProxyType(mapping) if type(mapping) is dict else mapping


def sealed(value: Any) -> Any:
    """A told value whose mappings and lists, however deep, refuse to be written: the same object is the books' own."""
    if isinstance(value, dict | MappingProxyType):
        return MappingProxyType({key: sealed(item) for key, item in value.items()})
    if isinstance(value, list):
        return tuple([sealed(item) for item in value])
    if isinstance(value, tuple):
        items = [sealed(item) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return value._make(items) if hasattr(value, "_make") else tuple(items)
    return value


class Freezer:
    """Remembers what it froze last, because the same positions are asked about for every candidate."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Any, Any]] = {}

    def position(self, position: Position) -> Position:
        """A position whose memo, dust taken along and inputs refuse to be written."""
        if not any(type(held) is dict for held in (position.memo, position.taken, position.levels.inputs)):
            return position
        kept = self._kept.get(id(position))
        # The pair holds the original, so that its id cannot have gone to another object meanwhile.
        if kept is not None and kept[0] is position:
            frozen: Position = kept[1]
            return frozen
        levels = position.levels._replace(inputs=read_only(position.levels.inputs))
        made = position._replace(levels=levels, memo=read_only(position.memo), taken=read_only(position.taken))
        return self._keep(position, made)

    def intent(self, intent: Intent) -> Intent:
        """An intent whose caps refuse to be written."""
        if type(intent.caps) is not dict:
            return intent
        kept = self._kept.get(id(intent))
        if kept is not None and kept[0] is intent:
            frozen: Intent = kept[1]
            return frozen
        return self._keep(intent, intent._replace(caps=read_only(intent.caps)))

    def portfolio(self, portfolio: Portfolio) -> Portfolio:
        """A portfolio whose mappings, positions and pending intents refuse to be written."""
        kept = self._kept.get(id(portfolio))
        if kept is not None and kept[0] is portfolio:
            frozen: Portfolio = kept[1]
            return frozen
        made = portfolio._replace(
            positions=tuple([self.position(position) for position in portfolio.positions]),
            pending=tuple([self.intent(intent) for intent in portfolio.pending]),
            dust=read_only(portfolio.dust),
            fill_rate_24h=read_only(portfolio.fill_rate_24h),
            marks=read_only(portfolio.marks),
            quote_rates=read_only(portfolio.quote_rates),
        )
        return self._keep(portfolio, made)

    def _keep(self, original: _T, frozen: _T) -> _T:
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept[id(original)] = (original, frozen)
        return frozen
