"""The trading state and the operator's commands: rows that the running process polls (R33, R54)."""

from __future__ import annotations

from tradecore.engine.desk import Desk
from tradecore.engine.execution import Execution
from tradecore.engine.exits import Exits
from tradecore.engine.levels import Trigger
from tradecore.engine.locks import Locks
from tradecore.model.events import OperatorCommand, TradingStateChanged
from tradecore.model.lost import STORE_BEHIND
from tradecore.model.portfolio import TradingState
from tradecore.model.reasons import Reason
from tradecore.model.records import Command, CommandState, TradingRecord

_STATE_OF = {"halt": TradingState.HALTED, "reduce": TradingState.REDUCING, "resume": TradingState.ACTIVE}


async def change_trading_state(
    desk: Desk, state: TradingState, actor: str, reason: str, expires_ms: int | None = None
) -> None:
    """Write a new trading state durably; it survives restarts. Cancels and exits always pass."""
    async with desk.transaction() as work:
        old = desk.books.trading.state
        work.put(TradingRecord(state, actor, reason, desk.clock.now_ms(), expires_ms))
        work.tell(TradingStateChanged(str(old), str(state), actor, reason, expires_ms))


class Operator:
    """Carries out operator rows, each once."""

    def __init__(self, desk: Desk, execution: Execution, exits: Exits, locks: Locks) -> None:
        self._desk = desk
        self._execution = execution
        self._exits = exits
        self._locks = locks
        self.stop_asked = ""
        """Set by a `stop` command: the reason it gave."""

    async def poll(self) -> None:
        """Carry out what has been asked since the last look; end a trading state whose time is over."""
        desk = self._desk
        trading = desk.books.trading
        if trading.expires_ms is not None and desk.clock.now_ms() >= trading.expires_ms:
            # an unexplained difference found meanwhile stops entries on its own account
            still = desk.recall("drift") or desk.recall(STORE_BEHIND)
            state = TradingState.REDUCING if still else TradingState.ACTIVE
            await change_trading_state(desk, state, "core", "time of the state before is over")
        for command in await desk.store.asked_commands():
            result, done = await self._carry_out(command)
            async with desk.transaction() as work:
                work.put(command._replace(state=CommandState.DONE if done else CommandState.REFUSED, result=result))
                work.tell(
                    OperatorCommand(
                        command.command_id, command.verb, command.argument, command.actor, command.reason, result
                    )
                )

    async def _carry_out(self, command: Command) -> tuple[str, bool]:
        if command.verb in _STATE_OF:
            state = _STATE_OF[command.verb]
            seconds = int(command.argument or 0)
            expires_ms = self._desk.clock.now_ms() + seconds * 1_000 if seconds else None
            await change_trading_state(self._desk, state, command.actor, command.reason, expires_ms)
            if state is TradingState.ACTIVE and self._desk.recall(STORE_BEHIND):
                await self._desk.remember(STORE_BEHIND, "")  # that is the operator's word for what was found
            if state is not TradingState.ACTIVE:
                self._execution.cancel_entries(Reason.OPERATOR)
            return f"trading state is {state}", True
        if command.verb == "exit":
            return await self._exit(command)
        if command.verb == "stop":
            self.stop_asked = command.reason or "stop asked by operator"
            return "stopping", True
        if command.verb == "release":
            plugin, _, hook = command.argument.partition(".")
            self._desk.calls.lift(plugin, hook or None)
            for key in list(self._desk.books.memory):
                _, held, held_hook = key.split("/", 2) if key.startswith("quarantine/") else ("", "", "")
                if held == plugin and hook in {"", held_hook}:
                    await self._desk.remember(key, "")
            return f"{command.argument} is asked again", True
        if command.verb == "unlock":
            lifted = await self._locks.lift(command.argument, command.actor, command.reason)
            names = ", ".join(f"{lock.symbol} ({lock.plugin}: {lock.reason})" for lock in lifted)
            return f"lifted {names}" if lifted else f"no lock on {command.argument!r}", bool(lifted)
        return f"expected halt, reduce, resume, exit, stop, release or unlock, was {command.verb!r}", False

    async def _exit(self, command: Command) -> tuple[str, bool]:
        """Leave the positions of a symbol, or all of them."""
        desk = self._desk
        wanted = command.argument
        found = [p for p in desk.books.positions.values() if wanted in {"all", p.symbol}]
        if not found:
            return f"no open position for {wanted!r}", False
        results = []
        for position in found:
            price = desk.mark(position.symbol) or position.average_price
            trigger = Trigger(Reason.OPERATOR, command.actor, None)
            results.append(f"{position.symbol}: {await self._exits.leave(position.position_id, trigger, price)}")
        return "; ".join(results), True
