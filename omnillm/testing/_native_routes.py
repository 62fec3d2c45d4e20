"""Every native endpoint of the local provider, and the one that a request is for."""

from __future__ import annotations

from collections.abc import Mapping

from ._native import NativeRoute
from ._native_anthropic import ANTHROPIC_ROWS
from ._native_google import GOOGLE_ROWS
from ._native_openai import OPENAI_ROWS

NATIVE_ROUTES = (*GOOGLE_ROWS, *ANTHROPIC_ROWS, *OPENAI_ROWS)


def find_native(method: str, path: str, headers: Mapping[str, str]) -> NativeRoute | None:
    """Give the row that serves a request; one of its path alone where none has its method, ``None`` where none has the path."""
    rows = [row for row in NATIVE_ROUTES if row.paths.fullmatch(path) and (row.said_by is None or row.said_by in headers)]
    return next((row for row in rows if row.method == method), rows[0] if rows else None)
