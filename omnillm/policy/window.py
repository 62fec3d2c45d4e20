"""The sliding window: what one key may take in any 60 seconds, in requests and in tokens.

Purpose: say whether a request fits now, when it will, and count what was let in.
Contract: pure but for its own sums; time is given; the caller holds the lock and commits the changes it is handed.
Rules:
- What is let in at ``t`` counts up to and including ``t + 60``: no closed interval of 60 seconds sees more than the limit.
- A slot that has not settled does not age out. Settled after its time, it leaves at once.
- Sums are kept, not recomputed; all of them change by one store.
- Of more than a few hundred requests, those that settled and were let in within the same quarter of a second become one slot,
  which leaves with the last of them: later, never sooner. So the log of a busy minute is not much longer than a quiet one's.
- The provider's word lowers what is left, never raises it above the configuration; the newest word counts, until its time is
  over. What is let in after it is taken off it; what settles, or passes its minute, of what was let in before changes nothing
  about it: the provider had counted that.
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
MERGED_AT_ONCE = 256  # slots; the newest that many stay as they are, for most of their calls are still in flight
GRAIN_S = 0.25


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


# Where the log begins and ends; the requests and tokens that count in all; those among them that are past their minute and not
# settled; those let in since the provider's last word on requests, and on tokens. Plain: a window makes two for each call, and a
# named tuple takes five times as long.
_Sums = tuple[int, int, int, int, int, int, int, int]


class _Word(NamedTuple):
    """What the provider said is left, from which place of the log on that is taken off it, and until when it is believed."""

    left: int = 0
    place: int = 0
    until: float = 0.0


_SILENCE = _Word()


class Window:
    """Count requests and tokens against their limits over the last 60 seconds."""

    __slots__ = ("_log", "_merged", "_opening", "_request_word", "_sums", "_swept", "_token_word", "rpm_limit", "tpm_limit")

    def __init__(self, limits: ModelLimits) -> None:
        self.tpm_limit = limits.tpm_limit
        self.rpm_limit = limits.rpm_limit
        self._log: dict[int, Slot] = {}
        self._sums: _Sums = (0, 0, 0, 0, 0, 0, 0, 0)
        self._swept = 0
        self._merged = 0  # slots before this place were looked at
        self._opening: tuple[_Sums | None, int, float] = (None, 0, 0.0)
        self._request_word = _SILENCE
        self._token_word = _SILENCE

    # --- reading --------------------------------------------------------------------------------------------------------------

    def used(self, now: float) -> tuple[int, int]:
        """Give the requests and tokens that count now."""
        head, tail, requests, tokens, _, _, new_requests, new_tokens = self._sums
        if head < tail and now > self._log[head].at + WINDOW_S:
            self._expire(now)
            _, _, requests, tokens, _, _, new_requests, new_tokens = self._sums
        word = self._request_word
        if now < word.until:
            requests = max(requests, self.rpm_limit - word.left + new_requests)
        word = self._token_word
        if now < word.until:
            tokens = max(tokens, self.tpm_limit - word.left + new_tokens)
        return requests, tokens

    def left(self, now: float) -> int:
        """Give the tokens that a request may take now; below zero where no request may."""
        requests, tokens = self.used(now)
        return self.tpm_limit - tokens if requests < self.rpm_limit else -1

    def next_change(self, now: float) -> float:
        """Give the earliest time at which more may be left than now, unless something settles first; infinity for never."""
        head, tail, _, _, overdue_requests, overdue_tokens, _, _ = self._sums
        at = leaves_at(self._log[head].at) if head < tail else math.inf
        if overdue_requests or overdue_tokens:
            at = min(at, now + OVERDUE_S)
        return min([at, *(word.until for word in (self._request_word, self._token_word) if now < word.until)])

    def opening(self, tokens: int, now: float) -> float:
        """Give the earliest time at which a request of that many tokens fits, if calls in flight leave with their minute."""
        if tokens > self.tpm_limit:
            return math.inf
        self.used(now)  # what is past its minute is left behind
        at, (*_, new_requests, new_tokens) = self._own_opening(tokens, now), self._sums
        if now < self._request_word.until and self._request_word.left <= new_requests:
            at = max(at, self._request_word.until)
        if now < self._token_word.until and self._token_word.left - new_tokens < tokens:
            at = max(at, self._token_word.until)
        return at

    def _own_opening(self, tokens: int, now: float) -> float:
        """Give the opening by what we count ourselves."""
        sums = self._sums
        known_sums, known_tokens, known = self._opening
        _, _, requests, used, overdue_requests, overdue_tokens, _, _ = sums
        overdue = overdue_requests or overdue_tokens
        if known_sums is sums and known_tokens == tokens and not overdue:
            return max(known, now)
        at = now
        leaving = heapq.merge(self._inside(), [(now + OVERDUE_S, overdue_requests, overdue_tokens)] if overdue else [])
        while requests >= self.rpm_limit or used + tokens > self.tpm_limit:
            at, fewer_requests, fewer_tokens = next(leaving)
            requests, used = requests - fewer_requests, used - fewer_tokens
        if not overdue:  # what many threads ask of a full window is found once
            self._opening = (sums, tokens, at)
        return at

    def _inside(self) -> Iterator[tuple[float, int, int]]:
        """Tell what leaves with its minute, and when."""
        for position in range(*self._sums[:2]):
            slot = self._log.get(position)
            if slot is None:
                continue  # merged into the one before
            yield leaves_at(slot.at), slot.requests, slot.tokens

    # --- changing -------------------------------------------------------------------------------------------------------------

    def admitting(self, tokens: int, now: float) -> tuple[Slot, list[Change]]:
        """Plan to let a request in."""
        head, tail, requests, used, overdue_requests, overdue_tokens, new_requests, new_tokens = self._sums
        slot, next_tail = Slot(now, tokens, tail), tail + 1
        sums = (
            head,
            next_tail,
            requests + 1,
            used + tokens,
            overdue_requests,
            overdue_tokens,
            new_requests + 1,
            new_tokens + tokens,
        )
        changes: list[Change] = [(self._admit, (slot, sums))]
        if tail - self._merged >= 2 * MERGED_AT_ONCE and tail - head >= 2 * MERGED_AT_ONCE:
            changes.append((self._merge, self._merging(max(self._merged, head))))
        return slot, changes

    def _admit(self, slot: Slot, sums: _Sums) -> None:
        self._log[slot.position] = slot
        self._sums = sums

    def _merging(self, start: int) -> tuple[int, list[tuple[Slot, float, int, int]], list[int]]:
        """Plan to merge the slots of one lot that settled, each into the first of its quarter of a second."""
        end, kept, gone = start + MERGED_AT_ONCE, list[tuple[Slot, float, int, int]](), list[int]()
        first: Slot | None = None
        grain = -1.0
        for position in range(start, end):
            slot = self._log[position]
            if first is not None and slot.settled and slot.at // GRAIN_S == grain:
                _, _, requests, tokens = kept[-1]
                kept[-1] = (first, slot.at, requests + slot.requests, tokens + slot.tokens)
                gone.append(position)
            else:
                first, grain = (slot if slot.settled else None), slot.at // GRAIN_S
                kept.append((slot, slot.at, slot.requests, slot.tokens))
        return end, kept, gone

    def _merge(self, end: int, kept: list[tuple[Slot, float, int, int]], gone: list[int]) -> None:
        for slot, at, requests, tokens in kept:
            slot.at, slot.requests, slot.tokens = at, requests, tokens
        for position in gone:
            self._log.pop(position, None)
        self._merged = end

    def settling(self, slot: Slot, *, requests: int, tokens: int, now: float) -> list[Change]:
        """Plan to correct what a slot counts for, once it is known."""
        self._expire(now)
        head, tail, all_requests, all_tokens, overdue_requests, overdue_tokens, new_requests, new_tokens = self._sums
        position, was_requests, was_tokens = slot.position, slot.requests, slot.tokens
        if position >= self._request_word.place:
            new_requests += requests - was_requests
        if position >= self._token_word.place:
            new_tokens += tokens - was_tokens
        if position < head:
            requests, tokens = 0, 0
            overdue_requests -= was_requests
            overdue_tokens -= was_tokens
        all_requests += requests - was_requests
        all_tokens += tokens - was_tokens
        sums = head, tail, all_requests, all_tokens, overdue_requests, overdue_tokens, new_requests, new_tokens
        return [(self._settle, (slot, requests, tokens, sums))]

    def _settle(self, slot: Slot, requests: int, tokens: int, sums: _Sums) -> None:
        slot.requests = requests
        slot.tokens = tokens
        slot.settled = True
        self._sums = sums

    def correcting(self, observed: ObservedLimits, now: float) -> list[Change]:
        """Plan to believe the provider where it says that less is left than we count."""
        *figures, new_requests, new_tokens = self._sums
        changes: list[Change] = []
        if observed.remaining_requests is not None:
            new_requests = 0
            changes.append(
                (setattr, (self, "_request_word", self._word(observed.remaining_requests, observed.reset_requests, now)))
            )
        if observed.remaining_tokens is not None:
            new_tokens = 0
            changes.append((setattr, (self, "_token_word", self._word(observed.remaining_tokens, observed.reset_tokens, now))))
        return [*changes, (setattr, (self, "_sums", (*figures, new_requests, new_tokens)))]

    def _word(self, left: int, reset: float | None, now: float) -> _Word:
        return _Word(max(0, left), self._sums[1], now + min(WINDOW_S if reset is None else reset, MAX_CORRECTION_S))

    def _expire(self, now: float) -> None:
        """Leave behind what is past its minute: no longer counted if settled, counted as overdue if not."""
        head, tail, requests, tokens, overdue_requests, overdue_tokens, new_requests, new_tokens = self._sums
        if self._swept == head and (head == tail or now <= self._log[head].at + WINDOW_S):
            return
        while head < tail and ((slot := self._log.get(head)) is None or now > slot.at + WINDOW_S):
            if slot is None:
                pass  # merged into the one before
            elif slot.settled:
                requests -= slot.requests
                tokens -= slot.tokens
            else:
                overdue_requests += slot.requests
                overdue_tokens += slot.tokens
            head += 1
        self._sums = (head, tail, requests, tokens, overdue_requests, overdue_tokens, new_requests, new_tokens)
        while self._swept < head:  # an interrupted sweep goes on where it stopped
            self._log.pop(self._swept, None)
            self._swept += 1
