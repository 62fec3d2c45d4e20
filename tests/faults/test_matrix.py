"""The matrix is whole: every row has its test, every test its row, and the page says what they say."""

from __future__ import annotations

import re

import pytest
from fault_matrix import ROWS, SECTIONS
from fault_page import PAGE, TESTS, page, proofs

NAMED = re.findall(r"\[`(test_\w+)`\]\(\.\./tests/([\w/.]+)\)", PAGE.read_text(encoding="utf-8"))


def test_every_row_has_a_test() -> None:
    """The rows are 1 to 83, in order, each with a test."""
    numbers = [row.number for _, rows in SECTIONS for row in rows]
    assert numbers == [*range(1, 84)]
    assert sorted(proofs()) == numbers
    assert len(ROWS) == len(numbers)


def test_the_page_is_fresh() -> None:
    """``docs/reliability.md`` has the matrix as it is: ``python tests/shared/fault_page.py`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize(("name", "file"), sorted(set(NAMED)))
def test_every_test_that_the_page_names_is_there(name: str, file: str) -> None:
    """A promise leads to the test that holds it."""
    assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")
