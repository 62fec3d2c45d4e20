"""A text that grows piece by piece, held as what it is.

Joining at every piece would take quadratic time, and a string of a few characters takes seven times its length.
"""

from __future__ import annotations

FOLD = 256


class Pieces(list[str]):
    """Be a list of pieces, to be joined; by ``append``, as many as ``FOLD`` become one, once."""

    __slots__ = ("_folded",)

    def __init__(self) -> None:
        super().__init__()
        self._folded = 0  # pieces from here on are as they came

    def append(self, piece: str) -> None:
        """Add a piece."""
        super().append(piece)
        if len(self) - self._folded == FOLD:
            self[self._folded :] = ["".join(self[self._folded :])]
            self._folded += 1
