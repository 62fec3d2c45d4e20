"""Events written as a generateContent stream.

Contract: every frame is a whole ``GenerateContentResponse``. The last one is the final response without the parts that were told
before, so that what no delta carried (a stream of ``Completed`` alone, ratings, other candidates) is there.
Rules: a call is written once its arguments are whole: where something else follows and they are JSON by then, or at the end.
What announces a text or a call says its side fields. Another provider's signatures are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _json
from ...errors import InvalidJsonError, ProviderError
from ...types.events import (
    Completed,
    ContentPartAdded,
    LlmStreamEvent,
    ReasoningDelta,
    ResponseStarted,
    StreamFailed,
    TextDelta,
    ToolCallDelta,
    ToolResultAdded,
    UsageUpdated,
    VendorEvent,
)
from ...types.message import Message
from ...types.parts import MessagePart, ReasoningPart, TextPart, ToolCallPart
from ...types.response import LlmResponse
from .._fields import Emission
from ..sse import SseFrame
from ._own import PROTOCOL, WIRE
from ._usage import write_usage
from ._write import AnswerWriter, Part
from .error import emit_error
from .response import emit_response


class _Call:
    """A call that is not written yet."""

    __slots__ = ("_length", "_looked_at", "_pieces", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._pieces: list[str] = []
        self._length = 0
        self._looked_at = 0  # how long the arguments were that were found not to be whole

    def grow(self, piece: str) -> None:
        """Take a piece of the arguments."""
        self._pieces.append(piece)
        self._length += len(piece)

    def is_whole(self) -> bool:
        """Tell whether the arguments are an object; looks again only when they have doubled, so that it never takes long."""
        if self._length < 2 * self._looked_at or not self._length:
            return False
        self._looked_at = self._length
        try:
            return isinstance(_json.loads("".join(self._pieces)), dict)
        except InvalidJsonError:
            return False

    def part(self, call_id: str, extensions: dict[str, Any]) -> ToolCallPart:
        """Give the call as it is."""
        return ToolCallPart.from_text(call_id, self.name, "".join(self._pieces), vendor_extensions=extensions)


class ChunkEncoder:
    """Write a whole stream."""

    __slots__ = ("_announced", "_calls", "_done", "_head", "_ours", "_out", "_text", "_told")

    def __init__(self) -> None:
        self._out: list[SseFrame] = []
        self._head: dict[str, Any] = {}
        self._ours = True
        self._done = False
        self._text: TextPart | None = None  # a text that was announced, its side fields to be written with its first delta
        self._announced: dict[str, dict[str, Any]] = {}  # the side fields of calls
        self._calls: dict[str, _Call] = {}
        self._told: dict[Any, int] = {}  # how much of each kind was written, and which calls

    def feed(self, event: LlmStreamEvent) -> list[SseFrame]:
        """Give the frames of an event; none after the terminal one."""
        if self._done:
            return []
        self._out = []
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
        return self._out

    def finish(self) -> list[SseFrame]:
        """Give nothing: the final response ends the stream, and an end cannot be made up."""
        return []

    def _count(self, kind: Any, size: int = 1) -> None:
        self._told[kind] = self._told.get(kind, 0) + size

    def _chunk(self, part: Part) -> None:
        candidate = {"content": {"parts": [part], "role": "model"}, "index": 0}
        self._out.append(SseFrame(None, _json.dumps({"candidates": [candidate], **self._head})))

    def _flush(self, *, last: bool = False) -> None:
        """Write what was waiting for something else to come: of the calls, in order, those that are whole, at the end all."""
        text, self._text = self._text, None
        if text is not None and text.vendor_extensions:
            self._count(TextPart, 0)
            self._write(text)
        while self._calls:
            call_id, call = next(iter(self._calls.items()))
            if not last and not call.is_whole():
                break
            del self._calls[call_id]
            self._write(call.part(call_id, self._announced.get(call_id, {})))
            self._count(call_id)

    def _write(self, part: MessagePart) -> None:
        written = AnswerWriter(Emission(WIRE)).write(part, "")
        if written is not None:
            self._chunk(written)

    def _on_started(self, event: ResponseStarted) -> None:
        self._ours = event.provider_protocol in (PROTOCOL, None)
        if event.model:
            self._head["modelVersion"] = event.model
        if event.response_id is not None:
            self._head["responseId"] = event.response_id

    def _on_text(self, event: TextDelta) -> None:
        if not event.delta:
            return
        announced, self._text = self._text, None
        if self._calls:
            self._flush()
        self._count(TextPart, len(event.delta))
        if announced is not None and announced.vendor_extensions:
            self._write(TextPart(event.delta, vendor_extensions=announced.vendor_extensions))
        else:
            self._chunk({"text": event.delta})

    def _on_reasoning(self, event: ReasoningDelta) -> None:
        signature = event.signature if self._ours else None
        if not event.delta and signature is None:
            return
        self._flush()
        self._count(ReasoningPart)
        part: Part = {"text": event.delta, "thought": True}
        if signature is not None:
            part["thoughtSignature"] = signature
        self._chunk(part)

    def _on_tool_call(self, event: ToolCallDelta) -> None:
        found = self._calls.get(event.call_id)
        if found is None:
            if self._told.get(event.call_id):
                return  # a late piece of a call that was written
            if self._text is not None:
                self._flush()
            found = self._calls[event.call_id] = _Call(event.name)
        found.grow(event.delta)

    def _on_part(self, event: ContentPartAdded) -> None:
        part = event.part
        if isinstance(part, ToolCallPart):
            self._announced[part.call_id] = part.vendor_extensions
            return
        self._flush()
        if isinstance(part, TextPart):
            self._text = part
        else:
            self._on_whole(part)

    def _on_result(self, event: ToolResultAdded) -> None:
        self._flush()
        self._on_whole(event.result)

    def _on_whole(self, part: MessagePart) -> None:
        self._count(type(part))
        self._write(part)

    def _on_vendor(self, event: VendorEvent) -> None:
        if event.protocol is PROTOCOL:
            self._out.append(SseFrame(None, _json.dumps(event.payload)))

    def _on_completed(self, event: Completed) -> None:
        response = event.response
        for item in response.output:
            for part in item.parts if isinstance(item, Message) else (item,):
                if isinstance(part, ToolCallPart) and part.call_id in self._calls:
                    call = self._calls[part.call_id] = _Call(part.name)
                    call.grow(part.arguments_text())
        self._flush(last=True)
        self._out.append(SseFrame(None, _json.dumps({**self._head, **self._ending(response)})))
        self._done = True

    def _ending(self, response: LlmResponse) -> dict[str, Any]:
        """Give the final response without the parts that were told."""
        body = emit_response(response, Emission(WIRE))
        candidates = body.get("candidates")
        if not self._told or not candidates or "content" not in candidates[0]:
            return body
        writer = AnswerWriter(Emission(WIRE))
        untold = [writer.write(part, "") for part in self._untold(response)]
        first = {name: value for name, value in candidates[0].items() if name != "content"}
        parts = [part for part in untold if part is not None]
        if parts:
            first["content"] = {"parts": parts, "role": "model"}
        return {**body, "candidates": [first, *candidates[1:]]}

    def _untold(self, response: LlmResponse) -> list[MessagePart]:
        parts: list[MessagePart] = []
        told = dict(self._told)
        for item in response.output:
            for part in item.parts if isinstance(item, Message) else (item,):
                if isinstance(part, ToolCallPart):
                    if part.call_id not in told:
                        parts.append(part)
                elif isinstance(part, TextPart):
                    if not told.get(TextPart) and part.text:
                        parts.append(part)
                elif not told.get(type(part)):
                    parts.append(part)
                elif not isinstance(part, ReasoningPart):
                    told[type(part)] -= 1
        return parts

    def _on_failed(self, event: StreamFailed) -> None:
        self._done = True
        self._out.append(error_frame(event))


def error_frame(event: StreamFailed) -> SseFrame:
    """Make the frame of an error."""
    error = event.error if isinstance(event.error, ProviderError) else ProviderError(event.message)
    return SseFrame(None, _json.dumps(emit_error(error)))


_HANDLERS: dict[type, Callable[[ChunkEncoder, Any], None]] = {
    ResponseStarted: ChunkEncoder._on_started,
    ContentPartAdded: ChunkEncoder._on_part,
    TextDelta: ChunkEncoder._on_text,
    ReasoningDelta: ChunkEncoder._on_reasoning,
    ToolCallDelta: ChunkEncoder._on_tool_call,
    ToolResultAdded: ChunkEncoder._on_result,
    VendorEvent: ChunkEncoder._on_vendor,
    Completed: ChunkEncoder._on_completed,
    StreamFailed: ChunkEncoder._on_failed,
}


def emit_event(event: LlmStreamEvent) -> SseFrame | None:
    """Write one event by itself; ``None`` where it has no frame."""
    encoder = ChunkEncoder()
    if isinstance(event, UsageUpdated):
        usage = write_usage(event.usage, Emission(WIRE))
        return None if usage is None else SseFrame(None, _json.dumps({"usageMetadata": usage}))
    frames = encoder.feed(event)
    if isinstance(event, ResponseStarted) and encoder._head:
        return SseFrame(None, _json.dumps(encoder._head))
    encoder._flush(last=True)
    frames = frames or encoder._out
    return frames[-1] if frames else None
