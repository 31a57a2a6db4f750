"""Faults that only a wire can have: sockets, encodings, keys, and words of one venue.

They add to those of `twin/faults.py`; both are asked for by name at the control port. Operations: place, cancel,
order, lists, trades, balances, time, data, as there, and ``stream`` for what is pushed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tradecore.venues.twin.faults import FaultKind

_PLACE: Final = frozenset({"place"})
_CANCEL: Final = frozenset({"cancel"})
_ORDER: Final = frozenset({"order"})
_SIGNED: Final = frozenset({"place", "cancel", "order", "lists", "trades", "balances"})
_ALL: Final = _SIGNED | {"time", "data"}
_TRADES: Final = frozenset({"trades"})

_KINDS: Final = (
    # The request does not reach the engine.
    FaultKind("hang", _ALL, "nothing is done; the connection stays open so long without an answer", 3_600, "s"),
    FaultKind("cut_request", _ALL, "connection cut before the request arrives"),
    FaultKind("refused_with", _ALL, "nothing is done; answers with this code, sign left out", 1_000, "code"),
    FaultKind("key_revoked", _SIGNED, "the key is no longer valid"),
    FaultKind("ip_changed", _SIGNED, "the address is not on the key's list"),
    FaultKind("permission_removed", _SIGNED, "the key lacks the permission"),
    # The request takes its time; whoever still waits is answered.
    FaultKind("slow_request", _ALL, "the request travels so long", 1_000, "ms"),
    FaultKind("slow_engine", _PLACE, "let in, then waits so long before the engine", 1_000, "ms"),
    FaultKind("slow_answer", _ALL, "done, the answer travels so long", 1_000, "ms"),
    # The engine does something else than was asked.
    FaultKind("split_fills", _PLACE, "each level is filled in so many trades", 20, "trades"),
    FaultKind("cancel_partly_filled", _CANCEL, "a share is filled just before; the answer hides it", 0.5, "share"),
    # The engine did it; the answer is broken.
    FaultKind("cut_answer", _ALL, "done, connection cut without an answer"),
    FaultKind("accepted_with", _PLACE | _CANCEL, "done; answers with this code, sign left out", 1_006, "code"),
    FaultKind("gzip_garbage", _ALL, "done, 200 with a body that is not the gzip it says"),
    FaultKind("huge_body", _ALL, "done, 200 with a body of so many bytes", 10_000_000, "bytes"),
    FaultKind("duplicate_reply", _ALL, "done, the answer comes twice"),
    FaultKind("wrong_symbol", _PLACE | _ORDER, "answer names another symbol"),
    FaultKind("wrong_types", _PLACE | _ORDER, "amounts of the answer are lists"),
    FaultKind("numbers_as_strings", _PLACE | _ORDER, "whole numbers of the answer are texts"),
    FaultKind("fee_coin_missing", _PLACE | _TRADES, "trades do not name the coin of their fee"),
)  # fmt: skip
WIRE_FAULTS: Final[Mapping[str, FaultKind]] = MappingProxyType({kind.name: kind for kind in _KINDS})
