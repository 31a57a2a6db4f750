"""F42: hostile people on the chat. Nobody gets in, nothing is carried out twice, and the right ones are heard."""

import asyncio
import itertools
import sqlite3
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tradecore_notify_telegram.answering import Answering
from tradecore_notify_telegram.commands import FORMS, read
from tradecore_notify_telegram.outbox import Notebook
from tradecore_notify_telegram.people import Confirmations, Gate, Wish
from tradecore_notify_telegram.port import Incoming
from tradecore_notify_telegram.receiver import Receiver

from tradecore import Because, Blocked
from tradecore.channels.line import Throttled, Unreachable, WrongToken
from tradecore.channels.sender import Health
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.model.lock import Lock
from tradecore.model.portfolio import TradingState
from tradecore.model.position import Position
from tradecore.model.records import TradingRecord
from tradecore.testing.operating import Asked, StandInOperate

VIEWER, KEEPER, OWNER, STRANGER = 11, 22, 33, 66
GROUP = -500
PEOPLE = {VIEWER: "view", KEEPER: "control", OWNER: "money"}
T0 = 1_800_000_000_000
BOT = "loopback_bot"


class Room:
    """Everything but the wire, at a time that the test moves."""

    def __init__(self, operate=None, age_s=60):
        self.now_s = 0.0
        self.operate = operate or StandInOperate()
        self.gate = Gate(PEOPLE, frozenset({GROUP}), lambda: self.now_s)
        self.confirmations = Confirmations(60, lambda: self.now_s, self.wall_ms)
        self.answering = Answering(self.operate, self.gate, self.confirmations, age_s, self.wall_ms)
        self.answering.bot = BOT
        self.ids = itertools.count(1)

    def wall_ms(self):
        return T0 + int(self.now_s * 1_000)

    def say(self, user, text, *, chat=None, late_s=0, own=True):
        message = Incoming(
            next(self.ids), user, user if chat is None else chat, text, self.wall_ms() - late_s * 1_000, own
        )
        return asyncio.run(self.answering.answer(message))

    def code(self, reply):
        return reply.rsplit(" ", 1)[1]

    @property
    def asked(self):
        return self.operate.asked


# Who gets in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["/status", "/help", "/halt", "/forceexit all", "/confirm 1", "/start", "hello", ""])
@pytest.mark.parametrize(
    ("user", "chat"), [(STRANGER, None), (STRANGER, GROUP), (OWNER, -999), (OWNER, STRANGER), (0, 0), (GROUP, GROUP)]
)
def test_f42_strangers_and_strange_places_get_no_answer(user, chat, text):
    room = Room()
    assert room.say(user, text, chat=chat) is None
    assert room.asked == []
    assert room.gate.strangers == 1


@pytest.mark.parametrize("name", list(FORMS))
@pytest.mark.parametrize(("user", "rank"), [(VIEWER, 0), (KEEPER, 1), (OWNER, 2)])
def test_f42_each_role_does_what_it_may_and_no_more(name, user, rank):
    room = Room()
    words = {"forceexit": " BTC/USDT", "unlock": " *", "release": " size", "confirm": " AAAA"}.get(name, "")
    reply = room.say(user, f"/{name}{words}")
    needed = {"view": 0, "control": 1, "money": 2}[FORMS[name].role]
    assert reply is not None
    assert ("needs the role" in reply) == (rank < needed)
    carried = [one.verb for one in room.asked]
    assert carried == ([FORMS[name].verb] if FORMS[name].verb and not FORMS[name].twice and rank >= needed else [])


def test_r49_control_verbs_reach_the_core_with_who_and_why():
    room = Room()
    assert room.say(KEEPER, "/halt") == "halt: written down"
    room.say(KEEPER, "/halt 2h thin market", chat=GROUP)
    room.say(OWNER, f"/reduce@{BOT} 90m")
    room.say(OWNER, "/reduce because I say so")
    assert room.asked == [
        Asked("halt", "", "by Telegram", "22"), Asked("halt", "7200", "thin market", "22"),
        Asked("reduce", "5400", "by Telegram", "33"), Asked("reduce", "", "because I say so", "33"),
    ]  # fmt: skip


def test_r49_money_verbs_ask_back_and_then_go():
    room = Room()
    reply = room.say(OWNER, "/forceexit btc/usdt it burns")
    assert room.asked == []
    assert "BTC/USDT" in reply
    assert room.say(OWNER, f"/confirm {room.code(reply).lower()}") == "exit BTC/USDT: written down"
    assert room.asked == [Asked("exit", "BTC/USDT", "it burns", "33")]
    code = room.code(room.say(KEEPER, "/resume all clear"))
    room.say(KEEPER, f"/confirm {code}")
    assert room.asked[1:] == [Asked("resume", "", "all clear", "22")]


@pytest.mark.parametrize(
    "forged", ["yes", "/yes", "/confirm", "/confirm yes", "/confirm 0", "/confirm a b", "YES", "/confirm '--"]
)
def test_f42_a_forged_yes_does_nothing(forged):
    room = Room()
    room.say(OWNER, "/forceexit all")
    room.say(OWNER, forged)
    assert room.asked == []


def test_f42_a_code_is_for_one_person_in_one_place_once_and_soon():
    room = Room()
    code = room.code(room.say(OWNER, "/forceexit all"))
    for user, chat in ((KEEPER, None), (VIEWER, None), (STRANGER, None), (OWNER, GROUP)):
        room.say(user, f"/confirm {code}", chat=chat)
    assert room.asked == []
    room.say(OWNER, f"/confirm {code}")
    assert len(room.asked) == 1
    room.say(OWNER, f"/confirm {code}")
    assert len(room.asked) == 1
    code = room.code(room.say(OWNER, "/forceexit all"))
    room.now_s += 60
    assert "too late" in room.say(OWNER, f"/confirm {code}")
    assert len(room.asked) == 1


def test_f42_guessing_a_code_ends_after_three_tries_and_a_new_wish_ends_the_old_one():
    room = Room()
    code = room.code(room.say(OWNER, "/forceexit all"))
    for guess in ("1", "2", "3"):
        room.say(OWNER, f"/confirm {guess}")
    room.say(OWNER, f"/confirm {code}")
    assert room.asked == []
    old = room.code(room.say(OWNER, "/forceexit all"))
    new = room.code(room.say(OWNER, "/forceexit A/B"))
    room.say(OWNER, f"/confirm {old}")
    room.say(OWNER, f"/confirm {new}")
    assert [one.argument for one in room.asked] == ["A/B"]


def test_f42_codes_are_long_and_never_the_same():
    made = Confirmations(60, lambda: 0.0, lambda: T0)
    codes = {made.ask(1, 1, Wish("exit", "all", "")) for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == 8 for code in codes)


# Words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "/h\u0430lt",  # a Cyrillic a
        "/\uff48\uff41\uff4c\uff54",  # full width
        "/halt\u200b",
        "/halt\u202e",
        "\u2215halt",
        "/halt\x00",
        "/halt now\n/forceexit all",
        "/halt\r\n",
        "//halt x",
        "/HALT",
        "/halt;/forceexit all",
        "/halt" + "x" * 300,
        "/halt " + "x" * 4_000,
        "/forceexit \uff22TC/USDT",
        "/forceexit BTC",
        "/forceexit",
        "/forceexit BTC/USDT'; DROP TABLE command; --" + "/" * 300,
        "/halt@other_bot",
        " /forceexit@other_bot all",
        "halt",
        "\U0001d4f1alt",
    ],
)
def test_f42_what_only_looks_like_a_command_is_none(text):
    room = Room()
    reply = room.say(OWNER, text)
    # a trailing line feed is the one thing that is forgiven
    assert room.asked == [] or text == "/halt\r\n"
    assert reply is None or "/confirm" not in reply.splitlines()[-1] or "CODE" in reply


@settings(max_examples=500, deadline=None)
@given(text=st.text(max_size=300) | st.text(alphabet="/haltresumfocxi @_%'\"\\\n\t<>&*[](){}0123456789", max_size=80))
def test_f42_any_text_is_read_without_a_fault_and_no_view_turns_into_a_verb(text):
    asked = read(text, BOT)
    if asked is None or asked.fault:
        return
    assert text.strip().startswith(f"/{asked.name}")
    assert asked.argument.isascii()
    assert "\n" not in asked.reason


@pytest.mark.parametrize(
    ("text", "says"),
    [("/halt 5x", None), ("/halt 0m", None), ("/why BTC/USDT", None), ("/why all", "usage"), ("/status now", "usage"),
     ("/nonsense", "I know no /nonsense")],
)  # fmt: skip
def test_words_after_a_command(text, says):
    room = Room()
    reply = room.say(OWNER, text)
    assert says is None or says in reply
    if text.startswith("/halt"):
        assert room.asked[0].argument == ""
        assert room.asked[0].reason == text.removeprefix("/halt ")


@pytest.mark.parametrize("text", ["/status", "/halt", "/forceexit all"])
def test_f42_words_of_others_are_not_taken(text):
    room = Room()
    assert "words of others" in room.say(OWNER, text, own=False)
    assert room.asked == []


@pytest.mark.parametrize("late_s", [61, 86_400, -61])
@pytest.mark.parametrize("text", ["/halt", "/forceexit all", "/resume"])
def test_f42_an_old_command_is_not_carried_out(text, late_s):
    room = Room()
    assert "send it again" in room.say(OWNER, text, late_s=late_s)
    assert room.asked == []


def test_f42_an_old_confirmation_is_not_carried_out():
    room = Room()
    code = room.code(room.say(OWNER, "/forceexit all"))
    assert "too late" in room.say(OWNER, f"/confirm {code}", late_s=61)
    assert room.asked == []


def test_f42_a_flood_is_answered_twenty_times_a_minute_and_others_are_not_kept_out():
    room = Room()
    replies = [room.say(VIEWER, "/status") for _ in range(500)]
    assert sum(reply is not None for reply in replies) == 20
    assert room.gate.floods == 480
    assert room.say(KEEPER, "/halt") == "halt: written down"
    room.now_s += 61
    assert room.say(VIEWER, "/status") is not None


# What the core says --------------------------------------------------------------------------------------------


def test_without_the_setting_it_only_tells():
    room = Room()
    room.answering._operate = None
    assert "run.operators" in room.say(OWNER, "/status")
    assert "run.operators" in room.say(OWNER, "/forceexit all")
    assert "/forceexit" in room.say(OWNER, "/help")


def test_a_refusal_of_the_core_is_handed_on():
    room = Room(StandInOperate(frozenset({"view"})))
    assert room.say(OWNER, "/halt").startswith("refused: expected the right")


def test_help_shows_each_role_its_own():
    room = Room()
    assert "/halt" not in room.say(VIEWER, "/help")
    assert "/forceexit" not in room.say(KEEPER, "/help")
    assert "/forceexit" in room.say(OWNER, "/help")


# The receiver --------------------------------------------------------------------------------------------------


def receive(telegram, outbox, room, seconds, api=None, later=()):
    loop = MarketLoop()

    async def story():
        line = api or telegram.memory_api(loop.time)
        line.clock = loop.time
        health = Health("t", loop.time)
        receiver = Receiver(
            line, outbox, room.answering, health, wall_ms=room.wall_ms, sleep=asyncio.sleep, wait_s=1, wake=lambda: None
        )
        task = asyncio.create_task(receiver.run())
        for second, act in later:
            await asyncio.sleep(second - loop.time())
            act(line)
        await asyncio.sleep(seconds - loop.time())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return line, receiver, health

    return run_on(story(), loop)


def test_f42_a_replayed_update_is_carried_out_once_also_after_a_restart(telegram, tmp_path):
    outbox, room = Notebook(tmp_path / "o.sqlite", int), Room()

    def attack(line):
        for _ in range(3):
            line.write(OWNER, "/halt", update_id=700, sent_ms=T0)

    receive(telegram, outbox, room, 5, later=[(1, attack), (2, attack)])
    assert len(room.asked) == 1
    outbox.close()
    outbox = Notebook(tmp_path / "o.sqlite", int)
    line, receiver, _ = receive(telegram, outbox, room, 5, later=[(1, attack)])
    assert len(room.asked) == 1
    assert receiver.repeated == 3
    assert line.asked[0][2] == 701
    assert [one.text for one in outbox.waiting(OWNER, 10)] == ["halt: written down"]
    outbox.close()


def test_r49_after_a_week_of_silence_telegram_may_number_updates_anew(telegram):
    outbox, room = Notebook(None, int), Room()
    receive(
        telegram, outbox, room, 3, later=[(1, lambda line: line.write(OWNER, "/halt", update_id=9_000, sent_ms=T0))]
    )
    room.now_s += 7 * 86_400
    line, _, _ = receive(
        telegram, outbox, room, 3,
        later=[(1, lambda line: line.write(OWNER, "/halt", update_id=50, sent_ms=room.wall_ms()))],
    )  # fmt: skip
    assert line.asked[0][2] is None
    assert len(room.asked) == 2


def test_f42_no_note_no_deed(telegram, caplog):
    room = Room()

    class Full(Notebook):
        def take(self, update_id, at_ms):
            raise sqlite3.OperationalError("database or disk is full")

    receive(telegram, Full(None, int), room, 5, later=[(1, lambda line: line.write(OWNER, "/halt", sent_ms=T0))])
    assert room.asked == []
    assert "disk is full" in caplog.text


def test_r49_a_poll_waits_out_trouble(telegram):
    room = Room()
    api = telegram.memory_api(lambda: 0.0)
    api.poll_trouble.extend([Unreachable("x"), Unreachable("x"), Throttled(30.0), WrongToken("no"), None])
    api.write(OWNER, "/halt", sent_ms=T0)
    line, receiver, health = receive(telegram, Notebook(None, int), room, 400, api)
    moments = [one[0] for one in line.asked if one[1] == "poll"][:5]
    assert [round(b - a) for a, b in itertools.pairwise(moments)] == [1, 2, 30, 300]
    assert receiver.acted == 1
    assert health.why == ""


def test_f42_a_message_that_breaks_the_answer_breaks_nothing_else(telegram):
    room = Room()

    class Broken(StandInOperate):
        def portfolio(self):
            raise RuntimeError("a bug")

    room.answering._operate = Broken()
    outbox = Notebook(None, int)

    def write(line):
        line.write(OWNER, "/status", sent_ms=T0)
        line.write(OWNER, "/help", sent_ms=T0)

    receive(telegram, outbox, room, 3, later=[(1, write)])
    texts = [one.text for one in outbox.waiting(OWNER, 10)]
    assert texts[0] == "that went wrong, nothing was done"
    assert texts[1].startswith("/status: ")


def test_r49_a_server_that_answers_at_once_for_ever_does_not_take_the_loop(telegram):
    room = Room()

    class Mad(telegram.memory_api):
        async def updates(self, offset, wait_s):
            self.asked.append((self.clock(), "poll", offset))
            return [Incoming(5, STRANGER, STRANGER, "/halt", T0, True)] * 20

    line, receiver, _ = receive(telegram, Notebook(None, int), room, 10, Mad(lambda: 0.0))
    assert len(line.asked) <= 201
    assert receiver.acted == 0
    assert room.gate.strangers >= 20


def test_updates_are_taken_once_also_by_the_next_process(tmp_path):
    path = tmp_path / "outbox.sqlite"
    outbox = Notebook(path, int)
    assert outbox.newest_update() is None
    assert outbox.take(10, 1_000)
    assert not outbox.take(10, 2_000)
    outbox.close()
    again = Notebook(path, int)
    assert not again.take(10, 3_000)
    assert again.newest_update() == (10, 1_000)
    again.close()


# Ways around what asks back ------------------------------------------------------------------------------------


def record(state, expires_ms=None):
    return TradingRecord(state, "breaker", "losses", 0, expires_ms)


@pytest.mark.parametrize(
    ("state", "text", "asks_back"),
    [
        (record(TradingState.ACTIVE), "/halt 1s", False),
        (record(TradingState.HALTED), "/halt 1s", True),
        (record(TradingState.HALTED), "/reduce 1s", True),
        (record(TradingState.REDUCING), "/halt 10m", True),
        (record(TradingState.HALTED), "/halt", False),
        (record(TradingState.HALTED), "/reduce for good", False),
        (record(TradingState.HALTED, 600_000), "/halt 5m", True),
        (record(TradingState.HALTED, 600_000), "/halt 10m", False),
        (record(TradingState.HALTED, 600_000), "/halt 2h", False),
    ],
)
def test_f42_a_short_halt_opens_no_entries_for_somebody_who_did_not_say_it_twice(state, text, asks_back):
    room = Room()
    room.operate.state = state
    reply = room.say(KEEPER, text)
    assert ("would open again sooner" in reply) is asks_back
    assert len(room.asked) == (0 if asks_back else 1)
    if asks_back:
        assert room.say(KEEPER, f"/confirm {room.code(reply)}").endswith("written down")
        assert len(room.asked) == 1


def test_r54_stop_release_and_unlock_ask_back_and_reach_the_core():
    room = Room()
    for user, text in (
        (OWNER, "/stop for today"), (KEEPER, "/release size_fixed.size"), (KEEPER, "/release size_fixed mended"),
        (KEEPER, "/unlock btc/usdt"), (KEEPER, "/unlock * calm again"), (KEEPER, "/unlock ALL"),
    ):  # fmt: skip
        reply = room.say(user, text)
        assert room.say(user, f"/confirm {room.code(reply)}").endswith("written down"), text
    assert room.asked == [
        Asked("stop", "", "for today", "33"), Asked("release", "size_fixed.size", "by Telegram", "22"),
        Asked("release", "size_fixed", "mended", "22"), Asked("unlock", "BTC/USDT", "by Telegram", "22"),
        Asked("unlock", "*", "calm again", "22"), Asked("unlock", "all", "by Telegram", "22"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["/release", "/release A", "/release ../x", "/release a.b.c", "/release x;y", "/unlock", "/unlock BTC",
     "/unlock **", "/forceexit *", "/why *", "/release " + "a" * 80],
)  # fmt: skip
def test_f42_arguments_of_another_form_are_not_asked_back(text):
    room = Room()
    assert "usage" in room.say(OWNER, text)
    assert room.confirmations._pending == {}


def test_stop_says_what_it_leaves_behind():
    room = Room()
    place = Position("p", "A/USDT", "w", "", Decimal(1), Decimal(1), T0, 1, Decimal(1), Decimal(1))
    room.operate.account = room.operate.account._replace(positions=(place,))
    assert "1 positions are left to themselves" in room.say(OWNER, "/stop")


def test_f42_a_code_is_for_its_own_wish_and_for_who_may_do_it():
    room = Room()
    resume = room.code(room.say(OWNER, "/resume"))
    stop = room.code(room.say(OWNER, "/stop"))
    assert "no such code" in room.say(OWNER, f"/confirm {resume}")
    room.say(OWNER, f"/confirm {stop}")
    assert [one.verb for one in room.asked] == ["stop"]
    # a role that was lowered meanwhile, as by a profile that was changed, confirms nothing above it
    code = room.code(room.say(OWNER, "/forceexit all"))
    room.gate._people = PEOPLE | {OWNER: "control"}
    assert "needs the role money" in room.say(OWNER, f"/confirm {code}")
    assert [one.verb for one in room.asked] == ["stop"]


@pytest.mark.parametrize("slept_s", [60, 3_600, -60])
def test_f42_a_code_does_not_outlive_a_machine_that_slept_or_a_clock_that_was_set(slept_s):
    room = Room()
    now_ms = [T0]
    room.confirmations._wall_ms = lambda: now_ms[0]
    code = room.code(room.say(OWNER, "/forceexit all"))
    now_ms[0] += slept_s * 1_000  # the wall went on, the machine's own seconds did not
    assert "too late" in room.say(OWNER, f"/confirm {code}")
    assert room.asked == []


# Ways to keep the right ones out -------------------------------------------------------------------------------


def test_f42_a_long_answer_to_one_holds_up_no_halt_of_another(telegram):
    room = Room()

    class Slow(StandInOperate):
        async def why(self, symbol="", span_ms=0):
            await asyncio.sleep(300)
            return self.because

    room.operate = room.answering._operate = Slow()
    outbox = Notebook(None, int)

    def write(line):
        for _ in range(15):
            line.write(VIEWER, "/why", sent_ms=T0)
        line.write(KEEPER, "/halt", sent_ms=T0)

    moments = []
    later = [(1, write), (4, lambda line: moments.append(list(room.asked)))]
    receive(telegram, outbox, room, 400, later=later)
    assert [one.verb for one in moments[0]] == ["halt"]
    texts = [one.text for one in outbox.waiting(VIEWER, 50)]
    assert sum("still looking" in text for text in texts) == 14
    assert sum("candidates" in text for text in texts) == 1


def test_f42_answers_under_way_end_with_the_receiver(telegram):
    room = Room()
    ended = []

    class Stuck(StandInOperate):
        async def ask(self, verb, argument, *, reason, actor):
            try:
                await asyncio.sleep(10_000)
            finally:
                ended.append(verb)

    room.answering._operate = Stuck()
    outbox = Notebook(None, int)

    def write(line):
        for user in (KEEPER, OWNER):
            for _ in range(18):
                line.write(user, "/halt", sent_ms=T0)

    receive(telegram, outbox, room, 60, later=[(1, write)])
    assert ended == ["halt"] * 20
    texts = [one.text for user in (KEEPER, OWNER) for one in outbox.waiting(user, 50)]
    assert texts == ["too much is under way, nothing was done: send it again"] * 16


def test_f42_a_flood_of_strangers_pushes_out_no_note_of_a_command(telegram):
    room, outbox = Room(), Notebook(None, int)

    def flood(line):
        line.write(OWNER, "/halt", update_id=50, sent_ms=T0)
        for number in range(5_000):
            line.write(STRANGER, "/forceexit all", update_id=100 + number, sent_ms=T0)
        line.write(OWNER, "/halt", update_id=50, sent_ms=T0)

    _, receiver, _ = receive(telegram, outbox, room, 5, later=[(1, flood)])
    assert len(room.asked) == 1
    assert (receiver.acted, receiver.repeated) == (1, 1)
    assert outbox.newest_update()[0] == 50


def test_f42_replayed_updates_use_up_nobodys_number_of_messages(telegram):
    room, outbox = Room(), Notebook(None, int)

    def attack(line):
        for _ in range(100):
            line.write(OWNER, "/status", update_id=70, sent_ms=T0)
        line.write(OWNER, "/halt", update_id=71, sent_ms=T0)

    receive(telegram, outbox, room, 5, later=[(1, attack)])
    assert [one.verb for one in room.asked] == ["halt"]


@pytest.mark.parametrize("step_s", [-400 * 86_400, 400 * 86_400, -90, 90])
def test_f42_a_wall_clock_that_is_set_neither_repeats_nor_deafens(telegram, step_s):
    """The next update that is wanted comes from what was received, not from when."""
    room, outbox = Room(), Notebook(None, int)

    def write(line):
        line.write(OWNER, "/status", sent_ms=room.wall_ms())

    def step(line):
        room.now_s += step_s

    later = [(1, write), (2, step), (3, write), (4, write)]
    line, receiver, _ = receive(telegram, outbox, room, 6, later=later)
    assert receiver.acted == 3
    assert line.asked[-1][2] == 104
    assert len(line.asked) < 130  # a poll takes no time here: one each 50 ms


def test_f42_updates_that_go_back_are_heard_and_nothing_is_done_twice(telegram):
    room, outbox = Room(), Notebook(None, int)
    orders = [900, 20, 900, 21, 20]

    def write(line):
        for update_id in orders:
            line.write(OWNER, "/halt", update_id=update_id, sent_ms=T0)

    _, receiver, _ = receive(telegram, outbox, room, 5, later=[(1, write)])
    assert len(room.asked) == 3
    assert receiver.repeated == 2


@pytest.mark.parametrize("update_id", [-1, 2**63, 2**70])
def test_f42_an_id_that_no_file_can_hold_is_taken_for_nothing(telegram, update_id):
    room, outbox = Room(), Notebook(None, int)
    receive(
        telegram, outbox, room, 5,
        later=[(1, lambda line: line.write(OWNER, "/halt", update_id=update_id, sent_ms=T0)),
               (2, lambda line: line.write(OWNER, "/reduce", update_id=5, sent_ms=T0))],
    )  # fmt: skip
    assert [one.verb for one in room.asked] == ["reduce"]


def test_f42_symbols_and_names_of_others_make_no_lines_of_their_own():
    room = Room()
    evil = "A/USDT\n99 BTC/USDT from 1\u202e/forceexit"
    place = Position("p", evil, "w", "", Decimal(1), Decimal(1), T0, 1, Decimal(1), Decimal(1))
    lock = Lock(evil, "r", "p", 9, "r", 0)
    room.operate.account = room.operate.account._replace(positions=(place,), locks=(lock,))
    room.operate.held = {evil: "fault"}
    room.operate.because = Because(0, 1, 10, 1, (Blocked(evil, evil, 9),), (Blocked(evil, evil, 9, evil),))
    assert len(room.say(OWNER, "/positions").splitlines()) == 1
    assert len(room.say(OWNER, "/status").splitlines()) == 7
    assert len(room.say(OWNER, "/why").splitlines()) == 5
