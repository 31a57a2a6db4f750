"""Every candidate of every scan ends in exactly one outcome, whatever the guests do (R4)."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.market.answers import Wishes
from tradecore.model.events import CandidateOutcomes, ScanOutcomes
from tradecore.model.reasons import Reason
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import NO_CANDLE, ScriptedSource, allower, make_guest, router, sizer, wandering
from tradecore.testing.harness import Scene, play

ROWS = 26
SYMBOLS = ("AAA/USDT", "BBB/USDT", "CCC/USDT", "DDD/USDT")


def moody(name, chance, *, faults, hits, promises=None):
    """A signal guest that answers what a seeded draw says of each row: a value, nothing, or an exception."""
    draws = {row: chance.random() for row in range(2 * ROWS)}
    seed = chance.getrandbits(32)

    def signal(frame, rows):
        value = np.ones((len(rows), len(frame.symbols)))
        for at, row in enumerate(rows):
            number = int(frame.timestamps[row]) // frame.timeframe_ms % (2 * ROWS)
            if draws[number] < faults:
                raise RuntimeError("moody")
            cells = np.random.default_rng([seed, number]).random((2, len(frame.symbols)))
            value[at] = np.where(cells[0] < 0.1, np.nan, np.where(cells[1] < hits, 0.5 - cells[0], 0.5 + cells[0]))
        return Wishes(value, "<=", 0.5, "draw", name)

    return make_guest(name, signal=signal, promises=promises)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), faults=st.sampled_from([0.0, 0.02, 0.2]), hits=st.sampled_from([0.0, 0.05, 0.6]),
       filters=st.integers(0, 2), wishers=st.integers(1, 2), block=st.sampled_from([1, 7, 64]))  # fmt: skip
def test_r4_candidates_are_conserved(seed, faults, hits, filters, wishers, block):
    chance = random.Random(seed)
    candles = {symbol: wandering(chance, ROWS) for symbol in SYMBOLS}
    for rows in candles.values():
        for row in range(ROWS):
            rows[row] = NO_CANDLE if chance.random() < 0.05 else rows[row]
    guests = [moody(f"wish{n}", chance, faults=faults, hits=hits) for n in range(wishers)]
    guests += [
        moody(f"filter{n}", chance, faults=faults, hits=0.7,
              promises={"role": "filter", "applies_to": chance.choice([None, ("wish0",)])})
        for n in range(filters)
    ]  # fmt: skip
    guests += [sizer("1"), allower(), router((TimeInForce.IOC, "20", 2_000))]
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(ScriptedSource(candles), guests, (f"market.block_rows={block}",), seed=seed % 1_000)
        played = play(scene, Path(folder) / "state")
        scans = [note.event for note in played.notes(ScanOutcomes)]
        spans = [note.event for note in played.notes(CandidateOutcomes)]
    assert len(scans) == ROWS
    by_reason: Counter[str] = Counter()
    for scan in scans:
        assert sum(scan.outcomes.values()) == scan.candidates == len(SYMBOLS)
        by_reason.update(scan.outcomes)
    assert by_reason == played.summary["outcomes"]
    assert sum(span.rows for span in spans) == ROWS
    counted: Counter[str] = Counter()
    for span in spans:
        held = Counter()
        for group in span.groups:
            held.update(dict(zip(group.symbols, group.counts, strict=True)))
            counted[group.outcome] += sum(group.counts)
            check_nearest(group)
        assert held == dict.fromkeys(SYMBOLS, span.rows), "each symbol once in every row"
        assert span.candidates == span.rows * len(SYMBOLS)
        inside = [scan for scan in scans if span.first_ms <= scan.row_ms <= span.last_ms]
        assert len(inside) == span.rows
    assert counted == by_reason


def check_nearest(group):
    """What was measured lies outside of its threshold, by the margin that is told."""
    assert Reason(group.outcome)
    if not group.margins:
        assert group.outcome not in {"THRESHOLD_NOT_MET", "FILTER_REFUSED"}
        return
    assert group.by.startswith("filter" if group.outcome == "FILTER_REFUSED" else "wish")
    rows = zip(group.values, group.thresholds, group.margins, strict=True)
    for value, threshold, margin in rows:
        assert value > threshold
        assert abs((value - threshold) / threshold - margin) < 1e-4


def test_r4_the_nearest_guest_names_a_quiet_candidate(tmp_path):
    def always(name, value):
        return make_guest(name, signal=lambda frame, rows: Wishes(
            np.full((len(rows), len(frame.symbols)), value), "<=", 0.5, "draw", name))  # fmt: skip

    source = ScriptedSource({"AAA/USDT": wandering(random.Random(1), 6)})
    guests = [always("far", 0.9), always("near", 0.6), sizer("1"), allower(), router((TimeInForce.IOC, "20", 2_000))]
    played = play(Scene(source, guests), tmp_path / "state")
    groups = [group for note in played.notes(CandidateOutcomes) for group in note.event.groups]
    for group in groups:
        assert (group.outcome, group.by, group.unit) == ("THRESHOLD_NOT_MET", "near", "draw")
        assert (group.values, group.thresholds, group.margins) == ((0.6,), (0.5,), (0.2,))
    assert sum(group.counts[0] for group in groups) == 6
