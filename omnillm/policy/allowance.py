"""How many calls may be retrying at once: a share of the calls in flight, so that retries never become the load.

Purpose: a dead upstream meets at most a fifth more traffic, however many callers it has.
Contract: a call holds its ``CallTicket`` from ``enter`` to ``leave``; a ticket that is lost gives back what it held.
Rules:
- What is in flight is a membership, never a counter: an exception between two bytecodes can skip a decrement, but it cannot
  keep a dead ticket alive.
- The weak references call ``deque.append``, a C function that no exception interrupts and that takes no lock.
- The dictionaries change only under the lock, held for dictionary work alone; a signal handler may re-enter it.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from contextlib import suppress

FLOOR = 3
SHARE = 5  # one in five


class CallTicket:
    """Stand for one call in flight; hold it as long as the call runs."""

    __slots__ = ("__weakref__",)


_Ref = weakref.ref[CallTicket]


class RetryAllowance:
    """Let at most ``max(3, 20 %)`` of the calls in flight be retries at once; every method may be called from any thread."""

    __slots__ = ("_calls", "_lock", "_lost", "_retries")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._calls: dict[_Ref, None] = {}
        self._retries: dict[_Ref, None] = {}
        self._lost: deque[_Ref] = deque()

    def enter(self) -> CallTicket:
        """Count a call in."""
        ticket = CallTicket()
        entry = weakref.ref(ticket, self._lost.append)
        with self._lock:  # Critical section: dictionaries only
            self._reap()
            self._calls[entry] = None
        return ticket

    def try_retry(self, ticket: CallTicket) -> bool:
        """Give the call a place among the retries, or refuse; a call that has one keeps it."""
        entry = weakref.ref(ticket, self._lost.append)
        with self._lock:  # Critical section: dictionaries only
            self._reap()
            if entry in self._retries:
                return True
            if entry not in self._calls or len(self._retries) >= max(FLOOR, len(self._calls) // SHARE):
                return False
            self._retries[entry] = None
            return True

    def end_retry(self, ticket: CallTicket) -> None:
        """Give the place among the retries back; doing it twice is once."""
        with self._lock:  # Critical section: dictionaries only
            self._retries.pop(weakref.ref(ticket), None)

    def leave(self, ticket: CallTicket) -> None:
        """Count a call out, with its retry; doing it twice is once."""
        entry = weakref.ref(ticket)
        with self._lock:  # Critical section: dictionaries only
            self._retries.pop(entry, None)
            self._calls.pop(entry, None)

    @property
    def in_flight(self) -> int:
        """Count the calls that entered and are still held."""
        with self._lock:  # Critical section: dictionaries only
            self._reap()
            return len(self._calls)

    @property
    def retrying(self) -> int:
        """Count the calls that hold a place among the retries."""
        with self._lock:  # Critical section: dictionaries only
            self._reap()
            return len(self._retries)

    def _reap(self) -> None:
        """Drop the entries of lost tickets; an entry leaves the queue only after it left the dictionaries."""
        while self._lost:
            lost = self._lost[0]
            self._calls.pop(lost, None)
            self._retries.pop(lost, None)
            with suppress(ValueError):  # a signal handler that re-entered was faster
                self._lost.remove(lost)
