"""The outbox and the sender on simulated time: order, pace, outages, restarts."""

import asyncio
import itertools
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tradecore_notify_telegram.outbox import Outbox
from tradecore_notify_telegram.pace import Pace, Window
from tradecore_notify_telegram.port import Refused, Throttled, Unreachable, WrongToken
from tradecore_notify_telegram.sender import Health, Sender
from tradecore_notify_telegram.words import LONGEST, cut, line, plain, units

from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on

LONG = "n" * 3_000


def send_for(seconds, outbox, telegram, *troubles, later=()):
    """Run a sender for so many seconds of simulated time; `later` are pairs of a second and something to do then."""
    loop = MarketLoop()

    async def story():
        api = telegram.memory_api(loop.time)
        api.trouble.extend(troubles)
        sender = Sender(api, outbox, Health(loop.time), loop.time, asyncio.sleep)
        task = asyncio.create_task(sender.run())
        for second, act in later:
            await asyncio.sleep(second - loop.time())
            act()
            sender.wake()
        await asyncio.sleep(seconds - loop.time())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return api, sender

    return run_on(story(), loop)


def test_messages_that_wait_are_joined_into_as_few_as_hold_them(telegram):
    outbox = Outbox(None)
    for number in range(100):
        outbox.put(f"k{number}", 7, f"fill {number}")
    api, sender = send_for(10, outbox, telegram)
    assert [chat for _, chat, _ in api.sent] == [7, 7, 7]
    assert "\n\n".join(text for _, _, text in api.sent).split("\n\n") == [f"fill {n}" for n in range(100)]
    assert outbox.depth() == 0
    assert sender.sent == 3


@pytest.mark.parametrize(("chat", "minute"), [(7, 60), (-7, 20)])
def test_r49_a_chat_gets_one_message_a_second_and_a_group_twenty_a_minute(telegram, chat, minute):
    outbox = Outbox(None)
    for number in range(150):
        outbox.put(f"k{number}", chat, LONG)
    api, _ = send_for(120, outbox, telegram)
    moments = [second for second, _, _ in api.sent]
    assert all(b - a >= 1.0 - 1e-6 for a, b in itertools.pairwise(moments))
    assert len([second for second in moments if second < 60]) == minute
    assert 2 * minute <= len(moments) <= 2 * minute + 1


@settings(max_examples=60, deadline=None)
@given(wishes=st.lists(st.tuples(st.integers(-3, 60), st.floats(0, 0.2)), min_size=1, max_size=300))
def test_r49_the_pace_never_exceeds_telegrams_limits(wishes):
    pace, now, sent = Pace(), 0.0, []
    for chat, gap in wishes:
        now += gap
        now += pace.wait_s(chat, now)
        assert pace.wait_s(chat, now) < 1e-6
        pace.add(chat, now)
        sent.append((now, chat))
    for at, chat in sent:
        assert sum(at - 1.0 + 1e-6 < other <= at for other, _ in sent) <= 30
        assert sum(at - 1.0 + 1e-6 < other <= at for other, to in sent if to == chat) <= 1
        assert chat >= 0 or sum(at - 60.0 + 1e-6 < other <= at for other, to in sent if to == chat) <= 20


def test_window_counts_and_forgets():
    window = Window(2, 10.0)
    assert [window.try_add(now) for now in (0, 1, 2, 9.9, 10.0, 10.5, 11.0)] == [
        True,
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_r49_an_outage_is_waited_out_and_nothing_is_lost_or_out_of_order(telegram):
    outbox = Outbox(None)
    outbox.put("a", 7, "first")
    later = [(30, lambda: outbox.put("b", 7, "second"))]
    api, _ = send_for(200, outbox, telegram, *[Unreachable("down")] * 8, later=later)
    tries = [second for second, chat in api.asked]
    assert [round(b - a) for a, b in itertools.pairwise(tries[:9])] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [text for _, _, text in api.sent] == ["first\n\nsecond"]


def test_r49_a_429_is_obeyed_to_the_second(telegram):
    outbox = Outbox(None)
    outbox.put("a", 7, "text")
    api, _ = send_for(100, outbox, telegram, Throttled(37.0))
    assert [second for second, _ in api.asked] == pytest.approx([0.0, 37.0])


def test_r49_a_wrong_token_is_tried_rarely(telegram):
    outbox = Outbox(None)
    outbox.put("a", 7, "text")
    api, _ = send_for(1_000, outbox, telegram, *[WrongToken("refused")] * 100)
    assert len(api.asked) == 4
    assert outbox.depth() == 1


def test_r49_a_chat_that_takes_nothing_holds_up_no_other(telegram):
    outbox = Outbox(None)
    for number in range(3):
        outbox.put(f"k{number}", 403, LONG)
    outbox.put("k", 7, "text")
    api, sender = send_for(
        60, outbox, telegram, *[Refused("blocked")] * 1, None, Refused("blocked"), Refused("blocked")
    )
    assert [(chat, text) for _, chat, text in api.sent] == [(7, "text")]
    assert sender.refused == 3
    assert outbox.depth() == 0


def test_r49_what_waits_survives_a_restart_and_nothing_is_put_twice(telegram, tmp_path):
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path)
    assert outbox.put("fill/1", 7, "one")
    assert outbox.put("fill/1", 8, "one")
    assert not outbox.put("fill/1", 7, "one, told again")
    send_for(5, outbox, telegram, Unreachable("down"))
    outbox.put("fill/2", 7, "two")
    outbox.close()
    again = Outbox(path)
    assert not again.put("fill/1", 7, "after a crash it is told again")
    api, _ = send_for(5, again, telegram)
    assert [text for _, _, text in api.sent if "two" in text] == ["two"]
    assert again.depth() == 0
    again.close()


def test_r49_too_many_waiting_push_out_the_oldest():
    outbox = Outbox(None)
    for number in range(6_000):
        outbox.put(f"k{number}", 7, "x")
    assert outbox.depth() <= 2_500
    assert outbox.dropped >= 3_500
    assert outbox.waiting(7, 1)[0].number > 3_000


def test_a_file_that_cannot_be_opened_says_so_and_leaves_nothing_open(tmp_path):
    (tmp_path / "outbox.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(sqlite3.Error):
        Outbox(tmp_path / "outbox.sqlite")


def test_updates_are_taken_once_also_by_the_next_process(tmp_path):
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path)
    assert outbox.newest_update() is None
    assert outbox.take(10, 1_000)
    assert not outbox.take(10, 2_000)
    outbox.close()
    again = Outbox(path)
    assert not again.take(10, 3_000)
    assert again.newest_update() == (10, 1_000)
    again.close()


# Texts -----------------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=6_000), longest=st.sampled_from([10, 300, LONGEST]))
def test_f42_whatever_others_write_fits_one_message_and_shows_what_it_is(text, longest):
    made = cut(plain(text), longest)
    assert units(made) <= longest
    made.encode("utf-8")
    assert all(one.isprintable() or one == "\n" or one.isspace() for one in made)
    assert "\n" not in line(text)


@pytest.mark.parametrize("evil", ["\u202e", "\u200b", "\u2066", "\x00", "\x1b", "\ud800", "\u2028", "\r"])
def test_f42_what_does_not_show_is_replaced(evil):
    assert plain(f"a{evil}b") == "a?b"


def test_a_text_of_pairs_is_cut_where_telegram_counts():
    made = cut("😀" * 3_000)
    assert units(made) <= LONGEST
    assert made.endswith("😀 …")
