"""What became of entries, or exits, that were intents: how many filled, why others ended, where limits stood."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

    from tradecore.cli.kept import AnyRows
    from tradecore.model.intent import Intent, IntentRow
    from tradecore.model.order import Attempt

_ALL = 10**9


class Range(NamedTuple):
    """Figures of several orders."""

    mean: float
    least: float
    most: float


class End(NamedTuple):
    """Entries or exits that ended for one reason."""

    state: str
    reason: str
    times: int
    detail: str
    """Of the newest."""


class Unfilled(NamedTuple):
    """Orders of one rung that were at the venue and brought nothing, by what they met there."""

    code: str
    label: str
    times: int
    limit_bps: Range
    """Where their limits stood beyond the signal's price, the side's own way."""
    cap_bps: Range
    """Where they might have stood."""


class Entries(NamedTuple):
    """What became of entries or of exits."""

    intents: int
    filled: int
    """Those that bought or sold anything."""
    living: int
    orders: int
    """Sent and settled."""
    orders_filled: int
    ends: tuple[End, ...]
    """Of those that bought or sold nothing, the most frequent first."""
    unfilled: tuple[Unfilled, ...]


def entries_of(rows: AnyRows, since_ms: int, until_ms: int, symbol: str | None) -> Entries:
    """Sum up the entries of a span.

    Args:
        since_ms: First moment at which their intents were created, market time.
        until_ms: The moment after the last.
        symbol: Only this symbol; ``None``: all.
    """
    return orders_of_intents(rows, since_ms, until_ms, symbol, reduces=False)


def orders_of_intents(rows: AnyRows, since_ms: int, until_ms: int, symbol: str | None, *, reduces: bool) -> Entries:
    """Sum up entries, or exits; arguments as those of `entries_of`.

    Args:
        reduces: True for exits.
    """
    from tradecore.store.light import Filter

    wanted = Filter(symbol or "", since_ms=since_ms, until_ms=until_ms, limit=_ALL)
    found = [row for row in rows.intents(wanted) if row.intent.reduces is reduces]
    intents = {row.intent.intent_id: row.intent for row in found}
    sent = [
        order
        for order in (rows.orders(wanted._replace(until_ms=None)) if intents else ())
        if order.intent_id in intents and order.sent_ms is not None and order.settled_ms is not None
    ]
    bare = [order for order in sent if not order.executed_quantity]
    return Entries(
        len(found), sum(bool(row.executed_quantity) for row in found), sum(row.reason is None for row in found),
        len(sent), len(sent) - len(bare), _ends(found), _unfilled(bare, [intents[order.intent_id] for order in bare]),
    )  # fmt: skip


def _ends(rows: Iterable[IntentRow]) -> tuple[End, ...]:
    """Ends without a fill; rows come newest first."""
    found: dict[tuple[str, str], End] = {}
    for row in rows:
        if row.reason is not None and not row.executed_quantity:
            key = (str(row.state), str(row.reason))
            known = found.get(key) or End(*key, 0, row.detail)
            found[key] = known._replace(times=known.times + 1)
    return tuple(sorted(found.values(), key=lambda end: -end.times))


def _unfilled(orders: Sequence[Attempt], intents: Sequence[Intent]) -> tuple[Unfilled, ...]:
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for order, intent in zip(orders, intents, strict=True):
        key = (order.code or str(order.outcome), order.request.label)
        groups.setdefault(key, []).append((_beyond(intent, order.request.price), _beyond(intent, intent.price_cap)))
    found = [
        Unfilled(*key, len(pairs), _range([limit for limit, _ in pairs]), _range([cap for _, cap in pairs]))
        for key, pairs in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.times))


def _beyond(intent: Intent, price: Decimal) -> float:
    from tradecore.model.units import Side, bps_between

    bps = float(bps_between(intent.price, price))
    return round(bps if intent.side is Side.BUY else -bps, 2)


def _range(values: Sequence[float]) -> Range:
    return Range(round(sum(values) / len(values), 2), min(values), max(values))


def show_entries(out: Console, found: Entries, limit: int) -> None:
    """Print what became of entries, and where the limits of unfilled orders stood; nothing where there were none."""
    if found.intents:
        out.print()
        show_orders(out, found, limit, "entries", "bought")


def show_orders(out: Console, found: Entries, limit: int, what: str, did: str) -> None:
    """Print what became of entries or exits.

    Args:
        what: Their name, as ``entries``.
        did: What they are there for, as ``bought``.
    """
    from tradecore.cli.paper import table
    from tradecore.cli.write import share

    living = f", {found.living:,} not ended yet" if found.living else ""
    out.print(
        f"{found.filled:,} of {found.intents:,} {what} {did} something{living}; "
        f"{found.orders_filled:,} of {found.orders:,} orders filled",
        style="" if found.filled or found.living else "red", soft_wrap=True,
    )  # fmt: skip
    if found.ends:
        names = (f"{what} that {did} nothing", "state", "count", "share", "the newest")
        shown = table(*names, right=("count", "share"), wide=("the newest",))
        for end in found.ends[:limit]:
            shown.add_row(end.reason, end.state, f"{end.times:,}", share(end.times, found.intents), end.detail or "-")
        out.print(shown)
    if found.unfilled:
        columns = ("orders that filled nothing", "rung", "limit bps", "cap bps", "count", "share")
        shown = table(*columns, right=("count", "share"), wide=("rung", "limit bps", "cap bps"))
        for one in found.unfilled[:limit]:
            shown.add_row(
                one.code, one.label, _shown(one.limit_bps), _shown(one.cap_bps), f"{one.times:,}",
                share(one.times, found.orders),
            )  # fmt: skip
        out.print(shown)
        out.print("  bps from the signal's price to the order's limit, and to the farthest that it might have been")


def _shown(one: Range) -> str:
    mean = f"{one.mean:.1f}"
    return mean if f"{one.least:.1f}" == f"{one.most:.1f}" else f"{mean} ({one.least:.1f} to {one.most:.1f})"
