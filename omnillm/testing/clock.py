"""A clock moved by hand: time passes when the test says so, for any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ConfigurationError

_POLL_S = 0.001  # of real time; an event that is set by another thread is noticed within it
_HANDOVER_S = 5.0  # of real time; a sleeper that does not leave in that time is left alone


class _Sleeper:
    """One thread that waits for a moment of the fake time."""

    __slots__ = ("at", "due", "left")

    def __init__(self, at: float) -> None:
        self.at = at
        self.due = threading.Event()
        self.left = threading.Event()


class FakeClock:
    """Stand in for the machine's clock: ``advance`` lets time pass, and wakes who slept until then, one after the other.

    With ``auto_advance`` a ``sleep`` or ``wait`` does not block but moves the time itself, as fits a test of one thread.
    """

    def __init__(self, *, monotonic: float = 1_000.0, wall: float = 1_700_000_000.0, auto_advance: bool = False) -> None:
        self._now = monotonic
        self._wall = wall
        self._auto_advance = auto_advance
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._sleepers: list[_Sleeper] = []

    # --- the clock ------------------------------------------------------------------------------------------------------------

    def monotonic(self) -> float:
        """Give the fake seconds."""
        return self._now

    def wall(self) -> float:
        """Give the fake Unix seconds."""
        return self._wall

    def sleep(self, seconds: float) -> None:
        """Sleep until the time has been advanced that far."""
        if seconds <= 0:
            return
        if self._auto_advance:
            self.advance(seconds)
            return
        with self._asleep(seconds) as sleeper:
            sleeper.due.wait()

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Wait until the event is set or the time has been advanced that far; give whether it is set."""
        if timeout is None:
            return event.wait()
        if timeout <= 0 or event.is_set():
            return event.is_set()
        if self._auto_advance:
            self.advance(timeout)
            return event.is_set()
        with self._asleep(timeout) as sleeper:
            while not event.wait(_POLL_S) and not sleeper.due.is_set():
                pass
        return event.is_set()

    # --- the hand that moves it -----------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let that much time pass: each sleeper on the way is woken at its own moment, and has left before the next is woken."""
        if not seconds >= 0:
            raise ConfigurationError(f"seconds: time does not step back, got {seconds!r}", field="seconds")
        until = self._now + seconds
        while (sleeper := self._next(until)) is not None:
            sleeper.due.set()
            sleeper.left.wait(_HANDOVER_S)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator would; intervals do not notice."""
        self._wall += seconds

    def await_sleepers(self, count: int, timeout: float = _HANDOVER_S) -> None:
        """Wait, in real time, until that many threads sleep or wait on this clock; raises ``TimeoutError`` where they do not."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._sleepers) >= count, timeout):
                raise TimeoutError(f"{len(self._sleepers)} threads sleep on the clock, not {count}")

    def _next(self, until: float) -> _Sleeper | None:
        """Move the time to the next sleeper's moment, or to the end where there is none, and give that sleeper."""
        with self._lock:
            sleeper = min(
                (one for one in self._sleepers if one.at <= until and not one.due.is_set()), key=lambda one: one.at, default=None
            )
            now = until if sleeper is None else max(self._now, sleeper.at)
            self._wall += now - self._now
            self._now = now
            return sleeper

    @contextmanager
    def _asleep(self, seconds: float) -> Iterator[_Sleeper]:
        with self._changed:
            sleeper = _Sleeper(self._now + seconds)
            self._sleepers.append(sleeper)
            self._changed.notify_all()
        try:
            yield sleeper
        finally:
            with self._changed:
                self._sleepers.remove(sleeper)
            sleeper.left.set()
