"""Ctrl-C and SIGTERM in the middle of a run (R24): a clean end in time, on the wall's time and on virtual time."""

import signal
import time

from bot import lines_of

from tradecore.journal.read import read_journal
from tradecore.model.order import AttemptState

#: Entries that stay open for hundreds of prices: few are there to sell, and much is wanted.
RESTING = (
    'exec_ioc_gtc.steps=[{time_in_force="GTC", premium_bps=0, attempts=1, ttl_ms=3600000}]',
    "signals_drop.expires_s=3600",
    "engine.intent_ttl_s=3600",
    "twin.depth_quote=20",
    "size_fixed.amount=4000",
)
#: Requests are lost, and reads lag so far behind that nothing can be proven for minutes.
SILENT = ("twin.faults=lost_request", "twin.read_lag_ms=600000")


def test_r24_ctrl_c_in_the_middle_ends_cleanly_with_nothing_pending(tmp_path, start, play, clean, sound):
    bot = start(tmp_path / "s", "--speed", "150", "--for", "100h")
    bot.until_event("order_fill", 4)
    bot.send(signal.SIGINT)
    ended = bot.wait()
    summary = clean(ended)
    assert ended.seconds < 10
    assert summary["ended"] == "SIGINT"
    assert (summary["pending"], summary["pending_intents"], summary["reserved"]) == ([], 0, "0")
    assert sound(tmp_path / "s", ended=True) == []


def test_r24_sigterm_on_virtual_time_ends_cleanly(tmp_path, start, play, clean, sound):
    bot = start(tmp_path / "s", "--speed", "max", "--for", "1000h")
    bot.until_event("order_fill", 10)
    bot.send(signal.SIGTERM)
    ended = bot.wait()
    summary = clean(ended)
    assert ended.seconds < 10
    assert (summary["ended"], summary["pending"], summary["reserved"]) == ("SIGTERM", [], "0")
    assert sound(tmp_path / "s", ended=True) == []


def test_r24_orders_that_are_kept_are_listed_and_taken_up_again(tmp_path, start, play, clean, sound):
    bot = start(tmp_path / "s", "--speed", "60", "--for", "100h", sets=(*RESTING, "shutdown.policy=keep"))
    bot.until_order(AttemptState.OPEN)
    bot.send(signal.SIGTERM)
    ended = bot.wait()
    summary = clean(ended, code=3)
    assert ended.seconds < 10
    kept = [line for line in summary["pending"] if line.startswith("order ") and " OPEN " in line]
    assert kept, summary["pending"]
    assert all(line in ended.err for line in kept), "a person must see them too"
    assert sound(tmp_path / "s", ended=False) == []

    summary = clean(play(tmp_path / "s"))
    assert (summary["pending"], summary["reserved"]) == ([], "0")
    assert lines_of(tmp_path / "s", "order_cancel") == len(kept)
    assert sound(tmp_path / "s", ended=True) == []


def test_r13_r24_what_is_unknown_is_listed_and_a_second_signal_is_faster(tmp_path, start, play, clean, sound):
    folder = tmp_path / "s"
    bot = start(folder, "--speed", "60", "--for", "100h", sets=(*SILENT, "shutdown.total_s=1", "shutdown.phase_s=0.3"))
    bot.until_order(AttemptState.UNKNOWN)
    bot.send(signal.SIGTERM)
    ended = bot.wait()
    unknown = [line for line in clean(ended, code=3)["pending"] if " UNKNOWN " in line]
    assert unknown, ended.err
    assert ended.seconds < 4

    again = start(folder, "--speed", "60", "--for", "100h", sets=SILENT)
    again.until_event("session_started", 2)
    time.sleep(0.3)
    again.send(signal.SIGTERM)
    time.sleep(0.2)
    again.send(signal.SIGINT)
    ended = again.wait()
    summary = clean(ended, code=3)
    assert ended.seconds < 4, "the first signal alone would give the unknown six seconds"
    assert set(unknown) <= set(summary["pending"])
    assert sound(folder, ended=False) == []

    summary = clean(play(folder))
    assert summary["pending"] == []
    assert sound(folder, ended=True) == []
    lost = [line.split()[1] for line in unknown]
    done = {
        line.ids.client_order: line.data["outcome"] for line in read_journal(folder / "journal", kinds=["order_done"])
    }
    assert {done[wire_id] for wire_id in lost} == {"NOT_PLACED"}
