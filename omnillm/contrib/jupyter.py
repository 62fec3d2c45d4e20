"""Notebooks: streams that render as they arrive, and ``%load_ext omnillm.contrib.jupyter`` for a cell that is a prompt.

Extra: ``jupyter``. Answers, usages, losses and gateways show themselves in a notebook without this module.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

try:
    from IPython import get_ipython
    from IPython.core.error import UsageError
    from IPython.core.magic_arguments import MagicArgumentParser
    from IPython.display import Markdown, display
except ImportError as _error:
    raise ImportError("omnillm.contrib.jupyter needs IPython: pip install 'omnillm[jupyter]'") from _error

from ..errors import ConfigurationError
from ..gateway._display import KEYS, key_rows
from ..state import KeyStatus
from ..types._display import harmless, html_table, printable
from ..types.events import Completed, ReasoningDelta, RefusalDelta, TextDelta
from ..types.response import LlmResponse

EVERY_S = 0.1
SLOWER_CHARS = 20_000  # a long text is drawn less often: each time all of it goes to the browser


def show(stream: Iterable[Any], *, every: float = EVERY_S, reasoning: bool = False) -> None:
    """Show a stream as it comes, as Markdown; its response is in ``stream.response`` then.

    ``stream`` is what ``gateway.stream`` and ``Conversation.stream`` give, or any texts. It is drawn every so many seconds;
    ``reasoning`` shows what is told of that, too. However it ends, an interrupted cell included, the stream is closed and what
    came is shown. Without a notebook the text is printed.
    """
    if isinstance(every, bool) or not isinstance(every, int | float) or every < 0:
        raise ConfigurationError(f"every: expected seconds, got {every!r}", field="every")
    screen: _Cell | _Terminal | None = None
    response: LlmResponse | None = None
    try:  # from here on: a traceback that IPython keeps would keep the stream open
        screen = _Cell(every) if _is_notebook() else _Terminal()
        for piece, whole in _pieces(stream, reasoning=reasoning):
            screen.add(piece)
            response = whole
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()
        if screen is not None:
            screen.end(response)


def _pieces(stream: Iterable[Any], *, reasoning: bool) -> Iterator[tuple[str, LlmResponse | None]]:
    for event in stream:
        if isinstance(event, str):
            yield event, None
        elif isinstance(event, TextDelta | RefusalDelta) or (reasoning and isinstance(event, ReasoningDelta)):
            yield event.delta, None
        elif isinstance(event, Completed):
            yield "", event.response


class _Cell:
    """Draw a text in a notebook's cell, again and again."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._text = ""
        self._drawn = 0.0
        self._handle = display(Markdown(""), display_id=True)

    def add(self, piece: str) -> None:
        self._text += piece
        now = time.monotonic()
        if now - self._drawn >= self._every * (1 + len(self._text) // SLOWER_CHARS):
            self._draw(Markdown(harmless(self._text)))
            self._drawn = now

    def end(self, response: LlmResponse | None) -> None:
        self._draw(Markdown(harmless(self._text)) if response is None else response)

    def _draw(self, value: object) -> None:
        if self._handle is not None:
            self._handle.update(value)


class _Terminal:
    """Print a text piece by piece."""

    def add(self, piece: str) -> None:
        sys.stdout.write(printable(piece))
        sys.stdout.flush()

    def end(self, _response: LlmResponse | None) -> None:
        sys.stdout.write("\n")


def _is_notebook() -> bool:
    return getattr(get_ipython(), "kernel", None) is not None


def _magic(shell: Any) -> Callable[[str, str], None]:
    """Give the magic: a cell that is a prompt."""
    parser = MagicArgumentParser("%%llm", description="Stream the answer to the cell's text.")
    parser.add_argument("gateway", nargs="?", default="gateway", help="the variable that holds the gateway, or a Conversation")
    parser.add_argument("-m", "--model", help="the model, where it is not the gateway's default")
    parser.add_argument("-o", "--output", help="the variable that is given the response")

    def llm(line: str, cell: str) -> None:
        given = parser.parse_argstring(line)
        held = shell.user_ns.get(given.gateway)
        if not hasattr(held, "stream"):
            raise UsageError(f"%%llm: {given.gateway} is no gateway: gateway = omnillm.connect(…), or %%llm NAME")
        stream = held.stream(cell.strip(), **({"model": given.model} if given.model else {}))
        show(stream)
        if given.output:
            shell.user_ns[given.output] = stream.response

    llm.__doc__ = parser.format_help()
    return llm


def _keys_html(before: Callable[[list[Any]], str | None] | None) -> Callable[[list[Any]], str | None]:
    """Show what ``pool_status()`` gives as a table; other lists as they were shown before."""

    def shown(keys: list[Any]) -> str | None:
        if keys and all(isinstance(key, KeyStatus) for key in keys):
            return html_table(KEYS, key_rows(keys))
        return None if before is None else before(keys)

    return shown


def load_ipython_extension(shell: Any) -> None:
    """Add the magic ``%%llm``, and show what ``gateway.pool_status()`` gives as a table."""
    shell.register_magic_function(_magic(shell), "cell", "llm")
    html = shell.display_formatter.formatters["text/html"]
    html.for_type(list, _keys_html(html.type_printers.get(list)))


__all__ = ["load_ipython_extension", "show"]
