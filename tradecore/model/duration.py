"""Lengths of time as people write them."""

from __future__ import annotations

import re
from typing import Final

from tradecore.errors import SettingsError

_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class DurationError(SettingsError, ValueError):
    """A text is no length of time. Also a ValueError, so that it may be raised while a model is validated."""


def duration_s(text: str) -> float:
    """Turn ``90s``, ``2h`` or ``1h30m`` into seconds.

    Returns:
        Seconds, > 0.
    Raises:
        SettingsError: If the text is no length of time, or is zero.
    """
    squeezed = text.replace(" ", "")
    parts = _PART.findall(squeezed)
    total = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != squeezed or total <= 0:
        raise DurationError(f"expected a duration such as '90s', '2h' or '1h30m', was {text!r}")
    return total
