"""Secrets leave no trace: the last step before bytes reach a file (R42).

Masking a message leaves the secret in its extra fields and in tracebacks (measured, libraries.md section 5), so the
final bytes are searched: for each known secret in every form in which it can be written, and for words that are
followed by a secret (``signature=``, ``apiKey``, header names, Telegram tokens, passwords in addresses).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

import orjson

from tradecore.errors import SettingsError

MASKED: Final = b"***"
SHORTEST: Final = 8
"""Characters. A shorter secret would be found inside ordinary numbers and words."""

# One of these, in lower case, or "sign" outside "signal", stands in every line that a pattern below can match. Looking
# for plain pieces first costs a fraction of running the patterns over each line; the pieces are short and few because
# each look costs 0.3 us.
_GUARDS: Final = (b"api", b"secret", b"token", b"pass", b"author", b"access-", b"listenk", b"vate key", b"://")
_NAMES: Final = (
    rb"signature|sign|(?:kc-)?api-(?:sign|key|passphrase)|ok-access-(?:sign|key|passphrase)|x-[a-z]+-apikey"
    rb"|api[-_]?key|(?:api|client)?[-_]?secret(?:[-_]?key)?|(?:access|refresh|bot|auth)?[-_]?token"
    rb"|pass(?:phrase|word)|listenkey|authorization"
)
_QUOTE: Final = rb"b?\\*[\"']"
_VALUE: Final = rb"[^\s\"'\\&,;{}()\[\]<>]+"
_PATTERNS: Final = (
    # name=value, name: value, "name": "value", 'name', b'value', with any depth of escaping.
    re.compile(
        rb"(?i)(?<![a-z])((?:" + _NAMES + rb")(?:"
        rb"(?:" + _QUOTE + rb")?\s*[:=]\s*(?:" + _QUOTE + rb")?"
        rb"|" + _QUOTE + rb"\s*,\s*" + _QUOTE + rb")"
        rb"(?:(?:bearer|basic)\s+)?)(?!(?:null|none|true|false)\b|\*\*\*)" + _VALUE
    ),
    re.compile(rb"(?i)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\"|$)", re.DOTALL),
    re.compile(rb"(://[^/\s:@\"'\\]*:)[^/\s@\"'\\]+(?=@)"),
)
_TELEGRAM: Final = re.compile(rb"(?i)([0-9]{6,12})(?::|%3a)[a-z0-9_-]{30,64}")
_TELEGRAM_TAIL: Final = re.compile(rb":[a-z0-9_-]{30}")


class Mask:
    """The secrets of this process and the patterns of all others.

    Args:
        secrets: Known values, each of 8 characters or more; empty ones are passed over.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._needles: tuple[bytes, ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Learn a secret; from now on none of its written forms passes.

        Raises:
            SettingsError: If it is shorter than 8 characters.
        """
        if not secret:
            return
        if len(secret) < SHORTEST:
            raise SettingsError(f"expected a secret of {SHORTEST} characters or more, was {len(secret)}")
        # The longest first: a short needle inside a long one would leave the rest of it standing.
        self._needles = tuple(sorted({*self._needles, *_forms(secret)}, key=lambda form: (-len(form), form)))

    def clean(self, block: bytes) -> bytes:
        """Replace every secret by ``***``; the same object comes back where there was none."""
        block = self._known(block)
        return _by_pattern(block) if _suspicious(block) else block

    def clean_line(self, line: bytes) -> bytes:
        """Do the same for a line of compact JSON, in a quarter of the time."""
        line = self._known(line)
        # What announces a secret needs a separator behind it: an equals sign, a quote inside a string, a colon that
        # no closing quote precedes, or it is the key of an object inside the data.
        if (
            b"=" in line
            or b"\\" in line
            or b"'" in line
            or line.count(b"{") > 2
            or line.count(b":") != line.count(b'":')
        ):
            return _by_pattern(line) if _suspicious(line) else line
        return line

    def _known(self, block: bytes) -> bytes:
        for needle in self._needles:
            if needle in block:
                block = block.replace(needle, MASKED)
        return block

    def text(self, text: str) -> str:
        """Do the same for text."""
        raw = text.encode("utf-8", "backslashreplace")
        cleaned = self.clean(raw)
        return text if cleaned is raw else cleaned.decode("utf-8", "replace")


def _suspicious(block: bytes) -> bool:
    low = block.lower()
    for guard in _GUARDS:
        if guard in low:
            return True
    return low.count(b"sign") != low.count(b"signal") or _TELEGRAM_TAIL.search(low) is not None


def _by_pattern(block: bytes) -> bytes:
    cleaned = block
    for pattern in _PATTERNS:
        cleaned = pattern.sub(rb"\1***", cleaned)
    cleaned = _TELEGRAM.sub(rb"\1:***", cleaned)
    return block if cleaned == block else cleaned


def _forms(secret: str) -> set[bytes]:
    """All ways a secret can look in a line: as it is, escaped, quoted for an address, in base64, line by line."""
    texts = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    # A key file has several lines, and a log may show them one by one.
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        texts.update(line for line in lines if len(line) >= SHORTEST and not line.startswith("-----"))
    texts.update([repr(text)[1:-1] for text in texts] + [ascii(text)[1:-1] for text in texts])
    texts.add(base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode("ascii").rstrip("="))
    forms = set()
    for text in texts:
        raw = text.encode("utf-8", "backslashreplace")
        once = orjson.dumps(raw.decode("utf-8"))[1:-1]
        twice = orjson.dumps(once.decode("utf-8"))[1:-1]
        forms.update({raw, once, twice})
    return {form for form in forms if len(form) >= SHORTEST}
