"""metrics: what a session counts, bounded labels, and the ways out."""

import json
import math
import re
import socket
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_metrics import account
from tradecore_metrics.families import FAMILIES
from tradecore_metrics.figures import OTHER, Figures
from tradecore_metrics.hearing import KINDS, Hearing
from tradecore_metrics.plugin import Metrics
from tradecore_metrics.sinks import Change, StatsD, packets, write_json

import tradecore
from tradecore import Reason
from tradecore.model.events import (
    REGISTRY,
    AlertFired,
    Heartbeat,
    Ids,
    IntentCleared,
    OrderAttempt,
    OrderDone,
    OrderFailed,
    SessionEnded,
    Stamped,
)
from tradecore.model.portfolio import FillRate
from tradecore.model.position import ClosedPosition, PositionState
from tradecore.model.units import PositionId
from tradecore.testing.contract.telling import sample
from tradecore.testing.contract.values import SYMBOL, fill_of, intent_of, portfolio_of, position_of
from tradecore.testing.harness import play
from tradecore.testing.readme import assert_readme_settings

HERE = Path(__file__).parents[1]
NOW = 1_700_000_000_000
ZERO = Decimal(0)


def value_of(figures, name, **labels):
    """One figure's value; ``None`` where there is none with these labels."""
    found = [one.value for one in figures.values() if one.name == name and dict(one.labels) == labels]
    assert len(found) < 2, name
    return found[0] if found else None


def total_of(values, name, **labels):
    """The sum of all values of a name whose labels are among others those named."""
    return sum(one["value"] for one in values if one["name"] == name and labels.items() <= one["labels"].items())


def at(ms, event, intent="i1"):
    return Stamped(ms * 1_000_000, event, Ids(intent=intent))


# Settings and pages ---------------------------------------------------------------------------------------------


def test_settings_are_frozen_and_the_readme_tells_them():
    with pytest.raises(ValidationError):
        Metrics.Settings().port = 3
    assert_readme_settings((HERE / "README.md").read_text(), Metrics.Settings)


def test_r47_it_listens_on_this_machine_only_unless_told_otherwise():
    assert Metrics.Settings().host == "127.0.0.1"


@pytest.mark.parametrize(
    "values",
    [{"host": "localhost"}, {"port": -1}, {"port": 65_536}, {"statsd": "here"}, {"statsd": "here:0"},
     {"statsd": ":8125"}, {"statsd": "here:99999"}, {"symbols_max": -1}, {"colour": 1}],
)  # fmt: skip
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError):
        Metrics.Settings.model_validate(values)


def test_readme_lists_every_figure():
    listed = re.findall(r"^\| `(tradecore_[a-z_]+)` \| (\w+) \|", (HERE / "README.md").read_text(), re.MULTILINE)
    assert listed == [(family.name, family.kind) for family in FAMILIES]


def test_r47_names_follow_the_conventions_of_prometheus():
    for family in FAMILIES:
        assert re.fullmatch(r"tradecore_[a-z][a-z_]*[a-z]", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.kind != "histogram" or family.name.endswith("_seconds")
        assert not re.search(r"_(ms|us|pct|percent|bps|min|minutes)(_|$)", family.name), "base units only"
        assert not {"job", "instance", "le", "quantile"} & set(family.labels), "Prometheus' own labels"
        assert family.text.endswith(".")
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


# A session ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(tmp_path_factory, scene):
    return play(scene(), tmp_path_factory.mktemp("figures") / "state")


@pytest.fixture(scope="module")
def written(played):
    return json.loads((played.folder / "plugins" / "metrics" / "metrics.json").read_text())


def test_r47_orders_are_those_of_the_summary_by_code(played, written):
    figures, told = written["figures"], played.summary
    assert told["orders_sent"] > 20
    assert total_of(figures, "tradecore_orders_sent_total") == told["orders_sent"]
    assert total_of(figures, "tradecore_orders_filled_total", extent="full") == told["orders_filled"]
    assert total_of(figures, "tradecore_orders_filled_total", extent="partial") == told["orders_partly_filled"]
    assert told["orders_failed"]
    for code, number in told["orders_failed"].items():
        assert total_of(figures, "tradecore_orders_failed_total", code=code) == number
    failed = sum(told["orders_failed"].values())
    assert total_of(figures, "tradecore_orders_failed_total") == failed


def test_r47_intents_candidates_and_money_are_those_of_the_summary(played, written):
    figures, told = written["figures"], played.summary
    for state, number in told["intents"].items():
        assert total_of(figures, "tradecore_intents_ended_total", state=state) == number
    for outcome, number in told["outcomes"].items():
        assert total_of(figures, "tradecore_candidates_total", outcome=outcome) == number
    assert total_of(figures, "tradecore_equity") == pytest.approx(float(told["equity_end"]))
    assert total_of(figures, "tradecore_fees_total") == pytest.approx(float(told["fees"]))
    assert total_of(figures, "tradecore_realised_pnl") == pytest.approx(float(told["realised_pnl"]))
    assert total_of(figures, "tradecore_positions_closed_total") == told["positions_closed"]
    assert total_of(figures, "tradecore_open_positions") == told["positions_open"]
    assert total_of(figures, "tradecore_alerts_named_total") == sum(told["alerts"].values())
    assert total_of(figures, "tradecore_trading_state", state=told["trading_state"]) == 1


def test_r47_each_sent_intent_is_timed_once_from_signal_to_order(played, written):
    sent = {note.ids.intent for note in played.notes(OrderAttempt) if note.event.state == "SENDING"}
    assert total_of(written["figures"], "tradecore_signal_to_order_seconds_count") == len(sent)
    cleared = Counter(note.event.side for note in played.notes(IntentCleared))
    for side, number in cleared.items():
        assert total_of(written["figures"], "tradecore_intent_lifetime_seconds_count", side=side) == number
    assert total_of(written["figures"], "tradecore_intent_cleanup_seconds_count") == len(sent)


def test_r47_the_last_export_holds_the_end_of_the_run(played, written):
    assert written["final"] is True
    assert written["run_id"] == played.summary["run_id"]
    (ended,) = played.notes(SessionEnded)
    assert written["as_of_ms"] == ended.at_ns // 1_000_000
    assert written["endpoint"] == "", "on virtual time nobody outside can be waited for"


def test_it_changes_nothing_of_what_is_traded(played, scene, tmp_path):
    alone = scene()
    alone = alone._replace(guests=[guest for guest in alone.guests if guest != "metrics"], sets=alone.sets[1:])
    without = play(alone, tmp_path / "state")
    same = ("orders_sent", "orders_filled", "orders_failed", "intents", "equity_end", "outcomes", "positions_closed")
    assert {key: without.summary[key] for key in same} == {key: played.summary[key] for key in same}
    assert played.violations() == ()


# Events one by one ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_that_it_asks_for_can_be_counted(kind):
    figures = Figures(10)
    Hearing(figures).event(Stamped(NOW, sample(REGISTRY[kind].schema)))
    assert value_of(figures, "tradecore_metrics_events_total") == 1


def test_r47_signal_to_order_is_measured_whichever_end_is_told_first():
    intent = intent_of(NOW)
    sending = at(NOW + 250, sample(OrderAttempt)._replace(state="SENDING", side="buy"), intent.intent_id)
    for first in (True, False):
        figures = Figures(10)
        hearing = Hearing(figures)
        if first:
            hearing.event(sending)
        hearing.fill(fill_of(1, intent), intent, "f1")
        hearing.event(sending)
        hearing.event(at(NOW + 900, sending.event, intent.intent_id))
        hearing.failed(intent, Reason.NO_LIQUIDITY, "x1")
        assert value_of(figures, "tradecore_signal_to_order_seconds_count") == 1
        spent = (NOW + 250 - intent.signal.decided_ms) / 1_000
        assert value_of(figures, "tradecore_signal_to_order_seconds_sum") == pytest.approx(spent)


def test_a_fill_told_again_after_a_crash_is_counted_once():
    figures, intent = Figures(10), intent_of(NOW)
    hearing = Hearing(figures)
    for _ in range(3):
        hearing.fill(fill_of(1, intent), intent, "f1")
        hearing.failed(intent, Reason.NO_LIQUIDITY, "x1")
    assert value_of(figures, "tradecore_fills_total", side="buy", liquidity="taker") == 1
    assert value_of(figures, "tradecore_fees_total", currency="USDT") == pytest.approx(0.01)
    assert value_of(figures, "tradecore_intents_failed_total", side="buy", reason="NO_LIQUIDITY") == 1


def test_a_rebate_is_no_fee():
    figures, intent = Figures(10), intent_of(NOW)
    fill = fill_of(1, intent)
    rebate = fill._replace(trade=fill.trade._replace(fee=Decimal("-0.02"), is_maker=True))
    Hearing(figures).fill(rebate, intent, "f1")
    assert value_of(figures, "tradecore_fees_total", currency="USDT") in (None, 0)
    assert value_of(figures, "tradecore_rebates_total", currency="USDT") == pytest.approx(0.02)


def test_an_unknown_send_has_not_failed_yet():
    figures = Figures(10)
    hearing = Hearing(figures)
    failed = sample(OrderFailed)._replace(side="buy", outcome="UNKNOWN", code="OUTCOME_UNKNOWN")
    hearing.event(at(NOW, sample(OrderAttempt)._replace(side="buy", state="UNKNOWN")))
    hearing.event(at(NOW, failed))
    assert value_of(figures, "tradecore_orders_unknown_total", side="buy") == 1
    assert not [one for one in figures.values() if one.name == "tradecore_orders_failed_total"]
    hearing.event(at(NOW, failed._replace(outcome="NOT_PLACED", code="NOT_PLACED")))
    assert value_of(
        figures, "tradecore_orders_failed_total", side="buy", outcome="NOT_PLACED", code="NOT_PLACED"
    ) == 1  # fmt: skip


def test_r47_intent_cleanup_is_from_the_newest_end_of_an_order():
    figures = Figures(10)
    hearing = Hearing(figures)
    done = sample(OrderDone)._replace(side="buy", outcome="EXPIRED", executed_quantity=ZERO)
    for ms in (100, 400):
        hearing.event(at(NOW + ms, done))
    hearing.event(at(NOW + 1_000, sample(IntentCleared)._replace(side="buy", age_ms=1_000)))
    hearing.event(at(NOW + 1_000, sample(IntentCleared)._replace(side="buy", age_ms=5), "never sent"))
    assert value_of(figures, "tradecore_intent_cleanup_seconds_sum") == pytest.approx(0.6)
    assert value_of(figures, "tradecore_intent_cleanup_seconds_count") == 1


def test_r47_a_heartbeat_shows_unproven_orders_drops_and_jobs():
    figures = Figures(10)
    hearing = Hearing(figures)
    beat = Heartbeat(60.0, 1_500.0, 7, 3, 2, 1, "REDUCING", {"UNKNOWN": 2}, 90_000, 1, {"scan": 500.0, "old": 1.0})
    hearing.event(at(NOW, beat))
    hearing.event(at(NOW, beat._replace(dropped=5, job_lag_ms={"scan": 250.0})))
    assert value_of(figures, "tradecore_orders_unproven", state="UNKNOWN") == 2
    assert value_of(figures, "tradecore_orders_unproven", state="STUCK") == 0
    assert value_of(figures, "tradecore_order_unproven_age_seconds") == 90
    assert value_of(figures, "tradecore_events_dropped_total") == 5
    assert value_of(figures, "tradecore_job_lag_seconds", job_name="scan") == 0.25
    assert value_of(figures, "tradecore_job_lag_seconds", job_name="old") is None
    assert value_of(figures, "tradecore_trading_state", state="REDUCING") == 1
    assert value_of(figures, "tradecore_loop_lag_seconds") == 1.5


@pytest.mark.parametrize(
    ("begins", "ends", "what"),
    [("venue_lost", "venue_back", "venue"), ("store_unavailable", "store_available", "store"),
     ("zero_fills", "zero_fills_over", "fills"), ("quotes_unavailable", "quotes_available", "quotes"),
     ("account_stream_lost", "account_stream_back", "account_stream"), ("price_stale", "price_fresh", "prices")],
)  # fmt: skip
def test_troubles_begin_and_end_by_alerts_that_the_core_tells(begins, ends, what):
    figures = Figures(10)
    hearing = Hearing(figures)
    assert value_of(figures, "tradecore_trouble", what=what) == 0
    hearing.event(at(NOW, AlertFired(begins, "critical", "")))
    hearing.event(at(NOW, AlertFired(begins, "critical", "")))
    assert value_of(figures, "tradecore_trouble", what=what) == (2 if what == "prices" else 1)
    hearing.event(at(NOW, AlertFired(ends, "info", "")))
    assert value_of(figures, "tradecore_trouble", what=what) == (1 if what == "prices" else 0)
    hearing.event(at(NOW, AlertFired(ends, "info", "")))
    hearing.event(at(NOW, AlertFired(ends, "info", "")))
    assert value_of(figures, "tradecore_trouble", what=what) == 0
    core = "".join(path.read_text() for path in Path(tradecore.__file__).parent.rglob("*.py"))
    for name in (begins, ends):
        assert f'"{name}"' in core or name == "zero_fills_over", f"the core has no alert {name}"


# Bounds ---------------------------------------------------------------------------------------------------------


@given(names=st.lists(st.text(max_size=100), max_size=40), most=st.integers(0, 10))
def test_r47_label_values_are_bounded_whatever_they_are(names, most):
    figures = Figures(most)
    figures.put_all("symbol_fill_ratio", {(name,): 0.5 for name in names})
    shown = [one.labels["symbol"] for one in figures.values() if one.name == "tradecore_symbol_fill_ratio"]
    assert len(shown) <= most
    assert all(len(name) <= 64 for name in shown)
    assert OTHER not in shown or OTHER in names


def test_r47_two_thousand_symbols_over_days_are_bounded_and_what_is_held_now_is_shown():
    """Who holds other symbols each day must see them: the bound is on what is shown, not on all that ever was."""
    figures = Figures(200)
    for day in range(10):
        names = [f"C{number}/USDT" for number in range(200 * day, 200 * day + 200)]
        figures.put_all("symbol_fill_ratio", {(name,): 0.5 for name in names})
        figures.put_all("position_value", {(name, "USDT"): 1.0 for name in names[:8]})
        held = {one.labels["symbol"] for one in figures.values() if one.name == "tradecore_position_value"}
        assert held == set(names[:8])
    assert value_of(figures, "tradecore_metrics_labels_capped_total", label="symbol") is None
    figures.put_all("symbol_fill_ratio", {(f"C{number}/USDT",): 0.5 for number in range(2_000)})
    shown = {one.labels["symbol"] for one in figures.values() if one.name == "tradecore_symbol_fill_ratio"}
    assert len(shown) == 200
    assert shown == set(names), "those that are shown keep their place"
    assert value_of(figures, "tradecore_metrics_labels_capped_total", label="symbol") == 1_800
    assert len(list(figures.values())) < 2_000


def test_r47_a_share_of_nothing_is_no_figure_any_more():
    figures = Figures(10)
    account.take(figures, portfolio_of(NOW, fill_rate_24h={SYMBOL: FillRate(4, 1)}), None)
    assert value_of(figures, "tradecore_fill_ratio") == 0.25
    account.take(figures, portfolio_of(NOW), None)
    assert math.isnan(value_of(figures, "tradecore_fill_ratio"))


def test_r47_codes_of_a_venue_cannot_grow_without_end():
    figures = Figures(10)
    for number in range(1_000):
        figures.count("orders_failed", "buy", "REJECTED", f"code {number}")
    found = [one for one in figures.values() if one.name == "tradecore_orders_failed_total"]
    assert len(found) == 101
    assert sum(one.value for one in found) == 1_000
    assert value_of(figures, "tradecore_metrics_labels_capped_total", label="code") == 900


def test_positions_that_are_gone_are_gone_from_the_figures():
    figures = Figures(10)
    held = portfolio_of(NOW, positions=(position_of(NOW),), marks={SYMBOL: Decimal(110)}, exposure=Decimal(55))
    account.take(figures, held, Decimal(100))
    assert value_of(figures, "tradecore_position_value", symbol=SYMBOL, currency="USDT") == pytest.approx(55)
    assert value_of(figures, "tradecore_position_return_ratio", symbol=SYMBOL) == pytest.approx(0.1)
    assert value_of(figures, "tradecore_exposure_limit_used_ratio") == pytest.approx(0.55)
    account.take(figures, portfolio_of(NOW), None)
    assert value_of(figures, "tradecore_position_value", symbol=SYMBOL, currency="USDT") is None


def test_r47_rates_of_the_account():
    figures = Figures(10)
    closed = tuple(
        ClosedPosition(PositionId(f"p{n}"), SYMBOL, "s", NOW, NOW, Decimal(n - 1), 0.0, Reason.LEAVE) for n in range(4)
    )
    stuck = position_of(NOW)._replace(state=PositionState.UNSELLABLE)
    rates = {SYMBOL: FillRate(4, 1), "B/USDT": FillRate(0, 0), "C/USDT": FillRate(6, 6)}
    assert math.isnan(value_of(figures, "tradecore_win_ratio"))
    account.take(
        figures,
        portfolio_of(NOW, closed=closed, fill_rate_24h=rates, positions=(stuck,), equity=Decimal(9_045)),
        None,
    )
    assert value_of(figures, "tradecore_win_ratio") == 0.5
    assert value_of(figures, "tradecore_fill_ratio") == 0.7
    assert value_of(figures, "tradecore_symbol_fill_ratio", symbol=SYMBOL) == 0.25
    assert value_of(figures, "tradecore_symbol_fill_ratio", symbol="B/USDT") is None
    assert value_of(figures, "tradecore_unsellable_positions") == 1
    assert value_of(figures, "tradecore_drawdown_ratio") == pytest.approx(0.1)


@pytest.mark.parametrize("equity", ["0", "-1"])
def test_an_account_without_equity_has_figures_too(equity):
    figures = Figures(10)
    account.take(figures, portfolio_of(NOW, equity=Decimal(equity), equity_day_peak=ZERO), ZERO)
    assert value_of(figures, "tradecore_exposure_ratio") == 0
    assert value_of(figures, "tradecore_drawdown_ratio") == 0


# The file and StatsD ----------------------------------------------------------------------------------------------


def test_r47_the_json_file_is_whole_and_json(tmp_path):
    figures = Figures(10)
    figures.count("orders_sent", "buy", by=3)
    write_json(figures, tmp_path / "m.json", {"run_id": "r"})
    read = json.loads((tmp_path / "m.json").read_text(), parse_constant=pytest.fail)
    assert total_of(read["figures"], "tradecore_orders_sent_total", side="buy") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


def test_r47_statsd_gets_differences_of_counters_and_gauges_as_they_are():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)

        def received():
            lines = []
            while not lines or not lines[-1].startswith("tradecore.metrics_exports_total"):
                packet = server.recv(65_535)
                assert len(packet) <= 1_400
                lines += packet.decode().splitlines()
            return lines

        figures = Figures(10)
        for tags in (True, False):
            sending = StatsD("127.0.0.1", server.getsockname()[1], tags=tags)
            figures.count("orders_sent", "buy", by=3)
            figures.put("clock_skew_seconds", -0.25)
            figures.count("metrics_exports", "statsd", "error")
            sending.send(figures)
            first = received()
            figures.count("orders_sent", "buy", by=2)
            figures.count("metrics_exports", "statsd", "error")
            sending.send(figures)
            second = received()
            name = "tradecore.orders_sent_total:{}|c|#side:buy" if tags else "tradecore.orders_sent_total.buy:{}|c"
            assert name.format(2) in second
            assert [line for line in first if line.startswith("tradecore.orders_sent_total")] != []
            assert first.index("tradecore.clock_skew_seconds:0|g") + 1 == first.index(
                "tradecore.clock_skew_seconds:-0.25|g"
            )
            assert not [line for line in first + second if "nan" in line.lower() or "_bucket" in line]
            assert not [line for line in second if "orders_filled_total" in line], "what did not move is not sent"


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n"), min_size=1, max_size=300), max_size=60))
def test_packets_lose_no_line_and_fit(lines):
    changes = [Change(line.encode(), (line, ""), 1.0) for line in lines]
    sent = list(packets(changes))
    assert all(len(b"\n".join(change.line for change in packet)) <= 1_400 for packet in sent)
    assert [change for packet in sent for change in packet] == changes
    assert all(sent)


def test_r47_what_could_not_be_sent_to_statsd_is_part_of_the_next_difference(monkeypatch):
    figures, sending, told = Figures(10), StatsD("127.0.0.1", 9, tags=True), []

    class Away(socket.socket):
        def sendto(self, *arguments):
            told.append(arguments[0].decode())
            if away:
                raise OSError(101, "network is unreachable")
            return len(arguments[0])

    monkeypatch.setattr(socket, "socket", Away)
    away = True
    figures.count("orders_sent", "buy", by=3)
    with pytest.raises(OSError, match="unreachable"):
        sending.send(figures)
    away = False
    figures.count("orders_sent", "buy", by=2)
    told.clear()
    sending.send(figures)
    assert "tradecore.orders_sent_total:5|c|#side:buy" in "\n".join(told).splitlines()
    told.clear()
    sending.send(figures)
    assert "orders_sent" not in "\n".join(told)


@pytest.mark.parametrize("text", ["a:b|c", "a\nb", "a,b", "", "ä|#x"])
def test_a_label_cannot_forge_a_line_of_statsd(text):
    figures = Figures(10)
    figures.count("venue_errors", "place", text)
    for tags in (True, False):
        sending = StatsD("127.0.0.1", 9, tags=tags)
        lines = [change.line.decode() for change in sending._changes(figures.values())]
        lines = [line for line in lines if "venue_errors" in line]
        assert len(lines) == 1
        assert re.fullmatch(
            r"tradecore\.venue_errors_total(\.[\w./-]+)*:1\|c(\|#operation:place,error:[\w./-]+)?", lines[0]
        )
