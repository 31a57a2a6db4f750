"""What is kept of finished days says the same as the days themselves."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal

import pytest

from tradecore.journal.day_index import FOLDER
from tradecore.journal.files import list_files
from tradecore.journal.mask import Mask
from tradecore.journal.opening import open_journal
from tradecore.journal.query_day import equity_of, orders_of
from tradecore.journal.query_lines import newest_lines, newest_ns
from tradecore.journal.why import nearest, why
from tradecore.journal.why_newest import Newest, newest
from tradecore.model.events import (
    BookedEvent,
    CandidateOutcomes,
    DecisionOutcome,
    Ids,
    IntentCreated,
    MarkOut,
    OrderAttempt,
    OrderFill,
    OutcomeGroup,
    PortfolioSnapshot,
    ScanOutcomes,
    Stamped,
    Taxonomy,
)

DAY_MS = 86_400_000
BEGIN_MS = 20_000 * DAY_MS
SYMBOLS = ("AAA/USDT", "BBB/USDT", "CCC/USDT")
DAYS = 5


class HandClock:
    virtual = True

    def __init__(self):
        self.ms = BEGIN_MS

    def now_ms(self):
        return self.ms

    def now_ns(self):
        return self.ms * 1_000_000


async def written(folder, seed):
    """Some days with a few lines an hour."""
    chance, clock = random.Random(seed), HandClock()
    journal = open_journal(folder, session="run", clock=clock, mask=Mask([]))
    sequence = 0
    for hour in range(24 * DAYS):
        clock.ms = BEGIN_MS + hour * 3_600_000 + chance.randrange(3_000_000)
        counts = tuple(chance.randrange(1, 60) for _ in SYMBOLS)
        margins = tuple(chance.random() for _ in SYMBOLS)
        group = OutcomeGroup("THRESHOLD_NOT_MET", chance.choice(["one", "two"]), "x", SYMBOLS, counts, margins,
                             tuple(1 + one for one in margins), (1.0,) * 3, (0, 5_000, 10_000))  # fmt: skip
        halted = OutcomeGroup("TRADING_HALTED", "core", "", SYMBOLS[:1], (3,))
        first = clock.ms // 300_000 * 300_000
        journal.note(CandidateOutcomes(first, clock.ms, 60, sum(counts) + 3, (group, halted)))
        for symbol in SYMBOLS[: chance.randrange(4)]:
            value = Decimal(str(chance.randrange(20, 60)))
            refused = (
                "SPREAD_TOO_WIDE",
                "core",
                1.0,
                2.0,
                -0.5,
                "x",
                "wide",
                "spread_bps",
                value,
                Decimal("20"),
                "bps",
            )
            journal.note(DecisionOutcome("one", symbol, clock.ms, *refused))
        for event in (
            OrderAttempt("AAA/USDT", "buy", 1, "SENDING", "rung 1", "IOC", Decimal("9"), Decimal("1"), "", None),
            OrderFill("AAA/USDT", "buy", 1, f"t{hour}", Decimal("10"), Decimal("1"), Decimal("10"), Decimal("0"),
                      "USDT", False, False),
        ):  # fmt: skip
            sequence += 1
            journal.follow([BookedEvent(sequence, Stamped(clock.now_ns(), event, Ids("s", "i", f"o{hour}")))])
        journal.note(MarkOut("AAA/USDT", "buy", f"t{hour}", Decimal("10"), Decimal("10"), 10, Decimal("11")))
        journal.note(
            PortfolioSnapshot("USDT", Decimal(str(1_000 + hour)), Decimal("1"), Decimal("0"), Decimal("0"), 0, 0)
        )
    assert await journal.close(1)
    return folder


def answers(folder):
    """Everything that is asked of sums, over spans that cut days anywhere."""
    found = []
    for first_h, last_h in ((0, 24 * DAYS), (30, 24 * DAYS), (26, 77), (24, 72), (3, 20), (100, 119)):
        since, until = BEGIN_MS + first_h * 3_600_000, BEGIN_MS + last_h * 3_600_000
        for symbol in (None, *SYMBOLS, "NONE/USDT"):
            one = why(folder, since, until, symbol)
            found.append(
                one._replace(cells=tuple(sorted(one.cells, key=str)), denials=tuple(sorted(one.denials, key=str)))
            )
        found.append(nearest(folder, since, until, 10))
        found += [orders_of(folder, since, until), equity_of(folder, since, until)]
    return found


async def test_kept_sums_say_what_the_days_say(tmp_path):
    folder = await written(tmp_path / "journal", 7)
    kept = answers(folder)
    sums = sorted(path.name for path in (folder / FOLDER).iterdir())
    assert len([name for name in sums if name.endswith(".json.gz")]) == 3 * (DAYS - 1), "summed up as days were packed"
    assert len([name for name in sums if name.endswith(".ids")]) == len(sums) / 2, "and indexed"
    for path in (folder / FOLDER).iterdir():
        path.unlink()
    assert answers(folder) == kept, "and made again where they are gone"
    assert sorted(path.name for path in (folder / FOLDER).iterdir()) == sums


@pytest.mark.parametrize("spoil", [b"", b"no gzip", b"\x1f\x8b\x08\x00garbage"])
async def test_a_spoilt_sum_is_made_again(tmp_path, spoil):
    folder = await written(tmp_path / "journal", 8)
    kept = answers(folder)
    for path in (folder / FOLDER).iterdir():
        path.write_bytes(spoil)
    assert answers(folder) == kept


async def test_counts_are_those_of_the_lines(tmp_path):
    folder = await written(tmp_path / "journal", 9)
    whole = why(folder, BEGIN_MS, BEGIN_MS + DAYS * DAY_MS)
    lines = list(newest_lines(folder, ("candidate_outcomes", "decision_outcome")))
    spans = [line.data for line in lines if line.kind == "candidate_outcomes"]
    assert whole.candidates == sum(span["candidates"] for span in spans)
    assert whole.refused == len(lines) - len(spans)
    (refusal,) = whole.denials
    values = [float(line.data["limit_value"]) for line in lines if line.kind == "decision_outcome"]
    assert (refusal.least, refusal.most, refusal.total) == (min(values), max(values), sum(values))
    margins = [m for span in spans for group in span["groups"] for m in group["margins"]]
    assert nearest(folder, BEGIN_MS, BEGIN_MS + DAYS * DAY_MS, 1)[0].margin == min(margins)


async def test_lines_come_newest_first_and_within_bounds(tmp_path):
    folder = await written(tmp_path / "journal", 10)
    every = list(newest_lines(folder, ()))
    moments = [line.at_ns for line in every]
    assert moments == sorted(moments, reverse=True)
    assert newest_ns(folder) == moments[0]
    middle = moments[len(moments) // 2]
    some = list(newest_lines(folder, ("order_fill",), ("o7",), since_ns=moments[-1], until_ns=middle))
    assert some == [line for line in every if line.kind == "order_fill" and "o7" in line.ids.client_order
                    and line.at_ns < middle]  # fmt: skip
    assert list_files(folder, Taxonomy.DECISION)


async def test_a_fill_after_midnight_keeps_its_rung_its_decision_and_what_it_was_worth(tmp_path, hand_clock):
    """The order of the evening fills after midnight; the fill of the last minute is worth something on the new day."""
    journal = open_journal(tmp_path, session="run", clock=hand_clock, mask=Mask([]))
    sequence = itertools.count(1)

    def book(event, order):
        journal.follow([BookedEvent(next(sequence), Stamped(hand_clock.now_ns(), event, Ids("s", f"i{order}", order)))])

    def fill(trade):
        return OrderFill("AAA/USDT", "buy", 1, trade, Decimal("10"), Decimal("1"), Decimal("10"), Decimal("0"), "USDT",
                         False, False)  # fmt: skip

    def sent(order):
        book(IntentCreated("AAA/USDT", "buy", Decimal(1), Decimal(10), Decimal(11), Decimal(10), "c", "p", False, "r",
                           "pos", 0, Decimal("9.5")), order)  # fmt: skip
        book(OrderAttempt("AAA/USDT", "buy", 1, "SENDING", "rung", "GTC", Decimal("9"), Decimal("1"), "", None), order)

    midnight = hand_clock.begin_ms + DAY_MS
    hand_clock.ms = midnight - 30_000
    sent("late")
    sent("early")
    book(fill("t1"), "early")
    hand_clock.ms = midnight + 10_000
    book(fill("t2"), "late")
    journal.note(MarkOut("AAA/USDT", "buy", "t1", Decimal("10"), Decimal("10"), 60, Decimal("12")))
    hand_clock.ms = midnight + 2 * DAY_MS
    book(fill("t3"), "unknown")
    assert await journal.close(1)
    for since in (None, midnight - 60_000, midnight):
        fills = {one.trade: one for one in orders_of(tmp_path, since, midnight + DAY_MS).fills}
        assert fills["AAA/USDT t2"][3:8] == ("rung", "late", 10.0, 10.0, 9.5)
        assert ("AAA/USDT t1" in fills) is (since != midnight)
    before = orders_of(tmp_path, None, midnight)
    (first,) = before.fills
    assert first.later == {"60": 12.0}
    assert len(before.sent) == 2


async def test_rows_after_the_newest_sum_are_counted_apart(tmp_path):
    folder, clock = tmp_path / "journal", HandClock()
    journal = open_journal(folder, session="run", clock=clock, mask=Mask([]))
    assert newest(folder, 0, 2 * BEGIN_MS) == Newest()
    group = OutcomeGroup("THRESHOLD_NOT_MET", "one", "x", SYMBOLS, (1, 1, 1))
    for number in range(1, 7):
        clock.ms = BEGIN_MS + number * 5_000
        journal.note(ScanOutcomes(clock.ms, 3, {"THRESHOLD_NOT_MET": 2, "NO_BOOK": 1}, 0))
        if number == 4:  # the sum of three rows comes after the fourth was written about
            journal.note(CandidateOutcomes(BEGIN_MS + 5_000, BEGIN_MS + 15_000, 3, 9, (group,)))
    assert await journal.close(1)
    found = newest(folder, 0, 2 * BEGIN_MS)
    assert found == Newest(3, 9, {"THRESHOLD_NOT_MET": 6, "NO_BOOK": 3}, BEGIN_MS + 20_000, BEGIN_MS + 30_000)
    assert newest(folder, 0, BEGIN_MS + 30_000).rows == 2
    assert newest(folder, BEGIN_MS + 30_000, 2 * BEGIN_MS).rows == 1


async def test_a_sum_may_lie_in_the_file_of_the_day_before(tmp_path):
    folder, clock = tmp_path / "journal", HandClock()
    clock.ms = BEGIN_MS + DAY_MS - 10_000
    journal = open_journal(folder, session="run", clock=clock, mask=Mask([]))
    group = OutcomeGroup("THRESHOLD_NOT_MET", "one", "x", SYMBOLS, (1, 1, 1))
    journal.note(ScanOutcomes(clock.ms, 3, {"THRESHOLD_NOT_MET": 3}, 0))
    journal.note(CandidateOutcomes(clock.ms, clock.ms, 1, 3, (group,)))
    for step_ms in (5_000, 10_000, 15_000):
        clock.ms = BEGIN_MS + DAY_MS - 10_000 + step_ms
        journal.note(ScanOutcomes(clock.ms, 3, {"THRESHOLD_NOT_MET": 3}, 0))
    assert await journal.close(1)
    assert len(list_files(folder, Taxonomy.DECISION)) == 2
    assert newest(folder, 0, 2 * BEGIN_MS).rows == 3


async def test_the_equity_begins_where_the_run_began(tmp_path):
    folder, clock = tmp_path / "journal", HandClock()
    journal = open_journal(folder, session="run", clock=clock, mask=Mask([]))
    for number, equity in enumerate(("1000", "998", "997")):
        clock.ms = BEGIN_MS + number * 30_000
        journal.note(PortfolioSnapshot("USDT", Decimal(equity), Decimal("1"), Decimal("0"), Decimal("0"), 0, 0))
    assert await journal.close(1)
    assert [point.equity for point in equity_of(folder, None, None)] == [1_000, 997], "the first, and the last"
