"""Every promise names tests that exist, and the page that lists them is the table's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from promises import PROMISES, Promise, page

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "promises.md"


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
    """Each is proven by tests that are there, one of them at least named after it."""
    assert promise.tests
    for test in promise.tests:
        file, _, name = test.partition("::")
        assert name in names_in(TESTS / file), test
    named = [test for test in promise.tests if test.partition("::")[2].startswith(f"test_p{promise.number:02}_")]
    assert named, "none has its name"


def test_the_page_is_fresh() -> None:
    """docs/promises.md says what the table says: ``python tests/shared/promises.py`` writes it."""
    assert PAGE.read_text("utf-8") == page()


def test_a_test_named_after_a_promise_is_in_the_table() -> None:
    """Whoever names a test after a promise lists it."""
    named = {
        f"{path.relative_to(TESTS).as_posix()}::{name}"
        for path in TESTS.rglob("test_*.py")
        for name in names_in(path)
        if name.startswith("test_p") and name[6:8].isdigit() and name[8] == "_"
    }
    listed = {test for promise in PROMISES for test in promise.tests}
    assert named - listed == set()
    assert [promise.number for promise in PROMISES] == [*range(1, 43)]
