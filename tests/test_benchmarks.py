"""The benchmarks run: what they measure is theirs to say, never a test's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROTOCOLS = ("chat", "responses", "anthropic", "gemini", "bedrock")
ROWS = [
    *(f"{name}: {what} request" for name in PROTOCOLS for what in ("parse", "emit")),
    *(f"{name}: stream event" for name in PROTOCOLS),
    "SSE: one event",
    "JSON: 1536 floats",
    "state: admit and settle",
]


def test_the_benchmarks_run_and_show_every_row(tmp_path: Path) -> None:
    """The quick form runs every case, prints a line for each and writes the same rows as JSON."""
    written = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--json", str(written)]
    root = Path(__file__).parents[1]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert [line[:28].strip() for line in run.stdout.splitlines()[1:]] == ROWS
    assert [row["name"] for row in json.loads(written.read_text(encoding="utf-8"))["rows"]] == ROWS
