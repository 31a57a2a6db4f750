"""``tradecore plan``: what a run with the same options would do, every value with its origin, and what cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradecore.cli.options import json_option, plugins_option, profile_option, say_looking, sets_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradecore.app.prepare import Prepared
    from tradecore.settings.combinations import Finding


EXIT_IMPOSSIBLE = 2


@click.command()
@profile_option
@plugins_option
@sets_option
@click.option(
    "--state",
    default=None,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Take latencies and lengths of jobs as an earlier run measured them; latest is the newest below state/.",
)
@click.option("--values/--no-values", default=True, help="Print every value in force with its origin.")
@json_option
@click.pass_context
def plan(
    context: click.Context,
    *,
    profile: str,
    plugins: str | None,
    sets: Sequence[str],
    state: Path | None,
    values: bool,
    as_json: bool,
) -> None:
    """Print every value in force, and which of them cannot work together, without running anything.

    Exit code 0 where a run would start, 2 where it would refuse.
    """
    import os

    say_looking("settings and plugins")
    from tradecore.app.planning import judge
    from tradecore.app.prepare import Options, measured_of, prepare, world_of_run
    from tradecore.cli.config_values import effective
    from tradecore.cli.paper import print_json

    found = effective(profile, plugins, sets)
    prepared = prepare(Options(profile, os.environ, tuple(sets), plugins), allow_impossible=True)
    settings = prepared.settings
    world = world_of_run(prepared, measured_of(state) if state is not None else None)
    told = (*_exchange_of(prepared), *judge(settings, prepared.guests, world))
    barred = [one for one in told if one.severity == "impossible" and one.code not in settings.run.allow]
    if as_json:
        print_json(
            {
                "profile": found.profile,
                "runs": not barred,
                "findings": [
                    {
                        "code": one.code, "severity": str(one.severity), "text": one.text, "keys": list(one.keys),
                        "way_out": one.way_out, "allowed": one.code in settings.run.allow,
                    }
                    for one in told
                ],
                "settings": {
                    line.key: {"value": line.value, "unit": line.unit, "origin": line.origin} for line in found.lines
                },
            }
        )  # fmt: skip
    else:
        if values:
            from tradecore.cli.config import show_lines

            show_lines(found.lines, origin=True)
        for one in told:
            allowed = ", allowed by run.allow" if one.code in settings.run.allow else ""
            click.echo(f"{one.severity}{allowed}  {one.code}: {one.text}")
            click.echo(f"    way out: {one.way_out}")
        verdict = "would be refused" if barred else "would start"
        click.echo(f"{found.profile}: {len(told)} findings, a run {verdict}")
    if barred:
        context.exit(EXIT_IMPOSSIBLE)


def _exchange_of(prepared: Prepared) -> Sequence[Finding]:
    """Look whether there is such an exchange, and the keys are where the settings say and all that it wants.

    Nothing is asked of it.
    """
    mode, exchange = prepared.settings.run.mode, prepared.settings.venue.exchange
    if mode not in {"live", "paper"}:
        return ()
    from tradecore.app.floor_real import read_keys
    from tradecore.errors import SettingsError
    from tradecore.settings.combinations import Finding, Severity
    from tradecore.venues.ccxt.exchange import class_of

    try:
        class_of(exchange)
    except SettingsError as error:
        way_out = "name one of ccxt's exchanges, as binance, mexc, okx or kraken"
        return (Finding("exchange_unknown", Severity.IMPOSSIBLE, str(error), ("venue.exchange",), way_out),)
    if mode == "paper":
        return ()
    try:
        read_keys(prepared.settings, prepared.options.env)
    except SettingsError as error:
        key = str(error).partition(":")[0]
        way_out = "name where it is: env:NAME, file:PATH or credential:NAME, and put it there"
        if key == "venue.exchange":
            way_out = "name an exchange of key and secret, or trade there on paper (run.mode=paper)"
        return (Finding("keys_unusable", Severity.IMPOSSIBLE, str(error), (key,), way_out),)
    return ()
