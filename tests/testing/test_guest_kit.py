"""The kit for plugin authors: its checks pass what is right and, above all, fail what is wrong."""

import random
from decimal import Decimal

import numpy as np
import pytest
from pydantic import BaseModel, Field

from tradecore.market.answers import Plan, Wishes
from tradecore.market.indicators import rolling_max, running_peak
from tradecore.model.position import Position
from tradecore.model.reasons import Reason
from tradecore.model.units import PositionId
from tradecore.testing.readme import HEADER, assert_readme_settings, setting_rows, toml_text
from tradecore.testing.rows import assert_follow_rows, assert_signal_rows, walk_frame

FRAME = walk_frame(random.Random(7), 40, 2)
POSITION = Position(
    PositionId("p1"), "C0/USDT", "wisher", "", Decimal(1), Decimal(100), 0, 1, Decimal(100), Decimal(100)
)


def wishes_of(value, **parts):
    return Wishes(value, "<=", 0.98, "ratio", "drop", **parts)


def honest_signal(frame, rows):
    return wishes_of(frame.close[rows.start : rows.stop] / rolling_max(frame.high, rows, 6, before=True))


def honest_follow(frame, rows, position):
    peak, _ = running_peak(frame, rows, position)
    return Plan(stop=peak * 0.99, stop_reason=(Reason.TRAILING_STOP,) * len(rows), inputs={"peak": str(peak[-1])})


def test_honest_guests_pass():
    for seed in range(5):
        assert_signal_rows(honest_signal, FRAME, 6, random.Random(seed))
        assert_follow_rows(honest_follow, FRAME, 0, POSITION, random.Random(seed))


def looks_ahead(frame, rows):
    return wishes_of(frame.close[rows.start : rows.stop] + np.nan_to_num(frame.close[-1]))


def depends_on_the_block(frame, rows):
    return wishes_of(np.cumsum(np.ones((len(rows), 2)), axis=0))


def differs_in_the_last_bit(frame, rows):
    value = honest_signal(frame, rows).value
    return wishes_of(np.nextafter(value, np.inf) if len(rows) > 1 else value)


def answers_one_row_only(frame, rows):
    return wishes_of(honest_signal(frame, rows).value[:1])


def changes_its_expiry(frame, rows):
    return honest_signal(frame, rows)._replace(expires_after_ms=len(rows))


@pytest.mark.parametrize(
    "signal",
    [looks_ahead, depends_on_the_block, differs_in_the_last_bit, answers_one_row_only, changes_its_expiry],
)
def test_signal_guests_that_cheat_are_found(signal):
    with pytest.raises(AssertionError):
        assert_signal_rows(signal, FRAME, 6, random.Random(1))


def test_a_warmup_declared_one_row_too_short_is_found():
    with pytest.raises(AssertionError):
        assert_signal_rows(honest_signal, FRAME, 5, random.Random(1))


def sees_its_own_row(frame, rows, position):
    low = frame.low[rows.start : rows.stop, frame.index(position.symbol)]
    return honest_follow(frame, rows, position)._replace(stop=low)


def tells_the_first_row(frame, rows, position):
    peak, _ = running_peak(frame, rows, position)
    return honest_follow(frame, rows, position)._replace(inputs={"peak": str(peak[0])})


def gives_too_few_reasons(frame, rows, position):
    return honest_follow(frame, rows, position)._replace(stop_reason=(Reason.STOP_LOSS,))


def is_silent_on_blocks(frame, rows, position):
    return honest_follow(frame, rows, position) if len(rows) == 1 else None


@pytest.mark.parametrize("follow", [sees_its_own_row, tells_the_first_row, gives_too_few_reasons, is_silent_on_blocks])
def test_follow_guests_that_cheat_are_found(follow):
    with pytest.raises(AssertionError):
        assert_follow_rows(follow, FRAME, 0, POSITION, random.Random(1))


def test_a_frame_for_tests_is_a_market_that_could_be():
    frame = walk_frame(random.Random(2), 500, 3, empty=0.2)
    known = ~np.isnan(frame.close)
    assert 0.7 < known.mean() < 0.9
    for name in ("open", "high", "low", "volume"):
        assert np.array_equal(~np.isnan(getattr(frame, name)), known)
    assert (frame.high[known] >= np.maximum(frame.open, frame.close)[known]).all()
    assert (frame.low[known] <= np.minimum(frame.open, frame.close)[known]).all()
    assert (frame.low[known] > 0).all()


class Part(BaseModel, frozen=True, extra="forbid"):
    size: int = Field(1, description="How many.", json_schema_extra={"unit": "pieces"})


class Whole(BaseModel, frozen=True, extra="forbid"):
    share: Decimal = Field(Decimal("2.0"), description="How much.", json_schema_extra={"unit": "%"})
    name: str = Field(description="What it is called.", json_schema_extra={"unit": "text"})
    parts: tuple[Part, ...] = Field((Part(size=3),), description="Its parts.", json_schema_extra={"unit": "list"})
    limit: int | None = Field(None, description="At most.", json_schema_extra={"unit": "pieces"})


README = f"""# A plugin

{HEADER}
|---|---|---|---|
| `share` | `2.0` | % | How much. |
| `name` | required | text | What it is called. |
| `parts` | `[{{size = 3}}]` | list | Its parts. |
| `parts.size` | `1` | pieces | How many. |
| `limit` | not set | pieces | At most. |

More text.
"""


def test_a_readme_that_tells_its_settings_passes():
    assert_readme_settings(README, Whole)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("`2.0`", "`3.0`"),
        ("| % |", "| bps |"),
        ("How many.", "How few."),
        ("| `limit` | not set | pieces | At most. |\n", ""),
    ],
)
def test_a_readme_that_tells_another_setting_is_found(old, new):
    assert old in README
    with pytest.raises(AssertionError, match="expected the table"):
        assert_readme_settings(README.replace(old, new), Whole)


def test_settings_without_a_unit_or_description_are_found():
    class NoUnit(BaseModel):
        share: int = Field(1, description="How much.")

    class NoDescription(BaseModel):
        share: int = Field(1, json_schema_extra={"unit": "%"})

    with pytest.raises(AssertionError, match="share: expected a unit"):
        list(setting_rows(NoUnit))
    with pytest.raises(AssertionError, match="share: expected a description"):
        list(setting_rows(NoDescription))
    with pytest.raises(AssertionError, match="expected the line"):
        assert_readme_settings("# nothing", Whole)


def test_values_are_written_as_toml():
    assert toml_text((True, 1, Decimal("2.50"), "60m")) == '[true, 1, 2.50, "60m"]'
    with pytest.raises(TypeError, match="TOML can hold, was set"):
        toml_text(set())
