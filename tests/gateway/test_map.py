"""Many requests in order: how far ahead they are taken, what an error does, and how the iterator is left."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_scripts import held, wait_until

from omnillm._cancel import CancellationToken
from omnillm.errors import BadRequestError, CallCancelledError, ClosedError, ConfigurationError
from omnillm.testing import LocalProvider, answer, delay, fail, hang
from omnillm.types.request import LlmRequest


def counted(count: int, taken: list[int]) -> Iterator[str]:
    for n in range(count):
        taken.append(n)
        yield f"question {n}"


def test_the_answers_are_in_order(provider: LocalProvider, build: Any) -> None:
    """Answers come in the order of the requests, whichever is there first; texts and requests may be mixed."""
    provider.script(delay(0.1))
    gateway = build(provider)
    asked = ["first", LlmRequest("m", "second"), *(f"question {n}" for n in range(20))]
    said = [response.text for response in gateway.map(asked)]
    assert said == ["echo: first", "echo: second", *(f"echo: question {n}" for n in range(20))]
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_requests_are_taken_as_they_are_needed(provider: LocalProvider, build: Any, concurrency: int) -> None:
    """Nothing is taken before the first ``next``, then no more than ``concurrency`` that are not given back, of a million."""
    taken: list[int] = []
    answers = build(provider).map(counted(10**6, taken), concurrency=concurrency)
    assert taken == []
    for given in range(5):
        assert next(answers).text == f"echo: question {given}"
        assert len(taken) <= given + concurrency
    answers.close()
    assert len(taken) <= 5 + concurrency


def test_a_slow_first_one_holds_the_window(provider: LocalProvider, build: Any) -> None:
    """While the first answer is not there, the window stands: others are ready, and no more are taken."""
    provider.script(hang())
    taken: list[int] = []
    gateway, token = build(provider, max_workers=9), CancellationToken()
    first = gateway.submit("hangs")
    assert provider.wait_requests(1)
    provider.script(delay(0.3))
    answers = gateway.map(counted(50, taken), concurrency=4, cancel=token)
    assert next(answers).text == "echo: question 0"
    assert taken == [0, 1, 2, 3]
    assert first.cancel()
    answers.close()


def test_an_error_is_raised_at_its_place(provider: LocalProvider, build: Any) -> None:
    """What came before it is given, nothing comes behind it, and no more is sent."""
    provider.script(answer("one"), fail(400))
    answers = build(provider).map(["a", "b", "c", "d"], concurrency=1)
    assert next(answers).text == "one"
    with pytest.raises(BadRequestError):
        next(answers)
    assert list(answers) == []
    assert len(provider.requests) == 2


def test_an_error_cancels_what_runs(provider: LocalProvider, build: Any) -> None:
    """The calls that run beside the one that failed are ended, with what they hold."""
    gateway = build(provider)

    def asked() -> Iterator[Any]:
        provider.script(delay(0.2, then=fail(400)))
        yield "a"
        wait_until(lambda: not provider.steps_left)
        provider.script(hang(times=3))
        yield from "bcd"
        assert provider.wait_requests(4)

    with pytest.raises(BadRequestError):
        next(gateway.map(asked(), concurrency=5))
    wait_until(lambda: held(gateway) == (0, 0))
    assert provider.wait_open_connections(1)  # that of the answer


def test_errors_in_their_places(provider: LocalProvider, build: Any) -> None:
    """With ``return_exceptions`` an error is given in its place and the others go on."""
    provider.script(answer("one"), fail(400), answer("three"))
    given = list(build(provider).map(["a", "b", "c"], concurrency=1, return_exceptions=True))
    assert [str(one) if i != 1 else type(one) for i, one in enumerate(given)] == ["one", BadRequestError, "three"]


@pytest.mark.parametrize("return_exceptions", [True, False])
def test_an_error_of_the_requests(provider: LocalProvider, build: Any, return_exceptions: bool) -> None:
    """What the iterable raises is raised after the answers to what it gave before."""

    def broken() -> Iterator[str]:
        yield "a"
        yield "b"
        raise LookupError("the file ends here")

    answers = build(provider).map(broken(), concurrency=8, return_exceptions=return_exceptions)
    assert [next(answers).text, next(answers).text] == ["echo: a", "echo: b"]
    with pytest.raises(LookupError, match="ends here"):
        next(answers)


def test_an_interrupt_of_the_requests(provider: LocalProvider, build: Any) -> None:
    """What is no ``Exception`` is raised at once, and what runs is ended."""

    def broken() -> Iterator[str]:
        yield "a"
        assert provider.wait_requests(1)
        raise KeyboardInterrupt

    provider.script(hang())
    gateway = build(provider)
    with pytest.raises(KeyboardInterrupt):
        next(gateway.map(broken()))
    wait_until(lambda: held(gateway) == (0, 0))


@pytest.mark.parametrize("leave", ["close", "del", "cycle"])
def test_leaving_cancels_what_runs(provider: LocalProvider, build: Any, leave: str) -> None:
    """However the iterator is left, its calls end, their connections close and nothing is held."""
    gateway = build(provider)

    def asked() -> Iterator[str]:
        yield "a"
        assert provider.wait_requests(1)
        provider.script(hang(times=3))
        yield from "bcdefgh"

    answers = gateway.map(asked(), concurrency=4)
    assert next(answers).text == "echo: a"
    assert provider.wait_requests(4)
    assert held(gateway)[1] == 3
    if leave == "close":
        answers.close()
    elif leave == "cycle":
        ring: list[Any] = [answers]
        ring.append(ring)
        del answers, ring
        gc.collect()
    else:
        del answers
    wait_until(lambda: held(gateway) == (0, 0))
    assert provider.wait_open_connections(1)  # that of the answer
    assert len(provider.requests) == 4


def test_close_of_the_gateway(provider: LocalProvider, build: Any) -> None:
    """A gateway that is closed ends the map with ``ClosedError``, and refuses another."""
    gateway = build(provider)
    answers = gateway.map(["a", "b"], concurrency=1)
    assert next(answers).text == "echo: a"
    gateway.close()
    with pytest.raises(ClosedError):
        next(answers)
    with pytest.raises(ClosedError):
        gateway.map(["a"])


def test_the_token_of_a_map(provider: LocalProvider, build: Any) -> None:
    """A token given to a map ends its calls; leaving the map does not cancel the token."""
    gateway, token = build(provider), CancellationToken()
    answers = gateway.map(["a", "b"], cancel=token)
    next(answers)
    answers.close()
    assert not token.cancelled
    token.cancel()
    with pytest.raises(CallCancelledError):
        next(gateway.map(["a"], cancel=token))


@pytest.mark.parametrize(
    ("requests", "options", "field"),
    [
        ("one text", {}, "requests"),
        (LlmRequest("m", "hi"), {}, "requests"),
        ({"a": 1}, {}, "requests"),
        (["a"], {"concurrency": 0}, "concurrency"),
        (["a"], {"concurrency": True}, "concurrency"),
        (["a"], {"cancel": "now"}, "cancel"),
    ],
)
def test_what_is_refused(provider: LocalProvider, build: Any, requests: Any, options: Any, field: str) -> None:
    """A wrong value is told by its name, before anything is taken."""
    with pytest.raises(ConfigurationError, match=field) as caught:
        build(provider).map(requests, **options)
    assert caught.value.field == field


def test_the_bar(provider: LocalProvider, build: Any, capsys: Any) -> None:
    """``progress`` shows tqdm's bar, on standard error, with the total where the requests have a length."""
    pytest.importorskip("tqdm")
    assert len(list(build(provider).map(["a", "b", "c"], progress=True))) == 3
    assert "3/3" in capsys.readouterr().err


def test_the_bar_without_tqdm(provider: LocalProvider, build: Any, monkeypatch: Any) -> None:
    """Without tqdm the error says what to install, before anything is taken."""
    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ConfigurationError, match="pip install tqdm"):
        build(provider).map(["a"], progress=True)
