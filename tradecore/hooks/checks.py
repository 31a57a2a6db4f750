"""Is it an answer? One function per hook: type, shape and range, before anything is believed.

Each returns the answer, with arrays copied into read-only ones of the asked shape, or raises `BadAnswer` with
what was expected and what was found. A guest may keep and overwrite what it handed out; the core holds a copy.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeGuard

import numpy as np
import numpy.typing as npt

from tradecore.market.answers import Plan, Wishes
from tradecore.market.frame import Array
from tradecore.model.order import Done, OrderRequest
from tradecore.model.reasons import Reason
from tradecore.model.signal import CAPS, Check, Job, JobAnswer, Keep, Signal, Size, Tune, Verdict
from tradecore.model.units import Side, TimeInForce

TTL_MS_MAX: Final = 86_400_000
Texts = Mapping[str, str]


class BadAnswer(Exception):
    """A guest answered something else than was asked."""


def kind(value: object) -> str:
    """Name a type the way messages do."""
    return "None" if value is None else type(value).__name__


def _need(wanted: bool | np.bool_, name: str, expected: str, found: object) -> None:
    if not wanted:
        raise BadAnswer(f"expected {name} {expected}, was {found}")


def _text(name: str, value: object, *, empty: bool = False) -> None:
    _need(isinstance(value, str), name, "to be text", kind(value))
    _need(empty or value != "", name, "to say something", "empty")


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    # The exact types first: an abstract class's own answer costs more than the whole check of an empty verdict.
    return type(value) is dict or type(value) is MappingProxyType or isinstance(value, Mapping)


def texts(name: str, value: object) -> Texts:
    """Check a mapping of text to text and hand back a copy that nobody can change."""
    if not _is_mapping(value):
        raise BadAnswer(f"expected {name} to be a mapping, was {kind(value)}")
    if not value:
        return _NO_TEXTS
    for key, item in value.items():
        if not (isinstance(key, str) and isinstance(item, str)):
            raise BadAnswer(f"expected {name} of text to text, was {kind(key)} to {kind(item)}")
    return MappingProxyType(dict(value))


_NO_TEXTS: Final[Texts] = MappingProxyType({})


def _amount(name: str, value: object, *, zero: bool) -> None:
    """Money is a finite Decimal; a float is refused, it has already lost digits."""
    if type(value) is not Decimal:
        raise BadAnswer(f"expected {name} to be Decimal, was {kind(value)}")
    if not value.is_finite() or value < 0 or (not zero and value == 0):
        raise BadAnswer(f"expected {name} {'>=' if zero else '>'} 0, was {value}")


def _whole(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise BadAnswer(f"expected {name} to be a whole number, was {kind(value)}")
    _need(low <= value <= high, name, f"from {low} to {high}", value)
    return int(value)


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array


# signal ------------------------------------------------------------------------------------------------------


def wishes(answer: object, shape: tuple[int, int]) -> Wishes:
    """Check a `signal` guest's answer for a block of `shape` [rows, symbols]."""
    if type(answer) is not Wishes:
        raise BadAnswer(f"expected Wishes, was {kind(answer)}")
    value = _array("value", answer.value, np.float64, "fiu")
    _need(value.shape == shape, "value", f"of shape {shape}", value.shape)
    known = ~np.isnan(value)
    _need(not np.isinf(value).any(), "value", "to be finite or NaN", "infinite")
    _need(answer.op in ("<=", ">="), "op", "to be <= or >=", repr(answer.op))
    threshold = _spread("threshold", answer.threshold, shape)
    _need(not (~np.isfinite(threshold) & known).any(), "threshold", "to be finite where there is a value", "not")
    strength = _spread("strength", answer.strength, shape)
    with np.errstate(invalid="ignore"):
        _need(not (~((strength >= 0) & (strength <= 1)) & known).any(), "strength", "from 0 to 1", "outside")
    _text("unit", answer.unit)
    _text("reason", answer.reason)
    _need(isinstance(answer.side, Side), "side", "to be a Side", kind(answer.side))
    expires = _whole("expires_after_ms", answer.expires_after_ms, 1, TTL_MS_MAX)
    return Wishes(
        value, answer.op, threshold, answer.unit, answer.reason, strength, expires, answer.side,
        group=_group(answer.group, shape),
        quote_wanted=_positive("quote_wanted", answer.quote_wanted, shape),
        stop_price=_stop(answer.stop_price, shape),
    )  # fmt: skip


def _array(name: str, value: object, dtype: type[Any], kinds: str) -> npt.NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise BadAnswer(f"expected {name} to be an array, was {kind(value)}")
    _need(value.dtype.kind in kinds, name, f"of {np.dtype(dtype).name}", value.dtype.name)
    return _frozen(np.array(value, dtype=dtype, subok=False))


def _spread(name: str, value: object, shape: tuple[int, ...]) -> Any:
    """One number, or an array that broadcasts to `shape`: a float or a read-only array."""
    if isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool):
        return float(value)
    array = _array(name, value, np.float64, "fiu")
    try:
        return np.broadcast_to(array, shape)
    except ValueError as error:
        raise BadAnswer(f"expected {name} to fit {shape}, was {array.shape}") from error


def _positive(name: str, value: object, shape: tuple[int, ...]) -> Any:
    if value is None:
        return None
    values = _spread(name, value, shape)
    with np.errstate(invalid="ignore"):
        bad = ~np.isnan(values) & ~((values > 0) & np.isfinite(values))
    _need(not bad.any(), name, "to be > 0 or NaN", "something else")
    return values


def _stop(value: object, shape: tuple[int, int]) -> Array | None:
    if value is None:
        return None
    stop: Array = np.broadcast_to(_positive("stop_price", value, shape), shape)
    return stop


def _group(value: object, shape: tuple[int, int]) -> npt.NDArray[np.int64] | None:
    if value is None:
        return None
    group = _array("group", value, np.int64, "iu")
    _need(group.shape == shape, "group", f"of shape {shape}", group.shape)
    _need(not (group < -1).any(), "group", "of -1 or a number >= 0", "less")
    return group


# follow ------------------------------------------------------------------------------------------------------


def plan(answer: object, rows: int) -> Plan | None:
    """Check a `follow` guest's answer for `rows` rows; ``None`` stays None."""
    if answer is None:
        return None
    if type(answer) is not Plan:
        raise BadAnswer(f"expected Plan or None, was {kind(answer)}")
    stop, take, add = (_levels(name, getattr(answer, name), rows) for name in ("stop", "take", "add"))
    if answer.add_quote is not None:
        _positive("add_quote", answer.add_quote, ())
    elif add is not None:
        _need(bool(np.isnan(add).all()), "add_quote", "where add names a price", "None")
    leave = None
    if answer.leave is not None:
        leave = _array("leave", answer.leave, np.bool_, "b")
        _need(leave.shape == (rows,), "leave", f"of shape {(rows,)}", leave.shape)
    leave_at = answer.leave_at_ms
    return Plan(
        stop, take, add, leave,
        None if leave_at is None else _whole("leave_at_ms", leave_at, 0, 2**62),
        _reasons(answer.stop_reason, rows),
        None if answer.add_quote is None else float(answer.add_quote),
        None if answer.memo is None else texts("memo", answer.memo),
        texts("inputs", answer.inputs),
    )  # fmt: skip


def _levels(name: str, value: object, rows: int) -> Array | None:
    if value is None:
        return None
    levels: Array = _array(name, value, np.float64, "fiu")
    _need(levels.shape == (rows,), name, f"of shape {(rows,)}", levels.shape)
    with np.errstate(invalid="ignore"):
        bad = ~np.isnan(levels) & ~((levels > 0) & np.isfinite(levels))
    _need(not bad.any(), name, "to be > 0 or NaN", "something else")
    return levels


def _reasons(value: object, rows: int) -> tuple[Reason, ...] | Reason:
    if isinstance(value, Reason):
        return value
    if not (isinstance(value, tuple) and all(isinstance(item, Reason) for item in value)):
        raise BadAnswer(f"expected stop_reason to be a Reason or a tuple of them, was {kind(value)}")
    _need(len(value) == rows, "stop_reason", f"of {rows} reasons", len(value))
    return value


# size, risk_check, route_order ---------------------------------------------------------------------------------


def size(answer: object) -> Size | None:
    """Check a sizing guest's answer; ``None`` stays None and denies."""
    if answer is None:
        return None
    if type(answer) is not Size:
        raise BadAnswer(f"expected Size, was {kind(answer)}")
    _amount("quantity", answer.quantity, zero=True)
    _text("constraint", answer.constraint)
    return Size(answer.quantity, answer.constraint, texts("inputs", answer.inputs))


def verdict(answer: object) -> Verdict | None:
    """Check a risk guest's answer; ``None`` stays None and denies."""
    if answer is None:
        return None
    if type(answer) is not Verdict:
        raise BadAnswer(f"expected Verdict, was {kind(answer)}")
    found = answer.checks
    if type(found) is not tuple:
        raise BadAnswer(f"expected checks to be a tuple, was {kind(found)}")
    for check in found:
        _check(check)
    caps = answer.caps
    if not _is_mapping(caps):
        raise BadAnswer(f"expected caps to be a mapping, was {kind(caps)}")
    for name, cap in caps.items():
        if name not in CAPS:
            raise BadAnswer(f"expected caps out of {', '.join(sorted(CAPS))}, was {name!r}")
        _amount(name, cap, zero=True)
    return Verdict(found, dict(caps), texts("inputs", answer.inputs))


def _check(check: object) -> None:
    if type(check) is not Check:
        raise BadAnswer(f"expected checks of Check, was {kind(check)}")
    limit, value, threshold, unit, hit = check
    if type(limit) is not str or not limit or type(unit) is not str:
        raise BadAnswer(f"expected limit and unit of a check to be text, was {limit!r} and {unit!r}")
    # A check that tells its hit by a number or an array must not pass as true or false.
    if type(hit) is not bool:
        raise BadAnswer(f"expected hit of {limit} to be true or false, was {kind(hit)}")
    for number in (value, threshold):
        if type(number) is not Decimal or not number.is_finite():
            raise BadAnswer(
                f"expected value and threshold of {limit} to be finite Decimals, was {kind(number)} {number}"
            )


def routed(answer: object) -> OrderRequest | Done | None:
    """Check a router's answer; ``None`` stays None: not mine."""
    if answer is None:
        return None
    if type(answer) is Done:
        _need(isinstance(answer.reason, Reason), "reason", "to be a Reason", kind(answer.reason))
        _text("detail", answer.detail, empty=True)
        return answer
    if type(answer) is not OrderRequest:
        raise BadAnswer(f"expected OrderRequest, Done or None, was {kind(answer)}")
    tif = answer.time_in_force
    _need(isinstance(tif, TimeInForce), "time_in_force", "to be a TimeInForce", kind(tif))
    _amount("price", answer.price, zero=False)
    _amount("quantity", answer.quantity, zero=False)
    _whole("ttl_ms", answer.ttl_ms, 1, TTL_MS_MAX)
    _text("label", answer.label)
    _need(isinstance(answer.post_only, bool), "post_only", "to be true or false", kind(answer.post_only))
    return answer


# jobs, universe --------------------------------------------------------------------------------------------------


def _several(name: str, answer: object) -> Sequence[Any]:
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise BadAnswer(f"expected a sequence of {name}, was {kind(answer)}")
    return answer


def jobs(answer: object) -> tuple[Job, ...]:
    """Check a guest's list of jobs."""
    found = tuple(_several("Job", answer))
    names: set[str] = set()
    for job in found:
        if type(job) is not Job:
            raise BadAnswer(f"expected Job, was {kind(job)}")
        _text("name", job.name)
        _need(job.name not in names, "jobs", "of different names", f"{job.name!r} twice")
        names.add(job.name)
        interval = job.interval_s
        fits = isinstance(interval, int | float) and math.isfinite(interval) and interval > 0
        _need(
            fits,
            f"interval_s of {job.name}",
            "to be > 0 s",
            interval if isinstance(interval, float) else kind(interval),
        )
        _need(callable(job.ask), f"ask of {job.name}", "to be a function", kind(job.ask))
    return found


def job_answer(answer: object, plugin: str) -> JobAnswer | None:
    """Check what a job of `plugin` proposes; ``None`` stays None."""
    if answer is None:
        return None
    if type(answer) is not JobAnswer:
        raise BadAnswer(f"expected JobAnswer or None, was {kind(answer)}")
    for tune in _several("Tune", answer.tunes):
        _tune(tune)
    for signal in _several("Signal", answer.signals):
        _signal(signal, plugin)
    state = answer.state
    if state is not None:
        _need(isinstance(state, Mapping), "state", "to be a mapping", kind(state))
        try:
            state = json.loads(json.dumps(dict(state), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise BadAnswer(f"expected state that JSON can hold, was {error}") from error
    return JobAnswer(tuple(answer.tunes), tuple(answer.signals), state)


def _tune(tune: object) -> None:
    if type(tune) is not Tune:
        raise BadAnswer(f"expected tunes of Tune, was {kind(tune)}")
    _text("setting", tune.setting)
    _need(tune.setting.count(".") >= 1, "setting", "to be plugin.key", repr(tune.setting))
    _need(isinstance(tune.value, str | int | float | bool), "value", "to be text, a number or a flag", kind(tune.value))
    _text("reason", tune.reason)


def _signal(signal: object, plugin: str) -> None:
    if type(signal) is not Signal:
        raise BadAnswer(f"expected signals of Signal, was {kind(signal)}")
    _need(signal.plugin == plugin, "plugin of a signal", f"to be {plugin!r}", repr(signal.plugin))
    for name in ("signal_id", "symbol", "reason", "unit"):
        _text(name, getattr(signal, name))
    for name in ("tag", "group"):
        _text(name, getattr(signal, name), empty=True)
    place = signal.position_id
    _need(place is None or isinstance(place, str), "position_id", "to be text or None", kind(place))
    _need(isinstance(signal.side, Side), "side", "to be a Side", kind(signal.side))
    _amount("price", signal.price, zero=False)
    _amount("fraction", signal.fraction, zero=False)
    _need(signal.fraction <= 1, "fraction", "of at most 1", signal.fraction)
    if signal.quote_wanted is not None:
        _amount("quote_wanted", signal.quote_wanted, zero=False)
    for name in ("decided_ms", "expires_ms", "price_ms"):
        _whole(name, getattr(signal, name), 0, 2**62)
    for name in ("value", "threshold", "strength"):
        number = getattr(signal, name)
        _need(isinstance(number, int | float) and math.isfinite(number), name, "to be finite", kind(number))
    _need(0 <= signal.strength <= 1, "strength", "from 0 to 1", signal.strength)


def kept(answer: object, symbols: Mapping[str, Any]) -> tuple[Keep, ...]:
    """Check a universe guest's answer."""
    found = tuple(_several("Keep", answer))
    for keep in found:
        if type(keep) is not Keep:
            raise BadAnswer(f"expected Keep, was {kind(keep)}")
        _need(keep.symbol in symbols, "symbol", "out of those asked about", repr(keep.symbol))
        _need(isinstance(keep.keep, bool), f"keep of {keep.symbol}", "to be true or false", kind(keep.keep))
        _text("reason", keep.reason)
    return found


def own_copy(last: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """A job's last answer as its own copy: what it does to it reaches nobody."""
    return None if last is None else copy.deepcopy(dict(last))
