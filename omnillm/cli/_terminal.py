"""What a terminal is shown: tables and colour by the extra ``cli``, where there is a terminal that draws them; else ``None``.

What is piped is for scripts, and looks the same with and without the extra.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..types._display import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROWEST = 60  # columns; a table in fewer is harder to read than lines
_DRAWS_NOTHING = ("dumb", "unknown", "")
_ESCAPES = {code: f"\\u{code:04x}" for code in range(127, 160)}


def draws() -> bool:
    """Tell whether stdout is a terminal that can do more than print lines."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in _DRAWS_NOTHING


def console() -> Console | None:
    """Give where to draw on, or ``None`` where lines serve better."""
    if not draws():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    made = Console(highlight=False)
    return made if made.width >= NARROWEST else None


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> Table:
    """Make a table; what is in its cells is text, and no markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, header_style="bold", title=title, title_justify="left", title_style="bold")
    for n, name in enumerate(head):
        made.add_column(name, style="cyan" if n == 0 else "", overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def help_formatter() -> type[argparse.HelpFormatter] | None:
    """Give what writes help in colour, or ``None`` where it is written without."""
    if not draws() or "NO_COLOR" in os.environ:
        return None
    try:
        from rich_argparse import RichHelpFormatter
    except ImportError:
        return None
    formatter: type[argparse.HelpFormatter] = RichHelpFormatter
    return formatter


def for_stdout(text: str) -> str:
    """Give a text as stdout takes it: what is piped as it is, a terminal without what would steer it."""
    return printable(text) if sys.stdout.isatty() else text


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON; the controls that JSON lets stand are written as escapes, which mean the same."""
    print(json.dumps(value, ensure_ascii=False, indent=indent).translate(_ESCAPES), flush=True)
