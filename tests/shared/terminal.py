"""A real terminal for a command: what it shows is read, what a person types is written, Ctrl-C and Ctrl-D among it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from typing import Any

CTRL_C, CTRL_D = "\x03", "\x04"
PATIENCE_S = 20.0
ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[=>()][0-9A-Z]?)")
EXTRA = ("rich", "rich_argparse", "shtab", "prompt_toolkit")
WITHOUT_THE_EXTRA = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRA!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
from omnillm.cli import main
sys.exit(main())
"""


def command(*argv: str, extra: bool = True) -> list[str]:
    """Give what runs a command of ours, with the extra ``cli`` or as if it were not installed."""
    how = ["-m", "omnillm"] if extra else ["-c", WITHOUT_THE_EXTRA]
    return [sys.executable, "-W", "error", *how, *argv]


class Terminal:
    """Be the terminal of one command."""

    def __init__(self, argv: list[str], environment: Mapping[str, str], *, columns: int = 100, **more: str) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        given = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": str(columns), "LINES": "40"}
        self._process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env={**_without(environment), **given, **more},
            start_new_session=True, preexec_fn=_take_over,
        )  # fmt: skip
        os.close(slave)
        self._seen = ""
        self.shown = ""  # all of it, with its escapes

    def type(self, text: str) -> None:
        """Type it."""
        os.write(self._master, text.encode())

    def until(self, text: str) -> str:
        """Give what was shown up to a text that is shown, escapes taken out."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in (plain := ESCAPE.sub("", self._seen)):
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"{text!r} was not shown, but {plain!r}")
        before, _, self._seen = plain.partition(text)
        return before

    def left(self) -> int:
        """Give the exit code of a command that leaves."""
        while self._read():
            pass
        assert "Exception ignored" not in self.shown, self.shown  # what is not closed is told at exit
        return self._process.wait(PATIENCE_S)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], PATIENCE_S)[0]:
            return False
        try:
            read = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        text = read.decode("utf-8", "replace").replace("\r\n", "\n")
        self._seen += text
        self.shown += text
        return bool(read)

    def close(self) -> None:
        """End the command, if it has not left."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        os.close(self._master)


def _without(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the environment without what the terminal of who runs the tests says of itself."""
    return {name: value for name, value in environment.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM")}


def _take_over() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # whose Ctrl-C it is


@contextlib.contextmanager
def terminal(argv: list[str], environment: Mapping[str, str], **options: Any) -> Iterator[Terminal]:
    """Run a command on a terminal of its own."""
    made = Terminal(argv, environment, **options)
    try:
        yield made
    finally:
        made.close()
