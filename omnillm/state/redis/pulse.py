"""The pulse: a thread of a process that holds something, which says that it is alive; it ends when there is nothing to say."""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING

from ..._bell import Bell
from ...errors import StateUnavailableError

if TYPE_CHECKING:
    from .store import RedisState

IDLE_BEATS = 3  # so many without anything held, and the thread ends


class Pulse:
    """Run the beat of a state every so often, in a daemon thread that keeps neither state nor interpreter alive."""

    def __init__(self, state: RedisState, every: float) -> None:
        self._state = weakref.ref(state)
        self._every = every
        self._stopped = Bell()
        self._running: dict[str, threading.Thread] = {}  # none, or one: setdefault is atomic

    def start(self) -> None:
        """Start beating, unless it does already."""
        if self._running:
            return
        thread = threading.Thread(
            target=_beat, args=(self._state, self._every, self._stopped, self._running), name="omnillm-pulse"
        )
        thread.daemon = True
        if not self._stopped.is_set() and self._running.setdefault("it", thread) is thread:
            try:
                thread.start()
            except RuntimeError:  # the interpreter is going down
                self._running.clear()

    def stop(self) -> None:
        """Stop beating, and wait for what is under way."""
        self._stopped.set()
        thread = self._running.get("it")
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
        self._stopped = Bell()


def _beat(state: weakref.ref[RedisState], every: float, stopped: Bell, running: dict[str, threading.Thread]) -> None:
    idle = 0
    while not stopped.wait(every):
        found = state()
        if found is None:
            break
        idle = idle + 1 if found.is_idle else 0
        if idle >= IDLE_BEATS:
            break
        with contextlib.suppress(StateUnavailableError):  # whoever calls hears of it
            found.beat()
        del found
    running.clear()
