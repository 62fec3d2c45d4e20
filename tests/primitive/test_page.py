"""The page of native calls tells what the registry says."""

from __future__ import annotations

from native_page import PAGE, page


def test_the_page_is_the_registrys() -> None:
    """Who changes the registry prints the page anew: ``python tests/shared/native_page.py``."""
    assert PAGE.read_text(encoding="utf-8") == page()
