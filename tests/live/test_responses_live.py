"""A live endpoint answers: an image is seen, a function is called. Skipped unless the variables of .env.example are set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "responses_live_demo.py"
ALWAYS = ("BASE_URL", "API_KEY")


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip, naming the variables that are not set."""
    missing = [f"OMNILLM_RESPONSES_{name}" for name in (*ALWAYS, *names) if not os.environ.get(f"OMNILLM_RESPONSES_{name}")]
    return pytest.mark.skipif(bool(missing), reason=f"a live test: set {', '.join(missing)} (see examples/.env.example)")


def run(which: str) -> str:
    """Run the example in a process of its own, where no guard of the tests stands before the network."""
    done = subprocess.run([sys.executable, str(EXAMPLE), which], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs("VISION_MODEL", "IMAGE_URL")
def test_a_live_model_sees_an_image() -> None:
    """It says something of it, and what that took."""
    head, _, said = run("vision").partition("\n")
    assert head.startswith("vision: ")
    assert head.endswith(" tokens")
    assert said.strip()


@needs("TOOL_MODEL")
def test_a_live_model_calls_a_function() -> None:
    """It calls the function, and speaks of what that gave."""
    call, _, said = run("tool").partition("\n")
    assert call.startswith("tool: weather({")
    assert "22" in said
