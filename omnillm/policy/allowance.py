"""How many calls may be retrying at once: a share of the calls in flight, so that retries never become the load.

Purpose: a dead upstream meets at most a fifth more traffic, however many callers it has.
Contract: a call holds its ``CallTicket`` from ``enter`` to ``leave``; a ticket that is lost gives back what it held.
Rules:
- A place that a failed call gives up is not its neighbour's: what was spent comes back by an answer, by the share of the calls
  that come, or with the first call after all have left. Else a crowd that fails together would pass few places round.
- That sum is a figure, not a membership: an interrupt may make it wrong by one, until the gateway is idle.
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

    __slots__ = ("_calls", "_entered", "_hedges", "_lock", "_lost", "_retries", "_spent")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._calls: dict[_Ref, None] = {}
        self._retries: dict[_Ref, int] = {}  # how many each has spent
        self._hedges: dict[_Ref, None] = {}
        self._entered = 0  # calls since there was none
        self._spent = 0  # retries since then, but for those that were answered
        self._lost: deque[_Ref] = deque()

    def enter(self) -> CallTicket:
        """Count a call in."""
        ticket = CallTicket()
        entry = weakref.ref(ticket, self._lost.append)
        with self._lock:  # Critical section: dictionaries and figures only
            self._reap()
            if not self._calls:
                self._entered = self._spent = 0
            self._calls[entry] = None
            self._entered += 1
        return ticket

    def try_retry(self, ticket: CallTicket) -> bool:
        """Give the call a place among the retries, or refuse; a call that has one keeps it for its next retry.

        With more than three in flight the next one counts anew.
        """
        entry = weakref.ref(ticket, self._lost.append)
        with self._lock:  # Critical section: dictionaries and figures only
            self._reap()
            spent = self._retries.get(entry, 0)
            if spent and len(self._calls) <= FLOOR:
                return True
            if entry not in self._calls or not self._may_spend(more=not spent):
                return False
            self._retries[entry] = spent + 1
            return True

    def try_hedge(self, ticket: CallTicket) -> bool:
        """Give the call a place for an attempt beside another, or refuse; it counts among the retries."""
        entry = weakref.ref(ticket, self._lost.append)
        with self._lock:  # Critical section: dictionaries and figures only
            self._reap()
            if entry in self._hedges or entry not in self._calls or not self._may_spend(more=True):
                return False
            self._hedges[entry] = None
            return True

    def end_retry(self, ticket: CallTicket) -> None:
        """Give the call's place among the retries back: what it tried was answered. Doing it twice is once."""
        with self._lock:  # Critical section: dictionaries and figures only
            self._spent = max(0, self._spent - self._retries.pop(weakref.ref(ticket), 0))

    def end_hedge(self, ticket: CallTicket) -> None:
        """Give the place of the attempt beside another back: there is none, or one was answered. Doing it twice is once."""
        entry = weakref.ref(ticket)
        with self._lock:  # Critical section: dictionaries and figures only
            if entry in self._hedges:
                del self._hedges[entry]
                self._spent = max(0, self._spent - 1)

    def leave(self, ticket: CallTicket) -> None:
        """Count a call out, with its retries; doing it twice is once."""
        with self._lock:  # Critical section: dictionaries only
            self._forget(weakref.ref(ticket))

    @property
    def in_flight(self) -> int:
        """Count the calls that entered and are still held."""
        with self._lock:  # Critical section: dictionaries only
            self._reap()
            return len(self._calls)

    @property
    def retrying(self) -> int:
        """Count the retries, and the attempts beside others, that hold a place."""
        with self._lock:  # Critical section: dictionaries only
            self._reap()
            return self._at_once

    @property
    def _at_once(self) -> int:
        return len(self._retries) + len(self._hedges)

    def _may_spend(self, *, more: bool) -> bool:
        """Spend one retry, if there is one left of the share; ``more`` are at once then."""
        capacity = max(FLOOR, len(self._calls) // SHARE)
        share = max(FLOOR, self._entered // SHARE)
        spent = max(self._spent, share - capacity)  # of a long good time no more is left than may run at once
        if spent >= share or (more and self._at_once >= capacity):
            return False
        self._spent = spent + 1
        return True

    def _reap(self) -> None:
        """Drop the entries of lost tickets; an entry leaves the queue only after it left the dictionaries."""
        while self._lost:
            lost = self._lost[0]
            with suppress(TypeError):  # it has no hash: an interrupt came before it was entered anywhere
                self._forget(lost)
            with suppress(ValueError):  # a signal handler that re-entered was faster
                self._lost.remove(lost)

    def _forget(self, entry: _Ref) -> None:
        self._retries.pop(entry, None)
        self._hedges.pop(entry, None)
        self._calls.pop(entry, None)
