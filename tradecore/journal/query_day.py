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

_VERSION: Final = 3
_ORDER_KINDS: Final = (
    "intent_created", "order_attempt", "order_fill", "mark_out", "sell_trigger_eval", "exit_refused",
)  # fmt: skip
_EQUITY_MS: Final = 300_000
_DAY_MS: Final = 86_400_000
_LATE_MS: Final = 120_000
"""What a fill is worth is told within this time (`engine/markout.py`: one minute)."""


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
    trade: str = ""
    """Symbol and the venue's number of the trade."""


class Sent(NamedTuple):
    """One order that was sent."""

    at_ms: int
    symbol: str
    side: str
    label: str
    client_order: str
    mid: float | None = None
    """Middle of the book when its intent was made; ``None`` where it is not known."""


class Late(NamedTuple):
    """What a fill of the day before was worth: told after midnight."""

    at_ms: int
    symbol: str
    trade: str
    delay: str
    mid: float


class ExitAsked(NamedTuple):
    """A position that was to be left."""

    at_ms: int
    symbol: str
    position_id: str
    reason: str


class ExitNo(NamedTuple):
    """A round of an exit that became no order: the core's own check refused it."""

    at_ms: int
    symbol: str
    position_id: str
    reason: str
    """Why the position is to be left."""
    code: str
    value: float
    threshold: float
    became: str


class Equity(NamedTuple):
    """The account at one moment."""

    at_ms: int
    equity: float
    currency: str


class OrderDay(NamedTuple):
    """One day of orders."""

    sent: tuple[Sent, ...]
    fills: tuple[FillCost, ...]
    exits: tuple[ExitAsked, ...] = ()
    refused: tuple[ExitNo, ...] = ()
    late: tuple[Late, ...] = ()

    def within(self, since_ms: int | None, until_ms: int | None, symbol: str = "") -> OrderDay:
        """What lies in a span of market time, of one symbol or (empty) of all."""

        def fits(one: Sent | FillCost | ExitAsked | ExitNo) -> bool:
            return _within(one.at_ms, since_ms, until_ms) and symbol in ("", one.symbol)

        return OrderDay(
            tuple(filter(fits, self.sent)), tuple(filter(fits, self.fills)), tuple(filter(fits, self.exits)),
            tuple(filter(fits, self.refused)),
        )  # fmt: skip


def _read_orders(data: bytes) -> OrderDay:
    labels: dict[str, str] = {}
    mids: dict[str, float] = {}
    sent: list[Sent] = []
    fills: dict[str, FillCost] = {}
    exits: list[ExitAsked] = []
    refused: list[ExitNo] = []
    late: list[Late] = []
    for raw in matching(data, _ORDER_KINDS):
        line = orjson.loads(raw)
        event, order, at_ms = line["data"], line["client_order"], line["at_ns"] // 1_000_000
        match line["kind"]:
            case "intent_created":
                if event.get("mid") is not None:
                    mids[line["intent"]] = float(event["mid"])
            case "order_attempt":
                labels[order] = event["label"] or event["time_in_force"]
                if event["state"] == "SENDING":
                    mid = mids.get(line["intent"])
                    sent.append(Sent(at_ms, event["symbol"], event["side"], labels[order], order, mid))
            case "order_fill":
                trade = f"{event['symbol']} {event['venue_trade_id']}"
                fills[trade] = FillCost(
                    at_ms, event["symbol"], event["side"], labels.get(order, ""), order, float(event["price"]),
                    float(event["quote_quantity"]), mids.get(line["intent"]), {}, trade,
                )  # fmt: skip
            case "sell_trigger_eval":
                exits.append(ExitAsked(at_ms, event["symbol"], event["position_id"], event["reason"]))
            case "exit_refused":
                refused.append(
                    ExitNo(
                        at_ms, event["symbol"], event["position_id"], event["reason"], event["code"],
                        float(event["value"]), float(event["threshold"]), event["became"],
                    )
                )  # fmt: skip
            case _:
                trade = f"{event['symbol']} {event['venue_trade_id']}"
                after = Late(at_ms, event["symbol"], trade, str(event["delay_s"]), float(event["mid"]))
                if trade in fills:
                    fills[trade] = _worth_later(fills[trade], after)
                else:
                    late.append(after)
    return OrderDay(tuple(sent), tuple(fills.values()), tuple(exits), tuple(refused), tuple(late))


def _worth_later(fill: FillCost, after: Late) -> FillCost:
    return fill._replace(later={**fill.later, after.delay: after.mid})


def _read_equity(data: bytes) -> tuple[Equity, ...]:
    """The first equity of the day, where a run may have begun, and the last of every five minutes."""
    first: Equity | None = None
    found: dict[int, Equity] = {}
    for raw in matching(data, ("portfolio_snapshot",)):
        line = orjson.loads(raw)
        at_ms = line["at_ns"] // 1_000_000
        point = Equity(at_ms, float(line["data"]["equity"]), line["data"]["currency"])
        first = first or point
        found[at_ms // _EQUITY_MS] = point
    last = tuple(found.values())
    return last if first is None or first == last[0] else (first, *last)


def orders_of(
    journal: Path, since_ms: int | None, until_ms: int | None, left_out: list[LeftOut] | None = None, symbol: str = ""
) -> OrderDay:
    """Orders sent and filled, and exits, in a span of market time.

    Args:
        symbol: Only this symbol; empty: all.
        left_out: Is given what the answer is given without; ``None``: nobody wants to know.
    """
    found = OrderDay((), ())
    # an order that was sent before midnight may fill after it, and be worth something on the day after
    since = since_ms - _DAY_MS if since_ms is not None else None
    until = until_ms + _LATE_MS if until_ms is not None else None
    for file, over in _days(journal, Taxonomy.ORDER, since, until):
        day: OrderDay = _kept(journal, file, over, _read_orders, _orders_back, left_out)
        found = OrderDay(
            found.sent + day.sent, found.fills + day.fills, found.exits + day.exits, found.refused + day.refused,
            found.late + day.late,
        )  # fmt: skip
    return _joined(found).within(since_ms, until_ms, symbol)


def _joined(days: OrderDay) -> OrderDay:
    """Give fills what stands in the file of another day: their rung and decision, and what they were worth later."""
    if all(fill.label for fill in days.fills) and not days.late:
        return days
    sent = {one.client_order: one for one in days.sent}
    fills = {fill.trade: fill for fill in days.fills}
    for trade, fill in fills.items():
        order = sent.get(fill.client_order)
        if order is not None and not fill.label:
            fills[trade] = fill._replace(label=order.label, mid=order.mid)
    for after in days.late:
        if after.trade in fills:
            fills[after.trade] = _worth_later(fills[after.trade], after)
    return days._replace(fills=tuple(fills.values()))


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
    sent, fills, exits, refused, late = found
    return OrderDay(
        tuple([Sent(*one) for one in sent]), tuple([FillCost(*one) for one in fills]),
        tuple([ExitAsked(*one) for one in exits]), tuple([ExitNo(*one) for one in refused]),
        tuple([Late(*one) for one in late]),
    )  # fmt: skip


def _equity_back(found: Any) -> tuple[Equity, ...]:
    return tuple([Equity(*one) for one in found])
