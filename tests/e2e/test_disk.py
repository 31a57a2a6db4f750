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


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount a small disk")
def test_r12_a_full_disk_stops_sending_and_is_survived(start, clean, sound, disk):
    folder = disk.place / "s"
    bot = start(folder, "--speed", "100", "--for", "100h")
    bot.until_event("order_fill", 2)
    disk.fill()
    time.sleep(1.5)
    assert bot.running
    disk.empty()
    bot.until_event("alert_fired", word="store_unavailable", timeout_s=15)
    fills = bot.lines("order_fill")
    bot.until_event("order_fill", fills + 1)  # trading goes on by itself

    disk.fill()
    time.sleep(0.5)
    bot.send(signal.SIGTERM)
    ended = bot.wait()
    assert ended.code in {3, 42, 43, 44, 45}, (ended.code, ended.err)
    assert not ended.traceback, ended.err
    assert ended.seconds < 15
    disk.empty()
    assert sound(folder, ended=False) == []

    summary = clean(start(folder, "--speed", "max", "--for", "2m").wait())
    assert (summary["pending"], summary["unexplained_drift"]) == ([], "0")
    assert sound(folder, ended=True) == []
