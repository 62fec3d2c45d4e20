"""What is held is a fact, not a sum: reservations by membership, given back when their owner is gone.

Purpose: the ledger of calls in flight, and the journal that makes each change of state all or nothing.
Contract: the caller holds one lock around everything here but the finaliser.
Rules:
- A reservation is held as long as it is in ``held``; leaving it settles it, so it settles once.
- A lease that is dropped, in whatever way, is queued by a weak reference whose callback is a C function: it has no bytecode to
  interrupt, and takes no lock. The next operation reaps the queue.
- An asynchronous exception may land between any two bytecodes. A change is therefore planned as calls that may be repeated
  (absolute values, never additions), takes effect by one store, and is replayed by the next operation where it was cut short.
"""

from __future__ import annotations

import itertools
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from ..errors import Sent

Change = tuple[Callable[..., object], tuple[Any, ...]]
T = TypeVar("T")


class Journal:
    """Apply planned changes all or nothing, whatever interrupts: ``replay`` finishes what ``commit`` could not."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: Sequence[Change] = ()

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the changes; each must be a call that may safely be repeated."""
        self._pending = changes  # from here on they will happen
        for call, args in changes:
            call(*args)
        self._pending = ()

    def replay(self) -> None:
        """Make the changes that were committed and perhaps not finished."""
        self.commit(self._pending)


class Reservation:
    """What one admitted call holds, and what it has used so far as far as its owner noted.

    ``sent``, ``observed_tokens`` and ``observed_charge`` are the owner's to update, without a lock: should the owner be lost, a
    call that was not sent is refunded whole, any other is charged what was observed.
    """

    __slots__ = (
        "admitted_at",
        "charge",
        "id",
        "label",
        "model",
        "observed_charge",
        "observed_tokens",
        "pool",
        "sent",
        "tenant",
        "tokens",
        "trial",
    )

    def __init__(  # noqa: PLR0917  # by position: one is made for each attempt, and by name that takes twice as long
        self,
        id: str,
        pool: str,
        label: str,
        model: str,
        tenant: str | None,
        tokens: int,
        charge: int,
        admitted_at: float,
        trial: bool,
    ) -> None:
        self.id = id
        self.pool = pool
        self.label = label
        self.model = model
        self.tenant = tenant
        self.tokens = tokens
        self.charge = charge
        self.admitted_at = admitted_at
        self.trial = trial
        self.sent: Sent = "no"
        self.observed_tokens = 0
        self.observed_charge = 0


class KeyLease:
    """The right to use a key for one call; dropping it gives back what it holds."""

    __slots__ = ("__weakref__", "reservation")

    def __init__(self, reservation: Reservation) -> None:
        self.reservation = reservation

    @property
    def label(self) -> str:
        """Name the key."""
        return self.reservation.label

    @property
    def reserved_tokens(self) -> int:
        """Give the tokens reserved for the call."""
        return self.reservation.tokens

    def __repr__(self) -> str:
        return f"KeyLease(label={self.label!r}, reserved_tokens={self.reserved_tokens})"


class LeaseRef(weakref.ref[KeyLease]):
    """A weak reference that remembers whose it was, unless its making was interrupted."""

    __slots__ = ("reservation_id",)

    reservation_id: str


class Ledger(Generic[T]):
    """Keep what is held for each reservation, and notice the leases that are gone."""

    __slots__ = ("_ids", "held", "lost")

    def __init__(self, first_id: int = 0) -> None:
        self.held: dict[str, T] = {}
        self.lost: deque[LeaseRef] = deque()
        self._ids = itertools.count(first_id)

    def new_id(self) -> str:
        """Give an id that was never given before."""
        return str(next(self._ids))

    def watch(self, lease: KeyLease) -> LeaseRef:
        """Have the lease queued in ``lost`` when it is gone, as long as the reference given back is kept."""
        ref = LeaseRef(lease, self.lost.append)
        ref.reservation_id = lease.reservation.id
        return ref

    def heir(self) -> Ledger[T]:
        """Give the empty ledger of a forked child: it shares no id and no queue with this one."""
        return Ledger(next(self._ids))
