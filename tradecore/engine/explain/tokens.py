"""Typed values as a flat row of short texts, and back: what is kept of a decision is small, exact and readable.

A value is written by the type hints of its NamedTuple, field after field, no name repeated: the number of fields
first, so that a record of an older version, which has fewer, is read with the defaults of what came later.
"""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints

from tradecore.errors import DataError
from tradecore.model.units import canonical

Write = Callable[[Any, list[str]], None]
Read = Callable[[Iterator[str]], Any]

_NONE = "~"
_SOME = "="


def to_tokens(value: Any, hint: Any) -> tuple[str, ...]:
    """Write a value of the type `hint`.

    Raises:
        TypeError: If the type, or one inside of it, has no form here.
    """
    out: list[str] = []
    _codec(hint)[0](value, out)
    return tuple(out)


def from_tokens(tokens: tuple[str, ...], hint: Any) -> Any:
    """Read what `to_tokens` wrote for the same type.

    Raises:
        DataError: If the texts are of another type, too many or too few.
    """
    texts = iter(tokens)
    try:
        value = _codec(hint)[1](texts)
    except StopIteration:
        raise DataError(f"expected more texts for {hint}, was the end of {len(tokens)}") from None
    except (ValueError, ArithmeticError, TypeError) as error:
        raise DataError(f"expected the texts of {hint}, was {error}") from error
    if (left := len(list(texts))) > 0:
        raise DataError(f"expected {len(tokens) - left} texts for {hint}, was {len(tokens)}")
    return value


@functools.cache
def _codec(hint: Any) -> tuple[Write, Read]:
    while hasattr(hint, "__supertype__"):  # a NewType
        hint = hint.__supertype__
    if hint in _PLAIN:
        return _plain(*_PLAIN[hint])
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _plain(lambda value: str(value.value), hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _optional(hint, args)
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        return _record(hint)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return _row(args[0])
    if origin is Mapping and args[0] is str:
        return _mapping(args[1])
    raise TypeError(f"expected a plain type, a record, a tuple or a mapping of them, was {hint!r}")


_PLAIN: Mapping[Any, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    str: (str, str),
    int: (str, int),
    bool: (lambda value: "1" if value else "0", lambda text: text == "1"),
    float: (lambda value: repr(float(value)), float),
    Decimal: (lambda value: canonical(value) if value.is_finite() else str(value), Decimal),
}


def _plain(there: Callable[[Any], str], back: Callable[[str], Any]) -> tuple[Write, Read]:
    return (lambda value, out: out.append(there(value))), (lambda texts: back(next(texts)))


def _optional(hint: Any, args: tuple[Any, ...]) -> tuple[Write, Read]:
    inner = [arg for arg in args if arg is not types.NoneType]
    if len(inner) != 1 or len(args) != 2:
        raise TypeError(f"expected one type or None, was {hint!r}")
    there, back = _codec(inner[0])

    def write(value: Any, out: list[str]) -> None:
        out.append(_NONE if value is None else _SOME)
        if value is not None:
            there(value, out)

    return write, lambda texts: None if next(texts) == _NONE else back(texts)


def _record(schema: Any) -> tuple[Write, Read]:
    hints = get_type_hints(schema)
    fields = [(name, *_codec(hints[name])) for name in schema._fields]

    def write(value: Any, out: list[str]) -> None:
        out.append(str(len(fields)))
        for item, (_, there, _) in zip(value, fields, strict=True):
            there(item, out)

    def read(texts: Iterator[str]) -> Any:
        count = int(next(texts))
        if count > len(fields):
            raise ValueError(f"{count} fields of {schema.__name__}, which has {len(fields)} in this version")
        return schema(*[back(texts) for _, _, back in fields[:count]])

    return write, read


def _row(item: Any) -> tuple[Write, Read]:
    there, back = _codec(item)

    def write(values: Any, out: list[str]) -> None:
        out.append(str(len(values)))
        for value in values:
            there(value, out)

    return write, lambda texts: tuple([back(texts) for _ in range(int(next(texts)))])


def _mapping(item: Any) -> tuple[Write, Read]:
    there, back = _codec(item)

    def write(values: Any, out: list[str]) -> None:
        out.append(str(len(values)))
        for key, value in values.items():
            out.append(str(key))
            there(value, out)

    return write, lambda texts: {next(texts): back(texts) for _ in range(int(next(texts)))}
