"""What an entry is made of: the signal of a hit, the questions about it, and the intent under the caps of its guests.

`ask_entry` is the one way from a signal to an intent. It takes everything that it uses as arguments, so that a stored
question can be asked again, of other guests or under other limits, with nothing else running.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.budget import affordable
from tradecore.engine.explain.inputs import Answer, Limits
from tradecore.engine.scan import Hit
from tradecore.engine.verdict import Refused, refusal_by
from tradecore.hooks.calls import Calls
from tradecore.hooks.combine import RiskAnswer, SizeAnswer
from tradecore.market.frame import Market
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument, refusal_of
from tradecore.model.intent import Cap, Intent
from tradecore.model.portfolio import Portfolio
from tradecore.model.reasons import Reason
from tradecore.model.signal import Signal
from tradecore.model.units import (
    ZERO,
    IntentId,
    PositionId,
    Side,
    add_bps,
    canonical,
    decimal_of,
    floor_to_lot,
    floor_to_tick,
    price_of,
    signal_id,
    times,
)

_FREE_BUDGET = "core: free budget"


def make_signal(hit: Hit, row_ms: int, position_id: PositionId | None = None) -> Signal:
    """Make the signal of a hit: the core takes the price from the frame, no guest names it (R3).

    Args:
        position_id: The position to add to; ``None`` for an entry.

    Raises:
        UnitError: If the row's close is no price.
    """
    wanted = hit.quote_wanted
    return Signal(
        signal_id(hit.plugin, hit.symbol, Side.BUY, row_ms, position_id or ""), hit.plugin, hit.symbol, Side.BUY,
        row_ms,
        row_ms + hit.expires_after_ms, price_of(hit.price), row_ms, hit.strength, hit.reason, hit.value, hit.threshold,
        hit.unit, position_id=position_id,
        quote_wanted=decimal_of(repr(wanted)) if math.isfinite(wanted) and wanted > 0 else None,
        group=f"{hit.plugin}/{row_ms}/{hit.group}" if hit.group >= 0 else "",
    )  # fmt: skip


def with_caps(intent: Intent, caps: dict[str, Cap], instrument: Instrument) -> Intent:
    """Write the caps into the intent and tighten its price cap, quantity and life to them (HOOKS.md)."""
    changes: dict[str, object] = {"caps": caps}
    slippage = caps.get("slippage_bps_max")
    if slippage is not None:
        cap = floor_to_tick(add_bps(intent.price, slippage.value), instrument.tick_size)
        changes["price_cap"] = min(intent.price_cap, cap)
    notional = caps.get("notional_quote_max")
    if notional is not None and times(intent.quantity, intent.price) > notional.value:
        changes["quantity"] = affordable(instrument._replace(fee_currency=""), notional.value, intent.price)
        changes["constraint"] = f"{notional.plugin}: notional_quote_max"
    life = caps.get("ttl_ms_max")
    if life is not None:
        changes["expires_ms"] = min(intent.expires_ms, intent.created_ms + int(life.value))
    return intent._replace(**changes)  # type: ignore[arg-type]  # every key is a field of Intent, just above


class EntryQuestion(NamedTuple):
    """Everything that decides whether a signal becomes an intent."""

    signal: Signal
    portfolio: Portfolio
    """Legs of the same group that were planned before count as pending."""
    instrument: Instrument
    market: Market
    book: Book | None
    """``None`` where none is young enough to price an order."""
    limits: Limits
    now_ms: int
    stop_price: Decimal | None
    new_id: Callable[[str], str]
    """Makes the id of an ``intent`` or a ``position``."""


class EntryAnswer(NamedTuple):
    """What came of the questions about a signal, one after the other; the first no ends it."""

    refused: Refused | None
    """``None``: it may become an intent."""
    intent: Intent | None
    """As it was asked about; ``None`` where no size was agreed."""
    size: SizeAnswer
    risk: RiskAnswer | None = None
    """``None`` where it was not asked."""
    quantity: Decimal = ZERO
    """Base units after the core's own cuts, before the caps."""
    constraint: str = ""
    price_cap: Decimal = ZERO

    @property
    def kept(self) -> Answer:
        """The answer as it is kept."""
        intent, refused = self.intent, self.refused
        if refused is None:
            assert intent is not None
            return Answer(
                str(Reason.INTENT_CREATED), self.size.by, quantity=intent.quantity, constraint=intent.constraint,
                price_cap=intent.price_cap, caps=intent.caps,
            )  # fmt: skip
        return Answer(
            str(refused.reason), refused.by, refused.limit, refused.value, refused.threshold, refused.unit,
            refused.detail, intent.quantity if intent is not None else None,
            intent.constraint if intent is not None else self.constraint,
            intent.price_cap if intent is not None else None, intent.caps if intent is not None else {},
        )  # fmt: skip


def ask_entry(calls: Calls, question: EntryQuestion) -> EntryAnswer:
    """Ask the sizing guests, then the risk guests, then look at the book: a signal's way to an intent."""
    sized = _sized(calls, question)
    if sized.refused is not None:
        return sized
    intent = _intent(question, sized)
    answer = calls.risk(intent, question.portfolio, question.market)
    asked = sized._replace(intent=intent, risk=answer)
    if not answer.allowed:
        return asked._replace(refused=refusal_by(answer))
    intent = with_caps(intent, dict(answer.caps), question.instrument)
    asked = asked._replace(intent=intent)
    price = floor_to_tick(intent.price, question.instrument.tick_size)
    broken = refusal_of(question.instrument, Side.BUY, intent.quantity, price)
    if broken is not None:
        facts = f"{intent.constraint}: value={broken.value}, threshold={broken.threshold}"
        name = str(broken.reason).lower()
        return asked._replace(refused=Refused(broken.reason, "core", facts, name, broken.value, broken.threshold))
    return asked._replace(refused=against_book(intent, question.book, question.limits))


def _sized(calls: Calls, question: EntryQuestion) -> EntryAnswer:
    """Ask the sizing guests, then cut to free budget and lot."""
    signal, instrument, portfolio = question.signal, question.instrument, question.portfolio
    answer = calls.size(signal, portfolio, instrument, question.market)
    if answer.best is None:
        return EntryAnswer(Refused(Reason.SIZE_MISSING, answer.by or "core", answer.fault), None, answer)
    cap = floor_to_tick(add_bps(signal.price, question.limits.max_slippage_bps), instrument.tick_size)
    most = affordable(instrument, portfolio.free, cap)
    quantity = floor_to_lot(answer.best.quantity, instrument.lot_size)
    constraint = f"{answer.by}: {answer.best.constraint}"
    if quantity <= 0:
        refused = Refused(
            Reason.SIZE_ZERO, answer.by, answer.best.constraint, "quantity", answer.best.quantity, instrument.lot_size
        )
        return EntryAnswer(refused, None, answer)
    if most < quantity:
        quantity, constraint = most, _FREE_BUDGET
    sized = EntryAnswer(None, None, answer, None, quantity, constraint, cap)
    if quantity <= 0:
        facts = f"free={canonical(portfolio.free)}"
        least = times(instrument.lot_size, cap)
        return sized._replace(
            refused=Refused(Reason.BUDGET_EXHAUSTED, "core", facts, "free", portfolio.free, least, portfolio.currency)
        )
    broken = refusal_of(instrument, Side.BUY, quantity, floor_to_tick(signal.price, instrument.tick_size))
    if broken is None:
        return sized
    reason = Reason.BUDGET_EXHAUSTED if constraint == _FREE_BUDGET else broken.reason
    facts = f"{broken.reason}: value={broken.value}, threshold={broken.threshold}"
    return sized._replace(
        refused=Refused(reason, "core", facts, str(broken.reason).lower(), broken.value, broken.threshold)
    )


def _intent(question: EntryQuestion, sized: EntryAnswer) -> Intent:
    signal = question.signal
    return Intent(
        intent_id=IntentId(question.new_id("intent")), signal=signal, symbol=signal.symbol, side=Side.BUY,
        quantity=sized.quantity, price=signal.price, price_ms=signal.price_ms, price_cap=sized.price_cap,
        created_ms=question.now_ms,
        expires_ms=min(signal.expires_ms, question.now_ms + question.limits.intent_ttl_ms),
        constraint=sized.constraint, reduces=False,
        position_id=signal.position_id or PositionId(question.new_id("position")), stop_price=question.stop_price,
    )  # fmt: skip


def against_book(intent: Intent, book: Book | None, limits: Limits) -> Refused | None:
    """Hold an entry against the book of the moment: that there is one, its spread, its best price."""
    if book is None or book.best_ask is None:
        return Refused(Reason.NO_BOOK)
    limit, by = limits.max_spread_bps, "core"
    cap = intent.caps.get("spread_bps_max")
    if cap is not None and cap.value < limit:
        limit, by = cap.value, cap.plugin
    spread = book.spread_bps
    if spread is None or spread > limit:
        shown = "one-sided" if spread is None else f"{spread:.2f}"
        facts = f"spread_bps={shown}, limit={limit}"
        return Refused(Reason.SPREAD_TOO_WIDE, by, facts, "spread_bps", spread, limit, "bps")
    if book.best_ask > intent.price_cap:
        by = intent.caps["slippage_bps_max"].plugin if "slippage_bps_max" in intent.caps else "core"
        facts = f"best_ask={book.best_ask}, cap={intent.price_cap}"
        return Refused(Reason.SLIPPAGE_TOO_WIDE, by, facts, "best_ask", book.best_ask, intent.price_cap, "quote/base")
    return None


def stop_of(hit: Hit) -> Decimal | None:
    """The stop that a hit foresees; ``None`` where it foresees none."""
    stop = hit.stop_price
    return price_of(stop) if math.isfinite(stop) and stop > 0 else None
