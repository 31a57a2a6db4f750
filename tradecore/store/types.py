"""Column types: exact money, clean text, closed words, nested values.

SQLite keeps a ``Decimal`` column as REAL and loses digits without a warning, so money is canonical TEXT there and
NUMERIC on PostgreSQL, through one type that refuses floats (reference orders.md 5, libraries.md 4).
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Integer, Numeric, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from tradecore.store.codec import clean_text, dump, load, money_text


class ExactDecimal(TypeDecorator[Decimal]):
    """An amount, to its last digit: TEXT on SQLite, NUMERIC elsewhere. Refuses floats, NaN and infinity."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type in the database."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric(asdecimal=True))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Write an amount.

        Raises:
            UnitError: If `value` is not a finite Decimal.
        """
        if value is None:
            return None
        text = money_text(value)
        return text if dialect.name == "sqlite" else Decimal(text)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        """Read an amount."""
        return None if value is None else Decimal(value)


class Words(TypeDecorator[str]):
    """Text that any database can hold (`codec.clean_text`)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Write a text."""
        return None if value is None else clean_text(value)


class Choice(TypeDecorator[enum.Enum]):
    """One word of a closed list, as its value."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[enum.Enum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: enum.Enum | None, dialect: Dialect) -> str | None:
        """Write a word.

        Raises:
            ValueError: If it is not of the list.
        """
        return None if value is None else str(self.words(value).value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> enum.Enum | None:
        """Read a word."""
        return None if value is None else self.words(value)


class Nested(TypeDecorator[Any]):
    """A frozen value inside a row, as JSON text (`codec`)."""

    impl = Text
    cache_ok = True

    def __init__(self, hint: Any) -> None:
        super().__init__()
        self.hint = hint

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write a value."""
        return None if value is None else dump(value, self.hint)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read a value."""
        return None if value is None else load(value, self.hint)


class Flag(TypeDecorator[bool]):
    """Yes or no; SQLite has only numbers for it."""

    impl = Boolean
    cache_ok = True

    def process_result_value(self, value: Any | None, dialect: Dialect) -> bool | None:
        """Read a flag."""
        return None if value is None else bool(value)


WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit number; SQLite counts rows by themselves only under the name INTEGER."""
