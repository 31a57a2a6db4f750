"""Deposits and withdrawals of the account, as both wires list them.

Source: Binance ``GET /sapi/v1/capital/deposit/hisrec`` and ``.../withdraw/history``; MEXC ``GET
/api/v3/capital/deposit/hisrec`` and ``.../withdraw/history``; samples in ccxt 4.5.90, binance.py and mexc.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from tradecore.model.units import canonical
from tradecore.venues.twin.manners import Answer
from tradecore.venues.twin.wire.call import Call
from tradecore.venues.twin.wire.public import plain

_SPAN_MS: Final = 90 * 86_400_000
_MOST: Final = 1_000
_Row = tuple[int, int, str, Decimal]


def deposits(call: Call) -> Answer:
    """Coins that came, newest first."""
    make = _mexc_deposit if call.wire == "mexc" else _binance_deposit
    return plain([make(row) for row in _asked(call) if row[3] > 0][: _limit(call)])


def withdrawals(call: Call) -> Answer:
    """Coins that went, newest first."""
    make = _mexc_withdrawal if call.wire == "mexc" else _binance_withdrawal
    return plain([make(row) for row in _asked(call) if row[3] < 0][: _limit(call)])


def _limit(call: Call) -> int:
    return call.params.limit(_MOST, _MOST)


def _asked(call: Call) -> Iterable[_Row]:
    """Rows of the coin and the stretch of time that are asked for; 90 days where none is named."""
    params = call.params
    until_ms = params.whole("endTime", call.now_ms)
    since_ms = params.whole("startTime", max(0, until_ms - _SPAN_MS))
    if until_ms - since_ms > _SPAN_MS or until_ms < since_ms:
        raise call.no("bad_value", "startTime")
    coin = params.get("coin")
    rows = call.desk.engine.state.transfers(since_ms)
    return [row for row in reversed(rows) if row[1] <= until_ms and coin in ("", row[2])]


def _hash(number: int) -> str:
    """An id as chains make them; the same number has always the same."""
    return hashlib.blake2b(f"transfer {number}".encode(), digest_size=32).hexdigest()


def _binance_deposit(row: _Row) -> dict[str, Any]:
    number, at_ms, coin, amount = row
    return {
        "id": str(769_800_519_366_885_376 + number), "amount": canonical(amount), "coin": coin, "network": coin,
        "status": 1, "address": "twin", "addressTag": "", "txId": _hash(number), "insertTime": at_ms,
        "completeTime": at_ms, "transferType": 0, "confirmTimes": "1/1", "unlockConfirm": 0, "walletType": 0,
    }  # fmt: skip


def _binance_withdrawal(row: _Row) -> dict[str, Any]:
    number, at_ms, coin, amount = row
    moment = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    return {
        "id": _hash(number)[:32], "amount": canonical(amount.copy_negate()), "transactionFee": "0", "coin": coin,
        "status": 6, "address": "twin", "txId": _hash(number), "applyTime": moment, "network": coin,
        "transferType": 0, "info": "", "confirmNo": 1, "walletType": 0, "txKey": "", "completeTime": moment,
    }  # fmt: skip


def _mexc_deposit(row: _Row) -> dict[str, Any]:
    number, at_ms, coin, amount = row
    return {
        "amount": canonical(amount), "coin": coin, "network": coin, "status": 5, "address": "twin",
        "txId": f"{_hash(number)}:0", "insertTime": at_ms, "unlockConfirm": "1", "confirmTimes": "1", "memo": None,
        "transHash": _hash(number), "updateTime": at_ms, "netWork": coin,
    }  # fmt: skip


def _mexc_withdrawal(row: _Row) -> dict[str, Any]:
    number, at_ms, coin, amount = row
    return {
        "id": _hash(number)[:32], "txId": f"{_hash(number)}:0", "coin": coin, "network": coin, "address": "twin",
        "amount": canonical(amount.copy_negate()), "transferType": 0, "status": 7, "transactionFee": "0",
        "confirmNo": None, "applyTime": at_ms, "remark": "", "memo": None, "explorerUrl": "",
        "transHash": _hash(number), "updateTime": at_ms, "netWork": coin,
    }  # fmt: skip
