"""Sizes of images: pixels as ``1024x768``, or a ratio as ``4:3``."""

from __future__ import annotations

import math
import re

_PIXELS = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")
_RATIO = re.compile(r"[1-9][0-9]{0,5}:[1-9][0-9]{0,5}")


def pixels_of(size: str) -> tuple[int, int] | None:
    """Give width and height, ``None`` where the size tells none."""
    found = _PIXELS.fullmatch(size)
    return None if found is None else (int(found[1]), int(found[2]))


def ratio_of(size: str) -> str | None:
    """Give the ratio of width and height in its lowest terms, ``None`` where the size tells none."""
    if _RATIO.fullmatch(size):
        return size
    found = pixels_of(size)
    if found is None:
        return None
    width, height = found
    common = math.gcd(width, height)
    return f"{width // common}:{height // common}"
