"""Time, injected: intervals run on ``monotonic``, ``wall`` is for people and for what machines share."""

from __future__ import annotations

import math
import threading
import time
from datetime import timedelta
from typing import Protocol

from .errors import ConfigurationError


class Clock(Protocol):
    """What the library asks of time; ``SystemClock`` in life, ``omnillm.testing.FakeClock`` in tests."""

    def monotonic(self) -> float:
        """Give seconds that never step back."""

    def wall(self) -> float:
        """Give Unix seconds."""

    def sleep(self, seconds: float) -> None:
        """Let that much time pass."""

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Wait until the event is set or the time is over; give whether it is set."""


class SystemClock:
    """The clock of the machine."""

    __slots__ = ()

    def monotonic(self) -> float:
        """Give seconds that never step back."""
        return time.monotonic()

    def wall(self) -> float:
        """Give Unix seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        if seconds > 0:
            time.sleep(seconds)

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Wait until the event is set or the time is over; give whether it is set."""
        return event.wait(timeout)


SYSTEM_CLOCK = SystemClock()


class Deadline:
    """A point on the monotonic clock that no step of a call may pass; ``math.inf`` is none."""

    __slots__ = ("at", "clock")

    def __init__(self, at: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self.at = at
        self.clock = clock

    @classmethod
    def after(cls, seconds: float, clock: Clock = SYSTEM_CLOCK) -> Deadline:
        """Give the deadline that many seconds from now."""
        return cls(clock.monotonic() + seconds, clock)

    def remaining(self) -> float:
        """Give the seconds left, never below zero."""
        left = self.at - self.clock.monotonic()
        return left if left > 0 else 0.0

    @property
    def expired(self) -> bool:
        """Tell whether no time is left."""
        return self.clock.monotonic() >= self.at

    def sooner(self, seconds: float) -> Deadline:
        """Give the earlier of this deadline and the one that many seconds from now."""
        at = self.clock.monotonic() + seconds
        return self if at >= self.at else Deadline(at, self.clock)


def spoken(seconds: float) -> str:
    """Write a duration as people do: three digits are enough, and none is rounded away (``59.9 s``, ``3600 s``)."""
    return f"{seconds:.0f} s" if 100 <= seconds < math.inf else f"{seconds:.3g} s"


def seconds_of(value: object, field: str, *, allow_zero: bool = False) -> float:
    """Read a duration given as a number of seconds or a ``timedelta``; infinity must be spelled ``math.inf``.

    Raises ``ConfigurationError`` naming the field for anything else: ``None``, a bool, a NaN, a negative number.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{field}: expected seconds, got {value!r:.80}; no limit is spelled math.inf", field=field)
    try:
        seconds = float(value)
    except OverflowError:
        raise ConfigurationError(f"{field}: too many seconds; no limit is spelled math.inf", field=field) from None
    if math.isnan(seconds) or seconds < 0 or (seconds == 0 and not allow_zero):
        raise ConfigurationError(f"{field}: expected a positive number of seconds, got {seconds!r}", field=field)
    return seconds
