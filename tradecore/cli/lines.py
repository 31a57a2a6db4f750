"""Screens without cursor tricks: plain lines for files and pipes, a progress bar for virtual time on a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tradecore.cli.watch import Progress, Watcher
from tradecore.cli.write import length, moment, money, signed
from tradecore.model.units import minus

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from tradecore.app import Prepared

_EVERY_S = 5.0
_LEAST_S = 1.0
_STEP = 0.1


def in_words(at: Progress) -> str:
    """Write how far a run is in one line."""
    done = f"{at.fraction:4.0%}" if at.fraction is not None else "    "
    gain = signed(minus(at.equity, at.equity_start))
    return (
        f"{done}  {moment(at.at_ms)}  rows {at.rows:,}  signals {at.signals:,}  orders {at.orders_sent:,} "
        f"({at.orders_filled + at.orders_partly_filled:,} filled)  open {at.positions}  "
        f"equity {money(at.equity)} {at.currency} ({gain})"
    )


class LineScreen(Watcher[Progress]):
    """A line for every tenth of the run, at most one a second, or every five seconds of the wall; alarms at once."""

    def __init__(self, out: Console, prepared: Prepared) -> None:
        super().__init__(prepared)
        self._out = out
        self._said_s = time.monotonic()
        self._said = 0.0
        self._alarms_said = 0

    def look(self) -> Progress:
        """Take how far the run is."""
        return self.progress()

    def paint(self, picture: Progress) -> None:
        """Write what is new and critical, and a line if one is due."""
        for alarm in picture.alarms:
            if alarm.number > self._alarms_said:
                self._alarms_said = alarm.number
                self._out.print(f"alarm {moment(alarm.at_ms)}  {alarm.text}", style="bold red", soft_wrap=True)
        now_s = time.monotonic()
        passed_s = now_s - self._said_s
        step = picture.fraction is not None and picture.fraction >= self._said + _STEP
        if passed_s >= _EVERY_S or (step and passed_s >= _LEAST_S):
            self._said_s = now_s
            self._said = picture.fraction or 0.0
            self._out.print(in_words(picture), soft_wrap=True)


class BarScreen(Watcher[Progress]):
    """A bar, with what has been traded so far behind it."""

    def __init__(self, out: Console, prepared: Prepared) -> None:
        super().__init__(prepared)
        self._out = out
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def look(self) -> Progress:
        """Take how far the run is."""
        return self.progress()

    def opened(self) -> None:
        """Show an empty bar."""
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        ends = self._end_ms is not None
        columns = [BarColumn(bar_width=None), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn()]
        self._bar = Bar(
            *(columns if ends else ()), TextColumn("{task.description}"), console=self._out, auto_refresh=False,
            transient=True, expand=True, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=1.0 if ends else None)
        self._bar.start()

    def paint(self, picture: Progress) -> None:
        """Move the bar."""
        assert self._bar is not None
        assert self._task is not None
        text = f"{moment(picture.at_ms)}  {picture.rows:,} rows  {picture.orders_sent:,} orders"
        if self._out.width >= 100:
            speed = (picture.at_ms - picture.begun_ms) / 1_000 / picture.wall_s if picture.wall_s > 0 else 0.0
            text += f"  equity {money(picture.equity)} {picture.currency}"
            text += f"  {speed:,.0f} x  {length(int(picture.wall_s * 1_000))}"
        self._bar.update(self._task, completed=picture.fraction or 0.0, description=text, refresh=True)

    def closed(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
