"""Fingerprints: a value taken apart down to its bits, so that two answers, or one input before and after, compare."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from tradecore.market.frame import COLUMNS, Market, MarketFrame

_DEPTH_MAX: Final = 40
_UNKNOWN_COSTS: Final = 12
"""Levels that an object of an unknown class counts for: three of them one inside the other are looked into."""


def fingerprint(value: Any, depth: int = 0) -> Any:
    """Take a value apart into plain tuples, text and bytes that compare by value.

    Two NaNs are equal, 1 and 1.0 and Decimal(1) are not. Functions compare by name: those of two instances are alike.
    """
    if depth > _DEPTH_MAX:
        return ("deeper", type(value).__name__)
    if value is None or isinstance(value, (str, bytes, bool, int)):
        return (type(value).__name__, value)
    if isinstance(value, (float, Decimal)):
        return (type(value).__name__, repr(value))
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.str, value.shape, _bits(value))
    return _composite(value, depth + 1)


def _composite(value: Any, depth: int) -> Any:
    take = functools.partial(fingerprint, depth=depth)
    if isinstance(value, MarketFrame):
        columns = tuple(take(getattr(value, name)) for name in COLUMNS)
        return ("frame", value.timeframe_ms, take(value.timestamps), value.symbols, columns, take(value.other))
    if isinstance(value, Market):
        books = [(symbol, take(value.book(symbol))) for symbol in value.frame.symbols]
        return ("market", value.now_ms, take(value.frame), tuple(books))
    if isinstance(value, BaseModel):
        return (type(value).__name__, tuple((name, take(getattr(value, name))) for name in type(value).model_fields))
    if isinstance(value, Mapping):
        return ("mapping", tuple(sorted(((repr(take(key)), take(item)) for key, item in value.items()), key=repr)))
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, tuple(take(part) for part in value))
    if isinstance(value, (set, frozenset)):
        return ("set", tuple(sorted(repr(take(part)) for part in value)))
    if isinstance(value, types.ModuleType):
        return ("module", value.__name__)  # whatever it imports is reachable from it
    if callable(value):
        return ("function", getattr(value, "__qualname__", type(value).__qualname__))
    return (type(value).__qualname__, _fields(value, depth))


def _fields(value: Any, depth: int) -> Any:
    """What an object of an unknown class holds; its address says nothing and is left out.

    Such objects lead to each other in circles (a logger, a test's own machinery), so few of them are gone through.
    """
    held = getattr(value, "__dict__", None)
    return fingerprint(held, depth + _UNKNOWN_COSTS) if isinstance(held, dict) else type(value).__qualname__


def difference(left: Any, right: Any, path: str = "") -> str:
    """Name the first place where two fingerprints part; empty where they agree."""
    if left == right:
        return ""
    if isinstance(left, tuple) and isinstance(right, tuple) and len(left) == len(right):
        for place, (one, other) in enumerate(zip(left, right, strict=True)):
            found = difference(one, other, f"{path}.{place}" if path else str(place))
            if found:
                return found
    return f"{_short(left)} became {_short(right)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _bits(values: np.ndarray[Any, Any]) -> bytes:
    if values.dtype.kind == "f":
        # Which of the many NaNs it is carries no meaning, and numpy may choose.
        return np.where(np.isnan(values), np.nan, values).tobytes()
    if values.dtype.kind == "O":
        return repr(values.tolist()).encode()
    return values.tobytes()
