"""How each venue says no on the wire, beyond what the engine's rejections are called."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson

from tradecore.venues.twin.manners import Answer


class WireError(Exception):
    """A no to a request, in the venue's words.

    Args:
        status: HTTP status.
        code: The venue's code.
        message: The venue's text.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status: Final = status
        self.code: Final = code
        self.message: Final = message

    @property
    def answer(self) -> Answer:
        """As it goes over the wire."""
        return Answer(self.status, orjson.dumps({"code": self.code, "msg": self.message}).decode())


class _Word(NamedTuple):
    status: int
    code: int
    text: str


_MISSING: Final = "Mandatory parameter '{0}' was not sent, was empty/null, or malformed."
_ILLEGAL: Final = "Illegal characters found in parameter '{0}'; legal range is '{1}'."
_AHEAD: Final = "Timestamp for this request was 1000ms ahead of the server's time."
_OUTSIDE: Final = "Timestamp for this request is outside of the recvWindow."
_ARCHIVED: Final = "Order was canceled or expired with no executed qty over 90 days ago and has been archived."
_TIMED_OUT: Final = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
#: Source: Binance spot errors.md (a5e0bc3, 2026-07-21).
_BINANCE: Final = {
    "missing": _Word(400, -1102, _MISSING),
    "illegal": _Word(400, -1100, _ILLEGAL),
    "duplicate": _Word(400, -1101, "Duplicate values for parameter '{0}' detected."),
    "unread": _Word(400, -1104, "Not all sent parameters were read; read '{0}' parameter(s) but was sent '{1}'."),
    "not_required": _Word(400, -1106, "Parameter '{0}' sent when not required."),
    "precision": _Word(400, -1111, "Parameter '{0}' has too much precision."),
    "time_in_force": _Word(400, -1115, "Invalid timeInForce."),
    "type": _Word(400, -1116, "Invalid orderType."),
    "side": _Word(400, -1117, "Invalid side."),
    "interval": _Word(400, -1120, "Invalid interval."),
    "symbol": _Word(400, -1121, "Invalid symbol."),
    "day": _Word(400, -1127, "More than 24 hours between startTime and endTime."),
    "bad_value": _Word(400, -1130, "Data sent for parameter '{0}' is not valid."),
    "window": _Word(400, -1131, "recvWindow must be less than 60000."),
    "ahead": _Word(400, -1021, _AHEAD),
    "outside": _Word(400, -1021, _OUTSIDE),
    "signature": _Word(400, -1022, "Signature for this request is not valid."),
    "key_missing": _Word(401, -2014, "API-key format invalid."),
    "key_format": _Word(401, -2014, "API-key format invalid."),
    "key_unknown": _Word(401, -2015, "Invalid API-key, IP, or permissions for action."),
    "address": _Word(401, -2015, "Invalid API-key, IP, or permissions for action."),
    "permission": _Word(401, -2015, "Invalid API-key, IP, or permissions for action."),
    "no_order": _Word(400, -2013, "Order does not exist."),
    "archived": _Word(400, -2026, _ARCHIVED),
    "orders_rate": _Word(429, -1015, "Too many new orders; current limit is {0} orders per {1}."),
    "maintenance": _Word(503, -1008, "System is under maintenance."),
    "content_type": _Word(400, -1102, _MISSING),
}  # fmt: skip
#: Source: MEXC spot v3 error codes; what it does not name is said as Binance says it.
_MEXC: Final = {
    **_BINANCE,
    "missing": _Word(400, 700004, _MISSING),
    "illegal": _Word(400, 700008, _ILLEGAL),
    "not_required": _Word(400, 700004, "Parameter '{0}' sent when not required."),
    "precision": _Word(400, 30002, "quantity scale is invalid"),
    "time_in_force": _Word(400, 700004, "Invalid timeInForce."),
    "type": _Word(400, 700004, "Invalid type."),
    "side": _Word(400, 700004, "Invalid side."),
    "bad_value": _Word(400, 700004, "Param '{0}' error."),
    "window": _Word(400, 700005, "recvWindow must less than 60000"),
    "ahead": _Word(400, 700003, _OUTSIDE),
    "outside": _Word(400, 700003, _OUTSIDE),
    "signature": _Word(400, 700002, "Signature for this request is not valid."),
    "key_missing": _Word(401, 700001, "API-key format invalid."),
    "key_format": _Word(401, 700001, "API-key format invalid."),
    "key_unknown": _Word(400, 10072, "Api key info invalid"),
    "address": _Word(403, 700006, "IP is not in the white list"),
    "permission": _Word(403, 700007, "No permission to access the endpoint"),
    "orders_rate": _Word(429, 429, "Too Many Requests"),
    "maintenance": _Word(503, 503, "Service is under maintenance."),
    "content_type": _Word(400, 700013, "Invalid content Type."),
}  # fmt: skip
_WORDS: Final[Mapping[str, Mapping[str, _Word]]] = MappingProxyType({"binance": _BINANCE, "mexc": _MEXC})

#: HTTP status and text of codes that only a fault asks for; any other code is a plain 400.
_ASKED: Final[Mapping[str, Mapping[int, tuple[int, str]]]] = MappingProxyType(
    {
        "binance": {
            -1000: (500, "An unknown error occurred while processing the request."),
            -1001: (500, "Internal error; unable to process your request. Please try again."),
            -1003: (429, "Too many requests."),
            -1006: (400, "An unexpected response was received from the message bus. Execution status unknown."),
            -1007: (504, _TIMED_OUT),
            -1008: (503, "Server is currently overloaded with other requests. Please try again in a few minutes."),
            -1015: (429, "Too many new orders; current limit is 100 orders per 10 SECOND."),
            -2010: (400, "Account has insufficient balance for requested action."),
            -2026: (400, _ARCHIVED),
        },
        "mexc": {
            429: (429, "Too Many Requests"),
            500: (500, "Internal error"),
            503: (503, "Service not available, please try again"),
            504: (504, "Gateway Time-out"),
            10007: (400, "symbol not support api"),
            10072: (400, "Api key info invalid"),
            30000: (400, "suspended transaction for the symbol"),
            30002: (400, "The minimum transaction volume cannot be less than the limit"),
            30004: (400, "Insufficient position"),
            30005: (400, "Oversold"),
            30010: (400, "no valid trade price"),
            30016: (400, "trading disabled"),
            30029: (400, "cannot exceed the maximum order limit"),
            30087: (400, "order price exceeds the permitted range"),
        },
    }
)  # fmt: skip


def no(wire: str, name: str, *facts: object) -> WireError:
    """Make a venue's no.

    Args:
        wire: binance or mexc.
        name: What is wrong, a key of the tables above.
        facts: What its text names.
    """
    word = _WORDS[wire][name]
    return WireError(word.status, word.code, word.text.format(*facts))


def asked_for(wire: str, code: float) -> WireError:
    """The no that a fault asks for by its code, the sign left out.

    MEXC's own codes are positive; those that it shares with Binance (1121, 2011, 2013) are negative there too.
    """
    whole = int(code)
    signed = -whole if wire == "binance" or 1000 <= whole < 3000 else whole
    status, text = _ASKED[wire].get(signed, (400, "asked for by a fault"))
    return WireError(status, signed, text)
