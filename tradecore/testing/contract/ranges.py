"""Row ranges: answers of `signal`, `follow` and filters depend on the rows that may be used, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradecore.hooks.guest import Guest
from tradecore.market.answers import Plan, Wishes
from tradecore.market.frame import Array, MarketFrame, window_rows
from tradecore.model.position import Position
from tradecore.testing.contract.asking import Question, ask, chance_of, held
from tradecore.testing.contract.cards import PASSED, Result, card, failed, skipped
from tradecore.testing.contract.fingerprint import fingerprint
from tradecore.testing.contract.markets import Grid, replaced, with_columns
from tradecore.testing.contract.subject import Subject
from tradecore.testing.rows import assert_follow_rows, assert_signal_rows

_FAMILY = "Row ranges"
_SEEDS = (21, 22)
_OTHER_VALUES = (np.nan, 1e-3, 1e9)
_PROOF_ROWS_MAX = 400


def _cases(subject: Subject) -> Iterator[tuple[str, Guest, Grid, MarketFrame]]:
    for number, (about, guest) in enumerate(subject.guests()):
        grid = subject.grid(number)
        for seed in _SEEDS:
            yield about, guest, grid, grid.frame(seed, empty=0.1 if seed == _SEEDS[0] else 0.0)
        if number == 0:
            for frame in subject.frames:
                yield " (a frame of the author)", guest, grid, frame


def _rows(frame: MarketFrame, first: int) -> list[int]:
    """Rows to look at: around the first with a full history, and every fourth after it."""
    return sorted(
        {row for row in (0, 1, first - 1, first, *range(first + 1, frame.rows - 1, 4)) if 0 <= row < frame.rows - 1}
    )


def _signal(guest: Guest, frame: MarketFrame, rows: range) -> Wishes:
    answer: Wishes = ask(guest, Question("signal", f"rows {rows.start} to {rows.stop - 1}", (frame, rows)))
    return answer


def _row(wishes: Wishes, place: int, shape: tuple[int, int]) -> object:
    """One row of an answer, every part spread over the block."""
    parts = [wishes.value[place]]
    for part in (wishes.threshold, wishes.strength, wishes.quote_wanted, wishes.stop_price, wishes.group):
        parts.append(np.zeros(0) if part is None else np.broadcast_to(np.asarray(part), shape)[place])
    facts = (wishes.op, wishes.unit, wishes.reason, wishes.expires_after_ms, wishes.side)
    return fingerprint((tuple(np.array(part) for part in parts), facts))


@card(
    "C30",
    "one-row-or-many",
    _FAMILY,
    "A row's answer is the same asked alone or in a block",
    hooks=("signal",),
    after=("C20",),
    action="Ask `signal` for all rows at once, then for single rows and short blocks of the same frame.",
    expectation="The answers for a row agree to the bit.",
)
def one_row_or_many(subject: Subject) -> Result:
    """Compare a block with its rows."""
    for about, guest, _, frame in _cases(subject):
        whole = _signal(guest, frame, range(frame.rows))
        for row in _rows(frame, frame.rows // 2):
            for rows in (range(row, row + 1), range(row, min(frame.rows, row + 5))):
                part = _signal(guest, frame, rows)
                one = _row(whole, row, (frame.rows, len(frame.symbols)))
                if one != _row(part, 0, (len(rows), len(frame.symbols))):
                    return failed(
                        f"signal answered row {row} otherwise alone than in a block{about}; compute each row from rows "
                        "up to it with fixed windows (tradecore.market.indicators), nothing over the block as a whole"
                    )
    return PASSED


@card(
    "C31",
    "no-look-ahead",
    _FAMILY,
    "`signal` does not see later rows",
    hooks=("signal",),
    after=("C20", "C30"),
    action=(
        "Ask for a row, replace every later row by NaN, 0.001 or 1e9, ask again; once more with the frame cut there."
    ),
    expectation="The answer for the row stays the same to the bit.",
)
def no_look_ahead(subject: Subject) -> Result:
    """Replace later rows."""
    for about, guest, grid, frame in _cases(subject):
        for row in _rows(frame, grid.warmup_rows):
            rows = range(row, row + 1)
            shape = (1, len(frame.symbols))
            honest = _row(_signal(guest, frame, rows), 0, shape)
            others = [replaced(frame, slice(row + 1, None), value) for value in _OTHER_VALUES]
            for other in (*others, frame.cut(0, row + 1)):
                if _row(_signal(guest, other, rows), 0, shape) != honest:
                    return failed(
                        f"signal answered row {row} otherwise once later rows were replaced{about}: it looks "
                        "ahead; use "
                        "frame rows up to the row asked for only (slices end at rows.stop, windows end at the row)"
                    )
    return PASSED


@card(
    "C32",
    "warmup-is-enough",
    _FAMILY,
    "`signal` needs no more history than its warm-up",
    hooks=("signal",),
    after=("C20", "C30", "C31"),
    action="Ask for a row with the rows older than the promised `warmup` cut off or replaced.",
    expectation=(
        "The answer for the row stays the same to the bit; a warm-up that is declared too short is noticed here."
    ),
)
def warmup_is_enough(subject: Subject) -> Result:
    """Replace rows before the warm-up."""
    for about, guest, _, frame in _cases(subject):
        warmup = window_rows(guest.warmup["base"], frame.timeframe_ms) if "base" in guest.warmup else 0
        for row in (row for row in _rows(frame, warmup) if row > warmup):
            first = row - warmup
            shape = (1, len(frame.symbols))
            honest = _row(_signal(guest, frame, range(row, row + 1)), 0, shape)
            cut = frame.cut(first, frame.rows)
            if _row(_signal(guest, cut, range(row - first, row - first + 1)), 0, shape) != honest or any(
                _row(_signal(guest, replaced(frame, slice(0, first), value), range(row, row + 1)), 0, shape) != honest
                for value in _OTHER_VALUES
            ):
                promised = guest.warmup.get("base", "none")
                return failed(
                    f"signal answered row {row} otherwise without the rows before its warm-up "
                    f"({promised}){about}; promise "
                    "a longer warmup, or use a window of fixed length (a recursive indicator needs many rows: "
                    "RSI-14 250)"
                )
    return PASSED


@card(
    "C33",
    "slower-frames-by-close",
    _FAMILY,
    "Slower frames are joined by their close",
    hooks=("signal", "follow"),
    after=("C20",),
    prerequisite="its warm-up names a slower frame",
    skipped_when="its warm-up names no slower frame",
    action="Ask for a row, replace every row of the slower frames that closes after it, ask again.",
    expectation="The answer for the row stays the same to the bit.",
)
def slower_frames_by_close(subject: Subject) -> Result:
    """Replace rows of slower frames that had not closed."""
    if not any(grid.slow for grid in map(subject.grid, range(len(subject.sections)))):
        return skipped("its warm-up names no slower frame")
    for about, guest, grid, frame in _cases(subject):
        for row in _rows(frame, grid.warmup_rows):
            changed = _later_slower(frame, row)
            for hook in sorted({"signal", "follow"} & guest.hooks):
                arguments = (range(row, row + 1), *((held(frame, max(0, row - 1)),) if hook == "follow" else ()))
                answers = [ask(guest, Question(hook, f"row {row}", (one, *arguments))) for one in (frame, changed)]
                if fingerprint(answers[0]) != fingerprint(answers[1]):
                    return failed(
                        f"{hook} answered row {row} otherwise once rows of a slower frame that close later were "
                        f"replaced{about}; take the row that frame.as_of(name) gives, it had closed by then"
                    )
    return PASSED


def _later_slower(frame: MarketFrame, row: int) -> MarketFrame:
    other = {
        name: replaced(slow, slice(int(frame.as_of(name)[row]) + 1, None), 1e9) for name, slow in frame.other.items()
    }
    return with_columns(frame, lambda name, values: values, other)


@card(
    "C34",
    "row-ranges-proof",
    _FAMILY,
    "`signal` passes the whole proof of row ranges",
    hooks=("signal",),
    after=("C20", "C30", "C31", "C32"),
    action=(
        "Ask in one block, row by row, in random cuts and out of order, with frames cut at random places and all "
        "rows that "
        "may not be used replaced."
    ),
    expectation="All answers for a row agree to the bit.",
)
def row_ranges_proof(subject: Subject) -> Result:
    """Run the proof of `tradecore.testing.rows`."""
    for about, guest, _, frame in _cases(subject):
        if frame.rows > _PROOF_ROWS_MAX:
            continue
        warmup = window_rows(guest.warmup["base"], frame.timeframe_ms) if "base" in guest.warmup else 0
        try:
            assert_signal_rows(lambda one, rows, guest=guest: _signal(guest, one, rows), frame, warmup, chance_of(5))  # type: ignore[misc]
        except AssertionError as error:
            text = " ".join(str(error).split())[:200]
            return failed(
                f"signal depends on how it is asked{about}: {text}; use fixed windows within the warm-up only"
            )
    return PASSED


# follow --------------------------------------------------------------------------------------------------------


def _plan(guest: Guest, frame: MarketFrame, rows: range, position: Position) -> Plan | None:
    answer: Plan | None = ask(
        guest, Question("follow", f"rows {rows.start} to {rows.stop - 1}", (frame, rows, position))
    )
    return answer


def _positions(frame: MarketFrame, first: int) -> Iterator[Position]:
    yield held(frame, first)
    yield held(frame, min(frame.rows - 2, first + 9))


@card(
    "C35",
    "levels-before-their-row",
    _FAMILY,
    "Levels of a row come from rows before it",
    hooks=("follow",),
    after=("C20",),
    action=(
        "Ask `follow` for a row, replace that row and later ones, ask again; `leave` is compared with later rows "
        "replaced only. "
        "Ask with a last row that has not closed yet."
    ),
    expectation="Stop, take, add and the stop's reason stay the same to the bit; so does `leave`.",
)
def levels_before_their_row(subject: Subject) -> Result:
    """Replace the row itself and what follows."""
    for about, guest, grid, frame in _cases(subject):
        first = min(grid.warmup_rows, frame.rows - 3)
        for position in _positions(frame, first):
            for row in (row for row in _rows(frame, first) if row > first):
                rows = range(row, row + 1)
                honest = _plan(guest, frame, rows, position)
                for value in _OTHER_VALUES:
                    other = _plan(guest, replaced(frame, slice(row, None), value), rows, position)
                    if _levels(other) != _levels(honest):
                        return failed(
                            f"follow set other levels for row {row} once that row and later ones were replaced{about}; "
                            "compute stop, take and add from rows before the row (running_peak does), they hold "
                            "during it"
                        )
                    later = _plan(guest, replaced(frame, slice(row + 1, None), value), rows, position)
                    if _leaves(later) != _leaves(honest):
                        return failed(
                            f"follow left at row {row} because of later rows{about}; judge leave from rows up to "
                            "and with it"
                        )
                opened = _plan(guest, frame.cut(0, row).with_open_row(), rows, position)
                if _levels(opened) != _levels(honest):
                    return failed(
                        f"follow set other levels for row {row} while it had not closed (all NaN){about}; do not "
                        "read the row"
                    )
    return PASSED


def _levels(plan: Plan | None) -> object:
    return None if plan is None else fingerprint((plan.stop, plan.take, plan.add, plan.stop_reason, plan.add_quote))


def _leaves(plan: Plan | None) -> object:
    return None if plan is None else fingerprint((plan.leave, plan.leave_at_ms))


@card(
    "C36",
    "follow-survives-cuts",
    _FAMILY,
    "`follow` carries nothing but what the position holds",
    hooks=("follow",),
    after=("C20", "C35"),
    action=(
        "Ask in one block, then in random cuts and row by row, the position's peak and trough carried over each cut."
    ),
    expectation="Levels of a row agree to the bit: a stop that trails must begin with `position.peak_price`.",
)
def follow_survives_cuts(subject: Subject) -> Result:
    """Run the proof of `tradecore.testing.rows` for `follow`."""
    for about, guest, grid, frame in _cases(subject):
        if frame.rows > _PROOF_ROWS_MAX:
            continue
        first = min(grid.warmup_rows, frame.rows - 3)
        warmup = window_rows(guest.warmup["base"], frame.timeframe_ms) if "base" in guest.warmup else 0
        for position in _positions(frame, first):
            try:
                assert_follow_rows(
                    lambda one, rows, place, guest=guest: _plan(guest, one, rows, place),  # type: ignore[misc]
                    frame, warmup, position, chance_of(6),
                )  # fmt: skip
            except AssertionError as error:
                text = " ".join(str(error).split())[:200]
                return failed(
                    f"follow set other levels when asked in cuts{about}: {text}; start from position.peak_price and "
                    "trough_price (running_peak), keep anything else in the plan's memo"
                )
    return PASSED


# filters -------------------------------------------------------------------------------------------------------


@card(
    "C37",
    "filter-answers-every-row",
    _FAMILY,
    "A filter answers every row that it can judge",
    hooks=("signal",),
    after=("C20",),
    prerequisite="its role is filter",
    skipped_when="its role is not filter",
    action="Ask a market without gaps for all rows after the warm-up; the same with a price that hardly moves.",
    expectation="No cell is NaN: a filter's silence shuts entries, so it says how far it is from holding.",
)
def filter_answers_every_row(subject: Subject) -> Result:
    """Look for NaN in a filter's answer."""
    if subject.guest().role != "filter":
        return skipped("its role is not filter")
    for number, (about, guest) in enumerate(subject.guests()):
        grid = subject.grid(number)
        frame = grid.frame(23, empty=0.0)
        for market in (frame, with_columns(frame, _calm)):
            rows = range(min(grid.warmup_rows + 1, frame.rows - 1), frame.rows)
            silent = np.isnan(_signal(guest, market, rows).value)
            if silent.any():
                row = rows.start + int(np.argwhere(silent)[0][0])
                return failed(
                    f"the filter says nothing (NaN) for row {row} though all data is there{about}: that shuts "
                    "entries without "
                    "a reason; answer the value and the threshold of every row, held or not"
                )
    return PASSED


def _calm(name: str, values: Array) -> Array:
    return values if name == "volume" else 100.0 + (values - values[0]) * 1e-6
