"""The primitive registry claims nothing that does not work: each row is held against a call of the local provider."""

from __future__ import annotations

import pytest
from gateway_fixtures import Build
from native_requests import native_endpoint, native_request

from omnillm.errors import ConfigurationError, UnsupportedFeatureError
from omnillm.primitive import (
    PrimitiveBudgetClass,
    PrimitiveCompleted,
    PrimitiveEndpointKind,
    PrimitiveProviderKind,
    PrimitiveProviderRegistry,
    PrimitiveRequest,
    PrimitiveStreamMode,
    ProviderPrimitiveWireFormat,
    embedded_primitive_provider_registry,
)
from omnillm.primitive.budget import meter_of
from omnillm.testing import LocalProvider
from omnillm.types.enums import SupportLevel

REGISTRY = embedded_primitive_provider_registry()
ROWS = [(provider.kind, row) for provider in REGISTRY.providers for row in provider.endpoints]
CLAIMS = [
    pytest.param(kind, row.endpoint, wire, mode, row.budget_class, id=f"{kind.value}-{wire.value}-{mode.value}")
    for kind, row in ROWS
    for wire in row.wire_formats
    for mode in row.stream_modes
    if row.is_enabled and mode is not PrimitiveStreamMode.WEB_SOCKET
]
FREE = (PrimitiveBudgetClass.METADATA_OR_CONTROL_PLANE_ZERO_COST, PrimitiveBudgetClass.UPLOAD_OR_STORAGE)
SSE, CHUNKS = PrimitiveStreamMode.SSE, PrimitiveStreamMode.BINARY_CHUNKS


@pytest.mark.parametrize(("kind", "endpoint", "wire", "mode", "budget_class"), CLAIMS)
def test_each_claim_is_a_call_that_works(
    provider: LocalProvider,
    build: Build,
    kind: PrimitiveProviderKind,
    endpoint: PrimitiveEndpointKind,
    wire: ProviderPrimitiveWireFormat,
    mode: PrimitiveStreamMode,
    budget_class: PrimitiveBudgetClass,
) -> None:
    """The provider's endpoint, in that format, answering in that way: it is called, read and settled as its class says."""
    gateway = build(provider, primitive_endpoint=native_endpoint(provider, kind), budget_limit_usd=1e6)
    request = native_request(wire, endpoint, kind, mode)
    assert request.budget_class is budget_class
    if mode is PrimitiveStreamMode.NONE:
        response = gateway.primitive_call(request)
        assert response.body is not None
    else:
        with gateway.primitive_stream(request) as stream:
            events = list(stream)
            response = stream.response
        assert isinstance(events[-1], PrimitiveCompleted)
        assert {event.type for event in events[:-1]} <= ({"sse_frame", "usage"} if mode is SSE else {"binary_chunk", "usage"})
        assert len(events) > 1
    assert (response.status, response.key_label) == (200, "k1")
    assert (gateway.budget_used_usd() > 0) is meter_of(request).is_metered
    assert not (budget_class in FREE and gateway.budget_used_usd())
    (status,) = gateway.pool_status()
    assert (status.tpm_inflight, status.rpm_used) == (0, 1)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(("kind", "row"), [pytest.param(*row, id=f"{row[0].value}-{row[1].endpoint.value}") for row in ROWS])
def test_a_row_is_whole(kind: PrimitiveProviderKind, row: object) -> None:
    """What is enabled has formats and ways to come; what is planned has not been claimed."""
    found = next(other for known, other in ROWS if known is kind and other is row)
    if found.level is SupportLevel.PLANNED:
        assert not found.is_enabled
    else:
        assert found.wire_formats
        assert found.stream_modes


def test_every_provider_is_listed_once() -> None:
    """Each kind of provider has one descriptor."""
    kinds = [provider.kind for provider in REGISTRY.providers]
    assert sorted(kinds) == sorted(PrimitiveProviderKind)


def test_the_registry_survives_its_json() -> None:
    """What is written down is read back as it was."""
    assert PrimitiveProviderRegistry.from_json(REGISTRY.to_json()) == REGISTRY


def test_what_is_not_listed_is_refused_before_anything_is_sent(provider: LocalProvider, build: Build) -> None:
    """A format of another endpoint, and a way of answering that an endpoint has not, cost nothing."""
    gateway = build(provider, primitive_endpoint=native_endpoint(provider, PrimitiveProviderKind.OPENAI), budget_limit_usd=5)
    wrong = PrimitiveRequest.json("open_ai", "images", "open_ai_chat_completions", "m", {"model": "m"})
    with pytest.raises(UnsupportedFeatureError, match="open_ai has no images as open_ai_chat_completions"):
        gateway.primitive_call(wrong)
    embeds = PrimitiveRequest.json("open_ai", "embeddings", "open_ai_embeddings", "m", {"input": "x"}).with_stream("sse")
    with pytest.raises(UnsupportedFeatureError, match="coming as sse"):
        gateway.primitive_stream(embeds)
    elsewhere = PrimitiveRequest.get("bedrock", "messages", "bedrock_converse", "m")
    with pytest.raises(UnsupportedFeatureError, match=r"no endpoint for native calls of bedrock: primitive_endpoint"):
        gateway.primitive_call(elsewhere)
    assert (provider.requests, gateway.budget_used_usd()) == ((), 0.0)


def test_a_custom_endpoint_takes_any_path(provider: LocalProvider, build: Build) -> None:
    """A format that nobody knows may go anywhere below a custom base; one of another provider may, too."""
    gateway = build(provider, primitive_endpoint=native_endpoint(provider, PrimitiveProviderKind.CUSTOM))
    listed = gateway.primitive_call(PrimitiveRequest.get("custom", "custom", "custom_http").with_path("/models"))
    assert [model["id"] for model in listed.json()["data"]] == ["local-large", "local-small"]
    known = PrimitiveRequest.json("anthropic", "messages", "anthropic_messages", None, {"model": "m"})
    gateway.primitive_call(PrimitiveRequest.get("open_ai", "models", "open_ai_models"))
    with pytest.raises(ConfigurationError, match="path: custom_http has none of its own"):
        gateway.primitive_call(PrimitiveRequest.get("custom", "custom", "custom_http"))
    assert [request.path for request in provider.requests] == ["/v1/models", "/v1/models"]
    assert known.provider is PrimitiveProviderKind.ANTHROPIC


def test_names_are_taken_for_what_they_name() -> None:
    """A provider, an endpoint and a format may be asked for by their values."""
    assert REGISTRY.provider("open_ai") is REGISTRY.provider(PrimitiveProviderKind.OPENAI) is not None
    assert REGISTRY.supports_endpoint("open_ai", "files")
    assert REGISTRY.supports_wire_format("open_ai", "open_ai_responses", "sse")


def test_the_registry_answers_what_is_asked_of_it() -> None:
    """By provider, endpoint, format and way of answering; of whom it does not know it says no."""
    sse = PrimitiveStreamMode.SSE
    responses, files = ProviderPrimitiveWireFormat.OPENAI_RESPONSES, ProviderPrimitiveWireFormat.OPENAI_FILES
    openai = PrimitiveProviderKind.OPENAI
    assert REGISTRY.supports_wire_format(openai, responses)
    assert REGISTRY.supports_wire_format(openai, responses, sse)
    assert not REGISTRY.supports_wire_format(openai, files, sse)
    assert REGISTRY.supports_endpoint(openai, PrimitiveEndpointKind.BATCHES)
    assert not REGISTRY.supports_endpoint(PrimitiveProviderKind.BEDROCK, PrimitiveEndpointKind.BATCHES)
    assert not PrimitiveProviderRegistry().supports_endpoint(openai, PrimitiveEndpointKind.FILES)
    assert not PrimitiveProviderRegistry().supports_wire_format(openai, files)
    assert REGISTRY.supports_request(PrimitiveRequest.get("open_ai", "models", "open_ai_models"))
    assert not REGISTRY.supports_request(PrimitiveRequest.get("open_ai", "models", "gemini_models"))
