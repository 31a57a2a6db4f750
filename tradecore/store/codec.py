"""Frozen values as JSON text and back, by the type hints of their NamedTuples.

Nested values (a signal inside an intent, the levels of a position, an event) are one text column each: no query
looks inside them, and a field added later needs no migration, because a missing key takes its default.

* Decimals are written as canonical text; floats keep every digit, those that are not finite as ``nan``, ``inf``.
* A NUL and a lone surrogate cannot be stored by every database; they become U+FFFD, so that a strange text of a
  venue or a guest never stops a transaction about money.
"""

from __future__ import annotations

import enum
import functools
import math
import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson

from tradecore.errors import UnitError
from tradecore.model.units import canonical

Convert = Callable[[Any], Any]


def clean_text(text: str) -> str:
    """Write a text so that every database can hold it: NUL and lone surrogates become U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    kept = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return kept.replace("\0", "\N{REPLACEMENT CHARACTER}")


def money_text(value: Decimal) -> str:
    """Write an amount as its canonical text.

    Raises:
        UnitError: If `value` is not a Decimal, or not finite.
    """
    if not isinstance(value, Decimal):
        raise UnitError(f"expected Decimal for an amount, was {type(value).__name__} {value!r}")
    if not value.is_finite():
        raise UnitError(f"expected a finite amount, was {value}")
    return canonical(value)


def dump(value: Any, hint: Any) -> str:
    """Write `value`, which is what `hint` says, as JSON text.

    Raises:
        UnitError: If an amount in it is a float or not finite.
        TypeError: If something in it has no JSON form.
    """
    encode = _encoder(hint)
    return orjson.dumps(value if encode is None else encode(value)).decode()


def load(text: str, hint: Any) -> Any:
    """Read what `dump` wrote for the same `hint`.

    Raises:
        ValueError: If it is not JSON, or a word in it is unknown.
        TypeError: If it is not of that form.
    """
    decode = _decoder(hint)
    value = orjson.loads(text)
    return value if decode is None else decode(value)


def _float_out(value: float) -> float | str:
    return value if math.isfinite(value) else repr(float(value))


def _is_tuple_type(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")


def _bare(hint: Any) -> Any:
    while hasattr(hint, "__supertype__"):  # a NewType
        hint = hint.__supertype__
    return hint


def _optional(hint: Any) -> Any | None:
    """What stands beside ``None`` in a union; ``None``: it is no such union."""
    if get_origin(hint) not in (Union, types.UnionType):
        return None
    others = [arg for arg in get_args(hint) if arg is not types.NoneType]
    if len(others) != 1:
        raise TypeError(f"expected one type beside None, was {hint}")
    return others[0]


@functools.cache
def _encoder(hint: Any) -> Convert | None:
    """Make the function that writes a value of type `hint`; ``None`` means that it stands as it is."""
    hint = _bare(hint)
    if (inner := _optional(hint)) is not None:
        encode = _encoder(inner)
        return None if encode is None else lambda value: None if value is None else encode(value)
    if hint is str:
        return clean_text
    if hint is Decimal:
        return money_text
    if hint is float:
        return _float_out
    if hint in (int, bool):
        return None
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return lambda value: value.value
    if _is_tuple_type(hint):
        return _tuple_encoder(hint)
    return _container_encoder(hint)


def _container_encoder(hint: Any) -> Convert:
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        each = _encoder(args[0])
        return list if each is None else lambda values: [each(value) for value in values]
    if origin is Mapping and args[0] is str:
        of = _encoder(args[1])
        if of is None:
            return lambda value: {clean_text(key): item for key, item in value.items()}
        return lambda value: {clean_text(key): of(item) for key, item in value.items()}
    raise TypeError(f"expected a type that the store can write, was {hint}")


def _tuple_encoder(schema: Any) -> Convert:
    hints = get_type_hints(schema)
    spec = tuple((name, _encoder(hints[name])) for name in schema._fields)

    def encode(value: Any) -> dict[str, Any]:
        if not isinstance(value, schema):
            raise TypeError(f"expected {schema.__name__}, was {type(value).__name__}")
        return {
            name: item if convert is None else convert(item) for (name, convert), item in zip(spec, value, strict=True)
        }

    return encode


@functools.cache
def _decoder(hint: Any) -> Convert | None:
    """Make the function that reads a value of type `hint`; ``None`` means that it stands as it is."""
    hint = _bare(hint)
    if (inner := _optional(hint)) is not None:
        decode = _decoder(inner)
        return None if decode is None else lambda value: None if value is None else decode(value)
    if hint in (str, int, bool):
        return None
    if hint in (Decimal, float) or (isinstance(hint, type) and issubclass(hint, enum.Enum)):
        return hint  # type: ignore[no-any-return]  # the type itself reads its text
    if _is_tuple_type(hint):
        return _tuple_decoder(hint)
    origin, args = get_origin(hint), get_args(hint)
    each = _decoder(args[0] if origin is tuple else args[1])
    if origin is tuple:
        return tuple if each is None else lambda values: tuple(each(value) for value in values)
    return None if each is None else lambda value: {key: each(item) for key, item in value.items()}


def _tuple_decoder(schema: Any) -> Convert:
    hints = get_type_hints(schema)
    spec = {name: _decoder(hints[name]) for name in schema._fields}

    def decode(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"expected the fields of {schema.__name__}, was {type(value).__name__}")
        fields = {}
        for name, item in value.items():
            if name in spec:  # a field that this program no longer knows is left out
                convert = spec[name]
                fields[name] = item if convert is None else convert(item)
        return schema(**fields)

    return decode
