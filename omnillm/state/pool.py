"""The key pool: what the gateway talks to; it takes keys from a store and waits for them where it may.

Purpose: turn the store's refusals into errors, or into waiting, first come first served.
Contract: knows labels, never secrets. Whoever leaves ``acquire`` without a lease, by whatever exception, leaves the queue.
Rules:
- Nobody overtakes who waits for the same keys: of each queue the first alone asks the store. Calls that compete for other limits,
  or for a key that the waiter excludes, go by. What waiting cannot help is refused at once.
- A waiter wakes when something is settled, on ``close``, on its token's ``cancel``, and every 50 ms for what makes no sound: a
  lease that was dropped, time that passed, another process.
- A store that many processes share says how often it may be asked: who is rung earlier waits for that turn.
- The queue holds its waiters weakly: one that was interrupted even while it was leaving is gone with its frame.
- No lock here: the queue is a dictionary under atomic operations, and a bell rings without one, so that a signal handler, a
  finaliser or a cancel callback may settle and ring.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from .._bell import Bell
from .._cancel import CancellationToken
from .._clock import SYSTEM_CLOCK, Clock, Deadline, spoken
from ..errors import AdmissionError, BudgetExceededError, ClosedError, DeadlineExceededError, NoAvailableKeyError, NoKeyReason
from ..policy.limits import PICO
from . import Ask, BudgetRefusal, KeyLease, Refusal, Settlement, StateStore

POLL_S = 0.05
MOST_LABELS = 5

_REASONS: dict[NoKeyReason, str] = {
    "window": "the keys have used up their windows",
    "cooling": "the keys are cooling down",
    "breaker": "the keys failed too often and rest",
    "dead": "the keys are retired or set aside",
    "too_large": "the request is larger than the limits of the keys",
    "no_key": "there is no key left to try",
}


class Place(NamedTuple):
    """Where a call stands: which limits it competes for, and which keys it cannot use."""

    queue: str | None
    model: str
    exclude: frozenset[str]

    def is_behind(self, other: Place) -> bool:
        """Tell whether the other, who came before, may take every key that this one may."""
        return (self.queue == other.queue or self.model == other.model) and other.exclude <= self.exclude


class Waiter(Bell):
    """Be the bell of a call that waits in a place."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class KeyPool:
    """Take keys from one pool of a store, waiting up to ``acquire_timeout`` seconds where none is free."""

    def __init__(self, store: StateStore, name: str, *, clock: Clock = SYSTEM_CLOCK, acquire_timeout: float = 0.0) -> None:
        self.name = name
        self._store = store
        self._clock = clock
        self._acquire_timeout = acquire_timeout
        self._closed = False
        self._tickets = itertools.count()
        self._waiting: dict[int, weakref.ref[Waiter]] = {}

    def acquire(
        self,
        ask: Ask,
        *,
        deadline: Deadline | None = None,
        cancel: CancellationToken | None = None,
        timeout: float | None = None,
    ) -> KeyLease:
        """Take a key for the call; the lease must be given to ``settle`` or ``release``, or be dropped.

        ``timeout`` is how long to wait this once (seconds), ``acquire_timeout`` where unset.
        Raises ``NoAvailableKeyError``, ``BudgetExceededError``, ``CallCancelledError``, ``DeadlineExceededError`` with the phase
        ``admission``, and ``ClosedError``.
        """
        self._check(deadline, cancel)
        timeout = self._acquire_timeout if timeout is None else timeout
        place = self._place(ask)
        is_behind = self._is_behind(place)
        if is_behind:
            refusal = self._store.peek(ask)
            if refusal is not None and (refusal.is_final or timeout <= 0):
                raise self._error(ask, refusal)
        else:
            outcome = self._store.admit(ask)
            if isinstance(outcome, KeyLease):
                return outcome
            if outcome.is_final or timeout <= 0:
                raise self._error(ask, outcome)
        pause = 0.0 if is_behind else self._store.pause()
        return self._wait(ask, place, deadline, cancel, timeout, pause=pause)

    def settle(self, lease: KeyLease, settlement: Settlement) -> bool:
        """Settle the call by what it used; true the first time only."""
        settled = self._store.settle(lease.reservation.id, settlement)
        self._ring()
        return settled

    def release(self, lease: KeyLease) -> bool:
        """Give back everything the lease holds: nothing was sent; true the first time only."""
        released = self._store.release(lease.reservation.id)
        self._ring()
        return released

    def close(self) -> None:
        """End every waiting ``acquire`` with ``ClosedError``, and refuse those to come; what is held may still be settled."""
        self._closed = True
        for _, bell in self._bells():
            bell.set()

    def after_fork(self) -> None:
        """Forget the waiters of the parent's threads, which do not exist in the child."""
        self._waiting = {}

    # --- waiting --------------------------------------------------------------------------------------------------------------

    def _wait(
        self,
        ask: Ask,
        place: Place,
        deadline: Deadline | None,
        cancel: CancellationToken | None,
        timeout: float,
        *,
        pause: float,
    ) -> KeyLease:
        bell, ticket, handle = Waiter(place), next(self._tickets), None
        patience, turn = Deadline.after(timeout, self._clock), self._clock.monotonic() + pause
        try:
            self._waiting[ticket] = weakref.ref(bell)
            if cancel is not None:
                handle = cancel.subscribe(partial(bell.rings.put, None))  # holds what rings, not the bell
            while True:
                bell.clear()
                self._check(deadline, cancel)
                over = patience.expired
                ends = (patience.remaining(), POLL_S if deadline is None else deadline.remaining())
                early = turn - self._clock.monotonic()
                if early > 0 and not over:  # whatever rang: a shared store is not asked more often
                    self._clock.wait(bell, min(early, *ends))
                    continue
                is_behind = self._is_behind(place, ticket)
                outcome = self._overtaken(ask, over=over) if is_behind else self._store.admit(ask)
                if isinstance(outcome, KeyLease):
                    return outcome
                if over or outcome.is_final:
                    raise self._error(ask, outcome)
                if not is_behind:
                    turn = self._clock.monotonic() + self._store.pause()
                self._clock.wait(bell, min(POLL_S, outcome.retry_after or POLL_S, *ends))
        finally:
            self._waiting.pop(ticket, None)
            if cancel is not None and handle is not None:
                cancel.unsubscribe(handle)
            self._ring()

    def _overtaken(self, ask: Ask, *, over: bool) -> Refusal:
        """Give the refusal of a waiter whose turn it is not: what the store would say, once its patience is over."""
        refusal = self._store.peek(ask) if over else None
        return refusal or Refusal("window", POLL_S)

    def _place(self, ask: Ask) -> Place:
        return Place(self._store.queue(self.name, ask.model), ask.model, ask.exclude)

    def _is_behind(self, place: Place, ticket: float = math.inf) -> bool:
        """Tell whether somebody waits, who came before that ticket, whom this place must not overtake."""
        return any(other < ticket and place.is_behind(bell.place) for other, bell in self._bells())

    def _bells(self) -> Iterator[tuple[int, Waiter]]:
        """Give the bells of those who still wait, in the order they came."""
        for ticket in list(self._waiting):
            waiter = self._waiting.get(ticket)
            bell = None if waiter is None else waiter()
            if bell is None:
                self._waiting.pop(ticket, None)
            else:
                yield ticket, bell

    def _ring(self) -> None:
        """Wake the first who waits in each place."""
        if self._waiting:
            rung: set[Place] = set()
            for _, bell in self._bells():
                if bell.place not in rung:
                    rung.add(bell.place)
                    bell.set()

    # --- refusing -------------------------------------------------------------------------------------------------------------

    def _check(self, deadline: Deadline | None, cancel: CancellationToken | None) -> None:
        if self._closed:
            raise ClosedError("the gateway is closed")
        if cancel is not None:
            cancel.raise_if_cancelled()
        if deadline is not None and deadline.expired:
            raise DeadlineExceededError("the time was over before a key was free", phase="admission")

    def _error(self, ask: Ask, refusal: Refusal) -> AdmissionError:
        if refusal.budget is not None:
            return _over_budget(refusal.budget, refusal.retry_after)
        reason = refusal.reason or "no_key"
        when = "" if refusal.retry_after is None else f"; one is free in {spoken(refusal.retry_after)}"
        return NoAvailableKeyError(
            f"no key can take the request: {_REASONS[reason]}{self._details(ask, reason)}{when}",
            reason=reason,
            retry_after=refusal.retry_after,
        )

    def _details(self, ask: Ask, reason: NoKeyReason) -> str:
        """Say of what waiting cannot help which keys and numbers it is about."""
        if reason not in ("dead", "too_large"):
            return ""
        keys = [key for key in self._store.snapshot().keys if key.pool == self.name and key.label not in ask.exclude]
        if reason == "too_large":
            limits = [key.models.get(ask.model, key).tpm_limit for key in keys if not key.dead] or [0]
            return f": it is estimated at {ask.tokens} tokens, and the largest tpm_limit is {max(limits)}"
        retired = [key.label for key in keys if key.dead]
        denied = [key.label for key in keys if not key.dead]
        said = [f"retired by 401: {_listed(retired)}"] * bool(retired) + [f"denied {ask.model} by 403: {_listed(denied)}"] * bool(
            denied
        )
        return f" ({'; '.join(said)}); once they are in order, gateway.revive(label)"


def _listed(labels: list[str]) -> str:
    more = f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else ""
    return ", ".join(labels[:MOST_LABELS]) + more


def _over_budget(refusal: BudgetRefusal, retry_after: float | None) -> BudgetExceededError:
    limit, used, reserved, needed = (pico / PICO for pico in (refusal.limit, refusal.used, refusal.reserved, refusal.needed))
    return BudgetExceededError(
        f"the {refusal.scope} budget of ${limit:g} has no room for ${needed:g}: ${used:g} is spent and ${reserved:g} reserved",
        scope=refusal.scope,
        limit_usd=limit,
        used_usd=used,
        reserved_usd=reserved,
        needed_usd=needed,
        resets_at=refusal.resets_at,
        retry_after=retry_after,
    )
