"""How each registered kind becomes plain JSON values and comes back: one shape per kind, made from its annotations.

A ``Decimal`` is written as its canonical text, a float that is not finite as its name, a nested record as an
object of its fields. Nothing here is registered by hand, so a new kind in `model/events.py` needs no line here.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from tradecore.errors import DataError
from tradecore.model.events import Kind, kind_of_type
from tradecore.model.units import canonical

Packer = Callable[[Any], Any]
"""Makes a value plain for JSON."""
Unpacker = Callable[[Any], Any]
"""Makes the typed value again; raises TypeError or ValueError where the JSON holds another type."""


class Shape(NamedTuple):
    """What the encoder and the decoder know about one schema."""

    kind: Kind
    names: tuple[str, ...]
    packers: tuple[tuple[int, Packer], ...]
    """Only those fields that JSON does not take as they are, by position."""
    unpackers: tuple[Unpacker, ...]
    """One per field."""
    defaults: Mapping[str, Any]

    def unpack(self, data: Mapping[str, Any]) -> Any:
        """Build the event again.

        Raises:
            DataError: If a field is missing without a default, is not of the schema, or holds another type.
        """
        return _record(self.kind.schema, self.names, self.unpackers, self.defaults, data)


_SHAPES: Final[dict[type[Any], Shape]] = {}


def shape_of(schema: type[Any]) -> Shape:
    """Look a schema's shape up; it is made at the first call.

    Raises:
        KeyError: If `schema` is not a registered kind.
    """
    shape = _SHAPES.get(schema)
    if shape is None:
        shape = _SHAPES[schema] = _make(kind_of_type(schema))
    return shape


def _make(kind: Kind) -> Shape:
    hints = typing.get_type_hints(kind.schema)
    pairs = [_pair(hint) for hint in hints.values()]
    packers = tuple((at, packer) for at, (packer, _) in enumerate(pairs) if packer is not None)
    unpackers = tuple(unpacker for _, unpacker in pairs)
    return Shape(kind, tuple(hints), packers, unpackers, kind.schema._field_defaults)


def _pair(hint: Any) -> tuple[Packer | None, Unpacker]:
    """Choose how a type is written (``None``: as it is) and read."""
    plain = _PLAIN.get(hint)
    if plain is not None:
        return plain
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _optional_pair(hint, args)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        packer, unpacker = _pair(args[0])
        return (list if packer is None else _each(packer)), _each_back(unpacker)
    if origin is not None and issubclass(origin, Mapping) and args[0] is str:
        packer, unpacker = _pair(args[1])
        return (dict if packer is None else _values(packer)), _values_back(unpacker)
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        return _record_pair(hint)
    raise TypeError(f"expected a plain type, a tuple or a string mapping of them in an event, was {hint!r}")


def _optional_pair(hint: Any, args: tuple[Any, ...]) -> tuple[Packer | None, Unpacker]:
    inner = [arg for arg in args if arg is not types.NoneType]
    if len(inner) != 1 or len(args) != 2:
        raise TypeError(f"expected one type or None in an event, was {hint!r}")
    packer, unpacker = _pair(inner[0])

    def back(value: Any) -> Any:
        return None if value is None else unpacker(value)

    if packer is None:
        return None, back
    pack = packer  # mypy does not carry the narrowing into the closure

    def there(value: Any) -> Any:
        return None if value is None else pack(value)

    return there, back


def _record_pair(schema: type[Any]) -> tuple[Packer, Unpacker]:
    hints = typing.get_type_hints(schema)
    names = tuple(hints)
    pairs = [_pair(hint) for hint in hints.values()]
    unpackers = tuple(unpacker for _, unpacker in pairs)

    def there(value: Any) -> dict[str, Any]:
        return {
            name: item if packer is None else packer(item)
            for name, item, (packer, _) in zip(names, value, pairs, strict=True)
        }

    def back(value: Any) -> Any:
        return _record(schema, names, unpackers, schema._field_defaults, _expect(value, dict))

    return there, back


def _record(
    schema: type[Any],
    names: tuple[str, ...],
    unpackers: tuple[Unpacker, ...],
    defaults: Mapping[str, Any],
    data: Mapping[str, Any],
) -> Any:
    unknown = data.keys() - set(names)
    if unknown:
        raise DataError(f"expected fields of {schema.__name__}, found {', '.join(sorted(unknown))}")
    values = []
    for name, unpacker in zip(names, unpackers, strict=True):
        if name in data:
            try:
                values.append(unpacker(data[name]))
            except (TypeError, ValueError, InvalidOperation) as error:
                raise DataError(f"{schema.__name__}.{name}: {error}") from error
        elif name in defaults:
            values.append(defaults[name])
        else:
            raise DataError(f"expected field {name} in {schema.__name__}, found none")
    return schema(*values)


def _each(packer: Packer) -> Packer:
    return lambda value: [packer(item) for item in value]


def _each_back(unpacker: Unpacker) -> Unpacker:
    return lambda value: tuple(unpacker(item) for item in _expect(value, list))


def _values(packer: Packer) -> Packer:
    return lambda value: {key: packer(item) for key, item in value.items()}


def _values_back(unpacker: Unpacker) -> Unpacker:
    return lambda value: {key: unpacker(item) for key, item in _expect(value, dict).items()}


def _expect(value: Any, wanted: type[Any]) -> Any:
    # bool is a subclass of int, and a count that reads "true" is a broken line.
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise TypeError(f"expected {wanted.__name__}, was {type(value).__name__}")
    return value


def _pack_float(value: float) -> float | str:
    number = float(value)  # numpy's float64 too, which orjson does not take
    return number if math.isfinite(number) else repr(number)


def _unpack_float(value: Any) -> float:
    if isinstance(value, str) and value not in ("nan", "inf", "-inf"):
        raise ValueError(f"expected a number, nan, inf or -inf, was {value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"expected a number, was {type(value).__name__}")
    return float(value)


def _unpack_decimal(value: Any) -> Decimal:
    return Decimal(_expect(value, str))


_PLAIN: Final[Mapping[Any, tuple[Packer | None, Unpacker]]] = {
    str: (None, lambda value: _expect(value, str)),
    int: (None, lambda value: _expect(value, int)),
    bool: (None, lambda value: _expect(value, bool)),
    float: (_pack_float, _unpack_float),
    Decimal: (canonical, _unpack_decimal),
}
