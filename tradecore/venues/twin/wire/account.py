"""Balances, rights and fees of the account, and Binance's other signed reads that ccxt asks by default."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tradecore.model.units import BPS, times
from tradecore.venues.twin.manners import Answer
from tradecore.venues.twin.wire.binance import BinanceDialect
from tradecore.venues.twin.wire.call import Call
from tradecore.venues.twin.wire.public import plain

_ZERO: Final = (Decimal(0), Decimal(0))


def _fees(call: Call) -> tuple[Decimal, Decimal]:
    """Maker and taker fee as ratios, of the first symbol: one plan is in force for all."""
    item = next(iter(call.desk.market.instruments.values()))
    return times(item.maker_fee_bps, BPS), times(item.taker_fee_bps, BPS)


def account(call: Call) -> Answer:
    """Balances, as far as the account's copy has come, and rights."""
    desk = call.desk
    lag_ms = max(desk.lag.balance_ms, int(call.hits.get("balance_lag", 0)))
    balances = desk.reads.balances(call.now_ms - lag_ms, call.now_ms)
    if call.params.get("omitZeroBalances") != "true":
        coins = {coin for item in desk.listed() for coin in (item.base, item.quote)}
        balances = {**dict.fromkeys(coins if call.wire == "binance" else (), _ZERO), **balances}
    assert call.key is not None, "the account is read with a key"
    return plain(call.dialect.account(call.key, balances, call.now_ms - lag_ms, _fees(call)))


def restrictions(call: Call) -> Answer:
    """What the key may do (Binance)."""
    assert call.key is not None, "rights are read with a key"
    return plain(BinanceDialect.restrictions(call.key, call.desk.market.open_ms))


def coins(call: Call) -> Answer:
    """All coins with what the account holds of them (capital/config/getall)."""
    desk = call.desk
    held = desk.reads.balances(call.now_ms, call.now_ms)
    names = sorted({coin for item in desk.listed() for coin in (item.base, item.quote)} | set(held))
    if call.wire == "mexc":
        return plain([{"coin": name, "name": name, "networkList": []} for name in names])
    return plain([BinanceDialect.coin(name, held.get(name, _ZERO)) for name in names])


def trade_fee(call: Call) -> Answer:
    """Fees of symbols: Binance's sapi list, MEXC's object."""
    desk = call.desk
    if call.wire == "mexc":
        item = call.instrument()
        data = {
            "makerCommission": float(times(item.maker_fee_bps, BPS)),
            "takerCommission": float(times(item.taker_fee_bps, BPS)),
        }
        return plain({"data": data, "code": 0, "msg": "success", "timestamp": desk.now_ms()})
    items = [call.instrument()] if call.params.get("symbol") else desk.listed()
    number = call.dialect.number
    return plain(
        [
            {
                "symbol": desk.manners.raw_symbol(item.symbol),
                "makerCommission": number(times(item.maker_fee_bps, BPS)),
                "takerCommission": number(times(item.taker_fee_bps, BPS)),
            }
            for item in items
        ]
    )


def nothing(call: Call) -> Answer:
    """An empty list: margin pairs and the like, which the twin does not have."""
    return plain([])
