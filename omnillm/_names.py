"""Saying what a wrong name may have been meant for: one form of words for options, fields, providers and gateways."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: object, known: Iterable[str]) -> str:
    """Give the words that lead from an unknown name to the right one: the nearest, else all there are."""
    import difflib  # on the way to an error alone

    names = sorted(known)
    text = str(name)
    close = difflib.get_close_matches(text, names, n=1) or [known for known in names if len(text) > 2 and text in known]
    return f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(names)}"
