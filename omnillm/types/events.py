"""What a stream says, event by event. ``index`` is the output item's; every delta of a tool call names its call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ._model import Model
from .enums import ProviderProtocol
from .message import ResponseItem
from .parts import Annotation, MessagePart, ToolResultPart, hold_protocol
from .response import LlmResponse
from .usage import TokenUsage


@dataclass(frozen=True, slots=True)
class ResponseStarted(Model):
    """Open the stream."""

    _tag: ClassVar[str | None] = "response_started"
    response_id: str | None = None
    model: str = ""
    provider_protocol: ProviderProtocol | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if self.provider_protocol is not None:
            hold_protocol(self, "provider_protocol")


@dataclass(frozen=True, slots=True)
class OutputItemAdded(Model):
    """Announce an output item; what it will hold comes in deltas."""

    _tag: ClassVar[str | None] = "output_item_added"
    item: ResponseItem
    index: int = 0


@dataclass(frozen=True, slots=True)
class ContentPartAdded(Model):
    """Announce a part of the message at ``index``; a part without deltas of its own comes whole."""

    _tag: ClassVar[str | None] = "content_part_added"
    part: MessagePart
    index: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta(Model):
    """Add visible text."""

    _tag: ClassVar[str | None] = "text_delta"
    delta: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class RefusalDelta(Model):
    """Add text of a refusal."""

    _tag: ClassVar[str | None] = "refusal_delta"
    delta: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ReasoningDelta(Model):
    """Add reasoning; ``signature`` and ``encrypted_content`` are opaque state that came with it."""

    _tag: ClassVar[str | None] = "reasoning_delta"
    delta: str
    index: int = 0
    signature: str | None = field(default=None, kw_only=True)
    encrypted_content: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class ToolCallDelta(Model):
    """Add text to a tool call's arguments; an empty ``delta`` announces the call."""

    _tag: ClassVar[str | None] = "tool_call_delta"
    call_id: str
    name: str
    delta: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ToolResultAdded(Model):
    """Give the result of a tool that the provider ran."""

    _tag: ClassVar[str | None] = "tool_result_added"
    result: ToolResultPart


@dataclass(frozen=True, slots=True)
class AnnotationAdded(Model):
    """Add a citation to the text at ``index``."""

    _tag: ClassVar[str | None] = "annotation_added"
    annotation: Annotation
    index: int = 0


@dataclass(frozen=True, slots=True)
class UsageUpdated(Model):
    """Report the usage so far; each replaces the one before."""

    _tag: ClassVar[str | None] = "usage_updated"
    usage: TokenUsage


@dataclass(frozen=True, slots=True)
class VendorEvent(Model):
    """Carry, whole, an event that only one protocol knows."""

    _tag: ClassVar[str | None] = "vendor"
    protocol: ProviderProtocol
    payload: Any

    def __post_init__(self) -> None:
        hold_protocol(self, "protocol")


@dataclass(frozen=True, slots=True)
class Completed(Model):
    """Close the stream with the whole response; exactly one, last."""

    _tag: ClassVar[str | None] = "completed"
    response: LlmResponse


@dataclass(frozen=True, slots=True)
class StreamFailed(Model):
    """Close the stream with the provider's error; a ``GatewayStream`` raises it instead."""

    _tag: ClassVar[str | None] = "failed"
    _not_in_json: ClassVar[frozenset[str]] = frozenset({"error"})
    message: str
    error: Any = field(default=None, compare=False)


LlmStreamEvent = (
    ResponseStarted
    | OutputItemAdded
    | ContentPartAdded
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ToolCallDelta
    | ToolResultAdded
    | AnnotationAdded
    | UsageUpdated
    | VendorEvent
    | Completed
    | StreamFailed
)
