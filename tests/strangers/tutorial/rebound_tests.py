# ruff: noqa: I001 - sorted as in a project of its own, where tradecore is a stranger
# [tests]
"""rebound: what it answers, with numbers worked out by hand."""

import random
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from tradecore import MarketFrame
from tradecore.market.frame import window_rows
from tradecore.testing.readme import assert_readme_settings
from tradecore.testing.rows import assert_signal_rows, walk_frame

from tradecore_rebound.plugin import Rebound


def guest(**values):
    return Rebound(Rebound.Settings.model_validate(values))


def frame_of(closes):
    column = np.asfortranarray(np.array(closes, dtype=float).reshape(-1, 1))
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), column)
    return MarketFrame(60_000, 60_000 * np.arange(1, len(closes) + 1), ("C0/USDT",), columns)


def test_signal_wishes_where_a_deep_fall_turns_and_not_before():
    # Row 2 is 4 % below the high of 100 and still falls; row 3 is 3 % below it and rose; row 4 rose, 1.5 % below.
    wishes = guest(window="2m", fall_pct=2).signal(frame_of([100, 100, 96, 97, 95.7]), range(5))
    assert np.isnan(wishes.value[:2]).all()
    assert wishes.value[2:, 0].tolist() == [0.0, 3.0, 0.0]
    assert wishes.hits()[:, 0].tolist() == [False, False, False, True, False]


def test_signal_does_not_depend_on_how_rows_are_asked():
    asked, frame = guest(window="7m", fall_pct="0.5"), walk_frame(random.Random(7), 60, 3)
    assert_signal_rows(asked.signal, frame, window_rows(asked.warmup["base"], frame.timeframe_ms), random.Random(7))


def test_settings_refuse_what_cannot_be_and_the_readme_tells_them_all():
    for wrong in ({"fall_pct": 0}, {"window": "an hour"}, {"fall": 2}):
        with pytest.raises(ValidationError):
            guest(**wrong)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), Rebound.Settings)


# [/tests]
