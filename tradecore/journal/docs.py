"""The page of all events, made from the registry: ``python -m tradecore.journal.docs > docs/events.md``."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any, Final

from tradecore.model import events
from tradecore.model.events import REGISTRY, Kind, Taxonomy

_HEAD: Final = """\
# Events

Every line that the journal can hold. This page is made from `tradecore/model/events/` by
`python -m tradecore.journal.docs > docs/events.md`; a test compares the two.

## A line

A journal is a folder: `<taxonomy>/YYYY-MM-DD.jsonl` by day of market time (UTC), packed to `.jsonl.gz` once the day
is over. Each line is one JSON object with these keys, in this order:

| key | meaning |
|---|---|
| `seq` | line number over all five taxonomies of the folder, from 1, rising in each, going on over restarts |
| `at_ns` | market time, nanoseconds since 1970 UTC |
| `kind` | one of the headings below |
| `taxonomy` | family of files |
| `session` | run id |
| `decision` | signal id, or empty |
| `intent` | intent id, or empty |
| `client_order` | our order id, or empty |
| `venue_order` | the venue's order id, or empty |
| `store_seq` | booked events only: sequence number in the store, rising by one |
| `data` | the fields listed below |
| `chain` | what ties the line to the one before it in its taxonomy: see [the journal](journal.md) |

A booked event is a row of the transaction that it reports; it is never dropped, and after a crash it is written from
the store. All others are diagnostics: a full queue drops them, counted in `journal_drops`. A decimal is written as
text without exponent or trailing zeros, a float that is not finite as `"nan"`, `"inf"` or `"-inf"`. Secrets are
written as `***`.

A line stands in the file of its day, or of a later one where it came late: a line that a crash had kept back, or a
clock that was set back. Readers sort by `at_ns`, then `seq`, and pass over a last line without a line feed. A crash
may leave numbers out.
"""
_TITLES: Final[Mapping[Taxonomy, str]] = {
    Taxonomy.DECISION: "Decision: why something was or was not done",
    Taxonomy.ORDER: "Order: intents, attempts, fills, positions",
    Taxonomy.TRACER: "Tracer: calls and answers, thinned out by `trace_sample`",
    Taxonomy.AUDIT: "Audit: money, settings, operators",
    Taxonomy.HEALTH: "Health: how the program does",
}
_RECORDS: Final = (events.CheckFact, events.Leg, events.OutcomeGroup)


def page() -> str:
    """Write the page."""
    parts = [_HEAD]
    for taxonomy in Taxonomy:
        parts.append(f"## {_TITLES[taxonomy]}\n")
        parts += [_section(kind) for kind in REGISTRY.values() if kind.taxonomy is taxonomy]
    parts.append("## Records inside events\n")
    parts += [f"### {record.__name__}\n\n{_text(record)}\n\n{_table(record)}" for record in _RECORDS]
    return "\n".join(parts)


def _section(kind: Kind) -> str:
    booked = " Booked." if kind.booked else ""
    return f"### {kind.name}\n\n{_text(kind.schema)}{booked}\n\n{_table(kind.schema)}"


def _text(schema: type[Any]) -> str:
    return re.sub(r"\s+", " ", inspect.cleandoc(schema.__doc__ or ""))


def _table(schema: type[Any]) -> str:
    notes = _field_notes(schema)
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, hint in typing.get_type_hints(schema).items():
        note = notes.get(name, "")
        if name in schema._field_defaults:
            note = f"{note} Default `{schema._field_defaults[name]!r}`.".strip()
        rows.append(f"| `{name}` | {_type_text(hint)} | {note} |")
    return "\n".join(rows) + "\n"


def _type_text(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if arg is types.NoneType else _type_text(arg) for arg in args)
    if origin is tuple:
        return f"list of {_type_text(args[0])}"
    if origin is not None:
        return f"object of {_type_text(args[1])}"
    plain = {"str": "text", "int": "integer", "bool": "true or false", "float": "number", "Decimal": "decimal"}
    name: str = hint.__name__
    return plain.get(name, name)


def _field_notes(schema: type[Any]) -> dict[str, str]:
    """Read the texts that stand under fields: Python keeps them in the source only."""
    body = ast.parse(textwrap.dedent(inspect.getsource(schema))).body[0]
    assert isinstance(body, ast.ClassDef), schema
    notes: dict[str, str] = {}
    for field, note in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(note, ast.Expr):
            text = ast.literal_eval(note.value)
            notes[field.target.id] = re.sub(r"\s+", " ", str(text).replace("``", "`").replace("|", "\\|"))
    return notes


if __name__ == "__main__":
    sys.stdout.write(page())
