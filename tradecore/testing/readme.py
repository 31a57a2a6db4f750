"""Hold a plugin's README to its settings: the same keys, defaults, units and words."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

HEADER = "| setting | default | unit | meaning |"


class SettingRow(NamedTuple):
    """One line of the settings table of a README."""

    key: str
    default: str
    unit: str
    meaning: str

    def markdown(self) -> str:
        """Write the line as it stands in the README."""
        return f"| `{self.key}` | {self.default} | {self.unit} | {self.meaning} |"


def setting_rows(settings: type[BaseModel], prefix: str = "") -> Iterator[SettingRow]:
    """Tell what a README must say of each setting, in order; the fields of a nested model follow it as ``key.field``.

    Raises:
        AssertionError: If a field has no description or no unit.
    """
    for name, field in settings.model_fields.items():
        key = prefix + name
        extra = field.json_schema_extra
        assert field.description, f"{key}: expected a description, was none"
        assert isinstance(extra, dict), f"{key}: expected a unit in json_schema_extra, was {extra}"
        assert extra.get("unit"), f"{key}: expected a unit in json_schema_extra, was {extra}"
        yield SettingRow(key, _default_text(field), str(extra["unit"]), field.description)
        for nested in _models(field.annotation):
            yield from setting_rows(nested, f"{key}.")


def assert_readme_settings(readme: str, settings: type[BaseModel]) -> None:
    """Assert that the settings table of a README is the one that the settings model makes.

    Args:
        readme: Text of the README; its table begins with `HEADER`.
        settings: The guest's model.
    Raises:
        AssertionError: With the table as it should be.
    """
    expected = [row.markdown() for row in setting_rows(settings)]
    lines = readme.splitlines()
    assert HEADER in lines, f"expected the line {HEADER!r}, was not found"
    start = lines.index(HEADER) + 2
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        found.append(line)
    table = "\n".join([HEADER, "|---|---|---|---|", *expected])
    assert found == expected, f"expected the table\n{table}\nwas\n" + "\n".join(found)


def toml_text(value: object) -> str:
    """Write a setting's value as TOML.

    Raises:
        TypeError: If TOML has no such value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return toml_text(value.value)
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    if isinstance(value, SecretStr):
        return '"***"' if value.get_secret_value() else '""'
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(toml_text(part) for part in value) + "]"
    if isinstance(value, BaseModel):
        parts = ((name, getattr(value, name)) for name in type(value).model_fields)
        return "{" + ", ".join(f"{name} = {toml_text(part)}" for name, part in parts if part is not None) + "}"
    raise TypeError(f"expected a value that TOML can hold, was {type(value).__name__}")


def _default_text(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    return "not set" if default is None else f"`{toml_text(default)}`"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
