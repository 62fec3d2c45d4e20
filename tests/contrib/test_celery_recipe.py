"""The recipe of docs/celery.md, as it is written there, with a worker of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from celery_workers import CeleryWorker
from recipes import ROOT, lay_out
from stores import servers

from omnillm.testing import LocalProvider


def test_the_recipe(tmp_path: Path) -> None:
    """Its worker answers its client: a text, a whole response, and an error as itself."""
    assert lay_out("celery.md", tmp_path) == ["tasks.py", "ask.py"]
    for server in servers():
        with LocalProvider() as provider:
            variables = {"REDIS_URL": server.url, "OPENAI_API_KEY": "sk-any", "OPENAI_BASE_URL": f"{provider.base_url}/v1"}
            with CeleryWorker("tasks", tmp_path, concurrency=2, **variables):
                path = os.pathsep.join((str(tmp_path), str(ROOT)))
                done = subprocess.run(
                    [sys.executable, "ask.py"],
                    cwd=tmp_path,
                    env={**os.environ, "PYTHONPATH": path, **variables},
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    assert lines[0] == "echo: Summarise in one sentence: It rained all day."
    assert lines[1].startswith("echo: Hello ")
    assert lines[2] == "too_large None"
