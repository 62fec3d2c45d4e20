"""Print the fault matrix into ``docs/reliability.md``: ``python tests/shared/fault_page.py`` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from fault_matrix import KEY, MONEY, RETRIED, SECTIONS, Outcome, Row

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- the matrix: python tests/shared/fault_page.py -->", "<!-- the end of the matrix -->"
HEADS = ("#", "fault", "the caller sees", "tried again", "key", "charged", "test")
_TEST = re.compile(r"^def (test_row_(\d+)_\w+)", re.MULTILINE)


def proofs() -> dict[int, list[tuple[str, str]]]:
    """Give the tests of each row: file and function."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in sorted((TESTS / "faults").glob("test_*.py")):
        for name, number in _TEST.findall(path.read_text(encoding="utf-8")):
            found.setdefault(int(number), []).append((path.name, name))
    return found


def matrix() -> str:
    """Give the tables, one for each section."""
    tests = proofs()
    lines: list[str] = []
    for title, rows in SECTIONS:
        lines += [f"### {title}", "", _line(HEADS), _line(["---"] * len(HEADS))]
        lines += [_line(_cells(row, outcome, tests[row.number])) for row in rows for outcome in row.outcomes]
        lines.append("")
    return "\n".join(lines)


def page() -> str:
    """Give the page as it should be."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{matrix()}\n{END}{rest.partition(END)[2]}"


def _cells(row: Row, outcome: Outcome, tests: list[tuple[str, str]]) -> list[str]:
    first = outcome is row.outcomes[0]
    fault = ": ".join(part for part in (row.fault, outcome.face) if part)
    links = ", ".join(f"[`{name}`](../tests/faults/{file})" for file, name in tests) if first else ""
    return [str(row.number), fault, outcome.sees, RETRIED[outcome.retried], KEY[outcome.key], MONEY[outcome.money], links]


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
