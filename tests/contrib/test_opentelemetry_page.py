"""The page on observability is true: its programs run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk")

from omnillm.testing import LocalProvider

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "opentelemetry.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
SAID = [
    ['"name": "chat gpt-4.1-mini"', '"name": "attempt gpt-4.1-mini"', '"name": "greet"', "gen_ai.client.token.usage", '"shop"'],
    ["INFO call of gpt-4.1-mini: ok after 1 attempts in "],
    ['"omnillm_event": "CallEnded"', '"omnillm_outcome": "ok"', '"omnillm_key_label"'],
    ["'generation', 'ok', None"],
]


@pytest.mark.parametrize(("code", "said"), list(zip(BLOCKS, SAID, strict=True)), ids=range(len(SAID)))
def test_a_program_of_the_page_runs_as_written(code: str, said: list[str], tmp_path: Path) -> None:
    """Each program of the page runs in a process of its own, says what it should, and nothing of the key."""
    program = tmp_path / "app.py"
    program.write_text(code, "utf-8")
    with LocalProvider() as provider:
        own = {"OPENAI_BASE_URL": f"{provider.base_url}/v1", "OPENAI_API_KEY": "sk-CANARY-page-1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-W", "error", str(program)],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    for words in said:
        assert words in shown
    assert "CANARY" not in shown
    assert "hello" not in re.sub(r"^echo: .*$", "", shown, flags=re.MULTILINE)
