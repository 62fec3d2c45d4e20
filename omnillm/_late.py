"""Imports on first use, which no fork cuts in two.

A child that is forked while another thread imports a module waits, when it imports that module itself, for a thread that it does
not have. So whoever imports on first use does it ``with importing``, and a fork waits until nobody does.

What a fork holds already, by hooks that run before this one, an import may wait for: so the wait has an end. The first of such
locks is that of ``logging``, which is imported here for its hook to run after this one, as the later of two hooks runs first.
"""

from __future__ import annotations

import logging  # noqa: F401
import os
import threading

PATIENCE_S = 5.0


class Importing:
    """Be held while a module is imported on first use; entered and left by single steps of C, which no interrupt cuts.

    Reentrant: a signal handler may fork, or import, in the midst of an import.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._forking: set[int] = set()  # threads that hold it for their fork

    __enter__ = property(lambda self: self._lock.__enter__)
    __exit__ = property(lambda self: self._lock.__exit__)

    def before_fork(self) -> None:
        """Wait until nobody imports."""
        if self._lock.acquire(timeout=PATIENCE_S):
            self._forking.add(threading.get_ident())

    def in_parent(self) -> None:
        """Go on."""
        if threading.get_ident() in self._forking:
            self._forking.discard(threading.get_ident())
            self._lock.release()

    def in_child(self) -> None:
        """Go on, without the threads that were not forked."""
        if threading.get_ident() in self._forking:
            self.in_parent()
        else:
            self._lock = threading.RLock()
        self._forking = set()


importing = Importing()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=importing.before_fork, after_in_parent=importing.in_parent, after_in_child=importing.in_child)
