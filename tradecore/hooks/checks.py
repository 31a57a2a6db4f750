"""Is it an answer? One function per hook: type, shape and range, before anything is believed.

Each returns the answer, with arrays copied into read-only ones of the asked shape, or raises `BadAnswer` with
what was expected and what was found. A guest may keep and overwrite what it handed out; the core holds a copy.

What is handed on is of the plain types only: a subclass of ``str`` may answer differently each time it is read, or
raise where the core formats it. Sizes are looked at before anything is copied.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeGuard, TypeVar, cast

import numpy as np
import numpy.typing as npt

from tradecore.market.answers import Plan, Wishes
from tradecore.market.frame import Array
from tradecore.model.order import Done, OrderRequest
from tradecore.model.reasons import Reason
from tradecore.model.signal import CAPS, Check, Keep, Size, Verdict
from tradecore.model.units import Side, TimeInForce

TTL_MS_MAX: Final = 86_400_000
TEXT_MAX: Final = 10_000
"""Characters of one text in an answer."""
ITEMS_MAX: Final = 1_000
"""Entries of one mapping or sequence in an answer; a universe guest may name every symbol."""
Texts = Mapping[str, str]
_T = TypeVar("_T")


class BadAnswer(Exception):
    """A guest answered something else than was asked."""


def kind(value: object) -> str:
    """Name a type the way messages do."""
    return "None" if value is None else type(value).__name__


def need(wanted: bool | np.bool_, name: str, expected: str, found: object) -> None:
    """Refuse an answer that is not as wanted."""
    if not wanted:
        raise BadAnswer(f"expected {name} {expected}, was {found}")


def plain_text(name: str, value: object, *, empty: bool = False) -> str:
    """Check a text and hand back a plain ``str`` of it."""
    # not isinstance: an object may lie about its class, and then fail wherever the core reads it
    if not issubclass(type(value), str):
        raise BadAnswer(f"expected {name} to be text, was {kind(value)}")
    text = str.__str__(value)
    need(len(text) <= TEXT_MAX, name, f"of at most {TEXT_MAX} characters", len(text))
    need(empty or text != "", name, "to say something", "empty")
    return text


def bounded(name: str, values: Iterable[_T], most: int = ITEMS_MAX) -> tuple[_T, ...]:
    """Read once and no further than allowed: an endless answer ends here."""
    found = tuple(itertools.islice(values, most + 1))
    need(len(found) <= most, name, f"of at most {most} entries", "more")
    return found


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    # The exact types first: an abstract class's own answer costs more than the whole check of an empty verdict.
    return type(value) is dict or type(value) is MappingProxyType or isinstance(value, Mapping)


def texts(name: str, value: object) -> Texts:
    """Check a mapping of text to text and hand back a copy that nobody can change."""
    if not _is_mapping(value):
        raise BadAnswer(f"expected {name} to be a mapping, was {kind(value)}")
    if not value:
        return _NO_TEXTS
    read: dict[str, str] = {}
    for key, item in bounded(name, value.items()):
        if not (issubclass(type(key), str) and issubclass(type(item), str)):
            raise BadAnswer(f"expected {name} of text to text, was {kind(key)} to {kind(item)}")
        read[plain_text(f"a key of {name}", key, empty=True)] = plain_text(f"an entry of {name}", item, empty=True)
    return MappingProxyType(read)


_NO_TEXTS: Final[Texts] = MappingProxyType({})


_SIZE_MAX: Final = 24
_DIGITS_MAX: Final = 50


def amount(name: str, value: object, *, zero: bool) -> None:
    """Money is a finite Decimal; a float is refused, it has already lost digits."""
    if type(value) is not Decimal:
        raise BadAnswer(f"expected {name} to be Decimal, was {kind(value)}")
    if not value.is_finite() or value < 0 or (not zero and value == 0):
        raise BadAnswer(f"expected {name} {'>=' if zero else '>'} 0, was {value}")
    # Exact arithmetic raises rather than round: no amount of money has such a size or so many digits.
    if value and (abs(value.adjusted()) > _SIZE_MAX or len(value.as_tuple().digits) > _DIGITS_MAX):
        bounds = f"1E-{_SIZE_MAX} to 1E+{_SIZE_MAX}"
        raise BadAnswer(f"expected {name} from {bounds} with at most {_DIGITS_MAX} digits, was not")


def whole(name: str, value: object, low: int, high: int) -> int:
    """Check a whole number and hand back a plain ``int`` of it."""
    if type(value) is bool or not issubclass(type(value), int | np.integer):
        raise BadAnswer(f"expected {name} to be a whole number, was {kind(value)}")
    number = int.__index__(value) if isinstance(value, int) else int(value)  # type: ignore[call-overload]  # checked
    need(low <= number <= high, name, f"from {low} to {high}", number)
    return number


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array


# signal ------------------------------------------------------------------------------------------------------


def wishes(answer: object, shape: tuple[int, int]) -> Wishes:
    """Check a `signal` guest's answer for a block of `shape` [rows, symbols]."""
    if type(answer) is not Wishes:
        raise BadAnswer(f"expected Wishes, was {kind(answer)}")
    value = _array("value", answer.value, np.float64, "fiu", shape)
    known = ~np.isnan(value)
    need(not np.isinf(value).any(), "value", "to be finite or NaN", "infinite")
    op = plain_text("op", answer.op, empty=True)
    need(op in ("<=", ">="), "op", "to be <= or >=", repr(op))
    threshold = _spread("threshold", answer.threshold, shape)
    need(not (~np.isfinite(threshold) & known).any(), "threshold", "to be finite where there is a value", "not")
    strength = _spread("strength", answer.strength, shape)
    with np.errstate(invalid="ignore"):
        need(not (~((strength >= 0) & (strength <= 1)) & known).any(), "strength", "from 0 to 1", "outside")
    unit, reason = plain_text("unit", answer.unit), plain_text("reason", answer.reason)
    need(type(answer.side) is Side, "side", "to be a Side", kind(answer.side))
    expires = whole("expires_after_ms", answer.expires_after_ms, 1, TTL_MS_MAX)
    return Wishes(
        value, "<=" if op == "<=" else ">=", threshold, unit, reason, strength, expires, answer.side,
        group=_group(answer.group, shape),
        quote_wanted=_positive("quote_wanted", answer.quote_wanted, shape),
        stop_price=_stop(answer.stop_price, shape),
    )  # fmt: skip


def _array(name: str, value: object, dtype: type[Any], kinds: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Copy an array whose shape is as asked; one that is not is refused before it is copied: it may be huge."""
    found = _seen(name, value, dtype, kinds)
    need(found.shape == shape, name, f"of shape {shape}", found.shape)
    return _frozen(np.array(found, dtype=dtype))


def _seen(name: str, value: object, dtype: type[Any], kinds: str) -> npt.NDArray[Any]:
    """Look at an array of any kind as a plain one, without copying it."""
    if not issubclass(type(value), np.ndarray):
        raise BadAnswer(f"expected {name} to be an array, was {kind(value)}")
    found: npt.NDArray[Any] = np.ndarray.view(cast("npt.NDArray[Any]", value), np.ndarray)
    need(found.dtype.kind in kinds, name, f"of {np.dtype(dtype).name}", found.dtype.name)
    return found


def _spread(name: str, value: object, shape: tuple[int, ...]) -> Any:
    """One number, or an array that broadcasts to `shape`: a float or a read-only array."""
    if type(value) is not bool and issubclass(type(value), int | float | np.floating | np.integer):
        return float(value)  # type: ignore[arg-type]  # it is one of those
    found = _seen(name, value, np.float64, "fiu")
    fits = found.ndim <= len(shape) and all(
        size in (1, wanted) for size, wanted in zip(reversed(found.shape), reversed(shape), strict=False)
    )
    need(fits, name, f"to fit {shape}", found.shape)
    return np.broadcast_to(_frozen(np.array(found, dtype=np.float64)), shape)


def _positive(name: str, value: object, shape: tuple[int, ...]) -> Any:
    if value is None:
        return None
    values = _spread(name, value, shape)
    with np.errstate(invalid="ignore"):
        bad = ~np.isnan(values) & ~((values > 0) & np.isfinite(values))
    need(not bad.any(), name, "to be > 0 or NaN", "something else")
    return values


def _stop(value: object, shape: tuple[int, int]) -> Array | None:
    if value is None:
        return None
    stop: Array = np.broadcast_to(_positive("stop_price", value, shape), shape)
    return stop


def _group(value: object, shape: tuple[int, int]) -> npt.NDArray[np.int64] | None:
    if value is None:
        return None
    group = _array("group", value, np.int64, "iu", shape)
    need(not (group < -1).any(), "group", "of -1 or a number >= 0", "less")
    return group


# follow ------------------------------------------------------------------------------------------------------


def plan(answer: object, rows: int) -> Plan | None:
    """Check a `follow` guest's answer for `rows` rows; ``None`` stays None."""
    if answer is None:
        return None
    if type(answer) is not Plan:
        raise BadAnswer(f"expected Plan or None, was {kind(answer)}")
    stop, take, add = (_levels(name, getattr(answer, name), rows) for name in ("stop", "take", "add"))
    add_quote = None
    if answer.add_quote is not None:
        add_quote = float(_positive("add_quote", answer.add_quote, ()))
    elif add is not None:
        need(bool(np.isnan(add).all()), "add_quote", "where add names a price", "None")
    leave = None
    if answer.leave is not None:
        leave = _array("leave", answer.leave, np.bool_, "b", (rows,))
    leave_at = answer.leave_at_ms
    return Plan(
        stop, take, add, leave,
        None if leave_at is None else whole("leave_at_ms", leave_at, 0, 2**62),
        _reasons(answer.stop_reason, rows),
        add_quote,
        None if answer.memo is None else texts("memo", answer.memo),
        texts("inputs", answer.inputs),
    )  # fmt: skip


def _levels(name: str, value: object, rows: int) -> Array | None:
    if value is None:
        return None
    levels: Array = _array(name, value, np.float64, "fiu", (rows,))
    with np.errstate(invalid="ignore"):
        bad = ~np.isnan(levels) & ~((levels > 0) & np.isfinite(levels))
    need(not bad.any(), name, "to be > 0 or NaN", "something else")
    return levels


def _reasons(value: object, rows: int) -> tuple[Reason, ...] | Reason:
    if type(value) is Reason:
        return value
    if type(value) is not tuple or not all(type(item) is Reason for item in value[: rows + 1]):
        raise BadAnswer(f"expected stop_reason to be a Reason or a tuple of them, was {kind(value)}")
    need(len(value) == rows, "stop_reason", f"of {rows} reasons", len(value))
    return value


# size, risk_check, route_order ---------------------------------------------------------------------------------


def size(answer: object) -> Size | None:
    """Check a sizing guest's answer; ``None`` stays None and denies."""
    if answer is None:
        return None
    if type(answer) is not Size:
        raise BadAnswer(f"expected Size, was {kind(answer)}")
    amount("quantity", answer.quantity, zero=True)
    return Size(answer.quantity, plain_text("constraint", answer.constraint), texts("inputs", answer.inputs))


def verdict(answer: object) -> Verdict | None:
    """Check a risk guest's answer; ``None`` stays None and denies."""
    if answer is None:
        return None
    if type(answer) is not Verdict:
        raise BadAnswer(f"expected Verdict, was {kind(answer)}")
    found = answer.checks
    if type(found) is not tuple:
        raise BadAnswer(f"expected checks to be a tuple, was {kind(found)}")
    for check in bounded("checks", found):
        _check(check)
    caps = answer.caps
    if not _is_mapping(caps):
        raise BadAnswer(f"expected caps to be a mapping, was {kind(caps)}")
    read: dict[str, Decimal] = {}
    for name, cap in bounded("caps", caps.items()) if caps else ():
        if type(name) is not str or name not in CAPS:
            raise BadAnswer(f"expected caps out of {', '.join(sorted(CAPS))}, was {name!r}")
        amount(name, cap, zero=True)
        read[name] = cap
    return Verdict(found, read, texts("inputs", answer.inputs))


def _check(check: object) -> None:
    if type(check) is not Check:
        raise BadAnswer(f"expected checks of Check, was {kind(check)}")
    limit, value, threshold, unit, hit = check
    if type(limit) is not str or not limit or type(unit) is not str:
        raise BadAnswer(f"expected limit and unit of a check to be text, was {limit!r} and {unit!r}")
    need(len(limit) + len(unit) <= TEXT_MAX, "limit and unit", f"of at most {TEXT_MAX} characters", "more")
    # A check that tells its hit by a number or an array must not pass as true or false.
    if type(hit) is not bool:
        raise BadAnswer(f"expected hit of {limit} to be true or false, was {kind(hit)}")
    for number in (value, threshold):
        if type(number) is not Decimal or not number.is_finite():
            raise BadAnswer(
                f"expected value and threshold of {limit} to be finite Decimals, was {kind(number)} {number}"
            )
        if number and abs(number.adjusted()) > _SIZE_MAX:
            raise BadAnswer(f"expected value and threshold of {limit} from 1E-{_SIZE_MAX} to 1E+{_SIZE_MAX}, was not")


def routed(answer: object) -> OrderRequest | Done | None:
    """Check a router's answer; ``None`` stays None: not mine."""
    if answer is None:
        return None
    if type(answer) is Done:
        need(type(answer.reason) is Reason, "reason", "to be a Reason", kind(answer.reason))
        return Done(answer.reason, plain_text("detail", answer.detail, empty=True))
    if type(answer) is not OrderRequest:
        raise BadAnswer(f"expected OrderRequest, Done or None, was {kind(answer)}")
    tif = answer.time_in_force
    need(type(tif) is TimeInForce, "time_in_force", "to be a TimeInForce", kind(tif))
    amount("price", answer.price, zero=False)
    amount("quantity", answer.quantity, zero=False)
    ttl_ms = whole("ttl_ms", answer.ttl_ms, 1, TTL_MS_MAX)
    label = plain_text("label", answer.label)
    need(type(answer.post_only) is bool, "post_only", "to be true or false", kind(answer.post_only))
    return answer._replace(ttl_ms=ttl_ms, label=label)


# jobs, universe --------------------------------------------------------------------------------------------------


def several(name: str, answer: object, most: int = ITEMS_MAX) -> tuple[Any, ...]:
    """Check a sequence and hand back what is in it, no more than allowed."""
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise BadAnswer(f"expected a sequence of {name}, was {kind(answer)}")
    return bounded(f"a sequence of {name}", answer, most)


def kept(answer: object, symbols: Mapping[str, Any]) -> tuple[Keep, ...]:
    """Check a universe guest's answer."""
    found = []
    for keep in several("Keep", answer, max(ITEMS_MAX, 2 * len(symbols))):
        if type(keep) is not Keep:
            raise BadAnswer(f"expected Keep, was {kind(keep)}")
        symbol = plain_text("symbol", keep.symbol, empty=True)
        need(symbol in symbols, "symbol", "out of those asked about", repr(symbol))
        need(type(keep.keep) is bool, f"keep of {symbol}", "to be true or false", kind(keep.keep))
        found.append(Keep(symbol, keep.keep, plain_text("reason", keep.reason)))
    return tuple(found)
