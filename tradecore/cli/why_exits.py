"""What became of exits: how many sold something, why the others did not, which were refused before any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal
    from pathlib import Path

    from rich.console import Console

    from tradecore.cli.kept import AnyRows
    from tradecore.cli.why_entries import Entries
    from tradecore.journal.day_index import LeftOut
    from tradecore.journal.query_day import ExitNo
    from tradecore.model.position import Position


class Refused(NamedTuple):
    """Rounds of exits that became no order, for one reason."""

    code: str
    became: str
    """``dust``: booked as such; ``unsellable``: tried again later."""
    times: int
    positions: int
    symbol: str
    """Of the newest, as what follows."""
    reason: str
    value: float
    threshold: float
    at_ms: int


class Held(NamedTuple):
    """A position that is to be left and is held now."""

    position_id: str
    symbol: str
    reason: str
    state: str
    quantity: Decimal
    rounds: int
    unsellable_since_ms: int | None


class Exits(NamedTuple):
    """What became of exits."""

    asked: int
    """Positions that were to be left, decided in this span."""
    orders: Entries
    refused: tuple[Refused, ...]
    """The most frequent first."""
    held: tuple[Held, ...]
    """Now, whatever the span."""

    @property
    def any(self) -> bool:
        """True where there is something to tell."""
        return bool(self.asked or self.orders.intents or self.refused or self.held)


def exits_of(  # noqa: PLR0917 - where to read, then which span
    rows: AnyRows, journal: Path, since_ms: int, until_ms: int, symbol: str | None, left_out: list[LeftOut]
) -> Exits:
    """Sum up the exits of a span.

    Args:
        since_ms: First moment of market time.
        until_ms: The moment after the last.
        symbol: Only this symbol; ``None``: all.
        left_out: Is given what the journal's part is told without.
    """
    from tradecore.cli.why_entries import orders_of_intents
    from tradecore.journal.query_day import orders_of

    day = orders_of(journal, since_ms, until_ms, left_out, symbol or "")
    held = [one for one in rows.open_positions() if one.close_reason is not None and symbol in (None, one.symbol)]
    return Exits(
        len({one.position_id for one in day.exits}),
        orders_of_intents(rows, since_ms, until_ms, symbol, reduces=True), _refused(day.refused),
        tuple(map(_held, held)),
    )  # fmt: skip


def _refused(found: Iterable[ExitNo]) -> tuple[Refused, ...]:
    groups: dict[tuple[str, str], list[ExitNo]] = {}
    for one in found:
        groups.setdefault((one.code, one.became), []).append(one)
    summed = []
    for (code, became), some in groups.items():
        newest = max(some, key=lambda one: one.at_ms)
        summed.append(
            Refused(
                code, became, len(some), len({one.position_id for one in some}), newest.symbol, newest.reason,
                newest.value, newest.threshold, newest.at_ms,
            )
        )  # fmt: skip
    return tuple(sorted(summed, key=lambda one: (-one.times, one.code, one.became)))


def _held(position: Position) -> Held:
    return Held(
        position.position_id, position.symbol, str(position.close_reason), str(position.state), position.quantity,
        position.exit_attempts, position.unsellable_since_ms,
    )  # fmt: skip


def show_exits(out: Console, found: Exits, limit: int) -> None:
    """Print what became of exits; nothing where there were none."""
    from tradecore.cli.why_entries import show_orders

    if not found.any:
        return
    out.print()
    out.print(f"{found.asked:,} {'position was' if found.asked == 1 else 'positions were'} to be left", soft_wrap=True)
    if found.orders.intents:
        show_orders(out, found.orders, limit, "exits", "sold")
    if found.refused:
        _show_refused(out, found.refused[:limit])
    if found.held:
        _show_held(out, found.held[:limit])


def _show_refused(out: Console, refused: Sequence[Refused]) -> None:
    from tradecore.cli.paper import table
    from tradecore.cli.write import moment

    names = ("exits refused before an order", "then", "rounds", "positions", "measured", "least", "the newest")
    shown = table(*names, right=("rounds", "positions", "measured", "least"), wide=("the newest",))
    for one in refused:
        told = one.threshold > 0
        shown.add_row(
            one.code, one.became, f"{one.times:,}", f"{one.positions:,}", f"{one.value:.6g}" if told else "-",
            f"{one.threshold:.6g}" if told else "-", f"{one.symbol} {one.reason} {moment(one.at_ms)}",
        )  # fmt: skip
    out.print(shown)
    out.print("  by core; dust: too little to sell, booked as such; unsellable: tried again with growing waits")


def _show_held(out: Console, held: Sequence[Held]) -> None:
    from tradecore.cli.paper import table
    from tradecore.cli.write import moment
    from tradecore.model.units import canonical

    shown = table(
        "to be left, held now", "because", "quantity", "rounds", "state", "since", right=("quantity", "rounds")
    )
    for one in held:
        shown.add_row(
            one.symbol, one.reason, canonical(one.quantity), f"{one.rounds:,}", one.state,
            moment(one.unsellable_since_ms),
        )  # fmt: skip
    out.print(shown)
