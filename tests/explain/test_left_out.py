"""One damaged line takes nobody's answer: it is given from the rest, and says what it was given without."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
from collections import Counter
from decimal import Decimal

import pytest

from tradecore.app.questions import stored_questions
from tradecore.errors import DataError
from tradecore.journal.chain import unsound_lines
from tradecore.journal.day_index import FOLDER, LeftOut
from tradecore.journal.files import list_files
from tradecore.journal.mask import Mask
from tradecore.journal.opening import open_journal
from tradecore.journal.query_lines import newest_lines, newest_ns
from tradecore.journal.read import read_journal
from tradecore.journal.sound import index_of, read_sound
from tradecore.journal.sums import sum_up
from tradecore.journal.upkeep import pack
from tradecore.journal.why import why
from tradecore.journal.why_story import story
from tradecore.model.events import BookedEvent, Ids, OrderAttempt, Stamped, Taxonomy

ALL_MS = (0, 10**14)


@pytest.fixture
def journal(session, tmp_path):
    """A journal of one session, to do harm to."""
    return shutil.copytree(session.played.journal, tmp_path / "journal")


def the_file(journal, taxonomy):
    (file,) = list_files(journal, taxonomy)
    return file


def packed(journal, taxonomy):
    """Pack a taxonomy's file as midnight does."""
    file = the_file(journal, taxonomy)
    pack(file.path, taxonomy)
    file = the_file(journal, taxonomy)
    assert file.packed
    sum_up(journal, file)
    return file


def an_intent(journal):
    return next(line.ids.intent for line in read_journal(journal, kinds=("intent_created",)))


def change_line(path, number, old, new):
    """Change bytes of one line; it stays a line of JSON."""
    lines = path.read_bytes().split(b"\n")
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    path.write_bytes(b"\n".join(lines))


def line_with(path, text):
    lines = path.read_bytes().split(b"\n")
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_changed_byte_is_left_out_of_a_life_and_named(journal):
    name = an_intent(journal)
    whole = story(journal, name)
    file = the_file(journal, Taxonomy.ORDER)
    number = line_with(file.path, b'"kind":"intent_created","taxonomy":"order"')
    change_line(file.path, number, b'"quantity":"', b'"quantity":"9')
    left_out = []
    found = story(journal, name, left_out)
    assert left_out == [LeftOut(f"order/{file.path.name}", number, 1, "not what was written")]
    assert left_out[0].where == f"order/{file.path.name} line {number}"
    assert found.lines == tuple(line for line in whole.lines if line.kind != "intent_created")
    assert found.created == {}
    assert found.attempts == whole.attempts


def test_a_line_whose_id_was_changed_is_named_though_nobody_finds_it(journal):
    name = an_intent(journal)
    file = the_file(journal, Taxonomy.AUDIT)
    number = line_with(file.path, b'"kind":"budget_reserved"')
    change_line(file.path, number, f'"intent":"{name[:4]}'.encode(), b'"intent":"zzzz')
    left_out = []
    found = story(journal, name, left_out)
    assert [one.line for one in left_out] == [number]
    assert [kind for kind, _ in found.budget] == ["budget_released"]


def test_a_torn_tail_is_left_out_and_named(journal):
    file = the_file(journal, Taxonomy.ORDER)
    raw = file.path.read_bytes()
    lines = raw.count(b"\n")
    file.path.write_bytes(raw[:-20])
    left_out = []
    rest = list(newest_lines(journal, ("intent_cleared", "order_fill"), left_out=left_out))
    assert left_out == [
        LeftOut(f"order/{file.path.name}", lines, 1, "an unfinished last line: a crash, or a writer at work")
    ]
    assert rest


@pytest.mark.parametrize("harm", ["middle", "cut", "end", "empty", "no gzip"])
def test_a_damaged_packed_file_is_read_as_far_as_it_goes(journal, harm):
    name = an_intent(journal)
    file = packed(journal, Taxonomy.ORDER)
    raw = bytearray(file.path.read_bytes())
    before = gzip.decompress(bytes(raw))
    at = len(raw) // 2
    if harm == "middle":
        raw[at : at + 40] = bytes(40)
    elif harm == "end":
        raw[-6] ^= 1
    else:
        raw = {"cut": raw[:at], "empty": bytearray(), "no gzip": bytearray(b"what is this")}[harm]
    file.path.write_bytes(bytes(raw))
    for _ in range(2):  # the second time from what the first one kept, if it kept anything
        left_out = []
        data = read_sound(file, left_out)
        assert before.startswith(data[: len(data) - 1]) or set(data.splitlines()) <= set(before.splitlines())
        assert not unsound_lines(data)
        assert left_out[-1].file == f"order/{file.path.name}"
        assert left_out[-1].lines == 0, "nothing behind is read"
        assert "the packed file is damaged" in left_out[-1].detail
        if harm == "end":
            assert data == before
        left_out = []
        found = story(journal, name, left_out)
        assert left_out
        assert found is not None, "what stands in the other files is told"
    file.path.write_bytes(gzip.compress(before, 6, mtime=0))
    left_out = []
    assert story(journal, name, left_out).created
    assert left_out == [], "and the mended file is believed again"


def test_sums_count_without_what_is_damaged_and_say_so_each_time(journal):
    whole = why(journal, *ALL_MS)
    file = the_file(journal, Taxonomy.DECISION)
    number = line_with(file.path, b'"kind":"candidate_outcomes"')
    change_line(file.path, number, b'"rows":', b'"rows":9')
    later = file.path.with_name("2030-01-01.jsonl")
    later.write_bytes(b"")
    packed_file = list_files(journal, Taxonomy.DECISION)[0]
    pack(packed_file.path, Taxonomy.DECISION)
    packed_file = list_files(journal, Taxonomy.DECISION)[0]
    for _ in range(2):
        found = why(journal, *ALL_MS)
        assert [(one.file, one.line) for one in found.left_out] == [(f"decision/{packed_file.path.name}", number)]
        assert 0 < found.candidates < whole.candidates
    assert sorted(path.suffix for path in (journal / FOLDER).iterdir()) == [".gz", ".ids"]


def test_a_kept_sum_is_not_believed_of_another_file(journal):
    """Whoever puts another file in the place of a summed one gets the sums of that file."""
    later = the_file(journal, Taxonomy.DECISION).path.with_name("2030-01-01.jsonl")
    later.write_bytes(b"")
    file = list_files(journal, Taxonomy.DECISION)[0]
    raw = file.path.read_bytes()
    pack(file.path, Taxonomy.DECISION)
    file = list_files(journal, Taxonomy.DECISION)[0]
    whole = why(journal, *ALL_MS)
    lines = raw.splitlines(keepends=True)
    file.path.write_bytes(gzip.compress(b"".join(lines[: len(lines) // 2]), 6, mtime=0))
    assert 0 < why(journal, *ALL_MS).candidates < whole.candidates
    assert not index_of(file).may_hold(*{line.ids.decision for line in _decisions(lines[len(lines) // 2 :])} - {
        line.ids.decision for line in _decisions(lines[: len(lines) // 2])})  # fmt: skip


def _decisions(lines):
    from tradecore.journal.read import parse

    return [line for line in map(parse, lines) if line.ids.decision]


def test_an_index_names_every_id_and_is_made_again_when_it_is_absent_or_spoilt(journal):
    for taxonomy in (Taxonomy.ORDER, Taxonomy.DECISION, Taxonomy.AUDIT):
        names = {name for line in read_journal(journal, taxonomy) for name in line.ids if name}
        file = packed(journal, taxonomy)
        index = index_of(file)
        assert names
        assert all(index.may_hold(name) for name in names)
        assert not any(index.may_hold(f"{name}x") for name in names)
        path = journal / FOLDER / f"{taxonomy.value}-{file.path.name.partition('.')[0]}.ids"
        kept = path.read_bytes()
        for spoilt in (b"", b"{}\n", kept[:-8], kept[:-1] + bytes([kept[-1] ^ 1]), b"\n\n\n", None):
            path.unlink() if spoilt is None else path.write_bytes(spoilt)
            assert index_of(file) == index
            assert path.read_bytes() == kept


def test_what_is_in_no_index_is_not_read(journal, monkeypatch):
    from tradecore.journal import sound

    for taxonomy in (Taxonomy.ORDER, Taxonomy.DECISION):
        packed(journal, taxonomy)
    monkeypatch.setattr(sound, "_unpacked", lambda raw: pytest.fail("read a file that the index rules out"))
    assert story(journal, "nobody") is None


async def test_a_life_is_told_whole_however_long_it_was(tmp_path, hand_clock):
    """Its days are those in which it stands, not so many around the newest."""
    writer = open_journal(tmp_path, session="run", clock=hand_clock, mask=Mask([]))
    ids = Ids("signal", "intent", "order")
    for day in range(9):
        hand_clock.ms = hand_clock.begin_ms + day * 86_400_000
        mine = day in {0, 5}
        attempt = OrderAttempt("AAA/USDT", "sell", 1, f"day {day}", "GTC", "GTC", Decimal(9), Decimal(1), "", None)
        writer.follow(
            [BookedEvent(day + 1, Stamped(hand_clock.now_ns(), attempt, ids if mine else Ids("a", "b", "c")))]
        )
    assert await writer.close(1)
    assert len(list(tmp_path.glob("order/*.gz"))) == 8
    for name in ids[:3]:
        (one,) = story(tmp_path, name).attempts
        assert [state for _, state in one.states] == ["day 0", "day 5"]


@pytest.mark.parametrize("words", [("why",), ("why", "AAA/USDT"), ("query", "events"), ("query", "guards"),
                                   ("query", "performance"), ("why", "--what-if", "risk_limits.max_positions=9")],
                         ids=" ".join)  # fmt: skip
def test_a_command_says_once_what_it_answers_without(session, tmp_path, cli, words):
    folder = shutil.copytree(session.played.folder, tmp_path / "state")
    whole = json.loads(cli(*words, "--state", folder, "--json").stdout)
    assert whole["left_out"] == []
    for taxonomy in Taxonomy:
        file = the_file(folder / "journal", taxonomy)
        change_line(file.path, file.path.read_bytes().count(b"\n") // 2, b'"session":"', b'"session":"9')
    result = cli(*words, "--state", folder, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    left_out = json.loads(result.stdout)["left_out"]
    assert left_out
    assert all(one["detail"] == "not what was written" for one in left_out)
    shown = cli(*words, "--state", folder)
    assert shown.exit_code == 0
    assert shown.stdout
    (line,) = shown.stderr.replace("the newest 20; --limit N shows more\n", "").splitlines()
    assert line.startswith(f"tradecore: answered without {left_out[0]['file']} line {left_out[0]['line']}: not what")
    assert line.endswith("; tradecore replay names all that is wrong")


def test_an_id_that_is_nowhere_may_have_stood_in_what_is_damaged(session, tmp_path, cli):
    folder = shutil.copytree(session.played.folder, tmp_path / "state")
    file = packed(folder / "journal", Taxonomy.ORDER)
    lines = gzip.decompress(file.path.read_bytes()).replace(b'"session":"', b'"session":"9', 1)
    file.path.write_bytes(gzip.compress(lines, 6, mtime=0))
    for _ in range(2):
        result = cli("why", "nobody", "--state", folder, "--json")
        assert result.exit_code == 2
        assert f"was 'nobody'; looked without order/{file.path.name} line 1: not what was written" in result.stderr


def test_newest_moment_is_that_of_the_last_sound_line(journal):
    newest = newest_ns(journal)
    for taxonomy in Taxonomy:
        for file in list_files(journal, taxonomy):
            raw = file.path.read_bytes().rstrip(b"\n")
            file.path.write_bytes(raw[:-1] + b"?\n")
    found = newest_ns(journal)
    assert found is not None
    assert found <= newest


def test_questions_go_on_without_what_is_damaged(session, journal):
    file = the_file(journal, Taxonomy.DECISION)
    number = line_with(file.path, b'"kind":"decision_record"')
    change_line(file.path, number, b'"refers":', b'"refer_":')
    with pytest.raises(DataError):
        list(stored_questions(journal))
    left_out = []
    found = list(stored_questions(journal, left_out=left_out))
    assert left_out[0].line == number
    assert "they refer to what is left out" in left_out[-1].detail
    lost = int(left_out[-1].file.split()[0])
    assert len(found) + lost + 1 == len(session.asked)
    told = Counter(one.seq for one in found)
    assert told <= Counter(one.seq for one in session.asked)
    assert all(one in session.asked for one in itertools.islice(found, 3))
