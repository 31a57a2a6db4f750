"""The first lines of a run: what runs, over which market, and where it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore import __version__
from tradecore.cli.paper import place
from tradecore.cli.write import length, moment

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tradecore.app import Prepared


def say_start(out: Console, prepared: Prepared, folder: Path | None) -> None:
    """Print the first lines.

    Args:
        folder: Where the run is kept; ``None``: nowhere.
    """
    settings = prepared.settings
    facts = f"profile {prepared.resolved.profile}, seed {settings.run.seed}, {', '.join(prepared.plugins)}"
    out.print(f"tradecore {__version__}: {facts}", soft_wrap=True)
    out.print(f"market: {_market(prepared)}", soft_wrap=True)
    kept = f"{place(folder)}" if folder is not None else "in a temporary folder, gone at the end (--state DIR keeps it)"
    out.print(f"state:  {kept}", soft_wrap=True)


def _market(prepared: Prepared) -> str:
    settings, source = prepared.settings, prepared.source
    if source is None:
        where = settings.venue.base_url or settings.venue.exchange
        orders = "orders go to the embedded venue" if settings.run.mode == "paper" else "REAL ORDERS"
        until = f"for {length(prepared.for_ms)}" if prepared.for_ms is not None else "until stopped"
        return f"live prices of {where}, rows of {length(prepared.row_ms)}, {orders}; {until}"
    symbols = f"{len(source.symbols)} symbol{'s' if len(source.symbols) != 1 else ''}"
    rows = f"rows of {length(source.timeframe_ms)}"
    if settings.market.source == "generated":
        what = f"made up ({settings.market.generated.mood}), {symbols}, {rows}"
    else:
        span = ""
        if source.rows is not None:
            last_ms = source.first_close_ms + (source.rows - 1) * source.timeframe_ms
            span = f", {moment(source.first_close_ms)} to {moment(last_ms)} UTC"
        what = f"{settings.market.folder}, {symbols}, {rows}{span}"
    until = f"for {length(prepared.for_ms)}" if prepared.for_ms is not None else "to its end"
    if prepared.for_ms is None and source.rows is None:
        until = "until stopped"
    scale = settings.run.scale
    speed = "on virtual time" if scale is None else f"at {scale:g} x wall time"
    return f"{what}; {until} {speed}"
