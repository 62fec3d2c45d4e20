"""The registry: every claim of its data is held against a call; what is planned is not claimed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omnillm import (
    AudioInput,
    EndpointKind,
    EndpointSupport,
    Gateway,
    GatewayBuilder,
    KeyConfig,
    ProviderDescriptor,
    ProviderEndpoint,
    ProviderKind,
    ProviderRegistry,
    SupportLevel,
    WireFormat,
    embedded_provider_registry,
)
from omnillm.providers.page import page
from omnillm.providers.presets import PRESETS
from omnillm.testing import LocalProvider
from omnillm.types.enums import HostFormat

ROOT = Path(__file__).parents[2]
REGISTRY = embedded_provider_registry()
CELLS = [(provider, support) for provider in REGISTRY.providers for support in provider.endpoints]
CLAIMS = [
    pytest.param(provider.kind, support, wire, id=f"{provider.kind.value}-{support.endpoint.value}-{wire.value}")
    for provider, support in CELLS
    if support.level is not SupportLevel.PLANNED
    for wire in support.wire_formats
]
Where = Callable[[LocalProvider], ProviderEndpoint]

# Where each provider is reached in a wire format: a base that its constructor makes, at the local provider.
ENDPOINTS: dict[tuple[ProviderKind, WireFormat], Where] = {
    (ProviderKind.AZURE_OPENAI, WireFormat.OPENAI_RESPONSES): lambda it: ProviderEndpoint.azure_openai(
        it.base_url, protocol="responses"
    ),
    (ProviderKind.VERTEX_AI, WireFormat.GEMINI_GENERATE_CONTENT): lambda it: ProviderEndpoint.vertex_ai(
        "p", "l", base_url=f"{it.base_url}/v1"
    ),
    (ProviderKind.VERTEX_AI, WireFormat.ANTHROPIC_MESSAGES): lambda it: ProviderEndpoint.vertex_ai(
        "p", "l", publisher="anthropic", base_url=f"{it.base_url}/v1"
    ),
    (ProviderKind.BEDROCK, WireFormat.BEDROCK_CONVERSE): lambda it: ProviderEndpoint.bedrock("r", base_url=it.base_url),
    (ProviderKind.BEDROCK, WireFormat.ANTHROPIC_MESSAGES): lambda it: ProviderEndpoint.bedrock(
        "r", api="invoke_model", base_url=it.base_url
    ),
    (ProviderKind.OPENAI, WireFormat.OPENAI_RESPONSES): lambda it: ProviderEndpoint.openai_responses(f"{it.base_url}/v1"),
    (ProviderKind.OPENAI_COMPATIBLE, WireFormat.OPENAI_RESPONSES): lambda it: ProviderEndpoint.openai_responses(
        f"{it.base_url}/v1"
    ),
    (ProviderKind.ANTHROPIC, WireFormat.ANTHROPIC_MESSAGES): lambda it: ProviderEndpoint.claude_messages(f"{it.base_url}/v1"),
    (ProviderKind.GEMINI, WireFormat.GEMINI_GENERATE_CONTENT): lambda it: ProviderEndpoint.gemini_generate_content(
        f"{it.base_url}/v1beta"
    ),
}
# The other formats of a provider have one base each.
BASES: dict[ProviderKind, Where] = {
    ProviderKind.OPENAI: lambda it: ProviderEndpoint.openai_chat_completions(f"{it.base_url}/v1"),
    ProviderKind.OPENAI_COMPATIBLE: lambda it: ProviderEndpoint.openai_compatible(f"{it.base_url}/v1"),
    ProviderKind.AZURE_OPENAI: lambda it: ProviderEndpoint.azure_openai(it.base_url),
    ProviderKind.GEMINI: lambda it: ProviderEndpoint.gemini_generate_content(f"{it.base_url}/v1beta"),
    ProviderKind.VERTEX_AI: lambda it: ProviderEndpoint.vertex_ai("p", "l", base_url=f"{it.base_url}/v1"),
    ProviderKind.BEDROCK: lambda it: ProviderEndpoint.bedrock("r", base_url=it.base_url),
}


def generates(gateway: Gateway) -> bool:
    with gateway.stream("hello") as stream:
        streamed = "".join(stream.text())
    return (gateway.call("hello").text, streamed) == ("echo: hello", "echo: hello")


# Whose model a format is of, where the host tells by that.
MODELS = {HostFormat.BEDROCK_EMBEDDINGS: "amazon.titan-embed-text-v2:0"}

# How an endpoint is called; what is raised from planned needs its line here.
CALLS: dict[EndpointKind, Callable[[Gateway], bool]] = {
    EndpointKind.RESPONSES: generates,
    EndpointKind.CHAT_COMPLETIONS: generates,
    EndpointKind.MESSAGES: generates,
    EndpointKind.EMBEDDINGS: lambda gateway: len(gateway.embed(["red", "blue"]).data) == 2,
    EndpointKind.IMAGE_GENERATIONS: lambda gateway: bool(gateway.generate_images("a fox").data),
    EndpointKind.AUDIO_SPEECH: lambda gateway: bool(gateway.speak("hello", voice="alloy").audio),
    EndpointKind.AUDIO_TRANSCRIPTIONS: lambda gateway: bool(
        gateway.transcribe(AudioInput("a.wav", gateway.speak("hello", voice="alloy").audio)).text
    ),
    EndpointKind.RERANK: lambda gateway: bool(gateway.rerank("red", ["a red fox", "a blue sky"]).results),
}


@pytest.mark.parametrize(("kind", "support", "wire"), CLAIMS)
def test_every_claim_is_a_call_that_works(
    provider: LocalProvider, kind: ProviderKind, support: EndpointSupport, wire: WireFormat
) -> None:
    """In that format, at that provider's endpoint, through a gateway."""
    endpoint = (ENDPOINTS.get((kind, wire)) or BASES[kind])(provider)
    with GatewayBuilder(endpoint).default_model(MODELS.get(wire, "m")).add_key(KeyConfig("k")).build() as gateway:
        assert CALLS[support.endpoint](gateway)
    assert provider.requests
    if wire.is_generation:
        assert {request.protocol for request in provider.requests} == {wire.protocol}


@pytest.fixture
def provider() -> Any:
    with LocalProvider() as it:
        yield it


@pytest.mark.parametrize(("provider", "support"), CELLS, ids=lambda it: getattr(it, "endpoint", None) or it.kind.value)
def test_a_cell_is_in_order(provider: ProviderDescriptor, support: EndpointSupport) -> None:
    """Its formats are of its endpoint, and none is named twice; the questions agree with the level."""
    assert len(set(support.wire_formats)) == len(support.wire_formats)
    if not any(wire.is_generation for wire in support.wire_formats):
        assert {wire.endpoint_kind for wire in support.wire_formats} <= {support.endpoint}
    enabled = support.level is not SupportLevel.PLANNED
    assert support.wire_formats or not enabled
    assert REGISTRY.supports_endpoint(provider.kind, support.endpoint) is enabled is support.is_enabled
    for wire in support.wire_formats:
        assert support.supports_wire_format(wire) is enabled
        assert REGISTRY.supports_wire_format(provider.kind, wire) >= enabled


def test_every_provider_is_there_once() -> None:
    """But for custom ones, of which nothing is known."""
    kinds = [provider.kind for provider in REGISTRY.providers]
    assert sorted(kinds) == sorted(set(ProviderKind) - {ProviderKind.CUSTOM})
    for provider in REGISTRY.providers:
        assert len({support.endpoint for support in provider.endpoints}) == len(provider.endpoints)


def test_a_default_base_is_that_of_the_constructors() -> None:
    """Where a provider has one."""
    bases = {provider.kind: provider.default_base_url for provider in REGISTRY.providers if provider.default_base_url}
    assert bases == {
        ProviderKind.OPENAI: ProviderEndpoint.openai_responses().base_url,
        ProviderKind.ANTHROPIC: ProviderEndpoint.claude_messages().base_url,
        ProviderKind.GEMINI: ProviderEndpoint.gemini_generate_content().base_url,
    }


def test_every_provider_by_name_is_a_kind_of_the_registry() -> None:
    """The presets say how, the registry what."""
    assert {row.kind for row in PRESETS.values()} == {provider.kind for provider in REGISTRY.providers}


def test_what_is_not_listed_is_not_supported() -> None:
    """Of an unknown provider, an endpoint that it lacks, a format that it does not speak."""
    assert REGISTRY.provider(ProviderKind.CUSTOM) is None
    assert not REGISTRY.supports_endpoint(ProviderKind.CUSTOM, EndpointKind.RESPONSES)
    assert not REGISTRY.supports_wire_format(ProviderKind.CUSTOM, WireFormat.OPENAI_RESPONSES)
    assert not REGISTRY.supports_endpoint(ProviderKind.ANTHROPIC, EndpointKind.EMBEDDINGS)
    assert not REGISTRY.supports_wire_format(ProviderKind.ANTHROPIC, WireFormat.OPENAI_RESPONSES)
    anthropic = REGISTRY.provider(ProviderKind.ANTHROPIC)
    assert anthropic is not None
    assert anthropic.endpoint(EndpointKind.RERANK) is None


def test_names_are_taken_for_what_they_name() -> None:
    """A provider, an endpoint and a format may be asked for by their values."""
    assert REGISTRY.provider("open_ai") is REGISTRY.provider(ProviderKind.OPENAI) is not None
    assert REGISTRY.supports_endpoint("open_ai", "responses")
    assert REGISTRY.supports_wire_format("anthropic", "anthropic_messages")
    assert not REGISTRY.supports_endpoint("anthropic", "embeddings")
    assert REGISTRY.provider("nobody") is None


def test_what_is_planned_is_not_claimed() -> None:
    """Whatever formats it names."""
    planned = EndpointSupport(EndpointKind.RERANK, SupportLevel.PLANNED, (WireFormat.OPENAI_RERANK,))
    registry = ProviderRegistry((ProviderDescriptor(ProviderKind.CUSTOM, "Own", endpoints=(planned,)),))
    assert not registry.supports_endpoint(ProviderKind.CUSTOM, EndpointKind.RERANK)
    assert not registry.supports_wire_format(ProviderKind.CUSTOM, WireFormat.OPENAI_RERANK)
    assert not EndpointSupport(EndpointKind.RERANK, SupportLevel.NATIVE).is_enabled


def test_the_registry_is_one_value() -> None:
    """It is read once, and goes through JSON and pickle as it is."""
    assert embedded_provider_registry() is REGISTRY
    assert ProviderRegistry.from_json(REGISTRY.to_json()) == REGISTRY
    assert pickle.loads(pickle.dumps(REGISTRY)) == REGISTRY


def test_the_page_is_what_the_registry_says() -> None:
    """``docs/providers.md`` is fresh: ``python -m omnillm config providers`` writes it."""
    assert (ROOT / "docs" / "providers.md").read_text(encoding="utf-8") == page()


def test_the_page_names_every_provider_and_level() -> None:
    """A row each, with its names."""
    text = page()
    for provider in REGISTRY.providers:
        row = next(line for line in text.splitlines() if line.startswith(f"| {provider.display_name} |"))
        assert [cell.strip() for cell in row.split("|")[2:-2]] == [
            "" if (found := provider.endpoint(kind)) is None else found.level.value for kind in EndpointKind
        ]
    assert [name for name in PRESETS if f"`{name}`" not in text] == []
