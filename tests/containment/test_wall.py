"""The same against the wall, in a process of its own: hangs are ended, blocks named, and the end is never held up."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "campaigns"))  # the campaigns are commands; what they share is used here as well

from bot import BUSY, CACHE, Bot  # noqa: E402 - after the path
from checks import Market, after_end, state_of  # noqa: E402

from tradecore.app import Options, prepare  # noqa: E402
from tradecore.journal.read import decode, read_journal  # noqa: E402
from tradecore.model.events import AlertFired, PluginFault, UncaughtException  # noqa: E402
from tradecore.testing.hostile import PLACES  # noqa: E402

GUESTS = (
    "signals_drop",
    *(f"hostile_{place}" for place in PLACES),
    "size_fixed",
    "risk_limits",
    "exec_ioc_gtc",
    "exits",
)
ENDS = {"on_fail", "on_shutdown"}
"""Places that a short session may not come to before its end."""
LAG_S = 0.25


@pytest.fixture
def bot(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Run a bot among hostile plugins: `bot(way, *settings)`."""
    bots = []
    site = tmp_path / "site"
    about = site / "hostile-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1\n")
    entries = [f"hostile_{place} = hostile_plugins:{place}_guest" for place in PLACES]
    (about / "entry_points.txt").write_text("\n".join(["[tradecore]", "probe = hostile_plugins:Probe", *entries]))
    (site / "hostile_plugins.py").write_text(Path(__file__).with_name("hostile_plugins.py").read_text())
    env = {
        "PYTHONPATH": str(site), "HOSTILE_LOG": str(tmp_path / "log"),
        CACHE: str(tmp_path_factory.getbasetemp() / "compiled"),
    }  # fmt: skip

    def begin(way: str, *sets: str) -> Bot:
        options = ("--speed", "60", "--for", "100h", "--plugins", ",".join(("probe", *GUESTS)))
        # row by row: a guest that hangs would else be silent for all the rows that it was asked about
        given = (*BUSY, "market.block_rows=1", *sets)
        bots.append(Bot(tmp_path / "s", options, given, env={**env, "HOSTILE_WAY": way}))
        return bots[-1]

    yield begin
    for one in bots:
        one.close()


@pytest.fixture(scope="module")
def market() -> Market:
    prepared = prepare(Options("demo", {}))
    return Market(prepared.instruments, prepared.settings.account.name)


def ended(one: Bot, market: Market):
    """End a bot and hold its end against what it must be; gives its events."""
    one.send(signal.SIGTERM)
    done = one.wait(30)
    assert done.code == 0, (done.code, done.err)
    assert not done.traceback, done.err
    assert done.summary["pending"] == []
    assert done.summary["positions_closed"] > 0
    assert after_end(state_of(one.state), market) == []
    return done, [decode(line) for line in read_journal(one.state / "journal")]


def alerts(notes, name: str) -> list[str]:
    return [note.event.text for note in notes if isinstance(note.event, AlertFired) and note.event.name == name]


def called(log: Path) -> set[str]:
    """Places that were asked once and answered."""
    return {line.split()[0] for line in log.read_text().splitlines()} if log.exists() else set()


def named(notes) -> set[str]:
    """Guest and hook of every overrun."""
    return {text.split(" ")[0] for text in alerts(notes, "guest_overran")}


def places(wanted) -> set[str]:
    return {f"hostile_{place}.{PLACES[place]}" for place in wanted}


def test_guests_that_hang_at_every_hook_are_ended_and_named(bot, market):
    one = bot("hang", "engine.watchdog_s=0.3", "engine.hang_s=5")
    one.until_event("position_closed")
    done, notes = ended(one, market)
    assert named(notes) >= places(set(PLACES) - {"on_fail"})
    faults = {f"{note.event.plugin}.{note.event.hook}" for note in notes if isinstance(note.event, PluginFault)}
    assert faults >= places(set(PLACES) - {"on_fail"})
    assert "hostile_on_start.on_start" in done.summary["quarantined"]


def test_a_block_is_named_and_the_loop_is_never_late_but_for_it(bot, market, tmp_path):
    one = bot("block", "engine.watchdog_s=1")
    one.until_event("position_closed")
    _, notes = ended(one, market)
    rows = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    spans = [(what, float(begin), float(end)) for what, begin, end in rows]
    blocks = [span for span in spans if span[0] in PLACES]
    assert {what for what, _, _ in blocks} >= set(PLACES) - ENDS
    assert named(notes) >= places({what for what, _, _ in blocks} - ENDS)
    excused = [(begin, end) for what, begin, end in spans if what != "lag"]
    for what, begin, end in spans:
        if what == "lag" and end - begin > LAG_S:
            within = sum(max(0.0, min(end, e) - max(begin, b)) for b, e in excused)
            assert end - begin - within <= LAG_S, (begin, end, excused)
    # named while it lasted: far within a second
    held = [float(text.split(" for ")[1].split(" ")[0]) for text in alerts(notes, "guest_overran")]
    assert max(held) < 1.0


def test_tasks_and_threads_that_do_not_end_hold_no_end_up(bot, market, tmp_path):
    one = bot("spawn")
    one.until(lambda: called(tmp_path / "log") >= set(PLACES) - ENDS, "to ask each hostile plugin once")
    one.until_event("position_closed")
    one.until_event("uncaught_exception")
    done, notes = ended(one, market)
    assert done.seconds < 15
    left = alerts(notes, "guest_left_behind")
    assert "thread stays still runs at the end" in left
    assert any(text.startswith("thread asyncio_") for text in left)
    for place in set(PLACES) - ENDS:
        assert f"task stubborn-{place} of hostile_{place}.{PLACES[place]} did not end when it was told to" in left
    assert [note.event.error_class for note in notes if isinstance(note.event, UncaughtException)] == ["SystemExit"]
    assert "hostile_on_fill.on_fill" in named(notes)  # a task that it started held the program
    assert "left while threads were running" in done.err
    assert "stays" in done.err
