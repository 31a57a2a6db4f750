"""Names of what a run keeps in its state folder, and of the small facts that readers beside it look for."""

from __future__ import annotations

STORE_FILE = "tradecore.db"
TWIN_FILE = "twin.db"
JOURNAL_FOLDER = "journal"
LOG_FILE = "tradecore.log"
HANG_FILE = "hang.json"
"""Written by the watchdog before the process ends with 75; the next start puts the guest in quarantine."""
UNIVERSE = "universe"
"""Key of the small durable fact that says what each universe guest last said of each symbol."""
MEASURED = "measured"
"""Key of the small durable fact in which a run leaves its latencies and lengths of jobs."""
