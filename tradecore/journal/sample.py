"""Trace sampling: keep a share of the tracer events, evenly and without chance (R25)."""

from __future__ import annotations

from typing import Any, Final

from tradecore.errors import SettingsError
from tradecore.model.events import REGISTRY, Taxonomy

_TRACED: Final = frozenset(kind.schema for kind in REGISTRY.values() if kind.taxonomy is Taxonomy.TRACER)
_WHOLE: Final = 1_000_000


class Sampler:
    """Keeps every n-th event of each tracer kind, and all others.

    Each kind is counted for itself: two kinds that take turns would else hide one of them for good.

    Args:
        share: 0 (none) to 1 (all).
    Raises:
        SettingsError: If `share` lies outside.
    """

    def __init__(self, share: float) -> None:
        if not 0 <= share <= 1:
            raise SettingsError(f"expected a trace sample from 0 to 1, was {share}")
        self._share = round(share * _WHOLE)
        self._levels: dict[type[Any], int] = {}

    def keep(self, event: Any) -> bool:
        """Tell whether this event is one to keep."""
        if self._share == _WHOLE or type(event) not in _TRACED:
            return True
        level = self._levels.get(type(event), 0) + self._share
        kept = level >= _WHOLE
        self._levels[type(event)] = level - _WHOLE if kept else level
        return kept
