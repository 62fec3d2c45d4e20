"""Where the lines of ``omnillm chat`` come from: a pipe, a terminal, or a terminal with line editing (extra ``cli``).

Each gives a line by ``read``, raises ``EOFError`` at the end (Ctrl-D) and ``KeyboardInterrupt`` at Ctrl-C.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ConfigurationError
from ._terminal import draws

if TYPE_CHECKING:
    from ._history import History

PROMPT, GOES_ON = "> ", ". "


class Lines(Protocol):
    """Read what is said, a line at a time."""

    is_terminal: bool

    def read(self, prompt: str) -> str:
        """Give the next line."""


class Piped:
    """Read stdin as it was piped in; nothing is prompted for, and nothing kept."""

    is_terminal = False

    def read(self, prompt: str) -> str:  # noqa: ARG002  # nobody is there to be prompted
        """Give the next line."""
        line = sys.stdin.buffer.readline()
        if not line:
            raise EOFError
        try:
            return line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigurationError("stdin: expected UTF-8", field="stdin") from None


class Typed:
    """Read a terminal; with the arrow keys and what was kept where Python has ``readline``."""

    is_terminal = True

    def __init__(self, kept: Iterable[str]) -> None:
        if not sys.stdout.isatty():
            return
        with contextlib.suppress(ImportError):
            import readline

            for line in kept:
                readline.add_history(line)

    def read(self, prompt: str) -> str:
        """Give the next line."""
        if sys.stdout.isatty():
            return input(prompt)
        print(prompt, end="", file=sys.stderr, flush=True)  # stdout is somebody else's
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")


class Edited:
    """Read a terminal by ``prompt_toolkit``: editing, search in what was kept (Ctrl-R), completion of commands."""

    is_terminal = True

    def __init__(self, kept: Iterable[str], commands: Sequence[str]) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import InMemoryHistory

        history = InMemoryHistory(list(kept))  # the file is written by ``History``, which knows keys
        completer = WordCompleter(list(commands), sentence=True)
        self._session: Any = PromptSession(history=history, completer=completer, complete_while_typing=False)

    def read(self, prompt: str) -> str:
        """Give the next line."""
        line: str = self._session.prompt(prompt)
        return line


def lines_of(history: History, commands: Sequence[str]) -> Lines:
    """Give the best source there is here."""
    if not sys.stdin.isatty():
        return Piped()
    kept = history.load()
    if draws():
        with contextlib.suppress(ImportError):
            return Edited(kept, commands)
    return Typed(kept)


def said(read: Callable[[str], str]) -> str:
    """Give what is said next: a line, and those behind it as long as each ends in a backslash."""
    parts = [read(PROMPT)]
    while parts[-1].endswith("\\"):
        parts[-1] = parts[-1][:-1]
        try:
            parts.append(read(GOES_ON))
        except EOFError:
            break
    return "\n".join(parts)
