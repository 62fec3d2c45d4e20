"""How an answer is shown while it arrives: as text, or by ``chat`` as Markdown on a terminal that draws (extra ``cli``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..types._display import printable
from ..types.events import LlmStreamEvent, RefusalDelta, TextDelta
from ._terminal import for_stdout

if TYPE_CHECKING:
    from rich.console import Console
    from rich.markdown import Markdown

REFRESHES = 12  # a second
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def visible(events: Iterable[LlmStreamEvent]) -> Iterator[str]:
    """Give what of a stream is meant to be read."""
    for event in events:
        if isinstance(event, TextDelta | RefusalDelta):
            yield event.delta


def show_text(pieces: Iterable[str]) -> None:
    """Print the pieces as they come: what is piped as it is, a terminal without what would steer it."""
    try:
        for piece in pieces:
            print(for_stdout(piece), end="", flush=True)
    finally:
        print(flush=True)  # what breaks off ends its line, too


def show_markdown(pieces: Iterable[str], console: Console) -> None:
    """Draw the pieces as they come; blocks that are whole are drawn once, and only the last is drawn again."""
    from rich.live import Live
    from rich.markdown import Markdown

    tail = _Tail()
    with Live(tail, console=console, refresh_per_second=REFRESHES, vertical_overflow="ellipsis") as live:
        for piece in pieces:
            tail.text += printable(piece)
            end = settled(tail.text) if "\n" in piece else 0  # to look at all of it for each piece would be slow
            if end:
                block, tail.text = tail.text[:end], tail.text[end:]
                live.console.print(Markdown(block))


class _Tail:
    """Be the block that still grows; it is made into Markdown when it is drawn, and not for each piece."""

    text = ""

    def __rich__(self) -> Markdown:
        from rich.markdown import Markdown

        return Markdown(self.text)


def settled(text: str) -> int:
    """Tell up to where a text consists of whole blocks: to the last blank line, outside code, that no indented line follows."""
    at, end, blank, fence = 0, 0, False, ""
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            if blank and not fence and line.strip() and not line[0].isspace():
                end = at
            break
        opening = _FENCE.match(line)
        if blank and not fence and line.strip() and not line[0].isspace():
            end = at
        if opening is not None:
            fence = _after_fence(fence, opening[1], line)
        blank = not line.strip()
        at += len(line)
    return end


def _after_fence(fence: str, mark: str, line: str) -> str:
    """Give the fence that is open behind a line with a mark: its own, none, or the one that the mark does not close."""
    if not fence:
        return mark
    closes = mark[0] == fence[0] and len(mark) >= len(fence) and not line.strip().strip(mark[0])
    return "" if closes else fence
