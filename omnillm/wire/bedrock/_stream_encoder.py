"""Events written as a ConverseStream.

Purpose: the grammar that AWS's clients read: one message, blocks numbered from 0, one open at a time; a text and reasoning have
no ``contentBlockStart``.
Contract: what no delta carried (a stream of ``Completed`` alone, a call without arguments) is written from the final response,
which also brings ``messageStop`` and ``metadata``.
Rules: a delta for another kind of block closes the one that is open. A late piece of a call whose block is closed keeps that
block's number, by which clients find it. Another provider's signatures and citations are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _json
from ...errors import ProviderError
from ...types.events import (
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
from ...types.message import Message
from ...types.parts import MessagePart, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from ...types.response import LlmResponse
from .._fields import Emission
from ..sse import SseFrame
from ._citations import write_citation
from ._own import PROTOCOL, WIRE, Block, fill, kept
from ._usage import write_usage
from ._write import AnswerWriter, tool_id
from .error import stream_exception_name
from .response import ending

_DELTA_PARTS = (TextPart, ReasoningPart, RefusalPart, ToolCallPart)
_IN_METADATA = ("metrics", "trace", "performanceConfig", "serviceTier")


def frame(kind: str, **fields: Any) -> SseFrame:
    """Make the frame of an event."""
    return SseFrame(kind, _json.dumps(fields))


def delta_frame(index: int, delta: Block) -> SseFrame:
    """Make a ``contentBlockDelta`` frame."""
    return frame("contentBlockDelta", contentBlockIndex=index, delta=delta)


def tool_frame(index: int, call_id: str, name: str) -> SseFrame:
    """Make the ``contentBlockStart`` frame of a tool call."""
    return frame("contentBlockStart", contentBlockIndex=index, start={"toolUse": {"toolUseId": call_id, "name": name}})


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


class ConverseStreamEncoder:
    """Write a whole stream."""

    __slots__ = ("_argued", "_begun", "_calls", "_done", "_next", "_open", "_out", "_signed", "_started", "_whole")

    def __init__(self) -> None:
        self._out: list[SseFrame] = []
        self._started: ResponseStarted | None = None
        self._begun = self._done = False
        self._open: str | None = None  # the kind of the open block, the last one written
        self._signed = False  # whether the open reasoning has its signature, after which it takes no more
        self._next = 0
        self._calls: dict[str, int] = {}
        self._argued: set[str] = set()
        self._whole: dict[str, int] = {}  # how many blocks of a kind were written

    def feed(self, event: LlmStreamEvent) -> list[SseFrame]:
        """Give the frames of an event."""
        if self._done:
            return []
        self._out = []
        _HANDLERS[type(event)](self, event)
        return self._out

    def finish(self) -> list[SseFrame]:
        """Give nothing: the final response ends the stream, and an end cannot be made up."""
        return []

    def _ours(self) -> bool:
        return self._started is None or self._started.provider_protocol in (PROTOCOL, None)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._out.append(frame("messageStart", role="assistant"))

    def _close(self) -> None:
        if self._open is not None:
            self._out.append(frame("contentBlockStop", contentBlockIndex=self._next - 1))
            self._open = None

    def _block(self, kind: str) -> int:
        """Open a block, the one before it being closed; give its number."""
        self._begin()
        self._close()
        index = self._next
        self._open, self._signed, self._next = kind, False, index + 1
        self._whole[kind] = self._whole.get(kind, 0) + 1
        return index

    def _delta(self, kind: str, delta: Block) -> None:
        if self._open != kind:
            self._block(kind)
        self._out.append(delta_frame(self._next - 1, delta))

    def _on_started(self, event: ResponseStarted) -> None:
        if self._started is None:
            self._started = event
            self._begin()

    def _on_text(self, event: TextDelta | RefusalDelta) -> None:
        if event.delta:
            self._delta("text", {"text": event.delta})

    def _on_annotation(self, event: AnnotationAdded) -> None:
        citation = write_citation(event.annotation)
        if citation is not None:
            self._delta("text", {"citation": citation})

    def _on_reasoning(self, event: ReasoningDelta) -> None:
        if event.encrypted_content is not None and self._ours():
            self._block("reasoning")
            self._out.append(delta_frame(self._next - 1, {"reasoningContent": {"redactedContent": event.encrypted_content}}))
            self._close()
        signature = event.signature if self._ours() else None
        if event.delta and self._signed:
            self._close()
        if event.delta:
            self._delta("reasoning", {"reasoningContent": {"text": event.delta}})
        if signature is not None:
            self._delta("reasoning", {"reasoningContent": {"signature": signature}})
            self._signed = True

    def _on_tool_call(self, event: ToolCallDelta) -> None:
        index = self._calls.get(event.call_id)
        if index is None:
            call_id = tool_id(event.call_id, len(self._calls) + 1)
            self._calls[event.call_id] = index = self._block("toolUse")
            self._out.append(tool_frame(index, call_id, event.name))
        if event.delta:
            self._argued.add(event.call_id)
            self._out.append(delta_frame(index, {"toolUse": {"input": event.delta}}))

    def _on_part(self, event: ContentPartAdded) -> None:
        if not isinstance(event.part, _DELTA_PARTS):
            self._whole_part(event.part)
        elif isinstance(event.part, TextPart) and self._open == "text":
            self._close()

    def _whole_part(self, part: MessagePart) -> None:
        block = AnswerWriter(Emission(WIRE)).write(part, "")
        if block is not None and part_frames(0, block):
            self._out_of_block(block)

    def _out_of_block(self, block: Block) -> None:
        index = self._block("part")
        self._out += part_frames(index, block)
        self._close()

    def _on_vendor(self, event: VendorEvent) -> None:
        written = vendor_frame(event)
        if written is None:
            return
        of_block = str(written.event).startswith("contentBlock")
        if of_block and (self._open is None or event.payload[written.event].get("contentBlockIndex") != self._next - 1):
            return  # its block was not streamed, but given whole
        self._begin()
        self._out.append(written)

    def _on_nothing(self, event: OutputItemAdded | ToolResultAdded | UsageUpdated) -> None:
        """Write nothing: what an item holds comes in deltas, and the usage at the end."""

    def _on_completed(self, event: Completed) -> None:
        response = event.response
        if self._started is None:
            self._started = ResponseStarted(response.response_id, response.model, response.provider_protocol)
        self._begin()
        written = dict(self._whole)
        for item in response.output:
            for part in item.parts if isinstance(item, Message) else (item,):
                self._supply(part, written)
        self._close()
        self._out += [stop_frame(response), metadata_frame(response)]
        self._done = True

    def _supply(self, part: MessagePart, written: dict[str, int]) -> None:
        """Write a part of the final response that no event carried; ``written`` counts the blocks that events made."""
        if isinstance(part, ToolCallPart):
            if part.call_id not in self._argued and (part.arguments or part.call_id not in self._calls):
                self._on_tool_call(ToolCallDelta(part.call_id, part.name, part.arguments_text()))
        elif isinstance(part, TextPart | RefusalPart):
            if not written.get("text") and part.text:
                self._close()
                self._on_text(TextDelta(part.text))
                for annotation in part.annotations if isinstance(part, TextPart) else ():
                    self._on_annotation(AnnotationAdded(annotation))
        elif isinstance(part, ReasoningPart):
            if not written.get("reasoning"):
                self._close()
                text = part.text or "\n\n".join(part.summary)
                self._on_reasoning(ReasoningDelta(text, signature=part.signature, encrypted_content=part.encrypted_content))
        elif written.get("part"):
            written["part"] -= 1
        else:
            self._whole_part(part)

    def _on_failed(self, event: StreamFailed) -> None:
        self._done = True
        self._out.append(exception_frame(event))


def exception_frame(event: StreamFailed) -> SseFrame:
    """Make the frame of an exception."""
    error = event.error if isinstance(event.error, ProviderError) else ProviderError(event.message)
    return frame(stream_exception_name(error), message=error.message)


_HANDLERS: dict[type, Callable[[ConverseStreamEncoder, Any], None]] = {
    ResponseStarted: ConverseStreamEncoder._on_started,
    OutputItemAdded: ConverseStreamEncoder._on_nothing,
    ContentPartAdded: ConverseStreamEncoder._on_part,
    TextDelta: ConverseStreamEncoder._on_text,
    RefusalDelta: ConverseStreamEncoder._on_text,
    ReasoningDelta: ConverseStreamEncoder._on_reasoning,
    ToolCallDelta: ConverseStreamEncoder._on_tool_call,
    ToolResultAdded: ConverseStreamEncoder._on_nothing,
    AnnotationAdded: ConverseStreamEncoder._on_annotation,
    UsageUpdated: ConverseStreamEncoder._on_nothing,
    VendorEvent: ConverseStreamEncoder._on_vendor,
    Completed: ConverseStreamEncoder._on_completed,
    StreamFailed: ConverseStreamEncoder._on_failed,
}
