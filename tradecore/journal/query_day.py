"""What a day's orders and equity come to: the cost of each rung, what fills were worth later, the equity over time.

As with decisions (`why_day.py`), a finished day is summed up once and kept beside the journal.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from tradecore.journal.day_index import LeftOut, mark_of, write_kept
from tradecore.journal.files import DayFile, list_files
from tradecore.journal.query_lines import matching
from tradecore.journal.sound import sound_of, tell
from tradecore.journal.why_day import index_path
from tradecore.model.events import Taxonomy

_VERSION: Final = 2
_EQUITY_MS: Final = 300_000
_DAY_MS: Final = 86_400_000


class FillCost(NamedTuple):
    """One fill against the market around it."""

    at_ms: int
    symbol: str
    side: str
    label: str
    """The rung of its order."""
    client_order: str
    price: float
    quote: float
    mid: float | None
    """Middle of the book at the decision; ``None`` where it is not known."""
    later: Mapping[str, float]
    """Delay in seconds to the middle of the book then."""


class Sent(NamedTuple):
    """One order that was sent."""

    at_ms: int
    symbol: str
    side: str
    label: str
    client_order: str


class Equity(NamedTuple):
    """The account at one moment."""

    at_ms: int
    equity: float
    currency: str


class OrderDay(NamedTuple):
    """One day of orders."""

    sent: tuple[Sent, ...]
    fills: tuple[FillCost, ...]


def _read_orders(data: bytes) -> OrderDay:
    labels: dict[str, str] = {}
    mids: dict[str, float] = {}
    sent: list[Sent] = []
    fills: dict[str, FillCost] = {}
    for raw in matching(data, ("intent_created", "order_attempt", "order_fill", "mark_out")):
        line = orjson.loads(raw)
        event, order, at_ms = line["data"], line["client_order"], line["at_ns"] // 1_000_000
        match line["kind"]:
            case "intent_created":
                if event.get("mid") is not None:
                    mids[line["intent"]] = float(event["mid"])
            case "order_attempt":
                labels[order] = event["label"] or event["time_in_force"]
                if event["state"] == "SENDING":
                    sent.append(Sent(at_ms, event["symbol"], event["side"], labels[order], order))
            case "order_fill":
                fills[f"{event['symbol']} {event['venue_trade_id']}"] = FillCost(
                    at_ms, event["symbol"], event["side"], labels.get(order, ""), order, float(event["price"]),
                    float(event["quote_quantity"]), mids.get(line["intent"]), {},
                )  # fmt: skip
            case _:
                fill = fills.get(f"{event['symbol']} {event['venue_trade_id']}")
                if fill is not None:
                    key = f"{event['symbol']} {event['venue_trade_id']}"
                    fills[key] = fill._replace(later={**fill.later, str(event["delay_s"]): float(event["mid"])})
    return OrderDay(tuple(sent), tuple(fills.values()))


def _read_equity(data: bytes) -> tuple[Equity, ...]:
    """The last equity of every five minutes."""
    found: dict[int, Equity] = {}
    for raw in matching(data, ("portfolio_snapshot",)):
        line = orjson.loads(raw)
        at_ms = line["at_ns"] // 1_000_000
        found[at_ms // _EQUITY_MS] = Equity(at_ms, float(line["data"]["equity"]), line["data"]["currency"])
    return tuple(found.values())


def orders_of(
    journal: Path, since_ms: int | None, until_ms: int | None, left_out: list[LeftOut] | None = None
) -> OrderDay:  # fmt: skip
    """Orders sent and filled in a span of market time.

    Args:
        left_out: Is given what the answer is given without; ``None``: nobody wants to know.
    """
    sent: list[Sent] = []
    fills: list[FillCost] = []
    for file, over in _days(journal, Taxonomy.ORDER, since_ms, until_ms):
        day = _kept(journal, file, over, _read_orders, _orders_back, left_out)
        sent += [one for one in day.sent if _within(one.at_ms, since_ms, until_ms)]
        fills += [one for one in day.fills if _within(one.at_ms, since_ms, until_ms)]
    return OrderDay(tuple(sent), tuple(fills))


def equity_of(
    journal: Path, since_ms: int | None, until_ms: int | None, left_out: list[LeftOut] | None = None
) -> tuple[Equity, ...]:  # fmt: skip
    """The equity over a span of market time, every five minutes, oldest first.

    Args:
        left_out: Is given what the answer is given without; ``None``: nobody wants to know.
    """
    found: list[Equity] = []
    for file, over in _days(journal, Taxonomy.AUDIT, since_ms, until_ms):
        day = _kept(journal, file, over, _read_equity, _equity_back, left_out)
        found += [one for one in day if _within(one.at_ms, since_ms, until_ms)]
    return tuple(sorted(found))


def keep_file(journal: Path, file: DayFile) -> None:
    """Sum up a finished day's file of orders or audit and keep the sum."""
    if file.taxonomy is Taxonomy.ORDER:
        _kept(journal, file, True, _read_orders, _orders_back, None)
    elif file.taxonomy is Taxonomy.AUDIT:
        _kept(journal, file, True, _read_equity, _equity_back, None)


def _days(journal: Path, taxonomy: Taxonomy, since_ms: int | None, until_ms: int | None) -> list[tuple[DayFile, bool]]:
    files = list_files(journal, taxonomy)
    return [
        (file, number + 1 < len(files))
        for number, file in enumerate(files)
        if (since_ms is None or (file.day + 1) * _DAY_MS > since_ms)
        and (until_ms is None or file.day * _DAY_MS < until_ms)
    ]


def _within(at_ms: int, since_ms: int | None, until_ms: int | None) -> bool:
    return (since_ms is None or at_ms >= since_ms) and (until_ms is None or at_ms < until_ms)


def _kept(  # noqa: PLR0917 - one sum: which file, how it is made, read back and told
    journal: Path, file: DayFile, over: bool, read: Callable[[bytes], Any], back: Callable[[Any], Any],
    left_out: list[LeftOut] | None,
) -> Any:  # fmt: skip
    """A day's sum: the kept one of a finished day, else made from its file, and kept where the day is over."""
    path = index_path(journal, file)
    if over:
        # whatever is wrong with it, it is made again from the day itself, and written over
        with contextlib.suppress(OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
            head, body = gzip.decompress(path.read_bytes()).split(b"\n", 1)
            known = orjson.loads(head)
            if known["version"] == _VERSION and known["mark"] == mark_of(file):
                found = back(orjson.loads(body))
                tell(left_out, [LeftOut(*one) for one in known["left_out"]])
                return found
    sound = sound_of(file)
    tell(left_out, sound.left_out)
    found = read(sound.data)
    if over and sound.mark:
        about = {"version": _VERSION, "day": file.day, "mark": sound.mark, "left_out": sound.left_out}
        text = orjson.dumps(about, tuple) + b"\n" + orjson.dumps(found, tuple)
        write_kept(path, gzip.compress(text, 6, mtime=0))
    return found


def _orders_back(found: Any) -> OrderDay:
    sent, fills = found
    return OrderDay(tuple([Sent(*one) for one in sent]), tuple([FillCost(*one) for one in fills]))


def _equity_back(found: Any) -> tuple[Equity, ...]:
    return tuple([Equity(*one) for one in found])
