"""Saying what a wrong name may have been meant for: one form of words for options, fields, providers and gateways."""

from __future__ import annotations

from collections.abc import Iterable

from ._late import importing


def closest(name: object, known: Iterable[str]) -> str | None:
    """Give the known name that was meant, however it is written (``maxOutputTokens``, ``tempurature``), or ``None``."""
    with importing:
        import difflib  # on the way to an error alone

    flat = {_flat(right): right for right in sorted(known)}
    text = _flat(str(name))
    close = difflib.get_close_matches(text, flat, n=1, cutoff=0.65) or [
        right for right in flat if len(text) > 2 and text in right
    ]
    return flat[close[0]] if close else None


def nearest(name: object, known: Iterable[str]) -> str:
    """Give the words that lead from an unknown name to the right one: the nearest, else all there are."""
    names = sorted(known)
    close = closest(name, names)
    return f"did you mean {close!r}?" if close else f"expected one of {', '.join(names)}"


def _flat(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
