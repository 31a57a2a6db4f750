"""What Binance's account stream says.

Source: binance-spot-api-docs a5e0bc3, web-socket-streams.md and user-data-stream.md; reference orders.md 2.12, 3.1.
"""

from __future__ import annotations

from typing import Any, Final

from tradecore.model.units import canonical
from tradecore.venues.twin.manners import Manners
from tradecore.venues.twin.records import EngineEvent, OrderView, TwinTrade

_EXECUTIONS: Final = {
    "ACCEPTED": "NEW", "FILL": "TRADE", "CANCELED": "CANCELED", "EXPIRED": "EXPIRED",
    "EXPIRED_IN_MATCH": "TRADE_PREVENTION",
}  # fmt: skip
_MOVES: Final = ("MOVED", "UNLISTED", "OPENED")


def account_messages(event: EngineEvent, manners: Manners, now_ms: int) -> list[dict[str, Any]]:
    """Events of the account stream for one event of the engine, in the venue's order.

    Args:
        now_ms: The venue's clock.
    """
    messages: list[dict[str, Any]] = []
    if event.view is not None and event.kind in _EXECUTIONS:
        messages.append(_execution(event, event.view, manners, now_ms))
    if event.kind in _MOVES:
        messages += [
            {"e": "balanceUpdate", "E": now_ms, "a": coin, "d": canonical(free), "T": event.at_ms}
            for coin, (free, _) in event.moves.items()
        ]
    if event.balances:
        rows = [
            {"a": coin, "f": canonical(free), "l": canonical(locked)}
            for coin, (free, locked) in sorted(event.balances.items())
        ]
        messages.append({"e": "outboundAccountPosition", "E": now_ms, "u": event.at_ms, "B": rows})
    return messages


def _execution(event: EngineEvent, view: OrderView, manners: Manners, now_ms: int) -> dict[str, Any]:
    order, trade = view.order, event.trade
    canceled = event.kind == "CANCELED"
    return {
        "e": "executionReport", "E": now_ms, "s": manners.raw_symbol(order.symbol),
        # A canceled order's own id moves to C; c is the id of the cancel.
        "c": f"cancel-{order.number}" if canceled else order.wire_id, "S": order.side.upper(),
        "o": manners.type_of(view), "f": str(order.time_in_force), "q": canonical(order.quantity),
        "p": canonical(order.price), "P": "0.00000000", "F": "0.00000000", "g": -1,
        "C": order.wire_id if canceled else "", "x": _EXECUTIONS[event.kind], "X": manners.status_of(view), "r": "NONE",
        "i": manners.raw_id(order.venue_order_id), "z": canonical(view.executed), "Z": canonical(view.executed_quote),
        **_last_trade(trade, manners), "T": event.at_ms, "I": order.number, "w": True, "O": order.accepted_ms,
        "Q": "0.00000000", "W": order.accepted_ms, "V": "NONE",
    }  # fmt: skip


def _last_trade(trade: TwinTrade | None, manners: Manners) -> dict[str, Any]:
    if trade is None:
        return {"l": "0", "L": "0", "Y": "0", "n": "0", "N": None, "t": -1, "m": False}
    return {
        "l": canonical(trade.quantity), "L": canonical(trade.price), "Y": canonical(trade.quote),
        "n": canonical(trade.fee), "N": trade.fee_coin, "t": manners.raw_id(trade.venue_trade_id), "m": trade.is_maker,
    }  # fmt: skip
