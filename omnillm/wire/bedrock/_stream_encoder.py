"""Events written as a ConverseStream.

Rules: a text and reasoning have no ``contentBlockStart``. The final response brings ``messageStop`` and ``metadata``. A refusal
is a text here.
"""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import ProviderError
from ...types.events import StreamFailed, ToolCallDelta, VendorEvent
from ...types.parts import Annotation, MessagePart
from ...types.response import LlmResponse
from .._block_encoder import BlockStreamEncoder
from .._fields import Emission, fill
from ..sse import SseFrame
from ._citations import write_citation
from ._own import PROTOCOL, WIRE, Block, kept
from ._usage import write_usage
from ._write import AnswerWriter, tool_id
from .error import stream_exception_name
from .response import ending

_IN_METADATA = ("metrics", "trace", "performanceConfig", "serviceTier")


def frame(kind: str, **fields: Any) -> SseFrame:
    """Make the frame of an event."""
    return SseFrame(kind, _json.dumps(fields))


def delta_frame(index: int, delta: Block) -> SseFrame:
    """Make a ``contentBlockDelta`` frame."""
    return frame("contentBlockDelta", contentBlockIndex=index, delta=delta)


def tool_frame(index: int, call_id: str, name: str, **more: Any) -> SseFrame:
    """Make the ``contentBlockStart`` frame of a tool call."""
    return frame("contentBlockStart", contentBlockIndex=index, start={"toolUse": {"toolUseId": call_id, "name": name, **more}})


def stop_frame(response: LlmResponse) -> SseFrame:
    """Make the ``messageStop`` frame."""
    fields = ending(response, Emission(WIRE))
    more = kept(response.vendor_extensions, "additionalModelResponseFields")
    return frame(
        "messageStop", **{"stopReason": "end_turn", **fields}, **({} if more is None else {"additionalModelResponseFields": more})
    )


def metadata_frame(response: LlmResponse) -> SseFrame:
    """Make the ``metadata`` frame."""
    fields = {name: kept(response.vendor_extensions, name) for name in _IN_METADATA}
    known = {name: value for name, value in fields.items() if value is not None}
    return frame("metadata", usage=write_usage(response.usage, Emission(WIRE)), **fill(known, {"metrics": {"latencyMs": 0}}))


def vendor_frame(event: VendorEvent) -> SseFrame | None:
    """Make the frame of an event that only this protocol knows."""
    payload = event.payload
    if event.protocol is not PROTOCOL or not isinstance(payload, dict) or len(payload) != 1:
        return None
    ((kind, fields),) = payload.items()
    return SseFrame(kind or None, _json.dumps(fields))


def part_frames(index: int, block: Block) -> list[SseFrame]:
    """Make the frames of a block that comes whole, without its end; none for a kind that does not stream."""
    ((kind, value),) = block.items() if len(block) == 1 else (("", None),)
    if not isinstance(value, dict):
        return []
    if kind == "toolUse":
        start = {name: item for name, item in value.items() if name != "input"}
        delta: Any = {"input": _json.dumps(value.get("input"))}
    elif kind == "toolResult":
        start = {name: item for name, item in value.items() if name != "content"}
        delta = value.get("content")
    elif kind == "image":
        start = {"format": value.get("format")}
        delta = {name: item for name, item in value.items() if name != "format"}
    else:
        return []
    opening = frame("contentBlockStart", contentBlockIndex=index, start={kind: start})
    return [opening, delta_frame(index, {kind: delta})] if delta else [opening]


class ConverseStreamEncoder(BlockStreamEncoder):
    """Write a whole stream."""

    __slots__ = ()

    wire = WIRE
    protocol = PROTOCOL
    waits = False
    block_event = "contentBlock"

    def start_frame(self) -> SseFrame:
        """Make the ``messageStart`` frame."""
        return frame("messageStart", role="assistant")

    def opening_frames(self, _index: int, _kind: str, _more: dict[str, Any]) -> list[SseFrame]:
        """Make no frame: their first delta opens a text and reasoning."""
        return []

    def stop_frame(self, index: int) -> SseFrame:
        """Make the ``contentBlockStop`` frame."""
        return frame("contentBlockStop", contentBlockIndex=index)

    def text_frame(self, index: int, text: str) -> SseFrame:
        """Make the frame of a piece of text."""
        return delta_frame(index, {"text": text})

    def citation(self, annotation: Annotation) -> dict[str, Any] | None:
        """Write a citation; ``None`` for another provider's."""
        return write_citation(annotation)

    def citation_frame(self, index: int, citation: dict[str, Any]) -> SseFrame:
        """Make the frame of a citation."""
        return delta_frame(index, {"citation": citation})

    def reasoning_frame(self, index: int, text: str | None, signature: str | None) -> SseFrame:
        """Make the frame of a piece of reasoning, or of its signature."""
        return delta_frame(index, {"reasoningContent": {"text": text} if signature is None else {"signature": signature}})

    def redacted_frame(self, index: int, data: str) -> SseFrame:
        """Make the frame of redacted reasoning."""
        return delta_frame(index, {"reasoningContent": {"redactedContent": data}})

    def call_frame(self, index: int, position: int, event: ToolCallDelta, more: dict[str, Any]) -> SseFrame:
        """Make the ``contentBlockStart`` frame of a call."""
        return tool_frame(index, tool_id(event.call_id, position), event.name, **more)

    def arguments_frame(self, index: int, piece: str) -> SseFrame:
        """Make the frame of a piece of a call's arguments."""
        return delta_frame(index, {"toolUse": {"input": piece}})

    def part_frames(self, index: int, part: MessagePart) -> list[SseFrame]:
        """Make the frames of a part that comes whole."""
        block = AnswerWriter(Emission(WIRE)).write(part, "")
        return [] if block is None else part_frames(index, block)

    def vendor_frame(self, event: VendorEvent) -> tuple[SseFrame, Any] | None:
        """Make the frame of an event that only this protocol knows, and give its block's number."""
        written = vendor_frame(event)
        if written is None:
            return None
        (fields,) = event.payload.values()
        return written, fields.get("contentBlockIndex") if isinstance(fields, dict) else None

    def refuse(self, text: str) -> None:
        """Write a refusal as text."""
        self.add_text(text)

    def ending_frames(self, response: LlmResponse) -> list[SseFrame]:
        """Make the ``messageStop`` and ``metadata`` frames."""
        return [stop_frame(response), metadata_frame(response)]

    def failure_frame(self, event: StreamFailed) -> SseFrame:
        """Make the frame of an exception."""
        return exception_frame(event)


def exception_frame(event: StreamFailed) -> SseFrame:
    """Make the frame of an exception."""
    error = event.error if isinstance(event.error, ProviderError) else ProviderError(event.message)
    return frame(stream_exception_name(error), message=error.message)
