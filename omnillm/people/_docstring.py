"""What a docstring says of a function and its parameters, in the styles of Google, NumPy and Sphinx, as far as it is plain."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"(?:keyword |other )?(?:args|arguments|parameters|params):?\s*", re.IGNORECASE)
_HEADING = re.compile(r"[A-Z][A-Za-z ]*:\s*")
_RULE = re.compile(r"-{3,}\s*")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY = re.compile(r"\*{0,2}(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?")
_SPHINX = re.compile(r":param\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")


def summary_of(doc: str | None) -> str | None:
    """Give the first paragraph in one line, or ``None`` where there is none."""
    lines: list[str] = []
    for line in inspect.cleandoc(doc or "").splitlines():
        if not line.strip() or line.startswith(":param") or _SECTION.fullmatch(line):
            break
        lines.append(line.strip())
    return " ".join(lines) or None


def parameters_of(doc: str | None) -> dict[str, str]:
    """Give what is said of each parameter, in one line."""
    lines = inspect.cleandoc(doc or "").splitlines()
    found: dict[str, list[str]] = {}
    for i, line in enumerate(lines):
        sphinx = _SPHINX.fullmatch(line)
        if sphinx:
            found[sphinx[1]] = [sphinx[2], *_deeper(lines[i + 1 :], 0)]
        elif _SECTION.fullmatch(line):
            is_numpy = i + 1 < len(lines) and _RULE.fullmatch(lines[i + 1]) is not None
            found |= _numpy(lines[i + 2 :]) if is_numpy else _google(lines[i + 1 :])
    texts = {name: " ".join(part.strip() for part in parts if part.strip()) for name, parts in found.items()}
    return {name: text for name, text in texts.items() if text}


def _google(lines: list[str]) -> dict[str, list[str]]:
    section = _deeper(lines, 0)
    edge = min((_indent(line) for line in section if line.strip()), default=0)
    found: dict[str, list[str]] = {}
    for i, line in enumerate(section):
        entry = _GOOGLE.fullmatch(line.strip()) if _indent(line) == edge else None
        if entry:
            found[entry[1]] = [entry[2], *_deeper(section[i + 1 :], edge)]
    return found


def _numpy(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for i, line in enumerate(lines):
        if not line.strip() or _indent(line):
            continue
        if (i + 1 < len(lines) and _RULE.fullmatch(lines[i + 1])) or _HEADING.fullmatch(line):
            break  # the next section
        entry = _NUMPY.fullmatch(line)
        if entry:
            text = _deeper(lines[i + 1 :], 0)
            found |= {name.strip(): text for name in entry[1].split(",")}
    return found


def _deeper(lines: list[str], edge: int) -> list[str]:
    """Give the lines from the first on that are indented deeper, blank ones among them."""
    block: list[str] = []
    for line in lines:
        if line.strip() and _indent(line) <= edge:
            break
        block.append(line)
    return block


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
