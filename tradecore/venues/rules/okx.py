"""OKX spot, API v5."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tradecore.model.reasons import Reason
from tradecore.venues.rules.words import UNIFIED_STATUSES, Action, CodeRule, ErrorClass, Said, VenueRules, table

C, A, R = ErrorClass, Action, Reason


def _data(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = payload.get("data")
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def error_of(payload: Mapping[str, Any], success: frozenset[str]) -> Said | None:
    """Read ``{"code", "msg", "data": [{"sCode", "sMsg"}]}``: a row's own code says more than the outer 1 or 2."""
    for row in _data(payload):
        code = str(row.get("sCode") or "0").strip()
        if code not in success:
            return Said(code, str(row.get("sMsg") or ""))
    raw = payload.get("code")
    code = "" if raw is None else str(raw).strip()
    return None if not code or code in success else Said(code, str(payload.get("msg") or ""))


def placed(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read the one row of an acknowledgement; two of them are an answer to something else."""
    rows = _data(payload)
    if len(rows) != 1 or "ordId" not in rows[0]:
        return None
    return {"orderId": rows[0].get("ordId"), "clientOrderId": rows[0].get("clOrdId")}


def _codes(codes: str, *facts: Any, **more: Any) -> Iterable[CodeRule]:
    return (CodeRule(code, *facts, **more) for code in codes.split())


#: Source: OKX API v5 error codes as ccxt 4.5.90 lists and words them (okx.py, exceptions); 51149 of reference
#: orders.md 2.1 (a time-out, though nothing maps it). What is not here stays UNKNOWN.
_CODES = table(
    (
        *_codes("50001 50005 50013 50026 51767", C.BUSY, A.LOOK_UP, "venue is not available", refuses=False),
        *_codes("50004 51149", C.BUSY, A.LOOK_UP, "time-out inside the venue; fate unknown", refuses=False),
        *_codes("50002 50006 50014 50015 50016 50024 50025 50115", C.PARAMETER, A.GIVE_UP, "request is malformed"),
        *_codes("50007 50008 50009 50012 50027 50100", C.AUTH, A.HALT_ENTRIES, "account is blocked or restricted"),
        *_codes("50011 50061", C.RATE, A.WAIT, "too many requests"),
        *_codes("50102 50112", C.CLOCK, A.SYNC_CLOCK, "time stamp outside the receive window"),
        *_codes(
            "50101 50103 50104 50105 50106 50107 50111 50113 50114", C.AUTH, A.HALT_ENTRIES,
            "key, pass phrase or signature is not valid",
        ),
        CodeRule("50110", C.AUTH, A.HALT_ENTRIES, "address is not on the key's list"),
        CodeRule("51000", C.PARAMETER, A.GIVE_UP, "a parameter is missing or malformed"),
        *_codes(
            "51001 51012 51014 51015 51026", C.SYMBOL, A.HALT_SYMBOL, "symbol is not known", reason=R.SYMBOL_HALTED
        ),
        *_codes(
            "51021 51022 51027 51028 54072", C.SYMBOL, A.HALT_SYMBOL, "symbol is not trading", reason=R.SYMBOL_HALTED
        ),
        CodeRule("51155", C.SYMBOL, A.HALT_SYMBOL, "symbol is not allowed in this region", reason=R.SYMBOL_HALTED),
        *_codes("51009 51024", C.AUTH, A.HALT_ENTRIES, "account may not place orders"),
        *_codes("51010 51763", C.AUTH, A.HALT_ENTRIES, "account level does not allow this"),
        *_codes(
            "51008 51119 51127 51131", C.FUNDS, A.RECONCILE, "less free than asked; read balances once",
            reason=R.INSUFFICIENT_FUNDS,
        ),
        *_codes(
            "51020 51100 51118 51120", C.FILTER, A.RELOAD_INSTRUMENTS, "order is below the minimum",
            reason=R.QUANTITY_BELOW_MIN,
        ),
        CodeRule("51121", C.FILTER, A.RELOAD_INSTRUMENTS, "quantity off lot", reason=R.QUANTITY_OFF_LOT),
        *_codes(
            "51004 51005 51185 51202 51203", C.FILTER, A.RELOAD_INSTRUMENTS, "order is above the maximum",
            reason=R.QUANTITY_ABOVE_MAX,
        ),
        *_codes(
            "51006 51031 51116 51122 51137 51138", C.FILTER, A.GIVE_UP, "price too far from the market",
            reason=R.PRICE_MOVED,
        ),
        *_codes("51025 51102 51103 51174", C.LIMIT, A.WAIT, "too many open orders"),
        *_codes("51011 51016", C.DUPLICATE, A.LOOK_UP, "an earlier order has this id", refuses=False),
        *_codes(
            "51400 51401 51402 51405 51410 51603", C.MISSING, A.LOOK_UP, "no such open order; it may have filled",
            refuses=False,
        ),
    )
)  # fmt: skip

OKX: Final = VenueRules(
    "okx",
    _CODES,
    re.compile(r"[1-9]\d{5,24}"),
    UNIFIED_STATUSES,
    frozenset({"51400", "51401", "51402", "51405", "51603"}),
    frozenset({"0"}),
    error_of=error_of,
    placed=placed,
    canceled=placed,
    raw=False,
)
