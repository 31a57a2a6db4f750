"""Is it an answer? The list of a guest's jobs, and what one of them proposes (checks.py has the other hooks)."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from tradecore.hooks.checks import BadAnswer, amount, bounded, kind, need, plain_text, several, whole
from tradecore.model.alert import SEVERITIES, Alert
from tradecore.model.lock import Lock
from tradecore.model.signal import Job, JobAnswer, Signal, Tune
from tradecore.model.units import Side

STATE_MAX: Final = 1_000_000
"""Characters of a job's state as JSON."""


def jobs(answer: object) -> tuple[Job, ...]:
    """Check a guest's list of jobs."""
    found: dict[str, Job] = {}
    for job in several("Job", answer):
        if type(job) is not Job:
            raise BadAnswer(f"expected Job, was {kind(job)}")
        name = plain_text("name", job.name)
        need(name not in found, "jobs", "of different names", f"{name!r} twice")
        interval = job.interval_s
        fits = type(interval) in (int, float) and math.isfinite(interval) and interval > 0
        shown = interval if type(interval) is float else kind(interval)
        need(fits, f"interval_s of {name}", "to be > 0 s", shown)
        need(callable(job.ask), f"ask of {name}", "to be a function", kind(job.ask))
        found[name] = Job(name, interval, job.ask)
    return tuple(found.values())


def job_answer(answer: object, plugin: str) -> JobAnswer | None:
    """Check what a job of `plugin` proposes; ``None`` stays None."""
    if answer is None:
        return None
    if type(answer) is not JobAnswer:
        raise BadAnswer(f"expected JobAnswer or None, was {kind(answer)}")
    tunes = tuple(_tune(tune) for tune in several("Tune", answer.tunes))
    signals = tuple(_signal(signal, plugin) for signal in several("Signal", answer.signals))
    state = answer.state
    if state is not None:
        need(isinstance(state, Mapping), "state", "to be a mapping", kind(state))
        try:
            text = json.dumps(dict(bounded("state", state.items(), STATE_MAX)), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BadAnswer(f"expected state that JSON can hold, was {error}") from error
        need(len(text) <= STATE_MAX, "state", f"of at most {STATE_MAX} characters", len(text))
        state = json.loads(text)
    locks = tuple(_lock(lock, plugin) for lock in several("Lock", answer.locks))
    alerts = tuple(_alert(alert) for alert in several("Alert", answer.alerts))
    merges = answer.merges
    if merges is not None:
        merges = tuple(plain_text("a symbol of merges", symbol) for symbol in several("symbols", merges))
    return JobAnswer(tunes, signals, state, locks, alerts, merges)


def _alert(alert: object) -> Alert:
    if type(alert) is not Alert:
        raise BadAnswer(f"expected alerts of Alert, was {kind(alert)}")
    severity = plain_text("severity of an alert", alert.severity)
    need(severity in SEVERITIES, "severity of an alert", f"out of {', '.join(SEVERITIES)}", repr(severity))
    need(type(alert.resolved) is bool, "resolved of an alert", "to be true or false", kind(alert.resolved))
    return Alert(
        plain_text("name of an alert", alert.name), severity, plain_text("text of an alert", alert.text), alert.resolved
    )


def _lock(lock: object, plugin: str) -> Lock:  # its own, whoever the guest says that it is
    if type(lock) is not Lock:
        raise BadAnswer(f"expected locks of Lock, was {kind(lock)}")
    expires_ms = whole("expires_ms of a lock", lock.expires_ms, 0, 2**62)
    since_ms = whole("since_ms of a lock", lock.since_ms, 0, 2**62)
    rule = plain_text("rule of a lock", lock.rule, empty=True)
    need("/" not in rule, "rule of a lock", "without a slash", repr(rule))
    return Lock(
        plain_text("symbol", lock.symbol), plain_text("reason", lock.reason), plugin, expires_ms, rule, since_ms
    )


def _tune(tune: object) -> Tune:
    if type(tune) is not Tune:
        raise BadAnswer(f"expected tunes of Tune, was {kind(tune)}")
    setting = plain_text("setting", tune.setting)
    need(setting.count(".") >= 1, "setting", "to be plugin.key", repr(setting))
    return Tune(setting, _plain(tune.value), plain_text("reason", tune.reason))


def _plain(value: object) -> str | int | float | bool:
    if type(value) is bool:
        return value
    if issubclass(type(value), str):
        return plain_text("value", value, empty=True)
    if issubclass(type(value), float):
        return float.__float__(value)  # type: ignore[arg-type]  # it is one
    need(issubclass(type(value), int), "value", "to be text, a number or a flag", kind(value))
    return int.__index__(value)  # type: ignore[arg-type]  # it is one


def _signal(signal: object, plugin: str) -> Signal:
    if type(signal) is not Signal:
        raise BadAnswer(f"expected signals of Signal, was {kind(signal)}")
    # a guest may go by a name of the profile that it does not know: empty is its own
    read: dict[str, Any] = {"plugin": plain_text("plugin of a signal", signal.plugin, empty=True) or plugin}
    need(read["plugin"] == plugin, "plugin of a signal", f"to be {plugin!r}", repr(read["plugin"]))
    for name in ("signal_id", "symbol", "reason", "unit"):
        read[name] = plain_text(name, getattr(signal, name))
    for name in ("tag", "group"):
        read[name] = plain_text(name, getattr(signal, name), empty=True)
    place = signal.position_id
    if place is not None:
        need(issubclass(type(place), str), "position_id", "to be text or None", kind(place))
        read["position_id"] = plain_text("position_id", place, empty=True)
    need(type(signal.side) is Side, "side", "to be a Side", kind(signal.side))
    amount("price", signal.price, zero=False)
    amount("fraction", signal.fraction, zero=False)
    need(signal.fraction <= 1, "fraction", "of at most 1", signal.fraction)
    if signal.quote_wanted is not None:
        amount("quote_wanted", signal.quote_wanted, zero=False)
    for name in ("decided_ms", "expires_ms", "price_ms"):
        read[name] = whole(name, getattr(signal, name), 0, 2**62)
    for name in ("value", "threshold", "strength"):
        number = getattr(signal, name)
        need(issubclass(type(number), int | float), name, "to be finite", kind(number))
        read[name] = float(number)
        need(math.isfinite(read[name]), name, "to be finite", kind(number))
    need(0 <= read["strength"] <= 1, "strength", "from 0 to 1", read["strength"])
    return signal._replace(**read)


def own_copy(last: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """A job's last answer as its own copy: what it does to it reaches nobody."""
    return None if last is None else copy.deepcopy(dict(last))
