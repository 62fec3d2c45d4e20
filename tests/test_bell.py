"""The bell: an event without a lock."""

from omnillm._bell import Bell


def test_a_bell_is_an_event():
    """A bell stays rung until it is cleared, and tells when it did not ring in time."""
    bell = Bell()
    assert not bell.is_set()
    assert not bell.wait(0.001)
    bell.set()
    bell.set()
    assert bell.wait()
    assert bell.wait(0)
    assert bell.is_set()
    bell.clear()
    assert not bell.is_set()
