"""Places of guests at hooks: who is asked, how often each has faulted, and who is no longer asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tradecore.hooks.guest import Ask, Guest
from tradecore.hooks.specs import HOOKS

_GATES: Final = frozenset({"signal", "size", "risk_check", "route_order"})


class Slot:
    """One guest's place at one hook. It stays the same when a Tune puts another instance into it."""

    __slots__ = ("ask", "faults", "guest", "hook", "live", "name", "quarantined", "where")

    def __init__(self, guest: Guest, hook: str, ask: Ask) -> None:
        self.guest = guest
        self.name: Final = guest.name
        self.hook: Final = hook
        self.ask = ask
        self.where: Final = (guest.name, hook)
        """What the breadcrumb shows while the guest is asked."""
        self.faults = 0
        self.quarantined = False
        self.live = True
        """False where it is quarantined, or where it is a gate whose guest did not start."""


class Slots:
    """All places of a run.

    Args:
        guests: In guest order.
        strikes: Faults of one guest in one hook until it is quarantined there, >= 1.
        wrap: What to put around a guest's callable (tracing).
    """

    def __init__(self, guests: Sequence[Guest], strikes: int, wrap: Callable[[Slot, Ask], Ask]) -> None:
        self._guests = {guest.name: guest for guest in guests}
        self._strikes: Final = strikes
        self._wrap: Final = wrap
        self._by_hook: Final[dict[str, tuple[Slot, ...]]] = {
            hook: tuple(Slot(guest, hook, guest.asks[hook]) for guest in guests if hook in guest.hooks)
            for hook in HOOKS
        }
        self._by_where: Final = {slot.where: slot for slots in self._by_hook.values() for slot in slots}
        for slot in self._by_where.values():
            slot.ask = wrap(slot, slot.ask)

    @property
    def guests(self) -> tuple[Guest, ...]:
        """Guests in order, tuned ones as they are now."""
        return tuple(self._guests.values())

    @property
    def quarantined(self) -> frozenset[tuple[str, str]]:
        """Pairs of guest and hook that are no longer asked."""
        return frozenset(where for where, slot in self._by_where.items() if slot.quarantined)

    def at(self, hook: str) -> tuple[Slot, ...]:
        """All places at a hook, live or not, in guest order."""
        return self._by_hook[hook]

    def find(self, plugin: str, hook: str) -> Slot | None:
        """One place; ``None`` where the guest is not here or has no such hook."""
        return self._by_where.get((plugin, hook))

    def guest(self, plugin: str) -> Guest | None:
        """A guest by name; ``None`` where it is not here."""
        return self._guests.get(plugin)

    def strike(self, slot: Slot) -> bool:
        """Count a fault; True where it was the last that was allowed, so that the guest is quarantined now."""
        slot.faults += 1
        if slot.quarantined or slot.faults < self._strikes:
            return False
        self.quarantine(slot)
        return True

    def quarantine(self, slot: Slot) -> None:
        """Ask a guest no more for a hook."""
        slot.quarantined = True
        self._judge(slot.guest)

    def restore(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Put quarantines of an earlier run in force; pairs of guests that are not here are passed over."""
        for where in pairs:
            slot = self._by_where.get(where)
            if slot is not None:
                slot.faults = max(slot.faults, self._strikes)
                self.quarantine(slot)

    def lift(self, plugin: str, hook: str | None) -> tuple[tuple[str, str], ...]:
        """Ask a guest again, for one hook or all, counting from nought; returns the pairs that were lifted."""
        lifted: list[tuple[str, str]] = []
        for where, slot in self._by_where.items():
            if where[0] == plugin and hook in (None, where[1]):
                if slot.quarantined:
                    lifted.append(where)
                slot.quarantined = False
                slot.faults = 0
        guest = self._guests.get(plugin)
        if guest is not None:
            self._judge(guest)
        return tuple(lifted)

    def seat(self, guest: Guest) -> None:
        """Put another instance of a guest in its place; faults and quarantines stay with the place."""
        self._guests[guest.name] = guest
        for hook in guest.hooks:
            slot = self._by_where[guest.name, hook]
            slot.guest = guest
            slot.ask = self._wrap(slot, guest.asks[hook])

    def _judge(self, guest: Guest) -> None:
        """Work out which of a guest's places are live.

        A gate that could not start is silent at its gates too: without its model it must not wave entries through.
        """
        start = self._by_where.get((guest.name, "on_start"))
        failed_start = guest.is_gate and start is not None and start.quarantined
        for hook in guest.hooks:
            slot = self._by_where[guest.name, hook]
            slot.live = not slot.quarantined and not (failed_start and hook in _GATES)
