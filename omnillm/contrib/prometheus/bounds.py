"""Labels whose values are bounded in number, whoever chooses them."""

from __future__ import annotations

OTHER = "other"


class Bounded:
    """Let the first so many values of a label through, and call the rest ``other``: a model's name may be anybody's text."""

    __slots__ = ("_most", "_seen")

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[str, None] = {}

    def __call__(self, value: str | None) -> str:
        """Give the label for the value; none is the empty one."""
        if not value:
            return ""
        if value not in self._seen:
            if len(self._seen) >= self._most:
                return OTHER
            self._seen[value] = None
        return value
