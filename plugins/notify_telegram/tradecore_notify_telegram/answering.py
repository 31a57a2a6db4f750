"""From a message to a reply: who it is, whether it is new, what it asks for, and what the core is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradecore import Operate
from tradecore.errors import TradecoreError
from tradecore.model.portfolio import TradingState
from tradecore_notify_telegram import replies
from tradecore_notify_telegram.commands import Asked, read
from tradecore_notify_telegram.people import Confirmations, Gate, Role, Wish, may
from tradecore_notify_telegram.port import Incoming

_BUSY: Final = "I am still looking for the answer to the question before: ask again in a while"
_NOT_ADMITTED: Final = "I may only tell: run.operators does not name me"


class Answering:
    """Answers messages of people who may ask.

    Args:
        operate: What the core lets the plugin do; ``None``: nothing.
        gate: Who may.
        confirmations: What was asked back.
        age_s: A command that was sent longer ago is too old to be carried out, s of the wall.
        wall_ms: The wall's clock.
    """

    def __init__(
        self, operate: Operate | None, gate: Gate, confirmations: Confirmations, age_s: float,
        wall_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.bot = ""
        """The bot's user name, once Telegram has said it."""
        self._operate: Final = operate
        self._gate: Final = gate
        self._confirmations: Final = confirmations
        self._age_ms: Final = age_s * 1_000
        self._wall_ms: Final = wall_ms
        self._searching = False

    def knows(self, message: Incoming) -> bool:
        """Tell whether its sender may say anything here; nobody else's messages are even noted."""
        return self._gate.role(message.user_id, message.chat_id) is not None

    async def answer(self, message: Incoming) -> str | None:
        """Do what a message asks for; returns the reply, ``None``: none.

        Whoever is not on the list gets no answer at all: not even that somebody is here.
        """
        role = self._gate.role(message.user_id, message.chat_id)
        if role is None or not self._gate.passes(message.user_id):
            return None
        asked = read(message.text, self.bot)
        if asked is None:
            return None
        if not message.own_words:
            return "I take no words of others: write it yourself"
        if asked.fault:
            return f"{asked.fault}\n\n{replies.help_for(role)}" if asked.name == "help" else asked.fault
        if asked.name == "help":
            return replies.help_for(role)
        if not may(role, asked.form.role):
            return f"/{asked.name} needs the role {asked.form.role}, yours is {role}"
        if self._operate is None:
            return _NOT_ADMITTED
        try:
            return await self._carried_out(message, asked, role, self._operate)
        except TradecoreError as error:
            return f"refused: {error}"

    async def _carried_out(self, message: Incoming, asked: Asked, role: Role, operate: Operate) -> str:
        if asked.name == "confirm":
            return await self._confirmed(message, asked.argument, role, operate)
        if not asked.form.verb:
            return await self._view(asked, operate)
        old_ms = self._wall_ms() - message.sent_ms
        if abs(old_ms) > self._age_ms:
            return f"/{asked.name} was sent {old_ms / 1_000:.0f} s ago and is not carried out: send it again"
        wish = Wish(asked.form.verb, asked.argument, asked.reason, asked.form.role)
        warning = _warning(wish, operate)
        if asked.form.twice or warning:
            code = self._confirmations.ask(message.user_id, message.chat_id, wish)
            words = f"/{asked.name} {asked.argument}".rstrip()
            return f"{words}: {warning}to do it, send\n/confirm {code}"
        return await _asked(operate, wish, message.user_id)

    async def _confirmed(self, message: Incoming, code: str, role: Role, operate: Operate) -> str:
        if abs(self._wall_ms() - message.sent_ms) > self._age_ms:
            return "that came too late: ask anew"
        wish = self._confirmations.take(message.user_id, message.chat_id, code)
        if wish is None:
            return "no such code, or too late: ask anew"
        if not may(role, wish.role):
            return f"{wish.verb} needs the role {wish.role}"
        return await _asked(operate, wish, message.user_id)

    async def _view(self, asked: Asked, operate: Operate) -> str:
        match asked.name:
            case "status":
                return replies.status(operate)
            case "positions":
                return replies.positions(operate)
            case "profit":
                return replies.profit(operate)
            case "intents":
                return replies.intents(operate)
            case "unknown":
                return replies.unknown(operate)
            case _:
                return await self._why(asked.argument, operate)

    async def _why(self, symbol: str, operate: Operate) -> str:
        """Read a day of the journal, which takes a while: one question at a time, whoever asks."""
        if self._searching:
            return _BUSY
        self._searching = True
        try:
            return replies.because(await operate.why(symbol), symbol)
        finally:
            self._searching = False


def _warning(wish: Wish, operate: Operate) -> str:
    """What a wish does beyond its name; empty: nothing that has to be said twice."""
    if wish.verb == "stop":
        count = len(operate.portfolio().positions)
        return f"{count} positions are left to themselves; " if count else ""
    trading = operate.trading()
    if wish.verb not in {"halt", "reduce"} or not wish.argument or trading.state is TradingState.ACTIVE:
        return ""
    ends_ms = operate.portfolio().as_of_ms + int(wish.argument) * 1_000
    if trading.expires_ms is not None and ends_ms >= trading.expires_ms:
        return ""
    # a halt with an early end would open entries again for somebody who never said resume twice
    return f"trading is {trading.state} and would open again sooner than it does now; "


async def _asked(operate: Operate, wish: Wish, user_id: int) -> str:
    words = f"{wish.verb} {wish.argument}".rstrip()
    await operate.ask(wish.verb, wish.argument, reason=wish.reason or "by Telegram", actor=str(user_id))
    return f"{words}: written down"
