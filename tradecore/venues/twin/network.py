"""Faults between the bot and the twin's engine: requests stopped on their way, answers spoiled on theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from tradecore.venues.classify import RawReply
from tradecore.venues.twin.gate import Refused
from tradecore.venues.twin.manners import Answer, Manners

_PAGE: Final = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
_PAGES: Final = {
    "http_502": (502, "502 Bad Gateway"), "http_403": (403, "403 Forbidden"), "http_404": (404, "404 Not Found"),
    "http_504": (504, "504 Gateway Time-out"),
}  # fmt: skip
_FOREIGN_ID: Final = "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0"
_SILENT: Final = ("lost_request", "cancel_dropped", "read_lost")
_UNHEARD: Final = ("lost_ack", "cut_after_accept", "cancel_lost")


class Sent(NamedTuple):
    """What the venue's side put on the wire; ``answer`` is ``None`` where the request never arrived."""

    answer: Answer | None
    retry_after_s: int | None = None


def stopped(hits: Mapping[str, float]) -> Sent | None:
    """What becomes of a request that a fault stops before the engine; ``None`` where it goes through."""
    if any(name in hits for name in _SILENT):
        return Sent(None)
    for name, (status, title) in _PAGES.items():
        if name in hits:
            return Sent(Answer(status, _PAGE.format(title)))
    return None


def turned_away(refused: Refused, manners: Manners) -> Sent:
    """The doorman's answer."""
    return Sent(manners.too_many(refused.status), refused.retry_after_s)


def closed_for_maintenance() -> Sent:
    """The answer of a venue that is being worked on."""
    return Sent(Answer(503, '{"code":-1008,"msg":"System is under maintenance."}'))


def reply_of(sent: Sent, hits: Mapping[str, float], headers: dict[str, str], latency_ms: float) -> RawReply:
    """What the bot's transport sees of it."""
    unheard = next((name for name in _UNHEARD if name in hits), None)
    if sent.answer is None or unheard is not None:
        text = "connection reset by peer" if unheard == "cut_after_accept" else "request timed out"
        return RawReply(True, None, {}, None, text, latency_ms)
    if sent.retry_after_s is not None:
        headers = {**headers, "Retry-After": str(sent.retry_after_s)}
    status, body = spoiled(sent.answer, hits)
    return RawReply(True, status, headers, body, "", latency_ms)


def spoiled(answer: Answer, hits: Mapping[str, float]) -> tuple[int, str]:
    """Status and body of an answer as faults leave them."""
    if answer.status != 200:
        return answer
    for name, (status, body) in _REPLACED.items():
        if name in hits:
            return status, body
    if "truncated_body" in hits:
        return 200, answer.body[: len(answer.body) // 2]
    if any(name in hits for name in _EDITS):
        return 200, _edited(answer.body, hits)
    return answer


_REPLACED: Final[Mapping[str, tuple[int, str]]] = {
    "http_500_accepted": (500, '{"code":500,"msg":"Internal error."}'),
    "http_502_accepted": (502, _PAGE.format("502 Bad Gateway")),
    "http_503_accepted": (503, '{"code":-1000,"msg":"An unknown error occurred while processing the request."}'),
    "http_504_accepted": (504, '{"code":-1007,"msg":"Timeout waiting for response from backend server."}'),
    "code_1006_accepted": (400, '{"code":-1006,"msg":"An unexpected response was received from the message bus."}'),
    "cancel_502": (502, _PAGE.format("502 Bad Gateway")),
    "html_200": (200, _PAGE.format("Checking your browser")),
    "empty_body": (200, ""),
    "empty_object": (200, "{}"),
    "null_body": (200, "null"),
}
_EDITS: Final = ("ack_without_status", "wrong_echo", "wrong_id", "unmapped_status")


def _edited(body: str, hits: Mapping[str, float]) -> str:
    facts: dict[str, Any] = orjson.loads(body)
    if "ack_without_status" in hits:
        for name in ("status", "executedQty", "cummulativeQuoteQty", "fills"):
            facts.pop(name, None)
    if "wrong_echo" in hits:
        facts["clientOrderId"] = _FOREIGN_ID
    if "wrong_id" in hits:
        facts["orderId"] = "<html>"
    if "unmapped_status" in hits:
        facts["status"] = "PENDING_CANCEL"
    return orjson.dumps(facts).decode()
