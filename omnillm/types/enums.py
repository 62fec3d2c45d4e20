"""The closed vocabularies: protocols, wire formats, endpoints, roles, finish reasons. The value is the JSON form."""

from __future__ import annotations

from enum import StrEnum

from ..errors import ConfigurationError, ProtocolError


class ProviderProtocol(StrEnum):
    """The wire protocols of text generation."""

    OPENAI_RESPONSES = "open_ai_responses"
    OPENAI_CHAT_COMPLETIONS = "open_ai_chat_completions"
    CLAUDE_MESSAGES = "claude_messages"
    GEMINI_GENERATE_CONTENT = "gemini_generate_content"
    BEDROCK_CONVERSE = "bedrock_converse"

    @property
    def wire_format(self) -> WireFormat:
        """Give the wire format of this protocol."""
        return _WIRE_OF_PROTOCOL[self]


class EndpointProtocol(StrEnum):
    """How to reach an endpoint: the protocol to speak, and whether the URL is derived from a base or given whole."""

    OPENAI_RESPONSES = "open_ai_responses"
    OPENAI_CHAT_COMPLETIONS = "open_ai_chat_completions"
    CLAUDE_MESSAGES = "claude_messages"
    GEMINI_GENERATE_CONTENT = "gemini_generate_content"
    BEDROCK_CONVERSE = "bedrock_converse"
    OPENAI_RESPONSES_COMPAT = "open_ai_responses_compat"
    OPENAI_CHAT_COMPLETIONS_COMPAT = "open_ai_chat_completions_compat"
    CLAUDE_MESSAGES_COMPAT = "claude_messages_compat"
    GEMINI_GENERATE_CONTENT_COMPAT = "gemini_generate_content_compat"

    @property
    def wire_protocol(self) -> ProviderProtocol:
        """Give the protocol to speak."""
        return ProviderProtocol(self.value.removesuffix("_compat"))

    @property
    def is_compat(self) -> bool:
        """Tell whether the endpoint's URL is given whole."""
        return self.value.endswith("_compat")

    @classmethod
    def parse(cls, text: str) -> EndpointProtocol:
        """Read a name as people write it; raises ``ConfigurationError`` that lists what is accepted."""
        name = str(text).strip().lower()
        base, compat = (name.removesuffix("_compat"), "_compat") if name.endswith("_compat") else (name, "")
        value = _SPELLINGS.get(base)
        if value is not None:
            return cls(value + compat)
        try:
            return cls(name)
        except ValueError:
            accepted = f"{', '.join(_SPELLINGS)} (each also with _compat), or bedrock_converse"
            raise ConfigurationError(f"protocol: expected {accepted}; got {str(text)[:80]!r}", field="protocol") from None


_SPELLINGS = {
    "responses": "open_ai_responses",
    "openai_responses": "open_ai_responses",
    "open_ai_responses": "open_ai_responses",
    "chat_completions": "open_ai_chat_completions",
    "openai_chat_completions": "open_ai_chat_completions",
    "open_ai_chat_completions": "open_ai_chat_completions",
    "claude_messages": "claude_messages",
    "anthropic_messages": "claude_messages",
    "gemini_generate_content": "gemini_generate_content",
}


class EndpointKind(StrEnum):
    """What an endpoint does."""

    RESPONSES = "responses"
    CHAT_COMPLETIONS = "chat_completions"
    MESSAGES = "messages"
    EMBEDDINGS = "embeddings"
    IMAGE_GENERATIONS = "image_generations"
    AUDIO_TRANSCRIPTIONS = "audio_transcriptions"
    AUDIO_SPEECH = "audio_speech"
    RERANK = "rerank"


class WireFormat(StrEnum):
    """Every format of a body that the library reads and writes."""

    OPENAI_RESPONSES = "open_ai_responses"
    OPENAI_CHAT_COMPLETIONS = "open_ai_chat_completions"
    ANTHROPIC_MESSAGES = "anthropic_messages"
    GEMINI_GENERATE_CONTENT = "gemini_generate_content"
    BEDROCK_CONVERSE = "bedrock_converse"
    OPENAI_EMBEDDINGS = "open_ai_embeddings"
    OPENAI_IMAGE_GENERATIONS = "open_ai_image_generations"
    OPENAI_AUDIO_TRANSCRIPTIONS = "open_ai_audio_transcriptions"
    OPENAI_AUDIO_SPEECH = "open_ai_audio_speech"
    OPENAI_RERANK = "open_ai_rerank"
    GEMINI_EMBED_CONTENT = "gemini_embed_content"
    COHERE_EMBED = "cohere_embed"
    COHERE_RERANK = "cohere_rerank"

    @property
    def endpoint_kind(self) -> EndpointKind:
        """Give the kind of endpoint that takes this format on the wire."""
        return _KIND_OF_WIRE[self]

    @property
    def canonical_endpoint_kind(self) -> EndpointKind:
        """Give the kind of the canonical value: ``RESPONSES`` for every generation format."""
        return EndpointKind.RESPONSES if self.is_generation else self.endpoint_kind

    @property
    def is_generation(self) -> bool:
        """Tell whether the format carries text generation."""
        return self in _PROTOCOL_OF_WIRE

    @property
    def protocol(self) -> ProviderProtocol:
        """Give the generation protocol of this format; raises ``ProtocolError`` where it has none."""
        found = _PROTOCOL_OF_WIRE.get(self)
        if found is None:
            raise ProtocolError(f"{self.value} is not a generation format")
        return found


class HostFormat(StrEnum):
    """Formats of a host's own, of endpoints that have a wire format elsewhere; which of several it is, the model says."""

    GOOGLE_IMAGES = "google_images"
    VERTEX_EMBEDDINGS = "vertex_embeddings"
    BEDROCK_EMBEDDINGS = "bedrock_embeddings"
    BEDROCK_IMAGES = "bedrock_images"
    BEDROCK_RERANK = "bedrock_rerank"

    @property
    def endpoint_kind(self) -> EndpointKind:
        """Give the kind of endpoint that takes this format."""
        return _KIND_OF_HOST_FORMAT[self]

    @property
    def is_generation(self) -> bool:
        """Tell that the format does not carry text generation."""
        return False


_WIRE_OF_PROTOCOL = {
    ProviderProtocol.OPENAI_RESPONSES: WireFormat.OPENAI_RESPONSES,
    ProviderProtocol.OPENAI_CHAT_COMPLETIONS: WireFormat.OPENAI_CHAT_COMPLETIONS,
    ProviderProtocol.CLAUDE_MESSAGES: WireFormat.ANTHROPIC_MESSAGES,
    ProviderProtocol.GEMINI_GENERATE_CONTENT: WireFormat.GEMINI_GENERATE_CONTENT,
    ProviderProtocol.BEDROCK_CONVERSE: WireFormat.BEDROCK_CONVERSE,
}
_PROTOCOL_OF_WIRE = {wire: protocol for protocol, wire in _WIRE_OF_PROTOCOL.items()}
_KIND_OF_WIRE = {
    WireFormat.OPENAI_RESPONSES: EndpointKind.RESPONSES,
    WireFormat.OPENAI_CHAT_COMPLETIONS: EndpointKind.CHAT_COMPLETIONS,
    WireFormat.ANTHROPIC_MESSAGES: EndpointKind.MESSAGES,
    WireFormat.GEMINI_GENERATE_CONTENT: EndpointKind.RESPONSES,
    WireFormat.BEDROCK_CONVERSE: EndpointKind.RESPONSES,
    WireFormat.OPENAI_EMBEDDINGS: EndpointKind.EMBEDDINGS,
    WireFormat.OPENAI_IMAGE_GENERATIONS: EndpointKind.IMAGE_GENERATIONS,
    WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS: EndpointKind.AUDIO_TRANSCRIPTIONS,
    WireFormat.OPENAI_AUDIO_SPEECH: EndpointKind.AUDIO_SPEECH,
    WireFormat.OPENAI_RERANK: EndpointKind.RERANK,
    WireFormat.GEMINI_EMBED_CONTENT: EndpointKind.EMBEDDINGS,
    WireFormat.COHERE_EMBED: EndpointKind.EMBEDDINGS,
    WireFormat.COHERE_RERANK: EndpointKind.RERANK,
}

_KIND_OF_HOST_FORMAT = {
    HostFormat.GOOGLE_IMAGES: EndpointKind.IMAGE_GENERATIONS,
    HostFormat.VERTEX_EMBEDDINGS: EndpointKind.EMBEDDINGS,
    HostFormat.BEDROCK_EMBEDDINGS: EndpointKind.EMBEDDINGS,
    HostFormat.BEDROCK_IMAGES: EndpointKind.IMAGE_GENERATIONS,
    HostFormat.BEDROCK_RERANK: EndpointKind.RERANK,
}


class ProviderKind(StrEnum):
    """Who runs the endpoint."""

    OPENAI = "open_ai"
    AZURE_OPENAI = "azure_open_ai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    VERTEX_AI = "vertex_ai"
    BEDROCK = "bedrock"
    OPENAI_COMPATIBLE = "open_ai_compatible"
    CUSTOM = "custom"


class SupportLevel(StrEnum):
    """How far the library speaks an endpoint of a provider."""

    NATIVE = "native"
    COMPATIBLE = "compatible"
    PLANNED = "planned"


class HttpMethod(StrEnum):
    """The HTTP methods that providers use."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    HEAD = "HEAD"


class MessageRole(StrEnum):
    """Who speaks in a message."""

    DEVELOPER = "developer"
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FinishReason(StrEnum):
    """Why the model stopped; the provider's own word is ``raw_finish_reason``."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALL = "tool_call"
    CONTENT_FILTER = "content_filter"
    CANCELLED = "cancelled"
    ERROR = "error"
    OTHER = "other"


class OutputModality(StrEnum):
    """What kind of output is asked for."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    JSON = "json"


class PromptCacheRetention(StrEnum):
    """How long a prompt prefix should stay cached."""

    PROVIDER_DEFAULT = "provider_default"
    SHORT = "short"
    LONG = "long"


class BuiltinToolKind(StrEnum):
    """The tools that a provider runs itself."""

    WEB_SEARCH = "web_search"
    FILE_SEARCH = "file_search"
    CODE_EXECUTION = "code_execution"
    COMPUTER_USE = "computer_use"
    URL_CONTEXT = "url_context"
    MAPS = "maps"
    MCP = "mcp"
    IMAGE_GENERATION = "image_generation"
    VENDOR = "vendor"
