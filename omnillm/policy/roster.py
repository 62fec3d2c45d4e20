"""The roster: which of many keys to try first, without looking at those known to be full.

Purpose: find a seat with room for a request among any number of seats, and say when one will have room.
Contract: only a memory of what was seen. Every choice is checked against the seat itself, and forgetting all (``reset``) is
always right; so nothing here needs to survive an interrupt.
Rules:
- A seat is ready until a request does not fit it. Then it is parked, with what it has left, until something may have changed: its
  next change by time (a heap), or something of its own that settled (``wake``).
- A parked seat is still found by the smaller requests that fit what it has left (a sorted list).
- Every seat that fits is equally likely in a random choice.
- Of few seats the best is chosen; of many, the best of some drawn: as good in the long run, and the same cost for any number.
- A choice by latency is now and then a random one: what was slow is seen again, and comes back when it is fast.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable

from ..errors import NoKeyReason
from .lane import Seat
from .limits import Selection

Usable = Callable[[Seat], bool]
SPARE_ENTRIES = 64
FEW_SEATS = 32
DRAWS = 8
EXPLORE_EVERY = 20  # so many choices by latency, one is random


class Roster:
    """The seats of one kind of request: some ready, the others parked."""

    __slots__ = ("_choices", "_order", "_partial", "_ready", "parked", "seats")

    def __init__(self, seats: Iterable[Seat]) -> None:
        self.seats = {seat.key.label: seat for seat in seats}
        self._order = itertools.count()
        self._choices = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Forget what was parked: every seat is ready again."""
        self._ready = list(self.seats.values())
        self.parked: list[tuple[float, int, Seat]] = []
        self._partial: list[tuple[int, int, Seat]] = []
        for index, seat in enumerate(self._ready):
            seat.index = index
            seat.parked = None

    def wake(self, label: str) -> None:
        """Look at a seat again at the next request: something of its own has changed."""
        self._unpark(self.seats[label])

    # --- choosing -------------------------------------------------------------------------------------------------------------

    def find(self, tokens: int, now: float, *, rng: random.Random, selection: Selection, usable: Usable | None) -> Seat | None:
        """Give a seat with room for the request, chosen as asked; ``None`` where no usable one has."""
        while self.parked and self.parked[0][0] <= now:
            _, order, seat = self.parked[0]
            if seat.parked is not None and seat.parked[2] == order:
                self._unpark(seat)
            heapq.heappop(self.parked)
        if selection == "random" or (selection == "latency" and next(self._choices) % EXPLORE_EVERY == 0):
            return self._any(tokens, now, rng, usable)
        if len(self.seats) <= FEW_SEATS:
            fitting = self._fitting(tokens, now, usable)
        else:
            draws = (self._any(tokens, now, rng, usable) for _ in range(DRAWS))
            fitting = [seat for seat in draws if seat is not None]
        if not fitting:
            return None
        if selection == "latency":
            return min(fitting, key=lambda seat: (seat.slowness(now), rng.random()))
        return min(fitting, key=lambda seat: seat.load(now))

    def _any(self, tokens: int, now: float, rng: random.Random, usable: Usable | None) -> Seat | None:
        """Draw until a seat fits; each that does not is parked, and not drawn again."""
        while True:
            ready, start = self._ready, bisect_left(self._partial, (tokens,)) if self._partial else 0
            count = len(ready) + len(self._partial) - start
            if not count:
                return None
            drawn = int(rng.random() * count) if count > 1 else 0
            seat = ready[drawn] if drawn < len(ready) else self._partial[start + drawn - len(ready)][2]
            left = seat.left(now)
            if left < tokens:
                self._park(seat, left, now)
            elif usable is None or usable(seat):
                return seat
            else:
                fitting = self._fitting(tokens, now, usable)
                return fitting[int(rng.random() * len(fitting))] if fitting else None

    def _fitting(self, tokens: int, now: float, usable: Usable | None) -> list[Seat]:
        """Give every usable seat with room."""
        partial = [seat for _, _, seat in self._partial[bisect_left(self._partial, (tokens,)) :]]
        fitting = []
        for seat in [*self._ready, *partial]:
            left = seat.left(now)
            if left < tokens:
                self._park(seat, left, now)
            elif usable is None or usable(seat):
                fitting.append(seat)
        return fitting

    def first_back(self, tokens: int, now: float, usable: Usable | None) -> tuple[float, NoKeyReason]:
        """Give when the first usable seat will have room for the request, and what holds it until then.

        Follows a ``find`` that gave ``None``: all usable seats are parked. The heap is walked from the top, and a branch left as
        soon as it wakes later than the best seat found.
        """
        best: tuple[float, NoKeyReason] = (math.inf, "no_key")
        places = [0]
        while places:
            place = places.pop()
            if place >= len(self.parked) or self.parked[place][0] >= best[0]:
                continue
            places += (2 * place + 2, 2 * place + 1)
            seat = self.parked[place][2]
            if usable is None or usable(seat):
                opening = seat.opening(tokens, now)
                best = min(best, opening, key=lambda found: found[0])
        return best

    # --- remembering ----------------------------------------------------------------------------------------------------------

    def _park(self, seat: Seat, left: int, now: float) -> None:
        self._unpark(seat)
        order, wake = next(self._order), seat.next_change(now)
        last = self._ready.pop()
        if last is not seat:
            self._ready[seat.index] = last
            last.index = seat.index
        seat.index = -1
        seat.parked = (wake, left, order)
        if left >= 0:
            insort(self._partial, (left, order, seat))
        heapq.heappush(self.parked, (wake, order, seat))
        if len(self.parked) > 2 * len(self.seats) + SPARE_ENTRIES:
            current = [(seat.parked[0], seat.parked[2], seat) for seat in self.seats.values() if seat.parked is not None]
            heapq.heapify(current)
            self.parked = current

    def _unpark(self, seat: Seat) -> None:
        if seat.parked is None:
            return
        _, left, order = seat.parked
        if left >= 0:
            del self._partial[bisect_left(self._partial, (left, order))]
        seat.parked = None
        seat.index = len(self._ready)
        self._ready.append(seat)
