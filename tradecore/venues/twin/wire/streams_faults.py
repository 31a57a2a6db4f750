"""Faults of what is pushed (catalogue F13, F14), by name: ``stream_`` for an account's stream, ``feed_`` for quotes.

After a reconnect nothing is pushed again, faults or not: venues do not replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tradecore.venues.twin.faults import FaultKind

STREAM: Final = "stream"
"""Pushes of orders, trades and balances."""
FEED: Final = "feed"
"""Pushes of market data."""
_KINDS: Final = (
    ("refused", "a websocket is refused with 503 at the door", 0.0, ""),
    ("dropped", "an event is never pushed", 0.0, ""),
    ("duplicated", "an event is pushed twice", 0.0, ""),
    ("swapped", "an event is pushed after the one that follows it", 0.0, ""),
    ("late", "an event is pushed so much later", 1_000.0, "ms"),
    ("garbage", "an event is pushed as something that cannot be read", 0.0, ""),
    ("cut", "the connection is cut instead of an event", 0.0, ""),
    ("half_open", "from this event on the connection neither hears nor says anything", 0.0, ""),
    ("silent", "from this event on the connection pushes nothing; pings are answered", 0.0, ""),
)  # fmt: skip
_TERMINATED: Final = FaultKind("stream_terminated", frozenset({STREAM}), "the venue ends the subscription by an event")
STREAM_FAULTS: Final[Mapping[str, FaultKind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in [
            *(
                FaultKind(
                    f"{side}_{name}", frozenset({f"{side}_door" if name == "refused" else side}),
                    f"{text} ({'account' if side == STREAM else 'market data'})", default, unit,
                )
                for side in (STREAM, FEED)
                for name, text, default, unit in _KINDS
            ),
            _TERMINATED,
        ]
    }
)  # fmt: skip
