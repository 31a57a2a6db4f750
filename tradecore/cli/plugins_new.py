"""``tradecore plugins new``: begin a plugin from the template."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option("--hooks", default="signal", show_default=True, metavar="A,B", help="Hooks that it begins with.")
@click.option("--summary", default="", metavar="TEXT", help="What it does, in one sentence with a full stop.")
@click.option(
    "--folder", type=click.Path(path_type=Path), metavar="DIR", help="Where to write; tradecore-NAME without."
)
@click.option(
    "--source", metavar="REPO", help="Folder or address of tradecore's repository, from which `copier update` updates."
)
def new(name: str, hooks: str, summary: str, folder: Path | None, source: str | None) -> None:
    """Write a new plugin NAME: a whole package that passes lint, types, its tests and the contract suite."""
    from tradecore.cli.paper import place
    from tradecore.cli.plugins_check import NEEDED
    from tradecore.errors import SettingsError

    try:
        from tradecore.testing.scaffold import Plugin, make_plugin, origin_of
    except ImportError as error:
        raise SettingsError(f"plugins new: {NEEDED}, {error.name} is missing") from error
    wanted = tuple(part.strip() for part in hooks.split(",") if part.strip())
    where = folder if folder is not None else Path(f"tradecore-{name.replace('_', '-')}")
    files = make_plugin(Plugin(name, wanted, summary), where, origin_of(source))
    click.echo(f"{len(files)} files in {place(where)}; what now:")
    click.echo(f"  pip install -e '{place(where)}[dev]'")
    click.echo(f"  tradecore plugins check {name}")
    click.echo(f"  tradecore run --profile {place(where / 'trial.toml')} --speed max")
