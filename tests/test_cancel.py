"""Cancellation: once, at once, from anywhere."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from omnillm import CallCancelledError, CancellationToken


def test_a_fresh_token_lets_calls_pass() -> None:
    """Nothing is cancelled before ``cancel()``."""
    token = CancellationToken()
    token.raise_if_cancelled()
    assert not token.cancelled


def test_a_cancelled_token_raises() -> None:
    """After ``cancel()`` every check raises, and nothing was sent."""
    token = CancellationToken()
    token.cancel()
    assert token.cancelled
    with pytest.raises(CallCancelledError) as caught:
        token.raise_if_cancelled()
    assert caught.value.sent == "no"


def test_each_callback_runs_once() -> None:
    """Every call that was given the token hears of it, and no call twice."""
    token, heard = CancellationToken(), []
    for name in "abc":
        token.subscribe(lambda name=name: heard.append(name))
    token.cancel()
    token.cancel()
    assert sorted(heard) == ["a", "b", "c"]


def test_a_late_callback_runs_at_once() -> None:
    """A call made with a cancelled token hears of it before it starts."""
    token, heard = CancellationToken(), []
    token.cancel()
    token.subscribe(lambda: heard.append(1))
    assert heard == [1]


def test_a_call_that_ended_hears_nothing() -> None:
    """An unsubscribed callback does not run; an unknown handle is no error."""
    token, heard = CancellationToken(), []
    handle = token.subscribe(lambda: heard.append(1))
    token.unsubscribe(handle)
    token.unsubscribe(handle)
    token.unsubscribe(12345)
    token.cancel()
    assert heard == []


def test_a_callback_may_use_the_token() -> None:
    """Callbacks that unsubscribe, subscribe or cancel again do no harm."""
    token, heard = CancellationToken(), []

    def again() -> None:
        heard.append("first")
        token.unsubscribe(0)
        token.cancel()
        token.subscribe(lambda: heard.append("second"))

    token.subscribe(again)
    token.cancel()
    assert heard == ["first", "second"]


def test_a_token_keeps_no_finished_call_alive() -> None:
    """A long-lived token does not collect what was subscribed and unsubscribed."""

    class Call:
        def end(self) -> None:
            pass

    token, call = CancellationToken(), Call()
    token.unsubscribe(token.subscribe(call.end))
    gone = weakref.ref(call)
    del call
    gc.collect()
    assert gone() is None


def test_no_callback_is_lost_between_threads() -> None:
    """Whether a callback is subscribed before, during or after ``cancel()``, it runs exactly once."""
    for _ in range(50):
        token, heard = CancellationToken(), []
        start = threading.Barrier(5)

        def subscribe(token: CancellationToken = token, heard: list[int] = heard, start: threading.Barrier = start) -> None:
            start.wait()
            for n in range(20):
                token.subscribe(lambda n=n: heard.append(n))

        def cancel(token: CancellationToken = token, start: threading.Barrier = start) -> None:
            start.wait()
            token.cancel()

        threads = [threading.Thread(target=target) for target in (subscribe, subscribe, cancel, cancel, cancel)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(heard) == 40
