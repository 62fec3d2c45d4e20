"""Where the clouds are: a URL, a wrapping of the body and a way to show the key, made of what was told and checked."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from omnillm import AuthScheme, ConfigurationError, EndpointProtocol, Envelope, ProviderEndpoint
from omnillm.providers.envelope import AMAZON_EVENT_STREAM

azure, vertex, bedrock = ProviderEndpoint.azure_openai, ProviderEndpoint.vertex_ai, ProviderEndpoint.bedrock
CHAT, GEMINI = "/chat/completions", "/models/g:generateContent"


def url(endpoint: ProviderEndpoint, path: str, *, model: str = "m", streamed: bool = False) -> str:
    """Give the URL as a call makes it."""
    return endpoint.url(endpoint.envelope.addressed(path, model, streamed=streamed))


@pytest.mark.parametrize(
    ("endpoint", "path", "where"),
    [
        (azure("res"), CHAT, "https://res.openai.azure.com/openai/v1/chat/completions"),
        (azure("res", protocol="responses"), "/responses", "https://res.openai.azure.com/openai/v1/responses"),
        (azure("res", "dep"), CHAT, "https://res.openai.azure.com/openai/v1/chat/completions"),
        (azure("res", None, "preview"), CHAT, "https://res.openai.azure.com/openai/v1/chat/completions?api-version=preview"),
        (
            azure("res", "dep", "2024-10-21"),
            CHAT,
            "https://res.openai.azure.com/openai/deployments/dep/chat/completions?api-version=2024-10-21",
        ),
        (
            azure("res", None, "2025-01-01-preview"),
            CHAT,
            "https://res.openai.azure.com/openai/deployments/m/chat/completions?api-version=2025-01-01-preview",
        ),
        (azure("https://gateway.example.com/"), CHAT, "https://gateway.example.com/openai/v1/chat/completions"),
        (azure("https://gateway.example.com/openai/v1/"), CHAT, "https://gateway.example.com/openai/v1/chat/completions"),
        (azure("https://res.openai.azure.us"), CHAT, "https://res.openai.azure.us/openai/v1/chat/completions"),
        (
            vertex("p-1", "europe-west1"),
            GEMINI,
            "https://europe-west1-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west1/publishers/google" + GEMINI,
        ),
        (
            vertex("p-1", "global"),
            GEMINI,
            "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/google" + GEMINI,
        ),
        (
            vertex("example.com:p-1", "eu", publisher="anthropic"),
            "/messages",
            "https://aiplatform.eu.rep.googleapis.com/v1/projects/example.com:p-1/locations/eu/publishers/anthropic/models/m:rawPredict",
        ),
        (bedrock("us-east-1"), "/model/m/converse", "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse"),
        (bedrock("cn-north-1"), "/model/m/converse", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/m/converse"),
        (
            bedrock("us-east-1", api="invoke_model"),
            "/messages",
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke",
        ),
        (bedrock("us-east-1", base_url="https://vpce-1.example.com"), "/x", "https://vpce-1.example.com/x"),
    ],
)
def test_the_url_is_that_of_the_cloud(endpoint: ProviderEndpoint, path: str, where: str) -> None:
    """A resource, a project, a region and a model are all it takes."""
    assert url(endpoint, path) == where


@pytest.mark.parametrize(
    ("endpoint", "model", "ends"),
    [
        (vertex("p", "l", publisher="anthropic"), "claude-x@20250929", "/models/claude-x@20250929:streamRawPredict"),
        (
            bedrock("r", api="invoke_model"),
            "us.anthropic.claude-v2:0",
            "/model/us.anthropic.claude-v2%3A0/invoke-with-response-stream",
        ),
        (
            bedrock("r", api="invoke_model"),
            "arn:aws:bedrock:r:1:inference-profile/us.x",
            "/model/arn%3Aaws%3Abedrock%3Ar%3A1%3Ainference-profile%2Fus.x/invoke-with-response-stream",
        ),
        (azure("res", None, "2024-10-21"), "my dep/1", "/deployments/my%20dep%2F1/messages?api-version=2024-10-21"),
    ],
)
def test_a_model_is_one_segment_of_the_path(endpoint: ProviderEndpoint, model: str, ends: str) -> None:
    """What it holds of colons and slashes is quoted; a stream has a path of its own where the cloud has one."""
    assert url(endpoint, "/messages", model=model, streamed=True).endswith(ends)


@pytest.mark.parametrize(
    ("endpoint", "path", "model"),
    [
        (bedrock("r", api="invoke_model"), "/messages", ".."),
        (bedrock("r"), "/model/../converse", ".."),
        (azure("res", None, "2024-10-21"), CHAT, "."),
        (vertex("p", "l"), "/publishers/../../x:streamGenerateContent?alt=sse", "publishers/../../x"),
    ],
)
def test_a_model_leads_to_no_other_path(endpoint: ProviderEndpoint, path: str, model: str) -> None:
    """Dots would, by whoever cleans the path on its way."""
    with pytest.raises(ConfigurationError, match="model: a segment of dots"):
        url(endpoint, path, model=model)


@pytest.mark.parametrize(
    ("endpoint", "auth", "protocol"),
    [
        (azure("res"), AuthScheme.header("api-key"), EndpointProtocol.OPENAI_CHAT_COMPLETIONS),
        (azure("res", protocol="responses"), AuthScheme.header("api-key"), EndpointProtocol.OPENAI_RESPONSES),
        (vertex("p", "l"), AuthScheme.google_oauth(), EndpointProtocol.GEMINI_GENERATE_CONTENT),
        (vertex("p", "l", publisher="anthropic"), AuthScheme.google_oauth(), EndpointProtocol.CLAUDE_MESSAGES),
        (bedrock("us-east-1"), AuthScheme.aws_sigv4("us-east-1", "bedrock"), EndpointProtocol.BEDROCK_CONVERSE),
        (bedrock("r", api="invoke_model"), AuthScheme.aws_sigv4("r", "bedrock"), EndpointProtocol.CLAUDE_MESSAGES),
    ],
)
def test_the_key_is_shown_as_the_cloud_wants_it(endpoint: ProviderEndpoint, auth: AuthScheme, protocol: EndpointProtocol) -> None:
    """Another scheme may be given, and an endpoint is a value that pickles."""
    assert (endpoint.auth, endpoint.protocol) == (auth, protocol)
    assert endpoint.with_auth(AuthScheme.bearer()).envelope == endpoint.envelope
    assert pickle.loads(pickle.dumps(endpoint)) == endpoint


def test_a_body_says_what_the_url_does_not() -> None:
    """Anthropic's version stands in it, the model in the URL; a deployment stands for every model."""
    body = {"model": "m", "stream": True, "messages": []}
    assert vertex("p", "l", publisher="anthropic").envelope.filled(body) == {
        "stream": True,
        "messages": [],
        "anthropic_version": "vertex-2023-10-16",
    }
    assert bedrock("r", api="invoke_model").envelope.filled(body) == {"messages": [], "anthropic_version": "bedrock-2023-05-31"}
    assert azure("res", "dep").envelope.filled(body) == {**body, "model": "dep"}
    assert azure("res").envelope.filled(body) is body
    assert bedrock("r").envelope.stream_type == AMAZON_EVENT_STREAM


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: azure(""), "resource"),
        (lambda: azure("res.openai.azure.com"), "resource"),
        (lambda: azure("re/s"), "resource"),
        (lambda: azure(5), "resource"),  # type: ignore[arg-type]
        (lambda: azure("ftp://x"), "base_url"),
        (lambda: azure("res", ""), "deployment"),
        (lambda: azure("res", 5), "deployment"),  # type: ignore[arg-type]
        (lambda: azure("res", "d", "2024&x=1"), "api_version"),
        (lambda: azure("res", protocol="soap"), "protocol"),
        (lambda: vertex("", "l"), "project"),
        (lambda: vertex("p/../q", "l"), "project"),
        (lambda: vertex("p", "l.evil.com/"), "location"),
        (lambda: vertex("p", "l", publisher="meta"), "publisher"),  # type: ignore[arg-type]
        (lambda: vertex("p", "l", base_url="https://u@h"), "base_url"),
        (lambda: bedrock(""), "region"),
        (lambda: bedrock("us-east-1.evil.com/"), "region"),
        (lambda: bedrock(None), "region"),  # type: ignore[arg-type]
        (lambda: bedrock("us-east-1", api="agents"), "api"),  # type: ignore[arg-type]
        (lambda: bedrock("us-east-1", base_url="https://h?x=1"), "base_url"),
    ],
)
def test_what_is_wrong_is_named(make: Any, field: str) -> None:
    """Before there is an endpoint."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"path": "x"}, "path"),
        ({"path": "/x"}, "path"),
        ({"path": "{path}?a=b"}, "path"),
        ({"path": "/{other}{path}"}, "path"),
        ({"path": 5}, "path"),
        ({"stream_path": "/ {model}"}, "stream_path"),
        ({"query": "?a=b"}, "query"),
        ({"query": "a=b#c"}, "query"),
        ({"query": None}, "query"),
        ({"without": "model"}, "without"),
        ({"without": [5]}, "without"),
        ({"without_headers": "x"}, "without_headers"),
        ({"fields": ["model"]}, "fields"),
        ({"fields": {5: 1}}, "fields"),
        ({"stream_type": "text/plain"}, "stream_type"),
    ],
)
def test_a_wrong_envelope_is_refused(options: dict[str, Any], field: str) -> None:
    """The error names the field."""
    with pytest.raises(ConfigurationError) as caught:
        Envelope(**options)
    assert caught.value.field == field


def test_an_endpoint_takes_nothing_else_for_an_envelope() -> None:
    """A mapping is none."""
    with pytest.raises(ConfigurationError, match="envelope: expected an Envelope"):
        ProviderEndpoint("chat_completions", "https://h", envelope={})  # type: ignore[arg-type]


def test_an_envelope_of_ones_own_wraps_any_protocol() -> None:
    """Path, query, fields and headers are told by the value alone."""
    envelope = Envelope(
        path="/x/{model}{path}",
        query="v=1",
        without=["a"],
        fields={"b": 2},
        without_headers=["h"],  # type: ignore[arg-type]
    )
    endpoint = ProviderEndpoint("chat_completions", "https://h/base", envelope=envelope)
    assert url(endpoint, "/chat/completions?s=1", model="a b") == "https://h/base/x/a%20b/chat/completions?s=1&v=1"
    assert envelope.filled({"a": 1, "b": 1, "c": 3}) == {"b": 2, "c": 3}
    assert envelope.headed({"h": "1", "i": "2"}) == {"i": "2"}
