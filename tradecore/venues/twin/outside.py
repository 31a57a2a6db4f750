"""What happens to an account and a market without the bot: other orders, deposits, halts. For tests and drills."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tradecore.model.instrument import Instrument
from tradecore.model.order import NewOrder
from tradecore.ports.clock import Clock
from tradecore.venues.twin.matching import Engine
from tradecore.venues.twin.records import MOVED, UNLISTED, Rejected, TwinOrder


class Outside:
    """Hands of others on the same account.

    Args:
        engine: The twin's.
        clock: Market time.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine: Final = engine
        self._clock: Final = clock

    def place(self, order: NewOrder) -> TwinOrder | Rejected:
        """Let somebody else place an order on this account."""
        placed = self._engine.place(order, self._led(), foreign=True)
        self._engine.state.commit()
        return placed

    def cancel(self, symbol: str, wire_id: str) -> TwinOrder | Rejected:
        """Let somebody else cancel an order of this account, ours too."""
        ended = self._engine.cancel(symbol, wire_id, "", self._led())
        self._engine.state.commit()
        return ended

    def deposit(self, coin: str, amount: Decimal, *, listed: bool = True) -> None:
        """Let coins arrive; `amount` in units, > 0.

        Args:
            listed: False keeps it out of the list of deposits: as a conversion, or a transfer within the exchange.
        """
        self._move(coin, amount, listed=listed)

    def withdraw(self, coin: str, amount: Decimal, *, listed: bool = True) -> None:
        """Let coins leave; `amount` in units, > 0; `listed` as in `deposit`.

        Raises:
            ValueError: If less is free.
        """
        self._move(coin, amount.copy_negate(), listed=listed)

    def change(self, instrument: Instrument) -> None:
        """Put new filters or fees into force.

        Raises:
            ValueError: If fees change under an open order: its lock was made for the old ones.
        """
        old = self._engine.market.instruments[instrument.symbol]
        fees = (old.maker_fee_bps, old.taker_fee_bps, old.fee_currency)
        standing = any(order.symbol == instrument.symbol for order in self._engine.open_orders.values())
        if standing and fees != (instrument.maker_fee_bps, instrument.taker_fee_bps, instrument.fee_currency):
            raise ValueError(f"expected the fees of {instrument.symbol} as they are while an order stands")
        self._engine.market.change(instrument)

    def halt(self, symbol: str, *, can_buy: bool = False, can_sell: bool = False) -> None:
        """Stop a symbol's trading; with both sides True let it go on."""
        self.change(self._engine.market.instruments[symbol]._replace(can_buy=can_buy, can_sell=can_sell))

    def _move(self, coin: str, amount: Decimal, *, listed: bool) -> None:
        self._engine.move(coin, amount, self._led(), MOVED if listed else UNLISTED)
        self._engine.state.commit()

    def _led(self) -> int:
        now_ms = self._clock.now_ms()
        self._engine.advance(now_ms)
        return now_ms
