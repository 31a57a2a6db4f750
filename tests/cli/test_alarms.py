"""What is critical is shown while the run goes on, once, and whatever becomes of the journal."""

from __future__ import annotations

import io

from rich.console import Console

from tests.cli.test_screen import picture
from tradecore.cli.lines import LineScreen
from tradecore.cli.panes import draw
from tradecore.cli.watch import Alarm

DISK = Alarm(1, 3_599_000, "store_unavailable: nothing is sent until it is written down: disk is full")


def test_f31_lines_say_an_alarm_once():
    out = io.StringIO()
    screen = LineScreen(Console(file=out, width=200, color_system=None), None)
    progress = picture(0).progress
    for alarms in ((), (DISK,), (DISK,), (DISK, Alarm(2, 3_599_500, "venue_lost: no answer"))):
        screen.paint(progress._replace(alarms=alarms))
    alarms = [line for line in out.getvalue().splitlines() if line.startswith("alarm")]
    assert [line.split("  ", 1)[1] for line in alarms] == [DISK.text, "venue_lost: no answer"]


def test_f31_the_live_screen_keeps_the_newest_alarm_in_sight_for_a_while():
    fresh = picture(2)
    fresh = fresh._replace(progress=fresh.progress._replace(alarms=(DISK,)))
    old = fresh._replace(progress=fresh.progress._replace(at_ms=DISK.at_ms + 700_000))
    shown = []
    for one in (fresh, old):
        console = Console(width=120, height=40, color_system=None)
        lines = console.render_lines(draw(one, 120, 40), pad=False)
        shown.append("\n".join("".join(part.text for part in line) for line in lines))
    assert "disk is full" in shown[0]
    assert "disk is full" not in shown[1]
