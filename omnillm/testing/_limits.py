"""Requests per minute and key: a sliding window, and the headers by which each provider tells how it stands."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from .._clock import Clock
from .._dataclass import dataclass

WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Tell how a key stands: what is left of its limit, and when its oldest request leaves, in seconds and as Unix time."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float
    reset_at: float


class RequestLimits:
    """Count the requests of each key that has a limit; no window of 60 seconds ever holds more than that."""

    def __init__(self, limits: Mapping[str, int], clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._taken: dict[str, deque[float]] = {key: deque() for key in limits}
        self._lock = threading.Lock()

    def take(self, key: str) -> Standing | None:
        """Count one request of a key where its limit allows it; ``None`` for a key without a limit."""
        limit = self._limits.get(key)
        if limit is None:
            return None
        with self._lock:
            now = self._clock.monotonic()
            taken = self._taken[key]
            while taken and taken[0] <= now - WINDOW_SECONDS:
                taken.popleft()
            allowed = len(taken) < limit
            if allowed:
                taken.append(now)
            reset = taken[0] + WINDOW_SECONDS - now if taken else WINDOW_SECONDS
            return Standing(allowed, limit, limit - len(taken), reset, self._clock.wall() + reset)


HeaderRule = Callable[[Standing], dict[str, str]]


def openai_headers(standing: Standing) -> dict[str, str]:
    """Tell it as OpenAI does: the reset as a Go duration."""
    return {
        "x-ratelimit-limit-requests": str(standing.limit),
        "x-ratelimit-remaining-requests": str(standing.remaining),
        "x-ratelimit-reset-requests": f"{math.ceil(standing.reset_seconds * 1000)}ms",
    } | retry_after_header(standing)


def anthropic_headers(standing: Standing) -> dict[str, str]:
    """Tell it as Anthropic does: the reset as a time."""
    reset = datetime.fromtimestamp(math.ceil(standing.reset_at), UTC)
    return {
        "anthropic-ratelimit-requests-limit": str(standing.limit),
        "anthropic-ratelimit-requests-remaining": str(standing.remaining),
        "anthropic-ratelimit-requests-reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
    } | retry_after_header(standing)


def retry_after_header(standing: Standing) -> dict[str, str]:
    """Tell no more than when to come back, as Google and AWS do."""
    return {} if standing.allowed else {"retry-after": str(math.ceil(standing.reset_seconds))}
