"""The circuit breaker: a key that failed several times in a row rests, then one trial call decides.

Purpose: closed, open, half-open as one immutable value; a transition gives another value.
Contract: pure; the trial is named by its reservation, so that it is held by whoever holds that.
Rules:
- Only consecutive failures count; what says nothing about the key (cancelled, refused, cooling) changes no count.
- Half-open lets exactly one call through. A trial that is lost frees its place and waits again.
- Results of calls begun before the trip are ignored: they carry an older generation.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Phase = Literal["closed", "open", "half_open", "trying"]
Outcome = Literal["success", "failure", "neutral", "lost"]


class Breaker(NamedTuple):
    """One breaker: its failures in a row, until when it is open, and the trial that is under way."""

    failures: int = 0
    open_until: float | None = None
    generation: int = 0
    trial: str | None = None

    @property
    def is_untouched(self) -> bool:
        """Tell whether nothing has failed since the last success, which another one does not change."""
        return not self.failures and self.open_until is None

    def phase(self, now: float) -> Phase:
        """Name the state it is in now."""
        if self.open_until is None:
            return "closed"
        if now < self.open_until:
            return "open"
        return "half_open" if self.trial is None else "trying"

    def trying(self, reservation_id: str) -> Breaker:
        """Let that reservation be the trial."""
        return Breaker(self.failures, self.open_until, self.generation, reservation_id)

    def reset(self) -> Breaker:
        """Close it; results of calls begun before are ignored."""
        return Breaker(generation=self.generation + 1)

    def after(
        self, outcome: Outcome, *, reservation_id: str, generation: int, now: float, threshold: int, cooldown: float
    ) -> Breaker:
        """Give what the breaker is once a call of that generation ended so."""
        if self.open_until is not None:
            return self._after_trial(outcome, now + cooldown) if self.trial == reservation_id else self
        if generation != self.generation or outcome in {"neutral", "lost"}:
            return self
        if outcome == "success":
            return Breaker(0, None, generation) if self.failures else self
        failures = self.failures + 1
        return Breaker(failures, now + cooldown, generation + 1) if failures >= threshold else Breaker(failures, None, generation)

    def _after_trial(self, outcome: Outcome, reopened_until: float) -> Breaker:
        match outcome:
            case "success":
                return Breaker(0, None, self.generation)
            case "neutral":
                return Breaker(self.failures, self.open_until, self.generation)
            case "failure":
                return Breaker(self.failures + 1, reopened_until, self.generation)
            case "lost":
                return Breaker(self.failures, reopened_until, self.generation)
