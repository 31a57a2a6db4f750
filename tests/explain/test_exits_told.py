"""Exits that sold nothing are told as entries that bought nothing are: over all, of a symbol, of an intent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tradecore.model.events import ExitRefused, PositionClosed
from tradecore.model.order import NewOrder
from tradecore.model.position import PositionState
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    closing_at,
    instrument,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import Scene, at, play, twin_of

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
HALTED, LOCKED, SMALL, FELL = "AAA/USDT", "BBB/USDT", "CCC/USDT", "DDD/USDT"
EXITS = tuple(
    f"exits.{key}={value}"
    for key, value in {
        "take_profit_pct": 0, "stop_loss_pct": 0, "trailing_distance_pct": 0, "time_to_live": '"2m"',
    }.items()
)  # fmt: skip


@pytest.fixture(scope="module")
def stuck(tmp_path_factory):
    """Four positions to be left: a halted symbol, a locked coin, one too small by then, one whose price just fell."""
    candles = {symbol: closing_at(*(100,) * 14) for symbol in (HALTED, LOCKED)}
    candles[SMALL] = closing_at(*(100,) * 3, *(1,) * 11)
    candles[FELL] = closing_at(*(100,) * 4, *(1,) * 10)
    source = ScriptedSource(candles, {symbol: instrument(symbol) for symbol in candles})
    cast = [wisher({1: tuple(candles)}), sizer("1"), allower(), router((IOC, "20", 2_000), (IOC, "40", 2_000)), "exits"]

    def begin(engine):
        outside = twin_of(engine).outside
        mine = NewOrder("by-hand", LOCKED, Side.SELL, GTC, Decimal(500), Decimal(1))
        at(engine, row_close_ms(2), lambda: outside.halt(HALTED, can_buy=True, can_sell=False))
        at(engine, row_close_ms(2), lambda: outside.place(mine))
        at(engine, row_close_ms(6), lambda: outside.cancel(LOCKED, "by-hand"))

    folder = tmp_path_factory.mktemp("stuck") / "state"
    played = play(Scene(source, cast, ("market.between_closes=false", *EXITS)), folder, begin=begin)
    assert [str(one) for one in played.violations()] == []
    return played


@pytest.fixture
def ask(cli, stuck):
    def call(*arguments):
        result = cli(*arguments, "--state", stuck.folder, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


def test_r28_what_was_too_small_by_one_price_alone_is_left_all_the_same(stuck):
    """The exit's price and the newest mark may disagree on the least: then the position is not dust, nor forgotten."""
    refused = {one.event.symbol: one.event for one in stuck.notes(ExitRefused)}
    assert refused[FELL].code == "NOTIONAL_BELOW_MIN"
    ended = {position.symbol: position for position in stuck.records.positions}
    assert ended[FELL].state is PositionState.CLOSED
    told = {one.event.symbol for one in stuck.notes(PositionClosed)}
    assert told == {LOCKED, SMALL, FELL}
    assert (refused[SMALL].became, ended[SMALL].dust_quantity) == ("dust", 1)
    assert (refused[FELL].became, ended[FELL].dust_quantity) == ("unsellable", 0)


def test_r43_top_tells_every_exit_once(ask, stuck):
    exits = ask("why", "--top")["exits"]
    rows = [row for row in stuck.records.intents if row.intent.reduces]
    orders = exits["orders"]
    assert exits["asked"] == 4
    assert orders["intents"] == len(rows)
    assert orders["filled"] == sum(bool(row.executed_quantity) for row in rows)
    assert sum(end["times"] for end in orders["ends"]) == orders["intents"] - orders["filled"] - orders["living"]
    assert {end["reason"] for end in orders["ends"]} >= {"VENUE_REJECTED"}
    assert sum(one["times"] for one in orders["unfilled"]) == orders["orders"] - orders["orders_filled"]
    refused = [one.event for one in stuck.notes(ExitRefused)]
    assert sum(one["times"] for one in exits["refused"]) == len(refused)
    found = {one["code"]: one for one in exits["refused"]}
    assert found.keys() == {one.code for one in refused}
    assert found["NOTIONAL_BELOW_MIN"]["value"] < found["NOTIONAL_BELOW_MIN"]["threshold"] == 5
    (held,) = exits["held"]
    assert (held["symbol"], held["reason"], held["state"]) == (HALTED, "TIME_TO_LIVE", "UNSELLABLE")
    assert held["rounds"] > 3


def test_r43_each_symbol_tells_its_part(ask):
    whole = ask("why", "--top")["exits"]
    parts = {symbol: ask("why", symbol)["exits"] for symbol in (HALTED, LOCKED, SMALL, FELL)}
    for name in ("intents", "filled", "orders"):
        assert sum(part["orders"][name] for part in parts.values()) == whole["orders"][name]
    assert sum(part["asked"] for part in parts.values()) == whole["asked"]
    assert {one["code"] for one in parts[LOCKED]["refused"]} == {"QUANTITY_BELOW_MIN"}
    assert parts[LOCKED]["held"] == []


def test_r43_an_exit_tells_what_decided_it_and_which_rounds_became_no_order(ask, cli, stuck):
    rows = [row for row in stuck.records.intents if row.intent.reduces]
    halted = next(row for row in rows if row.intent.symbol == HALTED)
    life = ask("why", halted.intent.intent_id)
    assert (life["trigger"]["reason"], life["trigger"]["by"]) == ("TIME_TO_LIVE", "exits")
    assert {one["code"] for one in life["refusals"]} == {"SYMBOL_HALTED"}
    assert life["position"] == {}
    assert life["cleared"]["reason"] == "VENUE_REJECTED"
    text = cli("why", halted.intent.intent_id, "--state", stuck.folder).stdout
    assert "exit       TIME_TO_LIVE by exits, price 100" in text
    assert "rounds of this position, no order: SYMBOL_HALTED by core; then unsellable" in text
    assert "position   not closed: it is still to be left" in text
    sold = next(row for row in rows if row.intent.symbol == LOCKED and row.executed_quantity)
    life = ask("why", sold.intent.intent_id)
    assert life["position"]["reason"] == "TIME_TO_LIVE"
    assert "position   closed TIME_TO_LIVE" in cli("why", sold.intent.intent_id, "--state", stuck.folder).stdout


@pytest.mark.parametrize("width", [80, 100, 160])
def test_tables_of_exits_fit(cli, stuck, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    text = cli("why", "--state", stuck.folder).stdout
    for word in ("4 positions were to be left", "exits that sold nothing", "exits refused before an order",
                 "to be left, held now"):  # fmt: skip
        assert word in " ".join(text.split())
    assert "…" not in text


def test_nothing_is_said_of_exits_where_there_were_none(cli, stuck, ask):
    until = ("--until", datetime.fromtimestamp(row_close_ms(2) // 1_000, UTC).isoformat())
    assert ask("why", *until)["exits"]["asked"] == 0
    text = cli("why", "--state", stuck.folder, *until).stdout
    assert "exits that" not in text
