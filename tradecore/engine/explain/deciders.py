"""For every candidate that stayed quiet: which guest decided, by which value, threshold and margin (R4).

Array code over a whole block of rows. Where several guests decline, the one with the smallest relative margin names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.market.answers import Wishes
from tradecore.market.frame import Array

NOBODY = -1
_Mask = npt.NDArray[np.bool_]


class QuietRow(NamedTuple):
    """One row of a block: arrays over the symbols."""

    codes: npt.NDArray[np.int8]
    """Place of the reason in the scan's list; 0 is a hit."""
    guest: npt.NDArray[np.int16]
    """Place of the guest that decided in `Deciders.names`, or `NOBODY`."""
    value: Array
    threshold: Array
    margin: Array
    """Relative to the threshold, > 0; NaN where nothing was measured."""


class Deciders:
    """Who decided on each cell of a block [rows, symbols].

    Args:
        shape: Rows and symbols.
        names: Guests by place.
        units: Unit of each guest's value.
    """

    def __init__(self, shape: tuple[int, int], names: Sequence[str], units: Sequence[str]) -> None:
        self.names = tuple(names)
        self.units = tuple(units)
        self._guest = np.full(shape, NOBODY, dtype=np.int16)
        self._value = np.full(shape, np.nan)
        self._threshold = np.full(shape, np.nan)
        self._margin = np.full(shape, np.inf)

    def declined(self, place: int, wishes: Wishes, where: _Mask | None = None) -> None:
        """Name a guest where its margin is the smallest so far.

        Args:
            place: Of the guest in `names`.
            where: Cells that it may name; ``None``: all.
        """
        margin = wishes.relative_margin()
        with np.errstate(invalid="ignore"):
            nearer = margin < self._margin
        if where is not None:
            nearer &= where
        threshold = np.broadcast_to(np.asarray(wishes.threshold, dtype=np.float64), margin.shape)
        np.copyto(self._margin, margin, where=nearer)
        np.copyto(self._value, wishes.value, where=nearer)
        np.copyto(self._threshold, threshold, where=nearer)
        self._guest[nearer] = place

    def clear(self, where: _Mask) -> None:
        """Forget who was named: another kind of guest decides there."""
        self._guest[where] = NOBODY
        self._margin[where] = np.inf
        self._value[where] = np.nan
        self._threshold[where] = np.nan

    def silent(self, place: int, where: _Mask) -> None:
        """Name a guest that gave no answer where one was needed."""
        self.clear(where)
        self._guest[where] = place

    def row(self, at: int, codes: npt.NDArray[np.int8]) -> QuietRow:
        """Take one row out of the block."""
        margin = self._margin[at]
        return QuietRow(
            codes, self._guest[at], self._value[at], self._threshold[at], np.where(np.isfinite(margin), margin, np.nan)
        )
