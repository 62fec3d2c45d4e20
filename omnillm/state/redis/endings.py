"""How calls end: what is held here, what is on its way to the server, and what could not be told yet.

Purpose: settle each reservation once, whatever interrupts: an ending is written down before it is sent, and crossed out after.
Contract: no lock; every step is one operation on a dictionary or a queue, and signal handlers and finalisers may come in between.
Rules:
- Whoever writes an ending down first is who settles; all others come too late.
- An ending that was not told is told again by the next operation, or by the pulse.
- A settled reservation is forgotten by the server once its reply was seen: with a later operation, or, where more than one
  request was sent and one may still be on its way, after a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ...policy.ledger import KeyLease, LeaseRef, Ledger, Reservation
from .. import Settlement, Verdict
from .seats import Pool

GRACE_S = 5.0  # who is telling an ending has so long before another one does
AGAIN_S = 1.0
DELAYED_S = 60.0
FEW_ACKS, MOST_ACKS = 16, 64

REFUND = Settlement(0, 0, Verdict.neutral(), refund_request=True)


class Held:
    """What one reservation needs to be settled; the lease is watched, not kept."""

    __slots__ = ("pool", "ref", "reservation")

    def __init__(self, pool: Pool, reservation: Reservation, ref: LeaseRef) -> None:
        self.pool = pool
        self.reservation = reservation
        self.ref = ref


@dataclass(slots=True, eq=False)
class Ending:
    """How a reservation ended, and from when on (monotonic) anybody may tell it to the server."""

    held: Held
    settlement: Settlement
    kind: str
    due: float


class Endings:
    """Keep what is held, and the endings that the server does not know of."""

    def __init__(self) -> None:
        self.ledger: Ledger[Held] = Ledger()
        self.waiting: dict[str, Ending] = {}
        self._acks: deque[str] = deque()
        self._delayed: deque[tuple[float, str]] = deque()

    def hold(self, pool: Pool, lease: KeyLease) -> Held:
        """Watch a lease, before anything is asked for it: who is interrupted has it given back."""
        held = Held(pool, lease.reservation, self.ledger.watch(lease))
        self.ledger.held[lease.reservation.id] = held
        return held

    def drop(self, reservation_id: str) -> None:
        """Forget a reservation that came to nothing."""
        self.ledger.held.pop(reservation_id, None)

    def end(self, reservation_id: str, settlement: Settlement, kind: str, due: float) -> Ending | None:
        """Write an ending down; nothing where there is nothing held, or another one was faster."""
        held = self.ledger.held.get(reservation_id)
        if held is None:
            return None
        ending = Ending(held, settlement, kind, due)
        if self.waiting.setdefault(reservation_id, ending) is not ending:
            return None
        self.ledger.held.pop(reservation_id, None)
        return ending

    def told(self, reservation_id: str, *, again: bool, now: float) -> None:
        """Cross an ending out: the server has it."""
        self.waiting.pop(reservation_id, None)
        self.ledger.held.pop(reservation_id, None)
        name = reservation_id.rpartition(":")[2]
        if again:
            self._delayed.append((now + DELAYED_S, name))
        else:
            self._acks.append(name)

    def collect(self, now: float) -> None:
        """Write down the ends of those whose owner is gone."""
        lost = self.ledger.lost
        while lost:
            try:
                reservation_id = getattr(lost.popleft(), "reservation_id", "")
            except IndexError:
                return  # another thread was faster
            self._lose(reservation_id, now)

    def sweep(self, now: float) -> None:
        """Find those whose owner is gone, and whom an interrupt made nobody collect."""
        for reservation_id, held in list(self.ledger.held.items()):
            if held.ref() is None:
                self._lose(reservation_id, now)

    def due(self, now: float) -> Iterator[tuple[str, Ending]]:
        """Give the endings that somebody must tell, each to one thread."""
        for reservation_id, ending in list(self.waiting.items()):
            if ending.due <= now:
                ending.due = now + GRACE_S
                yield reservation_id, ending

    def acks(self, now: float) -> bytes:
        """Take the names of settled reservations that the server may forget."""
        if len(self._acks) < FEW_ACKS and not self._delayed:
            return b""
        names: list[str] = []
        try:
            while len(names) < MOST_ACKS and self._acks:
                names.append(self._acks.popleft())
            while len(names) < MOST_ACKS and self._delayed and self._delayed[0][0] <= now:
                names.append(self._delayed.popleft()[1])
        except IndexError:
            pass  # another thread was faster
        return " ".join(names).encode()

    def knows(self, name: str, owner: str) -> bool:
        """Tell whether that reservation is held here, or its end is on its way; ``owner`` is how our ids begin."""
        reservation_id = owner + name
        return (
            reservation_id in self.ledger.held
            or reservation_id in self.waiting
            or name in self._acks
            or any(name == delayed for _, delayed in list(self._delayed))
        )

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is held and nothing is to be told."""
        return not (self.ledger.held or self.waiting or self._delayed)

    def heir(self) -> Endings:
        """Give those of a forked child, which knows of none."""
        return Endings()

    def _lose(self, reservation_id: str, now: float) -> None:
        held = self.ledger.held.get(reservation_id)
        if held is not None:
            reservation = held.reservation
            seen = Settlement(reservation.observed_tokens, reservation.observed_charge, Verdict.neutral())
            self.end(reservation_id, REFUND if reservation.sent == "no" else seen, "lost", now)
