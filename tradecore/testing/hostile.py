"""Hostile guests: one for each place of a guest and each way to do harm, to show what the core makes of it.

They enter by the same door as any plugin. Until their switch is on they answer soundly, so that a session has something
to lose when they turn.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import operator
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

import numpy as np

from tradecore.hooks.admit import admit
from tradecore.hooks.guest import Guest, spec_arguments
from tradecore.hooks.specs import TELLING, Hooks, Resources, hookimpl
from tradecore.market.answers import Plan, Wishes
from tradecore.market.frame import MarketFrame
from tradecore.model.order import OrderRequest
from tradecore.model.signal import Job, JobAnswer, Size, Tune, Verdict
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import NoSettings

PLACES: Final[Mapping[str, str]] = {
    "wisher": "signal", "filter": "signal", "follow": "follow", "size": "size", "risk_check": "risk_check",
    "route_order": "route_order", "jobs": "jobs", "job": "jobs", "universe": "universe", "on_start": "on_start",
    "on_fill": "on_fill", "on_fail": "on_fail", "on_event": "on_event", "on_shutdown": "on_shutdown",
}  # fmt: skip
"""Place of a guest to its hook: ``jobs`` is the list of jobs, ``job`` one of them being asked."""
TOLD: Final = frozenset(TELLING)
EVENT: Final = "scan_outcomes"
"""The kind of event that a hostile `on_event` guest wants: one per row."""
THREAD: Final = "hostile-thread"
_ENDLESS: Final = 10**12

Act = Callable[[str, tuple[Any, ...]], Any]
"""(place, arguments) to an answer; it may as well raise."""


class Switch:
    """Turns a guest hostile, and keeps what it has done."""

    def __init__(self, on: bool = False) -> None:
        self.on = on
        self.calls = 0
        """Times that it was asked while hostile."""
        self.spoils: list[str] = []
        """What it could write, reach or change though it must not."""
        self.release = threading.Event()
        """Ends the threads that it started."""


class Quits(BaseException):
    """What no guest should raise."""


class Unreadable(Exception):
    """An error whose own text raises."""

    def __str__(self) -> str:
        raise SystemExit("gotcha")


class Liar:
    """Claims to be text, and raises where it is asked what it is."""

    @property  # type: ignore[misc]  # that is the lie
    def __class__(self) -> Any:
        raise KeyboardInterrupt


class TrapText(str):
    """Text that raises when it is put into a sentence."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        raise SystemExit("formatted")

    def __str__(self) -> str:
        raise SystemExit("read")


class Endless(Sequence[Any], Mapping[Any, Any]):
    """A sequence and a mapping of as many entries as anybody reads."""

    def __len__(self) -> int:
        return _ENDLESS

    def __iter__(self) -> Iterator[Any]:
        return map(str, itertools.count())

    def __getitem__(self, key: Any) -> Any:
        return str(key)


def sound(place: str, arguments: tuple[Any, ...]) -> Any:
    """The answer that lets all go on as if the guest were not there."""
    match place:
        case "wisher" | "filter":
            frame, rows = arguments
            value = 0.0 if place == "filter" else 1.0
            return Wishes(np.full((len(rows), len(frame.symbols)), value), "<=", 0.5, "sound", "sound")
        case "size":
            return Size(Decimal(1_000_000), "no limit")
        case "risk_check":
            return Verdict()
        case "jobs" | "universe":
            return []
        case _:
            return None


# Ways ----------------------------------------------------------------------------------------------------------


def raising(*errors: BaseException) -> Callable[[Switch], Act]:
    """Raise one after the other, over and over."""

    def made(switch: Switch) -> Act:
        turns = itertools.cycle(errors)

        def act(place: str, arguments: tuple[Any, ...]) -> Any:
            raise next(turns)

        return act

    return made


def answering(*answers: Any) -> Callable[[Switch], Act]:
    """Answer one after the other, over and over."""

    def made(switch: Switch) -> Act:
        turns = itertools.cycle(answers)
        return lambda place, arguments: next(turns)

    return made


def lying(switch: Switch) -> Act:
    """Answer what looks right and is not: text that raises when it is read, numbers that are none."""
    text = TrapText("trap")

    def act(place: str, arguments: tuple[Any, ...]) -> Any:
        answers: Mapping[str, Any] = {
            "size": Size(Decimal("NaN"), text),
            "risk_check": Verdict((), {text: Decimal("-1")}),
            "route_order": OrderRequest(TimeInForce.IOC, Decimal("sNaN"), Decimal(1), 1, text),
            "follow": Plan(
                stop=np.array([np.inf] * (len(arguments[1]) if len(arguments) > 1 else 1)), memo={text: text}
            ),
            "job": JobAnswer((), (), {text: object()}),
            "jobs": [Job(text, float("nan"), print)],
        }
        if place in ("wisher", "filter"):
            return sound(place, arguments)._replace(value=np.array([[object()]]), unit=text)
        return answers.get(place, Liar())

    return act


def answering_hugely(switch: Switch) -> Act:
    """Answer more than anybody can hold."""

    def act(place: str, arguments: tuple[Any, ...]) -> Any:
        huge = np.broadcast_to(0.0, (2**20, 2**20))
        match place:
            case "wisher" | "filter":
                fine = sound(place, arguments)
                return (fine._replace(value=huge), fine._replace(strength=huge), fine._replace(reason="x" * 10**7))[
                    switch.calls % 3
                ]
            case "follow":
                return (Plan(stop=huge[0]), Plan(memo=Endless()), Plan(inputs={"x": "x" * 10**7}))[switch.calls % 3]
            case "size":
                return Size(Decimal(1), "x", Endless())
            case "risk_check":
                return Verdict((), {}, Endless()) if switch.calls % 2 else Verdict((None,) * 10**6)  # type: ignore[arg-type]
            case "route_order":
                return OrderRequest(TimeInForce.IOC, Decimal(1), Decimal(1), 1_000, "x" * 10**7)
            case "job":
                return (
                    JobAnswer(cast("tuple[Tune, ...]", Endless()))
                    if switch.calls % 2
                    else JobAnswer((), (), {"x": "x" * 10**7})
                )
            case _:
                return Endless()

    return act


def mutating(switch: Switch) -> Act:
    """Write into everything that it is handed, however deep, then answer soundly."""

    def act(place: str, arguments: tuple[Any, ...]) -> Any:
        answer = sound(place, arguments)
        for number, argument in enumerate(arguments):
            _deface(argument, f"{place}[{number}]", switch.spoils, 0)
        return answer

    return act


def _deface(value: Any, path: str, spoils: list[str], depth: int) -> None:
    if depth > 6 or isinstance(value, Resources):
        return  # resources are the guest's own

    def attempt(what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except (AttributeError, TypeError, ValueError):
            return
        spoils.append(f"{path}{what}")

    def unlock() -> None:
        value.flags.writeable = True
        value[...] = 0

    if isinstance(value, np.ndarray):
        attempt(" unlocked", unlock)
        if value.size:
            attempt(" filled", lambda: value.fill(0))
        return
    if isinstance(value, Mapping):
        attempt(" written", lambda: operator.setitem(cast("dict[str, int]", value), "hostile", 1))
        attempt(" emptied", lambda: cast("dict[str, int]", value).clear())
        for key in itertools.islice(value, 50):
            _deface(value[key], f"{path}[{key!r}]", spoils, depth + 1)
        return
    if isinstance(value, list):
        attempt(" emptied", value.clear)
        return
    names = getattr(value, "_fields", ()) or (
        ("open", "high", "low", "close", "volume", "timestamps", "other", "_index") if isinstance(value, MarketFrame)
        else ("frame", "now_ms", "_frame", "_books") if type(value).__name__ == "Market" else ()
    )  # fmt: skip
    for name in names:
        inner = getattr(value, name)
        attempt(f".{name} set", lambda name=name: setattr(value, name, None))  # type: ignore[misc]
        _deface(inner, f"{path}.{name}", spoils, depth + 1)
    if isinstance(value, tuple) and not names:
        for at, inner in enumerate(value[:50]):
            _deface(inner, f"{path}[{at}]", spoils, depth + 1)


def spawning(switch: Switch) -> Act:
    """Start tasks that exit, that wait and that will not end, a callback that exits, a thread; answer soundly."""

    async def exits() -> None:
        await asyncio.sleep(0)
        raise SystemExit(7)

    async def holds_on() -> None:
        while True:
            try:
                await asyncio.sleep(45)
            except asyncio.CancelledError:
                continue

    def leaves() -> None:
        raise KeyboardInterrupt

    def act(place: str, arguments: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        kept = [loop.create_task(exits()), loop.create_task(asyncio.sleep(1e6))]
        if switch.calls == 1:
            kept.append(loop.create_task(holds_on(), name="holds-on"))
            threading.Thread(target=switch.release.wait, name=THREAD, daemon=True).start()
        loop.call_soon(leaves)
        switch.kept = getattr(switch, "kept", []) + kept  # type: ignore[attr-defined]  # none is collected early
        return sound(place, arguments)

    return act


def grabbing(switch: Switch) -> Act:
    """Import the engine, and look for a running one in what its modules hold and in what was handed over."""
    wanted = ("engine", "desk", "books", "execution", "exits", "settle", "pipeline", "state")

    def act(place: str, arguments: tuple[Any, ...]) -> Any:
        modules = [importlib.import_module(f"tradecore.engine.{name}") for name in wanted]
        kinds = tuple(getattr(modules[n], kind) for n, kind in ((0, "Engine"), (1, "Desk"), (2, "Books")))
        loaded = [module for name, module in list(sys.modules.items()) if name.startswith("tradecore.")]
        for module in loaded:
            for name, value in vars(module).items():
                if isinstance(value, kinds):
                    switch.spoils.append(f"{module.__name__}.{name}")
        for argument in arguments:
            for name in dir(argument):
                if not name.startswith("_") and isinstance(getattr(argument, name, None), kinds):
                    switch.spoils.append(f"{place}: {type(argument).__name__}.{name}")
        return sound(place, arguments)

    return act


WAYS: Final[Mapping[str, Callable[[Switch], Act]]] = {
    "raises": raising(Unreadable(), GeneratorExit(), Quits("so")),
    "exits": raising(SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()),
    "garbage": answering(42, Liar(), [object()]),
    "lies": lying,
    "huge": answering_hugely,
    "mutates": mutating,
    "grabs": grabbing,
    "spawns": spawning,
}
"""Faults come three by three: so many quarantine a guest."""


# Guests --------------------------------------------------------------------------------------------------------


def hostile_class(place: str, act: Act, switch: Switch, *, awaited: bool = False) -> type[Any]:
    """Make a plugin class that acts at one place while its switch is on, and is sound before.

    Args:
        place: One of `PLACES`.
        awaited: For a hook that is told: act where its answer is awaited.
    """
    hook = PLACES[place]

    def answer(arguments: tuple[Any, ...]) -> Any:
        if not switch.on:
            return sound(place, arguments)
        switch.calls += 1
        return act(place, arguments)

    async def later(arguments: tuple[Any, ...]) -> Any:
        await asyncio.sleep(0)
        return answer(arguments)

    def ask(portfolio: Any, market: Any, last: Any) -> Any:
        return answer((portfolio, market, last))

    def asked(*arguments: Any) -> Any:
        if place == "job":
            return [Job("act", 60.0, ask)]
        return later(arguments) if awaited else answer(arguments)

    names = ", ".join(spec_arguments(Hooks, hook))
    # the door compares names of arguments with the specification, so that the method must have them
    method = eval(f"lambda self, {names}: asked({names})", {"asked": asked})
    body: dict[str, Any] = {"Settings": NoSettings, "__init__": _keep, hook: hookimpl(method)}
    if place == "filter":
        body["role"] = "filter"
    if place == "on_event":
        body["events"] = frozenset({EVENT})
    return type(f"Hostile{place.title().replace('_', '')}", (), body)


def _keep(self: Any, settings: Any) -> None:
    self.settings = settings


def hostile(place: str, way: str, switch: Switch, *, awaited: bool = False, name: str = "hostile") -> Guest:
    """Admit a hostile guest.

    Args:
        place: One of `PLACES`.
        way: One of `WAYS`.
    """
    maker = hostile_class(place, WAYS[way](switch), switch, awaited=awaited)
    return admit(name, maker, {}, version="0")
