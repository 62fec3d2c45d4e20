"""One operation at a time: a lock that refuses, and never deadlocks, the thread that holds it already.

Purpose: take the lock of a state that a signal handler or a finaliser may come back into between any two bytecodes.
Contract: the lock is a plain ``threading.RLock``; what is given back is the lock itself, for ``with``, so that taking and leaving
it stay single operations that no interrupt can tear. In the child of a fork its owner makes a new one.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

from ..errors import StateUnavailableError


def alone(lock: threading.RLock, what: str) -> AbstractContextManager[bool]:
    """Give the lock; raises ``StateUnavailableError`` where this very thread holds it."""
    if lock._is_owned():  # type: ignore[attr-defined]  # what threading.Condition asks its lock; the stubs do not name it
        raise StateUnavailableError(f"{what} is in the middle of an operation that a signal handler or finaliser interrupted")
    return lock
