"""The examples run as they are, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAID = {
    "basic_usage.py": ["question", "a: ", "b: ", "/12 requests", "spent $"],
    "streaming.py": ["count from one to five", "stop", "first words:", "in flight: 0"],
    "fallback.py": [
        "openai: gpt-4.1-mini 503",
        "claude: claude-haiku-4-5 200 ok",
        "another one answered first",
        "asked for gpt-4.1",
        "key: gpt-4.1-mini 200 ok",
    ],
    "transcoding.py": ['"input_schema"', "/generation/seed", '"tool_calls"'],
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-W", "error", *command]
    return subprocess.run(given, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_the_example_runs_and_says_what_it_should(name):
    """An example exits with 0, warns of nothing, and prints what it is about."""
    done = run(f"examples/{name}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for words in SAID[name]:
        assert words in done.stdout


def test_the_demo_shows_every_step_on_one_screen():
    """The demo takes every step, prints at most forty lines, and shows no key."""
    done = run("-m", "omnillm", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) <= 40
    assert "NOT" not in done.stdout
    assert "sk-" not in done.stdout


def test_the_demo_can_fail():
    """A step that did not happen is named, and the exit code says so."""
    code = (
        "import omnillm.demo as demo, sys; tour = demo.Tour(); tour.show('a step', False, 'it did not'); "
        "sys.exit(0 if tour.missing == ['a step'] else 1)"
    )
    done = run("-c", code)
    assert done.returncode == 0
    assert "NOT  a step" in done.stdout
