"""All legs of the ledger as CSV, in the order in which they were booked."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from tradecore.cli.write import moment
from tradecore.model.records import Posting
from tradecore.model.units import canonical

COLUMNS = ("posting_id", "leg", "time_utc", "at_ms", "kind", "account", "currency", "amount")


def csv_text(postings: Sequence[Posting]) -> str:
    """Write one line per leg below a line of names; exact amounts, no thousands, a point for the decimals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for leg in sorted(postings, key=lambda leg: (leg.at_ms, leg.posting_id, leg.leg)):
        writer.writerow(
            (leg.posting_id, leg.leg, moment(leg.at_ms), leg.at_ms, str(leg.kind), leg.account, leg.currency,
             canonical(leg.amount))
        )  # fmt: skip
    return out.getvalue()
