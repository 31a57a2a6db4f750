"""What guests are handed at the start of a run: folders, secrets behind their references, and an operator's means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from tradecore.app.operating import GuestOperates, Reading
from tradecore.app.secrets import read_secret
from tradecore.clocks.clock import SystemClock
from tradecore.engine.engine import Engine
from tradecore.errors import SettingsError
from tradecore.hooks.guest import Guest
from tradecore.hooks.specs import Resources
from tradecore.settings.wording import nearest


def secrets_of(guest: Guest, env: Mapping[str, str]) -> Mapping[str, SecretStr]:
    """Read the secrets that a guest's settings refer to.

    Returns:
        By setting. One that is empty refers to nothing and is left out: the guest says what it can do without.
    Raises:
        SettingsError: A reference has another form, or there is nothing behind it.
    """
    references = {key: getattr(guest.settings, key).get_secret_value() for key in guest.secrets}
    return {
        key: read_secret(reference, f"plugins.{guest.name}.{key}", env)
        for key, reference in references.items()
        if reference
    }


def check_operators(guests: Sequence[Guest], operators: Sequence[str]) -> None:
    """Refuse an operator's channel that is not there or asks for nothing.

    Raises:
        SettingsError: Naming it.
    """
    names = [guest.name for guest in guests]
    for name in operators:
        guest = next((guest for guest in guests if guest.name == name), None)
        if guest is None:
            raise SettingsError(f"run.operators: expected guests of run.plugins, was {name!r}{nearest(name, names)}")
        if not guest.operates:
            raise SettingsError(f"run.operators: expected a guest that takes commands from outside, was {name!r}")


def resources_of(
    guests: Sequence[Guest], folder: Path, run_id: str, *, secrets: Mapping[str, Mapping[str, SecretStr]],
    operators: Sequence[str], engine: Engine, reading: Reading, scale: float | None,
) -> dict[str, Resources]:  # fmt: skip
    """Make what each guest with `on_start` is handed.

    Args:
        folder: The run's; each guest has one of its own below it.
        secrets: By guest.
        operators: Guests that may look and command.
        scale: Seconds of the loop per second of the wall; ``None``: virtual time.
    """
    made = {}
    for guest in guests:
        if "on_start" not in guest.hooks:
            continue
        own = folder / "plugins" / guest.name
        own.mkdir(parents=True, exist_ok=True)
        operate = None
        if guest.operates and guest.name in operators:
            operate = GuestOperates(engine.desk, engine.pictures.portfolio, guest.name, guest.operates, reading)
        made[guest.name] = Resources(
            own, {}, run_id, secrets.get(guest.name, {}), operate, scale, SystemClock().now_ms
        )  # fmt: skip
    return made
