"""Spans of market time as people name them: ``--since 2h``, ``--until 2021-05-19T12:00``."""

from __future__ import annotations

from typing import NamedTuple

import click

from tradecore.cli.options import F


class When(NamedTuple):
    """A span of market time."""

    since_ms: int | None
    """Included; ``None``: no bound."""
    until_ms: int | None
    """Not included; ``None``: no bound."""


def when_options(function: F) -> F:
    """Add ``--since`` and ``--until`` to a command."""
    function = click.option("--until", metavar="WHEN", help="Newest moment, not included, in the same forms.")(function)
    return click.option(
        "--since",
        metavar="WHEN",
        help="Oldest moment: ISO 8601 UTC, or a length such as 2h before the newest market time of the state.",
    )(function)


def when(newest_ms: int, since: str | None, until: str | None) -> When:
    """Read both ends.

    Args:
        newest_ms: The newest market time of the state: lengths count back from there.
    Raises:
        SettingsError: If one is neither a length nor a moment, or nothing lies between them.
    """
    from tradecore.errors import SettingsError

    found = When(_moment(newest_ms, since, "--since"), _moment(newest_ms, until, "--until"))
    if found.since_ms is not None and found.until_ms is not None and found.since_ms >= found.until_ms:
        raise SettingsError(f"--until: expected a moment after --since, was {until!r}")
    return found


def _moment(newest_ms: int, text: str | None, name: str) -> int | None:
    from datetime import UTC, datetime

    from tradecore.errors import SettingsError
    from tradecore.model.duration import DurationError, duration_s

    if text is None:
        return None
    try:
        return newest_ms - int(duration_s(text) * 1_000)
    except DurationError:
        pass  # no length of time: a moment then, or the error that names it
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{name}: expected a length such as 2h or a moment such as 2021-05-19T12:00, was {text!r}"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
