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
from ._own import PROTOCOL, WIRE
from ._read import read_block
from ._stream_block import StreamBlock
from ._stream_encoder import delta_frame, ending_frame, error_frame, frame, start_frame, tool_frame, vendor_frame
from ._usage import read_usage, write_usage
from ._write import AnswerWriter
from .error import parse_error
from .response import parse_response
from .stream import read_frame, read_start

_SILENT = frozenset({"ping", "content_block_stop", "message_stop"})
_NUMBERED = (AnnotationAdded, ContentPartAdded, ReasoningDelta, TextDelta, ToolCallDelta)
_BLOCK_OF_DELTA = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "input_json_delta": "tool_use",
}


def parse_event(given: SseFrame) -> LlmStreamEvent | None:
    """Read one frame by itself."""
    if not given.data or given.data == "[DONE]":
        return None
    event = read_frame(given)
    kind = event.get("type") or given.event
    if kind in ("content_block_start", "content_block_delta"):
        index = event.get("index")
        found = _read_start(event) if kind == "content_block_start" else _read_delta(event)
        return replace(found, index=index) if isinstance(index, int) and isinstance(found, _NUMBERED) else found
    if kind == "message_start":
        return read_start(Fields(event).object("message") or {})
    if kind == "message_delta":
        return _read_ending(event)
    if kind == "error":
        error = parse_error(None, event)
        return StreamFailed(error.message, error)
    return None if isinstance(kind, str) and kind in _SILENT else VendorEvent(PROTOCOL, event)


def _read_start(event: dict[str, Any]) -> LlmStreamEvent:
    start = Fields(event).object("content_block") or {}
    opened = StreamBlock(start).opened(after_text=False)
    if opened:
        return next((found for found in opened if not isinstance(found, ContentPartAdded)), opened[0])
    return ContentPartAdded(read_block(start, "/content_block"))


def _read_delta(event: dict[str, Any]) -> LlmStreamEvent | None:
    delta = event.get("delta")
    if not isinstance(delta, dict):
        raise InvalidShapeError("delta: expected an object", pointer="/delta")
    kind = delta.get("type")
    own = _BLOCK_OF_DELTA.get(kind) if isinstance(kind, str) else None
    events = StreamBlock({"type": own}).added(delta) if own is not None else None
    if events is None:
        return VendorEvent(PROTOCOL, event)
    return events[0] if events else None


def _read_ending(event: dict[str, Any]) -> LlmStreamEvent | None:
    delta, usage = Fields(event).object("delta") or {}, event.get("usage")
    if delta.get("stop_reason") is not None:
        return Completed(parse_response({**delta, "content": [], **({} if usage is None else {"usage": usage})}))
    return None if usage is None else UsageUpdated(read_usage(usage, "/usage"))


def emit_event(event: LlmStreamEvent) -> SseFrame | None:
    """Write one event by itself."""
    writer = _WRITERS.get(type(event))
    return None if writer is None else writer(event)


def _write_part(event: ContentPartAdded) -> SseFrame | None:
    part = event.part
    if isinstance(part, TextPart):
        return frame("content_block_start", index=event.index, content_block={"type": "text", "text": part.text})
    block = AnswerWriter(Emission(WIRE), ours=True).write(part, "")
    return None if block is None else frame("content_block_start", index=event.index, content_block=block)


def _write_reasoning(event: ReasoningDelta) -> SseFrame | None:
    if event.encrypted_content is not None:
        block = {"type": "redacted_thinking", "data": event.encrypted_content}
        return frame("content_block_start", index=event.index, content_block=block)
    if event.signature is not None:
        return delta_frame(event.index, type="signature_delta", signature=event.signature)
    return delta_frame(event.index, type="thinking_delta", thinking=event.delta)


def _write_tool_call(event: ToolCallDelta) -> SseFrame:
    if event.delta:
        return delta_frame(event.index, type="input_json_delta", partial_json=event.delta)
    return tool_frame(event.index, event.call_id, event.name)


def _write_annotation(event: AnnotationAdded) -> SseFrame | None:
    citation = write_citation(event.annotation)
    return None if citation is None else delta_frame(event.index, type="citations_delta", citation=citation)


def _write_usage(event: UsageUpdated) -> SseFrame:
    usage = write_usage(event.usage, Emission(WIRE))
    return frame("message_delta", delta={"stop_reason": None, "stop_sequence": None}, usage=usage)


_WRITERS: dict[type, Callable[[Any], SseFrame | None]] = {
    ResponseStarted: lambda event: start_frame(event, None),
    ContentPartAdded: _write_part,
    TextDelta: lambda event: delta_frame(event.index, type="text_delta", text=event.delta),
    ReasoningDelta: _write_reasoning,
    ToolCallDelta: _write_tool_call,
    AnnotationAdded: _write_annotation,
    UsageUpdated: _write_usage,
    VendorEvent: vendor_frame,
    Completed: lambda event: ending_frame(event.response, []),
    StreamFailed: error_frame,
}
