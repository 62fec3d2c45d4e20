"""Every promise names tests that exist, and the page that lists them is the table's."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from promises import PROMISES, Promise

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "promises.md"
HEAD = """# Promises

What holds whatever happens, and the tests that prove it. Those in `tests/stress` need threads, forks, interrupts or a whole day;
every run of the tests has them in a bounded form, and `tox -e stress` in full (`tox -e stress -- --repeat 20` many times over).
The interrupts were measured on builds with the global interpreter lock: free-threaded ones are not among what is tested.

This page is made of `tests/shared/promises.py` by `python tests/test_promises.py`.

| | promise | proof |
| --- | --- | --- |
"""


def page() -> str:
    """Write the page."""
    rows = [f"| P{it.number} | {it.says} | {'<br>'.join(f'`{test}`' for test in it.tests)} |\n" for it in PROMISES]
    return HEAD + "".join(rows)


def names_in(path: Path) -> set[str]:
    """Give the names of the tests in a file: functions, and what is assigned for unittest."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: f"P{promise.number}")
def test_a_promise_has_tests(promise: Promise) -> None:
    """Each is proven by tests that are there."""
    assert promise.tests
    for test in promise.tests:
        file, _, name = test.partition("::")
        assert name in names_in(TESTS / file), test


def test_the_page_is_fresh() -> None:
    """docs/promises.md says what the table says: ``python tests/test_promises.py`` writes it."""
    assert PAGE.read_text("utf-8") == page()


def test_a_test_named_after_a_promise_is_in_the_table() -> None:
    """Whoever names a test after a promise lists it."""
    named = {
        f"{path.relative_to(TESTS).as_posix()}::{name}"
        for path in TESTS.rglob("test_*.py")
        for name in names_in(path)
        if name.startswith("test_p") and name[6:8].isdigit() and name[8] == "_"
    }
    ours = {*range(1, 28), *range(39, 43)}
    listed = {test for promise in PROMISES for test in promise.tests}
    assert {name for name in named if int(name.partition("::test_p")[2][:2]) in ours} <= listed


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.exit(0)
