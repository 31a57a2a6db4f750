"""``tradecore ledger`` over what sessions leave: balances, proofs that fail when something is wrong, exports."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from decimal import Decimal

import pytest
from click.testing import CliRunner
from hypothesis import given

from tests.ledger.conftest import A, B, cycle
from tests.ledger.test_lots import runs
from tradecore.cli.ledger_beancount import beancount_text
from tradecore.cli.main import main
from tradecore.engine.ledger import external_postings, trade_postings, transfer
from tradecore.engine.proofs import LedgerRows
from tradecore.model.fill import VenueTrade
from tradecore.model.order import NewOrder
from tradecore.model.records import PostingKind
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import leader, row_close_ms
from tradecore.testing.harness import STORE_FILE, at, play, twin_of

D = Decimal
IOC = TimeInForce.IOC


def call(*arguments):
    # wide enough for every column: a narrow terminal cuts headings short
    return CliRunner(env={"COLUMNS": "160"}).invoke(main, ["ledger", *map(str, arguments)], standalone_mode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    """A session with a closed position that left dust, an open one, somebody else's trade and order, a deposit."""
    from tests.ledger.conftest import scene as make

    scene = make.__wrapped__() if hasattr(make, "__wrapped__") else None
    assert scene is not None

    def begin(engine):
        outside = twin_of(engine).outside
        theirs = NewOrder("by-hand", B, Side.BUY, IOC, D(110), D("0.3"), False)
        resting = NewOrder("resting", B, Side.BUY, TimeInForce.GTC, D(90), D("0.5"), False)
        at(engine, row_close_ms(6), lambda: outside.place(theirs))
        at(engine, row_close_ms(6) + 1_000, lambda: outside.place(resting))
        at(engine, row_close_ms(6) + 2_000, lambda: outside.deposit("USDT", D(7)))
        cycle(engine, 8)  # finds the trade, names the deposit
        cycle(engine, 10)  # books it: a minute without a fill has passed

        async def look():
            await engine.reconciler.run("running")

        at(engine, row_close_ms(9), lambda: engine.desk.spawn(look(), "look"))

    sets = ("twin.fee_in=base", "twin.taker_fee_bps=7.5")
    story = scene(12, buys={1: (A,), 5: (A,)}, sets=sets, guests=(leader(leave_rows=(3,)),))
    path = tmp_path_factory.mktemp("ledger") / "state"
    played = play(story, path, begin=begin)
    assert played.violations() == ()
    return path


def test_r45_balances_show_lots_cost_value_and_dust(folder):
    found = json.loads(call("balances", "--state", folder, "--json").stdout)
    assert found["currency"] == "USDT"
    coins = {line["coin"]: line for line in found["coins"]}
    assert next(iter(coins)) == "USDT"
    lots = coins["AAA"]["lots"]
    assert sum(D(lot["quantity"]) for lot in lots) == D(coins["AAA"]["balance"])
    assert [lot["dust"] for lot in lots] == [True, False]
    assert D(coins["AAA"]["dust"]) == D(lots[0]["quantity"])
    line = coins["AAA"]
    assert D(line["value"]) - D(line["cost"]) == D(line["unrealised"])
    assert D(coins["USDT"]["locked"]) == 45
    assert D(coins["BBB"]["balance"]) < D("0.3")
    assert found["accounts"]["deposit"] == {"USDT": "-7"}
    text = call("balances", "--state", folder).stdout
    assert "unrealised" in text
    assert "dust" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("columns", ["40", "60", "80", "100", "160"])
def test_r45_balances_fit_the_screen_and_say_what_had_no_room(folder, columns):
    result = CliRunner(env={"COLUMNS": columns}).invoke(
        main, ["ledger", "balances", "--state", str(folder)], standalone_mode=False
    )
    head, line, *rows = result.stdout.splitlines()
    assert head.split()[:2] == ["coin", "balance"]
    assert {"value", "unrealised"} <= set(head.split())
    assert len(line) <= max(int(columns), 55)
    assert "reserved" not in head, "nothing is reserved"
    told = set(head.split())
    for name in ("lots", "locked", "price", "cost", "dust"):
        assert (name in told) != (name in result.stderr)
    exact = {c["coin"]: c["balance"] for c in json.loads(call("balances", "--state", folder, "--json").stdout)["coins"]}
    assert {row.split()[0]: row.split()[1] for row in rows[: len(exact)]} == exact
    if columns == "160":
        assert result.stderr == ""


def test_r45_r46_every_proof_holds(folder):
    result = call("check", "--state", folder)
    assert result.return_value == 0, result.stdout
    lines = [line.split()[:2] for line in result.stdout.splitlines() if line.startswith(("holds", "FAILS"))]
    names = ["transactions", "balances", "fills", "lots", "positions", "reservations", "venue"]
    assert lines == [["holds", name] for name in names]


def test_r19_foreign_orders_are_shown_as_external(folder):
    text = call("check", "--state", folder).stdout
    assert "EXTERNAL order" in text
    assert "BBB/USDT buy 0.5 at 90" in text
    external = json.loads(call("check", "--state", folder, "--json").stdout)["external_orders"]
    assert [line["what"] for line in external if "0.5" in line["what"]] == ["BBB/USDT buy 0.5 at 90"]


def test_r19_foreign_orders_stand_among_the_orders(folder):
    def orders(*words):
        return CliRunner().invoke(main, ["query", "orders", "--state", str(folder), *words], standalone_mode=False)

    found = json.loads(orders("--json").stdout)
    (resting,) = [one for one in found["external_orders"] if "0.5" in one["what"]]
    assert (resting["symbol"], resting["what"]) == (B, "BBB/USDT buy 0.5 at 90")
    assert f"EXTERNAL order {resting['order']}: {resting['what']}" in orders().stdout
    alone = json.loads(orders("--status", "external", "--json").stdout)
    assert alone["orders"] == []
    assert alone["external_orders"] == found["external_orders"]
    assert resting["order"] in orders("--status", "EXTERNAL", "--csv").stdout
    for words in (("--symbol", A), ("--status", "FILLED"), ("--reason", "ACCEPTED"), ("--until", "2000-01-01")):
        assert json.loads(orders(*words, "--json").stdout)["external_orders"] == []


@pytest.mark.parametrize(
    ("harm", "proof", "said"),
    [
        ("UPDATE posting SET amount = '1' WHERE leg = 0 AND kind = 'deposit'", "transactions", "is off by -6 USDT"),
        ("DELETE FROM posting WHERE kind = 'trade' AND posting_id LIKE '%/1'", "fills", "is not posted"),
        ("UPDATE fill SET fee = '0.5' WHERE venue_trade_id = '1'", "fills", "is posted otherwise"),
        ("DELETE FROM fill WHERE venue_trade_id = '1'", "fills", "has no fill"),
        ("UPDATE position SET quantity = '3' WHERE state <> 'CLOSED'", "positions", "holds 3, its lots"),
        ("UPDATE position SET dust_quantity = '0' WHERE state = 'CLOSED'", "positions", "holds 0, its lots"),
        ("UPDATE memory SET content = replace(content, '\"7.', '\"8.') WHERE fact = 'venue_balances'", "venue", ""),
    ],
)
def test_r45_a_proof_that_does_not_hold_is_named_and_exits_1(folder, tmp_path, harm, proof, said):
    copy = tmp_path / "copy"
    copy.mkdir()
    source = sqlite3.connect(folder / STORE_FILE)
    target = sqlite3.connect(copy / STORE_FILE)
    source.backup(target)
    if proof == "venue":
        (text,) = target.execute("SELECT content FROM memory WHERE fact = 'venue_balances'").fetchone()
        facts = json.loads(text)
        facts["coins"]["AAA"][0] = "0.5"
        facts["coins"]["AAA"][4] = "withdrawal"
        target.execute("UPDATE memory SET content = ? WHERE fact = 'venue_balances'", (json.dumps(facts),))
        said = "AAA: the venue held 0.5"
    else:
        assert target.execute(harm).rowcount > 0
    target.commit()
    target.close()
    source.close()
    result = call("check", "--state", copy)
    assert result.return_value == 1
    failed = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("FAILS")]
    assert proof in failed
    assert said in result.stdout


def test_r46_a_withdrawal_that_nobody_accepted_fails_the_check(run, scene):
    def begin(engine):
        at(engine, row_close_ms(4), lambda: twin_of(engine).outside.withdraw("USDT", D(500)))
        cycle(engine, 5)

    played = run(scene(), begin)
    result = call("check", "--state", played.folder)
    assert result.return_value == 1
    assert "withdrawal -500" in result.stdout


def test_r45_the_csv_is_every_leg_once_and_sums_to_zero(folder):
    rows = list(csv.DictReader(io.StringIO(call("export", "--state", folder).stdout)))
    assert len({(row["posting_id"], row["leg"]) for row in rows}) == len(rows) > 10
    for coin in {row["currency"] for row in rows}:
        assert sum(D(row["amount"]) for row in rows if row["currency"] == coin) == 0
    assert {row["kind"] for row in rows} == {"opening", "trade", "external", "deposit"}
    assert [row["at_ms"] for row in rows] == sorted(row["at_ms"] for row in rows)


def test_r45_beancounts_own_checker_takes_the_export(folder, tmp_path):
    loader = pytest.importorskip("beancount.loader", reason="beancount is not installed (extra `ledger`)")
    out = tmp_path / "books.beancount"
    result = call("export", "--format", "beancount", "--out", out, "--state", folder)
    assert "transactions in" in result.stderr
    entries, errors, _ = loader.load_file(str(out))
    assert errors == []
    assert {type(entry).__name__ for entry in entries} >= {"Open", "Transaction", "Balance", "Price"}
    text = out.read_text()
    assert "Equity:Deposits" in text
    assert "external: buy 0.3 BBB" in text
    assert "Expenses:Fees" in text


def test_r45_beancounts_checker_bites(folder, tmp_path):
    """The acceptance above means something: a gain that is off by a cent is refused."""
    loader = pytest.importorskip("beancount.loader", reason="beancount is not installed (extra `ledger`)")
    text = call("export", "--format", "beancount", "--state", folder).stdout
    line = next(line for line in text.splitlines() if line.startswith("  Income:Realised"))
    amount = line.split()[1]
    _, errors, _ = loader.load_string(text.replace(line, line.replace(amount, str(D(amount) + D("0.01")))))
    assert errors


def test_an_export_that_cannot_be_written_is_refused(folder, tmp_path):
    from tradecore.errors import SettingsError

    result = call("export", "--out", tmp_path / "no" / "such.csv", "--state", folder)
    assert isinstance(result.exception, SettingsError)
    assert "--out: expected a file that can be written" in str(result.exception)


# Whatever is booked can be exported ------------------------------------------------------------------------------


def rows_of(fills, extra):
    legs = [leg for one in fills for leg in trade_postings(one)] + list(extra)
    balances = {}
    for leg in legs:
        balances[leg.account, leg.currency] = balances.get((leg.account, leg.currency), D(0)) + leg.amount
    return LedgerRows("USDT", fills, legs, (), (), (), balances, None)


@given(runs())
def test_r45_any_ledger_is_taken_by_beancount(fills):
    loader = pytest.importorskip("beancount.loader", reason="beancount is not installed (extra `ledger`)")
    extra = [*transfer("opening/demo/BNB", "BNB", D(10_000), PostingKind.OPENING, 0)]
    extra += transfer("opening/demo/USDT", "USDT", D(10**6), PostingKind.OPENING, 0)
    _, errors, _ = loader.load_string(beancount_text(rows_of(fills, extra), "demo"))
    assert errors == []


def test_r45_odd_coins_odd_figures_and_every_kind_are_taken_by_beancount():
    loader = pytest.importorskip("beancount.loader", reason="beancount is not installed (extra `ledger`)")

    def traded(n, symbol, side, quantity, price, moved, fee="0", coin=""):
        return VenueTrade(
            f"t{n}", "o", "", symbol, side, D(price), D(quantity), D(moved), D(fee), coin, False, 10**12 + n
        )

    from tradecore.model.fill import Fill

    ours = [
        traded(1, "1INCH/USDT", Side.BUY, "3", "0.3333", "0.99990001"),
        traded(2, "1INCH/USDT", Side.SELL, "1", "0.4", "0.4", "0.1", "1000SATS"),
        traded(3, "币/USDT", Side.BUY, "7", "1", "7", "7", "币"),
        traded(4, "BTC/USDT", Side.BUY, "1", "30000", "30000"),
        traded(5, "ETH/BTC", Side.BUY, "10", "0.05", "0.5", "0.0005", "BTC"),
        traded(6, "ETH/BTC", Side.SELL, "4", "0.06", "0.24", "-0.0001", "ETH"),
    ]
    fills = [Fill("my account", one, "c", "i", None, one.traded_ms) for one in ours]
    extra = [*transfer("opening/a/1000SATS", "1000SATS", D(5), PostingKind.OPENING, 10**12 + 10**9)]
    extra += external_postings("a", traded(7, "BTC/USDT", Side.SELL, "0.3", "31000", "9300", "1", "USDT"))
    extra += external_postings("a", traded(8, "1-INCH/USDT", Side.BUY, "3", "0.1", "1"))
    for n, (kind, amount) in enumerate(
        [(PostingKind.DEPOSIT, "2"), (PostingKind.WITHDRAWAL, "-1"), (PostingKind.DUST, "-0.1"),
         (PostingKind.FEE, "-0.01"), (PostingKind.UNKNOWN_DRIFT, "-0.2"), (PostingKind.UNKNOWN_DRIFT, "0.3")]
    ):  # fmt: skip
        extra += transfer(f"{kind}/a/BTC/{n}", "BTC", D(amount), kind, 10**12 + 100 + n)
    text = beancount_text(rows_of(fills, extra), "my account")
    _, errors, _ = loader.load_string(text)
    assert errors == []
    assert 'coin: "1INCH"' in text
    assert 'coin: "币"' in text
    assert text.count(" commodity ") == len({line.split()[2] for line in text.splitlines() if " commodity " in line})
