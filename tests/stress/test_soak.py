"""A long day of one gateway, in a process of its own: whatever fails, nothing piles up and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from interrupts import scaled
from own_process import environment

pytestmark = pytest.mark.stress

CALLS = scaled(1_000, full=100_000)
STREAMS = scaled(100, full=2_000)
MOST_GROWTH = 5 << 20


def test_nothing_piles_up() -> None:
    """Through every fault held quota is 0 at last, the budget is the sum of the charges; memory, threads and sockets stay."""
    command = [sys.executable, str(Path(__file__).with_name("soak.py")), str(CALLS), str(STREAMS)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=3_600, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    print(said)
    assert not [end for end in said["ends"] if end.startswith("not ours")]
    assert sum(said["ends"].values()) == CALLS + STREAMS
    assert said["ends"]["ok"] > CALLS / 2
    assert said["held"] == [0, 0, 0]
    assert (said["reading"], said["in_flight"]) == (0, 0)
    assert said["used"] == said["charged"] >= said["paid_usd"] * 10**12 - 1
    assert said["settled"] >= said["ends"]["ok"]
    least = 9 * (CALLS + STREAMS) // 1_000  # one in a hundred requests, of which some are never sent: their key rests
    assert min(said["faults"].values()) >= least
    assert said["grown"] < MOST_GROWTH
    assert (said["threads"], said["descriptors"]) == (0, 0)
