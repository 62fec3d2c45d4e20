"""Starting threads, where an interrupt may come in the midst of it."""

from __future__ import annotations

import threading


def start(thread: threading.Thread) -> None:
    """Start the thread; raises ``RuntimeError`` where the machine has none left, and an interrupt as what it was.

    ``Thread.start`` waits on a condition, whose lock an interrupt may release once too often: that error takes its place.
    """
    try:
        thread.start()
        return
    except RuntimeError as error:
        interrupt = error.__context__
        if interrupt is None or isinstance(interrupt, Exception):
            raise
    raise interrupt
