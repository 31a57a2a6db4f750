"""One row's candidates on their way to intents: every one gets an answer.

fresh? symbol free? -> account lock -> size -> risk_check -> price cap -> transaction 1. Legs of a group are asked in
turn, the earlier ones counted as pending; all or none are reserved.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from tradecore.engine.desk import Desk, ids_of
from tradecore.engine.entry import EntryAnswer, EntryQuestion, ask_entry, make_signal, stop_of
from tradecore.engine.execution import Execution
from tradecore.engine.explain.inputs import ENTRY, DecisionInputs, Limits
from tradecore.engine.explain.repeats import Repeats
from tradecore.engine.explain.tally import Tally
from tradecore.engine.intents import create_intents
from tradecore.engine.levels import Trigger
from tradecore.engine.picture import Pictures
from tradecore.engine.scan import CODES, Hit, Scanner
from tradecore.engine.verdict import Refused, guards_event, locked
from tradecore.errors import DuplicateRecord, StoreError, UnitError
from tradecore.model.events import (
    DecisionOutcome,
    DropTriggerEval,
    DuplicateOrderBlocked,
    DynamicConstraints,
    Ids,
    RiskLimitsEval,
    ScanOutcomes,
    SizingCalc,
)
from tradecore.model.intent import Intent
from tradecore.model.portfolio import Portfolio, TradingState
from tradecore.model.position import Position
from tradecore.model.reasons import Reason
from tradecore.model.signal import Signal
from tradecore.model.units import Side, canonical, signal_id

_CREATED = Refused(Reason.INTENT_CREATED)


class Pipeline:
    """Judges rows and makes entry intents."""

    def __init__(self, desk: Desk, scanner: Scanner, pictures: Pictures, execution: Execution) -> None:
        self._desk = desk
        self._scanner = scanner
        self._pictures = pictures
        self._execution = execution
        self.follow_faulted = False
        """True while positions cannot be led: entries are halted (HOOKS.md `follow`)."""
        self._tally = Tally(desk.feed.symbols, CODES)
        self._repeats = Repeats(desk.feed.timeframe_ms)
        self.last_reasons: dict[str, str] = {}
        """Symbol to its newest refusal after a signal, for people."""

    async def row_closed(self, close_ms: int) -> None:
        """Judge the row that has just been taken: wishes become signals, signals intents or refusals."""
        desk = self._desk
        started = desk.clock.monotonic_s()
        row = self._scanner.next_row(close_ms)
        outcomes: Counter[str] = Counter({str(reason): count for reason, count in row.counts.items()})
        by_symbol: dict[str, tuple[Reason, str]] = {}
        for legs in in_groups(row.hits):
            for hit, refused in await self._legs(legs, row.row_ms, by_symbol):
                before = by_symbol.get(hit.symbol)
                if before is None or (refused.reason is Reason.INTENT_CREATED and before[0] is not refused.reason):
                    by_symbol[hit.symbol] = (refused.reason, refused.by)
        outcomes.update(str(reason) for reason, _ in by_symbol.values())
        candidates = sum(outcomes.values())
        assert candidates == len(desk.feed.symbols) - len(self._scanner.removed), (candidates, self._scanner.removed)
        desk.tally.rows += 1
        desk.tally.candidates += candidates
        desk.tally.outcomes.update(outcomes)
        desk.tally.signals += len(row.hits)
        took = 0 if desk.clock.virtual else int((desk.clock.monotonic_s() - started) * 1e6)
        desk.note(ScanOutcomes(row.row_ms, candidates, dict(sorted(outcomes.items())), took))
        interval = self._tally.row(row.row_ms, row.quiet, row.within, row.guests, by_symbol)
        if interval is not None:
            desk.note(interval)
            self._tell_runs()

    def _tell_runs(self) -> None:
        """Write the refusals that only came again."""
        for run in self._repeats.take_all():
            self._desk.note(run)

    def finish(self) -> None:
        """Write what was counted of the interval under way: the run ends."""
        self._tell_runs()
        interval = self._tally.take()
        if interval is not None:
            self._desk.note(interval)

    async def _legs(
        self, legs: Sequence[Hit], row_ms: int, decided: Mapping[str, tuple[Reason, str]]
    ) -> Sequence[tuple[Hit, Refused]]:
        """Take one candidate, or all legs of a group, from wish to reservation."""
        results: list[tuple[Hit, Refused]] = []
        intents: list[Intent] = []
        async with self._desk.account_lock:
            for hit in legs:
                if hit.symbol in decided and decided[hit.symbol][0] is Reason.INTENT_CREATED:
                    results.append((hit, Refused(Reason.SYMBOL_BUSY)))
                    continue
                planned = self._plan(hit, row_ms, intents)
                if isinstance(planned, Refused):
                    results.append((hit, planned))
                    self._say(hit, row_ms, planned)
                else:
                    intents.append(planned)
                    results.append((hit, _CREATED))
            if intents and len(intents) < len(legs):
                return self._group_refused(results, row_ms)
            if intents:
                refused = await self._create(intents)
                if refused is not None:
                    for hit in legs:
                        self._say(hit, row_ms, refused)
                    return [(hit, refused) for hit in legs]
        for hit, said in results:
            if said is _CREATED:
                self._say(hit, row_ms, said)
        for intent in intents:
            self._execution.start(intent)
        return results

    def _group_refused(self, results: list[tuple[Hit, Refused]], row_ms: int) -> Sequence[tuple[Hit, Refused]]:
        """Let no leg go where one was refused."""
        changed = []
        for hit, said in results:
            left = Refused(Reason.GROUP_REFUSED, detail="another leg was refused") if said is _CREATED else said
            if said is _CREATED:
                self._say(hit, row_ms, left)
            changed.append((hit, left))
        return changed

    async def _create(self, intents: Sequence[Intent]) -> Refused | None:
        try:
            await create_intents(self._desk, intents)
        except DuplicateRecord as error:
            async with self._desk.transaction() as work:
                work.tell(DuplicateOrderBlocked(intents[0].symbol, "intent", str(error)), ids_of(intents[0]))
            return Refused(Reason.DUPLICATE_SIGNAL, detail=str(error))
        except StoreError as error:
            self._desk.alert("store_unavailable", "critical", str(error))
            return Refused(Reason.STORE_UNAVAILABLE, detail=str(error))
        return None

    async def add(self, position: Position, trigger: Trigger, price: Decimal) -> None:
        """Wish for more of a position where its plan says so: sized and checked like any entry."""
        desk = self._desk
        now = desk.clock.now_ms()
        level = float(trigger.level) if trigger.level is not None else 0.0
        quote = position.levels.add_quote
        hit = Hit(
            trigger.by, 0, position.symbol, float(price), float(price), level, "quote/base", "add", 1.0,
            desk.config.intent_ttl_ms, -1, float(quote) if quote is not None else math.nan, math.nan,
        )  # fmt: skip
        await self._alone(hit, now, position)

    async def propose(self, signal: Signal) -> None:
        """Take an entry that a guest's job proposes: the core's price, then sized and checked like any other."""
        desk = self._desk
        now = desk.clock.now_ms()
        price = desk.mark(signal.symbol)
        hit = Hit(
            signal.plugin, 0, signal.symbol, float(price) if price is not None else math.nan, signal.value,
            signal.threshold, signal.unit, signal.reason, signal.strength, max(0, signal.expires_ms - now), -1,
            float(signal.quote_wanted) if signal.quote_wanted is not None else math.nan, math.nan,
        )  # fmt: skip
        await self._alone(hit, now, None)

    async def _alone(self, hit: Hit, now_ms: int, position: Position | None) -> None:
        """Take one wish that no row brought from question to reservation."""
        async with self._desk.account_lock:
            planned = self._plan(hit, now_ms, (), position)
            refused = planned if isinstance(planned, Refused) else await self._create([planned])
        self._say(hit, now_ms, refused or Refused(Reason.INTENT_CREATED))
        if refused is None and isinstance(planned, Intent):
            self._execution.start(planned)

    # One candidate --------------------------------------------------------------------------------------------

    def _plan(
        self, hit: Hit, row_ms: int, planned: Sequence[Intent], position: Position | None = None
    ) -> Intent | Refused:
        """Ask everything that must agree before an entry may exist; the first no ends it."""
        try:
            return self._shut(hit, row_ms, planned) or self._asked(hit, row_ms, planned, position)
        except Exception as error:  # noqa: BLE001 - one candidate must not cost the others of its row their answers
            self._desk.report_uncaught(f"candidate {hit.symbol} of {hit.plugin}", error)
            return Refused(Reason.GUEST_FAULT, detail=f"{type(error).__name__}: {error}")

    def _asked(self, hit: Hit, row_ms: int, planned: Sequence[Intent], position: Position | None) -> Intent | Refused:
        """Make the signal and ask the guests about it."""
        try:
            signal = make_signal(hit, row_ms, position.position_id if position is not None else None)
        except UnitError as error:
            return Refused(Reason.PRICE_INVALID, detail=str(error))
        return self._answered(hit, row_ms, signal, planned)

    def _answered(self, hit: Hit, row_ms: int, signal: Signal, planned: Sequence[Intent]) -> Intent | Refused:
        """Ask about a signal, and write down what was asked and what was said, unless it only comes again."""
        desk = self._desk
        now = desk.clock.now_ms()
        market, book = self._pictures.market(), self._pictures.fresh_book(signal.symbol)
        question = EntryQuestion(
            signal, self._pictures.portfolio(planned=planned), desk.instruments[signal.symbol], market, book,
            limits_of(desk), now, stop_of(hit), desk.ids.new,
        )  # fmt: skip
        asked = ask_entry(desk.calls, question)
        refused = asked.refused
        if refused is not None and self._repeats.again(hit, row_ms, refused):
            return refused
        desk.note(
            DropTriggerEval(
                hit.plugin, hit.symbol, row_ms, hit.value, hit.threshold, hit.unit, hit.reason, hit.strength,
                signal.price,
            ),
            Ids(signal.signal_id),
        )  # fmt: skip
        self._say_answer(signal, asked, question.portfolio)
        self._pictures.recorder.keep(
            DecisionInputs(
                ENTRY, signal, market.facts(book), asked.kept, book, question.portfolio, question.instrument,
                question.limits, question.stop_price, asked.intent if refused is None else None,
            )
        )  # fmt: skip
        if refused is not None:
            return refused
        assert asked.intent is not None
        return asked.intent

    def _say_answer(self, signal: Signal, asked: EntryAnswer, portfolio: Portfolio) -> None:
        """Write the sizes, the checks and the caps as events of their own."""
        desk, symbol = self._desk, signal.symbol
        if asked.constraint:
            offers = {n: f"{canonical(size.quantity)} {size.constraint}" for n, size in asked.size.offers.items()}
            desk.note(
                SizingCalc(symbol, asked.quantity, asked.constraint, offers, portfolio.free, asked.price_cap),
                Ids(signal.signal_id),
            )
        if asked.risk is None or asked.intent is None:
            return
        ids = ids_of(asked.intent)
        desk.note(guards_event(asked.intent, 0, asked.risk), ids)
        if asked.risk.denied is not None:
            d = asked.risk.denied
            desk.note(RiskLimitsEval(symbol, d.plugin, d.limit, d.value, d.threshold, d.unit), ids)
        if asked.risk.allowed and asked.risk.caps:
            caps = {name: f"{canonical(c.value)} {c.plugin}" for name, c in asked.risk.caps.items()}
            desk.note(DynamicConstraints(symbol, caps, dict(asked.risk.inputs)), ids)

    def _shut(self, hit: Hit, row_ms: int, planned: Sequence[Intent]) -> Refused | None:
        """The core's own gates before any guest is asked."""
        desk = self._desk
        trading = desk.books.trading
        if desk.stopping:
            return Refused(Reason.SHUTDOWN, detail=desk.stopping)
        if trading.state is not TradingState.ACTIVE:
            halted = trading.state is TradingState.HALTED
            return Refused(Reason.TRADING_HALTED if halted else Reason.TRADING_REDUCING, trading.actor, trading.reason)
        lock = self._pictures.locks.on(hit.symbol)
        if lock is not None:
            return locked(lock, desk.clock.now_ms())
        if self.follow_faulted:
            return Refused(Reason.ENTRIES_HALTED, detail="a follow guest failed")
        age = desk.clock.now_ms() - row_ms
        if age > desk.config.price_age_ms_max:
            return _too_old(Reason.STALE_DATA, age, desk.config.price_age_ms_max)
        if age > hit.expires_after_ms:
            return _too_old(Reason.SIGNAL_EXPIRED, age, hit.expires_after_ms)
        if desk.books.symbol_busy(hit.symbol) or any(p.symbol == hit.symbol for p in planned):
            return Refused(Reason.SYMBOL_BUSY)
        if hit.symbol in self._scanner.removed:  # an add, or what a job proposes: rows do not bring it
            return Refused(Reason.NOT_IN_UNIVERSE)
        instrument = desk.instruments.get(hit.symbol)
        if instrument is None or not instrument.can_buy:
            return Refused(Reason.SYMBOL_HALTED)
        if not desk.calls.has("route_order"):
            return Refused(Reason.ROUTER_MISSING, "core", "no routing guest")
        return None

    def _say(self, hit: Hit, row_ms: int, refused: Refused) -> None:
        """Write what became of a candidate whose condition was met."""
        scale = abs(hit.threshold) or 1e-12
        margin = -abs(hit.value - hit.threshold) / scale
        if refused.reason is not Reason.INTENT_CREATED:
            self.last_reasons[hit.symbol] = f"{refused.reason} {refused.detail}".strip()
            if self._repeats.again(hit, row_ms, refused):
                self._repeats.add(hit, row_ms, refused)
                return
        before = self._repeats.take(hit.plugin, hit.symbol)
        if before is not None:
            self._desk.note(before)
        self._desk.note(
            DecisionOutcome(
                hit.plugin, hit.symbol, row_ms, str(refused.reason), refused.by, hit.value, hit.threshold, margin,
                hit.unit, refused.detail, refused.limit, refused.value, refused.threshold, refused.unit,
            ),
            Ids(signal_id(hit.plugin, hit.symbol, Side.BUY, row_ms)),
        )  # fmt: skip


def limits_of(desk: Desk) -> Limits:
    """The core's own limits on entries."""
    return Limits(desk.config.max_slippage_bps, desk.config.max_spread_bps, desk.config.intent_ttl_ms)


def _too_old(reason: Reason, age_ms: int, limit_ms: int) -> Refused:
    return Refused(
        reason, "core", f"age_ms={age_ms}, limit={limit_ms}", "age_ms", Decimal(age_ms), Decimal(limit_ms), "ms"
    )


def in_groups(hits: Sequence[Hit]) -> Sequence[Sequence[Hit]]:
    """Gather the legs of each group at the place of its first; a hit without a group stands alone."""
    groups: dict[object, list[Hit]] = {}
    for number, hit in enumerate(hits):
        groups.setdefault((hit.plugin, hit.group) if hit.group >= 0 else number, []).append(hit)
    return list(groups.values())
