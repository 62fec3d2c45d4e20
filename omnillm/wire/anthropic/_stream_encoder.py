"""Events written as a Messages stream.

Contract: ``message_start`` waits for the first content, so that it can carry the usage that is known by then.
Rules: another provider's refusal goes into ``stop_details``.
"""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import ProviderError
from ...types.events import ResponseStarted, StreamFailed, ToolCallDelta, VendorEvent
from ...types.parts import Annotation, MessagePart
from ...types.response import LlmResponse
from .. import _fields
from .._block_encoder import BlockStreamEncoder
from .._fields import Emission
from ..sse import SseFrame
from ._citations import write_citation
from ._own import PROTOCOL, WIRE
from ._usage import write_usage
from ._write import AnswerWriter, tool_id
from .error import emit_error
from .response import ending, message_id

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
    known = _fields.kept(response.vendor_extensions, WIRE)
    for names, out in ((_ENDING, delta), (_AFTERWORDS, afterwords)):
        out.update((name, known[name]) for name in names if name in known and out.get(name) is None)
    usage = {name: value for name, value in write_usage(response.usage, emission).items() if name not in _AT_START}
    return frame("message_delta", delta=delta, usage=usage, **afterwords)


def delta_frame(index: int, **delta: Any) -> SseFrame:
    """Make a ``content_block_delta`` frame."""
    return frame("content_block_delta", index=index, delta=delta)


def block_frame(index: int, kind: str, **fields: Any) -> SseFrame:
    """Make a ``content_block_start`` frame."""
    return frame("content_block_start", index=index, content_block={"type": kind, **fields})


def tool_frame(index: int, call_id: str, name: str, **more: Any) -> SseFrame:
    """Make the ``content_block_start`` frame of a tool call."""
    return block_frame(index, "tool_use", id=call_id, name=name, input={}, **more)


def vendor_frame(event: VendorEvent) -> SseFrame | None:
    """Make the frame of an event that only this protocol knows."""
    payload = event.payload
    if event.protocol is not PROTOCOL or not isinstance(payload, dict) or not isinstance(payload.get("type"), str):
        return None
    return SseFrame(payload["type"], _json.dumps(payload))


class MessageStreamEncoder(BlockStreamEncoder):
    """Write a whole stream."""

    __slots__ = ("_refusals",)

    wire = WIRE
    protocol = PROTOCOL
    waits = True
    block_event = "content_block_"

    def __init__(self) -> None:
        super().__init__()
        self._refusals: list[str] = []

    def start_frame(self) -> SseFrame:
        """Make the ``message_start`` frame."""
        return start_frame(
            self.started or ResponseStarted(), None if self.usage is None else write_usage(self.usage, Emission(WIRE))
        )

    def opening_frames(self, index: int, kind: str, more: dict[str, Any]) -> list[SseFrame]:
        """Make the ``content_block_start`` frame of a text or of thinking."""
        if kind == "text":
            return [block_frame(index, "text", text="", **more)]
        return [block_frame(index, "thinking", thinking="", signature="", **more)]

    def stop_frame(self, index: int) -> SseFrame:
        """Make the ``content_block_stop`` frame."""
        return frame("content_block_stop", index=index)

    def text_frame(self, index: int, text: str) -> SseFrame:
        """Make a ``text_delta`` frame."""
        return delta_frame(index, type="text_delta", text=text)

    def citation(self, annotation: Annotation) -> dict[str, Any] | None:
        """Write a citation; ``None`` for another provider's."""
        return write_citation(annotation)

    def citation_frame(self, index: int, citation: dict[str, Any]) -> SseFrame:
        """Make a ``citations_delta`` frame."""
        return delta_frame(index, type="citations_delta", citation=citation)

    def reasoning_frame(self, index: int, text: str | None, signature: str | None) -> SseFrame:
        """Make a ``thinking_delta`` or ``signature_delta`` frame."""
        if signature is not None:
            return delta_frame(index, type="signature_delta", signature=signature)
        return delta_frame(index, type="thinking_delta", thinking=text)

    def redacted_frame(self, index: int, data: str) -> SseFrame:
        """Make the ``content_block_start`` frame of redacted thinking."""
        return block_frame(index, "redacted_thinking", data=data)

    def call_frame(self, index: int, position: int, event: ToolCallDelta, more: dict[str, Any]) -> SseFrame:
        """Make the ``content_block_start`` frame of a call."""
        return tool_frame(index, tool_id(event.call_id, position), event.name, **more)

    def arguments_frame(self, index: int, piece: str) -> SseFrame:
        """Make an ``input_json_delta`` frame."""
        return delta_frame(index, type="input_json_delta", partial_json=piece)

    def part_frames(self, index: int, part: MessagePart) -> list[SseFrame]:
        """Make the ``content_block_start`` frame of a part that comes whole."""
        block = AnswerWriter(Emission(WIRE), ours=self.ours).write(part, "")
        return [] if block is None else [frame("content_block_start", index=index, content_block=block)]

    def vendor_frame(self, event: VendorEvent) -> tuple[SseFrame, Any] | None:
        """Make the frame of an event that only this protocol knows, and give its block's number."""
        written = vendor_frame(event)
        return None if written is None else (written, event.payload.get("index"))

    def refuse(self, text: str) -> None:
        """Keep a piece of a refusal for the end."""
        self._refusals.append(text)

    def ending_frames(self, response: LlmResponse) -> list[SseFrame]:
        """Make the ``message_delta`` and ``message_stop`` frames."""
        return [ending_frame(response, self._refusals), frame("message_stop")]

    def failure_frame(self, event: StreamFailed) -> SseFrame:
        """Make the ``error`` frame."""
        return error_frame(event)


def error_frame(event: StreamFailed) -> SseFrame:
    """Make the ``error`` frame."""
    error = event.error if isinstance(event.error, ProviderError) else ProviderError(event.message)
    return SseFrame("error", _json.dumps(emit_error(error)))
