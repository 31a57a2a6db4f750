"""The whole program over recorded candles, through its own front door: the figures of its summary hold together."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

import pytest

from tradecore.app import Options, execute, prepare
from tradecore.engine.summary import FEES
from tradecore.journal.read import decode, read_journal
from tradecore.model.events import AlertFired, ScanOutcomes
from tradecore.model.intent import INTENT_LIVE
from tradecore.model.order import ATTEMPT_LIVE
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE, TWIN_FILE
from tradecore.testing.invariants import check_run
from tradecore.testing.records import records_of, truth_of

PLUGINS = "signals_drop,size_fixed,risk_limits,exec_ioc_gtc,exits"
COMMON = (
    "run.mode=twin", "store.synchronous=OFF", "market.source=files", "exits.take_profit_pct=1.5",
    "exits.stop_loss_pct=2", "exits.time_to_live=90m", "account.opening={USDT=5000}",
)  # fmt: skip

SETS = {
    "crash": ("binance-2021-05-crash", "1m", "2021-05-19T12:00", "2021-05-19T14:00", "2.0", "40m", ()),
    "outage": ("binance-2023-outage", "1m", "2023-03-24T10:00", "2023-03-24T15:00", "0.5", "30m", ()),
    "thin": ("kucoin-2023-03", "1m", "2023-03-10T00:00", "2023-03-10T05:00", "1.0", "30m",
             ("twin.manners=mexc", "twin.ack_without_status=true", "twin.fee_in=base", "engine.max_spread_bps=60")),
    "universe": ("binance-2024-07-universe", "5m", "2024-07-27T18:00", "2024-07-28T18:00", "2.0", "2h", ()),
}  # fmt: skip


def ran(candles, tmp_path, name, *more):
    folder, timeframe, start, stop, drop, lookback, sets = SETS[name]
    settings = (
        *COMMON, f"market.folder={json.dumps(str(candles / folder))}", f"market.timeframe={timeframe}",
        f"market.start={start}", f"market.stop={stop}", f"signals_drop.drop_pct={drop}",
        f"signals_drop.lookback={lookback}", "size_fixed.amount=300", *sets, "run.speed=max", 'run.for=""', *more,
    )  # fmt: skip
    state = tmp_path / "state"
    prepared = prepare(Options("demo", {}, settings, PLUGINS, state=state))
    return prepared, execute(prepared), state


@pytest.fixture(scope="module")
def session(candles, tmp_path_factory):
    """Each set is played once for all tests of this file."""
    kept = {}

    def session(name):
        if name not in kept:
            kept[name] = ran(candles, tmp_path_factory.mktemp(name), name)
        return kept[name]

    return session


@pytest.mark.parametrize("name", SETS)
def test_figures_hold_together(session, name):
    prepared, outcome, _ = session(name)
    summary = outcome.summary
    assert outcome.exit_code == 0
    assert summary["pending_intents"] == 0
    assert summary["pending"] == []
    assert summary["reserved"] == "0"
    assert summary["ledger_balanced"]
    assert summary["unexplained_drift"] == "0"
    assert summary["errors"] == {}
    assert summary["quarantined"] == []
    assert summary["events_dropped"] == 0
    assert summary["orders_sent"] > 5
    assert summary["candidates"] == sum(summary["outcomes"].values()) == summary["rows"] * summary["symbols"]
    failed = sum(summary["orders_failed"].values())
    assert summary["orders_filled"] + summary["orders_partly_filled"] + failed == summary["orders_sent"]
    assert all(summary["orders_failed"])
    assert list(summary["plugins"]) == PLUGINS.split(",")
    assert summary["symbols"] == len(prepared.source.symbols)


@pytest.mark.parametrize("name", SETS)
def test_invariants_hold(session, name):
    prepared, _, state = session(name)
    records, truth = records_of(state / STORE_FILE), truth_of(state / TWIN_FILE)
    notes = [decode(line) for line in read_journal(state / JOURNAL_FOLDER)]
    violations = check_run(records, truth, prepared.instruments, prepared.settings.account.name, notes)
    assert [str(v) for v in violations] == []


@pytest.mark.parametrize("name", SETS)
def test_store_and_journal_tell_what_the_summary_says(session, name):
    _, outcome, state = session(name)
    summary, records = outcome.summary, records_of(state / STORE_FILE)
    assert dict(Counter(str(row.state) for row in records.intents)) == summary["intents"]
    assert not [row for row in records.intents if row.state in INTENT_LIVE]
    assert not [a for a in records.attempts if a.state in ATTEMPT_LIVE]
    unfilled = [a for a in records.attempts if a.sent_ms is not None and not a.executed_quantity]
    assert all(a.code for a in unfilled)
    assert dict(Counter(a.code for a in unfilled)) == summary["orders_failed"]
    scans = [line.event for line in map(decode, read_journal(state / JOURNAL_FOLDER, kinds=["scan_outcomes"]))]
    assert all(isinstance(scan, ScanOutcomes) for scan in scans)
    counted = Counter()
    for scan in scans:
        counted.update(scan.outcomes)
        assert scan.candidates == sum(scan.outcomes.values())
    assert dict(counted) == summary["outcomes"]
    fees = records.balances.get((FEES, "USDT"), Decimal(0))
    if not [coin for account, coin in records.balances if account == FEES and coin != "USDT"]:
        assert Decimal(summary["fees"]) == fees


def test_gaps_are_not_tradable_and_counted(session):
    _, outcome, _ = session("outage")
    assert outcome.summary["gaps"] > 0
    assert outcome.summary["outcomes"]["NOT_TRADABLE"] == outcome.summary["gaps"]


def test_no_critical_alarm_on_ordinary_days(session):
    _, _, state = session("universe")
    alarms = [line.event for line in map(decode, read_journal(state / JOURNAL_FOLDER, kinds=["alert_fired"]))]
    assert [a for a in alarms if isinstance(a, AlertFired) and a.severity == "critical"] == []


def test_same_seed_same_summary(candles, tmp_path):
    short = ("market.stop=2021-05-19T12:45",)
    told = []
    for number in range(2):
        _, outcome, _ = ran(candles, tmp_path / str(number), "crash", *short)
        told.append({k: v for k, v in outcome.summary.items() if k not in {"wall_s", "state"}})
    assert told[0] == told[1]


def test_second_run_goes_on_where_the_first_ended(candles, tmp_path):
    ran(candles, tmp_path, "crash", 'run.for="30m"')
    _, outcome, state = ran(candles, tmp_path, "crash", 'run.for="30m"')
    assert outcome.summary["rows"] == 30
    records, truth = records_of(state / STORE_FILE), truth_of(state / TWIN_FILE)
    coins = {coin for account, coin in records.balances if account == "assets"}
    assert coins
    for coin in coins:
        assert records.balances["assets", coin] == truth.total(coin)
