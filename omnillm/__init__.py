"""One blocking gateway in front of every language-model provider: quota, budget, retries, fallback and translation."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._cancel import CancellationToken
from ._late import importing as _importing
from ._secret import Secret
from .errors import (
    AdmissionError,
    AttemptRecord,
    BadRequestError,
    BudgetExceededError,
    CallCancelledError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    EndpointMismatchError,
    GatewayError,
    IncompleteStreamError,
    InvalidJsonError,
    InvalidShapeError,
    LossyRequestError,
    MalformedResponseError,
    MissingFieldError,
    NoAvailableKeyError,
    OmniLLMError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    ServerError,
    StateUnavailableError,
    StreamInterruptedError,
    TlsError,
    TransportError,
    TransportRequiredError,
    UnauthorizedError,
    UnknownPriceError,
    UnsupportedFeatureError,
)
from .types.capabilities import (
    BuiltinTool,
    CacheSettings,
    CapabilitySet,
    ReasoningCapability,
    SafetySettings,
    StructuredOutputConfig,
    ToolChoice,
    ToolDefinition,
)
from .types.enums import (
    BuiltinToolKind,
    EndpointKind,
    EndpointProtocol,
    FinishReason,
    HttpMethod,
    MessageRole,
    OutputModality,
    PromptCacheRetention,
    ProviderKind,
    ProviderProtocol,
    SupportLevel,
    WireFormat,
)
from .types.events import (
    AnnotationAdded,
    Completed,
    ContentPartAdded,
    LlmStreamEvent,
    OutputItemAdded,
    ReasoningDelta,
    RefusalDelta,
    ResponseStarted,
    StreamFailed,
    TextDelta,
    ToolCallDelta,
    ToolResultAdded,
    UsageUpdated,
    VendorEvent,
)
from .types.message import Message, RawMessage, RequestItem, ResponseItem
from .types.parts import (
    Annotation,
    AudioPart,
    FilePart,
    ImageBase64Part,
    ImageUrlPart,
    JsonPart,
    MessagePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from .types.prompt_cache import CacheBreakpoint, PromptCacheKey, PromptCachePolicy
from .types.report import ConversionReport, Loss
from .types.request import GenerationConfig, LlmRequest
from .types.response import LlmResponse, ResponseMeta
from .types.usage import PromptCacheUsage, TokenUsage
from .wire import (
    SseDecoder,
    SseFrame,
    StreamEmitter,
    StreamParser,
    StreamTranscoder,
    emit_api_request,
    emit_api_response,
    emit_error,
    emit_request,
    emit_response,
    emit_stream_event,
    emit_transport_request,
    encode_sse,
    parse_api_request,
    parse_api_response,
    parse_error,
    parse_request,
    parse_response,
    parse_stream_event,
    parse_transport_response,
    transcode_api_request,
    transcode_api_response,
    transcode_error,
    transcode_request,
    transcode_response,
    transcode_stream_event,
)

if TYPE_CHECKING:
    # wrapped by hand, as a line for each name would be pages of them
    # isort: off
    from .config import GatewayConfig, KeyConfig, RouteConfig, TransportConfig
    from .gateway.builder import GatewayBuilder
    from .gateway.connect import connect
    from .gateway.gateway import Gateway
    from .gateway.overlay import Overlay
    from .gateway.stream import GatewayStream
    from .people.conversation import Conversation
    from .people.conversation_stream import ConversationStream
    from .people.tools import Tool, tool
    from .policy.budget import BudgetTracker
    from .policy.catalogue import ModelInfo, model_info, models
    from .policy.downgrade import Downgrade
    from .policy.limits import Budget, LossPolicy, ModelLimits, PoolConfig
    from .policy.pricing import Cost, ModelPrice, PriceTable, cost
    from .policy.retry import RetryPolicy
    from .primitive import (
        PrimitiveAsyncJobOperation, PrimitiveAsyncJobRequest, PrimitiveAsyncJobResponse, PrimitiveAsyncJobStatus,
        PrimitiveBillableUnit, PrimitiveBinaryChunk, PrimitiveBudgetClass, PrimitiveCompleted, PrimitiveEndpointKind,
        PrimitiveEndpointSupport, PrimitiveProviderDescriptor, PrimitiveProviderEndpoint, PrimitiveProviderKind,
        PrimitiveProviderRegistry, PrimitiveRealtimeSession, PrimitiveRequest, PrimitiveResponse, PrimitiveSseFrame,
        PrimitiveStreamEvent, PrimitiveStreamMode, PrimitiveUsageReported, PrimitiveUsageTelemetry,
        PrimitiveWebSocketMessage, ProviderPrimitiveWireFormat, embedded_primitive_provider_registry,
    )  # fmt: skip
    from .providers.auth import AuthScheme
    from .providers.credentials import AwsCredentials, GoogleCredentials
    from .providers.endpoint import ProviderEndpoint
    from .providers.envelope import Envelope
    from .providers.registry import EndpointSupport, ProviderDescriptor, ProviderRegistry, embedded_provider_registry
    from .replay import ReplayFixture, sanitize_json_value, sanitize_transport_request, sanitize_transport_response
    from .state import KeyLease, KeyStatus, StateStore
    from .state.redis import RedisState
    from .transport.http import Timeouts
    from .types.hooks import (
        AttemptEnded, AttemptStarted, CallEnded, CallStarted, FallbackTaken, HedgeStarted, HookEvent, ModelDowngraded,
        RetryScheduled, ToolEnded, ToolStarted,
    )  # fmt: skip
    from .types.media import (
        ApiRequest, ApiResponse, AudioInput, AudioSegment, AudioSpeechRequest, AudioSpeechResponse, AudioTranscriptionRequest,
        AudioTranscriptionResponse, EmbeddingInput, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, EmbeddingVector,
        GeneratedImage, ImageGenerationRequest, ImageGenerationResponse, ImageInput, RerankDocument, RerankRequest,
        RerankResponse, RerankResult, RerankUsage, TranscribedWord,
    )  # fmt: skip
    from .types.prompt_layout import PromptLayoutBuilder
    from .types.transport import (
        BinaryBody, JsonBody, MultipartBody, MultipartField, MultipartFile, MultipartText, RequestBody, ResponseBody,
        TextBody, TransportRequest, TransportResponse,
    )  # fmt: skip

__version__ = "0.1.0"

# Loaded on first use: a program that only translates pays for no gateway, and one that only calls for no multipart.
_NAMES = {
    ".config": "GatewayConfig KeyConfig RouteConfig TransportConfig",
    ".gateway.builder": "GatewayBuilder",
    ".gateway.connect": "connect",
    ".gateway.gateway": "Gateway",
    ".gateway.overlay": "Overlay",
    ".gateway.stream": "GatewayStream",
    ".people.conversation": "Conversation",
    ".people.conversation_stream": "ConversationStream",
    ".people.tools": "Tool tool",
    ".policy.budget": "BudgetTracker",
    ".policy.catalogue": "ModelInfo model_info models",
    ".policy.downgrade": "Downgrade",
    ".policy.limits": "Budget LossPolicy ModelLimits PoolConfig",
    ".policy.pricing": "Cost ModelPrice PriceTable cost",
    ".policy.retry": "RetryPolicy",
    ".primitive": """
        PrimitiveAsyncJobOperation PrimitiveAsyncJobRequest PrimitiveAsyncJobResponse PrimitiveAsyncJobStatus
        PrimitiveBillableUnit PrimitiveBinaryChunk PrimitiveBudgetClass PrimitiveCompleted PrimitiveEndpointKind
        PrimitiveEndpointSupport PrimitiveProviderDescriptor PrimitiveProviderEndpoint PrimitiveProviderKind
        PrimitiveProviderRegistry PrimitiveRealtimeSession PrimitiveRequest PrimitiveResponse PrimitiveSseFrame
        PrimitiveStreamEvent PrimitiveStreamMode PrimitiveUsageReported PrimitiveUsageTelemetry PrimitiveWebSocketMessage
        ProviderPrimitiveWireFormat embedded_primitive_provider_registry
    """,
    ".providers.auth": "AuthScheme",
    ".providers.credentials": "AwsCredentials GoogleCredentials",
    ".providers.endpoint": "ProviderEndpoint",
    ".providers.envelope": "Envelope",
    ".providers.registry": "EndpointSupport ProviderDescriptor ProviderRegistry embedded_provider_registry",
    ".replay": "ReplayFixture sanitize_json_value sanitize_transport_request sanitize_transport_response",
    ".state": "KeyLease KeyStatus StateStore",
    ".state.redis": "RedisState",
    ".transport.http": "Timeouts",
    ".types.hooks": """
        AttemptEnded AttemptStarted CallEnded CallStarted FallbackTaken HedgeStarted HookEvent ModelDowngraded
        RetryScheduled ToolEnded ToolStarted
    """,
    ".types.media": """
        ApiRequest ApiResponse AudioInput AudioSegment AudioSpeechRequest AudioSpeechResponse AudioTranscriptionRequest
        AudioTranscriptionResponse EmbeddingInput EmbeddingRequest EmbeddingResponse EmbeddingUsage EmbeddingVector
        GeneratedImage ImageGenerationRequest ImageGenerationResponse ImageInput RerankDocument RerankRequest
        RerankResponse RerankResult RerankUsage TranscribedWord
    """,
    ".types.prompt_layout": "PromptLayoutBuilder",
    ".types.transport": """
        BinaryBody JsonBody MultipartBody MultipartField MultipartFile MultipartText RequestBody ResponseBody TextBody
        TransportRequest TransportResponse
    """,
}
_LAZY = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _importing:
        value = getattr(importlib.import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "AdmissionError",
    "Annotation",
    "AnnotationAdded",
    "ApiRequest",
    "ApiResponse",
    "AttemptEnded",
    "AttemptRecord",
    "AttemptStarted",
    "AudioInput",
    "AudioPart",
    "AudioSegment",
    "AudioSpeechRequest",
    "AudioSpeechResponse",
    "AudioTranscriptionRequest",
    "AudioTranscriptionResponse",
    "AuthScheme",
    "AwsCredentials",
    "BadRequestError",
    "BinaryBody",
    "Budget",
    "BudgetExceededError",
    "BudgetTracker",
    "BuiltinTool",
    "BuiltinToolKind",
    "CacheBreakpoint",
    "CacheSettings",
    "CallCancelledError",
    "CallEnded",
    "CallStarted",
    "CancellationToken",
    "CapabilitySet",
    "ClosedError",
    "Completed",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "ContentPartAdded",
    "Conversation",
    "ConversationStream",
    "ConversionReport",
    "Cost",
    "DeadlineExceededError",
    "Downgrade",
    "EmbeddingInput",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "EmbeddingUsage",
    "EmbeddingVector",
    "EndpointKind",
    "EndpointMismatchError",
    "EndpointProtocol",
    "EndpointSupport",
    "Envelope",
    "FallbackTaken",
    "FilePart",
    "FinishReason",
    "Gateway",
    "GatewayBuilder",
    "GatewayConfig",
    "GatewayError",
    "GatewayStream",
    "GeneratedImage",
    "GenerationConfig",
    "GoogleCredentials",
    "HedgeStarted",
    "HookEvent",
    "HttpMethod",
    "ImageBase64Part",
    "ImageGenerationRequest",
    "ImageGenerationResponse",
    "ImageInput",
    "ImageUrlPart",
    "IncompleteStreamError",
    "InvalidJsonError",
    "InvalidShapeError",
    "JsonBody",
    "JsonPart",
    "KeyConfig",
    "KeyLease",
    "KeyStatus",
    "LlmRequest",
    "LlmResponse",
    "LlmStreamEvent",
    "Loss",
    "LossPolicy",
    "LossyRequestError",
    "MalformedResponseError",
    "Message",
    "MessagePart",
    "MessageRole",
    "MissingFieldError",
    "ModelDowngraded",
    "ModelInfo",
    "ModelLimits",
    "ModelPrice",
    "MultipartBody",
    "MultipartField",
    "MultipartFile",
    "MultipartText",
    "NoAvailableKeyError",
    "OmniLLMError",
    "OutputItemAdded",
    "OutputModality",
    "Overlay",
    "OverloadedError",
    "PermissionDeniedError",
    "PoolConfig",
    "PriceTable",
    "PrimitiveAsyncJobOperation",
    "PrimitiveAsyncJobRequest",
    "PrimitiveAsyncJobResponse",
    "PrimitiveAsyncJobStatus",
    "PrimitiveBillableUnit",
    "PrimitiveBinaryChunk",
    "PrimitiveBudgetClass",
    "PrimitiveCompleted",
    "PrimitiveEndpointKind",
    "PrimitiveEndpointSupport",
    "PrimitiveProviderDescriptor",
    "PrimitiveProviderEndpoint",
    "PrimitiveProviderKind",
    "PrimitiveProviderRegistry",
    "PrimitiveRealtimeSession",
    "PrimitiveRequest",
    "PrimitiveResponse",
    "PrimitiveSseFrame",
    "PrimitiveStreamEvent",
    "PrimitiveStreamMode",
    "PrimitiveUsageReported",
    "PrimitiveUsageTelemetry",
    "PrimitiveWebSocketMessage",
    "PromptCacheKey",
    "PromptCachePolicy",
    "PromptCacheRetention",
    "PromptCacheUsage",
    "PromptLayoutBuilder",
    "ProtocolError",
    "ProviderDescriptor",
    "ProviderEndpoint",
    "ProviderError",
    "ProviderKind",
    "ProviderPrimitiveWireFormat",
    "ProviderProtocol",
    "ProviderRegistry",
    "QuotaExhaustedError",
    "RateLimitedError",
    "RawMessage",
    "ReasoningCapability",
    "ReasoningDelta",
    "ReasoningPart",
    "RedisState",
    "RefusalDelta",
    "RefusalPart",
    "ReplayFixture",
    "RequestBody",
    "RequestItem",
    "RerankDocument",
    "RerankRequest",
    "RerankResponse",
    "RerankResult",
    "RerankUsage",
    "ResponseBody",
    "ResponseItem",
    "ResponseMeta",
    "ResponseStarted",
    "RetryPolicy",
    "RetryScheduled",
    "RouteConfig",
    "SafetySettings",
    "Secret",
    "ServerError",
    "SseDecoder",
    "SseFrame",
    "StateStore",
    "StateUnavailableError",
    "StreamEmitter",
    "StreamFailed",
    "StreamInterruptedError",
    "StreamParser",
    "StreamTranscoder",
    "StructuredOutputConfig",
    "SupportLevel",
    "TextBody",
    "TextDelta",
    "TextPart",
    "Timeouts",
    "TlsError",
    "TokenUsage",
    "Tool",
    "ToolCallDelta",
    "ToolCallPart",
    "ToolChoice",
    "ToolDefinition",
    "ToolEnded",
    "ToolResultAdded",
    "ToolResultPart",
    "ToolStarted",
    "TranscribedWord",
    "TransportConfig",
    "TransportError",
    "TransportRequest",
    "TransportRequiredError",
    "TransportResponse",
    "UnauthorizedError",
    "UnknownPriceError",
    "UnsupportedFeatureError",
    "UsageUpdated",
    "VendorEvent",
    "VendorPart",
    "WireFormat",
    "connect",
    "cost",
    "embedded_primitive_provider_registry",
    "embedded_provider_registry",
    "emit_api_request",
    "emit_api_response",
    "emit_error",
    "emit_request",
    "emit_response",
    "emit_stream_event",
    "emit_transport_request",
    "encode_sse",
    "model_info",
    "models",
    "parse_api_request",
    "parse_api_response",
    "parse_error",
    "parse_request",
    "parse_response",
    "parse_stream_event",
    "parse_transport_response",
    "sanitize_json_value",
    "sanitize_transport_request",
    "sanitize_transport_response",
    "tool",
    "transcode_api_request",
    "transcode_api_response",
    "transcode_error",
    "transcode_request",
    "transcode_response",
    "transcode_stream_event",
]
