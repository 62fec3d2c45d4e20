"""The clock moved by hand: order of waking, events, steps of the wall clock, and time that moves by itself."""

import threading

import pytest

from omnillm._clock import Clock, Deadline
from omnillm.errors import ConfigurationError
from omnillm.testing.clock import FakeClock


def started(*works):
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


def joined(threads):
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_time_passes_only_when_told():
    """Both clocks stand still between advances, and move together."""
    clock: Clock = FakeClock(monotonic=10.0, wall=100.0)
    deadline = Deadline.after(5.0, clock)
    clock.advance(4.5)
    assert (clock.monotonic(), clock.wall(), deadline.remaining()) == (14.5, 104.5, 0.5)
    with pytest.raises(ConfigurationError):
        clock.advance(-1)


def test_sleepers_wake_in_order_each_at_its_own_moment():
    """One advance wakes every sleeper on the way, the earliest first, at the moment it asked for."""
    clock, woken = FakeClock(monotonic=0.0), []

    def sleeper(seconds):
        def work():
            clock.sleep(seconds)
            woken.append((seconds, clock.monotonic()))

        return work

    threads = started(*(sleeper(seconds) for seconds in (3.0, 1.0, 2.0, 99.0)))
    clock.await_sleepers(4)
    for _ in range(3):
        clock.advance(1.0)
        threads = [thread for thread in threads if thread.join(0.2) or thread.is_alive()]
    assert woken == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    clock.advance(96.0)
    joined(threads)
    assert clock.monotonic() == 99.0


def test_one_advance_lets_a_sleeper_go_before_it_wakes_the_next():
    """Sleepers woken by the same advance have left in the order of their moments."""
    clock, left = FakeClock(), []

    class Noting(threading.Event):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def is_set(self):
            left.append(self.name)
            return super().is_set()

    def waiter(name, seconds):
        return lambda: clock.wait(Noting(name), seconds)

    threads = started(waiter("late", 2.0), waiter("early", 1.0))
    clock.await_sleepers(2)
    left.clear()
    clock.advance(5.0)
    joined(threads)
    assert left.index("early") < left.index("late")


def test_an_event_ends_a_wait_without_time():
    """Setting the event wakes who waits for it, and the time has not moved."""
    clock, event, seen = FakeClock(), threading.Event(), []
    threads = started(lambda: seen.append(clock.wait(event, 60.0)), lambda: seen.append(clock.wait(event, None)))
    clock.await_sleepers(1)
    event.set()
    joined(threads)
    assert (seen, clock.monotonic()) == ([True, True], 1_000.0)


def test_a_wait_whose_time_is_over_says_so():
    """A wait ends with its time, and a time that is none is no wait."""
    clock, event, seen = FakeClock(), threading.Event(), []
    threads = started(lambda: seen.append(clock.wait(event, 1.0)))
    clock.await_sleepers(1)
    clock.advance(1.0)
    joined(threads)
    assert seen == [False]
    assert not clock.wait(event, 0.0)
    clock.sleep(0.0)


def test_the_wall_clock_steps_alone():
    """A step of the wall clock is no passing of time."""
    clock = FakeClock(monotonic=1.0, wall=100.0)
    clock.step_wall(-50.0)
    assert (clock.monotonic(), clock.wall()) == (1.0, 50.0)


def test_with_auto_advance_nobody_blocks():
    """Where time moves by itself, sleeping and waiting move it."""
    clock = FakeClock(monotonic=0.0, auto_advance=True)
    clock.sleep(2.0)
    assert not clock.wait(threading.Event(), 3.0)
    assert clock.monotonic() == 5.0


def test_sleepers_that_do_not_come_are_reported():
    """Waiting for more sleepers than there are ends with an error."""
    with pytest.raises(TimeoutError):
        FakeClock().await_sleepers(1, timeout=0.01)
