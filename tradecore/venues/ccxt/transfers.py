"""Deposits and withdrawals at one exchange: evidence for differences of balances, never a way to move anything.

ccxt's parser reads the rows; a row counts only where the raw answer holds its id, and with a status that is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tradecore.errors import RetryableVenueError, UnitError
from tradecore.model.units import ZERO, canonical, decimal_of
from tradecore.ports.limiter import Priority
from tradecore.ports.venue import CoinTransfer
from tradecore.venues.ccxt.client import Asked, Client
from tradecore.venues.ccxt.parsed import says_none, texts_in
from tradecore.venues.payload import parse_json

_SPAN_MS: Final = 80 * 86_400_000
"""Binance and MEXC answer for 90 days at most."""
_WEIGHT: Final = 10
"""The dearest that is known of such a list; Binance counts withdrawals per account, 10 requests a minute."""
_LISTS: Final = (("deposits", "fetchDeposits"), ("withdrawals", "fetchWithdrawals"))
_CAME: Final = frozenset({"ok"})
_WENT: Final = frozenset({"ok", "pending"})
"""What was asked for has left the free balance, whether or not the chain has it."""


async def read_transfers(client: Client, since_ms: int) -> Sequence[CoinTransfer] | None:
    """Read both lists, oldest first.

    Args:
        since_ms: Venue's time from which on.
    Returns:
        ``None`` where ccxt knows no such lists of the exchange.
    Raises:
        RetryableVenueError: If no usable answer came.
        VenueRefused: If the venue said no: the key may not read them.
    Source: Binance ``GET /sapi/v1/capital/deposit/hisrec`` and ``.../withdraw/history``; MEXC
        ``GET /api/v3/capital/deposit/hisrec`` and ``.../withdraw/history``.
    """
    if not all(client.exchange.has.get(feature) for _, feature in _LISTS):
        return None
    since = max(since_ms, client.clock.now_ms() + client.offset_ms - _SPAN_MS)
    found: list[CoinTransfer] = []
    for what, _ in _LISTS:
        await client.turn("transfers", Priority.RECONCILE, _WEIGHT)
        came = what == "deposits"

        def call(exchange: Any, came: bool = came) -> Any:
            read = exchange.fetch_deposits if came else exchange.fetch_withdrawals
            return read(None, since)

        asked = await client.ask(what, "", call)
        try:
            found += _rows(client.usable(asked, what), asked, came=came)
        except ValueError as error:
            raise RetryableVenueError(f"{what}: {error}") from error
    return _named_apart(found)


def _rows(rows: Any, asked: Asked, *, came: bool) -> Sequence[CoinTransfer]:
    if not isinstance(rows, list):
        raise UnitError(f"expected a list, was {type(rows).__name__}")
    if not rows and not says_none(asked.read.body):
        raise UnitError("expected a list, was none")
    said = texts_in(parse_json(asked.read.body))
    found = (transfer_of(row, said, came=came) for row in rows)
    return [one for one in found if one is not None]


def transfer_of(row: Any, said: frozenset[str], *, came: bool) -> CoinTransfer | None:
    """Read one row of ccxt's.

    Args:
        said: Texts of the whole raw answer.
        came: True for a deposit.
    Returns:
        ``None`` where it has not moved the balance, or has no id that the venue sent: that proves nothing.
    Raises:
        UnitError: If it has moved the balance, and nobody can tell by how much.
    """
    raw = row.get("info") if isinstance(row, Mapping) else row
    if not isinstance(raw, Mapping):
        raise UnitError(f"expected a deposit or withdrawal, was {type(raw).__name__}")
    if row.get("status") not in (_CAME if came else _WENT):
        return None
    names = [row.get("id"), raw.get("txId"), row.get("txid")]
    named = next((str(name) for name in names if name and str(name) in said), "")
    coin, at_ms = row.get("currency"), row.get("timestamp")
    if not named or not coin or not isinstance(at_ms, int):
        return None
    amount = _amount(row, "amount")
    fee = row.get("fee")
    taken = ZERO
    if isinstance(fee, Mapping) and fee.get("cost") is not None and fee.get("currency") in (coin, None):
        taken = _amount(fee, "cost")
    return CoinTransfer(named, str(coin), amount if came else amount.copy_negate(), ZERO if came else taken, at_ms)


def _amount(facts: Mapping[str, Any], name: str) -> Decimal:
    amount = decimal_of(str(facts.get(name)))
    if amount < 0:
        raise UnitError(f"expected {name} >= 0, was {amount}")
    return amount


def _named_apart(found: Sequence[CoinTransfer]) -> Sequence[CoinTransfer]:
    """Drop what was told twice, oldest first.

    One transaction of a chain may hold several transfers: moment and amount tell the later ones apart.
    """
    apart: dict[tuple[str, str], CoinTransfer] = {}
    for one in sorted(found, key=lambda one: (one.at_ms, one.amount)):
        first = apart.setdefault((one.coin, one.transfer_id), one)
        if first != one:
            name = f"{one.transfer_id}@{one.at_ms}/{canonical(one.amount)}"
            apart[one.coin, name] = one._replace(transfer_id=name)
    return list(apart.values())
