"""Azure OpenAI through a gateway: both of its paths, its header, its content filter."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_fixtures import Build

from omnillm import AuthScheme, KeyConfig, LlmRequest, ProviderEndpoint, RetryPolicy
from omnillm.errors import BadRequestError, RateLimitedError
from omnillm.testing import LocalProvider, fail
from omnillm.types.enums import FinishReason, ProviderProtocol

CHAT = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hello there"}]}
RESPONSES = {"model": "gpt-4.1-mini", "input": [{"role": "user", "content": "hello there"}]}
REQUEST = LlmRequest("gpt-4.1-mini", "hello there")
FILTERED = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
        },
    }
}


def streamed(gateway: Any) -> str:
    with gateway.stream(REQUEST) as stream:
        return "".join(stream.text())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("options", "path", "body"),
    [
        ({}, "/openai/v1/chat/completions", CHAT),
        ({"api_version": "preview"}, "/openai/v1/chat/completions?api-version=preview", CHAT),
        ({"deployment": "dep"}, "/openai/v1/chat/completions", {**CHAT, "model": "dep"}),
        ({"api_version": "2024-10-21"}, "/openai/deployments/gpt-4.1-mini/chat/completions?api-version=2024-10-21", CHAT),
        (
            {"deployment": "my dep", "api_version": "2024-10-21"},
            "/openai/deployments/my%20dep/chat/completions?api-version=2024-10-21",
            CHAT,
        ),
        ({"protocol": "responses"}, "/openai/v1/responses", RESPONSES),
    ],
)
def test_the_request_is_what_azure_takes(
    build: Build, provider: LocalProvider, options: dict[str, Any], path: str, body: dict[str, Any], stream: bool
) -> None:
    """Path, query, headers and body."""
    gateway = build(ProviderEndpoint.azure_openai(provider.base_url, **options), [KeyConfig("azure-key")])
    assert (streamed(gateway) if stream else gateway.call(REQUEST).text) == "echo: hello there"
    (received,) = provider.requests
    more: dict[str, Any] = {"stream": True} if stream else {}
    if stream and "messages" in body:
        more["stream_options"] = {"include_usage": True}
    assert (received.method, received.path, received.json) == ("POST", path, {**body, **more})
    names = {"accept", "accept-encoding", "api-key", "content-length", "content-type", "host", "user-agent"}
    assert set(received.headers) == names
    assert received.headers["api-key"] == "azure-key"


def test_a_deployment_is_priced_as_its_model(build: Build, provider: LocalProvider) -> None:
    """The budget sees the name that was asked for."""
    endpoint = ProviderEndpoint.azure_openai(provider.base_url, "my-deployment", "2024-10-21")
    gateway = build(endpoint, [KeyConfig("k")], pricing=_dollar_a_token(), budget_limit_usd=10_000)
    response = gateway.call(REQUEST)
    assert response.cost_usd == gateway.budget_used_usd() == response.usage.total()


def _dollar_a_token() -> Any:
    from omnillm import PriceTable

    return PriceTable({"gpt-4.1-mini": {"input": 1_000_000, "output": 1_000_000}})


def test_an_entra_token_is_a_bearer(build: Build, provider: LocalProvider) -> None:
    """By the endpoint's scheme."""
    endpoint = ProviderEndpoint.azure_openai(provider.base_url).with_auth(AuthScheme.bearer())
    build(endpoint, [KeyConfig("eyJ.entra.token")]).call(REQUEST)
    (received,) = provider.requests
    assert received.headers["authorization"] == "Bearer eyJ.entra.token"
    assert "api-key" not in received.headers


def test_a_filtered_prompt_is_the_requests_fault(build: Build, provider: LocalProvider) -> None:
    """It is raised at once, with Azure's code and what its filter said."""
    provider.script(fail(400, body=FILTERED, headers={"apim-request-id": "apim-1", "x-request-id": ""}))
    gateway = build(ProviderEndpoint.azure_openai(provider.base_url), 2)
    with pytest.raises(BadRequestError, match="content management policy") as caught:
        gateway.call(REQUEST)
    assert (caught.value.code, caught.value.status, len(provider.requests)) == ("content_filter", 400, 1)
    assert caught.value.raw_body["error"]["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert caught.value.request_id == "apim-1"


def test_a_filtered_answer_says_so(build: Build) -> None:
    """By its finish reason, with the filter's results kept."""
    from gateway_scripts import whole

    from omnillm.testing import ScriptedServer
    from omnillm.testing.scripted import expect, respond

    results = {"hate": {"filtered": True, "severity": "medium"}}
    message = {"role": "assistant", "content": None}
    choice = {"index": 0, "message": message, "finish_reason": "content_filter", "content_filter_results": results}
    with ScriptedServer([expect(), respond(body=whole(choices=[choice], prompt_filter_results=[]))]) as server:
        response = build(ProviderEndpoint.azure_openai(server.base_url), [KeyConfig("k")]).call(REQUEST)
    assert response.finish_reason is FinishReason.CONTENT_FILTER
    assert results == _found(response.vendor_extensions, "content_filter_results")


def _found(value: Any, name: str) -> Any:
    """Find a field, however deep."""
    if isinstance(value, dict):
        return value[name] if name in value else next(filter(None, (_found(inner, name) for inner in value.values())), None)
    return next(filter(None, (_found(inner, name) for inner in value)), None) if isinstance(value, list | tuple) else None


def test_a_limit_is_kept_and_another_key_tried(build: Build, provider: LocalProvider) -> None:
    """Azure says how long in its own header."""
    body = {"error": {"code": "429", "message": "Requests to the ChatCompletions_Create Operation have exceeded the rate limit."}}
    provider.script(fail(429, body=body, headers={"retry-after-ms": "1500"}, times=2))
    gateway = build(ProviderEndpoint.azure_openai(provider.base_url), 2, retry=RetryPolicy(max_attempts=1))
    with pytest.raises(RateLimitedError, match="exceeded the rate limit") as caught:
        gateway.call(REQUEST)
    assert caught.value.retry_after == 1.5
    assert {request.key for request in provider.requests} == {"sk-1", "sk-2"}


def test_a_deployments_path_without_a_version_is_refused_by_the_provider(build: Build, provider: LocalProvider) -> None:
    """So the tests above would see its absence."""
    bare = ProviderEndpoint(ProviderProtocol.OPENAI_CHAT_COMPLETIONS.value, f"{provider.base_url}/openai/deployments/dep")
    with pytest.raises(BadRequestError, match="Missing required query parameter: api-version"):
        build(bare).call(REQUEST)
