"""What an answer was given without: damaged lines, named once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradecore.journal.day_index import LeftOut

_SHOWN = 3


def say_left_out(left_out: Sequence[LeftOut]) -> None:
    """Say on stderr what the answer was given without; nothing where it was given from everything."""
    if left_out:
        click.echo(f"tradecore: answered without {in_words(left_out)}", err=True)


def in_words(left_out: Sequence[LeftOut]) -> str:
    """Name what was left out in one line."""
    told = "; ".join(f"{one.where}: {one.detail}" for one in left_out[:_SHOWN])
    more = f"; and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    return f"{told}{more}; tradecore replay names all that is wrong"
