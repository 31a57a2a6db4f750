"""What a guest's fault is called: one line, read from an error that is the guest's own."""

from __future__ import annotations

from typing import Final

from tradecore.hooks.checks import BadAnswer
from tradecore.hooks.watchdog import Breadcrumb

_TEXT_MAX: Final = 300
_READ_MAX: Final = 10_000


def text_of(error: BaseException, crumb: Breadcrumb, where: tuple[str, str]) -> str:
    """Write an error as one line; its own text is the guest's: it may raise or hang in turn, so it is watched too.

    Args:
        crumb: For the watchdog.
        where: Guest and hook.
    """
    try:
        crumb.at = where
        text = _line(error)
        crumb.at = None
    except BaseException:  # noqa: BLE001 - the watchdog's, or one of a metaclass of the guest
        text = "an error whose text could not be read"
    finally:
        crumb.at = None
    return text


def _line(error: BaseException) -> str:
    try:
        text = " ".join(str(error)[:_READ_MAX].split())
    except BaseException:  # noqa: BLE001 - a guest's exception class is a guest too
        text = "its text could not be read"
    if isinstance(error, BadAnswer):
        return short(text)
    return short(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def short(text: str) -> str:
    """Cut a text that is too long for an event."""
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 3] + "..."
