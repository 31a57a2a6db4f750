"""Settings: frozen, closed, described, written to TOML and back, secrets as secrets."""

from __future__ import annotations

import enum
import json
import tomllib
import types
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from tradecore.testing.contract.cards import PASSED, Result, card, failed
from tradecore.testing.contract.subject import Subject, is_secret

_FAMILY = "Settings"
_SECRET_WORDS = ("secret", "password", "passphrase", "token", "api_key", "apikey", "private_key", "credential")


def _models(model: type[BaseModel], path: str = "Settings") -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        for nested in _nested(field.annotation):
            yield from _models(nested, f"{path}.{name}")


def _nested(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _nested(part)


def _fields(subject: Subject) -> Iterator[tuple[str, FieldInfo]]:
    model = subject.settings_class
    assert model is not None
    for path, one in _models(model):
        prefix = path.removeprefix("Settings").lstrip(".")
        for name, field in one.model_fields.items():
            yield f"{prefix}.{name}" if prefix else name, field


@card(
    "C10",
    "settings-are-closed",
    _FAMILY,
    "Settings are frozen and refuse unknown keys",
    action="Look at the model and every nested one; write to a field; hand in a key that nobody knows.",
    expectation='Each model has `frozen=True` and `extra="forbid"`; the write and the unknown key are refused.',
    after=(),
)
def settings_are_closed(subject: Subject) -> Result:
    """Look at all models, then try."""
    model = subject.settings_class
    if model is None:
        return failed("there is no class Settings that is a pydantic BaseModel; add one inside the plugin's class")
    for path, one in _models(model):
        if not one.model_config.get("frozen"):
            return failed(f"{path} can be written; declare it with frozen=True, so that nothing changes it unseen")
        if one.model_config.get("extra") != "forbid":
            return failed(f'{path} takes unknown keys; declare it with extra="forbid", so that a misspelt key is told')
    try:
        model.model_validate(subject.section() | {"no_such_key_anywhere": 1})
    except ValidationError:
        return PASSED
    return failed('Settings took an unknown key; declare it with extra="forbid" and do not drop keys in a validator')


@card(
    "C11",
    "settings-are-described",
    _FAMILY,
    "Every setting has a description and a unit",
    after=("C10",),
    action="Look at every field, those of nested models too.",
    expectation='`description` says something and `json_schema_extra` holds `{"unit": ...}`.',
)
def settings_are_described(subject: Subject) -> Result:
    """Look at every field."""
    for key, field in _fields(subject):
        if not (field.description or "").strip():
            return failed(f'setting {key} has no description; write Field(..., description="...")')
        extra = field.json_schema_extra
        if not (isinstance(extra, dict) and str(extra.get("unit") or "").strip()):
            return failed(
                f'setting {key} has no unit; write Field(..., json_schema_extra={{"unit": "bps"}}), "flag" for none'
            )
    return PASSED


@card(
    "C12",
    "settings-through-toml",
    _FAMILY,
    "Settings go through TOML and come back the same",
    after=("C04",),
    action="Write the settings of each section as TOML, read them, validate them again.",
    expectation="The model that comes back equals the one written. Secrets are left to the environment.",
)
def settings_through_toml(subject: Subject) -> Result:
    """Write, read and compare for each section."""
    model = subject.settings_class
    assert model is not None
    secrets = subject.secrets()
    for number in range(len(subject.sections)):
        made = model.model_validate(subject.section(number))
        values = {name: getattr(made, name) for name in type(made).model_fields if name not in secrets}
        try:
            text = "\n".join(
                f"{_key(model, key)} = {toml_of(value)}" for key, value in values.items() if value is not None
            )
        except TypeError as error:
            return failed(f"a setting cannot be written as TOML: {error}; use text, numbers, flags, lists or tables")
        back = tomllib.loads(text, parse_float=Decimal)
        given = subject.section(number)
        try:
            again = model.model_validate(back | {name: given[name] for name in secrets if name in given})
        except ValidationError as error:
            return failed(
                f"settings written as TOML are refused: {' '.join(str(error).split())[:200]}; accept what you hold"
            )
        if again != made:
            changed = [name for name in type(made).model_fields if getattr(again, name) != getattr(made, name)]
            return failed(
                f"settings {', '.join(changed)} came back from TOML as something else; make validators idempotent"
            )
    return PASSED


def _key(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


def toml_of(value: Any) -> str:
    """Write a setting's value as TOML, text with its escapes.

    Raises:
        TypeError: If TOML has no such value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return toml_of(value.value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (float, Decimal)):
        text = format(Decimal(repr(value)) if isinstance(value, float) else value, "f")
        return text if "." in text else text + ".0"
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=True)
    if isinstance(value, (tuple, list, set, frozenset)):
        return "[" + ", ".join(toml_of(part) for part in value) + "]"
    if isinstance(value, BaseModel):
        return toml_of({name: getattr(value, name) for name in type(value).model_fields})
    if isinstance(value, Mapping):
        parts = (f"{json.dumps(str(key))} = {toml_of(part)}" for key, part in value.items() if part is not None)
        return "{" + ", ".join(parts) + "}"
    raise TypeError(f"expected a value that TOML can hold, was {type(value).__name__}")


@card(
    "C13",
    "secrets-are-secret",
    _FAMILY,
    "What is secret by name is secret by type",
    after=("C10",),
    action="Look at fields whose name speaks of a secret, a password, a token or a key.",
    expectation="Their type is `SecretStr` or `SecretBytes`.",
)
def secrets_are_secret(subject: Subject) -> Result:
    """Compare names with types."""
    for key, field in _fields(subject):
        named = any(word in key.lower() for word in _SECRET_WORDS)
        if named and _holds_text(field.annotation) and not is_secret(field.annotation):
            return failed(f"setting {key} sounds secret and is plain text; declare it as pydantic.SecretStr")
    return PASSED


def _holds_text(annotation: Any) -> bool:
    if annotation in (str, bytes):
        return True
    return any(_holds_text(part) for part in get_args(annotation))


@card(
    "C14",
    "settings-have-defaults",
    _FAMILY,
    "It can be run without a section of its own",
    after=("C10",),
    action="Validate an empty section; secrets and the author's own sections are handed in.",
    expectation="Every setting has a default; one without is said by the author through a section of the suite.",
)
def settings_have_defaults(subject: Subject) -> Result:
    """Look for required fields that no section fills."""
    model = subject.settings_class
    assert model is not None
    given = subject.section()
    lacking = [name for name, field in model.model_fields.items() if field.is_required() and name not in given]
    if lacking:
        return failed(f"settings {', '.join(lacking)} have no default; give them one, or hand `settings` to the suite")
    return PASSED


@card(
    "C15",
    "numbers-are-finite",
    _FAMILY,
    "Numbers refuse NaN and infinity",
    after=("C04",),
    action="Hand `nan` and `inf` to every setting of the section that is a number.",
    expectation="Validation refuses both.",
    prerequisite="a setting is a float or a Decimal",
    skipped_when="never",
)
def numbers_are_finite(subject: Subject) -> Result:
    """Try both values on every number."""
    model = subject.settings_class
    assert model is not None
    for name, field in model.model_fields.items():
        if not _is_number(field.annotation):
            continue
        for value in ("nan", "inf"):
            try:
                model.model_validate(subject.section() | {_key(model, name): value})
            except ValidationError:
                continue
            return failed(
                f"setting {name} took {value}; declare Field(..., allow_inf_nan=False) or bounds on both sides"
            )
    return PASSED


def _is_number(annotation: Any) -> bool:
    if annotation in (float, Decimal):
        return True
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_is_number(part) for part in get_args(annotation)) and not _holds_text(annotation)
    return False


def shown_settings(subject: Subject) -> tuple[Mapping[str, Any], ...]:
    """The sections without their secrets, as a report tells them."""
    hidden = set(subject.secrets())
    return tuple({key: _plain(value) for key, value in one.items() if key not in hidden} for one in subject.sections)


def _plain(value: Any) -> Any:
    if isinstance(value, (SecretStr, SecretBytes)):
        return "**********"
    return value if isinstance(value, (str, int, float, bool, list, tuple, dict)) or value is None else str(value)
