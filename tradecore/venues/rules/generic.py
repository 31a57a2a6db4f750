"""Any venue that nobody described: every code stays UNKNOWN, and only ids that look like ids count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from tradecore.venues.rules.words import UNIFIED_STATUSES, Said, VenueRules, nothing

_CODE_NAMES: Final = ("code", "retCode", "ret_code", "err_code", "error_code", "errno", "label", "error")
_TEXT_NAMES: Final = ("msg", "message", "retMsg", "ret_msg", "err_msg", "error_message", "error", "detail")
_SUCCESS: Final = frozenset({"", "0", "00000", "200", "200000", "ok", "OK", "success", "SUCCESS", "[]", "{}", "None"})


def error_of(payload: Mapping[str, Any], success: frozenset[str]) -> Said | None:
    """Read an error by the names that venues use; for the operator's eyes, since no code of such a venue is known."""
    for name in _CODE_NAMES:
        raw = payload.get(name)
        code = str(raw).strip()
        if raw is not None and not isinstance(raw, bool) and code not in success:
            text = next((str(payload[name]) for name in _TEXT_NAMES if payload.get(name)), "")
            return Said(code[:60], text)
    return None


def generic(name: str) -> VenueRules:
    """Rules of a venue that nobody described."""
    return VenueRules(
        name,
        MappingProxyType({}),
        # Words are no ids and pages are none: an id holds a digit.
        re.compile(r"(?=.*\d)[0-9A-Za-z_-]{4,64}"),
        UNIFIED_STATUSES,
        frozenset(),
        _SUCCESS,
        error_of=error_of,
        placed=nothing,
        canceled=nothing,
        raw=False,
    )
