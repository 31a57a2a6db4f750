"""Deposits and withdrawals as evidence: what the lists say is read exactly, what they do not say is no zero (R46)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.venues.wire.conftest import DAY_MS, KEY, SECRET, Wire
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.ports.venue import CoinTransfer
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.open import open_ccxt
from tradecore.venues.limiter import RequestLimiter

D = Decimal
DEPOSITS, WITHDRAWALS = r"capital/deposit/hisrec", r"capital/withdraw/history"
#: Samples in ccxt 4.5.90, binance.py and mexc.py.
BINANCE_CAME = {
    "id": "769800519366885376", "amount": "0.018444870000000001", "coin": "BCH", "network": "BCH", "status": 1,
    "address": "1NYxAJhW2281HK1KtJeaENBqHeygA88FzR", "addressTag": "", "txId": "bafc59", "insertTime": 1699784980000,
    "transferType": 0, "confirmTimes": "2/2",
}  # fmt: skip
BINANCE_WENT = {
    "id": "69e53ad305124b96b43668ceab158a18", "amount": "28.75", "transactionFee": "0.25", "coin": "XRP", "status": 6,
    "address": "r3T7", "addressTag": "101286922", "txId": "19A5B24E", "applyTime": "2023-11-12 09:09:16",
    "network": "XRP", "transferType": 0,
}  # fmt: skip
MEXC_CAME = {
    "amount": "10", "coin": "USDC-TRX", "network": "TRX", "status": "5", "address": "TSMc", "txId": "51a8f49e:0",
    "insertTime": "1699805021000", "unlockConfirm": "200", "confirmTimes": "203", "memo": "xxyy1122",
    "transHash": "51a8f49e", "updateTime": "1664805621000", "netWork": "TRX",
}  # fmt: skip
MEXC_WENT = {
    "id": "adcd1c8322154de691b815eedcd10c42", "txId": "0xc8c918cd:0", "coin": "USDC-MATIC", "network": "MATIC",
    "address": "0xeE6C", "amount": "2", "transferType": "0", "status": "7", "transactionFee": "1", "confirmNo": None,
    "applyTime": "1699882739000", "remark": "", "memo": None, "explorerUrl": "https://example.org",
    "transHash": "0xc8c918cd", "updateTime": "1664882799000", "netWork": "MATIC",
}  # fmt: skip


def asked(opened, exchange, came, went, since_ms=0):
    one = opened(exchange)
    one.script.on(DEPOSITS, came)
    one.script.on(WITHDRAWALS, went)
    found = one.run(one.venue.transfers(since_ms))
    return one, found


def test_r46_binance_rows_are_read_exactly(opened):
    _, found = asked(opened, "binance", [BINANCE_CAME], [BINANCE_WENT])
    assert found == [
        CoinTransfer("69e53ad305124b96b43668ceab158a18", "XRP", D("-28.75"), D("0.25"), 1_699_780_156_000),
        CoinTransfer("769800519366885376", "BCH", D("0.018444870000000001"), D(0), 1_699_784_980_000),
    ]  # fmt: skip


def test_r46_mexc_rows_are_read_exactly_its_fee_beside_the_amount(opened):
    _, found = asked(opened, "mexc", [MEXC_CAME], [MEXC_WENT])
    assert found == [
        CoinTransfer("51a8f49e:0", "USDC", D(10), D(0), 1_699_805_021_000),
        CoinTransfer("adcd1c8322154de691b815eedcd10c42", "USDC", D(-1), D(1), 1_699_882_739_000),
    ]  # fmt: skip


@pytest.mark.parametrize("exchange", ["binance", "mexc"])
def test_r46_no_rows_are_an_answer_and_no_list_is_none(opened, exchange):
    assert asked(opened, exchange, [], [])[1] == []
    for came, went in (({}, []), ([], {}), ("", []), ([], "<html>busy</html>")):
        with pytest.raises(RetryableVenueError):
            asked(opened, exchange, came, went)


@pytest.mark.parametrize(
    ("row", "counts"),
    [
        (BINANCE_CAME | {"status": 0}, False),  # under way: not in the balance
        (BINANCE_CAME | {"status": 6}, True),  # credited, though it cannot be withdrawn
        (BINANCE_CAME | {"status": 99}, False),  # nobody knows what it means
        (BINANCE_CAME | {"id": None, "txId": None}, False),
        (BINANCE_CAME | {"id": None}, True),
    ],
)
def test_r46_only_what_moved_the_balance_and_has_a_name_counts(opened, row, counts):
    assert len(asked(opened, "binance", [row], [])[1]) == counts


@pytest.mark.parametrize(("status", "counts"), [(0, 1), (1, 0), (2, 1), (3, 0), (4, 1), (5, 0), (6, 1)])
def test_r46_a_withdrawal_counts_from_when_it_is_asked_for_until_it_is_called_off(opened, status, counts):
    assert len(asked(opened, "binance", [], [BINANCE_WENT | {"status": status}])[1]) == counts


def test_r46_an_amount_that_is_none_is_no_answer(opened):
    for amount in (None, "", "NaN", "-1"):
        with pytest.raises(RetryableVenueError):
            asked(opened, "binance", [BINANCE_CAME | {"amount": amount}], [])


def test_r46_rows_told_twice_are_one_and_rows_that_share_a_transaction_are_two(opened):
    other = MEXC_CAME | {"amount": "11"}
    _, found = asked(opened, "mexc", [MEXC_CAME, other, MEXC_CAME], [])
    assert [(one.transfer_id, one.amount) for one in found] == [
        ("51a8f49e:0", 10), ("51a8f49e:0@1699805021000/11", 11),
    ]  # fmt: skip


def test_r46_a_key_without_the_right_is_told_as_refused(opened):
    one = opened("binance")
    one.script.on(DEPOSITS, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401)
    with pytest.raises(VenueRefused):
        one.run(one.venue.transfers(0))


def test_r46_an_exchange_whose_lists_nobody_knows_is_not_asked(opened):
    one = opened("kraken")
    one.exchange.has["fetchDeposits"] = False
    assert one.run(one.venue.transfers(0)) is None
    assert one.script.requests == []


def test_r46_r34_each_list_takes_its_turn_and_no_more_than_ninety_days_are_asked_for(opened, world):
    one, _ = asked(opened, "binance", [], [], since_ms=0)
    turns = []
    acquire = one.limiter.acquire

    async def count(priority, *, weight=1, deadline_ms=None):
        turns.append(weight)
        return await acquire(priority, weight=weight, deadline_ms=deadline_ms)

    one.limiter.acquire = count
    one.run(one.venue.transfers(0))
    assert turns == [10, 10]
    for request in one.script.sent(r"capital/"):
        start = int(request.url.partition("startTime=")[2].partition("&")[0])
        assert world.clock.now_ms() - start <= 80 * DAY_MS


@pytest.mark.parametrize("exchange", ["binance", "mexc"])
def test_r46_the_wire_lists_what_came_and_went(exchange):
    """Unmodified ccxt against the wire, and our venue beside it: the same rows."""
    wire = Wire(exchange)

    async def story():
        wire.twin.venue.outside.deposit("ETH", D("0.000000000000000001"))
        wire.twin.venue.outside.withdraw("BTC", D("1.5"))
        wire.twin.venue.outside.deposit("SOL", D(3), listed=False)
        plain = await wire.market()
        came, went = await plain.fetch_deposits(), await plain.fetch_withdrawals("BTC")
        assert [(row["currency"], row["amount"], row["status"]) for row in came] == [
            ("ETH", "0.000000000000000001", "ok")
        ]
        assert [(row["currency"], row["amount"], row["fee"]["cost"]) for row in went] == [("BTC", "1.5", "0")]
        assert await plain.fetch_withdrawals("ETH") == []
        venue = open_ccxt(
            exchange, clock=wire.clock, limiter=RequestLimiter(wire.clock, 5_000), keys=ApiKeys(KEY, SECRET),
            base_url=wire.server.base_url, timeout_ms=60_000,
        )  # fmt: skip
        try:
            rows = await venue.transfers(wire.clock.now_ms() - DAY_MS)
        finally:
            await venue.close()
        assert {(row.coin, row.amount, row.fee) for row in rows} == {
            ("ETH", D("1E-18"), D(0)), ("BTC", D("-1.5"), D(0)),
        }  # fmt: skip
        assert len({row.transfer_id for row in rows}) == 2
        prefix = "/sapi/v1" if exchange == "binance" else "/api/v3"
        now = wire.clock.now_ms()
        bad = await wire.signed("GET", f"{prefix}/capital/deposit/hisrec", startTime=now - 91 * DAY_MS, endTime=now)
        assert bad.status == 400
        nobody = await wire.signed("GET", f"{prefix}/capital/withdraw/history", key="")
        assert nobody.status in (400, 401)

    wire.run(story)
