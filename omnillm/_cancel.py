"""Cancellation from another thread: a flag, and callbacks that end what is waiting; and exceptions that end it from outside.

No lock: a set and a flag under atomic operations, so that ``cancel`` may be called from a signal handler or a finaliser.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from .errors import CallCancelledError


class CancellationToken:
    """End calls from any thread: give it to any number of them as ``cancel=``, then call ``cancel()``.

    Each of those calls raises ``CallCancelledError`` at once and its connection is closed; a call made later with a
    cancelled token fails before anything is sent.
    """

    __slots__ = ("__weakref__", "_callbacks", "_cancelled", "_ids")

    def __init__(self) -> None:
        self._cancelled = False
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._ids = itertools.count()

    @property
    def cancelled(self) -> bool:
        """Tell whether ``cancel()`` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """End every call that was given this token; calling it again does nothing more."""
        self._cancelled = True
        while self._callbacks:
            try:
                _, callback = self._callbacks.popitem()
            except KeyError:
                return
            callback()

    def raise_if_cancelled(self) -> None:
        """Raise ``CallCancelledError`` where ``cancel()`` was called."""
        if self._cancelled:
            raise CallCancelledError("the call was cancelled by its token")

    def subscribe(self, callback: Callable[[], None]) -> int:
        """Have the callback run, once, on ``cancel()``, at once where that was already called; give a handle to unsubscribe.

        The callback must not raise, block or take a lock that the caller holds.
        """
        handle = next(self._ids)
        self._callbacks[handle] = callback
        if self._cancelled and self._callbacks.pop(handle, None) is not None:
            callback()
        return handle

    def unsubscribe(self, handle: int) -> None:
        """Forget a callback; an unknown handle is no error."""
        self._callbacks.pop(handle, None)


# What a signal handler raises wherever the main thread happens to be, as Celery's soft time limit does, is no interrupt by its
# class: a boundary to users' code would take it for that code's own, and swallow it.
_from_outside: dict[type[Exception], None] = {}


def pass_through(kind: type[Exception]) -> None:
    """Say that exceptions of that class are raised from outside: no boundary to users' code keeps them."""
    _from_outside[kind] = None


def is_from_outside(error: BaseException) -> bool:
    """Tell whether it is raised by none of the code in which it came up."""
    return not isinstance(error, Exception) or isinstance(error, tuple(_from_outside))
