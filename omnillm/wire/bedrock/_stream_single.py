"""Single frames read and written without the stream around them.

A frame that needs the ones before it is read as far as it goes: a piece of a call's arguments does not name the call. ``index``
is the block's number here, the only one that a frame by itself tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...errors import InvalidShapeError
from ...types.events import (
    AnnotationAdded,
    Completed,
    ContentPartAdded,
    LlmStreamEvent,
    ReasoningDelta,
    ResponseStarted,
    StreamFailed,
    TextDelta,
    ToolCallDelta,
    UsageUpdated,
    VendorEvent,
)
from ...types.parts import TextPart
from .._fields import Emission, Fields
from ..sse import SseFrame
from ._citations import write_citation
from ._own import WIRE
from ._stream_block import StreamBlock, text_of
from ._stream_encoder import delta_frame, exception_frame, frame, part_frames, stop_frame, tool_frame, vendor_frame
from ._usage import read_usage, write_usage
from ._write import AnswerWriter
from .error import STREAM_EXCEPTIONS
from .response import parse_response
from .stream import read_exception, read_frame, read_start, vendor_event

_NUMBERED = (AnnotationAdded, ContentPartAdded, ReasoningDelta, TextDelta, ToolCallDelta)


def parse_event(given: SseFrame) -> LlmStreamEvent | None:
    """Read one frame by itself."""
    if not given.data:
        return None
    kind, event = read_frame(given)
    if kind in STREAM_EXCEPTIONS:
        return read_exception(kind, event)
    reader = _READERS.get(kind)
    return vendor_event(kind, event) if reader is None else reader(event)


def _numbered(found: LlmStreamEvent | None, event: dict[str, Any]) -> LlmStreamEvent | None:
    index = event.get("contentBlockIndex")
    return replace(found, index=index) if isinstance(index, int) and isinstance(found, _NUMBERED) else found


def _read_start(event: dict[str, Any]) -> LlmStreamEvent | None:
    block = StreamBlock()
    opened = block.opened(Fields(event).object("start") or {})
    if opened is None:
        return vendor_event("contentBlockStart", event)
    return _numbered((opened or block.closed())[-1], event)


def _read_delta(event: dict[str, Any]) -> LlmStreamEvent | None:
    delta = event.get("delta")
    if not isinstance(delta, dict):
        raise InvalidShapeError("delta: expected an object", pointer="/delta")
    if isinstance(delta.get("toolUse"), dict):
        return _numbered(ToolCallDelta("", "", text_of(delta["toolUse"], "input")), event)
    block = StreamBlock()
    events = block.added(delta, after_text=False)
    if events is None:
        return vendor_event("contentBlockDelta", event)
    events = events or block.closed()
    return _numbered(events[0], event) if events else None


def _read_metadata(event: dict[str, Any]) -> LlmStreamEvent | None:
    return None if event.get("usage") is None else UsageUpdated(read_usage(event["usage"], "/usage"))


def _read_stop(event: dict[str, Any]) -> LlmStreamEvent:
    return Completed(parse_response({**event, "output": {"message": {"role": "assistant", "content": []}}}))


_READERS: dict[str, Callable[[dict[str, Any]], LlmStreamEvent | None]] = {
    "messageStart": read_start,
    "contentBlockStart": _read_start,
    "contentBlockDelta": _read_delta,
    "contentBlockStop": lambda _event: None,
    "messageStop": _read_stop,
    "metadata": _read_metadata,
}


def emit_event(event: LlmStreamEvent) -> SseFrame | None:
    """Write one event by itself."""
    writer = _WRITERS.get(type(event))
    return None if writer is None else writer(event)


def _write_part(event: ContentPartAdded) -> SseFrame | None:
    if isinstance(event.part, TextPart):
        return delta_frame(event.index, {"text": event.part.text})
    block = AnswerWriter(Emission(WIRE)).write(event.part, "")
    frames = part_frames(event.index, block) if block is not None else []
    return frames[0] if frames else None


def _write_reasoning(event: ReasoningDelta) -> SseFrame:
    delta = {"text": event.delta}
    if event.encrypted_content is not None:
        delta = {"redactedContent": event.encrypted_content}
    elif event.signature is not None:
        delta = {"signature": event.signature}
    return delta_frame(event.index, {"reasoningContent": delta})


def _write_tool_call(event: ToolCallDelta) -> SseFrame:
    if event.delta:
        return delta_frame(event.index, {"toolUse": {"input": event.delta}})
    return tool_frame(event.index, event.call_id, event.name)


def _write_annotation(event: AnnotationAdded) -> SseFrame | None:
    citation = write_citation(event.annotation)
    return None if citation is None else delta_frame(event.index, {"citation": citation})


def _write_usage(event: UsageUpdated) -> SseFrame:
    return frame("metadata", usage=write_usage(event.usage, Emission(WIRE)), metrics={"latencyMs": 0})


_WRITERS: dict[type, Callable[[Any], SseFrame | None]] = {
    ResponseStarted: lambda _event: frame("messageStart", role="assistant"),
    ContentPartAdded: _write_part,
    TextDelta: lambda event: delta_frame(event.index, {"text": event.delta}),
    ReasoningDelta: _write_reasoning,
    ToolCallDelta: _write_tool_call,
    AnnotationAdded: _write_annotation,
    UsageUpdated: _write_usage,
    VendorEvent: vendor_frame,
    Completed: lambda event: stop_frame(event.response),
    StreamFailed: exception_frame,
}
