"""The values of native calls: checked where they are made, immutable, and read back as they were."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.errors import ConfigurationError, ProtocolError
from omnillm.primitive import (
    PrimitiveBillableUnit,
    PrimitiveBudgetClass,
    PrimitiveEndpointKind,
    PrimitiveProviderEndpoint,
    PrimitiveProviderKind,
    PrimitiveRequest,
    PrimitiveResponse,
    PrimitiveStreamMode,
    PrimitiveUsageTelemetry,
    ProviderPrimitiveWireFormat,
)
from omnillm.providers.auth import AuthScheme
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.types.enums import HttpMethod, ProviderKind
from omnillm.types.transport import BinaryBody, JsonBody, MultipartBody, MultipartFile, MultipartText, TextBody
from omnillm.types.usage import TokenUsage

REQUEST = PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", "m", {"input": "x"})


# --- requests -------------------------------------------------------------------------------------------------------------------


def test_members_are_taken_by_value_too() -> None:
    """Whoever writes the JSON form of a member means the member."""
    assert REQUEST.provider is PrimitiveProviderKind.OPENAI
    assert REQUEST.endpoint is PrimitiveEndpointKind.RESPONSES
    assert REQUEST.wire_format is ProviderPrimitiveWireFormat.OPENAI_RESPONSES
    assert REQUEST.with_stream("sse").stream is PrimitiveStreamMode.SSE
    assert REQUEST.with_method("PUT").method is HttpMethod.PUT
    assert PrimitiveProviderKind is ProviderKind


def test_every_step_gives_another_request() -> None:
    """A request never changes; what is added to it is in the next one."""
    steps = [
        REQUEST.with_path("/x"),
        REQUEST.with_header("X-Trace", "1"),
        REQUEST.with_query("a", "b"),
        REQUEST.with_stream(PrimitiveStreamMode.SSE),
        REQUEST.with_idempotency_key("k"),
    ]
    assert PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", "m", {"input": "x"}) == REQUEST
    assert len({str(step) + step.to_json() for step in steps}) == len(steps)
    with pytest.raises(dataclasses.FrozenInstanceError):
        REQUEST.path = "/y"  # type: ignore[misc]
    twice = REQUEST.with_header("a", "1").with_header("b", "2").with_query("c", "3").with_query("d", "4")
    assert (twice.headers, twice.query) == ({"a": "1", "b": "2"}, {"c": "3", "d": "4"})


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST.with_header("X-Trace", "1").with_query("a", "b").with_stream("sse").with_idempotency_key("k"),
        PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", None, b'{"a": 1}'),
        PrimitiveRequest.get("anthropic", "models", "anthropic_models", path="/models/x", metadata={"mine": [1]}),
        PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, {"purpose": "batch", "file": b"x"}, cost_usd=0.5),
    ],
)
def test_a_request_survives_its_json(request_: PrimitiveRequest) -> None:
    """What is written down is read back as it was."""
    assert PrimitiveRequest.from_json(request_.to_json()) == request_


def test_a_form_is_made_of_what_is_given(tmp_path: Path) -> None:
    """Texts, numbers and flags are texts; bytes, paths and files are files; a list repeats its name."""
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG")
    request = PrimitiveRequest.form(
        "open_ai", "images", "open_ai_image_edits", None, {"n": 2, "stream": True, "image[]": [path, b"\x89PNG"], "prompt": "x"}
    )
    assert isinstance(request.body, MultipartBody)
    found = [(field.name, field.value) for field in request.body.fields]
    assert found[:2] == [("n", MultipartText("2")), ("stream", MultipartText("true"))]
    assert found[2] == ("image[]", MultipartFile("a.png", path, "image/png"))
    assert found[3] == ("image[]", MultipartFile("image[].png", b"\x89PNG", "image/png"))
    whole = MultipartBody(request.body.fields)
    assert PrimitiveRequest.form("open_ai", "images", "open_ai_image_edits", None, whole).body == whole


WRONG: list[tuple[Any, str]] = [
    (lambda: PrimitiveRequest.json("nobody", "responses", "open_ai_responses", "m", {}), "provider: expected one of open_ai, "),
    (lambda: PrimitiveRequest.json("open_ai", "nothing", "open_ai_responses", "m", {}), "endpoint: expected one of responses, "),
    (lambda: PrimitiveRequest.json("open_ai", "responses", "morse", "m", {}), "wire_format: expected one of "),
    (lambda: REQUEST.with_stream("smoke"), "stream: expected one of none, sse, web_socket, binary_chunks"),
    (lambda: REQUEST.with_method("FETCH"), "method: expected one of GET, "),
    (lambda: dataclasses.replace(REQUEST, model=3), "model: expected a string"),
    (lambda: dataclasses.replace(REQUEST, body={"a": 1}), "body: expected a JsonBody"),
    (lambda: dataclasses.replace(REQUEST, cost_usd=-1), "cost_usd: expected an amount"),
    (lambda: dataclasses.replace(REQUEST, cost_usd=float("nan")), "cost_usd"),
    (lambda: dataclasses.replace(REQUEST, cost_usd=True), "cost_usd"),
    (lambda: dataclasses.replace(REQUEST, accept="a\nb"), "accept: expected printable ASCII"),
    (lambda: REQUEST.with_idempotency_key("a\r\nb: c"), "idempotency_key: expected printable ASCII"),
    (lambda: REQUEST.with_query("", "x"), "query: "),
    (lambda: REQUEST.with_query("a", 3), "query: 'a': expected a text"),
    (lambda: REQUEST.with_query("Key", "x"), "query: Key shows the key"),
    (lambda: REQUEST.with_query("access_token", "x"), "query: access_token shows the key"),
    (lambda: dataclasses.replace(REQUEST, headers=["a"]), "headers: expected texts by name"),
    (lambda: PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, {"a": object()}), "a: expected bytes, a Path"),
    (lambda: PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, {"": "x"}), "fields"),
    (lambda: PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, "x"), "fields"),
]


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_a_wrong_value_is_refused_where_it_is_given(case: int) -> None:
    """The error names the field and says what was expected."""
    make, said = WRONG[case]
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert said in str(caught.value)


HEADERS_REFUSED = [
    "Authorization", "authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "x-api-key", "X-API-Key", "api-key",
    "x-goog-api-key", "X-Amz-Date", "x-amz-security-token", "x-auth-token", "x-access-token", "Host", "Content-Length",
    "Transfer-Encoding", "Connection", "TE", "Trailer", "Upgrade", "Expect", "Keep-Alive", "Via", "Content-Type", "Accept",
    "a b", "a:b", "a\r\nb", "", "é",
]  # fmt: skip


@pytest.mark.parametrize("name", HEADERS_REFUSED)
def test_a_header_that_is_not_the_callers_is_refused(name: str) -> None:
    """What shows a key, frames the message or is no name is never the caller's to set."""
    with pytest.raises(ConfigurationError, match="headers"):
        REQUEST.with_header(name, "x")


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0b", " a", "a ", "é", 3, None])
def test_a_header_cannot_smuggle_another(value: Any) -> None:
    """A value is printable ASCII on one line."""
    with pytest.raises(ConfigurationError, match="headers: X-Trace"):
        REQUEST.with_header("X-Trace", value)


@pytest.mark.parametrize(
    "name", ["OpenAI-Beta", "anthropic-beta", "X-Goog-Upload-Command", "X-Trace", "traceparent", "HTTP-Referer"]
)
def test_a_header_of_the_providers_may_be_set(name: str) -> None:
    """What asks for a feature, or traces a request, is the caller's."""
    assert REQUEST.with_header(name, "1").headers == {name: "1"}


def test_repr_shows_neither_headers_nor_body() -> None:
    """A log of a request shows what it is, not what is in it."""
    shown = repr(PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", "m", {"input": "a secret plan"}))
    assert "secret plan" not in shown
    assert "x-secret" not in repr(REQUEST.with_header("X-Note", "x-secret"))


@pytest.mark.parametrize(
    ("endpoint", "wire", "budget_class"),
    [
        ("responses", "open_ai_responses", PrimitiveBudgetClass.TOKEN_METERED),
        ("images", "open_ai_image_variations", PrimitiveBudgetClass.BILLABLE_UNIT_METERED),
        ("files", "open_ai_files", PrimitiveBudgetClass.UPLOAD_OR_STORAGE),
        ("models", "gemini_models", PrimitiveBudgetClass.METADATA_OR_CONTROL_PLANE_ZERO_COST),
        ("custom", "custom_http", PrimitiveBudgetClass.UNKNOWN),
        ("images", "gemini_models", PrimitiveBudgetClass.UNKNOWN),
    ],
)
def test_a_request_knows_how_it_is_budgeted(endpoint: str, wire: str, budget_class: PrimitiveBudgetClass) -> None:
    """By the registry's word for its endpoint and format; what that does not know is unknown."""
    assert PrimitiveRequest.get("open_ai", endpoint, wire).budget_class is budget_class


# --- responses ------------------------------------------------------------------------------------------------------------------


def test_a_response_survives_its_json() -> None:
    """All but what only the gateway knows."""
    usage = PrimitiveUsageTelemetry({"n": 1}, TokenUsage(1, 2), (PrimitiveBillableUnit("images", 2, "image"),))
    for body in (JsonBody({"a": 1}), TextBody("x"), BinaryBody(b"\0"), None):
        response = PrimitiveResponse(200, {"a": "b"}, "x/y", body, usage, provider=ProviderKind.OPENAI, metadata={"m": 1})
        assert PrimitiveResponse.from_json(response.to_json()) == response
    assert (response.json(), response.text, response.content) == (None, None, None)


# --- endpoints ------------------------------------------------------------------------------------------------------------------

GEMINI = PrimitiveProviderEndpoint.gemini()


@pytest.mark.parametrize(
    ("endpoint", "path", "url"),
    [
        (PrimitiveProviderEndpoint.openai(), "/files", "https://api.openai.com/v1/files"),
        (PrimitiveProviderEndpoint.openai(), "files?limit=2", "https://api.openai.com/v1/files?limit=2"),
        (PrimitiveProviderEndpoint.anthropic(), "/messages", "https://api.anthropic.com/v1/messages"),
        (GEMINI, "/models/m:countTokens", "https://generativelanguage.googleapis.com/v1beta/models/m:countTokens"),
        (GEMINI, "/upload/v1beta/files", "https://generativelanguage.googleapis.com/upload/v1beta/files"),
        (
            GEMINI,
            "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=1",
            "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=1",
        ),
        (
            PrimitiveProviderEndpoint.azure_openai("res", "preview"),
            "/responses",
            "https://res.openai.azure.com/openai/v1/responses?api-version=preview",
        ),
        (
            PrimitiveProviderEndpoint.vertex_ai("p-1", "europe-west1"),
            "/publishers/google/models/m:countTokens",
            "https://europe-west1-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west1/publishers/google/models/m:countTokens",
        ),
        (
            PrimitiveProviderEndpoint.bedrock("us-east-1"),
            "/model/a%3A0/converse",
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/a%3A0/converse",
        ),
        (
            PrimitiveProviderEndpoint.openai_compatible("https://api.groq.com/openai/v1"),
            "/models",
            "https://api.groq.com/openai/v1/models",
        ),
    ],
)
def test_a_path_stands_below_the_base(endpoint: PrimitiveProviderEndpoint, path: str, url: str) -> None:
    """Google's media paths stand at the root of its host, and a whole URL of the same origin is taken as it is."""
    assert endpoint.url(path) == url


PATHS_REFUSED = [
    "", "//evil.example/x", "https://evil.example/x", "http://api.openai.com/x", "https://api.openai.com@evil.example/x",
    "https://api.openai.com:444/x", "https://user@api.openai.com/x", "/a/../b", "/..", "/a/%2e%2e/b", "/a/.%2E", "/a#b", "/a b",
    "/a\r\nb", "/é", "/a\\b", 3,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS_REFUSED)
def test_a_path_that_leads_elsewhere_is_refused(path: Any) -> None:
    """The key goes to the endpoint's own origin alone, and stays below its base."""
    with pytest.raises(ConfigurationError, match="path"):
        PrimitiveProviderEndpoint.openai().url(path)
    if not str(path).startswith("http"):
        with pytest.raises(ConfigurationError):
            REQUEST.with_path(path)


@given(st.text(max_size=40), st.sampled_from(["", "/", "//", "https://", "https://api.openai.com", "/%2e", "/a/.", "?", "@"]))
def test_no_path_leads_to_another_origin(text: str, start: str) -> None:
    """Whatever is given as a path, it is refused, or the URL is below the host and without a way up."""
    try:
        url = PrimitiveProviderEndpoint.openai().url(start + text)
    except ConfigurationError:
        return
    split = urlsplit(url)
    assert (split.scheme, split.netloc, split.fragment) == ("https", "api.openai.com", "")
    assert {".", ".."}.isdisjoint(unquote(split.path).split("/"))
    assert not re.search(r"[\x00-\x20\x7f]", url)


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_header_smuggles_another(name: str, value: str) -> None:
    """Whatever is given as a header is refused, or is one line, and none that shows a key."""
    try:
        headers = REQUEST.with_header(name, value).headers
    except ConfigurationError:
        return
    assert headers == {name: value}
    assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
    assert re.fullmatch(r"[\x20-\x7e]*", value)
    assert name.lower() not in ("authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "host", "content-length")


def test_an_endpoint_checks_what_it_is_given() -> None:
    """As the gateway's other endpoints do."""
    wrong: list[tuple[Any, str]] = [
        (lambda: PrimitiveProviderEndpoint("nobody", "https://x.example"), "provider: expected one of"),
        (lambda: PrimitiveProviderEndpoint.openai("ftp://x.example"), "base_url"),
        (lambda: PrimitiveProviderEndpoint.openai("https://key@x.example"), "base_url"),
        (lambda: PrimitiveProviderEndpoint.openai("https://api.openai.com/v1/responses"), "base_url: ends in /responses"),
        (lambda: PrimitiveProviderEndpoint.openai().with_default_header("Host", "x"), "default_headers"),
        (lambda: PrimitiveProviderEndpoint.openai().with_auth("bearer"), "auth: expected an AuthScheme"),
        (lambda: PrimitiveProviderEndpoint(ProviderKind.OPENAI, "https://x.example", query={"a": 3}), "query"),
        (lambda: PrimitiveProviderEndpoint.azure_openai("no name"), "resource"),
        (lambda: PrimitiveProviderEndpoint.azure_openai("res", "2024-10-21"), "api_version: the v1 path takes"),
    ]  # fmt: skip
    for make, said in wrong:
        with pytest.raises(ConfigurationError, match=said):
            make()


@pytest.mark.parametrize(
    ("endpoint", "kind", "base"),
    [
        (ProviderEndpoint.openai_responses(), "open_ai", "https://api.openai.com/v1"),
        (ProviderEndpoint.openai_responses("http://127.0.0.1:1/v1"), "open_ai_compatible", "http://127.0.0.1:1/v1"),
        (
            ProviderEndpoint.openai_compatible("https://api.groq.com/openai/v1"),
            "open_ai_compatible",
            "https://api.groq.com/openai/v1",
        ),
        (ProviderEndpoint.claude_messages(), "anthropic", "https://api.anthropic.com/v1"),
        (ProviderEndpoint.claude_messages("https://proxy.example/v1"), "anthropic", "https://proxy.example/v1"),
        (ProviderEndpoint.gemini_generate_content(), "gemini", "https://generativelanguage.googleapis.com/v1beta"),
        (ProviderEndpoint.azure_openai("res"), "azure_open_ai", "https://res.openai.azure.com/openai/v1"),
        (ProviderEndpoint.azure_openai("res", None, "2024-10-21"), "azure_open_ai", "https://res.openai.azure.com/openai/v1"),
        (ProviderEndpoint.azure_openai("res", "d", "2024-10-21"), "azure_open_ai", "https://res.openai.azure.com/openai/v1"),
        (
            ProviderEndpoint.vertex_ai("p-1", "global"),
            "vertex_ai",
            "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global",
        ),
        (ProviderEndpoint.bedrock("eu-west-1"), "bedrock", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
    ],
)
def test_an_endpoint_of_the_gateway_tells_where_native_calls_go(endpoint: ProviderEndpoint, kind: str, base: str) -> None:
    """Whose it is is told by its host and its protocol; its key is shown there in the same way."""
    found = PrimitiveProviderEndpoint.of(endpoint)
    assert found is not None
    assert (found.provider.value, found.base_url, found.auth, found.query) == (kind, base, endpoint.auth, {})


def test_a_whole_url_tells_nothing_of_other_paths() -> None:
    """Where an endpoint was given as a whole URL, native calls need one of their own."""
    assert PrimitiveProviderEndpoint.of(ProviderEndpoint.openai_responses_compat("https://x.example/r")) is None


def test_an_endpoint_shows_no_secret() -> None:
    """A default header may be a second key."""
    endpoint = PrimitiveProviderEndpoint.openai().with_default_header("X-Second", "s3cret").with_auth(AuthScheme.header("k"))
    assert "s3cret" not in repr(endpoint)
    assert endpoint.default_headers["X-Second"] == "s3cret"
    with pytest.raises(ConfigurationError, match="headers: k shows the key"):
        endpoint.check_headers({"K": "mine"})


def test_a_value_of_another_version_is_refused() -> None:
    """JSON at rest is read strictly."""
    with pytest.raises(ProtocolError):
        PrimitiveRequest.from_dict({**REQUEST.to_dict(), "new_field": 1})
