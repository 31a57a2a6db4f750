"""The outbox and the sender on simulated time: order, pace, outages, restarts."""

import asyncio
import itertools
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.channels.line import Refused, Throttled, Unreachable, WrongToken
from tradecore.channels.outbox import Outbox
from tradecore.channels.pace import Limit, Pace, Window
from tradecore.channels.sender import Bounds, Health, Sender
from tradecore.channels.words import cut, line, plain, units
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on

T0 = 1_800_000_000_000
LONGEST = 4_096
BOUNDS = Bounds(LONGEST)
LONG = "n" * 3_000


def pace():
    """Telegram's limits: the strictest that are known."""
    return Pace([Limit(30, 1.0)], lambda place: [Limit(1, 1.0), *[Limit(20, 60.0)] * (place < 0)])


def wall():
    return T0


def send_for(seconds, outbox, memory_line, *troubles, later=(), bounds=BOUNDS, only=None):
    """Run a sender for so many seconds of simulated time; `later` are pairs of a second and something to do then."""
    loop = MarketLoop()

    async def story():
        api = memory_line(loop.time)
        api.trouble.extend(troubles)
        sender = Sender(
            api, outbox, Health("t", loop.time), pace(), bounds, now_s=loop.time,
            wall_ms=lambda: T0 + int(loop.time() * 1_000), sleep=asyncio.sleep, only=only,
        )  # fmt: skip
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


def test_messages_that_wait_are_joined_into_as_few_as_hold_them(memory_line):
    outbox = Outbox(None, wall)
    for number in range(100):
        outbox.put(f"k{number}", 7, f"fill {number}")
    api, sender = send_for(10, outbox, memory_line)
    assert [chat for _, chat, _ in api.sent] == [7, 7, 7]
    assert "\n\n".join(text for _, _, text in api.sent).split("\n\n") == [f"fill {n}" for n in range(100)]
    assert outbox.depth() == 0
    assert sender.sent == 3


@pytest.mark.parametrize(("chat", "minute"), [(7, 60), (-7, 20)])
def test_r49_a_chat_gets_one_message_a_second_and_a_group_twenty_a_minute(memory_line, chat, minute):
    outbox = Outbox(None, wall)
    for number in range(150):
        outbox.put(f"k{number}", chat, LONG)
    api, _ = send_for(120, outbox, memory_line)
    moments = [second for second, _, _ in api.sent]
    assert all(b - a >= 1.0 - 1e-6 for a, b in itertools.pairwise(moments))
    assert len([second for second in moments if second < 60]) == minute
    assert 2 * minute <= len(moments) <= 2 * minute + 1


@settings(max_examples=60, deadline=None)
@given(wishes=st.lists(st.tuples(st.integers(-3, 60), st.floats(0, 0.2)), min_size=1, max_size=300))
def test_r49_the_pace_never_exceeds_the_limits(wishes):
    paced, now, sent = pace(), 0.0, []
    for chat, gap in wishes:
        now += gap
        now += paced.wait_s(chat, now)
        assert paced.wait_s(chat, now) < 1e-6
        paced.add(chat, now)
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


def test_r49_an_outage_is_waited_out_and_nothing_is_lost_or_out_of_order(memory_line):
    outbox = Outbox(None, wall)
    outbox.put("a", 7, "first")
    later = [(30, lambda: outbox.put("b", 7, "second"))]
    api, _ = send_for(200, outbox, memory_line, *[Unreachable("down")] * 8, later=later)
    tries = [second for second, chat in api.asked]
    assert [round(b - a) for a, b in itertools.pairwise(tries[:9])] == [1, 2, 4, 8, 16, 32, 60, 60]
    # what waited for long says since when
    assert [text for _, _, text in api.sent] == ["[01-15 08:00 UTC] first\n\n[01-15 08:00 UTC] second"]


def test_r49_a_429_is_obeyed_to_the_second(memory_line):
    outbox = Outbox(None, wall)
    outbox.put("a", 7, "text")
    api, _ = send_for(100, outbox, memory_line, Throttled(37.0))
    assert [second for second, _ in api.asked] == pytest.approx([0.0, 37.0])


def test_r49_a_wrong_token_is_tried_rarely(memory_line):
    outbox = Outbox(None, wall)
    outbox.put("a", 7, "text")
    api, _ = send_for(1_000, outbox, memory_line, *[WrongToken("refused")] * 100)
    assert len(api.asked) == 4
    assert outbox.depth() == 1


def test_r49_a_chat_that_takes_nothing_holds_up_no_other(memory_line):
    outbox = Outbox(None, wall)
    for number in range(3):
        outbox.put(f"k{number}", 403, LONG)
    outbox.put("k", 7, "text")
    api, sender = send_for(
        60, outbox, memory_line, *[Refused("blocked")] * 1, None, Refused("blocked"), Refused("blocked")
    )
    assert [(chat, text) for _, chat, text in api.sent] == [(7, "text")]
    assert sender.refused == 3
    assert outbox.depth() == 0


def test_r49_what_waits_survives_a_restart_and_nothing_is_put_twice(memory_line, tmp_path):
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, wall)
    assert outbox.put("fill/1", 7, "one")
    assert outbox.put("fill/1", 8, "one")
    assert not outbox.put("fill/1", 7, "one, told again")
    send_for(5, outbox, memory_line, Unreachable("down"))
    outbox.put("fill/2", 7, "two")
    outbox.close()
    again = Outbox(path, wall)
    assert not again.put("fill/1", 7, "after a crash it is told again")
    api, _ = send_for(5, again, memory_line)
    assert [text for _, _, text in api.sent if "two" in text] == ["two"]
    assert again.depth() == 0
    again.close()


def test_r49_too_many_waiting_push_out_the_oldest():
    outbox = Outbox(None, wall)
    for number in range(6_000):
        outbox.put(f"k{number}", 7, "x")
    assert outbox.depth() <= 2_500
    assert outbox.dropped >= 3_500
    assert outbox.waiting(7, 1)[0].number > 3_000


def test_a_file_that_cannot_be_opened_says_so_and_leaves_nothing_open(tmp_path):
    (tmp_path / "outbox.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(sqlite3.Error):
        Outbox(tmp_path / "outbox.sqlite", wall)


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


def test_a_text_of_pairs_is_cut_where_memory_line_counts():
    made = cut("😀" * 3_000, LONGEST)
    assert units(made) <= LONGEST
    assert made.endswith("😀 …")
