"""``tradecore why ID``: an intent from its signal to the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from tradecore.journal.day_index import LeftOut
    from tradecore.journal.why_story import AttemptStory, Story


def tell(folder: Path, journal: Path, name: str, *, as_json: bool) -> None:
    """Find a life by an id and print it.

    Raises:
        SettingsError: If the journal holds no such id.
    """
    from tradecore.cli.left_out import in_words, say_left_out
    from tradecore.cli.paper import console, facts, place, print_json
    from tradecore.errors import SettingsError
    from tradecore.journal.why_story import story

    left_out: list[LeftOut] = []
    found = story(journal, name, left_out)
    if found is None:
        without = f"; looked without {in_words(left_out)}" if left_out else ""
        raise SettingsError(
            f"expected a symbol such as BTC/USDT, or the id of an intent, a signal or an order in {place(folder)}, "
            f"was {name!r}{without}"
        )
    if as_json:
        print_json({"state": str(folder), **_facts(found), "left_out": facts(left_out)})
        return
    out = console()
    _show_decision(out, found)
    _show_attempts(out, found)
    _show_money(out, found)
    _show_end(out, found)
    click.echo(f"\n{len(found.lines)} events; all of them: --json")
    say_left_out(left_out)


def _facts(found: Story) -> dict[str, Any]:
    from tradecore.cli.paper import facts

    told: dict[str, Any] = facts(found._replace(lines=()))
    del told["lines"]
    told["events"] = [
        {
            "seq": line.seq, "at_ns": line.at_ns, "kind": line.kind, **facts(line.ids), "store_seq": line.store_seq,
            "data": line.data,
        }
        for line in found.lines
    ]  # fmt: skip
    return told


def _show_decision(out: Console, found: Story) -> None:
    created, signal = found.created, found.signal
    head = f"{created.get('side', 'signal')} {found.symbol}"
    out.print(f"{head}, intent {found.intent or 'none'}, signal {found.decision}", style="bold", soft_wrap=True)
    if "strength" in signal:
        _say(
            out, "signal", f"{signal['plugin']}: {signal['reason']} {signal['value']:.6g} against "
            f"{signal['threshold']:.6g} {signal['unit']}, price {signal['price']}, strength {signal['strength']:.3g}",
        )  # fmt: skip
    if found.trigger:
        _show_trigger(out, found)
    sizing = found.sizing
    if "offers" in sizing:
        _say(out, "sizes", "; ".join(f"{name} offers {offer}" for name, offer in sizing["offers"].items()))
        _say(out, "binds", f"{sizing['constraint']}: {sizing['quantity']}, free {sizing['free_quote']}")
    elif sizing:
        _say(out, "sizes", f"position {sizing['position_quantity']}, free {sizing['free_quantity']}, sells "
             f"{sizing['quantity']}, dust {sizing['dust_quantity']}")  # fmt: skip
    for check in found.checks:
        _show_checks(out, check)
    if found.caps:
        _say(out, "caps", ", ".join(f"{name} {cap}" for name, cap in found.caps["caps"].items()))
    if found.outcome:
        said = found.outcome
        _say(out, "outcome", f"{said['outcome']} by {said['decided_by']} {said['detail']}".rstrip())
    if created:
        _say(
            out, "intent", f"{created['quantity']} at {created['price']}, cap {created['price_cap']}, "
            f"worth {created['notional_quote']}; {created['constraint']}",
        )  # fmt: skip


def _show_trigger(out: Console, found: Story) -> None:
    """Say why a position is to be left, and which rounds of leaving it became no order."""
    from tradecore.cli.write import length

    said = found.trigger
    level = f" at level {said['level']}" if said.get("level") else ""
    _say(
        out, "exit", f"{said['reason']} by {said['by']}{level}, price {said['price']}, average "
        f"{said['average_price']}, held {length(said['age_ms'])}",
    )  # fmt: skip
    codes: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in found.refusals:
        codes.setdefault((one["code"], one["became"]), []).append(one)
    for (code, became), some in codes.items():
        last = some[-1]
        least = f", {last['value']} under the least of {last['threshold']}" if last["threshold"] != "0" else ""
        rounds = f"{len(some)} rounds" if len(some) > 1 else "a round"
        _say(out, "refused", f"{rounds} of this position, no order: {code} by core{least}; then {became}")


def _show_checks(out: Console, asked: Mapping[str, Any]) -> None:
    from decimal import Decimal

    from tradecore.cli.paper import table
    from tradecore.cli.write import short

    number = asked["attempt"]
    when = f"before attempt {number}" if number else "before the intent"
    _say(out, "checks", f"{when}: {'allowed' if asked['allowed'] else 'DENIED'}")
    shown = table("  limit", "guest", "value", "threshold", "", right=("value", "threshold"))
    for check in asked["checks"]:
        threshold = f"{short(Decimal(check['threshold']))} {check['unit']}".strip()
        shown.add_row(
            f"  {check['limit']}", check["plugin"], short(Decimal(check["value"])), threshold,
            "HIT" if check["hit"] else "ok",
        )  # fmt: skip
    if asked["checks"]:
        out.print(shown)


def _show_attempts(out: Console, found: Story) -> None:
    for one in found.attempts:
        _show_attempt(out, one)


def _show_attempt(out: Console, one: AttemptStory) -> None:
    request = one.request
    if request:
        clipped = f", clipped by {request['clipped_by']}" if request["clipped_by"] else ""
        _say(
            out, f"attempt {one.number}", f"{request['label'] or request['time_in_force']}: {request['side']} "
            f"{request['quantity']} at {request['price']}{clipped}",
        )  # fmt: skip
    begun = one.states[0][0] if one.states else 0
    moves = " > ".join(f"{state} +{(at - begun) / 1e6:.0f}ms" for at, state in one.states)
    _say(out, "", f"order {one.client_order}, at the venue {one.venue_order or '-'}: {moves}")
    if "echo" in one.answer:
        word = one.answer["status"] or "no status"
        _say(out, "", f"answer {word}, echo {one.answer['echo']}, {one.answer['latency_ms']:.1f} ms")
    elif one.answer:
        _say(
            out, "", f"answer {one.answer['outcome']} {one.answer['code']} ({one.answer['error_class']}): "
            f"{one.answer['detail']}, {one.answer['latency_ms']:.1f} ms",
        )  # fmt: skip
    for fill in one.fills:
        maker = ", maker" if fill["is_maker"] else ""
        late = ", late" if fill["late"] else ""
        _say(
            out, "", f"fill {fill['quantity']} at {fill['price']}, fee {fill['fee']} {fill['fee_currency']}"
            f"{maker}{late}, trade {fill['venue_trade_id']}",
        )  # fmt: skip
    if "wait_ms" in one.end:
        _say(out, "", f"settled {one.end['outcome']}, executed {one.end['executed_quantity']}, {one.end['wait_ms']} ms")


def _show_money(out: Console, found: Story) -> None:
    for kind, data in found.budget:
        if kind == "budget_reserved":
            _say(out, "reserved", f"{data['amount']} {data['currency']}, free after {data['free_after']}")
        else:
            _say(out, "released", f"{data['released']} {data['currency']} of {data['amount']}, used {data['consumed']}")
    for entry in found.ledger:
        legs: Sequence[Mapping[str, Any]] = entry["legs"]
        _say(out, "ledger", ", ".join(f"{leg['account']} {leg['amount']} {leg['currency']}" for leg in legs))


def _show_end(out: Console, found: Story) -> None:
    from tradecore.cli.write import length

    cleared = found.cleared
    if cleared:
        state, reason, times = cleared["state"], cleared["reason"], cleared["attempts"]
        detail = f": {cleared['detail']}" if cleared["detail"] else ""
        _say(
            out, "end", f"{state if state == reason else f'{state} {reason}'}{detail}; {cleared['executed_quantity']} "
            f"of {cleared['quantity']} in {times} attempt{'' if times == 1 else 's'}, {length(cleared['age_ms'])}",
        )  # fmt: skip
    elif found.created:
        _say(out, "end", "not yet: the intent lives")
    if found.created.get("reduces"):
        ended = found.position
        dust = f", dust {ended['dust_quantity']}" if ended and ended["dust_quantity"] != "0" else ""
        _say(
            out, "position", f"closed {ended['reason']}, {ended['realised_pnl_quote']} realised{dust}" if ended
            else "not closed: it is still to be left",
        )  # fmt: skip


def _say(out: Console, name: str, text: str) -> None:
    out.print(f"{name:<11}{text}", soft_wrap=True)
