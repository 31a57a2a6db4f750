"""Six lives that end by kill -9, on one state (R22): the short form of the campaign in tests/campaigns."""

import json
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaigns" / "kill9.py"
FAULTS = "lost_ack:0.1,lost_request:0.1,http_502_accepted:0.1,late_fills:0.1,partial_fill:0.2"


def test_r22_nothing_is_lost_or_doubled_by_kill_9(tmp_path):
    options = ["--kills", "6", "--seed", "5", "--faults", FAULTS, "--longest", "1.2", "--tail", "1.2"]
    done = subprocess.run(
        [sys.executable, CAMPAIGN, *options, "--state", tmp_path / "s"], capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["findings"] == []
    assert done.returncode == 0, done.stderr
    assert report["kills"] == 6
    assert report["venue_orders"] > 20
    assert report["fills"] > 5
