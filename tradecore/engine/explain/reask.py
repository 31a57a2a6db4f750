"""Asks the guests of now what the guests of then were asked.

Each stored question stands alone: it is asked with the portfolio, the book and the market of then, whatever the answers
before it would have changed. What comes out is the first-order effect of other settings or another version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from tradecore.engine.entry import EntryQuestion, ask_entry
from tradecore.engine.explain.inputs import ENTRY, GATE, Answer, DecisionInputs, Limits
from tradecore.engine.explain.looked import KeptMarket, Rows
from tradecore.engine.explain.recorder import gate_answer, route_answer
from tradecore.errors import PluginLoadError, SettingsError
from tradecore.hooks.calls import Calls
from tradecore.hooks.guest import Guest
from tradecore.model.events import PluginFault
from tradecore.model.signal import Tune

_ASKED: Final = frozenset({"size", "risk_check", "route_order"})
"""Hooks that a stored question is put to."""


class Reasked(NamedTuple):
    """A stored question asked again."""

    inputs: DecisionInputs
    answer: Answer | None
    """``None``: it cannot be told, because something that is needed now was not kept."""
    missing: tuple[str, ...] = ()
    """What was needed and not kept."""
    faults: tuple[str, ...] = ()
    """What guests of now did wrong when asked."""

    @property
    def told(self) -> bool:
        """True where there is an answer to compare."""
        return self.answer is not None

    @property
    def same(self) -> bool:
        """True where the answer decides the same as then."""
        return self.answer is not None and self.answer.decided == self.inputs.answer.decided


class _StoppedClock:
    """The moment of a question."""

    virtual = True

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def now_ns(self) -> int:
        return self._now_ms * 1_000_000

    def monotonic_s(self) -> float:
        return self._now_ms / 1_000

    async def sleep(self, seconds: float) -> None:
        """Return at once: nobody waits in a question."""

    async def sleep_until_ms(self, moment_ms: int) -> None:
        """Return at once."""


class Asker:
    """Asks guests stored questions, each with what was tuned in them when it was asked.

    A tune lies over the settings of the files, as in a run: a changed setting that was tuned then stays as tuned.

    Args:
        guests: Who is asked, in order; with their settings of now.
    """

    def __init__(self, guests: Sequence[Guest]) -> None:
        self._guests: Final = tuple(guests)
        self._asked: Final = frozenset(guest.name for guest in guests if not guest.hooks.isdisjoint(_ASKED))
        self._tuned: Final[dict[tuple[tuple[str, str], ...], tuple[tuple[Guest, ...], tuple[str, ...]]]] = {}
        """Tunes to the guests made anew with them, and what did not fit."""

    def ask(self, inputs: DecisionInputs, *, limits: Limits | None = None, rows: Rows | None = None) -> Reasked:
        """Ask a stored question again; arguments and answer as those of `reask`."""
        guests, unfit = self._as_tuned(inputs.tunes)
        market = KeptMarket(inputs.market, rows)
        faults: list[str] = [*unfit]
        calls = _door(guests, inputs.market.now_ms, faults)
        asked = _ASK.get(inputs.question, _route)
        answer = asked(calls, inputs, market, limits)
        missing = tuple(dict.fromkeys(market.missing))
        return Reasked(inputs, None if missing else answer, missing, tuple(faults))

    def _as_tuned(self, tunes: Mapping[str, str]) -> tuple[tuple[Guest, ...], tuple[str, ...]]:
        """The guests as they were tuned; made once for all questions with the same tunes."""
        wanted = tuple(pair for pair in tunes.items() if pair[0].partition(".")[0] in self._asked)
        if not wanted:
            return self._guests, ()
        if wanted not in self._tuned:
            unfit: list[str] = []
            calls = _door(self._guests, 0, unfit)
            for setting, value in wanted:
                try:
                    calls.tune(Tune(setting, value, "as then"))
                except (SettingsError, PluginLoadError) as error:
                    unfit.append(f"tuned to {value} then: {error}")
            self._tuned[wanted] = (tuple(calls.guests), tuple(unfit))
        return self._tuned[wanted]


def reask(
    guests: Sequence[Guest], inputs: DecisionInputs, *, limits: Limits | None = None, rows: Rows | None = None
) -> Reasked:
    """Ask one stored question again.

    Args:
        guests: Who is asked, in order; with their settings of now.
        inputs: The question.
        limits: The core's own limits of now; ``None``: those of then.
        rows: Makes market rows again that a guest of now wants and none of then had read; ``None``: nobody can.
    Returns:
        The answer of now, or what is missing to give one.
    """
    return Asker(guests).ask(inputs, limits=limits, rows=rows)


def _door(guests: Sequence[Guest], now_ms: int, faults: list[str]) -> Calls:
    return Calls(
        guests, clock=_StoppedClock(now_ms), deadlines_ms={}, virtual=True,
        on_fault=_into(faults), on_quarantine=lambda *_: None, on_late=lambda _: None,
    )  # fmt: skip


def _into(faults: list[str]) -> Callable[[PluginFault], None]:
    def put(fault: PluginFault) -> None:
        faults.append(f"{fault.plugin}.{fault.hook}: {fault.fault}")

    return put


def _entry(calls: Calls, inputs: DecisionInputs, market: KeptMarket, limits: Limits | None) -> Answer:
    assert inputs.portfolio is not None
    assert inputs.instrument is not None
    kept = limits or inputs.limits
    assert kept is not None
    made = inputs.intent

    def new_id(kind: str) -> str:
        if made is None:
            return f"{kind} of {inputs.signal.signal_id}"
        return made.intent_id if kind == "intent" else str(made.position_id)

    question = EntryQuestion(
        inputs.signal, inputs.portfolio, inputs.instrument, market, inputs.book, kept, inputs.market.now_ms,
        inputs.stop_price, new_id,
    )  # fmt: skip
    return ask_entry(calls, question).kept


def _gate(calls: Calls, inputs: DecisionInputs, market: KeptMarket, limits: Limits | None) -> Answer:
    assert inputs.intent is not None
    assert inputs.portfolio is not None
    return gate_answer(calls.risk(inputs.intent, inputs.portfolio, market))


def _route(calls: Calls, inputs: DecisionInputs, market: KeptMarket, limits: Limits | None) -> Answer:
    assert inputs.intent is not None
    return route_answer(calls.route(inputs.intent, inputs.book, inputs.attempts, inputs.market.now_ms, inputs.router))


_Ask = Callable[[Calls, DecisionInputs, KeptMarket, "Limits | None"], Answer]
_ASK: Mapping[str, _Ask] = {ENTRY: _entry, GATE: _gate}
