"""The chain of a journal: what every line carries so that a later change of any file shows.

The last key of a line is ``chain``: 32 hex digits of *link* and 8 of *check*. The body of a line is everything before
that key. ::

    link  = BLAKE2b-16(link of the family's line before, body)
    check = CRC-32(body, link)

The check says of a line by itself whether a byte of it changed; the link says whether it stands behind the line that
it was written behind. Each taxonomy has a chain of its own, over all its files, days and runs: retention removes whole
files of one taxonomy, and a crash costs each its own last lines, so that one chain over all five would break for good
at the first of either. What ties them together is the report of each packed file (``journal_rotated``), which stands
in the chain of the audit files, and the head (`journal/head.py`).

The chain holds no secret: whoever writes every later line and the head anew is not found out. The link of a head that
is kept elsewhere shows that too.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from tradecore.model.events import Taxonomy

_KEY: Final = b',"chain":"'
_END: Final = b'"}\n'
_LINK: Final = 32
_CHECK: Final = 8
_TAIL: Final = len(_KEY) + _LINK + _CHECK + len(_END)
_SEQ_AT: Final = len(b'{"seq":')


class Seal(NamedTuple):
    """A line taken apart."""

    body: bytes
    link: bytes
    sound: bool
    """False where a byte of the line is not what was written."""


def origin(taxonomy: Taxonomy) -> bytes:
    """The link that stands before a taxonomy's first line."""
    return hashlib.blake2b(taxonomy.value.encode(), digest_size=16).hexdigest().encode()


def link_after(before: bytes, body: bytes) -> bytes:
    """The link of a line.

    Args:
        before: Link of the line before it.
        body: The line without its ``chain``.
    """
    return hashlib.blake2b(before + body, digest_size=16).hexdigest().encode()


def seal(lines: Iterable[bytes], link: bytes) -> tuple[bytes, bytes]:
    """Chain lines, in the order in which they will stand in the file.

    Args:
        lines: Compact JSON objects, each with its line feed.
        link: Of the line before the first.
    Returns:
        The lines as one block, and the link of the last.
    """
    parts: list[bytes] = []
    for line in lines:
        body = line[:-2]
        link = hashlib.blake2b(link + body, digest_size=16).hexdigest().encode()
        parts.append(b'%b,"chain":"%b%08x"}\n' % (body, link, zlib.crc32(link, zlib.crc32(body))))
    return b"".join(parts), link


def unseal(raw: bytes) -> Seal | None:
    """Take a line apart, its line feed included; ``None`` where it carries no chain."""
    if raw[-_TAIL : -_TAIL + len(_KEY)] != _KEY or not raw.endswith(_END):
        return None
    body = raw[:-_TAIL]
    chain = raw[-len(_END) - _LINK - _CHECK : -len(_END)]
    link = chain[:_LINK]
    return Seal(body, link, chain[_LINK:] == b"%08x" % zlib.crc32(link, zlib.crc32(body)))


def unsound_lines(data: bytes) -> list[int]:
    """Number the lines, from 1, that are not what was written; their places in the chain are not looked at.

    Args:
        data: Whole lines with their line feeds.
    """
    crc, found = zlib.crc32, []
    for number, raw in enumerate(data.split(b"\n")[:-1], 1):
        link, check = raw[-42:-10], raw[-10:-2]
        if raw[-52:-42] != _KEY or raw[-2:] != b'"}' or check != b"%08x" % crc(link, crc(raw[:-52])):
            found.append(number)
    return found


def seq_of(line: bytes) -> int:
    """The number of a line or a body; 0 where it does not begin with one."""
    number = line[_SEQ_AT : line.find(b",", _SEQ_AT)]
    return int(number) if number.isdigit() and line.startswith(b'{"seq":') else 0
