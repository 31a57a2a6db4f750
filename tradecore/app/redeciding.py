"""The decisions of kept runs, taken again by the guests of now: what differs first, how much, and what it is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradecore.app.questions import Stored, stored_questions
from tradecore.app.what_if import Run, rows_of, run_of, settings_of
from tradecore.engine.explain.inputs import ENTRY, Answer, Limits
from tradecore.engine.explain.looked import Rows
from tradecore.engine.explain.reask import Asker
from tradecore.hooks.guest import Guest
from tradecore.hooks.loader import available, load, require_trading_set
from tradecore.model.units import ZERO, minus, plus, times
from tradecore.settings import resolve

_KEPT: Final = 1_000
_MADE: Final = "INTENT_CREATED"


class Differing(NamedTuple):
    """A decision that comes out otherwise now."""

    seq: int
    """Line of the journal."""
    at_ns: int
    session: str
    question: str
    symbol: str
    signal_id: str
    intent_id: str
    """Empty where none was made."""
    then: Answer
    now: Answer
    changed: Sequence[tuple[str, str, str]]
    """What differs: name, then, now."""
    effect: str
    """``trade not made``, ``trade made``, ``order not sent``, ``order sent``, ``other size``, ``other price`` or
    ``other reason``."""
    effect_quote: Decimal
    """Worth in quote units: the notional of the trade, or quantity x price of what differs, signed as now - then."""
    result_quote: Decimal | None
    """What the trade that would not be made brought in the end, fees paid; ``None`` where there is no such trade, or
    it has not ended."""


class Redecided(NamedTuple):
    """What came of asking again."""

    asked: int
    same: int
    untold: int
    """Questions that cannot be answered: the guests of now want what was not kept."""
    untold_why: Mapping[str, int]
    differing: Sequence[Differing]
    """The first thousand."""
    total: int
    """All that differ."""
    by: Mapping[str, int]
    """Guest that decides now, or did then, to differing decisions."""
    effects: Mapping[str, tuple[int, Decimal]]
    """Effect to how often and its sum in quote units."""
    results_quote: Decimal
    """What the trades that would not be made brought together, as far as they have ended."""
    faults: Sequence[str]
    """The first things that guests of now did wrong."""
    guests: Mapping[str, tuple[str, str]]
    """Guest to its version then and now; empty where it took no part."""


class Now(NamedTuple):
    """Who is asked."""

    guests: tuple[Guest, ...]
    limits: Limits | None
    """The core's own limits; ``None``: those of each question."""
    rows: Rows | None
    """Makes market rows again that a guest of now wants and none of then had read; ``None``: nobody can."""


def guests_now(journal: Path, run_id: str, profile: str | None, sets: Sequence[str], env: Mapping[str, str]) -> Now:
    """Load the guests that are installed now.

    Args:
        journal: The journal's folder.
        run_id: The run whose settings are taken where no profile is named, and whose market is read.
        profile: Profile to take the settings from, as they are now; ``None``: those that the run had.
        sets: ``section.key=value`` or ``plugin.key=value``, laid on top.
        env: The environment; used with a profile alone.
    Raises:
        DataError: If the run left no settings.
        SettingsError: If a setting is unknown or wrong.
        PluginLoadError: If a guest may not enter any more.
    """
    values = settings_of(journal, run_id)
    then = run_of(values)
    if profile is None:
        now = run_of(values, sets)
    else:
        installed = available()
        resolved = resolve(profile, env, sets, installed=installed)
        now = Run(resolved, load(resolved.settings.run.plugins, resolved.sections, installed=installed))
    require_trading_set(now.guests, now.resolved.settings.run.allow)
    # what the settings leave as it was stays what was written with each question
    return Now(now.guests, now.limits if now.limits != then.limits else None, rows_of(then))


def redecide(questions: Iterator[Stored], now: Now, results: Mapping[str, Decimal]) -> Redecided:
    """Ask every question again and compare.

    Args:
        questions: In order.
        now: Who is asked.
        results: Position id to what its round trip brought, quote units; positions that have ended.
    """
    count: Counter[str] = Counter()
    why: Counter[str] = Counter()
    by: Counter[str] = Counter()
    effects: dict[str, tuple[int, Decimal]] = {}
    kept: list[Differing] = []
    faults: list[str] = []
    results_quote = ZERO
    versions = {guest.name: ("", guest.version) for guest in now.guests}
    asker = Asker(now.guests)
    for stored in questions:
        for name, version in stored.inputs.guests.items():
            versions[name] = (version, versions.get(name, ("", ""))[1])
        again = asker.ask(stored.inputs, limits=now.limits, rows=now.rows)
        count["asked"] += 1
        faults += again.faults[: max(0, 20 - len(faults))]
        if again.answer is None:
            count["untold"] += 1
            why.update(again.missing)
        elif again.same:
            count["same"] += 1
        else:
            one = _differing(stored, again.answer, results)
            by[again.answer.by or one.then.by] += 1
            times_so_far, total = effects.get(one.effect, (0, ZERO))
            effects[one.effect] = (times_so_far + 1, plus(total, one.effect_quote))
            results_quote = plus(results_quote, one.result_quote or ZERO)
            count["differ"] += 1
            if len(kept) < _KEPT:
                kept.append(one)
    return Redecided(
        count["asked"], count["same"], count["untold"], dict(why.most_common()), kept, count["differ"],
        dict(by.most_common()), effects, results_quote, faults, versions,
    )  # fmt: skip


def _differing(stored: Stored, now: Answer, results: Mapping[str, Decimal]) -> Differing:
    inputs, then = stored.inputs, stored.inputs.answer
    effect, quote = _effect(inputs.question, inputs.signal.price, then, now)
    intent = inputs.intent
    result = None
    if effect == "trade not made" and intent is not None:
        result = results.get(str(intent.position_id))
    return Differing(
        stored.seq, stored.at_ns, stored.session, inputs.question, inputs.signal.symbol, inputs.signal.signal_id,
        intent.intent_id if intent is not None else "", then, now, _changes(then, now), effect, quote, result,
    )  # fmt: skip


def _changes(then: Answer, now: Answer) -> Sequence[tuple[str, str, str]]:
    names = ("outcome", "by", "limit", "value", "threshold", "quantity", "price_cap", "order")
    pairs = [(name, getattr(then, name), getattr(now, name)) for name in names]
    return [(name, _text(a), _text(b)) for name, a, b in pairs if a != b]


def _effect(question: str, price: Decimal, then: Answer, now: Answer) -> tuple[str, Decimal]:
    """Say what a difference does to the account at the least, and its worth in quote units."""
    if question == ENTRY:
        if then.outcome == _MADE != now.outcome:
            return "trade not made", times(then.quantity or ZERO, price).copy_negate()
        if now.outcome == _MADE != then.outcome:
            return "trade made", times(now.quantity or ZERO, price)
        if then.quantity != now.quantity:
            return "other size", times(minus(now.quantity or ZERO, then.quantity or ZERO), price)
        if then.price_cap != now.price_cap and now.quantity is not None:
            step = minus(now.price_cap or ZERO, then.price_cap or ZERO)
            return "other price", times(now.quantity, step)
        return "other reason", ZERO
    if then.order is not None and now.order is not None:
        if then.order.quantity != now.order.quantity:
            return "other size", times(minus(now.order.quantity, then.order.quantity), price)
        return "other price", times(now.order.quantity, minus(now.order.price, then.order.price))
    if then.order is not None:
        return "order not sent", times(then.order.quantity, then.order.price).copy_negate()
    if now.order is not None:
        return "order sent", times(now.order.quantity, now.order.price)
    return "other reason", ZERO


def _text(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return ", ".join(f"{name} {_text(item)}" for name, item in value._asdict().items())
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def questions_of(journal: Path, sessions: frozenset[str] | None) -> Iterator[Stored]:
    """The stored questions of some runs; ``None``: of all.

    Raises:
        DataError: If a line cannot be read, or a question refers to a line that is gone.
    """
    for stored in stored_questions(journal):
        if sessions is None or stored.session in sessions:
            yield stored
