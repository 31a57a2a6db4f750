"""What the ledger's commands show: all rows of one moment, and a line per coin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from tradecore.cli.kept import find
from tradecore.engine.books import ASSETS
from tradecore.engine.proofs import LedgerRows, book_of
from tradecore.engine.venuebook import VENUE_BALANCES, load_venue_book
from tradecore.errors import StateFolderError
from tradecore.model.intent import INTENT_LIVE
from tradecore.model.units import ZERO, exact_sum, minus, times
from tradecore.store.queries import Reader, open_reader

_ALL = 10**12


class Read(NamedTuple):
    """A state folder's ledger."""

    folder: Path
    account: str
    rows: LedgerRows
    external: Sequence[tuple[str, str, int]]
    """Orders that are not ours: the venue's id, what it is, when it was seen."""
    prices_ms: int | None
    """Market time of the newest comparison with the venue; ``None``: there was none."""


class LotLine(NamedTuple):
    """A lot as it is shown."""

    lot_id: str
    coin: str
    owner: str
    """Position id; empty: the account's own."""
    dust: bool
    quantity: Decimal
    cost: Decimal | None
    cost_currency: str
    at_ms: int


class CoinLine(NamedTuple):
    """A coin as it is shown; amounts are units of it unless said otherwise."""

    coin: str
    balance: Decimal
    reserved: Decimal
    locked: Decimal | None
    """At the venue, as last read; ``None``: not known."""
    dust: Decimal
    cost: Decimal | None
    """Of its lots in the account's currency; ``None``: not of all lots known."""
    price: Decimal | None
    value: Decimal | None
    """In the account's currency; ``None``: no price."""
    unrealised: Decimal | None
    lots: tuple[LotLine, ...]


def read_ledger(state: Path) -> Read:
    """Read a state folder's ledger as it is at one moment.

    Raises:
        StateFolderError: If there is none, or nothing has run on it yet.
    """
    kept = find(state)
    with open_reader(kept.store) as reader, reader.one_moment():
        run = reader.last_run()
        if run is None:
            raise StateFolderError(f"expected a run in {kept.folder}, was a state on which nothing has run")
        fact = reader.memory(VENUE_BALANCES).get(VENUE_BALANCES)
        venue = load_venue_book(fact.text) if fact is not None else None
        currency = venue.currency if venue is not None else _currency(reader)
        live = [row for state_ in sorted(INTENT_LIVE) for row in reader.intents(_ALL, state=state_)]
        rows = LedgerRows(
            currency, tuple(reversed(reader.trades(_ALL))), reader.postings(), reader.positions(_ALL), live,
            reader.reservations(), reader.balances(), venue,
        )  # fmt: skip
        return Read(kept.folder, run.account, rows, reader.external_orders(), venue.read_ms if venue else None)


def _currency(reader: Reader) -> str:
    """The account's currency, from the newest snapshot of a state that was never compared with its venue.

    Raises:
        StateFolderError: If there is none.
    """
    fact = reader.memory("status").get("status")
    if fact is None:
        raise StateFolderError("expected a state that names its currency, was one whose first start did not end")
    return str(json.loads(fact.text)["currency"])


def coin_lines(rows: LedgerRows) -> tuple[CoinLine, ...]:
    """Make a line for each coin that is or was owned, the account's currency first."""
    book = book_of(rows)
    coins = {coin for account, coin in rows.balances if account == ASSETS}
    lines = []
    for coin in sorted(coins, key=lambda name: (name != rows.currency, name)):
        lots = book.lots(coin)
        shown = tuple(
            LotLine(
                lot.lot_id, lot.coin, lot.owner, book.is_dust(lot.owner), lot.quantity, lot.cost, lot.cost_currency,
                lot.at_ms,
            )
            for lot in lots
        )  # fmt: skip
        balance = rows.balances.get((ASSETS, coin), ZERO)
        held = rows.venue.coins.get(coin) if rows.venue is not None else None
        price = Decimal(1) if coin == rows.currency else held.price if held is not None else None
        priced = lots and all(lot.cost is not None and lot.cost_currency == rows.currency for lot in lots)
        cost = exact_sum(lot.cost for lot in lots if lot.cost is not None) if priced else None
        value = times(balance, price) if price is not None else None
        lines.append(
            CoinLine(
                coin, balance, exact_sum(r.held for r in rows.reservations if r.currency == coin),
                held.locked if held is not None else None,
                exact_sum(line.quantity for line in shown if line.dust), cost, price, value,
                minus(value, cost) if value is not None and cost is not None else None, shown,
            )
        )  # fmt: skip
    return tuple(lines)
