"""From a message to a reply: who it is, whether it is new, what it asks for, and what the core is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradecore import Operate
from tradecore.errors import TradecoreError
from tradecore_notify_telegram import replies
from tradecore_notify_telegram.commands import Asked, read
from tradecore_notify_telegram.people import Confirmations, Gate, Role, Wish, may
from tradecore_notify_telegram.port import Incoming

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

    async def answer(self, message: Incoming) -> str | None:
        """Do what a message asks for; returns the reply, ``None``: none.

        Whoever is not on the list gets no answer at all: not even that somebody is here.
        """
        role = self._gate.role(message.user_id, message.chat_id)
        asked = read(message.text, self.bot) if role is not None else None
        if role is None or asked is None:
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
            return await _view(asked, operate)
        old_ms = self._wall_ms() - message.sent_ms
        if abs(old_ms) > self._age_ms:
            return f"/{asked.name} was sent {old_ms / 1_000:.0f} s ago and is not carried out: send it again"
        wish = Wish(asked.form.verb, asked.argument, asked.reason)
        if asked.form.twice:
            code = self._confirmations.ask(message.user_id, message.chat_id, wish)
            return f"/{asked.name} {asked.argument}".rstrip() + f": to do it, send\n/confirm {code}"
        return await _asked(operate, wish, message.user_id)

    async def _confirmed(self, message: Incoming, code: str, role: Role, operate: Operate) -> str:
        if abs(self._wall_ms() - message.sent_ms) > self._age_ms:
            return "that came too late: ask anew"
        wish = self._confirmations.take(message.user_id, message.chat_id, code)
        if wish is None:
            return "no such code, or too late: ask anew"
        if wish.verb == "exit" and not may(role, "money"):
            return "selling needs the role money"
        return await _asked(operate, wish, message.user_id)


async def _asked(operate: Operate, wish: Wish, user_id: int) -> str:
    words = f"{wish.verb} {wish.argument}".rstrip()
    await operate.ask(wish.verb, wish.argument, reason=wish.reason or "by Telegram", actor=str(user_id))
    return f"{words}: written down"


async def _view(asked: Asked, operate: Operate) -> str:
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
            return replies.because(await operate.why(asked.argument), asked.argument)
