"""A text that grows piece by piece.

Purpose: hold it as what it is. To join at every piece takes quadratic time; a string of a few characters, seven times its length.
"""

from __future__ import annotations

FOLD = 256
_append = list.append  # by its name: ``super()`` would cost more than appending does


class Pieces(list[str]):
    """Be a list of pieces, to be joined; by ``append``, as many as ``FOLD`` become one, once."""

    __slots__ = ("_full",)

    def __init__(self) -> None:
        super().__init__()
        self._full = FOLD  # so many there are when the newest are folded

    def append(self, piece: str) -> None:
        """Add a piece."""
        _append(self, piece)
        if len(self) >= self._full:
            folded = self._full - FOLD
            self[folded:] = ["".join(self[folded:])]
            self._full += 1
