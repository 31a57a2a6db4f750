"""``tradecore why --what-if``: the stored questions asked again, of the real plugins, under other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tradecore.app.what_if import Change, WhatIf
    from tradecore.cli.kept import Kept
    from tradecore.journal.day_index import LeftOut


def answer(
    kept: Kept, changes: Sequence[str], *, symbol: str | None, since: str | None, until: str | None, limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Ask again, and print what would have been answered otherwise.

    Raises:
        SettingsError: If a change is no setting, or none that a stored question depends on.
        DataError: If the journal holds no settings, or a question cannot be read.
    """
    from tradecore.app.questions import stored_questions
    from tradecore.app.what_if import ask_again, check_changes, run_of, runs_again, settings_of, unasked_of
    from tradecore.app.what_if_reach import Lives, Reach
    from tradecore.cli.left_out import say_left_out
    from tradecore.cli.paper import facts, print_json
    from tradecore.cli.why import span_of
    from tradecore.model.places import JOURNAL_FOLDER

    journal = kept.folder / JOURNAL_FOLDER
    since_ms, until_ms = span_of(journal, since, until)
    values = settings_of(journal)
    run_of(values, changes)  # refuses a value that does not fit
    then = run_of(values)
    check_changes(then, changes)
    left_out: list[LeftOut] = []
    stored = stored_questions(journal, since_ms * 1_000_000, until_ms * 1_000_000, left_out)
    reach = Reach(Lives(journal, since_ms * 1_000_000, left_out), unasked_of(then, changes))
    found = ask_again(stored, runs_again(journal, changes), symbol, reach)
    if as_json:
        print_json({"state": str(kept.folder), "what_if": list(changes), "since_ms": since_ms, "until_ms": until_ms,
                    **_facts(found), "left_out": facts(left_out)})  # fmt: skip
        return
    _show(found, changes, limit)
    say_left_out(left_out)


def _facts(found: WhatIf) -> dict[str, Any]:
    from tradecore.app.what_if_reach import Standing

    return {
        "asked": found.asked, "same": found.same, "changed": len(found.changes), "untold": dict(found.untold),
        "faults": dict(found.faults), "tuned": dict(found.tuned), "outcomes_before": dict(found.before),
        "outcomes_after": dict(found.after),
        "exact": found.standings[Standing.EXACT], "moot": found.standings[Standing.MOOT],
        "open": found.standings[Standing.OPEN], "exact_until_ms": found.stop.at_ns // 1_000_000 if found.stop else None,
        "stops_because": found.stop.why if found.stop else "",
        "changes": [_change_facts(change) for change in found.changes],
    }  # fmt: skip


def _change_facts(change: Change) -> dict[str, Any]:
    from tradecore.cli.paper import facts

    inputs = change.stored.inputs
    return {
        "at_ms": change.at_ms, "seq": change.stored.seq, "question": inputs.question, "symbol": inputs.signal.symbol,
        "decision": inputs.signal.signal_id, "intent": inputs.intent.intent_id if inputs.intent is not None else "",
        "standing": str(change.standing), "before": facts(inputs.answer), "after": facts(change.now.answer),
    }  # fmt: skip


def _show(found: WhatIf, changes: Sequence[str], limit: int) -> None:
    from tradecore.app.what_if_reach import Standing
    from tradecore.cli.paper import console, table
    from tradecore.cli.why import bar
    from tradecore.cli.write import moment

    out = console()
    out.print(f"what if {', '.join(changes)}", style="bold", soft_wrap=True)
    out.print(
        f"{found.asked:,} stored questions asked again: {found.same:,} answered the same, {len(found.changes):,} "
        f"otherwise, {found.standings[Standing.MOOT]:,} would not be asked at all, "
        f"{sum(found.untold.values()):,} cannot be told",
        soft_wrap=True,
    )
    _show_reach(out, found)
    for what, times in found.untold.most_common(3):
        out.print(f"  not kept: {what} ({times:,} times)", soft_wrap=True)
    for fault, times in found.faults.most_common(3):
        out.print(f"  fault: {fault} ({times:,} times)", soft_wrap=True, style="red")
    for text in changes:
        key = text.partition("=")[0].removeprefix("plugins.")
        if found.tuned[key]:
            out.print(f"  {key} was tuned in {found.tuned[key]:,} of them, and stays as tuned there", soft_wrap=True)
    total = sum(found.before.values())
    if total:
        shown = table("entries", "was", "would be", "", right=("was", "would be"))
        for outcome in sorted(found.before | found.after, key=lambda name: -max(found.before[name], found.after[name])):
            shown.add_row(
                outcome, f"{found.before[outcome]:,}", f"{found.after[outcome]:,}", bar(found.after[outcome], total)
            )
        out.print()
        out.print(shown)
    if found.changes:
        shown = table("time (UTC)", "symbol", "question", "was", "would be", "worth", wide=("was", "would be"))
        for change in found.changes[:limit]:
            inputs = change.stored.inputs
            assert change.now.answer is not None
            shown.add_row(
                moment(change.at_ms), inputs.signal.symbol, inputs.question, _word(inputs.answer),
                _word(change.now.answer), str(change.standing),
            )  # fmt: skip
        out.print()
        out.print(shown)
    click.echo(
        "\nexact: a real run under the other settings asks and answers so; open: asked with the account of then, "
        "which\nan earlier change may have altered. Refusals that only come again are asked once in five minutes."
    )


def _show_reach(out: Console, found: WhatIf) -> None:
    """Say how far the answers are those of a real run, and why no farther."""
    from tradecore.app.what_if_reach import Standing
    from tradecore.cli.write import moment

    counts = found.standings
    if found.stop is None:
        out.print("exact: a real run would answer all of them so", soft_wrap=True)
        return
    until = f"exact until {moment(found.stop.at_ns // 1_000_000)}" if found.stop.at_ns else "not exact"
    out.print(
        f"{until}: {found.stop.why}; {counts[Standing.EXACT]:,} answers before it are those of a real run, "
        f"{counts[Standing.OPEN]:,} after it are with the account as it stood",
        soft_wrap=True,
    )


def _word(answer: Any) -> str:
    from tradecore.cli.write import price, short
    from tradecore.model.units import canonical

    words = [answer.outcome]
    if answer.limit:
        words.append(answer.limit)
        if answer.value is not None and answer.threshold is not None:
            words.append(f"{short(answer.value)} against {short(answer.threshold)}{' ' + answer.unit}".rstrip())
        words.append(f"by {answer.by}")
    elif answer.order is not None:
        words.append(f"{answer.order.label} at {price(answer.order.price)}, {canonical(answer.order.quantity)}")
    elif answer.quantity is not None:
        words.append(canonical(answer.quantity))
    return " ".join(words)
