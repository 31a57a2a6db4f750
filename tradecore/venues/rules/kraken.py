"""Kraken spot, REST."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tradecore.model.reasons import Reason
from tradecore.venues.rules.words import (
    UNIFIED_STATUSES,
    Action,
    CodeRule,
    ErrorClass,
    Said,
    VenueRules,
    table,
    variant,
)

C, A, R = ErrorClass, Action, Reason
#: ``descr.order`` of an acknowledgement, as "buy 0.01000000 XBTUSD @ limit 50000.0".
_DESCRIBED: Final = re.compile(r"(buy|sell) (\d+(?:\.\d+)?) (\S+) @ limit (\d+(?:\.\d+)?)\b")


def error_of(payload: Mapping[str, Any], success: frozenset[str]) -> Said | None:
    """Read ``{"error": ["EOrder:Insufficient funds"]}``; entries that begin with W are warnings and no error."""
    raw = payload.get("error")
    if raw in (None, [], ""):
        return None
    texts = [str(item) for item in raw] if isinstance(raw, list) else [str(raw)]
    errors = [text for text in texts if not text.startswith("W")]
    if not errors:
        return None
    # "EGeneral:Invalid arguments:volume" is the code EGeneral:Invalid arguments with more to say.
    code = ":".join(errors[0].split(":")[:2])
    return Said(code, "; ".join(errors))


def placed(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read the acknowledgement of one order: its id, and what Kraken says that it understood."""
    result = payload.get("result")
    ids = result.get("txid") if isinstance(result, Mapping) else None
    if not isinstance(result, Mapping) or not isinstance(ids, list) or len(ids) != 1:
        return None
    facts: dict[str, Any] = {"orderId": ids[0], "clientOrderId": result.get("cl_ord_id")}
    described = result.get("descr")
    found = _DESCRIBED.match(str(described.get("order"))) if isinstance(described, Mapping) else None
    if found is not None:
        # The pair has a name of Kraken's own there (XBTUSD), so it is not compared.
        facts |= {"side": found[1], "origQty": found[2], "price": found[4]}
    return facts


def canceled(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read ``{"result": {"count": 1}}``: Kraken does not name the order that it cancelled."""
    result = payload.get("result")
    count = result.get("count") if isinstance(result, Mapping) else None
    return {} if str(count).isdigit() and int(str(count)) >= 1 else None


_ARGUMENTS = (
    variant("volume minimum|:volume", R.QUANTITY_BELOW_MIN, C.FILTER, A.RELOAD_INSTRUMENTS, "quantity is not allowed"),
    variant("price", R.PRICE_OFF_TICK, C.FILTER, A.RELOAD_INSTRUMENTS, "price is not allowed"),
    variant("pair|asset", R.SYMBOL_HALTED, C.SYMBOL, A.HALT_SYMBOL, "symbol is not known"),
)
_NO_SUCH: Final = "no such open order; it may have filled"

#: Source: Kraken REST error messages as ccxt 4.5.90 lists them (kraken.py, exceptions) and reference orders.md 2.1.
#: Busy, unavailable and internal errors prove nothing; deadline errors are not known and so are not listed.
_CODES = table(
    (
        CodeRule("EService:Unavailable", C.BUSY, A.LOOK_UP, "venue is not available", refuses=False),
        CodeRule("EService:Busy", C.BUSY, A.LOOK_UP, "venue is busy; fate unknown", refuses=False),
        CodeRule("EGeneral:Internal error", C.BUSY, A.LOOK_UP, "error inside the venue; fate unknown", refuses=False),
        CodeRule("EDatabase:Internal error", C.BUSY, A.LOOK_UP, "error inside the venue; fate unknown", refuses=False),
        CodeRule(
            "EService:Market in cancel_only mode", C.SYMBOL, A.HALT_SYMBOL, "only cancels are taken",
            reason=R.SYMBOL_HALTED,
        ),
        CodeRule(
            "EService:Market in post_only mode", C.SYMBOL, A.HALT_SYMBOL, "only post-only orders are taken",
            reason=R.SYMBOL_HALTED,
        ),
        CodeRule("EAPI:Invalid key", C.AUTH, A.HALT_ENTRIES, "key is not valid"),
        CodeRule("EAPI:Invalid signature", C.AUTH, A.HALT_ENTRIES, "signature is not valid"),
        CodeRule("EAPI:Invalid nonce", C.CLOCK, A.SYNC_CLOCK, "nonce is not above the last one"),
        CodeRule("EAPI:Rate limit exceeded", C.RATE, A.WAIT, "too many requests"),
        CodeRule("EGeneral:Too many requests", C.RATE, A.WAIT, "too many requests"),
        CodeRule("EOrder:Rate limit exceeded", C.RATE, A.WAIT, "too many orders"),
        CodeRule("EGeneral:Temporary lockout", C.RATE, A.WAIT, "locked out for a while"),
        CodeRule("EGeneral:Permission denied", C.AUTH, A.HALT_ENTRIES, "key lacks the permission"),
        CodeRule("ETrade:User Locked", C.AUTH, A.HALT_ENTRIES, "account is locked"),
        CodeRule("EGeneral:Invalid arguments", C.PARAMETER, A.GIVE_UP, "a parameter is not valid", variants=_ARGUMENTS),
        CodeRule(
            "EOrder:Invalid price", C.FILTER, A.RELOAD_INSTRUMENTS, "price is not allowed", reason=R.PRICE_OFF_TICK
        ),
        CodeRule(
            "EOrder:Order minimum not met", C.FILTER, A.RELOAD_INSTRUMENTS, "quantity too small",
            reason=R.QUANTITY_BELOW_MIN,
        ),
        CodeRule(
            "EOrder:Cost minimum not met", C.FILTER, A.RELOAD_INSTRUMENTS, "notional too small",
            reason=R.NOTIONAL_BELOW_MIN,
        ),
        CodeRule(
            "EOrder:Tick size check failed", C.FILTER, A.RELOAD_INSTRUMENTS, "price off tick", reason=R.PRICE_OFF_TICK
        ),
        CodeRule(
            "EOrder:Insufficient funds", C.FUNDS, A.RECONCILE, "less free than asked; read balances once",
            reason=R.INSUFFICIENT_FUNDS,
        ),
        CodeRule("EOrder:Orders limit exceeded", C.LIMIT, A.WAIT, "too many open orders"),
        CodeRule("EOrder:Post only order", C.FILTER, A.GIVE_UP, "post-only would have taken", reason=R.PRICE_MOVED),
        CodeRule("EQuery:Unknown asset pair", C.SYMBOL, A.HALT_SYMBOL, "symbol is not known", reason=R.SYMBOL_HALTED),
        CodeRule("EQuery:Invalid asset pair", C.SYMBOL, A.HALT_SYMBOL, "symbol is not known", reason=R.SYMBOL_HALTED),
        CodeRule("EOrder:Unknown order", C.MISSING, A.LOOK_UP, _NO_SUCH, refuses=False),
    )
)  # fmt: skip

KRAKEN: Final = VenueRules(
    "kraken",
    _CODES,
    re.compile(r"[A-Z0-9]{5,8}-[A-Z0-9]{1,6}-[A-Z0-9]{5,8}"),
    UNIFIED_STATUSES,
    frozenset({"EOrder:Unknown order"}),
    error_of=error_of,
    placed=placed,
    canceled=canceled,
    raw=False,
)
