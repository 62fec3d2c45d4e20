"""The command line in this process: what was typed, what was said, the exit code."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator

import pytest

from omnillm.cli import main
from omnillm.config.schema import VARIABLES
from omnillm.testing import LocalProvider

CANARY = "sk-CANARY-0123456789"


class Ran:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, with a text or bytes on stdin."""

    def run(*argv: str, stdin: str | bytes = "") -> Ran:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        try:
            code = main(argv)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    """A provider to which the variables of OpenAI lead."""
    for name in (variable.name for variable in VARIABLES):
        monkeypatch.delenv(name, raising=False)
    with LocalProvider() as it:
        monkeypatch.setenv("OPENAI_API_KEY", CANARY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{it.base_url}/v1")
        yield it
