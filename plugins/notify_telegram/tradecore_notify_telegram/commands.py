"""Commands: what a message asks for, read strictly. What is not exactly a command is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

LONGEST: Final = 256
"""Characters of a command; nothing longer is looked at."""
_COMMAND: Final = re.compile(r"/([a-z]{2,20})(?:@([A-Za-z0-9_]{3,64}))?((?: .*)?)", re.DOTALL)
_LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PLUGIN: Final = re.compile(r"[a-z][a-z0-9_]{0,63}(?:\.[a-z_]{1,32})?")
_SYMBOL: Final = re.compile(r"[A-Za-z0-9._-]{1,20}/[A-Za-z0-9._-]{1,20}|[Aa][Ll][Ll]")


class Form(NamedTuple):
    """One command."""

    role: str
    usage: str
    says: str
    verb: str = ""
    """The core's word for it; empty: it only looks."""
    twice: bool = False
    """It has to be confirmed."""


FORMS: Final[Mapping[str, Form]] = {
    "status": Form("view", "/status", "trading state, equity, how much is in use"),
    "positions": Form("view", "/positions", "open positions with gain and levels"),
    "profit": Form("view", "/profit", "closed trades of today and of the newest 300"),
    "why": Form("view", "/why [SYMBOL]", "why there were no more trades in 24 h"),
    "intents": Form("view", "/intents", "live intents"),
    "unknown": Form("view", "/unknown", "orders without proof of their outcome"),
    "halt": Form("control", "/halt [30m] [REASON]", "no entries, open buys are cancelled, exits go on", "halt"),
    "reduce": Form("control", "/reduce [30m] [REASON]", "exits only", "reduce"),
    "resume": Form("control", "/resume [REASON]", "entries again; asks back", "resume", twice=True),
    "release": Form(
        "control", "/release PLUGIN[.HOOK] [REASON]", "ask a quarantined plugin again; asks back", "release", True
    ),
    "unlock": Form(
        "control", "/unlock SYMBOL|*|all [REASON]", "lift locks before their time; asks back", "unlock", True
    ),
    "forceexit": Form("money", "/forceexit SYMBOL|all [REASON]", "sell; asks back", "exit", twice=True),
    "stop": Form("money", "/stop [REASON]", "end the run: nobody watches open positions then; asks back", "stop", True),
    "confirm": Form("control", "/confirm CODE", "do what was asked back"),
    "help": Form("view", "/help", "this list"),
}


class Asked(NamedTuple):
    """A command as it was read."""

    name: str
    form: Form
    argument: str = ""
    reason: str = ""
    fault: str = ""
    """What is wrong with it; empty: nothing."""


def read(text: str, bot: str) -> Asked | None:
    """Read a message.

    Args:
        text: As it came.
        bot: The bot's user name; a command to another one is none of ours.
    Returns:
        ``None`` where it is no command at all, or one for somebody else.
    """
    if len(text) > LONGEST or not text.startswith("/"):
        return None
    found = _COMMAND.fullmatch(text.strip())
    if found is None or not text.isascii() or not text.isprintable():
        # a letter that only looks like one of ours ends here
        return Asked("help", FORMS["help"], fault="I read plain ASCII only, a command and its words in one line")
    name, addressee, rest = found[1], found[2], found[3].split()
    if addressee is not None and addressee.lower() != bot.lower():
        return None
    form = FORMS.get(name)
    if form is None:
        return Asked("help", FORMS["help"], fault=f"I know no /{name}")
    return _with_words(Asked(name, form), rest)


def _with_words(asked: Asked, words: list[str]) -> Asked:
    name = asked.name
    if name in {"halt", "reduce"}:
        length = _LENGTH.fullmatch(words[0]) if words else None
        if length is not None:
            seconds = str(int(length[1]) * _SECONDS[length[2]])
            return asked._replace(argument=seconds, reason=" ".join(words[1:]))
        return asked._replace(reason=" ".join(words))
    if name in {"resume", "stop"}:
        return asked._replace(reason=" ".join(words))
    if name == "release":
        if not words or _PLUGIN.fullmatch(words[0]) is None:
            return asked._replace(fault=f"usage: {asked.form.usage}")
        return asked._replace(argument=words[0], reason=" ".join(words[1:]))
    if name in {"forceexit", "unlock"} or (name == "why" and words):
        everywhere = name == "unlock" and words[:1] == ["*"]
        if not words or not (everywhere or _SYMBOL.fullmatch(words[0])):
            return asked._replace(fault=f"usage: {asked.form.usage}")
        symbol = "all" if words[0].lower() == "all" else words[0].upper()
        if name == "why" and (symbol == "all" or len(words) > 1):
            return asked._replace(fault=f"usage: {asked.form.usage}")
        return asked._replace(argument=symbol, reason=" ".join(words[1:]))
    if name == "confirm":
        return asked._replace(argument=words[0]) if len(words) == 1 else asked._replace(fault="usage: /confirm CODE")
    return asked._replace(fault=f"usage: {asked.form.usage}") if words else asked
