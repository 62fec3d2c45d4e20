"""Workers of Celery, each a process of its own with a pool of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import omnillm

PATIENCE_S = 60.0
ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")
ROOT = Path(omnillm.__file__).parent.parent


class CeleryWorker:
    """Run ``celery -A APP worker`` until ``stop()`` or the end of ``with``, which are a warm shutdown."""

    def __init__(self, app: str, *paths: Path, concurrency: int = 4, **variables: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name) / "log"
        options = ["-P", "prefork", "-c", str(concurrency), "-l", "INFO", *ALONE]
        path = os.pathsep.join(map(str, (*paths, ROOT)))
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", app, "worker", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder.name,
                env={**os.environ, "PYTHONPATH": path, "C_FORCE_ROOT": "1", **variables},
            )
        self.wait_for(" ready.")

    @property
    def log(self) -> str:
        """Give what it has logged."""
        return self._log.read_text("utf-8")

    def wait_for(self, text: str) -> None:
        """Wait until it has logged that."""
        until = time.monotonic() + PATIENCE_S
        while text not in self.log:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to finish what it does and to end; give its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._process.poll() is None:
                self.stop()
        finally:
            self._process.kill()
            self._process.wait()
            self._folder.cleanup()
