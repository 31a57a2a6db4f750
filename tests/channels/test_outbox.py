"""The outbox where the disk fails, is held by others, or holds far too much; a sender that nothing ends."""

import asyncio
import sqlite3
import time

import pytest

from tests.channels.test_sending import LONG, LONGEST, send_for, wall
from tradecore.channels.line import Refused, Unreachable
from tradecore.channels.news import Item
from tradecore.channels.outbox import Outbox
from tradecore.channels.pace import Limit, Pace
from tradecore.channels.push import Push, open_outbox
from tradecore.channels.sender import Bounds
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on


def fill_up(outbox):
    """Leave the file no page to grow by."""
    (pages,) = outbox._raw.execute("PRAGMA page_count").fetchone()
    outbox._raw.execute(f"PRAGMA max_page_count = {pages}")
    number = 0
    while not outbox.trouble:
        outbox.put(f"filler{number}", 99, LONG)
        number += 1
    return number


def make_room(outbox):
    outbox._raw.execute("PRAGMA max_page_count = 1000000")


def test_f41_on_a_full_disk_news_is_told_all_the_same_and_once(memory_line, tmp_path, caplog):
    outbox = Outbox(tmp_path / "o.sqlite", wall)
    fill_up(outbox)
    assert outbox.put("disk", 7, "the disk is full")
    assert not outbox.put("disk", 7, "told again")
    line, _ = send_for(60, outbox, memory_line)
    assert [text for _, place, text in line.sent if place == 7] == ["the disk is full"]
    assert outbox.depth() == 0
    assert caplog.text.count("waits in memory") <= 2  # told once for each time that it began
    make_room(outbox)
    assert outbox.put("room", 7, "room again")
    assert outbox.trouble == ""
    outbox.close()
    again = Outbox(tmp_path / "o.sqlite", wall)
    assert [one.text for one in again.waiting(7, 10)] == ["room again"]
    again.close()


def test_f41_what_cannot_be_noted_as_sent_is_not_sent_again(memory_line, tmp_path):
    path = tmp_path / "o.sqlite"
    outbox = Outbox(path, wall)
    outbox.put("a", 7, "first")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # reads go on, nothing can be written
    later = [(5, lambda: outbox.put("b", 7, "second")), (30, lambda: other.execute("ROLLBACK"))]
    line, _ = send_for(60, outbox, memory_line, later=later)
    assert [text for _, _, text in line.sent] == ["first", "second"]
    assert outbox.trouble == ""
    assert outbox.depth() == 0
    other.close()
    outbox.close()


def test_f42_whoever_holds_the_file_holds_up_nobody(tmp_path):
    path = tmp_path / "o.sqlite"
    outbox = Outbox(path, wall)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    begun = time.perf_counter()
    for number in range(100):
        assert outbox.put(f"k{number}", 7, "news")
    assert time.perf_counter() - begun < 1.0  # with a wait for the lock: 20 s
    assert len(outbox.waiting(7, 200)) == 100
    other.close()
    outbox.close()


def test_f42_memory_is_bounded_too(tmp_path):
    outbox = Outbox(None, wall)
    outbox.close()  # a file that is gone: everything fails
    for number in range(1_000):
        assert outbox.put(f"k{number}", 7, "news")
    assert outbox.depth() == 500
    assert outbox.dropped == 500
    assert outbox.places() == [7]
    outbox.done([outbox.waiting(7, 1)[0].number], "sent")
    assert outbox.depth() == 499


def test_f42_a_hundred_thousand_rows_at_the_start(tmp_path):
    path = tmp_path / "o.sqlite"
    outbox = Outbox(path, wall)
    outbox._raw.execute("BEGIN")
    outbox._raw.executemany(
        "INSERT INTO message (key, chat, text, state) VALUES (?, ?, ?, 'waiting')",
        ((f"k{number}", number % 5, "x" * 200) for number in range(100_000)),
    )
    outbox._raw.execute("COMMIT")
    outbox.close()
    begun = time.process_time()
    again = Outbox(path, wall)
    assert time.process_time() - begun < 3.0  # 0.5 s; a guest has 10 s to start
    assert again.depth() == 2_000
    assert again.dropped == 98_000
    begun = time.process_time()
    assert len(again.waiting(again.places()[0], 40)) == 40
    assert time.process_time() - begun < 0.1
    again.close()


def test_a_file_of_an_older_form_is_read_on(memory_line, tmp_path):
    path = tmp_path / "o.sqlite"
    raw = sqlite3.connect(path)
    raw.executescript(
        "CREATE TABLE message (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, chat INTEGER NOT NULL,"
        "text TEXT NOT NULL, state TEXT NOT NULL, UNIQUE (chat, key));"
        "INSERT INTO message (key, chat, text, state) VALUES ('a', 7, 'old', 'waiting');"
    )
    raw.close()
    for _ in range(2):
        outbox = Outbox(path, wall)
        assert outbox.put("a", 7, "again") is False
        outbox.close()
    outbox = Outbox(path, wall)
    line, _ = send_for(5, outbox, memory_line)
    assert [text for _, _, text in line.sent] == ["old"]
    outbox.close()


@pytest.mark.parametrize("evil", ["\ud800", "\x00", "a" * 100_000, "\u202ex"])
def test_f42_no_key_and_no_text_makes_a_fault(evil):
    outbox = Outbox(None, wall)
    assert outbox.put(evil, 7, evil)
    assert not outbox.put(evil, 7, evil)
    (one,) = outbox.waiting(7, 5)
    assert len(one.text) <= 8_000
    assert outbox.trouble == ""


def test_f42_whatever_a_line_raises_the_sender_goes_on(memory_line, caplog):
    outbox = Outbox(None, wall)
    outbox.put("a", 7, "text")
    troubles = [KeyError("secret"), TypeError("secret"), RuntimeError("secret"), RecursionError("secret")]
    line, sender = send_for(60, outbox, memory_line, *troubles)
    assert [text for _, _, text in line.sent] == ["text"]
    assert sender.health.why == ""
    assert "secret" not in caplog.text


def test_f42_a_message_that_is_never_taken_does_not_stand_in_the_way_for_ever(memory_line):
    outbox = Outbox(None, wall)

    class Picky(memory_line):
        async def send(self, place, text):
            if "poison" in text:
                self.asked.append((self.clock(), place))
                raise Unreachable("no")
            await super().send(place, text)

    for number in range(5):
        outbox.put(f"k{number}", 7, "poison" if number == 2 else f"news {number}")
    line, sender = send_for(1_000, outbox, Picky, bounds=Bounds(LONGEST, 10))
    told = "\n\n".join(text for _, _, text in line.sent)
    assert [number for number in range(5) if f"news {number}" in told] == [0, 1, 3, 4]
    assert outbox.depth() == 0
    assert sender.refused >= 1


def test_a_sender_of_one_place_leaves_the_others_alone(memory_line):
    outbox = Outbox(None, wall)
    for place in (1, 2, 3):
        outbox.put("a", place, "text")
    line, _ = send_for(5, outbox, memory_line, only=2)
    assert [place for _, place, _ in line.sent] == [2]
    assert outbox.places() == [1, 3]


# All of it together ----------------------------------------------------------------------------------------------


def pushing(memory_line, path, story):
    """Run a story with a push to the places 7 and 8 on one line."""
    loop = MarketLoop()

    async def whole():
        push = Push("t", open_outbox(Outbox, path, wall), scale=1.0, wall_ms=wall)
        line = memory_line(loop.time)
        push.add(line, [7, 8], Pace([Limit(1, 1.0)], lambda place: ()), Bounds(LONGEST))
        push.begin()
        await story(push, line, loop)
        return line

    return run_on(whole(), loop)


def test_r49_alerts_of_a_line_that_is_down_and_of_messages_that_were_lost(memory_line, tmp_path):
    told = []

    async def story(push, line, loop):
        kept = {}

        def look():
            alerts, state = push.watch(kept, 10**9 + int(loop.time() * 1_000))
            kept.update(state)
            told.extend((one.name, one.resolved) for one in alerts)

        line.trouble.extend([Refused("blocked"), *[Unreachable("down")] * 13])
        push.say(Item("a", "text"))
        push.say(None)
        for _ in range(12):
            await asyncio.sleep(60)
            look()
        await push.end()

    line = pushing(memory_line, tmp_path / "o.sqlite", story)
    assert told == [("chat_lost", False), ("chat_down", False), ("chat_down", True)]
    assert [place for _, place, _ in line.sent] == [8]


def test_an_outbox_that_cannot_be_opened_is_kept_in_memory(tmp_path, caplog):
    (tmp_path / "o.sqlite").write_bytes(b"this is no database" * 100)
    outbox = open_outbox(Outbox, tmp_path / "o.sqlite", wall)
    assert outbox.put("a", 7, "text")
    assert "do not survive a restart" in caplog.text
    outbox.close()


def test_f42_a_place_that_refuses_everything_is_told_of_rarely_and_feeds_no_alerts_of_its_own(memory_line, tmp_path):
    told = []

    async def story(push, line, loop):
        kept = {}
        line.trouble.extend([Refused("blocked")] * 10_000)
        push.say(Item("a", "text"))
        for minute in range(24 * 60):
            await asyncio.sleep(60)
            alerts, state = push.watch(kept, 10**9 + int(loop.time() * 1_000))
            kept.update(state)
            told.extend(alerts)
            for alert in alerts:
                push.say(Item(f"alert/{minute}", alert.text))
        await push.end()

    line = pushing(memory_line, tmp_path / "o.sqlite", story)
    assert [one.name for one in told] == ["chat_lost"] * 4
    assert line.sent == []
