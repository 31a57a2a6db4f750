"""Alerts: what a person should look at, as a guest's job proposes it (R48)."""

from __future__ import annotations

from typing import Final, NamedTuple

SEVERITIES: Final = ("info", "warning", "critical")
"""From the least to the gravest."""


class Alert(NamedTuple):
    """One message for people. The core writes it as an event with the guest's name; channels hear it from there."""

    name: str
    """Stays the same from one time to the next: by it messages are told apart and silenced."""
    severity: str
    """Out of `SEVERITIES`."""
    text: str
    resolved: bool = False
    """True where what an earlier alert of that name told is over."""
