"""The judge: what an answer proves about an order. Shared by every venue, the twin's too.

An order is REJECTED only by an allow-listed code, ACCEPTED only by a plausible id that echoes ours, NOT_SENT only
where no byte can have left. Everything else is UNKNOWN (reference orders.md 2.3): ccxt's classes and a time-out
prove nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from tradecore.errors import RetryableVenueError, UnitError, VenueRefused
from tradecore.model.order import Cancelation, CancelKind, NewOrder, OrderReport, Placement, PlacementKind
from tradecore.model.reasons import Reason
from tradecore.venues.payload import echoed_id_of, order_id_of, parse_json, report_of, same_symbol
from tradecore.venues.rules import Action, CodeRule, ErrorClass, VenueRules

_RETRY: Final = frozenset({ErrorClass.RATE, ErrorClass.CLOCK, ErrorClass.BUSY})
_QUERY: Final = re.compile(r"\?\S+")
_SIGNED: Final = re.compile(r"\bsign(?:ature)?\W{1,4}\w\S*", re.IGNORECASE)
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
LONGEST_WAIT_S: Final = 3 * 24 * 3600.0
"""Longest ban of a venue (reference orders.md F15); a longer word is a mistake, and would silence us for good."""
_EXCERPT: Final = 160
_READ: Final = 4000
"""Characters that an excerpt is made from: a page of megabytes is not searched."""


class RawReply(NamedTuple):
    """What the transport saw of one request."""

    entered: bool
    """True once bytes may have left the machine."""
    status: int | None
    """HTTP status; ``None`` where no answer came."""
    headers: Mapping[str, str]
    body: str | None
    """Text of the answer; ``None`` where none came."""
    error: str = ""
    """What the transport raised; empty if nothing."""
    latency_ms: float = 0.0


class _Asks(NamedTuple):
    """What a venue's rules ask of us after an answer, as text; empty where they ask nothing."""

    action: str
    error_class: str


class _Judged(NamedTuple):
    """A venue's error as its rules read it."""

    code: str
    message: str
    rule: CodeRule | None
    """``None``: a code that the rules do not list."""


def retry_after_of(reply: RawReply) -> float | None:
    """Seconds that the venue asked us to wait, 0 to three days; ``None`` where it did not say, or nothing usable.

    Source: RFC 9110, 10.2.3: seconds, or a date, which is held against the answer's own date: clocks differ.
    """
    told = {name.lower(): value.strip() for name, value in reply.headers.items()}
    text = told.get("retry-after", "")
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT_S)
    until, now = _date(text), _date(told.get("date", ""))
    if until is None or now is None:
        return None
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT_S)


def _date(text: str) -> datetime | None:
    """A date of HTTP; ``None`` where a text is none."""
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def digest_of(body: str | None) -> str:
    """Fingerprint of a raw answer: 16 hex digits; empty where there is none."""
    return hashlib.sha256(body.encode()).hexdigest()[:16] if body else ""


def excerpt_of(text: str | None) -> str:
    """The beginning of a text in one line, without the queries of addresses and without signatures."""
    # Time-out texts hold the signed address, which could be replayed (reference orders.md 2.11).
    plain = _QUERY.sub("?...", " ".join((text or "")[:_READ].split()))
    return _SIGNED.sub("signature...", plain)[:_EXCERPT]


def _error_of(payload: Mapping[str, Any], rules: VenueRules) -> _Judged | None:
    said = rules.error_of(payload, rules.success_codes)
    return None if said is None else _Judged(said.code, said.message, rules.judged(said))


def _told(judged: _Judged) -> str:
    """The operator's text first, the venue's own words behind it."""
    text = judged.rule.text if judged.rule else "code is not known"
    return f"{text}: {excerpt_of(judged.message)}" if judged.message else text


def _asked_by(judged: _Judged | None, reply: RawReply) -> _Asks:
    """What is to be done about an answer. A 418 or 429 is about the rate of requests, whatever its body says."""
    if reply.status in (418, 429):
        return _Asks(str(Action.WAIT), str(ErrorClass.RATE))
    if judged is None or judged.rule is None:
        return _Asks("", "")
    return _Asks(str(judged.rule.action), str(judged.rule.error_class))


def object_of(body: str | None) -> dict[str, Any] | None:
    """A body as a JSON object; ``None`` where it is none."""
    try:
        payload = parse_json(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def classify_place(
    reply: RawReply, rules: VenueRules, order: NewOrder, parsed: Mapping[str, Any] | None = None
) -> Placement:
    """Judge what became of one send.

    Args:
        reply: What the transport saw.
        rules: The venue's words.
        order: What was sent.
        parsed: The acknowledged order in Binance's field names, where another than the rules found it and proved
            that the raw body carries it.
    Returns:
        A placement; its report is set where ACCEPTED, and its status is ``None`` where the venue only acknowledged.
    Source: reference orders.md 2.3.
    """
    wait = retry_after_of(reply)

    def unknown(detail: str, judged: _Judged | None = None, reason: Reason = Reason.OUTCOME_UNKNOWN) -> Placement:
        return Placement(
            PlacementKind.UNKNOWN, reason, judged.code if judged else "", detail, None, reply.status,
            reply.latency_ms, wait, *_asked_by(judged, reply),
        )  # fmt: skip

    if not reply.entered:
        detail = excerpt_of(reply.error) or "nothing left the machine"
        return Placement(PlacementKind.NOT_SENT, Reason.NOT_SENT, "", detail, None, None, reply.latency_ms, wait)
    if reply.status is None:
        return unknown(excerpt_of(reply.error) or "no answer came")
    payload = object_of(reply.body)
    if reply.status >= 500:
        judged = _error_of(payload, rules) if payload is not None else None
        return unknown(f"http {reply.status}: {excerpt_of(reply.body)}", judged)
    if payload is None:
        return unknown(f"http {reply.status}, body is no JSON object: {excerpt_of(reply.body)}")
    judged = _error_of(payload, rules)
    if judged is not None:
        if rules.duplicate.search(judged.message):
            return unknown(f"an earlier order has this id: {excerpt_of(judged.message)}", judged)
        if judged.rule is None or not judged.rule.refuses:
            return unknown(_told(judged), judged)
        return Placement(
            PlacementKind.REJECTED, judged.rule.reason, judged.code, _told(judged), None, reply.status,
            reply.latency_ms, wait, *_asked_by(judged, reply),
        )  # fmt: skip
    found = rules.placed(payload) if parsed is None else parsed
    if reply.status != 200 or found is None or not order_id_of(found, rules):
        return unknown(f"http {reply.status} without an order id: {excerpt_of(reply.body)}")
    if echoed_id_of(found) not in ("", order.wire_id) or not same_symbol(found.get("symbol"), order.symbol):
        return unknown(f"another order came back: {excerpt_of(reply.body)}", reason=Reason.ECHO_MISMATCH)
    report = _report_or_bare(found, rules, order, digest_of(reply.body))
    differs = mismatch_of(report, order)
    if differs:
        return unknown(f"another order came back: {differs}", reason=Reason.ECHO_MISMATCH)
    return Placement(
        PlacementKind.ACCEPTED, Reason.ACCEPTED, "", "", report, reply.status, reply.latency_ms, wait
    )  # fmt: skip


def mismatch_of(report: OrderReport, order: NewOrder) -> str:
    """Compare a report with what was sent; what the venue does not say is no difference.

    Returns:
        What differs, in words; empty where nothing does.
    """
    pairs = (
        ("side", order.side, report.side),
        ("quantity", order.quantity, report.quantity),
        ("price", order.price, report.price),
        ("time in force", order.time_in_force, report.time_in_force),
    )
    return ", ".join(f"{name} asked {asked} was {got}" for name, asked, got in pairs if got not in (None, asked))


def _report_or_bare(payload: Mapping[str, Any], rules: VenueRules, order: NewOrder, digest: str) -> OrderReport:
    """The report; where an amount is malformed only what the id proves, so that the order is read again."""
    try:
        side = payload.get("side") or order.side.upper()
        return report_of({**payload, "side": side}, rules, order.symbol, digest)
    except UnitError:
        return OrderReport(
            echoed_id_of(payload), order_id_of(payload, rules), order.symbol, order.side, None, None, None, None, None,
            None, 0, (), "rest", digest,
        )  # fmt: skip


def classify_cancel(
    reply: RawReply,
    rules: VenueRules,
    symbol: str,
    wire_id: str,
    venue_order_id: str = "",
    *,
    parsed: Mapping[str, Any] | None = None,
) -> Cancelation:
    """Judge the answer to a cancel. No answer proves that the order is gone: it is read afterwards.

    Args:
        symbol: Our name of the symbol.
        wire_id: Our id of the order.
        venue_order_id: The venue's; may be empty.
        parsed: The cancelled order in Binance's field names, where another than the rules found it; empty where the
            venue took the cancel without naming the order.
    """
    wait = retry_after_of(reply)
    if not reply.entered or reply.status is None:
        return Cancelation(CancelKind.UNKNOWN, "", excerpt_of(reply.error) or "no answer came", None, wait)
    payload = object_of(reply.body)
    judged = _error_of(payload, rules) if payload is not None else None
    if judged is not None:
        gone = reply.status < 500 and judged.code in rules.missing_codes
        return Cancelation(
            CancelKind.NOT_FOUND if gone else CancelKind.UNKNOWN, judged.code, _told(judged), None, wait,
            _asked_by(judged, reply).error_class,
        )  # fmt: skip
    facts = None
    if payload is not None:
        facts = rules.canceled(payload) if parsed is None else parsed
    found = order_id_of(facts, rules) if facts is not None else ""
    if facts is None or reply.status != 200 or (facts and not found):
        return Cancelation(CancelKind.UNKNOWN, "", f"http {reply.status}: {excerpt_of(reply.body)}", None, wait)
    if not facts:
        return Cancelation(CancelKind.REQUESTED, "", "", None, wait)
    echoes = {str(facts[name]) for name in ("origClientOrderId", "clientOrderId") if facts.get(name)}
    # Binance names the cancel itself in clientOrderId and the order in origClientOrderId; either may be ours.
    foreign = (echoes and wire_id not in echoes) or (venue_order_id and found != venue_order_id)
    if foreign or not same_symbol(facts.get("symbol"), symbol):
        return Cancelation(CancelKind.UNKNOWN, "", f"another order came back: {excerpt_of(reply.body)}", None, wait)
    try:
        report = report_of(facts, rules, symbol, digest_of(reply.body))
    except UnitError:
        report = None
    return Cancelation(CancelKind.REQUESTED, "", "", report, wait)


def classify_read(reply: RawReply, rules: VenueRules, what: str) -> Any:
    """Judge the answer to a read.

    Args:
        what: What was asked, for the message, as ``order BTC/USDT``.
    Returns:
        The parsed JSON: an object or a list.
    Raises:
        RetryableVenueError: If no usable answer came.
        VenueRefused: If the venue said no; its code is one of ``rules.missing_codes`` where it has no such order.
    """
    wait = retry_after_of(reply)
    if not reply.entered or reply.status is None:
        raise RetryableVenueError(f"{what}: {excerpt_of(reply.error) or 'no answer came'}", retry_after_s=wait)
    try:
        payload = parse_json(reply.body)
    except ValueError:
        payload = None
    judged = _error_of(payload, rules) if isinstance(payload, dict) else None
    if reply.status >= 500 or reply.status in (418, 429):
        code = judged.code if judged else ""
        told = f"{what}: http {reply.status}: {excerpt_of(reply.body)}"
        raise RetryableVenueError(told, code, wait, error_class=_asked_by(judged, reply).error_class)
    if judged is not None:
        if judged.rule is not None and judged.rule.error_class in _RETRY:
            raise RetryableVenueError(
                f"{what}: {_told(judged)}", judged.code, wait, error_class=_asked_by(judged, reply).error_class
            )
        refused = f"{what}: {judged.code} {_told(judged)}"
        raise VenueRefused(refused, judged.code, error_class=_asked_by(judged, reply).error_class)
    if reply.status != 200 or not isinstance(payload, dict | list):
        raise RetryableVenueError(f"{what}: http {reply.status}, no usable body: {excerpt_of(reply.body)}", "", wait)
    return payload


def read_order(reply: RawReply, rules: VenueRules, symbol: str, wire_id: str) -> OrderReport | None:
    """Judge the read of one order by our id.

    Returns:
        Its report; ``None`` where the venue says that it has no such order.
    Raises:
        RetryableVenueError: If no usable answer came, or another order than was asked (reference orders.md F45).
        VenueRefused: If the venue said no.
    """
    try:
        payload = classify_read(reply, rules, f"order {symbol}")
    except VenueRefused as refused:
        if refused.code in rules.missing_codes:
            return None
        raise
    try:
        if not isinstance(payload, dict):
            raise UnitError(f"expected one order, was {type(payload).__name__}")
        report = report_of(payload, rules, symbol, digest_of(reply.body))
    except UnitError as error:
        raise RetryableVenueError(f"order {symbol}: {error}") from error
    if report.wire_id != wire_id or not same_symbol(payload.get("symbol"), symbol):
        raise RetryableVenueError(f"order {symbol}: expected {wire_id}, was {report.wire_id or 'no id'}")
    return report


def read_orders(reply: RawReply, rules: VenueRules, symbols: Mapping[str, str], what: str) -> list[OrderReport]:
    """Judge a list of orders, foreign ones too.

    Args:
        symbols: Our name by the venue's name of a symbol; orders of other symbols are left out.
    Raises:
        RetryableVenueError: If no usable answer came: a list with one malformed order is none.
        VenueRefused: If the venue said no.
    """
    payload = classify_read(reply, rules, what)
    if not isinstance(payload, list):
        raise RetryableVenueError(f"{what}: expected a list, was {type(payload).__name__}")
    digest = digest_of(reply.body)
    reports = []
    try:
        for row in payload:
            if not isinstance(row, dict):
                raise UnitError(f"expected an order, was {type(row).__name__}")
            symbol = symbols.get(str(row.get("symbol")))
            if symbol is not None:
                reports.append(report_of(row, rules, symbol, digest))
    except UnitError as error:
        raise RetryableVenueError(f"{what}: {error}") from error
    return reports
