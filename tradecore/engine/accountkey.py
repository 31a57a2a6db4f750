"""Whether a key that was not there before belongs to the account whose books a state folder holds (R21).

Venues name no account, so what it holds tells: another account does not hold, to the last digit, what the ledger does.
"""

from __future__ import annotations

from collections.abc import Mapping

from tradecore.engine.books import ASSETS
from tradecore.engine.desk import Desk
from tradecore.errors import StartRefused
from tradecore.model.units import decimal_of, plus
from tradecore.ports.venue import Balance

KEY_PRINT = "key_print"
"""Fact: fingerprint of the key that traded last."""


async def check_account(desk: Desk, key_print: str, balances: Mapping[str, Balance]) -> None:
    """Refuse the key of another account before anything of it is read into the books; remember a good one.

    Args:
        key_print: As the venue's side tells it; empty where there is no key, as at the twin.
        balances: What the account of this key holds.
    Raises:
        StartRefused: Another key than before, and not one coin of the ledger is there as the ledger has it.
    """
    known = desk.recall(KEY_PRINT)
    if not key_print or key_print == known:
        return
    held = sorted(coin for (account, coin), amount in desk.books.balances.items() if account == ASSETS and amount)
    if known and held and not any(_agrees(desk, coin, balances) for coin in held):
        raise StartRefused(
            f"key: expected one of the account that this state folder trades, was another key whose account holds none "
            f"of {', '.join(held[:5])} as the ledger does: name a new state folder, or start with the key of before"
        )
    await desk.remember(KEY_PRINT, key_print)
    if known:
        desk.alert("key_changed", "info", "another key than before; the account holds what the ledger does")


def _agrees(desk: Desk, coin: str, balances: Mapping[str, Balance]) -> bool:
    there = balances.get(coin)
    ignored = decimal_of(desk.recall(f"ignored/{coin}") or "0")
    return there is not None and there.total == plus(desk.books.balance(coin), ignored)
