"""A guest that may enter: its promises read once, its hooks bound so that asking costs a plain call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

Ask = Callable[..., Any]
"""Takes all arguments of the hook in the order of its specification."""


class Guest(NamedTuple):
    """One plugin of the run, admitted. Never changed: a tuned guest is another one in the same place."""

    name: str
    version: str
    plugin: object
    """The instance, made anew whenever a Tune changes its settings."""
    settings: BaseModel
    hooks: frozenset[str]
    role: str
    """``wisher`` or ``filter``; means something for guests with `signal` only."""
    applies_to: tuple[str, ...] | None
    """For a filter the guests that it judges; ``None`` means all."""
    warmup: Mapping[str, str]
    """``base`` or a slower frame's name to a window as text."""
    events: frozenset[str]
    """Kinds that `on_event` wants."""
    order: int
    """Place in the guest list, from 0."""
    asks: Mapping[str, Ask]
    """Hook to the callable that takes all arguments of the specification."""
    operates: frozenset[str] = frozenset()
    """Rights that it asks for on behalf of operators (``ports/operate.py``)."""
    secrets: tuple[str, ...] = ()
    """Settings that say where a secret is; the core reads them and hands the secrets in at the start."""

    @property
    def is_gate(self) -> bool:
        """True for a filter, a sizing, a risk and a routing guest: its silence shuts entries."""
        return self.role == "filter" or not self.hooks.isdisjoint(("size", "risk_check", "route_order"))


def spec_arguments(specs: type[Any], hook: str) -> tuple[str, ...]:
    """Names of a hook's arguments as its specification has them."""
    return tuple(inspect.signature(getattr(specs, hook)).parameters)[1:]


def bound(function: Callable[..., Any], takes: tuple[str, ...], arguments: tuple[str, ...]) -> Ask:
    """Bind a hook that takes only some arguments, in any order, to a callable that takes all of them in order.

    Args:
        function: The guest's bound method.
        takes: Names it takes.
        arguments: Names that the specification has.
    """
    if takes == arguments:
        return function
    # One lambda made of the specification's own names: picking arguments out of a tuple costs five times as much.
    source = f"lambda {', '.join(arguments)}: function({', '.join(takes)})"
    ask: Ask = eval(source, {"function": function})
    return ask
