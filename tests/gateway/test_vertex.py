"""Vertex AI through a gateway: Gemini's models and Anthropic's, with tokens that are fetched, renewed and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_fixtures import Build

from omnillm import AuthScheme, GenerationConfig, GoogleCredentials, KeyConfig, LlmRequest, ProviderEndpoint, RetryPolicy
from omnillm.errors import BadRequestError, RateLimitedError, ServerError, UnauthorizedError
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import expect, respond

BASE = "/v1/projects/my-project/locations/europe-west1/publishers"
MODELS = {"google": "gemini-2.5-flash", "anthropic": "claude-sonnet-4-5@20250929"}
PATHS = {
    ("google", False): "/google/models/gemini-2.5-flash:generateContent",
    ("google", True): "/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    ("anthropic", False): "/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
    ("anthropic", True): "/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
}
CLAUDE = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": [{"role": "user", "content": "hello there"}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hello there"}]}], "generationConfig": {"maxOutputTokens": 9}}
BODIES = {
    ("google", False): GEMINI,
    ("google", True): GEMINI,
    ("anthropic", False): CLAUDE,
    ("anthropic", True): {**CLAUDE, "stream": True},
}
EACH = pytest.mark.parametrize("publisher", MODELS)


@pytest.fixture
def provider(clock: FakeClock) -> Iterator[LocalProvider]:
    with LocalProvider(clock=clock) as it:
        yield it


@pytest.fixture
def key(provider: LocalProvider, tmp_path: Path) -> KeyConfig:
    """The file of a service account."""
    file = tmp_path / "account.json"
    file.write_text(json.dumps(provider.service_account()))
    return KeyConfig(GoogleCredentials(file), "robot")


def vertex(target: LocalProvider | ScriptedServer, publisher: Any = "google") -> ProviderEndpoint:
    return ProviderEndpoint.vertex_ai("my-project", "europe-west1", publisher=publisher, base_url=f"{target.base_url}/v1")


def ask(publisher: str) -> LlmRequest:
    return LlmRequest(MODELS[publisher], "hello there", generation=GenerationConfig(max_output_tokens=9))


def streamed(gateway: Any, request: LlmRequest) -> str:
    with gateway.stream(request) as stream:
        return "".join(stream.text())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@EACH
def test_the_request_is_what_vertex_takes(
    build: Build, provider: LocalProvider, key: KeyConfig, clock: FakeClock, publisher: str, stream: bool
) -> None:
    """Path, query, headers and body; the token is one that was issued for the account."""
    gateway = build(vertex(provider, publisher), [key], clock=clock)
    assert (streamed(gateway, ask(publisher)) if stream else gateway.call(ask(publisher)).text) == "echo: hello there"
    (received,) = provider.requests
    assert received.path == BASE + PATHS[publisher, stream]
    assert (received.method, received.json) == ("POST", BODIES[publisher, stream])
    names = {"accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "user-agent"}
    assert set(received.headers) == names
    assert received.headers["authorization"] == f"Bearer {provider.tokens[0]}"
    assert received.headers["accept"] == ("text/event-stream" if stream else "application/json")


@EACH
def test_a_stream_has_its_usage(build: Build, provider: LocalProvider, key: KeyConfig, clock: FakeClock, publisher: str) -> None:
    """As the protocol reports it anywhere."""
    with build(vertex(provider, publisher), [key], clock=clock).stream(ask(publisher)) as stream:
        list(stream)
    assert (stream.response.usage.completion_tokens, stream.response.usage.estimated) == (3, False)


def test_a_token_is_fetched_once_and_renewed_before_it_ends(
    build: Build, provider: LocalProvider, key: KeyConfig, clock: FakeClock
) -> None:
    """No call is refused by it."""
    gateway = build(vertex(provider), [key], clock=clock)
    for _ in range(20):
        assert gateway.call(ask("google")).text == "echo: hello there"
        clock.advance(600)
    assert len(provider.tokens) == 4
    assert len(provider.requests) == 20


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_refused_token_is_renewed_and_the_request_sent_again(
    build: Build, provider: LocalProvider, key: KeyConfig, clock: FakeClock, stream: bool
) -> None:
    """In the same attempt: the key is good, its token was not."""
    gateway = build(vertex(provider), [key], clock=clock)
    gateway.call(ask("google"))
    provider.dead_keys.add(provider.tokens[0])
    if stream:
        assert streamed(gateway, ask("google")) == "echo: hello there"
    else:
        response = gateway.call(ask("google"))
        assert [record.outcome for record in response.attempts] == ["ok"]
    assert [request.key for request in provider.requests] == ["local-token-1", "local-token-1", "local-token-2"]
    (status,) = gateway.pool_status()
    assert (status.dead, status.rpm_used) == (False, 2)


def test_a_new_token_that_is_refused_retires_the_key(
    build: Build, provider: LocalProvider, key: KeyConfig, clock: FakeClock
) -> None:
    """Once is enough; another key is tried."""
    provider.dead_keys |= {"local-token-1", "local-token-2"}
    gateway = build(vertex(provider), [key], clock=clock)
    with pytest.raises(UnauthorizedError) as caught:
        gateway.call(ask("google"))
    assert (len(provider.requests), len(caught.value.attempts)) == (2, 1)
    assert gateway.pool_status()[0].dead


def test_an_access_token_as_text_is_shown_as_it_is(build: Build, provider: LocalProvider, clock: FakeClock) -> None:
    """So is an API key where the endpoint is told of its header."""
    build(vertex(provider), [KeyConfig("ya29.text")], clock=clock).call(ask("google"))
    express = vertex(provider).with_auth(AuthScheme.header("x-goog-api-key"))
    build(express, [KeyConfig("AQ.key")], clock=clock).call(ask("google"))
    first, second = provider.requests
    assert first.headers["authorization"] == "Bearer ya29.text"
    assert second.headers["x-goog-api-key"] == "AQ.key"
    assert "authorization" not in second.headers


def test_a_token_that_cannot_be_had_is_retried_like_any_failure(
    build: Build, provider: LocalProvider, clock: FakeClock, tmp_path: Path
) -> None:
    """By the call's own retries, and nothing is charged for it."""
    account = provider.service_account()
    with ScriptedServer([expect(), respond(503, body=b"{}")] * 3) as down:
        file = tmp_path / "account.json"
        file.write_text(json.dumps({**account, "token_uri": f"{down.base_url}/token"}))
        gateway = build(vertex(provider), [KeyConfig(GoogleCredentials(file))], clock=clock, budget_limit_usd=10_000)
        with pytest.raises(ServerError, match="token endpoint answered 503") as caught:
            gateway.call(LlmRequest("m", "hello"))
    assert (caught.value.sent, gateway.budget_used_usd(), provider.requests) == ("no", 0, ())
    assert [record.sent for record in caught.value.attempts] == ["no"] * len(caught.value.attempts)
    assert gateway.pool_status()[0].rpm_used == 0


@EACH
def test_an_overloaded_model_is_a_rate_limit(
    build: Build, provider: LocalProvider, key: KeyConfig, clock: FakeClock, publisher: str
) -> None:
    """In Google's words, whoever made the model."""
    body = {"error": {"code": 429, "message": "Resource exhausted, please try again later.", "status": "RESOURCE_EXHAUSTED"}}
    provider.script(fail(429, body=body))
    gateway = build(vertex(provider, publisher), [key], clock=clock, retry=RetryPolicy(max_attempts=1))
    with pytest.raises(RateLimitedError, match="Resource exhausted"):
        gateway.call(ask(publisher))


def test_a_body_without_its_version_is_refused_by_the_provider(
    build: Build, provider: LocalProvider, key: KeyConfig, clock: FakeClock
) -> None:
    """So the tests above would see its absence."""
    from dataclasses import replace

    from omnillm import Envelope

    bare = replace(vertex(provider, "anthropic"), envelope=Envelope(path="/models/{model}:rawPredict"))
    with pytest.raises(BadRequestError, match="anthropic_version: Field required"):
        build(bare, [key], clock=clock).call(ask("anthropic"))


def test_an_echoed_token_is_taken_out(build: Build, provider: LocalProvider, key: KeyConfig, clock: FakeClock) -> None:
    """Though it was never a key of the configuration."""
    provider.script(fail(400, body={"error": {"code": 400, "message": "bad local-token-1", "status": "INVALID_ARGUMENT"}}))
    with pytest.raises(BadRequestError) as caught:
        build(vertex(provider), [key], clock=clock).call(ask("google"))
    assert "local-token-1" not in repr(caught.value.__dict__) + str(caught.value)
    assert str(caught.value) == "bad <redacted>"
