"""The benchmarks run: what they measure is theirs to say, never a test's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FAMILIES = [
    "CPU of a call",
    "calls/s, 32 threads",
    "CPU of a delta",
    "first event",
    "cold start",
    "memory",
    "admission",
    "codecs",
]
GROWTH = ["admission by keys", "calls/s by threads", "stream by deltas", "memory of a stream", "request by messages"]


@pytest.mark.parametrize(("asked", "families"), [((), FAMILIES), (("--scale",), GROWTH), (("--without-orjson",), FAMILIES)])
def test_the_benchmarks_run_and_show_every_family(tmp_path: Path, asked: tuple[str, ...], families: list[str]) -> None:
    """The quick form runs every row, prints a line for each and writes the same rows as JSON."""
    written = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--json", str(written), *asked]
    root = Path(__file__).parents[1]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    rows = json.loads(written.read_text(encoding="utf-8"))["rows"]
    assert list(dict.fromkeys(row["family"] for row in rows)) == families
    assert [line[22:60].strip() for line in run.stdout.splitlines()[2:]] == [row["name"] for row in rows]
