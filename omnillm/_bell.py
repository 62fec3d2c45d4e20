"""An event that finalisers and signal handlers may set, and that no interrupt leaves locked."""

from __future__ import annotations

import queue  # looked up in when used: gevent may replace its queues after this module was imported
import threading


class Bell(threading.Event):
    """Wake who waits; unlike those of an ``Event``, its operations are single steps of C that take no lock of Python's."""

    def __init__(self) -> None:
        super().__init__()
        self.rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """Ring."""
        self.rings.put(None)

    def is_set(self) -> bool:
        """Tell whether it rang since it was cleared."""
        return not self.rings.empty()

    def clear(self) -> None:
        """Forget that it rang."""
        while not self.rings.empty():
            self.rings.get_nowait()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it rings or the time is over; give whether it rang."""
        try:
            self.rings.get(timeout=timeout)
        except queue.Empty:
            return False
        self.rings.put(None)  # an event stays set
        return True
