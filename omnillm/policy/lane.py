"""A lane: what one key may take, of one model where the model has limits of its own, else of all.

Purpose: put window, breaker and cool-down together, and say whether a request may take the key now, and else when and why not.
Contract: pure; time is given; the caller holds the lock and commits the changes it is handed.
Rules:
- Cool-down and breaker are separate clocks; a shorter wait never shortens a longer one.
- A key that is set aside for ever is dead. One model's set-aside leaves the key to the others: it is handed in as ``aside``.
- An answer in the future combines by the latest; the reason is that of what lasts longest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from ..errors import NoKeyReason
from .breaker import Breaker
from .ledger import Change
from .limits import ModelLimits
from .window import OVERDUE_S, Window

KeyReason = Literal["window", "cooling", "breaker", "dead"]
LATENCY_WEIGHT = 0.2  # of the newest latency in the moving average, at least
LATENCY_AGE_S = 30.0  # after so long without news most of the weight is the newest's


class Lane:
    """The limits that a key's calls share: its window, breaker, cool-down and usual latency."""

    __slots__ = ("breaker", "cool_until", "latency", "measured_at", "window")

    def __init__(self, limits: ModelLimits) -> None:
        self.window = Window(limits)
        self.breaker = Breaker()
        self.cool_until = 0.0
        self.latency: float | None = None
        self.measured_at = 0.0

    def measuring(self, newest: float, now: float) -> list[Change]:
        """Plan to take the newest latency into the moving average; the older that is, the more the newest counts."""
        latency = newest
        if self.latency is not None:
            weight = max(LATENCY_WEIGHT, 1 - math.exp((self.measured_at - now) / LATENCY_AGE_S))
            latency = self.latency + weight * (newest - self.latency)
        return [(setattr, (self, "latency", latency)), (setattr, (self, "measured_at", now))]


class Key:
    """One key: its lanes, and until when it is set aside; infinity is for good."""

    __slots__ = ("aside_until", "label", "lanes", "shared")

    def __init__(self, label: str, limits: ModelLimits, models: Mapping[str, ModelLimits]) -> None:
        self.label = label
        self.shared = Lane(limits)
        self.lanes = {model: Lane(own) for model, own in models.items()}
        self.aside_until = 0.0

    def lane(self, model: str | None) -> Lane:
        """Give the lane of the model's calls."""
        return self.shared if model is None else self.lanes.get(model, self.shared)


class Seat:
    """One key as one kind of request sees it: those of ``model``, or of every model that nothing sets apart."""

    __slots__ = ("index", "key", "lane", "parked")

    def __init__(self, key: Key, model: str | None) -> None:
        self.key = key
        self.lane = key.lane(model)
        self.index = -1
        self.parked: tuple[float, int, int] | None = None

    def left(self, now: float) -> int:
        """Give the tokens that a request may take now; below zero where none may be sent."""
        key, lane = self.key, self.lane
        if now < key.aside_until or now < lane.cool_until:
            return -1
        breaker = lane.breaker
        if breaker.open_until is not None and (now < breaker.open_until or breaker.trial is not None):
            return -1
        return lane.window.left(now)

    def load(self, now: float) -> float:
        """Give the larger of the fractions of its two limits in use."""
        window = self.lane.window
        requests, tokens = window.used(now)
        return max(requests / window.rpm_limit, tokens / window.tpm_limit)

    def slowness(self, now: float) -> float:
        """Give the usual latency; of a key never heard of, nothing at first, so that it is tried, then more than any other's.

        It is tried once in a minute: whoever comes while it has not answered goes elsewhere.
        """
        lane = self.lane
        if lane.latency is not None:
            return lane.latency
        return math.inf if lane.window.used(now)[0] else -1.0

    def next_change(self, now: float) -> float:
        """Give the earliest time at which more may be left than now, unless something settles first; infinity for never."""
        until, _ = self.blocked(now)
        return until if until > now else self.lane.window.next_change(now)

    def opening(self, tokens: int, now: float, aside: float = 0.0) -> tuple[float, NoKeyReason]:
        """Give the earliest time at which a request of that many tokens may take the key, and what holds it until then."""
        until, reason = self.blocked(now, aside)
        at = self.lane.window.opening(tokens, now)
        if until > now and until >= at:
            return until, reason
        return at, "too_large" if math.isinf(at) else "window"

    def blocked(self, now: float, aside: float = 0.0) -> tuple[float, KeyReason]:
        """Give until when the key takes nothing at all, windows apart, and why; a time that is past where it does."""
        aside = max(aside, self.key.aside_until)
        cooling = max(aside, self.lane.cool_until)
        breaker = self.lane.breaker
        phase = breaker.phase(now)
        resting = now + OVERDUE_S if phase == "trying" else (breaker.open_until or 0.0)
        if resting > cooling:
            return resting, "breaker"
        return cooling, "dead" if math.isinf(aside) else "cooling"
