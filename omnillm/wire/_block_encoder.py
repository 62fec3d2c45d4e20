"""Events written as a stream of numbered blocks: what the streams of Anthropic and of Bedrock share.

Purpose: the grammar that their clients accumulate: one message, blocks numbered from 0, one open at a time. A format's encoder
says in a subclass what its frames look like.
Contract: what no delta carried (a stream of ``Completed`` alone, a call without arguments) is written from the final response.
Rules: a delta for another kind of block closes the one that is open. A late piece of a call whose block is closed keeps that
block's number, by which clients find it. Another provider's signatures and citations are left out. What a part's announcement
says beside the part opens its block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from ..types.enums import ProviderProtocol, WireFormat
from ..types.events import (
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
from ..types.message import Message
from ..types.parts import Annotation, MessagePart, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from ..types.response import LlmResponse
from ..types.usage import TokenUsage
from ._fields import SPELLING, kept
from .sse import SseFrame

_TEXT, _REASONING, _CALL, _PART = "text", "reasoning", "call", "part"
_DELTA_PARTS = (TextPart, ReasoningPart, RefusalPart, ToolCallPart)
_NOTHING: dict[str, Any] = {}


class BlockStreamEncoder(ABC):
    """Write a whole stream; ``waits`` where its start can say what only a later event knows."""

    __slots__ = (
        "_announced",
        "_argued",
        "_begun",
        "_calls",
        "_done",
        "_next",
        "_open",
        "_out",
        "_refused",
        "_signed",
        "_written",
        "started",
        "usage",
    )

    wire: ClassVar[WireFormat]
    protocol: ClassVar[ProviderProtocol]
    waits: ClassVar[bool]
    block_event: ClassVar[str]  # how the names of the events of a block begin

    def __init__(self) -> None:
        self.started: ResponseStarted | None = None
        self.usage: TokenUsage | None = None
        self._out: list[SseFrame] = []
        self._begun = self._done = self._refused = False
        self._open: str | None = None  # the kind of the open block, the last one written
        self._signed = False  # whether the open reasoning has its signature, after which it takes no more
        self._next = 0
        self._calls: dict[str, int] = {}
        self._argued: set[str] = set()
        self._announced: dict[str, dict[str, Any]] = {}  # by call, a text's under ""
        self._written: dict[str, int] = {}  # how many blocks of a kind were written

    # --- what a format says of its frames -------------------------------------------------------------------------------------

    @abstractmethod
    def start_frame(self) -> SseFrame:
        """Make the frame that opens the message."""

    @abstractmethod
    def opening_frames(self, index: int, kind: str, more: dict[str, Any]) -> list[SseFrame]:
        """Make the frames that open a ``text`` or ``reasoning``, with what the block has beside it."""

    @abstractmethod
    def stop_frame(self, index: int) -> SseFrame:
        """Make the frame that closes a block."""

    @abstractmethod
    def text_frame(self, index: int, text: str) -> SseFrame:
        """Make the frame of a piece of text."""

    @abstractmethod
    def citation(self, annotation: Annotation) -> dict[str, Any] | None:
        """Write a citation; ``None`` for another provider's."""

    @abstractmethod
    def citation_frame(self, index: int, citation: dict[str, Any]) -> SseFrame:
        """Make the frame of a citation."""

    @abstractmethod
    def reasoning_frame(self, index: int, text: str | None, signature: str | None) -> SseFrame:
        """Make the frame of a piece of reasoning, or of its signature."""

    @abstractmethod
    def redacted_frame(self, index: int, data: str) -> SseFrame:
        """Make the one frame of reasoning that its provider alone can read, without its end."""

    @abstractmethod
    def call_frame(self, index: int, position: int, event: ToolCallDelta, more: dict[str, Any]) -> SseFrame:
        """Make the frame that opens a call, the nth counted from 1."""

    @abstractmethod
    def arguments_frame(self, index: int, piece: str) -> SseFrame:
        """Make the frame of a piece of a call's arguments."""

    @abstractmethod
    def part_frames(self, index: int, part: MessagePart) -> list[SseFrame]:
        """Make the frames of a part that comes whole, without its end; none where it has no form."""

    @abstractmethod
    def vendor_frame(self, event: VendorEvent) -> tuple[SseFrame, Any] | None:
        """Make the frame of an event that only this protocol knows, and give the number of the block that it is of."""

    @abstractmethod
    def refuse(self, text: str) -> None:
        """Write a piece of a refusal."""

    @abstractmethod
    def ending_frames(self, response: LlmResponse) -> list[SseFrame]:
        """Make the frames that end the stream."""

    @abstractmethod
    def failure_frame(self, event: StreamFailed) -> SseFrame:
        """Make the frame of an error."""

    # --- the stream -----------------------------------------------------------------------------------------------------------

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

    @property
    def ours(self) -> bool:
        """Tell whether the answer is of this protocol."""
        return self.started is None or self.started.provider_protocol in (self.protocol, None)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._out.append(self.start_frame())

    def _close(self) -> None:
        if self._open is not None:
            self._out.append(self.stop_frame(self._next - 1))
            self._open = None

    def _block(self, kind: str) -> int:
        """Number a block that opens, the one before it being closed."""
        self._begin()
        self._close()
        index = self._next
        self._open, self._signed, self._next = kind, False, index + 1
        self._written[kind] = self._written.get(kind, 0) + 1
        return index

    def _grow(self, kind: str) -> int:
        """Give the number of the open block where it is of the kind, else of one that opens."""
        if self._open != kind:
            more = self._announced.pop("", _NOTHING) if kind == _TEXT else _NOTHING
            index = self._block(kind)
            self._out += self.opening_frames(index, kind, more)
        return self._next - 1

    def add_text(self, text: str) -> None:
        """Write a piece of text."""
        if text:
            index = self._grow(_TEXT)
            self._out.append(self.text_frame(index, text))

    def _on_started(self, event: ResponseStarted) -> None:
        if self.started is None:
            self.started = event
            if not self.waits:
                self._begin()

    def _on_text(self, event: TextDelta) -> None:
        self.add_text(event.delta)

    def _on_refusal(self, event: RefusalDelta) -> None:
        self._refused = True
        self.refuse(event.delta)

    def _on_annotation(self, event: AnnotationAdded) -> None:
        citation = self.citation(event.annotation)
        if citation is not None:
            index = self._grow(_TEXT)
            self._out.append(self.citation_frame(index, citation))

    def _on_reasoning(self, event: ReasoningDelta) -> None:
        if event.encrypted_content is not None and self.ours:
            index = self._block(_REASONING)
            self._out.append(self.redacted_frame(index, event.encrypted_content))
            self._close()
        if event.delta:
            if self._signed:
                self._close()
            index = self._grow(_REASONING)
            self._out.append(self.reasoning_frame(index, event.delta, None))
        if event.signature is not None and self.ours:
            index = self._grow(_REASONING)
            self._out.append(self.reasoning_frame(index, None, event.signature))
            self._signed = True

    def _on_tool_call(self, event: ToolCallDelta) -> None:
        index = self._calls.get(event.call_id)
        if index is None:
            more = self._announced.pop(event.call_id, _NOTHING)
            self._calls[event.call_id] = index = self._block(_CALL)
            self._out.append(self.call_frame(index, len(self._calls), event, more))
        if event.delta:
            self._argued.add(event.call_id)
            self._out.append(self.arguments_frame(index, event.delta))

    def _on_part(self, event: ContentPartAdded) -> None:
        part = event.part
        if not isinstance(part, _DELTA_PARTS):
            self._whole_part(part)
        elif isinstance(part, TextPart):
            if self._open == _TEXT:
                self._close()
            self._announced[""] = self._beside(part)
        elif isinstance(part, ToolCallPart):
            self._announced[part.call_id] = self._beside(part)

    def _beside(self, part: TextPart | ToolCallPart) -> dict[str, Any]:
        """Give what this wire said beside a part."""
        return {name: value for name, value in kept(part.vendor_extensions, self.wire).items() if name != SPELLING}

    def _whole_part(self, part: MessagePart) -> None:
        frames = self.part_frames(self._next, part)
        if frames:
            self._block(_PART)
            self._out += frames
            self._close()

    def _on_usage(self, event: UsageUpdated) -> None:
        self.usage = event.usage

    def _on_vendor(self, event: VendorEvent) -> None:
        written = self.vendor_frame(event)
        if written is None:
            return
        frame, number = written
        if str(frame.event).startswith(self.block_event) and (self._open is None or number != self._next - 1):
            return  # its block was not streamed, but given whole
        self._begin()
        self._out.append(frame)

    def _on_completed(self, event: Completed) -> None:
        response = event.response
        if self.started is None:
            self.started = ResponseStarted(response.response_id, response.model, response.provider_protocol)
        if self.usage is None:
            self.usage = response.usage
        self._begin()
        written = dict(self._written)
        for item in response.output:
            for part in item.parts if isinstance(item, Message) else (item,):
                self._supply(part, written)
        self._close()
        self._out += self.ending_frames(response)
        self._done = True

    def _supply(self, part: MessagePart, written: dict[str, int]) -> None:
        """Write a part of the final response that no event carried; ``written`` counts the blocks that events made."""
        if isinstance(part, ToolCallPart):
            if part.call_id not in self._argued and (part.arguments or part.call_id not in self._calls):
                self._announced.setdefault(part.call_id, self._beside(part))
                self._on_tool_call(ToolCallDelta(part.call_id, part.name, part.arguments_text()))
        elif isinstance(part, TextPart):
            if not written.get(_TEXT) and part.text:
                self._close()
                self._announced[""] = self._beside(part)
                self.add_text(part.text)
                for annotation in part.annotations:
                    self._on_annotation(AnnotationAdded(annotation))
        elif isinstance(part, RefusalPart):
            if not self._refused:
                self._close()
                self.refuse(part.text)
        elif isinstance(part, ReasoningPart):
            if not written.get(_REASONING):
                self._close()
                text = part.text or "\n\n".join(part.summary)
                self._on_reasoning(ReasoningDelta(text, signature=part.signature, encrypted_content=part.encrypted_content))
        elif written.get(_PART):
            written[_PART] -= 1
        else:
            self._whole_part(part)

    def _on_failed(self, event: StreamFailed) -> None:
        self._done = True
        self._out.append(self.failure_frame(event))


_HANDLERS: dict[type, Callable[[BlockStreamEncoder, Any], None]] = {
    ResponseStarted: BlockStreamEncoder._on_started,
    OutputItemAdded: lambda _encoder, _event: None,  # what an item holds comes in deltas
    ContentPartAdded: BlockStreamEncoder._on_part,
    TextDelta: BlockStreamEncoder._on_text,
    RefusalDelta: BlockStreamEncoder._on_refusal,
    ReasoningDelta: BlockStreamEncoder._on_reasoning,
    ToolCallDelta: BlockStreamEncoder._on_tool_call,
    ToolResultAdded: lambda _encoder, _event: None,  # a foreign tool's result has no block here
    AnnotationAdded: BlockStreamEncoder._on_annotation,
    UsageUpdated: BlockStreamEncoder._on_usage,
    VendorEvent: BlockStreamEncoder._on_vendor,
    Completed: BlockStreamEncoder._on_completed,
    StreamFailed: BlockStreamEncoder._on_failed,
}
