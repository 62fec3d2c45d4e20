"""Sessions through a gateway: both ways at once, and key, window and budget back however they end."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from gateway_fixtures import Build
from gateway_scripts import held, key_of, wait_until
from websocket_server import Peer, serving

import omnillm as o
from omnillm.primitive import (
    PrimitiveCompleted,
    PrimitiveRealtimeSession,
    PrimitiveUsageReported,
    PrimitiveWebSocketMessage,
)
from omnillm.testing import LocalProvider, answer, break_stream, delay, fail, hang, malformed, record, replay

MODEL = "gpt-realtime"
PRICES = o.PriceTable({MODEL: {"input": 1_000_000, "output": 1_000_000}})  # a dollar a token
SETUP = {"type": "session.update", "session": {"max_output_tokens": 50}}
REALTIME = o.PrimitiveRequest.json("open_ai", "realtime", "open_ai_realtime", MODEL, SETUP)
PLAIN = o.PrimitiveRequest.get("open_ai", "realtime", "open_ai_realtime", MODEL)
LIVE = o.PrimitiveRequest.json("gemini", "live", "gemini_live", None, {"setup": {"model": "models/gemini-live"}})


def responses(base: str) -> o.ProviderEndpoint:
    return o.ProviderEndpoint.openai_responses(f"{base}/v1")


def at(build: Build, base: str, keys: Any = 1, **steps: Any) -> o.Gateway:
    """Make a gateway to OpenAI's sessions at a base, with a budget."""
    steps.setdefault("pricing", PRICES)
    steps.setdefault("budget_limit_usd", 10_000)
    return build(responses(base), keys, **steps)


def say(session: PrimitiveRealtimeSession, text: str) -> None:
    part = {"type": "input_text", "text": text}
    session.send({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [part]}})
    session.send({"type": "response.create"})


def turn(session: PrimitiveRealtimeSession) -> str:
    """Read up to the usage of a turn, and give the text."""
    text = ""
    for event in session:
        if isinstance(event, PrimitiveUsageReported):
            return text
        assert isinstance(event, PrimitiveWebSocketMessage)
        text += event.json().get("delta", "")
    raise AssertionError("the session ended without a turn")


def live_turn(session: PrimitiveRealtimeSession) -> str:
    """Read up to the usage of a turn of Gemini's, and give the text."""
    text = ""
    for event in session:
        if isinstance(event, PrimitiveUsageReported):
            return text
        assert isinstance(event, PrimitiveWebSocketMessage)
        content = event.json()["serverContent"]
        text += "".join(part["text"] for part in content.get("modelTurn", {}).get("parts", ()))
    raise AssertionError("the session ended without a turn")


# --- both ways ----------------------------------------------------------------------------------------------------------------


def test_a_session_of_openais(build: Build, provider: LocalProvider) -> None:
    """The handshake, what is said first, turns, their usage, and what they cost: all of it once."""
    gateway = at(build, provider.base_url)
    with gateway.primitive_realtime(REALTIME) as session:
        assert next(session).json()["type"] == "session.created"
        assert next(session).json()["session"]["max_output_tokens"] == 50
        assert held(gateway) == (50, 1)
        say(session, "hello there")
        assert turn(session) == "echo: hello there"
        say(session, "again")
        assert turn(session) == "echo: again"
    (sent,) = provider.requests
    assert (sent.method, sent.path, sent.key) == ("GET", f"/v1/realtime?model={MODEL}", "sk-1")
    assert {"authorization", "sec-websocket-key", "upgrade", "host"} <= set(sent.headers)
    assert "content-type" not in sent.headers
    response = session.response
    assert response.usage is not None
    assert response.usage.token_usage == o.TokenUsage(2 + 6, 3 + 2, 13)
    assert len(response.usage.raw_usage) == 2
    assert (response.cost_usd, gateway.budget_used_usd(), held(gateway)) == (13, 13, (0, 0))
    assert (key_of(gateway).tpm_used, key_of(gateway).rpm_used) == (13, 1)
    assert [(record.outcome, record.status) for record in response.attempts] == [("ok", 101)]


def test_a_session_of_geminis(build: Build, provider: LocalProvider) -> None:
    """The key is in a header, never in the URL; tools and live texts are answered as turns are."""
    prices = o.PriceTable({"gemini-live": {"input": 1e6, "output": 1e6}})
    gateway = build(provider.endpoint("gemini_generate_content"), pricing=prices)
    with gateway.primitive_realtime(LIVE) as session:
        assert "setupComplete" in next(session).json()
        session.send({"clientContent": {"turns": [{"role": "user", "parts": [{"text": "one"}]}], "turnComplete": True}})
        assert live_turn(session) == "echo: one"
        session.send({"toolResponse": {"functionResponses": [{"id": "1", "name": "f", "response": {"x": 1}}]}})
        assert live_turn(session) == 'echo: {"x":1}'
        session.send({"realtimeInput": {"text": "two"}})
        assert live_turn(session) == "echo: two"
    assert session.response.cost_usd == 1 + 2 + (3 + 1) + 2 + (6 + 1) + 2
    (sent,) = provider.requests
    assert sent.path == "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    assert (sent.headers["x-goog-api-key"], "sk-1" in sent.path) == ("sk-1", False)


@pytest.mark.parametrize(
    ("endpoint", "request_", "path", "header"),
    [
        (
            lambda base: o.PrimitiveProviderEndpoint.azure_openai(base),
            o.PrimitiveRequest.get("azure_open_ai", "realtime", "open_ai_realtime", "my deployment"),
            "/openai/v1/realtime?model=my%20deployment",
            "api-key",
        ),
        (
            lambda base: o.PrimitiveProviderEndpoint.vertex_ai("p", "l", base_url=f"{base}/v1"),
            o.PrimitiveRequest.json("vertex_ai", "live", "gemini_live", None, {"setup": {"model": "projects/p/models/m"}}),
            "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent",
            "authorization",
        ),
        (
            lambda base: o.PrimitiveProviderEndpoint.openai(f"{base}/v1"),
            PLAIN.with_path("/realtime?intent=transcription").with_header("X-Own", "1"),
            "/v1/realtime?intent=transcription",
            "x-own",
        ),
    ],
    ids=["azure", "vertex", "own path"],
)
def test_the_handshake_of_each_host(
    build: Build, provider: LocalProvider, endpoint: Any, request_: o.PrimitiveRequest, path: str, header: str
) -> None:
    """Its path, and how it is shown the key."""
    where = endpoint(provider.base_url)
    gateway = build(responses(provider.base_url), primitive_endpoint=where)
    with gateway.primitive_realtime(request_) as session:
        assert isinstance(next(session), PrimitiveWebSocketMessage)
    (sent,) = provider.requests
    assert (sent.path, sent.key) == (path, "sk-1")
    assert header in sent.headers


CLAIMED = [
    (provider.kind, row, wire)
    for provider in o.embedded_primitive_provider_registry().providers
    for row in provider.endpoints
    for wire in row.wire_formats
    if row.is_enabled and o.PrimitiveStreamMode.WEB_SOCKET in row.stream_modes
]


@pytest.mark.parametrize(("kind", "row", "wire"), CLAIMED)
def test_each_claim_of_the_registry_is_a_session_that_works(
    build: Build, provider: LocalProvider, kind: o.PrimitiveProviderKind, row: Any, wire: o.ProviderPrimitiveWireFormat
) -> None:
    """At the provider's endpoint, in that format, budgeted as it says."""
    from native_requests import native_endpoint

    gateway = build(provider, primitive_endpoint=native_endpoint(provider, kind), budget_limit_usd=1e6)
    first = {"setup": {"model": "models/m"}} if row.endpoint is o.PrimitiveEndpointKind.LIVE else {"type": "session.update"}
    request = o.PrimitiveRequest.json(kind, row.endpoint, wire, "m", first)
    assert request.budget_class is row.budget_class is o.PrimitiveBudgetClass.TOKEN_METERED
    with gateway.primitive_realtime(request) as session:
        assert next(session).type == "web_socket_message"
    assert (session.response.status, session.response.key_label, len(provider.requests)) == (101, "k1", 1)


def test_one_thread_listens_while_others_speak(build: Build, provider: LocalProvider) -> None:
    """Every turn is answered, and all of them are paid for."""
    gateway = at(build, provider.base_url, budget_limit_usd=100_000)
    with gateway.primitive_realtime(PLAIN) as session:
        told: list[Any] = []
        listener = threading.Thread(target=lambda: told.extend(turn(session) for _ in range(40)))
        listener.start()
        speakers = [threading.Thread(target=lambda: [say(session, "a b") for _ in range(10)]) for _ in range(4)]
        for thread in speakers:
            thread.start()
        for thread in (*speakers, listener):
            thread.join(30)
    assert len(told) == 40
    assert session.response.cost_usd == gateway.budget_used_usd() > 0
    assert held(gateway) == (0, 0)


def test_audio_is_charged_as_audio(build: Build, provider: LocalProvider) -> None:
    """At the rate of its own."""
    prices = o.PriceTable({MODEL: {"input": 1e6, "output": 1e6, "audio_output": 3e6}})
    gateway = at(build, provider.base_url, pricing=prices)
    with gateway.primitive_realtime(PLAIN) as session:
        session.send({"type": "input_audio_buffer.append", "audio": "AAAA"})
        session.send(json.dumps({"type": "response.create", "response": {"output_modalities": ["audio"]}}))
        turn(session)
    assert session.response.cost_usd == 1 + 2 * 3


# --- ends that are meant ------------------------------------------------------------------------------------------------------


def test_closing_is_polite_and_may_be_done_again(build: Build, provider: LocalProvider) -> None:
    """What was used is settled; what is left of the session can neither speak nor hear."""
    gateway = at(build, provider.base_url)
    session = gateway.primitive_realtime(PLAIN)
    next(session)
    session.close()
    session.close()
    assert list(session) == []
    with pytest.raises(o.ClosedError):
        session.send({"type": "response.create"})
    assert (session.response.cost_usd, gateway.budget_used_usd(), held(gateway)) == (0, 0, (0, 0))
    assert provider.wait_open_connections()
    assert "over" in repr(session)
    assert (session.provider, session.endpoint, session.wire_format) == ("open_ai", "realtime", "open_ai_realtime")
    assert session.stream_mode == "web_socket"


def test_a_provider_that_ends_ends_the_iteration(build: Build, provider: LocalProvider) -> None:
    """With the last event, and what was used."""
    provider.script(break_stream(8, how="no_terminal"))
    gateway = at(build, provider.base_url)
    session = gateway.primitive_realtime(PLAIN)
    say(session, "hello")
    *_, last = session
    assert last == PrimitiveCompleted(None)
    assert session.response.cost_usd == gateway.budget_used_usd() > 0  # an answer was begun


def begun(session: PrimitiveRealtimeSession) -> None:
    """Say something, and hear the beginning of the answer."""
    say(session, "hello there you all")
    for event in session:
        if isinstance(event, PrimitiveWebSocketMessage) and event.json()["type"].endswith("delta"):
            return


def by_close(session: PrimitiveRealtimeSession) -> None:
    session.close()


def by_with(session: PrimitiveRealtimeSession) -> None:
    with session:
        pass


def by_exception(session: PrimitiveRealtimeSession) -> None:
    with pytest.raises(ZeroDivisionError), session:
        raise ZeroDivisionError


LEAVES: list[Callable[[PrimitiveRealtimeSession], None]] = [by_close, by_with, by_exception]


@pytest.mark.parametrize("leave", LEAVES)
def test_what_was_begun_is_paid_however_it_is_left(
    build: Build, provider: LocalProvider, leave: Callable[[PrimitiveRealtimeSession], None]
) -> None:
    """The conversation so far, and what was heard of the answer."""
    provider.script(break_stream(6, how="hang"))
    gateway = at(build, provider.base_url)
    session = gateway.primitive_realtime(PLAIN)
    begun(session)
    leave(session)
    assert session.response.cost_usd == gateway.budget_used_usd() == pytest.approx(5 + 2, abs=2)
    assert (held(gateway), key_of(gateway).available) == ((0, 0), True)
    assert provider.wait_open_connections()


@pytest.mark.parametrize("cycle", [False, True], ids=["lost", "lost in a cycle"])
def test_a_session_that_is_lost_gives_everything_back(build: Build, provider: LocalProvider, cycle: bool) -> None:
    """What was begun is paid, the key is free, and the connection is closed."""
    provider.script(break_stream(6, how="hang"))
    gateway = at(build, provider.base_url)
    session: Any = gateway.primitive_realtime(PLAIN)
    begun(session)
    if cycle:
        holder: list[Any] = [session]
        holder.append(holder)
        del holder
    del session
    gc.collect()
    gateway.pool_status()
    assert held(gateway) == (0, 0)
    assert gateway.budget_used_usd() == pytest.approx(5 + 2, abs=2)
    assert provider.wait_open_connections()


def test_another_thread_that_closes_ends_the_listener(build: Build, provider: LocalProvider) -> None:
    """With the end of the iteration where it was asked for, or ``ClosedError`` in the midst of waiting."""
    provider.script(break_stream(1, how="hang"))
    gateway = at(build, provider.base_url)
    session = gateway.primitive_realtime(PLAIN)
    next(session)
    timer = threading.Timer(0.1, session.close)
    timer.start()
    with pytest.raises(o.ClosedError):
        next(session)
    timer.join()
    assert held(gateway) == (0, 0)
    assert provider.wait_open_connections()


@pytest.mark.parametrize("how", ["token", "gateway", "interrupt", "deadline", "idle"])
def test_what_ends_a_session_from_outside(build: Build, provider: LocalProvider, how: str) -> None:
    """Each with its error; nothing is held, and the connection is gone."""
    provider.script(break_stream(1, how="hang"))
    gateway = at(build, provider.base_url, timeouts={"idle": 0.3} if how == "idle" else {"idle": 30})
    token = o.CancellationToken()
    session = gateway.primitive_realtime(PLAIN, cancel=token, timeout=0.3 if how == "deadline" else None)
    next(session)
    ends: dict[str, Callable[[], Any]] = {
        "token": token.cancel,
        "gateway": gateway.close,
        "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    }
    wanted: dict[str, tuple[type[BaseException], ...]] = {
        "token": (o.CallCancelledError,),
        "gateway": (o.ClosedError,),
        "interrupt": (KeyboardInterrupt,),
        "deadline": (o.DeadlineExceededError,),
        "idle": (o.StreamInterruptedError,),
    }
    timer = threading.Timer(0.1, ends.get(how, lambda: None))
    timer.start()
    with pytest.raises(wanted[how]) as caught:
        next(session)
    timer.join()
    if how == "idle":
        assert caught.value.phase == "idle"  # type: ignore[attr-defined]  # an error of that class
    with pytest.raises(o.ClosedError):
        session.send({"type": "response.create"})
    assert held(gateway) == (0, 0)
    assert provider.wait_open_connections()


def test_speaking_keeps_a_session_from_being_idle(build: Build) -> None:
    """Whoever listens waits for as long as something is said."""
    heard = threading.Event()

    def talk(peer: Peer) -> None:
        for message in peer:
            if message == "done":
                peer.send("good bye")
            heard.set()

    with serving(talk) as served:
        gateway = at(build, served.base_url, timeouts={"idle": 0.5})
        session = gateway.primitive_realtime(PLAIN)
        stop = threading.Event()

        def speak() -> None:
            for _ in range(6):
                session.send("tick")
                stop.wait(0.2)
            session.send("done")

        speaker = threading.Thread(target=speak)
        speaker.start()
        assert next(session) == PrimitiveWebSocketMessage("good bye")
        speaker.join()
        session.close()


# --- ends that are not --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_session_that_breaks_off_is_paid_for_what_came(build: Build, provider: LocalProvider, how: Any) -> None:
    """It is not opened again: what was said would be lost."""
    provider.script(break_stream(6, how=how))
    gateway = at(build, provider.base_url, 2)
    session = gateway.primitive_realtime(PLAIN)
    with pytest.raises(o.StreamInterruptedError) as caught:
        say(session, "hello there you all")
        list(session)
    assert (caught.value.phase, len(provider.requests)) == ("cut", 1)
    assert gateway.budget_used_usd() == pytest.approx(5 + 1, abs=2)
    assert held(gateway) == (0, 0)


SECRET = "sk-1"
CLOSES: list[tuple[int, str, type[o.ProviderError], str]] = [
    (1001, "going away", o.OverloadedError, "breaker"),
    (1002, "", o.BadRequestError, ""),
    (1007, "Unknown name", o.BadRequestError, ""),
    (1008, "models/x is not found", o.BadRequestError, ""),
    (1008, "API key not valid. Please pass a valid API key.", o.UnauthorizedError, "dead"),
    (1008, "The caller does not have permission", o.PermissionDeniedError, ""),
    (1009, "", o.BadRequestError, ""),
    (1011, "Internal error encountered.", o.ServerError, "breaker"),
    (1011, "You exceeded your current quota", o.RateLimitedError, "cooling"),
    (1008, "insufficient_quota", o.QuotaExhaustedError, "cooling"),
    (1013, "", o.OverloadedError, "breaker"),
    (3000, "", o.UnauthorizedError, "dead"),
    (4429, "slow down", o.RateLimitedError, "cooling"),
    (4999, "own", o.ServerError, "breaker"),
]


@pytest.mark.parametrize(("code", "reason", "kind", "effect"), CLOSES)
def test_a_code_of_failure_is_the_error_that_it_means(
    build: Build, code: int, reason: str, kind: type[o.ProviderError], effect: str
) -> None:
    """With the code and the reason, and what that means for the key."""

    def talk(peer: Peer) -> None:
        peer.send({"type": "session.created"})
        peer.close(code, reason)

    with serving(talk) as served:
        gateway = at(build, served.base_url)
        session = gateway.primitive_realtime(PLAIN)
        next(session)
        with pytest.raises(kind) as caught:
            next(session)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == (str(code), None)
    assert reason in str(caught.value)
    status = key_of(gateway)
    assert status.dead is (effect == "dead")
    assert (status.consecutive_failures > 0) is (effect == "breaker")
    assert held(gateway) == (0, 0)


def test_who_only_speaks_is_told_why_the_provider_left(build: Build) -> None:
    """By the close that was there to be read, and not that the connection is gone."""
    with serving(lambda peer: peer._give(peer._events.CloseConnection(1008, "models/x is not found"))) as served:
        session = at(build, served.base_url).primitive_realtime(PLAIN)
        assert served.left.wait(5)
        with pytest.raises(o.BadRequestError, match="not found") as caught:
            for _ in range(1_000):
                session.send({"type": "input_audio_buffer.append", "audio": "A" * 10_000})
        assert caught.value.code == "1008"
        with pytest.raises(o.ClosedError):
            session.send("after")


def test_a_reason_that_quotes_the_key_does_not_show_it(build: Build) -> None:
    """Nor does the error's traceback."""
    with serving(lambda peer: peer.close(1008, "API key sk-canary-123456 is not valid")) as served:
        gateway = at(build, served.base_url, [o.KeyConfig("sk-canary-123456")])
        with pytest.raises(o.UnauthorizedError) as caught:
            next(gateway.primitive_realtime(PLAIN))
    assert "sk-canary" not in str(caught.value) + repr(caught.value.__dict__)
    assert "<redacted" in str(caught.value)


def test_a_session_in_which_nothing_was_said_is_opened_again(build: Build, provider: LocalProvider) -> None:
    """With another key; the one that refused is retired."""
    calls = []

    def talk(peer: Peer) -> None:
        calls.append(1)
        if len(calls) == 1:
            peer.close(1008, "API key not valid")
            return
        peer.send({"type": "session.created"})
        for _ in peer:
            pass

    with serving(talk) as served:
        gateway = at(build, served.base_url, 2)
        with gateway.primitive_realtime(PLAIN) as session:
            assert next(session).json() == {"type": "session.created"}
        assert len({request.headers["authorization"] for request in served.requests}) == 2
    assert sorted(status.dead for status in gateway.pool_status()) == [False, True]
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize(
    ("step", "kind", "tries"),
    [
        (fail(401), o.UnauthorizedError, 2),
        (fail(403), o.PermissionDeniedError, 2),
        (fail(429, retry_after=100), o.RateLimitedError, 2),
        (fail(400, message="no such model"), o.BadRequestError, 1),
        (fail(503), o.OverloadedError, 3),
        (malformed(b"{}"), o.MalformedResponseError, 3),
    ],
)
def test_a_handshake_that_is_refused_is_treated_as_a_call_is(
    build: Build, provider: LocalProvider, step: Any, kind: type[o.GatewayError], tries: int
) -> None:
    """The same keys are tried, and the same errors raised."""
    for _ in range(4):
        provider.script(step)
    gateway = at(build, provider.base_url, 2)
    with pytest.raises(kind) as caught:
        gateway.primitive_realtime(PLAIN)
    assert len(provider.requests) == len(caught.value.attempts) == tries
    assert held(gateway) == (0, 0)
    assert (gateway.budget_used_usd(), key_of(gateway).dead) == (0, kind is o.UnauthorizedError)


def test_a_handshake_that_is_refused_once_goes_on_with_another_key(build: Build, provider: LocalProvider) -> None:
    """A 401 retires the key, as for a call."""
    provider.script(fail(401), delay(0.01))
    with at(build, provider.base_url, 2).primitive_realtime(PLAIN) as session:
        assert next(session).json()["type"] == "session.created"
    assert [record.outcome for record in session.response.attempts] == ["failed", "ok"]


def test_a_handshake_that_nobody_answers_runs_out(build: Build, provider: LocalProvider) -> None:
    """By ``first_byte``."""
    provider.script(hang())
    gateway = at(build, provider.base_url, timeouts={"first_byte": 0.2}, retry=o.RetryPolicy(max_attempts=1))
    with pytest.raises(o.DeadlineExceededError):
        gateway.primitive_realtime(PLAIN)
    assert held(gateway) == (0, 0)


# --- money --------------------------------------------------------------------------------------------------------------------


def test_a_session_that_outruns_the_budget_is_closed(build: Build, provider: LocalProvider) -> None:
    """What was said is given first; then what it has cost is more than there is."""
    gateway = at(build, provider.base_url, budget_limit_usd=60)
    provider.script(answer("word " * 70))
    with gateway.primitive_realtime(REALTIME) as session:
        say(session, "tell me a lot")
        events = []
        with pytest.raises(o.BudgetExceededError, match="more than the budget has left"):
            events.extend(session)
    assert gateway.budget_used_usd() == 74
    assert held(gateway) == (0, 0)
    with pytest.raises(o.BudgetExceededError):
        gateway.primitive_realtime(REALTIME)
    assert provider.wait_open_connections()


def test_sessions_that_nothing_bounds_are_refused(build: Build, provider: LocalProvider) -> None:
    """By a strict budget, and where the model has no price; nothing is sent."""
    strict = at(build, provider.base_url, budget=o.Budget(5, estimate="strict"), budget_limit_usd=9)
    with pytest.raises(o.BudgetExceededError, match="strict estimate"):
        strict.primitive_realtime(PLAIN)
    unknown = at(build, provider.base_url, pricing=o.PriceTable(unknown="error"))
    with pytest.raises(o.UnknownPriceError):
        unknown.primitive_realtime(o.PrimitiveRequest.get("open_ai", "realtime", "open_ai_realtime", "nobody-knows"))
    assert provider.requests == ()


# --- what is no session -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [5, None, ["x"], {"a": object()}])
def test_a_message_is_an_object_a_text_or_bytes(build: Build, provider: LocalProvider, message: Any) -> None:
    """Anything else is refused, and the session goes on."""
    with at(build, provider.base_url).primitive_realtime(PLAIN) as session:
        with pytest.raises(o.ConfigurationError, match="message"):
            session.send(message)
        say(session, "hello")
        assert turn(session) == "echo: hello"


def test_requests_that_are_none_are_refused(build: Build, provider: LocalProvider) -> None:
    """Before a key is asked for."""
    gateway = at(build, provider.base_url)
    with pytest.raises(o.ConfigurationError, match="WebSocket"):
        gateway.primitive_realtime(PLAIN.with_stream("sse"))
    with pytest.raises(o.UnsupportedFeatureError):
        gateway.primitive_realtime(o.PrimitiveRequest.get("open_ai", "responses", "open_ai_responses", "m"))
    with pytest.raises(o.ConfigurationError, match="model"):
        gateway.primitive_realtime(o.PrimitiveRequest.get("open_ai", "realtime", "open_ai_realtime", None))
    with pytest.raises(o.ConfigurationError, match="key_label"):
        gateway.primitive_realtime(PLAIN, key_label="none")
    assert provider.requests == ()


def test_sessions_are_not_recorded(build: Build, provider: LocalProvider, tmp_path: Any) -> None:
    """And say so."""
    gateway = at(build, provider.base_url)
    for how in (record, replay):
        (tmp_path / "t.json").write_text('{"version": 1, "exchanges": []}')
        with how(tmp_path / "t.json", gateway), pytest.raises(o.ConfigurationError, match="neither recorded nor played"):
            gateway.primitive_realtime(PLAIN)
    assert held(gateway) == (0, 0)


def test_hooks_are_told_once(build: Build, provider: LocalProvider, events: list[Any]) -> None:
    """Of the attempt, and of the call with its usage and cost."""
    with at(build, provider.base_url).primitive_realtime(PLAIN) as session:
        say(session, "hello")
        turn(session)
    names = [type(event).__name__ for event in events]
    assert names == ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]
    assert (events[-1].outcome, events[-1].cost_usd) == ("closed", 3)


def test_a_child_has_no_part_in_a_session() -> None:
    """It can neither speak nor hear, and what it leaves its parent keeps."""
    import own_process

    out = own_process.run(
        """
        from omnillm import PrimitiveRequest, ProviderEndpoint

        with LocalProvider() as provider:
            gateway = GatewayBuilder(ProviderEndpoint.openai_responses(provider.base_url + "/v1")).add_key(KeyConfig("k")).build()
            session = gateway.primitive_realtime(PrimitiveRequest.get("open_ai", "realtime", "open_ai_realtime", "m"))

            def child():
                for step in (lambda: session.send("{}"), lambda: next(session)):
                    try:
                        step()
                    except ClosedError as error:
                        assert "another process" in str(error), error
                    else:
                        raise AssertionError("it went on")
                session.close()

            in_child(child)
            print(next(session).json()["type"])
            session.close()
            gateway.close()
        """
    )
    assert out.strip() == "session.created"


def test_a_listener_may_stop_and_wait(build: Build, provider: LocalProvider) -> None:
    """What came meanwhile is still there, and the time that the caller took is not the provider's."""
    gateway = at(build, provider.base_url, timeouts={"idle": 0.2})
    with gateway.primitive_realtime(PLAIN) as session:
        say(session, "hello")
        wait_until(lambda: True)
        threading.Event().wait(0.4)
        assert turn(session) == "echo: hello"
