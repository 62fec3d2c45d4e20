"""Exceptions that a signal handler raises, as a task queue's soft time limit: wherever they come, out they come."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from gateway_scripts import held
from interrupts import CutAt, skipped_when_traced

from omnillm import Conversation, RetryPolicy, tool
from omnillm import _cancel as cancel_module
from omnillm._cancel import is_from_outside, pass_through
from omnillm.config import KeyConfig
from omnillm.errors import InvalidShapeError
from omnillm.gateway.gateway import Gateway
from omnillm.testing import LocalProvider, fail
from omnillm.types.events import Completed

HUGE = 10**9
EVERY = 1 if os.environ.get("OMNILLM_STRESS") == "full" else 41  # place
ASKED_BY_C = "tell"  # of a raw file, by its buffer, which keeps what is raised


class TimeLimit(Exception):
    """What is raised from outside: no ``BaseException``, as those of task queues."""


@pytest.fixture(autouse=True)
def passing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel_module, "_from_outside", {})
    pass_through(TimeLimit)


class LimitAt(CutAt):
    """Raise it at a place that is counted, but for one whose exceptions Python itself keeps."""

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        return None if frame.f_code.co_name == ASKED_BY_C else super()._call(frame, event, arg)

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0 and not self.happened:
            self.happened = True
            self.stack = traceback.format_stack()
            sys.settrace(None)
            raise TimeLimit


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"rain in {city}"


def called(gateway: Gateway) -> object:
    return gateway.call("hi").text


def streamed(gateway: Gateway) -> object:
    with gateway.stream("a b") as stream:
        return list(stream)


def read_into(gateway: Gateway) -> object:
    with gateway.stream("hi", into=dict[str, int]) as stream:
        try:
            return list(stream)
        except InvalidShapeError:
            return None


def used_tools(gateway: Gateway) -> object:
    return gateway.run_tools('call weather with {"city": "Rome"}', [weather], parallel=False).text


def conversed(gateway: Gateway) -> object:
    chat = Conversation(gateway, tools=[weather])
    return [type(event) for event in chat.stream('call weather with {"city": "Rome"}')]


ROADS = [called, streamed, read_into, used_tools, conversed]


def places(once: Callable[[], object], kept: list[object]) -> Iterator[int]:
    """Raise it at the first place, the second, … and check that it comes out of each but finalisers, where Python keeps it."""
    place = 1
    while True:
        limit = LimitAt(place)
        came_out = False
        try:
            with limit:
                once()
        except TimeLimit:
            came_out = True
        assert came_out + len(kept) == limit.happened, f"kept at place {place}: {limit.stack}"
        kept.clear()
        yield place
        if not limit.happened:
            return
        place += EVERY


@skipped_when_traced
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("road", ROADS)
def test_it_comes_out_of_every_place(
    provider: LocalProvider, build: Any, road: Callable[[Gateway], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever line of the library it is raised, it comes out of the call, and nothing stays held."""
    gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=HUGE, tpm_limit=HUGE)], on_event=lambda _: None)
    road(gateway)
    kept: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: kept.append(what) if what.exc_type is TimeLimit else None)
    count = sum(1 for _ in places(lambda: road(gateway), kept))
    assert count > 20
    assert held(gateway) == (0, 0)
    assert road(gateway)


def test_a_hook_does_not_keep_it(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What comes up within a hook is no fault of the hook's."""

    def hook(_: Any) -> None:
        raise TimeLimit

    with pytest.raises(TimeLimit):
        build(provider, on_event=hook).call("hi")
    assert caplog.text == ""


def test_a_tool_does_not_keep_it(provider: LocalProvider, build: Any) -> None:
    """What comes up within a tool is not told to the model."""

    @tool
    def slow() -> str:
        """Take too long."""
        raise TimeLimit

    with pytest.raises(TimeLimit):
        build(provider).run_tools("call slow with {}", [slow], parallel=False)
    assert len(provider.requests) == 1


def test_map_does_not_give_it_in_an_answers_place(provider: LocalProvider, build: Any) -> None:
    """Where exceptions are given in their places, this one is raised all the same, and it ends what runs."""

    def texts() -> Iterator[str]:
        yield "a"
        raise TimeLimit

    with pytest.raises(TimeLimit):
        list(build(provider).map(texts(), concurrency=2, return_exceptions=True))


def test_it_is_not_tried_again(provider: LocalProvider, build: Any) -> None:
    """Between two attempts it ends the call."""
    provider.script(fail(503, times=2))

    def hook(event: Any) -> None:
        if type(event).__name__ == "RetryScheduled":
            raise TimeLimit

    with pytest.raises(TimeLimit):
        build(provider, on_event=hook, retry=RetryPolicy(base=0.001)).call("hi")
    assert len(provider.requests) == 1


def test_what_is_from_outside() -> None:
    """Interrupts are, by their class; of exceptions those that were told of, and their subclasses."""
    assert is_from_outside(KeyboardInterrupt())
    assert is_from_outside(type("Late", (TimeLimit,), {})())
    assert not is_from_outside(ValueError())
    assert not is_from_outside(InvalidShapeError("no"))


def test_its_end_is_a_completed_event_otherwise(provider: LocalProvider, build: Any) -> None:
    """Without it the roads end as they always did."""
    assert conversed(build(provider))[-1] is Completed
