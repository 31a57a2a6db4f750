"""The ledger's reads on SQLite and on PostgreSQL: the same rows, the same proofs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.ledger.test_lots import fill, position_of, trade
from tradecore.cli.kept import STORE_URL
from tradecore.cli.main import main
from tradecore.engine.ledger import external_postings, trade_postings, transfer
from tradecore.engine.venuebook import VENUE_BALANCES, VenueBook, VenueCoin, dump_venue_book, load_venue_book
from tradecore.model.records import Memory, PostingKind, Run
from tradecore.model.units import Side
from tradecore.store.database import sqlite_url
from tradecore.store.opening import open_store
from tradecore.store.queries import open_reader

D = Decimal


def _module(path: Path):
    spec = importlib.util.spec_from_file_location("ledger_store_conftest", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_store_tests = _module(Path(__file__).resolve().parents[1] / "store" / "conftest.py")
postgres = _store_tests.postgres
postgres_url = _store_tests.postgres_url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "tradecore.sqlite3")
    return request.getfixturevalue("postgres_url")


FILLS = [
    fill(trade(1, quantity="1.5", price="0.1", fee="0.00001500000000000000000001", coin="AAA")),
    fill(trade(2, Side.SELL, quantity="0.25", price="0.3", fee="0.000075")),
]
OPENING = transfer("opening/demo/USDT", "USDT", D(10_000), PostingKind.OPENING, 0)
THEIRS = external_postings("demo", trade(3, Side.SELL, quantity="0.1", price="0.2"))


def written(url):
    store = open_store(url, inline=True)
    legs = [leg for one in FILLS for leg in trade_postings(one)]
    balance = D("1.5") - D("0.00001500000000000000000001") - D("0.25") - D("0.1")
    usdt = D(10_000) - D("0.15") + D("0.075") - D("0.000075") + D("0.02")
    coins = {coin: VenueCoin(total, D(0), total, D(0), "", D(1)) for coin, total in (("AAA", balance), ("USDT", usdt))}
    book = VenueBook(5_000, "USDT", coins)
    rows = [
        Run("r1", 1, "demo", 1, "demo", "d", 0), *FILLS, *legs, *OPENING, *THEIRS, position_of(FILLS),
        Memory(VENUE_BALANCES, dump_venue_book(book), 5_000), Memory("external/77", "AAA/USDT buy 1 at 2", 4_000),
    ]  # fmt: skip
    asyncio.run(store.commit(rows, []))
    asyncio.run(store.commit([*legs, *FILLS], []))  # told twice: nothing happens
    return store


def test_r45_a_booked_fill_and_a_transaction_are_found_as_they_were(url):
    store = written(url)
    try:
        assert store.fill("demo", "AAA/USDT", "t1") == FILLS[0]
        assert store.fill("other", "AAA/USDT", "t1") is None
        assert store.postings_of(OPENING[0].posting_id) == list(OPENING)
        assert store.postings_of(THEIRS[0].posting_id) == list(THEIRS)
        assert store.postings_of("no/such") == []
    finally:
        asyncio.run(store.close())
    with open_reader(url) as reader, reader.one_moment():
        assert sorted(reader.postings()) == sorted([*(x for f in FILLS for x in trade_postings(f)), *OPENING, *THEIRS])
        assert reader.external_orders() == [("77", "AAA/USDT buy 1 at 2", 4_000)]


def test_r45_the_commands_prove_and_show_either_store(url, tmp_path, monkeypatch):
    asyncio.run(written(url).close())
    monkeypatch.setenv(STORE_URL, url)
    (tmp_path / "state").mkdir()

    def call(*arguments):
        return CliRunner().invoke(
            main, ["ledger", *arguments, "--state", str(tmp_path / "state")], standalone_mode=False
        )

    checked = call("check", "--json")
    assert checked.return_value == 0, checked.stdout
    assert json.loads(checked.stdout)["external_orders"][0]["order"] == "77"
    (coin,) = [c for c in json.loads(call("balances", "--json").stdout)["coins"] if c["coin"] == "AAA"]
    assert coin["balance"] == "1.14998499999999999999999999"
    assert len(call("export").stdout.splitlines()) == 1 + sum(len(trade_postings(f)) for f in FILLS) + 2 + 4


def test_the_fact_of_the_venues_balances_loses_no_digit():
    coin = VenueCoin(D("1.000000000000000000000000000001"), D("0"), D("1E+3"), D("0"), "unknown", None)
    missing = VenueCoin(None, None, D(2), D(0), "missing_currency", D("0.1"))
    book = VenueBook(5, "USDT", {"A": coin, "B": missing})
    assert load_venue_book(dump_venue_book(book)) == book
    assert missing.total is None
