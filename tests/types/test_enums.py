"""The closed vocabularies: every value, every spelling, and the ways between protocols and wire formats."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

import omnillm as o
from omnillm import EndpointKind as Kind
from omnillm import EndpointProtocol as Endpoint
from omnillm import ProviderProtocol as Protocol
from omnillm import WireFormat as Wire

VALUES: dict[type[StrEnum], dict[str, str]] = {
    Protocol: {
        "OPENAI_RESPONSES": "open_ai_responses",
        "OPENAI_CHAT_COMPLETIONS": "open_ai_chat_completions",
        "CLAUDE_MESSAGES": "claude_messages",
        "GEMINI_GENERATE_CONTENT": "gemini_generate_content",
        "BEDROCK_CONVERSE": "bedrock_converse",
    },
    Endpoint: {
        "OPENAI_RESPONSES": "open_ai_responses",
        "OPENAI_CHAT_COMPLETIONS": "open_ai_chat_completions",
        "CLAUDE_MESSAGES": "claude_messages",
        "GEMINI_GENERATE_CONTENT": "gemini_generate_content",
        "BEDROCK_CONVERSE": "bedrock_converse",
        "OPENAI_RESPONSES_COMPAT": "open_ai_responses_compat",
        "OPENAI_CHAT_COMPLETIONS_COMPAT": "open_ai_chat_completions_compat",
        "CLAUDE_MESSAGES_COMPAT": "claude_messages_compat",
        "GEMINI_GENERATE_CONTENT_COMPAT": "gemini_generate_content_compat",
    },
    Wire: {
        "OPENAI_RESPONSES": "open_ai_responses",
        "OPENAI_CHAT_COMPLETIONS": "open_ai_chat_completions",
        "ANTHROPIC_MESSAGES": "anthropic_messages",
        "GEMINI_GENERATE_CONTENT": "gemini_generate_content",
        "BEDROCK_CONVERSE": "bedrock_converse",
        "OPENAI_EMBEDDINGS": "open_ai_embeddings",
        "OPENAI_IMAGE_GENERATIONS": "open_ai_image_generations",
        "OPENAI_AUDIO_TRANSCRIPTIONS": "open_ai_audio_transcriptions",
        "OPENAI_AUDIO_SPEECH": "open_ai_audio_speech",
        "OPENAI_RERANK": "open_ai_rerank",
        "GEMINI_EMBED_CONTENT": "gemini_embed_content",
        "COHERE_EMBED": "cohere_embed",
        "COHERE_RERANK": "cohere_rerank",
    },
    o.ProviderKind: {
        "OPENAI": "open_ai",
        "AZURE_OPENAI": "azure_open_ai",
        "ANTHROPIC": "anthropic",
        "GEMINI": "gemini",
        "VERTEX_AI": "vertex_ai",
        "BEDROCK": "bedrock",
        "OPENAI_COMPATIBLE": "open_ai_compatible",
        "CUSTOM": "custom",
    },
}
LOWER_CASE: dict[type[StrEnum], str] = {
    Kind: "RESPONSES CHAT_COMPLETIONS MESSAGES EMBEDDINGS IMAGE_GENERATIONS AUDIO_TRANSCRIPTIONS AUDIO_SPEECH RERANK",
    o.SupportLevel: "NATIVE COMPATIBLE PLANNED",
    o.MessageRole: "DEVELOPER SYSTEM USER ASSISTANT TOOL",
    o.FinishReason: "STOP LENGTH TOOL_CALL CONTENT_FILTER CANCELLED ERROR OTHER",
    o.OutputModality: "TEXT IMAGE AUDIO JSON",
    o.PromptCacheRetention: "PROVIDER_DEFAULT SHORT LONG",
    o.BuiltinToolKind: "WEB_SEARCH FILE_SEARCH CODE_EXECUTION COMPUTER_USE URL_CONTEXT MAPS MCP IMAGE_GENERATION VENDOR",
}


@pytest.mark.parametrize("enum", VALUES, ids=lambda enum: enum.__name__)
def test_the_values_are_the_json_form(enum: type[StrEnum]) -> None:
    """Names and values are those of the record."""
    assert {member.name: member.value for member in enum} == VALUES[enum]


@pytest.mark.parametrize("enum", LOWER_CASE, ids=lambda enum: enum.__name__)
def test_most_values_are_their_names_in_lower_case(enum: type[StrEnum]) -> None:
    """Where nothing else is said, the value is the name."""
    assert [member.name for member in enum] == LOWER_CASE[enum].split()
    assert [member.value for member in enum] == LOWER_CASE[enum].lower().split()


def test_methods_are_upper_case() -> None:
    """HTTP's methods are written as HTTP writes them."""
    assert all(method.value == method.name for method in o.HttpMethod)
    assert {"GET", "POST", "DELETE"} <= set(o.HttpMethod)


SPELLINGS = {
    "responses": Endpoint.OPENAI_RESPONSES,
    "openai_responses": Endpoint.OPENAI_RESPONSES,
    "open_ai_responses": Endpoint.OPENAI_RESPONSES,
    "chat_completions": Endpoint.OPENAI_CHAT_COMPLETIONS,
    "openai_chat_completions": Endpoint.OPENAI_CHAT_COMPLETIONS,
    "open_ai_chat_completions": Endpoint.OPENAI_CHAT_COMPLETIONS,
    "claude_messages": Endpoint.CLAUDE_MESSAGES,
    "anthropic_messages": Endpoint.CLAUDE_MESSAGES,
    "gemini_generate_content": Endpoint.GEMINI_GENERATE_CONTENT,
}


@pytest.mark.parametrize(("text", "protocol"), SPELLINGS.items(), ids=SPELLINGS)
def test_people_may_write_a_protocol_in_many_ways(text: str, protocol: Endpoint) -> None:
    """Each spelling is read, with ``_compat`` too, in any case and with blanks around it."""
    assert Endpoint.parse(text) is protocol
    assert Endpoint.parse(f" {text.upper()}\n") is protocol
    assert Endpoint.parse(f"{text}_compat") is Endpoint(f"{protocol.value}_compat")


@pytest.mark.parametrize("protocol", Endpoint)
def test_every_value_is_a_spelling_of_itself(protocol: Endpoint) -> None:
    """What is written can be read."""
    assert Endpoint.parse(protocol.value) is protocol
    assert Endpoint.parse(protocol) is protocol


UNKNOWN: list[Any] = [
    "",
    "_compat",
    "smtp",
    "openai",
    "responses_compat_compat",
    "bedrock_converse_compat",
    "x" * 10_000,
    None,
    5,
]


@pytest.mark.parametrize("text", UNKNOWN, ids=lambda text: repr(text)[:30])
def test_an_unknown_protocol_is_refused_with_what_is_accepted(text: Any) -> None:
    """The error lists every spelling."""
    with pytest.raises(o.ConfigurationError) as caught:
        Endpoint.parse(text)
    assert caught.value.field == "protocol"
    assert all(spelling in caught.value.message for spelling in [*SPELLINGS, "_compat", "bedrock_converse"])
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("protocol", Endpoint)
def test_a_compat_endpoint_speaks_the_protocol_it_is_compatible_with(protocol: Endpoint) -> None:
    """The wire protocol is the name without its suffix."""
    assert protocol.is_compat is protocol.name.endswith("_COMPAT")
    assert protocol.wire_protocol is Protocol[protocol.name.removesuffix("_COMPAT")]


@pytest.mark.parametrize("protocol", Protocol)
def test_protocol_and_wire_format_lead_to_each_other(protocol: Protocol) -> None:
    """Every generation protocol has one wire format, and that one leads back."""
    assert protocol.wire_format.protocol is protocol
    assert protocol.wire_format.is_generation


KINDS = {
    Wire.OPENAI_RESPONSES: (Kind.RESPONSES, Kind.RESPONSES),
    Wire.OPENAI_CHAT_COMPLETIONS: (Kind.CHAT_COMPLETIONS, Kind.RESPONSES),
    Wire.ANTHROPIC_MESSAGES: (Kind.MESSAGES, Kind.RESPONSES),
    Wire.OPENAI_EMBEDDINGS: (Kind.EMBEDDINGS, Kind.EMBEDDINGS),
    Wire.GEMINI_EMBED_CONTENT: (Kind.EMBEDDINGS, Kind.EMBEDDINGS),
    Wire.COHERE_EMBED: (Kind.EMBEDDINGS, Kind.EMBEDDINGS),
    Wire.OPENAI_IMAGE_GENERATIONS: (Kind.IMAGE_GENERATIONS, Kind.IMAGE_GENERATIONS),
    Wire.OPENAI_AUDIO_TRANSCRIPTIONS: (Kind.AUDIO_TRANSCRIPTIONS, Kind.AUDIO_TRANSCRIPTIONS),
    Wire.OPENAI_AUDIO_SPEECH: (Kind.AUDIO_SPEECH, Kind.AUDIO_SPEECH),
    Wire.OPENAI_RERANK: (Kind.RERANK, Kind.RERANK),
    Wire.COHERE_RERANK: (Kind.RERANK, Kind.RERANK),
}


@pytest.mark.parametrize(("wire", "kinds"), KINDS.items(), ids=KINDS)
def test_a_wire_format_knows_its_endpoints(wire: Wire, kinds: tuple[Kind, Kind]) -> None:
    """The kind on the wire, and that of the canonical value."""
    assert (wire.endpoint_kind, wire.canonical_endpoint_kind) == kinds


@pytest.mark.parametrize("wire", Wire)
def test_every_generation_format_has_the_canonical_kind_of_responses(wire: Wire) -> None:
    """Generation has one canonical value; a format of another kind has no generation protocol."""
    if wire.is_generation:
        assert wire.canonical_endpoint_kind is Kind.RESPONSES
        assert wire.protocol.wire_format is wire
    else:
        assert wire.canonical_endpoint_kind is wire.endpoint_kind
        with pytest.raises(o.ProtocolError, match=wire.value):
            _ = wire.protocol
