# ruff: noqa: I001 - sorted as in a project of its own, where tradecore is a stranger
"""Keep symbols by their first letter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field
from tradecore import Instrument, Keep, hookimpl


class UniverseNamed:
    """Keep symbols by their first letter."""

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `universe_named`."""

        letters: str = Field(
            "ABC", min_length=1, description="First letters that stay.", json_schema_extra={"unit": "letters"}
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @hookimpl
    def universe(self, instruments: Mapping[str, Instrument]) -> Sequence[Keep]:
        """Keep what begins with one of the letters."""
        return [Keep(name, name[0] in self.settings.letters, f"begins with {name[0]}") for name in instruments]
