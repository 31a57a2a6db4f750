"""``tradecore doctor``: is this machine, this account and this exchange fit to trade, before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradecore.cli.options import json_option, plugins_option, profile_option, say_looking, sets_option

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = ("good", "look", "BAD")


@click.command()
@profile_option
@plugins_option
@sets_option
@click.option(
    "--state", default="state", metavar="DIR", type=click.Path(path_type=Path), help="Folder that the run would use."
)
@json_option
@click.pass_context
def doctor(
    context: click.Context,
    *,
    profile: str,
    plugins: str | None,
    sets: Sequence[str],
    state: Path,
    as_json: bool,
) -> None:
    """Look at settings, disk, store, clock, latency, keys and their rights, symbols, money and the request limit.

    Nothing is traded; an exchange's test orders are asked for where it has them. Exit code: the worst finding, 0 good,
    1 something to look at, 2 a run would not start or not trade.
    """
    import os

    say_looking("settings, disk, store and exchange")
    from tradecore.app.examine import examine
    from tradecore.app.prepare import Options, prepare
    from tradecore.cli.paper import console, print_json, table

    prepared = prepare(Options(profile, os.environ, tuple(sets), plugins), allow_impossible=True)
    signs = examine(prepared, state)
    worst = max(sign.health for sign in signs)
    if as_json:
        print_json(
            {
                "profile": prepared.resolved.profile,
                "worst": _WORDS[worst].lower(),
                "findings": [
                    {
                        "name": sign.name, "health": _WORDS[sign.health].lower(), "text": sign.text,
                        "figures": dict(sign.figures), "way_out": sign.way_out,
                    }
                    for sign in signs
                ],
            }
        )  # fmt: skip
    else:
        shown = table("question", "health", "answer", wide=("answer",))
        for sign in signs:
            shown.add_row(sign.name, _WORDS[sign.health], sign.text)
        out = console()
        out.print(shown)
        for sign in signs:
            if sign.way_out and sign.health:
                out.print(f"{sign.name}: {sign.way_out}", soft_wrap=True)
    context.exit(int(worst))
