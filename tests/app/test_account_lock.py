"""Two processes never trade one account, whatever their state folders are called."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.campaigns.wire_stage import Scene, Stage
from tests.canary import KEY
from tradecore.app.account_lock import AccountLock
from tradecore.errors import StateFolderError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names without files are Linux's")

HOLD = """
import sys
from tradecore.app.account_lock import AccountLock
AccountLock("binance", "", "one").take()
"""


def test_r19_one_process_an_account():
    first, second, other = (AccountLock("binance", "", key) for key in ("one", "one", "two"))
    assert first.take()
    assert other.take()
    try:
        with pytest.raises(StateFolderError, match="expected nobody else to trade this account of binance"):
            second.take()
        told = subprocess.run([sys.executable, "-c", HOLD], capture_output=True, text=True, timeout=30, check=False)
        assert told.returncode == 1
        assert "StateFolderError" in told.stderr
        first.release()
        first.release()
        assert second.take()
    finally:
        for lock in (first, second, other):
            lock.release()
    held = subprocess.run([sys.executable, "-c", HOLD], capture_output=True, timeout=30, check=False)
    assert held.returncode == 0
    assert first.take()  # the other process is gone, and its lock with it
    first.release()


def test_r19_a_second_state_folder_on_the_same_account_asks_the_venue_for_nothing(tmp_path):
    stage = Stage(Scene("binance", for_s=30), tmp_path)

    async def story():
        lock = AccountLock("binance", stage.server.base_url, KEY)
        assert lock.take()
        asked = []
        serve = stage.server._door.serve

        async def counted(request):
            asked.append(request.path)
            return await serve(request)

        stage.server._door.serve = counted
        with pytest.raises(StateFolderError, match="another state folder"):
            await stage.trade()
        assert asked == []
        lock.release()

    stage.run(story)
    played = Stage(Scene("binance", for_s=30), tmp_path / "free")
    assert played.run(played.trade).exit_code == 0
    after = AccountLock("binance", played.server.base_url, KEY)
    assert after.take()  # a run that ended gave it back
    after.release()
