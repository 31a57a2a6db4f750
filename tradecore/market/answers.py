"""Array-valued answers of guests: wishes for a block of rows, and the plan for one position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.market.frame import Array
from tradecore.model.reasons import Reason
from tradecore.model.units import Side


class Wishes(NamedTuple):
    """A `signal` guest's answer over [rows, symbols]: how far each is from its condition.

    The core compares ``value op threshold``; the guest never says yes or no. NaN in `value` means "no
    answer for this cell": for a wisher no wish, for a filter shut.
    """

    value: Array
    """Shape [rows, symbols], in `unit`."""
    op: Literal["<=", ">="]
    threshold: float | Array
    """One number, or an array that broadcasts to [rows, symbols]."""
    unit: str
    reason: str
    """What the condition is called, as ``drop from 60m high``."""
    strength: float | Array = 0.5
    """0 to 1; candidates of one row are asked strongest first."""
    expires_after_ms: int = 60_000
    """From the row's close; an intent made later than that is denied."""
    side: Side = Side.BUY
    group: npt.NDArray[np.int64] | None = None
    """Per cell the number of a group of legs, -1 for none; ``None``: no groups."""
    quote_wanted: float | Array | None = None
    """Quote units asked for; ``None`` or NaN leaves it to the sizing guests."""
    stop_price: Array | None = None
    """Per cell the stop the guest foresees, NaN for none; ``None``: it foresees none."""

    def hits(self) -> npt.NDArray[np.bool_]:
        """Where the condition holds; NaN never does."""
        with np.errstate(invalid="ignore"):
            return self.value <= self.threshold if self.op == "<=" else self.value >= self.threshold

    def relative_margin(self) -> Array:
        """How far each cell is from its condition relative to the threshold: 0 or less where it holds.

        Negative or zero is inside; NaN where there is no answer.
        """
        threshold = np.asarray(self.threshold, dtype=np.float64)
        gap = self.value - threshold if self.op == "<=" else threshold - self.value
        scale = np.maximum(np.abs(threshold), 1e-12)
        margin: Array = gap / scale
        return margin


class Plan(NamedTuple):
    """A `follow` guest's answer for one position over `rows`: all arrays have the shape [rows].

    `stop`, `take` and `add` are the prices in force *during* a row, computed from rows before it; NaN means
    none. `leave` is judged at the row's close from rows up to and with it.
    """

    stop: Array | None = None
    take: Array | None = None
    add: Array | None = None
    leave: npt.NDArray[np.bool_] | None = None
    leave_at_ms: int | None = None
    """Market time at which to leave whatever the price; ``None``: never."""
    stop_reason: tuple[Reason, ...] | Reason = Reason.STOP_LOSS
    """Why the stop stands where it stands: one for all rows, or one per row."""
    add_quote: float | None = None
    """Quote units to add where `add` is hit."""
    memo: Mapping[str, str] | None = None
    """Text to keep with the position until asked again; ``None`` keeps what is there."""
    inputs: Mapping[str, str] = {}
    """What the levels of the last row were made from, for the journal."""
