"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_NOT_RUN = re.compile(r"\*Not run: (.+)\*\n\n?$")  # the convention: this line, which readers see, above the block


@dataclass(frozen=True)
class Block:
    """Be a block of code: where it stands, in which language, and why it is not run, where it says so."""

    page: Path
    line: int
    language: str
    code: str
    not_run: str | None

    def compiled(self) -> object:
        """Give it as code whose tracebacks show the line of the page."""
        return compile("\n" * self.line + self.code, str(self.page), "exec", dont_inherit=True)


def blocks(page: Path, *languages: str) -> list[Block]:
    """Give the blocks of a page that are in one of the languages."""
    text = page.read_text("utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        if match[2] in languages:
            marked = _NOT_RUN.search(text, 0, match.start())
            code = re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)
            reason = marked[1] if marked is not None and marked.end() == match.start() else None
            found.append(Block(page, text.count("\n", 0, match.start()) + 1, match[2], code, reason))
    return found


def commands(block: Block) -> Iterator[tuple[list[str], bool]]:
    """Give the commands of ours in a block of a shell, as argv, and whether one stands alone: no pipe, no file."""
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        words.whitespace_split = True
        command: list[str] = []
        alone = True
        for word in [*words, ";"]:
            if set(word) <= set("|&;"):
                ours = _ours(command)
                if ours is not None:
                    yield ours, alone and "|" not in word
                command, alone = [], word != "|"
            elif set(word) <= set("<>"):
                alone = False
                command.append(word)
            else:
                command.append(word)


def _ours(command: list[str]) -> list[str] | None:
    """Give what is behind the name of the program, up to a redirection."""
    while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
        command = command[1:]
    for name in (["omnillm"], ["python", "-m", "omnillm"]):
        if command[: len(name)] == name:
            rest = command[len(name) :]
            end = next((n for n, word in enumerate(rest) if set(word) <= set("<>")), len(rest))
            return rest[:end]
    return None
