"""Entry: what a plugin's class and its distribution say before anything is asked."""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

import tradecore
from tradecore.hooks.guest import spec_arguments
from tradecore.hooks.specs import HOOKS, TELLING, Hooks
from tradecore.testing.contract.asking import ASKED, Question, ask_raw, ordinary
from tradecore.testing.contract.cards import PASSED, Broken, Result, card, failed, skipped
from tradecore.testing.contract.fingerprint import fingerprint
from tradecore.testing.contract.subject import Subject

_HOOKS = "Hooks, signatures and spelling"
_ABOUT = "Metadata"
_MARK = "tradecore_impl"
_NEAR = 0.8
"""Likeness of two names from which one is taken for the other misspelt: `on_fil` and `on_fill` have 0.92."""


def _methods(subject: Subject) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(subject.maker):
        value = getattr(subject.maker, name, None)
        if not name.startswith("_") and inspect.isroutine(value):
            yield name, value


def _is_marked(function: Any) -> bool:
    return isinstance(getattr(function, _MARK, None), dict)


@card(
    "C01",
    "hook-names",
    _HOOKS,
    "Every hook is spelt and marked right",
    after=(),
    action="Compare the names of all public methods with the names of the hooks.",
    expectation=(
        "A marked method has the name of a hook; a method with such a name is marked; no name is a hook's misspelt."
    ),
)
def hook_names(subject: Subject) -> Result:
    """Look at every public method."""
    for name, function in _methods(subject):
        close = difflib.get_close_matches(name, HOOKS, 1, _NEAR)
        if name in HOOKS:
            if not _is_marked(function):
                return failed(f"{name} has the name of a hook and is not marked; write @hookimpl above it")
        elif _is_marked(function) or close:
            meant = f"rename it to {close[0]}" if close else f"the hooks are {', '.join(HOOKS)}"
            return failed(f"{name} is no hook of the core, so it would never be asked; {meant}")
    if not subject.hooks:
        return failed("the class has no hook; mark at least one method with @hookimpl")
    return PASSED


@card(
    "C02",
    "hook-arguments",
    _HOOKS,
    "Hooks take arguments of their specification only",
    after=("C01",),
    action="Compare each hook's arguments with its specification.",
    expectation="Plain arguments out of the specification's names, in any order, none with a default.",
)
def hook_arguments(subject: Subject) -> Result:
    """Look at every signature."""
    for hook in sorted(subject.hooks):
        known = spec_arguments(Hooks, hook)
        static = inspect.getattr_static(subject.maker, hook)
        parameters = list(inspect.signature(getattr(subject.maker, hook)).parameters.values())
        for parameter in parameters if isinstance(static, (staticmethod, classmethod)) else parameters[1:]:
            if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                return failed(f"{hook} takes {parameter}; name the arguments it needs out of ({', '.join(known)})")
            if parameter.name not in known:
                return failed(
                    f"{hook} takes {parameter.name!r}, which the core does not hand in; use {', '.join(known)}"
                )
            if parameter.default is not parameter.empty:
                return failed(f"{hook} has a default for {parameter.name!r}; remove it, the core always hands it in")
    return PASSED


@card(
    "C03",
    "plain-functions",
    _HOOKS,
    "Hooks whose answer counts are plain functions",
    after=("C01",),
    hooks=ASKED,
    action="Look through bound methods, partials and wrappers of each hook that is not told but asked.",
    expectation="None is a coroutine function, an async generator or a generator.",
)
def plain_functions(subject: Subject) -> Result:
    """Look at what each hook would hand back."""
    for hook in sorted(subject.hooks - set(TELLING)):
        function = getattr(subject.maker, hook)
        while isinstance(function, functools.partial) or hasattr(function, "__wrapped__"):
            function = function.func if isinstance(function, functools.partial) else function.__wrapped__
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            return failed(
                f"{hook} is async and would never be awaited; write a plain def, only {', '.join(TELLING)} may wait"
            )
        if inspect.isgeneratorfunction(function):
            return failed(f"{hook} is a generator; return the answer instead of yielding it")
    return PASSED


@card(
    "C04",
    "core-admits-it",
    _HOOKS,
    "The core admits it with each of its settings",
    after=("C01", "C02", "C03"),
    action="Make an instance through the core's own door with the defaults and with each section handed in.",
    expectation=(
        "The settings validate, the constructor takes them, role, warm-up and events are such as the core knows."
    ),
)
def core_admits_it(subject: Subject) -> Result:
    """Admit it with each section."""
    for number in range(len(subject.sections)):
        try:
            subject.fresh(number)
        except Broken as error:
            return failed(f"{error}{subject.about(number)}")
    return PASSED


@card(
    "C05",
    "distribution",
    _ABOUT,
    "Its distribution has a name, a version and a summary",
    after=(),
    action="Read the metadata of the distribution that offers the entry point.",
    expectation=(
        "The plugin's name is lower case with underscores; the version is one of PEP 440; the summary says something."
    ),
    prerequisite="the plugin is installed",
    skipped_when="the class was handed in without a distribution",
)
def distribution(subject: Subject) -> Result:
    """Read name, version and summary."""
    info = subject.info
    if info is None:
        return skipped("the class was handed in without a distribution")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", info.name):
        return failed(
            f"the entry point is named {info.name!r}; use lower case, digits and _ only, it is a key in profiles"
        )
    try:
        Version(info.version)
    except InvalidVersion:
        return failed(f"the version is {info.version!r}; write one of PEP 440, as 0.1.0, in pyproject.toml")
    if not info.summary.strip() or info.summary == "None":
        return failed("the distribution has no summary; write `description` in pyproject.toml, it is shown in lists")
    return PASSED


@card(
    "C06",
    "range-of-the-core",
    _ABOUT,
    "It names the range of the core that it fits",
    after=(),
    action="Read the distribution's requirement of `tradecore`.",
    expectation="It has a lower and an upper bound, and this core lies within.",
    prerequisite="the plugin is installed",
    skipped_when="the class was handed in without a distribution",
)
def range_of_the_core(subject: Subject) -> Result:
    """Compare the range with this core."""
    if subject.info is None:
        return skipped("the class was handed in without a distribution")
    return core_range(subject.info.requires)


def core_range(requires: tuple[str, ...]) -> Result:
    """Judge what a distribution requires of the core.

    Args:
        requires: Requirements as its metadata has them.
    """
    advice = 'write "tradecore>=0.1,<1" (the versions you tested) under dependencies in pyproject.toml'
    found = [
        one for one in map(_requirement, requires) if one is not None and canonicalize_name(one.name) == "tradecore"
    ]
    if not found:
        return failed(f"the distribution does not require tradecore; {advice}")
    bounds = {specifier.operator for one in found for specifier in one.specifier}
    if not bounds & {">=", ">", "~=", "=="}:
        return failed(f"the range {str(found[0])!r} has no lower bound; {advice}")
    if not bounds & {"<", "<=", "~=", "=="}:
        return failed(f"the range {str(found[0])!r} has no upper bound; {advice}")
    if not all(one.specifier.contains(tradecore.__version__, prereleases=True) for one in found):
        return failed(f"the range {str(found[0])!r} leaves out this core, {tradecore.__version__}; {advice}")
    return PASSED


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


@card(
    "C07",
    "promises-stand-still",
    _ABOUT,
    "Role, warm-up, events and scope never change",
    action="Read the attributes of two instances, before and after asking ordinary questions.",
    expectation="They are the same each time; a warm-up is promised only by a plugin with `signal` or `follow`.",
)
def promises_stand_still(subject: Subject) -> Result:
    """Read promises before and after."""
    for number, (about, guest) in enumerate(subject.guests()):
        before = _promises(guest.plugin)
        for question in ordinary(guest, subject.grid(number)):
            _quietly(guest, question)
        for name, value in _promises(guest.plugin).items():
            if value != before[name]:
                return failed(
                    f"{name} changed while the plugin was asked{about}; make it follow from the settings alone"
                )
        if _promises(subject.fresh(number).plugin) != before:
            return failed(
                f"a new instance promises something else{about}; make promises follow from the settings alone"
            )
        if guest.warmup and guest.hooks.isdisjoint(("signal", "follow", "size", "risk_check", "universe")):
            return failed(f"warmup is promised without a hook that reads rows{about}; remove it, nobody reads it")
    return PASSED


def _promises(plugin: object) -> dict[str, Any]:
    return {name: fingerprint(getattr(plugin, name, None)) for name in ("role", "warmup", "events", "applies_to")}


def _quietly(guest: Any, question: Question) -> None:
    try:
        ask_raw(guest, question)
    except Exception:  # noqa: BLE001 - what a hook raises is told by the card that asks for accepted answers
        return
