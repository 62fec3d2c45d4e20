"""Provider-native calls: the provider's own words, on the road of every call."""

from __future__ import annotations

from ..providers.primitive_endpoint import PrimitiveProviderEndpoint
from ..types.primitive import (
    PrimitiveAsyncJobOperation,
    PrimitiveAsyncJobStatus,
    PrimitiveBudgetClass,
    PrimitiveEndpointKind,
    PrimitiveProviderKind,
    PrimitiveStreamMode,
    ProviderPrimitiveWireFormat,
)
from .job import PrimitiveAsyncJobRequest, PrimitiveAsyncJobResponse
from .realtime import PrimitiveRealtimeSession
from .registry import (
    PrimitiveEndpointSupport,
    PrimitiveProviderDescriptor,
    PrimitiveProviderRegistry,
    embedded_primitive_provider_registry,
)
from .request import PrimitiveRequest
from .response import PrimitiveResponse
from .stream import (
    PrimitiveBinaryChunk,
    PrimitiveCompleted,
    PrimitiveSseFrame,
    PrimitiveStreamEvent,
    PrimitiveUsageReported,
    PrimitiveWebSocketMessage,
)
from .usage import PrimitiveBillableUnit, PrimitiveUsageTelemetry

__all__ = [
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
    "ProviderPrimitiveWireFormat",
    "embedded_primitive_provider_registry",
]
