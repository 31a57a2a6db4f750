"""The ledger as a beancount file: coins with their lots and costs, gains lot by lot, fees, external entries.

Every lot is named by its posting id, so that a sale takes out of the file the very lot that it took out of the books;
beancount then proves the gains anew. The account's currency is money and has no cost.
Source: beancount v3, language syntax: costs and lots, balance assertions, tolerances.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.books import ASSETS
from tradecore.engine.lots import Step, history
from tradecore.engine.proofs import LedgerRows, book_of
from tradecore.model.lot import Lot, LotTrade, Taken, Why
from tradecore.model.records import PostingKind
from tradecore.model.units import ROUNDED, ZERO, Side, canonical, exact_sum, plus, times

_FEES = "Expenses:Fees"
_REALISED = "Income:Realised"
_CONVERSIONS = "Equity:Conversions"
_AGAINST = {
    PostingKind.OPENING: "Equity:Opening-Balances",
    PostingKind.DEPOSIT: "Equity:Deposits",
    PostingKind.WITHDRAWAL: "Equity:Withdrawals",
    PostingKind.EXTERNAL: "Equity:External",
    PostingKind.DUST: "Equity:Dust",
    PostingKind.FEE: _FEES,
    PostingKind.UNKNOWN_DRIFT: "Equity:Unknown-Drift",
}
_ADDED = 28
"""Digits with which beancount adds."""
_WRITTEN = 20
"""Decimals of what balances a transaction."""
_DIGITS = Decimal("1E-12")
"""Beancount multiplies with 28 digits: a price is written so that a product keeps its own."""


class _Line(NamedTuple):
    """One posting: what it says, and what it weighs in which currency."""

    text: str
    weight: Decimal
    currency: str


class _Names:
    """Coins as beancount commodities: capital letters first, no two alike."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, coin: str) -> str:
        """Name a coin; a name that beancount takes stays as it is."""
        if coin not in self._known:
            name = re.sub(r"[^A-Z0-9]", "-", coin.upper()) if coin.isascii() else coin.encode().hex().upper()
            name = name if re.fullmatch(r"[A-Z][A-Z0-9'._-]{0,22}[A-Z0-9]", name) else f"X-{name.strip('-')[:20]}"
            taken = set(self._known.values())
            number = 2
            free = name
            while free in taken:
                free, number = f"{name[:20]}-{number}", number + 1
            self._known[coin] = free
        return self._known[coin]

    @property
    def renamed(self) -> Mapping[str, str]:
        """Commodity to the coin that it stands for, where they differ."""
        return {name: coin for coin, name in self._known.items() if name != coin}


class _File:
    def __init__(self, rows: LedgerRows, account: str) -> None:
        self._rows = rows
        self.names = _Names()
        word = re.sub(r"[^A-Za-z0-9]+", "-", account).strip("-") or "Account"
        self.assets = f"Assets:Venue:{word[:1].upper()}{word[1:]}"
        self.short = f"{self.assets}:Short"
        """What left though it was not there: apart, since a lot that came would be booked against it."""
        book = book_of(rows)
        self._added: dict[str, list[Lot]] = defaultdict(list)
        self._lots = {(lot.lot_id, lot.coin): lot for lot in book.added}
        for lot in book.added:
            self._added[lot.lot_id.removesuffix("/rebate")].append(lot)
        self._taken: dict[str, list[Taken]] = defaultdict(list)
        for part in book.taken:
            self._taken[part.by].append(part)
        self._money: dict[str, Decimal] = defaultdict(Decimal)
        for leg in rows.postings:
            if leg.account == ASSETS and leg.currency == rows.currency:
                self._money[leg.posting_id] = plus(self._money[leg.posting_id], leg.amount)
        self.accounts: set[str] = set()

    def transaction(self, step: Step) -> tuple[int, str]:
        """Write one step; the moment stands first."""
        posting_id, at_ms, narration, rest = _about(step)
        lines = [line for lot in self._added.get(posting_id, ()) for line in self._came(lot, posting_id)]
        for part in self._taken.get(posting_id, ()):
            lines += self._went(part, posting_id, step)
        money = self._money.get(posting_id, ZERO)
        fee = _money_fee(step, self._rows.currency)
        if money:
            lines.append(self._plain(self.assets, money, self._rows.currency))
        if fee:
            lines.append(self._plain(_FEES, fee, self._rows.currency))
        sums: dict[str, Decimal] = {}
        for line in lines:
            sums[line.currency] = plus(sums.get(line.currency, ZERO), line.weight)
        for currency, rest_of_it in sorted(sums.items()):
            if total := _written(rest_of_it):
                sold = isinstance(step, LotTrade) and step.ours and step.side is Side.SELL and currency == step.quote
                against = _REALISED if sold else rest
                lines.append(self._plain(against, total.copy_negate(), currency))
        moment = _moment(at_ms)
        head = f'{moment:%Y-%m-%d} * "{narration}"\n  posting: "{posting_id}"\n  time: "{moment:%H:%M:%S}"\n'
        return at_ms, head + "".join(f"  {line.text}\n" for line in lines)

    def _plain(self, account: str, amount: Decimal, coin: str) -> _Line:
        self.accounts.add(account)
        return _Line(f"{account}  {canonical(amount)} {self.names.of(coin)}", amount, coin)

    def _came(self, lot: Lot, posting_id: str) -> Iterable[_Line]:
        self.accounts.add(self.assets)
        units = f"{canonical(lot.quantity)} {self.names.of(lot.coin)}"
        if lot.price is None:
            yield _Line(f"{self.assets}  {units}", lot.quantity, lot.coin)
            return
        weight = times(lot.quantity, _short(lot.price))
        yield _Line(f"{self.assets}  {units} {self._named(lot.lot_id, lot.coin)}", weight, lot.cost_currency)

    def _named(self, lot_id: str, coin: str) -> str:
        """Name a lot in full: its label alone is not enough where coins without a cost lie beside it."""
        lot = self._lots[lot_id, coin]
        assert lot.price is not None, lot
        paid = f"{canonical(_short(lot.price))} {self.names.of(lot.cost_currency)}"
        return f'{{{paid}, {_moment(lot.at_ms):%Y-%m-%d}, "{lot.lot_id}"}}'

    def _went(self, part: Taken, posting_id: str, step: Step) -> Iterable[_Line]:
        self.accounts.add(self.assets)
        units = f"{canonical(part.quantity)} {self.names.of(part.coin)}"
        own = part.lot_id == posting_id  # a fee out of what was just received: it never became part of the lot
        price = self._price(part)
        source = self.assets if part.lot_id else self.short
        if own and price is not None:
            self.accounts.add(_FEES)
            cost = f"@ {canonical(price)} {self.names.of(part.cost_currency)}"
            yield _Line(f"{_FEES}  {units} {cost}", times(part.quantity, price), part.cost_currency)
        elif own:
            yield self._plain(_FEES, part.quantity, part.coin)
        elif price is not None:
            weight = times(part.quantity, price).copy_negate()
            yield _Line(f"{self.assets}  -{units} {self._named(part.lot_id, part.coin)}", weight, part.cost_currency)
            if part.why is Why.FEE:
                yield self._plain(_FEES, weight.copy_negate(), part.cost_currency)
        elif part.why is Why.SALE and isinstance(step, LotTrade):
            at = _short(step.price)
            weight = times(part.quantity, at).copy_negate()
            self.accounts.add(source)
            yield _Line(f"{source}  -{units} @ {canonical(at)} {self.names.of(step.quote)}", weight, step.quote)
        else:
            yield self._plain(source, part.quantity.copy_negate(), part.coin)
            if part.why is Why.FEE:
                yield self._plain(_FEES, part.quantity, part.coin)

    def _price(self, part: Taken) -> Decimal | None:
        """Unit cost of the lot that a part came from, as the lot was written; ``None``: it has none."""
        if not part.lot_id or part.cost is None:
            return None
        lot = self._lots.get((part.lot_id, part.coin))
        if lot is not None:
            return _short(lot.price) if lot.price is not None else None
        return _short(ROUNDED.divide(part.cost, part.quantity))  # the fee took all that was received


def beancount_text(rows: LedgerRows, account: str) -> str:
    """Write a file that `bean-check` accepts.

    Args:
        account: The account's name.
    """
    file = _File(rows, account)
    written = [file.transaction(step) for step in history(rows.fills, rows.postings)]
    first = min((at_ms for at_ms, _ in written), default=0)
    last = max((at_ms for at_ms, _ in written), default=0)
    out = [
        "; written by tradecore ledger export",
        'option "title" "tradecore"',
        f'option "operating_currency" "{file.names.of(rows.currency)}"',
        'option "inferred_tolerance_default" "*:0.00000001"',
        "",
    ]
    opened = f"{_moment(first):%Y-%m-%d}"
    out += [f"{opened} open {name}" for name in sorted(file.accounts)]
    # an opening may bear a later moment than a trade of another clock: the file must be in the order of the books
    body, floor = [], first
    for at_ms, text in written:
        body.append(text if at_ms >= floor else f"{_moment(floor):%Y-%m-%d}{text[10:]}")
        floor = max(floor, at_ms)
    out += ["", *body]
    out += _balances(rows, file, _moment(last) + timedelta(days=1))
    commodities = [f'{opened} commodity {name}\n  coin: "{coin}"' for name, coin in sorted(file.names.renamed.items())]
    return "\n".join([*out[:5], *commodities, *out[5:]]) + "\n"


def _balances(rows: LedgerRows, file: _File, at: datetime) -> Sequence[str]:
    lines = []
    for (account, coin), amount in sorted(rows.balances.items()):
        if account == ASSETS:
            told = f"{canonical(amount)}{_tolerance(rows, coin)} {file.names.of(coin)}"
            lines.append(f"{at:%Y-%m-%d} balance {file.assets}  {told}")
    for coin, held in sorted(rows.venue.coins.items()) if rows.venue is not None else ():
        if held.price is not None and coin != rows.currency:
            currency = file.names.of(rows.currency)
            lines.append(f"{at:%Y-%m-%d} price {file.names.of(coin)}  {canonical(held.price)} {currency}")
    return lines


def _tolerance(rows: LedgerRows, coin: str) -> str:
    """The difference to allow where a coin's amounts need more digits than beancount adds with; empty: none."""
    amounts = [leg.amount for leg in rows.postings if leg.currency == coin and leg.account == ASSETS and leg.amount]
    if not amounts:
        return ""
    largest = exact_sum(amount.copy_abs() for amount in amounts).adjusted()
    smallest = min(int(amount.as_tuple().exponent) for amount in amounts)
    if largest - smallest + 1 <= _ADDED:
        return ""
    return f" ~ {canonical(Decimal(1).scaleb(largest - _ADDED + 4))}"


def _about(step: Step) -> tuple[str, int, str, str]:
    """Posting id, moment, what is said of it, and the account of what is left over."""
    if isinstance(step, LotTrade):
        what = f"{step.side} {canonical(step.quantity)} {step.base} at {canonical(_short(step.price))} {step.quote}"
        rest = _CONVERSIONS if step.ours else _AGAINST[PostingKind.EXTERNAL]
        return step.posting_id, step.at_ms, what if step.ours else f"external: {what}", rest
    leg = step[0]
    return leg.posting_id, leg.at_ms, str(leg.kind), _AGAINST[leg.kind]


def _money_fee(step: Step, currency: str) -> Decimal:
    """A fee of ours that was paid in money; what others paid on the account is part of their entry."""
    return step.fee if isinstance(step, LotTrade) and step.ours and step.fee_currency == currency else ZERO


def _short(price: Decimal) -> Decimal:
    """A price to 12 decimals where it has more: quotients have, prices of a venue have not."""
    return price if price == price.quantize(_DIGITS, context=ROUNDED) else price.quantize(_DIGITS, context=ROUNDED)


def _written(total: Decimal) -> Decimal:
    """What balances a transaction: beancount multiplies with 28 digits, and allows half of the last one of a line."""
    if int(total.as_tuple().exponent) >= -_WRITTEN:
        return total
    return total.quantize(Decimal(1).scaleb(-_WRITTEN), context=ROUNDED)


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)
