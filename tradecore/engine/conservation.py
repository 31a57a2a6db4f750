"""Conservation: the ledger is what the venue holds, coin by coin, or the difference has a name (R46, INV-10).

What counts as a difference is found by `compare`. It is judged: the venue's own trades are read first, and book what
they explain (fills of ours that were missed, trades of others). The rest is classified (`classify`). Coins that came
are booked as what they are; coins that went stop entries until an operator resumes, and are booked then. A coin that
the answer does not name is never taken for zero, and never booked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from tradecore.engine.classify import DriftKind, Gaps, classify, unnamed_fee
from tradecore.engine.compare import Comparison, Seen
from tradecore.engine.desk import Desk, Transaction
from tradecore.engine.foreign import LEDGER_OPENED
from tradecore.engine.ledger import entry_event, transfer
from tradecore.engine.money import VenueMoney
from tradecore.engine.resolve import Resolver
from tradecore.engine.settle import Booked, Settler
from tradecore.engine.state import change_trading_state
from tradecore.engine.transfers import Moved, TransferLists, explained, shown
from tradecore.engine.venuebook import VENUE_BALANCES, dump_venue_book
from tradecore.model.events import ConservationProof, Drift
from tradecore.model.fill import VenueTrade
from tradecore.model.portfolio import TradingState
from tradecore.model.records import Memory, PostingKind
from tradecore.model.units import ZERO, Side, canonical, decimal_of, exact_sum, minus, plus, times

_SETTLE_MS: Final = 5_000
"""Balances lag fills at some venues: a coin is judged so long after its newest fill, at least (F24)."""
_BOOK_MS: Final = 60_000
"""What no trade explains is booked so long after the coin's newest fill, at least: a lag must never become an entry."""
_PROVE_MS: Final = 15_000
"""How long a proof may wait for an answer that stands, beyond the venue's read lag."""
_REST_S: Final = 0.05
"""Before the last look of a run at what trades have left unexplained."""
_BACK_MS: Final = 30 * 86_400_000
"""How far back trades are read for a difference, where the coin has not agreed in this run: as far as venues show."""
_SWEEPS_MAX: Final = 20
"""Symbols whose trades one judgement reads."""
_FOUND_MAX: Final = 1_000
_POSTED: Final = {
    DriftKind.DEPOSIT: PostingKind.DEPOSIT,
    DriftKind.DUST: PostingKind.DUST,
    DriftKind.FEE: PostingKind.FEE,
}
"""What is booked on evidence alone, and stops nothing."""
_ACCEPTED: Final = {
    DriftKind.WITHDRAWAL: PostingKind.WITHDRAWAL,
    DriftKind.UNKNOWN: PostingKind.UNKNOWN_DRIFT,
}
"""What is booked once an operator has resumed."""
_LISTED: Final = {DriftKind.DEPOSIT, DriftKind.WITHDRAWAL, DriftKind.MISSING_CURRENCY}
"""What a list of deposits and withdrawals could have told."""
_ALARM: Final = "drift"
"""Fact: the differences that stopped entries."""


class Conservation:
    """Judges, books, alarms. One look at a time."""

    def __init__(self, desk: Desk, settler: Settler, resolver: Resolver, money: VenueMoney) -> None:
        self._desk = desk
        self._resolver = resolver
        self._money = money
        self._comparison = Comparison(desk, money)
        self._lock = asyncio.Lock()
        self._kinds: dict[str, tuple[DriftKind, str]] = {}
        """Coin to what its difference was judged to be, and why."""
        self._judged: dict[str, Seen] = {}
        """Coin to the difference whose trades were read to the end."""
        self._found: deque[Drift] = deque(maxlen=_FOUND_MAX)
        """What was explained since the last proof."""
        self._alarmed = ""
        self._lists = TransferLists(desk)
        self._told: dict[str, list[Moved]] = {}
        """Coin to the deposits or withdrawals that the venue's lists name for its difference."""
        self._unfeed: dict[str, Decimal] = {}
        """Coin to the fees that fills since its last clean look should have named, and did not."""
        self._sweeping = False
        settler.listeners.append(self._fills)
        settler.outsiders.append(self._external)

    @property
    def unexplained(self) -> Mapping[str, Decimal]:
        """Coin to venue less ledger, where it counts and is nothing that may simply be booked."""
        standing = self._comparison.standing
        return {coin: gap for coin, gap in standing.items() if self._kinds.get(coin, ("",))[0] not in _POSTED}

    def drift_value(self) -> Decimal:
        """Unexplained differences in the account's currency, all counted as positive; a coin without a price as 1."""
        config = self._desk.config
        parts = []
        for coin, gap in self.unexplained.items():
            rate = self._desk.rate(coin, config.currency)
            parts.append(times(gap.copy_abs(), rate if rate is not None else decimal_of(1)))
        return exact_sum(parts)

    # Looks ----------------------------------------------------------------------------------------------------

    async def look(self, when: str, missing: list[str]) -> Mapping[str, Decimal]:
        """Read the balances once, and judge what counts.

        Args:
            when: ``start``, ``running`` or ``end``.
            missing: Gets ``balances`` where there was no answer.
        Returns:
            Coin to venue less ledger, as found, before anything was booked; at the end what trades left of it.
        """
        async with self._lock:
            unread: list[str] = []
            found = await self._comparison.look(unread, 0 if when == "end" else _SETTLE_MS)
            if not unread and not await self._judge(when) and when == "end":
                await self._desk.clock.sleep(_REST_S)  # what was booked now is no part of an answer of now
                found = await self._comparison.look(unread, 0)  # no later look will name the rest
            missing += unread
            return found

    async def prove(self) -> None:
        """Look until the answer stands, judge it, and book the proof: the job of each `conservation_s` (R46)."""
        clock = self._desk.clock
        until_ms = clock.now_ms() + self._desk.venue.timing.read_lag_ms + _PROVE_MS
        looks = 0
        while True:
            missing: list[str] = []
            late = clock.now_ms() >= until_ms or bool(self._desk.stopping)
            # not held while it waits: other looks, the last one of a run above all, go on meanwhile
            async with self._lock:
                found = await self._comparison.look(missing, _SETTLE_MS)
                looks += 1
                stands = all(self._comparison.standing.get(coin) == gap for coin, gap in found.items())
                # what a trade explains in part is looked at again: the rest has a name of its own
                if missing or ((stands or late) and (await self._judge("running") or late)):
                    async with self._desk.transaction() as work:
                        self.put_proof(work, "running", looks, missing)
                    return
            await clock.sleep(min(2.0 ** (looks - 1), 8.0))

    # Judgement ------------------------------------------------------------------------------------------------

    async def _judge(self, when: str) -> bool:
        """Find out what differences that count are, once for each; alarm what nothing explains.

        Returns:
            False where trades that were booked on the way left a rest, which another look must see first.
        """
        whole = True
        self._drop_what_is_gone()
        await self._leave_to_others()
        standing = self._comparison.standing
        if any(self._judged.get(coin) != seen for coin, seen in self._comparison.seen().items()):
            # nothing looks again after the end: there a single lost answer is no reason to leave coins unexplained
            answered = await self._read_trades() or (when == "end" and await self._read_trades())
            for coin, gap in list(standing.items()):
                if self._comparison.gap(coin) != gap or self._money.moved_within(coin, 0):
                    whole = whole and not self._comparison.gap(coin)
                    self._comparison.forget(coin)  # a trade explained it, or a part: the next look sees what is left
            await self._ask_lists()
            self._kinds = dict(self._classified(answered=answered))
            self._judged = self._comparison.seen() if answered else {}
        elif self._lists.due(self._comparison.seen()):
            await self._ask_lists()
            self._kinds = dict(self._classified(answered=True))
        if when != "end":
            whole = await self._book(_POSTED, {coin for coin in standing if self._is_ripe(coin)}) and whole
            await self._accept()
        await self._alarm(when)
        return whole

    def _drop_what_is_gone(self) -> None:
        """Forget the judgement of differences that no longer stand, and fees that a clean look proved paid."""
        standing = self._comparison.standing
        seen = self._comparison.seen()
        self._judged = {coin: judged for coin, judged in self._judged.items() if seen.get(coin) == judged}
        self._kinds = {coin: kind for coin, kind in self._kinds.items() if coin in standing}
        near = self._near()
        for coin in [c for c in self._unfeed if c not in near and not self._money.moved_within(c, _SETTLE_MS)]:
            del self._unfeed[coin]

    async def _ask_lists(self) -> None:
        seen = self._comparison.seen()
        if self._lists.due(seen):
            await self._lists.ask(seen)

    def _is_ripe(self, coin: str) -> bool:
        """Tell whether a difference has stood for long enough to become an entry: what has a name has."""
        if coin in self._told:
            return True
        kind, suspect = self._kinds.get(coin, (DriftKind.UNKNOWN,))[0], self._comparison.suspects.get(coin)
        waits = kind is DriftKind.DEPOSIT and suspect is not None and self._lists.waits(suspect.since_ms)
        return not waits and not self._money.moved_within(coin, _BOOK_MS)

    def _classified(self, *, answered: bool) -> Mapping[str, tuple[DriftKind, str]]:
        standing = self._comparison.standing
        self._told = explained(self._lists, standing, self._comparison.clean, whole=not answered)
        found: dict[str, tuple[DriftKind, str]] = {}
        for coin, kind in self._named_by_rule(answered=answered).items():
            found[coin] = (kind[0], f"{kind[1]}; {self._lists.said}") if kind[0] in _LISTED else kind
        for coin, moves in self._told.items():
            came = any(moved.amount > 0 for moved in moves)
            found[coin] = (DriftKind.DEPOSIT if came else DriftKind.WITHDRAWAL, shown(moves))
        return found

    def _named_by_rule(self, *, answered: bool) -> Mapping[str, tuple[DriftKind, str]]:
        books = self._desk.books
        held = frozenset(p.symbol.partition("/")[0] for p in books.positions.values())
        named = frozenset(self._money.balances or {})
        rest = {coin: gap for coin, gap in self._comparison.standing.items() if coin not in self._told}
        return classify(Gaps(rest, named, self._unfeed, books.dust, held), trades_answered=answered)

    async def _read_trades(self) -> bool:
        """Read the trades that could explain differences; what they explain is booked on the way.

        Returns:
            True where every symbol answered and no trade waits for an unproven order.
        """
        answered = True
        self._sweeping = True
        try:
            for symbol in self._symbols(set(self._comparison.standing)):
                since_ms = self._unread_since_ms(symbol)
                waiting = await self._resolver.sweep(symbol, since_ms)
                if waiting is not None and not waiting and self._is_unmoved(symbol):
                    # its cursor may have gone over it: ids come out of order, and a first read began too late
                    waiting = await self._resolver.sweep_by_time(symbol, since_ms)
                answered = answered and waiting is not None and not waiting
        finally:
            self._sweeping = False
        return answered

    def _unread_since_ms(self, symbol: str) -> int:
        """The moment before which no trade on a symbol can be missing: its coins have both agreed since."""
        desk, clean = self._desk, self._comparison.clean
        opened = int(desk.recall(LEDGER_OPENED) or 0)
        agreed = min(clean.get(coin, 0) for coin in symbol.split("/"))
        begun = max(opened, agreed or desk.clock.now_ms() - _BACK_MS)
        return max(0, begun - desk.venue.timing.read_lag_ms - _BOOK_MS)

    def _is_unmoved(self, symbol: str) -> bool:
        """Tell whether a trade on a symbol is still missing by all we know: it would have moved both of its coins."""
        standing, pair = self._comparison.standing, symbol.split("/")
        same = [c for c in pair if c in standing and self._comparison.gap(c) == standing[c]]
        return set(pair) <= self._near() and any(not self._money.moved_within(coin, 0) for coin in same)

    def _near(self) -> set[str]:
        """Coins that differ, or that cannot be compared now."""
        return set(self._comparison.suspects) | self._comparison.busy()

    def _symbols(self, coins: set[str]) -> Sequence[str]:
        """Symbols on which a trade could have made these differences: both of its coins differ, or are busy.

        Then those traded of late: a purchase and a sale of the same quantity leave a difference in one coin only.
        """
        desk = self._desk
        near = self._near()
        found = []
        for symbol, instrument in desk.instruments.items():
            pair = {instrument.base, instrument.quote}
            if pair & coins and pair <= near:
                found.append(symbol)
        recent = [p.symbol for p in desk.books.positions.values()]
        recent += [p.symbol for p in reversed(desk.books.closed)]
        traded = [fact for key, fact in desk.books.memory.items() if key.startswith("cursor/")]
        recent += [fact.key.removeprefix("cursor/") for fact in sorted(traded, key=lambda fact: -fact.at_ms)]
        found += [symbol for symbol in recent if coins.intersection(self._comparison.coins_of(symbol))]
        return list(dict.fromkeys(found))[:_SWEEPS_MAX]

    def _fills(self, booked: Sequence[Booked]) -> None:
        """Take note of fills that nobody knew of, and of fees that a trade does not name."""
        for one in booked:
            trade = one.fill.trade
            if self._sweeping:
                self._name(trade, "missed_fill", f"trade {trade.venue_trade_id} of {trade.symbol}, our order")
            instrument = self._desk.instruments.get(trade.symbol)
            if instrument is not None and not trade.fee:
                coin, amount = unnamed_fee(instrument, trade, self._desk.rate)
                self._unfeed[coin] = plus(self._unfeed.get(coin, ZERO), amount)

    def _external(self, trades: Sequence[VenueTrade]) -> None:
        for trade in trades:
            for coin in (*trade.symbol.split("/"), trade.fee_currency):
                self._money.touched(coin)
            self._name(trade, "external", f"trade {trade.venue_trade_id} of {trade.symbol}, not our order")

    def _name(self, trade: VenueTrade, kind: str, text: str) -> None:
        base, _, quote = trade.symbol.partition("/")
        quantity, quoted = trade.quantity, trade.quote_quantity
        buys = trade.side is Side.BUY
        moved = {base: quantity, quote: quoted.copy_negate()} if buys else {base: quantity.copy_negate(), quote: quoted}
        if trade.fee:
            moved[trade.fee_currency] = minus(moved.get(trade.fee_currency, ZERO), trade.fee)
        self._found += [Drift(coin, kind, amount, "booked", text) for coin, amount in moved.items()]

    # What is booked and told ----------------------------------------------------------------------------------

    async def _leave_to_others(self) -> None:
        """Follow coins that were never adopted and of which the ledger holds none: they are not ours to judge."""
        desk, standing, ignored = self._desk, self._comparison.standing, self._comparison.ignored()
        theirs = {c: gap for c, gap in standing.items() if not desk.books.balance(c) and c in ignored}
        if not theirs:
            return
        async with desk.transaction() as work:
            for coin, gap in theirs.items():
                left = plus(ignored[coin], gap)
                work.put(Memory(f"ignored/{coin}", canonical(left) if left else "", desk.clock.now_ms()))
        for coin, gap in theirs.items():
            self._found.append(Drift(coin, "external", gap, "not adopted", "coins that were never adopted"))
            self._comparison.forget(coin)

    async def _book(self, posted: Mapping[DriftKind, PostingKind], coins: set[str], by: str = "") -> bool:
        """Book differences of some kinds as entries of their own.

        Returns:
            False where the venue's lists named a part only: the rest is for another look.
        """
        desk, standing, whole = self._desk, self._comparison.standing, True
        wanted = {coin: kind for coin, (kind, _) in self._kinds.items() if kind in posted and coin in coins}
        if not wanted:
            return True
        done: dict[str, tuple[Decimal, str]] = {}
        async with desk.transaction() as work:
            for coin, kind in wanted.items():
                if self._comparison.gap(coin) == standing[coin]:  # else something was booked while this waited
                    done[coin] = self._put_entries(work, coin, kind, posted[kind])
        for coin, (amount, how) in done.items():
            kind, text = self._kinds[coin]
            why = f"{text}; accepted by {by}" if by else text
            whole = whole and amount == standing[coin]
            self._found.append(Drift(coin, str(kind), amount, how, why))
            desk.alert("drift_explained", "info", f"{_shown(coin, amount)} {how} as {kind}: {why}")
            self._unfeed.pop(coin, None)
            self._comparison.forget(coin)
        return whole

    def _put_entries(self, work: Transaction, coin: str, kind: DriftKind, posted: PostingKind) -> tuple[Decimal, str]:
        """Put the entries of one difference: one for each transfer that has a name, else one for the whole.

        Returns:
            Units, and what was done with them.
        """
        config, lists, now = self._desk.config, self._lists, self._desk.clock.now_ms()
        moves = self._told.get(coin, [])
        amount = exact_sum(moved.amount for moved in moves) if moves else self._comparison.standing[coin]
        if kind in _LISTED and not moves:
            work.put(lists.close(coin, self._money.read_ms))
        if kind is DriftKind.DEPOSIT and not config.adopt_balances and coin != config.currency:
            ignored = plus(self._comparison.ignored().get(coin, ZERO), amount)
            work.put(Memory(f"ignored/{coin}", canonical(ignored), now))
            if moves:
                work.put(lists.close(coin, max(moved.transfer.at_ms for moved in moves)))
            return amount, "not adopted"
        entries = [transfer(lists.posting_id(m), coin, m.amount, m.kind, lists.moment_of(m)) for m in moves]
        entries = entries or [transfer(f"{posted}/{config.account}/{coin}/{now}", coin, amount, posted, now)]
        for legs in entries:
            work.put(*legs)
            work.tell(entry_event(legs))
        return amount, "booked"

    async def _accept(self) -> None:
        """Book what had stopped entries once an operator has resumed, knowing of it: that is his word for it."""
        desk = self._desk
        trading, alarm = desk.books.trading, desk.books.memory.get(_ALARM)
        if alarm is None or trading.state is not TradingState.ACTIVE or trading.actor == "core":
            return
        known = set(alarm.text.split(", "))
        if trading.since_ms > alarm.at_ms and all(_shown(coin, gap) in known for coin, gap in self.unexplained.items()):
            await self._book(_ACCEPTED, set(self.unexplained), by=trading.actor)

    async def _alarm(self, when: str) -> None:
        """Stop entries where more is unexplained than may be; exits go on (R33)."""
        desk = self._desk
        if self.drift_value() <= desk.config.unknown_drift_max:
            self._alarmed = ""
            if desk.recall(_ALARM) and when == "running":
                await desk.remember(_ALARM, "")
            return
        shown = ", ".join(_shown(coin, gap) for coin, gap in self.unexplained.items())
        if shown == self._alarmed:
            return
        self._alarmed = shown
        kinds = "; ".join(f"{coin} {kind}: {text}" for coin, (kind, text) in self._kinds.items())
        desk.alert("unexplained_drift", "critical", f"{shown} ({kinds})")
        # at the end nothing trades any more, and the next start compares anew: no state is left behind
        if when == "end" or shown == desk.recall(_ALARM):
            return
        await desk.remember(_ALARM, shown)
        if desk.books.trading.state is TradingState.ACTIVE:
            await change_trading_state(desk, TradingState.REDUCING, "core", f"unexplained difference: {shown}")

    def put_proof(self, work: Transaction, when: str, looks: int, missing: Sequence[str]) -> None:
        """Put the proof, and what the venue held for readers beside the process, into a transaction."""
        comparison, known = self._comparison, self._money.balances is not None
        seen = {coin: suspect for coin, suspect in comparison.suspects.items() if coin not in comparison.standing}
        drift = list(self._found)
        self._found.clear()
        for coin, gap in comparison.standing.items():
            kind, text = self._kinds.get(coin, (DriftKind.UNKNOWN, "not judged yet"))
            drift.append(Drift(coin, str(kind), gap, "named", text))
        for coin, suspect in seen.items():
            drift.append(Drift(coin, str(DriftKind.UNKNOWN), suspect.gap, "named", f"seen {suspect.looks} x so far"))
        busy = comparison.busy()
        ok = known and not missing and not self.unexplained and not seen
        work.tell(
            ConservationProof(
                when, ok, len(comparison.coins() - busy) if known else 0, looks, tuple(drift), tuple(sorted(busy)),
                tuple(missing), self.drift_value(), self._money.age_ms if known else -1,
            )
        )  # fmt: skip
        if known and not missing:
            kinds = {coin: str(kind) for coin, (kind, _) in self._kinds.items() if coin in comparison.standing}
            kinds |= {coin: str(DriftKind.UNKNOWN) for coin in seen}
            text = dump_venue_book(comparison.venue_book(kinds))
            work.put(Memory(VENUE_BALANCES, text, self._desk.clock.now_ms()))


def _shown(coin: str, gap: Decimal) -> str:
    return f"{coin} {canonical(gap)}"
