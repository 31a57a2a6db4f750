"""One line for whatever is wrong with a value: which key, what was expected with its unit, what was found, where."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tradecore.errors import SettingsError
from tradecore.model.units import canonical

MASK: Final = "**********"
_SECRET: Final = re.compile(r"(^|_)(token|secret|password|passphrase|api_?key|private_?key|credentials?)s?($|_)", re.I)
_KINDS: Final[tuple[tuple[str, str], ...]] = (
    ("int", "a whole number"),
    ("float", "a number"),
    ("finite_number", "a finite number"),
    ("decimal", "a decimal number"),
    ("is_instance", "a value of another type"),
    ("bool", "true or false"),
    ("string", "text"),
    ("tuple", "a list"),
    ("list", "a list"),
    ("set", "a list"),
    ("frozen_set", "a list"),
    ("mapping", "a table"),
    ("dict", "a table"),
    ("model", "a table"),
)
_BOUNDS: Final = {
    "greater_than": "gt",
    "greater_than_equal": "ge",
    "less_than": "lt",
    "less_than_equal": "le",
}
_SIGNS: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def nearest(word: str, words: Iterable[str]) -> str:
    """Offer the nearest valid word as the end of a message; empty where none is near."""
    close = difflib.get_close_matches(word.lower(), sorted(words), n=1, cutoff=0.5)
    return f", nearest is {close[0]!r}" if close else ""


def is_secret(key: str, info: FieldInfo | None = None) -> bool:
    """Tell whether a value must not be shown: by its field's type where that is known, else by its name."""
    if info is not None and "Secret" in str(info.annotation):
        return True
    return _SECRET.search(key.rsplit(".", 1)[-1]) is not None


def shown(value: object) -> str:
    """Write a value the way a settings file would: exact decimals, no type names, secrets masked."""
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else '""'
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return canonical(value) if value.is_finite() else str(value)
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, BaseModel):
        return shown(keyed(value))
    if isinstance(value, Mapping):
        pairs = (f"{key} = {MASK if is_secret(str(key)) else shown(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return str(value)


def keyed(model: BaseModel) -> dict[str, Any]:
    """A model's values by the keys that a settings file uses (the alias where there is one)."""
    return {info.alias or name: getattr(model, name) for name, info in type(model).model_fields.items()}


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the keys that a settings file uses."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def model_of(info: FieldInfo) -> type[BaseModel] | None:
    """The model that a field holds; ``None`` means that it holds a value."""
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def unit_of(info: FieldInfo | None) -> str:
    """A field's unit; empty where it names none."""
    extra = info.json_schema_extra if info is not None else None
    unit = extra.get("unit") if isinstance(extra, dict) else None
    return unit if isinstance(unit, str) else ""


def settings_error(
    error: ValidationError, model: type[BaseModel], prefix: str, origin: Callable[[str], str] = lambda key: ""
) -> SettingsError:
    """Word the first thing that a validation found.

    Args:
        model: The model that was validated.
        prefix: What stands before its keys, as ``exits``; empty for the root.
        origin: A dotted key to where its value is from; empty where that is not known.
    """
    details = error.errors(include_url=False)
    first, info, rest = _locate(model, details[0]["loc"])
    same = [detail for detail in details if _locate(model, detail["loc"])[0] == first]
    key = ".".join(part for part in (prefix, first) if part)
    source = origin(key) if first else _sources(str(details[0]["msg"]), model, prefix, origin)
    return SettingsError(_line(key, same, model, info, rest) + (f", from {source}" if source else ""))


def _sources(text: str, model: type[BaseModel], prefix: str, origin: Callable[[str], str]) -> str:
    """Where the values are from of the keys that a finding about several names; empty where all are defaults."""
    nowhere = origin(prefix)
    named = [key for key in fields_of(model) if re.search(rf"\b{re.escape(key)}\b", text)]
    found = dict.fromkeys(origin(f"{prefix}.{key}" if prefix else key) for key in named)
    return " and ".join(source for source in found if source not in ("", nowhere))


def _locate(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[str, FieldInfo | None, tuple[int | str, ...]]:
    """Follow a location as far as the fields go: the key, its field, and the part below (items, branches)."""
    path: list[str] = []
    info: FieldInfo | None = None
    inside: type[BaseModel] | None = model
    for depth, part in enumerate(loc):
        if inside is None:
            items = tuple(loc[depth:])
            return ".".join(path), info, items
        path.append(str(part))
        info = fields_of(inside).get(str(part)) or inside.model_fields.get(str(part))
        inside = model_of(info) if info is not None else None
    return ".".join(path), info, ()


def _line(
    key: str,
    details: Sequence[ErrorDetails],
    model: type[BaseModel],
    info: FieldInfo | None,
    rest: tuple[int | str, ...],
) -> str:
    first = details[0]
    where = key + "".join(f"[{part}]" for part in rest if isinstance(part, int))
    found = "a masked value" if is_secret(key, info) else _found(first["input"])
    if first["type"] == "extra_forbidden":
        return _unknown(where, rest, first, model)
    if first["type"] in ("value_error", "assertion_error"):
        text = first["msg"].split(", ", 1)[-1]
        return f"{where}: {text}" if where else text
    if first["type"] == "missing":
        inner = ".".join(str(part) for part in rest if isinstance(part, str))
        return f"{where}: expected a value{f' for {inner}' if inner else ''}, was missing"
    choices = dict.fromkeys(_expected(detail, info) for detail in details)
    unit = unit_of(info)
    return f"{where}: expected {' or '.join(choices)}{f' ({unit})' if unit else ''}, was {found}"


def _unknown(where: str, rest: tuple[int | str, ...], detail: ErrorDetails, model: type[BaseModel]) -> str:
    word = str(detail["loc"][-1])
    if rest:
        return f"{where}: expected only known keys, was {word!r}"
    inside: type[BaseModel] | None = model
    for part in detail["loc"][:-1]:
        info = fields_of(inside).get(str(part)) if inside is not None else None
        inside = model_of(info) if info is not None else None
    known = fields_of(inside) if inside is not None else {}
    return f"{where}: expected a known key, was {word!r}{nearest(word, known)}"


def _found(value: object) -> str:
    text = shown(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _expected(detail: ErrorDetails, info: FieldInfo | None) -> str:
    kind = detail["type"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    if kind in ("literal_error", "enum"):
        return f"one of {context['expected']}" if " or " in context["expected"] else str(context["expected"])
    if kind in _BOUNDS:
        return f"a value{_bounds(info) or f' {_SIGNS[_BOUNDS[kind]]} {context[_BOUNDS[kind]]}'}"
    if kind.endswith(("too_short", "too_long")):
        size = context.get("min_length", context.get("max_length"))
        return f"{'at least' if kind.endswith('too_short') else 'at most'} {size} of them"
    if kind == "string_pattern_mismatch":
        return f"text like {context['pattern']}"
    for start, words in _KINDS:
        if kind.startswith(start):
            return words + _bounds(info)
    text = detail["msg"]
    return text[:1].lower() + text[1:]


def _bounds(info: FieldInfo | None) -> str:
    """The bounds of a field in words, as `` >= 1 and <= 100``."""
    found = [
        f"{sign} {shown(getattr(item, name))}"
        for item in (info.metadata if info is not None else ())
        for name, sign in _SIGNS.items()
        if getattr(item, name, None) is not None
    ]
    return " " + " and ".join(found) if found else ""
