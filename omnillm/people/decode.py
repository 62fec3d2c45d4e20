"""JSON values read as the types they stand for: exactly, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._hints import shape_of


def decoder_of(hint: Any) -> Callable[[Any], Any]:
    """Give the function that reads a JSON value as the type; made once per type.

    It raises ``MissingFieldError`` or ``InvalidShapeError`` with the JSON Pointer of the place. Nothing is coerced: ``"7"`` is no
    ``int``, and neither are ``7.0`` and ``true``; an integer is a ``float`` too. Fields that are not there take their defaults,
    fields that the type does not have are refused.
    """
    return shape_of(hint).decode
