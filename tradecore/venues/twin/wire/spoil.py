"""Answers on their way back: what faults make of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from tradecore.venues.twin.manners import Answer
from tradecore.venues.twin.network import spoiled

_EDITS: Final = ("wrong_symbol", "wrong_types", "numbers_as_strings", "fee_coin_missing")
_AMOUNTS: Final = ("price", "origQty", "executedQty", "cummulativeQuoteQty")
_FOREIGN_SYMBOL: Final = "WRONGUSDT"


class Reply(NamedTuple):
    """What goes over the socket, and how."""

    status: int
    body: bytes
    headers: dict[str, str]
    fate: str = "sent"
    """sent, twice, cut (connection closed without a word) or hang (nothing comes)."""
    seconds: float = 0.0
    """Of a hang, market time; 0: until the client leaves."""


def cut() -> Reply:
    """The connection ends."""
    return Reply(0, b"", {}, "cut")


def hang(seconds: float = 0.0) -> Reply:
    """Nothing comes."""
    return Reply(0, b"", {}, "hang", seconds)


def page(status: int, body: str) -> Reply:
    """A page for people."""
    return Reply(status, body.encode(), {"Content-Type": "text/html; charset=utf-8"})


def reply_of(answer: Answer, hits: Mapping[str, float], headers: Mapping[str, str]) -> Reply:
    """Turn an answer into what its fate makes of it."""
    if any(name in hits for name in ("lost_ack", "cancel_lost")):
        return hang()
    if any(name in hits for name in ("cut_after_accept", "cut_answer")):
        return cut()
    status, text = spoiled(answer, hits)
    if answer.status == 200 and status == 200 and text.startswith(("{", "[")):
        text = _edited(text, hits)
    kind = "text/html; charset=utf-8" if text.startswith("<") else "application/json;charset=UTF-8"
    sent = {"Content-Type": kind, **headers}
    if answer.status == 200 and "gzip_garbage" in hits:
        return Reply(200, random.Random(0).randbytes(512), {**sent, "Content-Encoding": "gzip"})
    if answer.status == 200 and "huge_body" in hits:
        return Reply(200, b'{"padding":"' + b"x" * int(hits["huge_body"]) + b'"}', sent)
    return Reply(status, text.encode(), sent, "twice" if "duplicate_reply" in hits else "sent")


def _edited(text: str, hits: Mapping[str, float]) -> str:
    if not any(name in hits for name in _EDITS):
        return text
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text  # another fault cut it off
    for row in value if isinstance(value, list) else [value]:
        _edit(row, hits)
    return orjson.dumps(value).decode()


def _edit(row: dict[str, Any], hits: Mapping[str, float]) -> None:
    if "wrong_symbol" in hits and "symbol" in row:
        row["symbol"] = _FOREIGN_SYMBOL
    for name in _AMOUNTS:
        if "wrong_types" in hits and name in row:
            row[name] = [row[name]]
    if "numbers_as_strings" in hits:
        for name, value in row.items():
            if isinstance(value, int) and not isinstance(value, bool):
                row[name] = str(value)
    if "fee_coin_missing" in hits:
        for trade in (row, *row.get("fills", ())):
            if "commissionAsset" in trade:
                trade["commissionAsset"] = None
