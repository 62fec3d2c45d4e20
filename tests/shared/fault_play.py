"""Playing a fault: a gateway against a server that commits it, and what must follow by the matrix."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fault_matrix import ROWS, Outcome
from gateway_scripts import held, key_of, streamed, wait_until, whole

from omnillm.errors import OmniLLMError
from omnillm.gateway.gateway import Gateway
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import Step, expect, respond, sse
from omnillm.types.events import LlmStreamEvent, TextDelta
from omnillm.types.request import LlmRequest

TWICE = RetryPolicy(max_attempts=2, base=0.001)
ONCE = RetryPolicy(max_attempts=1)
SHORT = 0.25  # seconds: a time that is to run out
LONG = 20.0  # seconds: a time that is not
SLACK = 2.0  # seconds: how much later that may be noticed on a busy machine
CERTS = Path(__file__).parent.parent / "transport" / "certs"


@dataclass
class Played:
    """What happened: the answer or the error, what came of a stream, and what was tried."""

    gateway: Gateway
    server: ScriptedServer
    prompt: int
    error: OmniLLMError | None = None
    response: Any = None
    events: list[LlmStreamEvent] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return "".join(event.delta for event in self.events if isinstance(event, TextDelta))

    @property
    def attempts(self) -> tuple[Any, ...]:
        found: tuple[Any, ...] = (self.response if self.error is None else self.error).attempts
        return found


Play = Callable[..., Played]


@pytest.fixture
def outcome(request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    """Give what the matrix says of the test's row; the face is given where the row has several."""
    number = re.match(r"test_row_(\d+)_", request.node.originalname)
    assert number is not None
    return ROWS[int(number[1])].outcome


@pytest.fixture
def serve(closing: ExitStack) -> Callable[..., ScriptedServer]:
    """Give a server with scripts, closed at the end."""

    def serve(*scripts: Sequence[Step], **options: Any) -> ScriptedServer:
        return closing.enter_context(ScriptedServer(*scripts, **options))

    return serve


@pytest.fixture
def play(build: Any, serve: Callable[..., ScriptedServer], outcome: Callable[..., Outcome]) -> Play:
    """Give a function that makes the call and checks everything that the row says.

    ``scripts`` are of the server, or ``target`` says where to call. Where the row says that another key is asked, that is played
    too. ``received`` is how many tokens came, ``cools`` how long the key rests, ``requests`` how many requests the server read.
    """

    def play(
        *scripts: Sequence[Step],
        face: str = "",
        how: str = "call",
        request: LlmRequest | None = None,
        target: Any = None,
        options: dict[str, Any] | None = None,
        calls: int = 1,
        between: Callable[[], object] = bool,
        at_event: Callable[[Any], object] = bool,
        keys: Any = 1,
        received: int = 0,
        cools: float | None = None,
        requests: int | None = None,
        within: float | None = None,
        **steps: Any,
    ) -> Played:
        expected, server = outcome(face), serve(*scripts)
        steps = {"retry": TWICE, "timeouts": {}, **steps}
        steps["timeouts"] = {"total": LONG, "idle": LONG, "first_byte": LONG, **steps["timeouts"]}
        gateway = build(target or server, keys, **steps)
        played = made(
            gateway, server, request or LlmRequest("m", "hi"), how, options or {}, calls=calls, between=between, at_event=at_event
        )
        check_caller(expected, played)
        check_retried(expected, played, requests)
        check_key(expected, played, cools)
        check_money(expected, played, received)
        check_nothing_left(played)
        if within is not None:
            assert played.seconds < within + SLACK
        if expected.retried == "key" and target is None:
            other = serve(scripts[0], good(how))
            check_other_key(made(build(other, 2, **steps), other, request or LlmRequest("m", "hi"), how, options or {}))
        return played

    return play


def good(how: str) -> list[Step]:
    """Give the script of a server without a fault."""
    return [expect(), sse(streamed("hello"))] if how == "stream" else [expect(), respond(body=whole())]


def made(
    gateway: Gateway,
    server: ScriptedServer,
    request: LlmRequest,
    how: str,
    options: dict[str, Any],
    *,
    calls: int = 1,
    between: Callable[[], object] = bool,
    at_event: Callable[[Any], object] = bool,
) -> Played:
    """Make the calls, one after the other; an error of ours ends them."""
    played = Played(gateway, server, request.estimated_prompt_tokens())
    begin = time.monotonic()
    try:
        for number in range(calls):
            if number:
                between()
            if how == "call":
                played.response = gateway.call(request, **options)
            else:
                stream = gateway.stream(request, **options)
                played.events.clear()
                for event in stream:
                    played.events.append(event)
                    at_event(event)
                played.response = stream.response
    except OmniLLMError as error:
        played.error = error
    played.seconds = time.monotonic() - begin
    return played


def check_caller(expected: Outcome, played: Played) -> None:
    error = played.error
    assert type(error) is (expected.raises or type(None)), repr(error)
    for name in ("sent", "phase"):
        if (value := getattr(expected, name)) is not None:
            assert getattr(error, name) == value, name
    assert error is None or len(str(error)) <= 500


def check_retried(expected: Outcome, played: Played, requests: int | None) -> None:
    attempts = len(played.attempts)
    assert attempts == {"yes": 2}.get(expected.retried, 1), played.attempts
    sent = attempts if expected.sent != "no" else 0
    wanted = requests if requests is not None else sent
    wait_until(lambda: len(played.server.requests) >= wanted)
    assert len(played.server.requests) == wanted
    if expected.retried == "connection":
        assert played.server.connections == 2


def check_key(expected: Outcome, played: Played, cools: float | None) -> None:
    status, gateway = key_of(played.gateway), played.gateway
    failures = len(played.attempts) if expected.key == "failure" else 0
    assert (status.consecutive_failures, status.dead) == (failures, expected.key == "retired")
    reason = {"cools": "cooling", "hour": "cooling", "retired": "dead"}.get(expected.key)
    assert status.reason == reason
    if expected.key == "hour":
        cools = 3600.0
    if cools is not None:
        rest = (status.cool_down_until or 0.0) - gateway._core.clock.wall()
        assert rest == pytest.approx(cools, abs=3.0)


def check_money(expected: Outcome, played: Played, received: int) -> None:
    used, failed = played.gateway.budget_used_usd(), len(played.attempts)
    due = {"nothing": 0, "prompt": failed * played.prompt, "received": played.prompt + received}
    if expected.money in due:
        assert used == due[expected.money]
    elif expected.money in ("usage", "estimate"):
        assert played.response.usage.estimated == (expected.money == "estimate")
        if expected.money == "estimate":
            assert played.response.usage.prompt_tokens == played.prompt
        assert used > 0


def check_nothing_left(played: Played) -> None:
    core = played.gateway._core
    assert held(played.gateway) == (0, 0)
    assert (core.allowance.in_flight, core.allowance.retrying, core.reading) == (0, 0, {})


def check_other_key(played: Played) -> None:
    assert played.error is None
    first, second = (record.key_label for record in played.attempts)
    assert first != second
