"""What the local provider keeps between requests: files, uploads, batches, caches and operations, by number and in order.

The same requests in the same order make the same ids; the time is one moment. A job goes one step each time it is asked for:
waiting, running, done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOMENT = 1_704_067_200
MOMENT_TEXT = "2024-01-01T00:00:00Z"
LATER = MOMENT + 86_400
LATER_TEXT = "2024-01-02T00:00:00Z"
MODELS = ("local-large", "local-small")


@dataclass(slots=True)
class Kept:
    """Hold one thing: its id, what it says of itself, and its bytes where it has some."""

    id: str
    kind: str
    value: dict[str, Any]
    data: bytes = b""
    steps: int = 0  # how often it was asked for
    is_cancelled: bool = False
    results: list[Any] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Tell whether a job has come to its end."""
        return self.is_cancelled or self.steps >= STEPS


STEPS = 2


class NativeStore:
    """Keep things by their kind (``open_ai.file``) and id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Kept] = {}
        self._counts: dict[str, int] = {}

    def add(self, kind: str, id_form: str, make: Callable[[str], dict[str, Any]], data: bytes = b"") -> Kept:
        """Keep a new thing, whose id is the form with its number."""
        # Critical section: one number, one thing
        with self._lock:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            found = Kept(id_form.format(number), kind, {}, data)
            found.value = make(found.id)
            self._kept[kind, found.id] = found
            return found

    def get(self, kind: str, id: str) -> Kept | None:
        """Give a thing, ``None`` where there is none."""
        with self._lock:
            return self._kept.get((kind, id))

    def all(self, kind: str) -> list[Kept]:
        """Give the things of a kind, oldest first."""
        with self._lock:
            return [kept for (known, _), kept in self._kept.items() if known == kind]

    def drop(self, kind: str, id: str) -> Kept | None:
        """Forget a thing, and give it."""
        with self._lock:
            return self._kept.pop((kind, id), None)
