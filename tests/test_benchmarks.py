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
    "redis",
    "CPU of a call over Redis",
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
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines() if line.startswith("|")]
    assert [line[1] for line in table[2:]] == [row["name"] for row in rows]


def test_several_runs_become_one_table(tmp_path: Path) -> None:
    """Of rows of one name the median is shown, between the least and the most; a target that it misses is in bold."""
    row = {"family": "a call", "name": "ours", "least": 0.0, "most": 9.0, "unit": "ratio", "own": "", "target": 1.5}
    files = []
    for i, median in enumerate((2.0, 1.0, 3.0)):
        files.append(tmp_path / f"{i}.json")
        files[-1].write_text(json.dumps({"rows": [{**row, "median": median, "at_least": False}]}), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks", "--of", *map(str, files)]
    run = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    cells = [cell.strip() for cell in run.stdout.splitlines()[-1].split("|")[1:-1]]
    assert cells == ["a call", "ours", "1.00", "2.00", "3.00", "ratio", "**<= 1.5**", ""]
