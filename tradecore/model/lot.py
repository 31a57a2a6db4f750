"""Lots: which coins were bought when and for how much, and which of them each sale, fee and loss took (R45).

Lots are a pure function of fills and postings, so that nothing is ever counted on the side. First in, first out, and
within an account by owner: what a position sells comes out of its own lots, then out of those that belong to no
position (opening balances, deposits, dust), then out of other positions'. The account's currency is money and has no
lots.

Costs are split exactly: a part costs its quantity times the lot's price, and the last part takes whatever is left, so
that the parts of a lot add up to what was paid, to the last digit.
"""

from __future__ import annotations

import enum
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.model.records import Posting, PostingKind
from tradecore.model.units import ZERO, Side, exact_sum, minus, plus, times

NO_OWNER: Final = ""
"""Owner of what belongs to no position."""


class Why(enum.StrEnum):
    """What took a part of a lot."""

    SALE = "sale"
    PAYMENT = "payment"  # the coin was the quote of a purchase
    FEE = "fee"
    EXTERNAL = "external"
    WITHDRAWAL = "withdrawal"
    DUST = "dust"
    UNKNOWN_DRIFT = "unknown_drift"


_WHY: Final = {
    PostingKind.WITHDRAWAL: Why.WITHDRAWAL,
    PostingKind.DUST: Why.DUST,
    PostingKind.FEE: Why.FEE,
    PostingKind.UNKNOWN_DRIFT: Why.UNKNOWN_DRIFT,
}


class Lot(NamedTuple):
    """Coins that came together, as far as they are still there."""

    lot_id: str
    """Posting id of what brought it."""
    coin: str
    owner: str
    """Position id, or empty."""
    quantity: Decimal
    cost: Decimal | None
    """What is left was paid so, in `cost_currency`; ``None``: nobody knows (opening balances, deposits)."""
    cost_currency: str
    price: Decimal | None
    """Cost of one unit; ``None``: nobody knows."""
    at_ms: int
    number: int = 0
    """Place in the order of arrival."""


class Taken(NamedTuple):
    """A part of a lot that left."""

    lot_id: str
    """Empty where nothing was there to be taken: the ledger is short of the coin."""
    coin: str
    owner: str
    quantity: Decimal
    cost: Decimal | None
    cost_currency: str
    proceeds: Decimal | None
    """What it brought in `proceeds_currency`, fees apart; ``None`` for anything but a sale."""
    proceeds_currency: str
    why: Why
    by: str
    """Posting id of what took it."""
    position_id: str
    """Position whose trade took it; empty where none did."""
    at_ms: int

    @property
    def gain(self) -> Decimal | None:
        """Proceeds less cost, less nothing else; ``None`` where either is not known in one currency."""
        if self.proceeds is None or self.cost is None or self.cost_currency != self.proceeds_currency:
            return None
        return minus(self.proceeds, self.cost)


class Moved(NamedTuple):
    """A part of a lot that a position took along; nothing left the account."""

    coin: str
    owner: str
    """Whose it was."""
    quantity: Decimal
    position_id: str
    """Whose it is."""


class LotTrade(NamedTuple):
    """One trade as the lots see it, ours or somebody else's on the account."""

    posting_id: str
    base: str
    quote: str
    side: Side
    quantity: Decimal
    price: Decimal
    quote_quantity: Decimal
    fee: Decimal
    fee_currency: str
    position_id: str
    at_ms: int
    ours: bool


class _Cause(NamedTuple):
    """What takes a part of a lot: the last four fields of `Taken`."""

    why: Why
    by: str
    position_id: str
    at_ms: int


class _Sale(NamedTuple):
    """What a sale brings, whole or in part."""

    total: Decimal
    price: Decimal
    """Of one unit."""
    currency: str


class LotBook:
    """Lots of one account, built by applying everything in the order in which it happened.

    Args:
        money: The account's currency; it has no lots.
        closed_ms: Position id to the moment of its end: what it left behind is dust from then on.
    """

    def __init__(self, money: str, closed_ms: Mapping[str, int] | None = None) -> None:
        self._money: Final = money
        self._closed_ms: Final = closed_ms or {}
        self._lots: Final[dict[str, dict[str, deque[Lot]]]] = defaultdict(dict)
        self.added: Final[list[Lot]] = []
        """Lots as they came, a fee in the same coin taken off."""
        self.taken: Final[list[Taken]] = []
        self.moved: Final[list[Moved]] = []
        self.short: Final[dict[str, Decimal]] = {}
        """Coin to units that left though no lot had them: coins that were never adopted, sold by somebody else."""

    def lots(self, coin: str | None = None) -> Sequence[Lot]:
        """What is still there, oldest first within each coin."""
        found: list[Lot] = []
        for name in sorted(self._lots) if coin is None else [coin]:
            owners = self._lots.get(name, {})
            found += sorted((lot for lots in owners.values() for lot in lots), key=lambda lot: lot.number)
        return found

    def coins(self) -> Sequence[str]:
        """Coins that have or had lots, or are short."""
        return sorted({*self._lots, *self.short})

    def held(self, coin: str) -> Decimal:
        """Units of all lots less what is short: equals the ledger's balance."""
        return minus(exact_sum(lot.quantity for lot in self.lots(coin)), self.short.get(coin, ZERO))

    def is_dust(self, owner: str, at_ms: int | None = None) -> bool:
        """Tell whether lots of an owner are what a position left behind that has ended, now or at a moment."""
        ended = self._closed_ms.get(owner)
        return ended is not None and (at_ms is None or ended <= at_ms)

    # Changes --------------------------------------------------------------------------------------------------

    def trade(self, trade: LotTrade) -> None:
        """Apply one trade and its fee."""
        sale = _Cause(Why.SALE if trade.ours else Why.EXTERNAL, trade.posting_id, trade.position_id, trade.at_ms)
        fee = sale._replace(why=Why.FEE)
        if trade.side is Side.BUY:
            self._take(trade.quote, trade.quote_quantity, sale._replace(why=Why.PAYMENT), NO_OWNER)
            bought = Lot(
                trade.posting_id, trade.base, trade.position_id, trade.quantity, trade.quote_quantity, trade.quote,
                trade.price, trade.at_ms,
            )  # fmt: skip
        else:
            brought = _Sale(trade.quote_quantity, trade.price, trade.quote)
            self._take(trade.base, trade.quantity, sale, trade.position_id, brought)
            bought = Lot(trade.posting_id, trade.quote, NO_OWNER, trade.quote_quantity, None, "", None, trade.at_ms)
        owner = trade.position_id if trade.fee_currency == trade.base else NO_OWNER
        if trade.fee_currency == self._money:
            pass  # money has no lots
        elif trade.fee > 0 and trade.fee_currency == bought.coin:
            own = min(trade.fee, bought.quantity)  # venues take a fee in what was received out of just that
            bought = self._split(bought, own, fee)
            self._take(bought.coin, minus(trade.fee, own), fee, owner)
        elif trade.fee > 0:
            self._take(trade.fee_currency, trade.fee, fee, owner)
        elif trade.fee < 0:
            rebate = trade.fee.copy_negate()
            lot_id = f"{trade.posting_id}/rebate"
            self._add(Lot(lot_id, trade.fee_currency, owner, rebate, ZERO, trade.quote, ZERO, trade.at_ms))
        self._add(bought)

    def transfer(self, leg: Posting) -> None:
        """Apply coins that came (amount > 0) or went without a trade."""
        if leg.amount > 0:
            self._add(Lot(leg.posting_id, leg.currency, NO_OWNER, leg.amount, None, "", None, leg.at_ms))
        elif leg.amount < 0:
            cause = _Cause(_WHY.get(leg.kind, Why.EXTERNAL), leg.posting_id, NO_OWNER, leg.at_ms)
            self._take(leg.currency, leg.amount.copy_negate(), cause, NO_OWNER)

    def take_along(self, coin: str, quantity: Decimal, owner: str, position_id: str, at_ms: int) -> None:
        """Let a position take dust along: lots change their owner, and keep their moment and cost.

        Args:
            owner: Position that left it; where less of it is there, the rest comes out of what belongs to no position.
        """
        left = quantity
        for lots in self._free(coin, owner, at_ms, but=position_id):
            lot = lots.popleft()
            part = min(left, lot.quantity)
            left = minus(left, part)
            whole = part == lot.quantity
            cost = lot.cost if whole or lot.price is None else times(lot.price, part)
            self.moved.append(Moved(coin, lot.owner, part, position_id))
            taken = lot._replace(owner=position_id, quantity=part, cost=cost)
            owned = [*self._lots[coin].get(position_id, ()), taken]
            self._lots[coin][position_id] = deque(sorted(owned, key=lambda one: one.number))  # first in, first out
            if not whole:
                rest = minus(lot.cost, cost) if lot.cost is not None and cost is not None else None
                lots.appendleft(lot._replace(quantity=minus(lot.quantity, part), cost=rest))
            if not left:
                return

    def _add(self, lot: Lot) -> None:
        if lot.coin != self._money and lot.quantity:
            numbered = lot._replace(number=len(self.added))
            self.added.append(numbered)
            self._lots[lot.coin].setdefault(lot.owner, deque()).append(numbered)

    def _take(self, coin: str, quantity: Decimal, cause: _Cause, owner: str, sale: _Sale | None = None) -> None:
        """Take units out of lots, first in first out.

        Args:
            owner: Position whose own lots come first.
            sale: What the whole brought; ``None``: nothing came for it.
        """
        if coin == self._money or not quantity:
            return
        left = quantity
        for lots in self._sources(coin, owner, cause.at_ms):
            lot = lots.popleft()
            part = min(left, lot.quantity)
            left = minus(left, part)
            got, sale = _share(sale, part, last=not left)
            rest = self._split(lot, part, cause, got)
            if rest.quantity:
                lots.appendleft(rest)
            if not left:
                return
        self.short[coin] = plus(self.short.get(coin, ZERO), left)
        got, _ = _share(sale, left, last=True)
        self._split(Lot("", coin, owner, left, None, "", None, cause.at_ms), left, cause, got)

    def _sources(self, coin: str, owner: str, at_ms: int) -> Iterator[deque[Lot]]:
        """Lots to take from, the next one at the head: the owner's, then nobody's and dust, then other positions'."""
        yield from self._free(coin, owner, at_ms)
        while queues := [lots for lots in self._lots.get(coin, {}).values() if lots]:
            yield min(queues, key=lambda lots: lots[0].number)

    def _free(self, coin: str, owner: str, at_ms: int, *, but: str = "") -> Iterator[deque[Lot]]:
        """The owner's lots, then those of nobody and dust, those of `but` apart."""
        owners = self._lots.get(coin, {})
        if owner:
            while owners.get(owner):
                yield owners[owner]
            owners.pop(owner, None)
        while queues := [
            lots for name, lots in owners.items() if lots and (not name or (name != but and self.is_dust(name, at_ms)))
        ]:
            yield min(queues, key=lambda lots: lots[0].number)

    def _split(self, lot: Lot, part: Decimal, cause: _Cause, got: _Sale | None = None) -> Lot:
        """Take a part out of a lot; what is returned is the rest."""
        rest = minus(lot.quantity, part)
        cost = lot.cost
        if cost is not None and rest:
            assert lot.price is not None, lot
            cost = times(lot.price, part)
        proceeds, currency = (got.total, got.currency) if got is not None else (None, "")
        self.taken.append(Taken(lot.lot_id, lot.coin, lot.owner, part, cost, lot.cost_currency, proceeds, currency,
                                *cause))  # fmt: skip
        left = minus(lot.cost, cost) if lot.cost is not None and cost is not None else None
        return lot._replace(quantity=rest, cost=left)


def _share(sale: _Sale | None, part: Decimal, *, last: bool) -> tuple[_Sale | None, _Sale | None]:
    """What a part brought, and what the rest will; the last part brings whatever is left."""
    if sale is None:
        return None, None
    got = sale.total if last else times(sale.price, part)
    return sale._replace(total=got), sale._replace(total=minus(sale.total, got))
