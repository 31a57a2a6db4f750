"""``tradecore why`` and the new queries, over a session that was kept."""

import csv
import io
import json
import os
import shutil
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

SPAN = ("--since", "100d")


@pytest.fixture
def ask(cli, kept):
    """Call a command on the kept session and read its JSON."""

    def call(*arguments):
        result = cli(*arguments, "--state", kept[0], "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return call


def test_r43_why_counts_what_the_run_counted(ask, kept):
    found = ask("why", *SPAN)
    summary = kept[1]
    assert found["candidates"] == summary["candidates"]
    told = {}
    for cell in found["reasons"]:
        told[cell["outcome"]] = told.get(cell["outcome"], 0) + cell["times"]
    assert told == summary["outcomes"]
    assert found["created"] == summary["outcomes"]["INTENT_CREATED"]
    assert sum(one["times"] for one in found["refusals"]) == found["refused_signals"]
    assert sum(one["share"] for one in found["refusals"]) == pytest.approx(1)
    assert ask("why", "--top", *SPAN) == found


def test_r43_why_names_value_limit_and_guest(ask):
    found = ask("why", *SPAN)
    measured = [one for one in found["refusals"] if one["limit"]]
    assert measured
    for one in measured:
        assert one["least"] <= one["mean"] <= one["most"]
        assert one["threshold"] is not None
        assert one["by"]
    quiet = next(cell for cell in found["reasons"] if cell["outcome"] == "THRESHOLD_NOT_MET")
    assert quiet["by"] == "signals_drop"
    assert quiet["value"] > quiet["threshold"]
    margins = [cell["margin"] for cell in found["nearest"]]
    assert margins == sorted(margins)
    assert min(margins) > 0


def test_r43_why_of_one_symbol_is_its_part(ask):
    whole = ask("why", *SPAN)
    parts = [ask("why", symbol, *SPAN) for symbol in ("aaa/usdt", "BBB/USDT")]
    assert sum(part["candidates"] for part in parts) == whole["candidates"]
    assert sum(part["refused_signals"] for part in parts) == whole["refused_signals"]
    for part in parts:
        assert part["line"]
        assert sum(point["signals"] for point in part["line"]) == part["refused_signals"]
    short = ask("why", "AAA/USDT", "--since", "30m")
    assert 0 < short["candidates"] < parts[0]["candidates"]


def test_r43_why_tells_the_whole_life_of_an_intent(ask):
    rows = ask("query", "intents", "--limit", 1000)["intents"]
    orders = ask("query", "orders", "--limit", 1000)["orders"]
    fills = ask("query", "trades", "--limit", 1000)["trades"]
    for row in rows:
        intent = row["intent"]
        life = ask("why", intent["intent_id"])
        assert life["symbol"] == intent["symbol"]
        assert life["decision"] == intent["signal"]["signal_id"]
        mine = [order for order in orders if order["intent_id"] == intent["intent_id"]]
        assert [one["client_order"] for one in life["attempts"]] == [
            order["client_order_id"] for order in sorted(mine, key=lambda order: order["number"])
        ]
        for one in life["attempts"]:
            assert one["request"]["quantity"]
            assert [state for _, state in one["states"]][:2] == ["PREPARED", "SENDING"]
            assert one["latency_ms"] is not None
            assert one["end"]["outcome"]
        booked = [fill for fill in fills if fill["intent_id"] == intent["intent_id"]]
        assert sum(len(one["fills"]) for one in life["attempts"]) == len(booked) == len(life["ledger"])
        for entry in life["ledger"]:
            totals = {}
            for leg in entry["legs"]:
                totals[leg["currency"]] = totals.get(leg["currency"], 0) + Decimal(leg["amount"])
            assert set(totals.values()) == {0}
        assert [kind for kind, _ in life["budget"]] == ["budget_reserved", "budget_released"]
        assert life["cleared"]["state"] == row["state"]
        if not intent["reduces"]:
            assert life["signal"]["plugin"] == "signals_drop"
            assert life["sizing"]["offers"]
            assert life["checks"][0]["checks"]
            assert life["outcome"]["outcome"] == "INTENT_CREATED"


def test_a_life_is_found_by_signal_and_by_order(ask, kept, cli):
    order = ask("query", "orders", "--limit", 1)["orders"][0]
    by_order, by_intent = ask("why", order["client_order_id"]), ask("why", order["intent_id"])
    assert by_order == by_intent
    assert ask("why", by_intent["decision"])["intent"] == order["intent_id"]
    text = cli("why", order["intent_id"], "--state", kept[0]).stdout
    for word in ("attempt 1", "reserved", "released", "end "):
        assert word in text


def test_a_word_that_is_no_id_tells_no_life(ask, kept, refused):
    """A piece of an id, a coin, a guest or a run stands in many lines; none of them is about it."""
    row = ask("query", "intents", "--limit", 1)["intents"][0]["intent"]
    run = ask("query", "events", "--kind", "session_started")["events"][0]["session"]
    for word in (row["intent_id"][:6], row["symbol"][:3], "risk_limits", str(row["created_ms"]), "a", run, '"'):
        assert "was " + repr(word) in refused("why", word, "--state", kept[0])


def test_a_life_is_found_by_the_number_the_venue_gave(ask):
    order = ask("query", "orders", "--limit", 1)["orders"][0]
    assert ask("why", order["venue_order_id"])["intent"] == order["intent_id"]


def test_figures_are_never_cut(cli, kept, monkeypatch):
    """On a narrow screen rows run over its edge, and hold what they hold on a wide one.

    `ledger balances` names the columns that it leaves out instead (tests/ledger).
    """
    commands = (("why",), ("query", "orders"), ("query", "intents"), ("query", "trades"), ("query", "guards"),
                ("query", "performance"))  # fmt: skip
    for words in commands:
        shown = {}
        for width in (60, 300):
            monkeypatch.setenv("COLUMNS", str(width))
            result = cli(*words, "--state", kept[0])
            assert result.exit_code == 0, result.stderr
            assert "…" not in result.stdout, words
            shown[width] = result.stdout.split()
        digits = [[word for word in some if any(map(str.isdigit, word))] for some in shown.values()]
        assert sorted(digits[0]) == sorted(digits[1]), words


def test_a_damaged_line_is_left_out_and_named(kept, tmp_path, cli):
    folder = Path(shutil.copytree(kept[0], tmp_path / "damaged"))
    (file,) = (folder / "journal" / "order").iterdir()
    raw = file.read_bytes()
    file.write_bytes(raw.replace(b'"data":{"', b'"data":{\0', 1))
    result = cli("query", "events", "--state", folder)
    assert result.exit_code == 0, result.output
    said = f"order/{file.name} line 1: not what was written; tradecore replay names all that is wrong"
    assert said in result.stderr


@pytest.fixture
def unwritable(kept, tmp_path):
    """A copy of the session that its reader may not write."""
    folder = Path(shutil.copytree(kept[0], tmp_path / "backup"))
    for left in folder.glob("tradecore.db-*"):
        left.unlink()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


READS = (
    ("why",), ("why", "--what-if", "engine.max_spread_bps=30"), ("query", "trades"), ("query", "orders"),
    ("query", "performance"), ("ledger", "check"), ("ledger", "balances"), ("replay",), ("status",),
)  # fmt: skip


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_a_backup_that_nobody_may_write_is_read(unwritable, kept, cli, monkeypatch, words):
    """SQLite alone refuses a file in write-ahead mode there: it wants a helper file beside it."""
    before = sorted(path.name for path in unwritable.iterdir())
    # root may write all the same, and is told that it may not
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or unwritable not in (path, *path.parents))
    result = cli(*words, "--state", unwritable)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in unwritable.iterdir()) == before, "nothing was written beside it"


def test_why_draws(cli, kept):
    text = cli("why", "--state", kept[0]).stdout
    assert "█" in text
    assert "what became of candidates" in text
    assert "nearest misses" in text
    assert max(len(line) for line in text.splitlines() if "█" in line) <= 100
    one = cli("why", "AAA/USDT", "--state", kept[0]).stdout
    assert any(spark in one for spark in "▁▂▃▄▅▆▇")


def test_what_if_asks_the_real_plugins_again(ask, cli, kept):
    found = ask("why", "--what-if", "size_fixed.amount=7", *SPAN)
    assert found["asked"] == found["same"] + found["changed"] > 0
    assert found["changes"][0]["before"]["outcome"] != found["changes"][0]["after"]["outcome"] or (
        found["changes"][0]["before"]["quantity"] != found["changes"][0]["after"]["quantity"]
    )
    same = ask("why", "--what-if", "size_fixed.amount=250", *SPAN)
    assert same["outcomes_before"] == found["outcomes_before"]
    text = cli("why", "--what-if", "plugins.size_fixed.amount=7", "--state", kept[0], *SPAN).stdout
    assert "stored questions asked again" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("why", "NOPE"), "expected a symbol such as BTC/USDT, or the id"),
        (("why", "AAA/USDT", "--top"), "--top: expected no symbol"),
        (("why", "--since", "soon"), "--since: expected a length such as 2h"),
        (("why", "--since", "1h", "--until", "2h"), "--until: expected a moment after --since"),
        (("why", "--what-if", "signals_drop.drop_pct=9"), "run the market again with --set signals_drop.drop_pct=9"),
        (("why", "--what-if", "size_fixed.amount=x"), "amount"),
        (("query", "events", "--kind", "order_fil"), "--kind: expected a kind"),
        (("query", "trades", "--run", "9"), "--run: expected the number or the id"),
        (("query", "trades", "--csv", "--json"), "--csv: expected one form"),
    ],
)
def test_bad_input_is_one_line(refused, kept, words, says):
    assert says in refused(*words, "--state", kept[0])


def test_guards_tell_every_check(ask):
    rows = ask("query", "guards", "--limit", 10_000)["guards"]
    assert {"max_exposure", "max_positions", "lock"} <= {row["limit"] for row in rows}
    denied = ask("query", "guards", "--limit", 10_000, "--status", "denied")["guards"]
    assert all(not row["allowed"] for row in denied)
    some = ask("query", "guards", "--symbol", "aaa/usdt", "--reason", "max_positions", "--limit", 5)["guards"]
    assert {(row["symbol"], row["limit"]) for row in some} == {("AAA/USDT", "max_positions")}
    moments = [row["at_ns"] for row in rows]
    assert moments == sorted(moments, reverse=True)


def test_events_are_filtered(ask, kept):
    fills = ask("query", "events", "--kind", "order_fill", "--limit", 1000)["events"]
    trades = ask("query", "trades", "--limit", 1000)["trades"]
    assert {line["data"]["venue_trade_id"] for line in fills} == {row["trade"]["venue_trade_id"] for row in trades}
    name = fills[0]["intent"]
    assert all(name in json.dumps(line) for line in ask("query", "events", "--id", name)["events"])
    run = kept[1]["run_id"]
    assert {line["session"] for line in ask("query", "events", "--run", run)["events"]} == {run}
    assert ask("query", "events", "--run", "1") == ask("query", "events", "--run", run)
    until = ask("query", "events", "--until", "1h", "--limit", 1)["events"]
    assert until[0]["at_ns"] < ask("query", "events", "--limit", 1)["events"][0]["at_ns"]


def test_performance_adds_up(ask, kept):
    found = ask("query", "performance")
    summary = kept[1]
    trades = found["trades"]
    assert trades["trades"] == summary["positions_closed"] == trades["wins"] + trades["losses"]
    assert Decimal(trades["realised_pnl"]) == Decimal(summary["realised_pnl"])
    assert Decimal(trades["gross_win"]) - Decimal(trades["gross_loss"]) == Decimal(trades["realised_pnl"])
    assert sum(rung["sent"] for rung in found["rungs"]) == summary["orders_sent"]
    assert sum(rung["filled"] for rung in found["rungs"]) == (
        summary["orders_filled"] + summary["orders_partly_filled"]
    )
    assert 0 < found["exposure_time"] <= 1
    assert sum(map(Decimal, found["fees"].values())) > 0
    for rung in found["rungs"]:
        if rung["side"] == "buy" and rung["filled"]:
            assert rung["cost_bps"] is not None
            assert set(rung["markout_bps"]) <= {"1", "10", "60"}
            assert rung["markout_bps"]


def test_rows_as_csv(cli, kept, ask):
    text = cli("query", "trades", "--csv", "--limit", 1000, "--state", kept[0]).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    found = ask("query", "trades", "--limit", 1000)["trades"]
    assert [row["trade.venue_trade_id"] for row in rows] == [one["trade"]["venue_trade_id"] for one in found]
    assert [row["trade.price"] for row in rows] == [one["trade"]["price"] for one in found]
    for name in ("guards", "events", "orders", "intents", "performance"):
        result = cli("query", name, "--csv", "--state", kept[0])
        assert result.exit_code == 0, result.stderr
        assert len(list(csv.DictReader(io.StringIO(result.stdout)))) > 1


def test_until_and_reason_and_status_narrow_down(ask):
    every = ask("query", "intents", "--limit", 1000)["intents"]
    middle = sorted(row["intent"]["created_ms"] for row in every)[len(every) // 2]
    text = datetime.fromtimestamp(middle / 1_000, UTC).isoformat()
    early = ask("query", "intents", "--limit", 1000, "--until", text)["intents"]
    late = ask("query", "intents", "--limit", 1000, "--since", text)["intents"]
    assert len(early) + len(late) == len(every)
    reason = every[0]["reason"]
    assert ask("query", "intents", "--limit", 1000, "--reason", reason.lower())["intents"] == [
        row for row in every if row["reason"] == reason
    ]
    settled = ask("query", "orders", "--limit", 1000, "--status", "settled")["orders"]
    assert len(settled) == len(ask("query", "orders", "--limit", 1000)["orders"])


def test_answers_start_at_once(program, kept):
    """Start of Python and of the program included; the aim is a second, on a machine with eight people a bit more."""
    best = {}
    for words in (("why",), ("query", "trades"), ("query", "performance")):
        spent = []
        for _ in range(3):
            started = time.perf_counter()
            process = program(*words, "--state", kept[0], "--json")
            process.communicate()
            assert process.returncode == 0
            spent.append(time.perf_counter() - started)
        best[words] = min(spent)
    assert max(best.values()) < 1.5, best


def test_rows_that_stand_in_no_sum_are_told_besides(cli, kept, tmp_path):
    folder = tmp_path / "state"
    shutil.copytree(kept[0], folder)
    for path in (folder / "journal" / "decision").iterdir():
        lines = path.read_bytes().splitlines(keepends=True)
        last = max(number for number, line in enumerate(lines) if b'"kind":"scan_outcomes"' in line)
        sums = [number for number, line in enumerate(lines) if b'"kind":"candidate_outcomes"' in line]
        # as a running process has it: the sum of the newest rows is not written yet
        path.write_bytes(b"".join(lines[: next(number for number in sums if number > last)]))
    found = json.loads(cli("why", *SPAN, "--state", folder, "--json").stdout)
    assert found["newest"]["rows"] > 0
    assert found["candidates"] + found["newest"]["candidates"] == kept[1]["candidates"]
    shown = cli("why", *SPAN, "--state", folder).stdout
    assert f"besides the newest {found['newest']['rows']:,} rows" in shown
    assert "besides the newest" not in cli("why", *SPAN, "--state", kept[0]).stdout
