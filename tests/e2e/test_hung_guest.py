"""Guests that hold the program (R24): one that can be interrupted is, one that cannot costs the process, once."""

import json
import signal
import sqlite3
import textwrap

import pytest

PATIENCE = ("engine.watchdog_s=0.3", "engine.hang_s=0.7")


@pytest.fixture
def dist(tmp_path):
    """Make an installed distribution with one guest whose `size` runs some lines; gives the environment for it."""

    def make(body: str) -> dict[str, str]:
        site = tmp_path / "site"
        about = site / "held-1.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: held\nVersion: 1\n")
        (about / "entry_points.txt").write_text("[tradecore]\nheld = held_guest:Held\n")
        (site / "held_guest.py").write_text(
            textwrap.dedent(
                """
                import time
                from pydantic import BaseModel
                from tradecore import Size, hookimpl

                class Held:
                    class Settings(BaseModel, frozen=True, extra="forbid"):
                        pass

                    def __init__(self, settings):
                        self.settings = settings

                    @hookimpl
                    def size(self, signal, portfolio, instrument, market):
                """
            )
            + textwrap.indent(textwrap.dedent(body), " " * 12)
        )
        return {"PYTHONPATH": str(site)}

    return make


GUESTS = ("--plugins", "signals_drop,size_fixed,held,risk_limits,exec_ioc_gtc,exits")


def test_a_guest_that_hangs_is_interrupted_and_trading_goes_on(tmp_path, start, clean, sound, dist):
    """In C the first time it is asked, in a loop the second."""
    folder = tmp_path / "s"
    env = dist(
        """
        self.asked = getattr(self, "asked", 0) + 1
        if self.asked == 1:
            time.sleep(3600)
        while True:
            pass
        """
    )
    patience = (*PATIENCE, "engine.strikes=2")
    bot = start(folder, "--speed", "60", "--for", "100h", *GUESTS, sets=patience, env=env)
    bot.until_event("plugin_quarantined")
    assert bot.lines("alert_fired", "guest_overran") == 2
    rows = bot.lines("scan_outcomes")
    bot.until_event("scan_outcomes", rows + 10)
    bot.send(signal.SIGTERM)
    summary = clean(bot.wait())
    assert summary["quarantined"] == ["held.size"]
    assert summary["pending"] == []
    assert sound(folder, ended=True) == []


def test_a_guest_that_cannot_be_interrupted_ends_the_process_and_is_left_out_afterwards(
    tmp_path, start, clean, sound, dist
):
    folder = tmp_path / "s"
    env = dist(
        """
        while True:
            try:
                time.sleep(1)
            except BaseException:
                continue
        """
    )
    ended = start(folder, "--speed", "60", "--for", "100h", *GUESTS, sets=PATIENCE, env=env).wait()
    assert ended.code == 75
    assert not ended.traceback
    assert json.loads((folder / "hang.json").read_text()) == ["held", "size"]
    assert sound(folder, ended=False) == []

    again = start(folder, "--speed", "60", "--for", "20s", *GUESTS, sets=PATIENCE, env=env)
    summary = clean(again.wait())
    assert summary["quarantined"] == ["held.size"]
    assert not (folder / "hang.json").exists()
    with sqlite3.connect(folder / "tradecore.db") as database:
        assert database.execute("SELECT content FROM memory WHERE fact = 'quarantine/held/size'").fetchall()
    assert sound(folder, ended=True) == []
