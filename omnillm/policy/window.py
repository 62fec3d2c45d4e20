"""The sliding window: what one key may take in any 60 seconds, in requests and in tokens.

Purpose: say whether a request fits now, when it will, and count what was let in.
Contract: pure but for its own sums; time is given; the caller holds the lock and commits the changes it is handed.
Rules:
- What is let in at ``t`` counts up to and including ``t + 60``: no closed interval of 60 seconds sees more than the limit.
- A slot that has not settled does not age out. Settled after its time, it leaves at once.
- Sums are kept, not recomputed; all of them change by one store.
- The provider's word lowers what is left, never raises it above the configuration; the newest word counts.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import NamedTuple

from .hints import ObservedLimits
from .ledger import Change
from .limits import ModelLimits

WINDOW_S = 60.0
OVERDUE_S = 1.0  # a call that outlives its minute may end at any moment: look again in a second
MAX_CORRECTION_S = 86_400.0


def leaves_at(at: float) -> float:
    """Give the first moment at which what was let in at ``at`` no longer counts."""
    return math.nextafter(at + WINDOW_S, math.inf)


def seconds_until(at: float, now: float) -> float:
    """Give the wait from now to then, rounded up: whoever adds it to the clock is never a hair too early."""
    wait = max(0.0, at - now)
    return wait if now + wait >= at else wait + math.ulp(at)


class Slot:
    """One request in a window: when it was let in, and what it counts for."""

    __slots__ = ("at", "position", "requests", "settled", "tokens")

    def __init__(self, at: float, tokens: int, position: int) -> None:
        self.at = at
        self.requests = 1
        self.tokens = tokens
        self.position = position
        self.settled = False


class _Sums(NamedTuple):
    """Where the log begins and ends, what counts in all, and the part of it that is past its minute and not settled."""

    head: int = 0
    tail: int = 0
    requests: int = 0
    tokens: int = 0
    overdue_requests: int = 0
    overdue_tokens: int = 0


class _Correction(NamedTuple):
    """What the provider counts beyond us, and until when that is believed."""

    amount: int = 0
    until: float = 0.0


_NOTHING = _Correction()


class Window:
    """Count requests and tokens against their limits over the last 60 seconds."""

    __slots__ = ("_log", "_opening", "_request_correction", "_sums", "_swept", "_token_correction", "rpm_limit", "tpm_limit")

    def __init__(self, limits: ModelLimits) -> None:
        self.tpm_limit = limits.tpm_limit
        self.rpm_limit = limits.rpm_limit
        self._log: dict[int, Slot] = {}
        self._sums = _Sums()
        self._swept = 0
        self._opening: tuple[_Sums | None, int, float] = (None, 0, 0.0)
        self._request_correction = _NOTHING
        self._token_correction = _NOTHING

    # --- reading --------------------------------------------------------------------------------------------------------------

    def used(self, now: float) -> tuple[int, int]:
        """Give the requests and tokens that count now."""
        head, tail, requests, tokens, _, _ = self._sums
        if head < tail and now > self._log[head].at + WINDOW_S:
            self._expire(now)
            _, _, requests, tokens, _, _ = self._sums
        if now < self._request_correction.until:
            requests += self._request_correction.amount
        if now < self._token_correction.until:
            tokens += self._token_correction.amount
        return requests, tokens

    def left(self, now: float) -> int:
        """Give the tokens that a request may take now; below zero where no request may."""
        requests, tokens = self.used(now)
        return self.tpm_limit - tokens if requests < self.rpm_limit else -1

    def next_change(self, now: float) -> float:
        """Give the earliest time at which more may be left than now, unless something settles first; infinity for never."""
        sums = self._sums
        at = leaves_at(self._log[sums.head].at) if sums.head < sums.tail else math.inf
        return min([at, *(at for at, _, _ in self._outside(now))])

    def opening(self, tokens: int, now: float) -> float:
        """Give the earliest time at which a request of that many tokens fits, if calls in flight leave with their minute."""
        if tokens > self.tpm_limit:
            return math.inf
        requests, used = self.used(now)
        known_sums, known_tokens, known = self._opening
        outside = self._outside(now)
        if known_sums is self._sums and known_tokens == tokens and not outside:
            return max(known, now)
        at = now
        leaving = heapq.merge(self._inside(), outside)
        while requests >= self.rpm_limit or used + tokens > self.tpm_limit:
            at, fewer_requests, fewer_tokens = next(leaving)
            requests, used = requests - fewer_requests, used - fewer_tokens
        if not outside:  # what many threads ask of a full window is found once
            self._opening = (self._sums, tokens, at)
        return at

    def _inside(self) -> Iterator[tuple[float, int, int]]:
        """Tell what leaves with its minute, and when."""
        for position in range(self._sums.head, self._sums.tail):
            slot = self._log[position]
            yield leaves_at(slot.at), slot.requests, slot.tokens

    def _outside(self, now: float) -> list[tuple[float, int, int]]:
        """Tell what leaves at another time: calls past their minute, and what the provider counts beyond us."""
        found = []
        if self._sums.overdue_requests or self._sums.overdue_tokens:
            found.append((now + OVERDUE_S, self._sums.overdue_requests, self._sums.overdue_tokens))
        for correction, requests, tokens in ((self._request_correction, 1, 0), (self._token_correction, 0, 1)):
            if correction.amount and now < correction.until:
                found.append((correction.until, requests * correction.amount, tokens * correction.amount))
        return sorted(found)

    # --- changing -------------------------------------------------------------------------------------------------------------

    def admitting(self, tokens: int, now: float) -> tuple[Slot, list[Change]]:
        """Plan to let a request in."""
        head, tail, requests, used, overdue_requests, overdue_tokens = self._sums
        slot = Slot(now, tokens, tail)
        sums = _Sums(head, tail + 1, requests + 1, used + tokens, overdue_requests, overdue_tokens)
        return slot, [(self._log.__setitem__, (tail, slot)), (setattr, (self, "_sums", sums))]

    def settling(self, slot: Slot, *, requests: int, tokens: int, now: float) -> list[Change]:
        """Plan to correct what a slot counts for, once it is known."""
        self._expire(now)
        head, tail, all_requests, all_tokens, overdue_requests, overdue_tokens = self._sums
        if slot.position < head:
            requests, tokens = 0, 0
            overdue_requests -= slot.requests
            overdue_tokens -= slot.tokens
        all_requests += requests - slot.requests
        all_tokens += tokens - slot.tokens
        sums = _Sums(head, tail, all_requests, all_tokens, overdue_requests, overdue_tokens)
        return [
            (setattr, (slot, "requests", requests)),
            (setattr, (slot, "tokens", tokens)),
            (setattr, (slot, "settled", True)),
            (setattr, (self, "_sums", sums)),
        ]

    def correcting(self, observed: ObservedLimits, now: float) -> list[Change]:
        """Plan to believe the provider where it says that less is left than we count."""
        self._expire(now)
        sides = (
            ("_request_correction", self.rpm_limit - self._sums.requests, observed.remaining_requests, observed.reset_requests),
            ("_token_correction", self.tpm_limit - self._sums.tokens, observed.remaining_tokens, observed.reset_tokens),
        )
        changes: list[Change] = []
        for name, ours, theirs, reset in sides:
            if theirs is not None:
                until = now + min(WINDOW_S if reset is None else reset, MAX_CORRECTION_S)
                changes.append((setattr, (self, name, _Correction(max(0, ours - max(0, theirs)), until))))
        return changes

    def _expire(self, now: float) -> None:
        """Leave behind what is past its minute: no longer counted if settled, counted as overdue if not."""
        head, tail, requests, tokens, overdue_requests, overdue_tokens = self._sums
        while head < tail and now > (slot := self._log[head]).at + WINDOW_S:
            if slot.settled:
                requests -= slot.requests
                tokens -= slot.tokens
            else:
                overdue_requests += slot.requests
                overdue_tokens += slot.tokens
            head += 1
        self._sums = _Sums(head, tail, requests, tokens, overdue_requests, overdue_tokens)
        while self._swept < head:  # an interrupted sweep goes on where it stopped
            self._log.pop(self._swept, None)
            self._swept += 1
