"""Events written as a Messages stream.

Purpose: the grammar that Anthropic's clients accumulate: one message, blocks numbered from 0, one open at a time.
Contract: ``message_start`` waits for the first content, so that it can carry the usage that is known by then. What no delta
carried (a stream of ``Completed`` alone, a call without arguments) is written from the final response.
Rules: a delta for another kind of block closes the one that is open. A late piece of a call whose block is closed keeps that
block's number, by which clients find it. Another provider's signatures and citations are left out; its refusal goes into
``stop_details``.
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
from ._own import PROTOCOL, WIRE, kept
from ._usage import write_usage
from ._write import AnswerWriter, Block, tool_id
from .error import emit_error
from .response import ending, message_id

_DELTA_PARTS = (TextPart, ReasoningPart, RefusalPart, ToolCallPart)
_AT_START = frozenset({"cache_creation", "inference_geo", "service_tier", "speed"})  # usage that only message_start reports
_ENDING = ("stop_sequence", "stop_details", "container")
_AFTERWORDS = ("context_management", "input_transformations")


def frame(kind: str, **fields: Any) -> SseFrame:
    """Make the frame of an event."""
    return SseFrame(kind, _json.dumps({"type": kind, **fields}))


def start_frame(started: ResponseStarted, usage: dict[str, Any] | None) -> SseFrame:
    """Make the ``message_start`` frame."""
    ours = started.provider_protocol in (PROTOCOL, None)
    message: dict[str, Any] = {
        "id": message_id(started.response_id, ours=ours and started.response_id is not None),
        "type": "message",
        "role": "assistant",
        "model": started.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 0, "output_tokens": 0},
    }
    return frame("message_start", message=Emission(WIRE).lay(message, started.vendor_extensions, ""))


def ending_frame(response: LlmResponse, refusals: list[str]) -> SseFrame:
    """Make the ``message_delta`` frame that ends an answer."""
    emission = Emission(WIRE)
    delta: dict[str, Any] = {"stop_reason": None, "stop_sequence": None, **ending(response, refusals, emission)}
    afterwords: dict[str, Any] = {}
    for names, out in ((_ENDING, delta), (_AFTERWORDS, afterwords)):
        for name in names:
            value = kept(response.vendor_extensions, name)
            if value is not None and out.get(name) is None:
                out[name] = value
    usage = {name: value for name, value in write_usage(response.usage, emission).items() if name not in _AT_START}
    return frame("message_delta", delta=delta, usage=usage, **afterwords)


def delta_frame(index: int, **delta: Any) -> SseFrame:
    """Make a ``content_block_delta`` frame."""
    return frame("content_block_delta", index=index, delta=delta)


def tool_frame(index: int, call_id: str, name: str) -> SseFrame:
    """Make the ``content_block_start`` frame of a tool call."""
    return frame("content_block_start", index=index, content_block={"type": "tool_use", "id": call_id, "name": name, "input": {}})


def vendor_frame(event: VendorEvent) -> SseFrame | None:
    """Make the frame of an event that only this protocol knows."""
    payload = event.payload
    if event.protocol is not PROTOCOL or not isinstance(payload, dict) or not isinstance(payload.get("type"), str):
        return None
    return SseFrame(payload["type"], _json.dumps(payload))


class MessageStreamEncoder:
    """Write a whole stream."""

    __slots__ = (
        "_argued",
        "_begun",
        "_calls",
        "_done",
        "_next",
        "_open",
        "_out",
        "_refusals",
        "_signed",
        "_started",
        "_usage",
        "_whole",
    )

    def __init__(self) -> None:
        self._out: list[SseFrame] = []
        self._started: ResponseStarted | None = None
        self._usage: dict[str, Any] | None = None
        self._begun = self._done = False
        self._open: str | None = None  # the kind of the open block, the last one written
        self._signed = False  # whether the open thinking has its signature, after which it takes no more
        self._next = 0
        self._calls: dict[str, int] = {}
        self._argued: set[str] = set()
        self._refusals: list[str] = []
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
            self._out.append(start_frame(self._started or ResponseStarted(), self._usage))

    def _close(self) -> None:
        if self._open is not None:
            self._out.append(frame("content_block_stop", index=self._next - 1))
            self._open = None

    def _block(self, kind: str, opening: Block) -> int:
        """Open a block, the one before it being closed; give its number."""
        self._begin()
        self._close()
        index = self._next
        self._out.append(frame("content_block_start", index=index, content_block=opening))
        self._open, self._signed, self._next = kind, False, index + 1
        self._whole[kind] = self._whole.get(kind, 0) + 1
        return index

    def _on_started(self, event: ResponseStarted) -> None:
        if self._started is None:
            self._started = event

    def _on_text(self, event: TextDelta) -> None:
        if not event.delta:
            return
        if self._open != "text":
            self._block("text", {"type": "text", "text": ""})
        self._out.append(delta_frame(self._next - 1, type="text_delta", text=event.delta))

    def _on_annotation(self, event: AnnotationAdded) -> None:
        citation = write_citation(event.annotation)
        if citation is None:
            return
        if self._open != "text":
            self._block("text", {"type": "text", "text": ""})
        self._out.append(delta_frame(self._next - 1, type="citations_delta", citation=citation))

    def _on_reasoning(self, event: ReasoningDelta) -> None:
        if event.encrypted_content is not None and self._ours():
            self._block("thinking", {"type": "redacted_thinking", "data": event.encrypted_content})
            self._close()
        signature = event.signature if self._ours() else None
        if not event.delta and signature is None:
            return
        if self._open != "thinking" or (self._signed and event.delta):
            self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        if event.delta:
            self._out.append(delta_frame(self._next - 1, type="thinking_delta", thinking=event.delta))
        if signature is not None:
            self._signed = True
            self._out.append(delta_frame(self._next - 1, type="signature_delta", signature=signature))

    def _on_tool_call(self, event: ToolCallDelta) -> None:
        index = self._calls.get(event.call_id)
        if index is None:
            call_id = tool_id(event.call_id, len(self._calls) + 1)
            self._calls[event.call_id] = index = self._next
            self._block("tool_use", {"type": "tool_use", "id": call_id, "name": event.name, "input": {}})
        if event.delta:
            self._argued.add(event.call_id)
            self._out.append(delta_frame(index, type="input_json_delta", partial_json=event.delta))

    def _on_refusal(self, event: RefusalDelta) -> None:
        self._refusals.append(event.delta)

    def _on_part(self, event: ContentPartAdded) -> None:
        if not isinstance(event.part, _DELTA_PARTS):
            self._whole_part(event.part)
        elif isinstance(event.part, TextPart) and self._open == "text":
            self._close()

    def _whole_part(self, part: MessagePart) -> None:
        block = AnswerWriter(Emission(WIRE), ours=self._ours()).write(part, "")
        if block is not None:
            self._block("part", block)
            self._close()

    def _on_usage(self, event: UsageUpdated) -> None:
        self._usage = write_usage(event.usage, Emission(WIRE))

    def _on_vendor(self, event: VendorEvent) -> None:
        written = vendor_frame(event)
        if written is None:
            return
        of_block = str(written.event).startswith("content_block_")
        if of_block and (self._open is None or event.payload.get("index") != self._next - 1):
            return  # its block was not streamed, but given whole
        self._begin()
        self._out.append(written)

    def _on_nothing(self, event: OutputItemAdded | ToolResultAdded) -> None:
        """Write nothing: what an item holds comes in deltas, and a foreign tool's result has no block here."""

    def _on_completed(self, event: Completed) -> None:
        response = event.response
        if self._started is None:
            self._started = ResponseStarted(response.response_id, response.model, response.provider_protocol)
        if self._usage is None:
            self._usage = write_usage(response.usage, Emission(WIRE))
        self._begin()
        refusals: list[str] = []
        written = dict(self._whole)
        for item in response.output:
            for part in item.parts if isinstance(item, Message) else (item,):
                if isinstance(part, RefusalPart):
                    refusals.append(part.text)
                else:
                    self._supply(part, written)
        self._close()
        self._out += [ending_frame(response, refusals or self._refusals), frame("message_stop")]
        self._done = True

    def _supply(self, part: MessagePart, written: dict[str, int]) -> None:
        """Write a part of the final response that no event carried; ``written`` counts the blocks that events made."""
        if isinstance(part, ToolCallPart):
            if part.call_id not in self._argued and (part.arguments or part.call_id not in self._calls):
                self._on_tool_call(ToolCallDelta(part.call_id, part.name, part.arguments_text()))
        elif isinstance(part, TextPart):
            if not written.get("text") and part.text:
                self._close()
                self._on_text(TextDelta(part.text))
                for annotation in part.annotations:
                    self._on_annotation(AnnotationAdded(annotation))
        elif isinstance(part, ReasoningPart):
            if not written.get("thinking"):
                self._close()
                text = part.text or "\n\n".join(part.summary)
                self._on_reasoning(ReasoningDelta(text, signature=part.signature, encrypted_content=part.encrypted_content))
        elif written.get("part"):
            written["part"] -= 1
        else:
            self._whole_part(part)

    def _on_failed(self, event: StreamFailed) -> None:
        self._done = True
        self._out.append(error_frame(event))


def error_frame(event: StreamFailed) -> SseFrame:
    """Make the ``error`` frame."""
    error = event.error if isinstance(event.error, ProviderError) else ProviderError(event.message)
    return SseFrame("error", _json.dumps(emit_error(error)))


_HANDLERS: dict[type, Callable[[MessageStreamEncoder, Any], None]] = {
    ResponseStarted: MessageStreamEncoder._on_started,
    OutputItemAdded: MessageStreamEncoder._on_nothing,
    ContentPartAdded: MessageStreamEncoder._on_part,
    TextDelta: MessageStreamEncoder._on_text,
    RefusalDelta: MessageStreamEncoder._on_refusal,
    ReasoningDelta: MessageStreamEncoder._on_reasoning,
    ToolCallDelta: MessageStreamEncoder._on_tool_call,
    ToolResultAdded: MessageStreamEncoder._on_nothing,
    AnnotationAdded: MessageStreamEncoder._on_annotation,
    UsageUpdated: MessageStreamEncoder._on_usage,
    VendorEvent: MessageStreamEncoder._on_vendor,
    Completed: MessageStreamEncoder._on_completed,
    StreamFailed: MessageStreamEncoder._on_failed,
}
