"""One process per state folder (R19): the second is refused by name, and a dead one bars nobody."""

import signal


def test_r19_a_second_instance_is_refused_and_a_killed_one_bars_nobody(tmp_path, start, clean, assert_refused, sound):
    folder = tmp_path / "s"
    first = start(folder, "--speed", "60", "--for", "100h")
    first.until_event("session_started")
    assert_refused(start(folder, "--speed", "60", "--for", "100h").wait(), "in use by", f"pid {first.pid}")
    assert first.running
    first.kill()
    second = start(folder, "--speed", "60", "--for", "100h")
    second.until_event("session_started", 2)
    second.send(signal.SIGTERM)
    clean(second.wait())
    assert sound(folder, ended=True) == []
