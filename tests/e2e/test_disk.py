"""A disk that is full (R12, R24): nothing is sent that is not written down, and trading goes on when there is room."""

import errno
import os
import signal
import subprocess
import time

import pytest


class Disk:
    """A small file system of its own."""

    def __init__(self, place):
        self.place = place
        self._ballast = place / "ballast"

    def fill(self):
        """Take all room that is left, and what the program lets go of until then."""
        with self._ballast.open("ab", buffering=0) as file:
            size = 1 << 16
            while size:
                try:
                    file.write(b"\0" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size >>= 1

    def empty(self):
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", place], capture_output=True, check=False)
    if mount.returncode != 0:
        pytest.skip(f"no right to mount a small disk here: {mount.stderr.decode().strip()}")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


#: Time enough to find out that nothing can be settled any more.
HASTE = ("shutdown.total_s=2", "shutdown.phase_s=0.4")
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")


def end_while_full(bot):
    """Ask for the end on a full disk: a code that says so, in time, and no traceback."""
    bot.send(signal.SIGTERM)
    ended = bot.wait()
    assert ended.code in {3, *range(41, 46)}, (ended.code, ended.err)
    assert not ended.traceback, ended.err
    assert ended.seconds < 5


@root
def test_r12_nothing_is_sent_while_the_store_takes_no_rows(tmp_path, start, play, clean, sound, disk):
    folder, store = tmp_path / "s", f"sqlite:///{disk.place}/tradecore.db"
    bot = start(folder, "--speed", "100", "--for", "100h", sets=(f"store.url={store}", *HASTE))
    bot.until_event("order_fill", 2)
    disk.fill()
    bot.until_event("alert_fired", word="store_unavailable")
    time.sleep(0.2)  # what was written down before may still be on its way
    sent = bot.lines("exchange_call")
    time.sleep(1.0)
    assert bot.running
    assert bot.lines("exchange_call") == sent
    assert bot.lines("alert_fired", "nothing is sent until") == 1, "one alarm, not one for every try"
    disk.empty()
    bot.until_event("alert_fired", word="store_available")
    bot.until_event("exchange_call", sent + 1)  # trading goes on by itself

    disk.fill()
    time.sleep(0.3)
    end_while_full(bot)
    disk.empty()
    assert sound(folder, ended=False, store=store) == []
    summary = clean(play(folder, sets=(f"store.url={store}",)))
    assert (summary["pending"], summary["unexplained_drift"]) == ([], "0")
    assert sound(folder, ended=True, store=store) == []


@root
def test_r22_a_whole_state_folder_on_a_full_disk_goes_on_later(start, play, clean, sound, disk):
    """The venue's own file is on it too, and the journal: nothing can even be told."""
    folder = disk.place / "s"
    bot = start(folder, "--speed", "100", "--for", "100h", sets=HASTE)
    bot.until_event("order_fill", 2)
    disk.fill()
    time.sleep(0.7)
    assert bot.running
    end_while_full(bot)
    disk.empty()
    assert sound(folder, ended=False) == []
    summary = clean(play(folder))
    assert (summary["pending"], summary["unexplained_drift"]) == ([], "0")
    assert sound(folder, ended=True) == []
