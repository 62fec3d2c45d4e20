"""Recipes of a page: its blocks of code that have the name of a file above them, written down as they are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^\*\*`(\S+)`\*\*:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)


def lay_out(page: str, folder: Path) -> list[str]:
    """Write the page's files into the folder; give their names."""
    found = _BLOCK.findall((DOCS / page).read_text("utf-8"))
    assert found, page
    for name, text in found:
        (folder / name).write_text(text, "utf-8")
    return [name for name, _ in found]
