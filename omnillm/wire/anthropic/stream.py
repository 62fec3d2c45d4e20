"""A Messages stream read into events.

Purpose: ``message_start``, then per block ``content_block_start``, ``_delta`` and ``_stop``, then ``message_delta`` and
``message_stop``; ``ping`` anywhere.
Contract: the blocks are gathered into the body that the same answer has without a stream, and that is read once, at the end: the
final response and a response without a stream are the same value.
Rules: ``message_stop`` ends the stream, and its end does where a stop reason came. Usage is cumulative: a count replaces the one
before it, a null does not. A second ``message_start`` is ignored; an event or a delta that nobody knows is a ``VendorEvent``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _json
from ...errors import IncompleteStreamError, InvalidShapeError
from ...types.enums import MessageRole
from ...types.events import (
    Completed,
    LlmStreamEvent,
    OutputItemAdded,
    ResponseStarted,
    StreamFailed,
    UsageUpdated,
    VendorEvent,
)
from ...types.message import Message
from ...types.response import LlmResponse
from .._fields import Fields
from ..sse import SseFrame
from ._own import PROTOCOL, WIRE
from ._stream_block import StreamBlock
from ._usage import read_usage
from .error import parse_error
from .response import parse_response

_LATER = frozenset({"content", "stop_reason", "stop_sequence", "usage"})  # what a message_start cannot know yet
_OF_THE_EVENT = frozenset({"delta", "type", "usage"})


class MessageStreamDecoder:
    """Read a whole stream."""

    __slots__ = ("_blocks", "_current", "_done", "_message", "_stopped")

    def __init__(self) -> None:
        self._message: dict[str, Any] | None = None
        self._blocks: dict[int, StreamBlock] = {}
        self._current: StreamBlock | None = None
        self._stopped = False  # whether a stop reason came
        self._done = False

    def feed(self, frame: SseFrame) -> list[LlmStreamEvent]:
        """Give the events of a frame."""
        if self._done or not frame.data or frame.data == "[DONE]":
            return []
        event = read_frame(frame)
        kind = event.get("type") or frame.event
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        return [VendorEvent(PROTOCOL, event)] if handler is None else handler(self, event)

    def finish(self) -> list[LlmStreamEvent]:
        """Give the final event where a stop reason came but no ``message_stop``."""
        if self._done:
            return []
        if not self._stopped:
            raise IncompleteStreamError("the stream ended without message_stop", partial_response=self.partial())
        return self._message_stop({})

    def partial(self) -> LlmResponse | None:
        """Give what has arrived so far."""
        if self._message is None:
            return None
        return parse_response({**self._message, "content": [block.payload() for block in self._blocks.values()]})

    def _message_start(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        if self._message is not None:
            return []
        message = Fields(event, "").object("message") or {}
        self._message = dict(message)
        events: list[LlmStreamEvent] = [read_start(message), OutputItemAdded(Message(MessageRole.ASSISTANT, ()))]
        if message.get("usage") is not None:
            events.append(UsageUpdated(read_usage(message["usage"], "/message/usage")))
        return events

    def _started(self) -> tuple[dict[str, Any], list[LlmStreamEvent]]:
        """Give the message, and what opens the stream where the provider left its start out."""
        events = self._message_start({}) if self._message is None else []
        return self._message or {}, events

    def _content_block_start(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        message, events = self._started()
        start = Fields(event).object("content_block")
        if start is None:
            raise InvalidShapeError("content_block: expected an object, got null", pointer="/content_block")
        before, block = self._current, StreamBlock(start)
        index = event.get("index")
        self._blocks[index if isinstance(index, int) else len(self._blocks)] = self._current = block
        if block.kind == "fallback" and isinstance(start.get("to"), dict):
            message["model"] = start["to"].get("model", message.get("model"))  # who answered in the end
        return events + block.opened(after_text=before is not None and before.kind == "text")

    def _content_block_delta(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        delta = event.get("delta")
        if not isinstance(delta, dict):
            raise InvalidShapeError("delta: expected an object", pointer="/delta")
        events = self._block(event).added(delta)
        return [VendorEvent(PROTOCOL, event)] if events is None else events

    def _content_block_stop(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        return self._block(event).closed()

    def _block(self, event: dict[str, Any]) -> StreamBlock:
        index = event.get("index")
        block = self._blocks.get(index) if isinstance(index, int) else self._current
        if block is None:
            raise InvalidShapeError(f"no block was opened at {index!r:.40}", pointer="/index")
        return block

    def _message_delta(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        message, events = self._started()
        fields = Fields(event)
        delta, usage = fields.object("delta") or {}, fields.take("usage")
        beside = {name: value for name, value in event.items() if name not in _OF_THE_EVENT}
        for name, value in (delta | beside).items():
            if value is not None:
                message[name] = value
            else:
                message.setdefault(name, None)
        self._stopped = message.get("stop_reason") is not None
        if isinstance(usage, dict):  # anything else is no usage, and the answer is good all the same
            before = message.get("usage")
            known = {name: value for name, value in usage.items() if value is not None}
            message["usage"] = {**usage, **(before if isinstance(before, dict) else {}), **known}
            events.append(UsageUpdated(read_usage(message["usage"], "/usage")))
        return events

    def _message_stop(self, _event: dict[str, Any]) -> list[LlmStreamEvent]:
        _, events = self._started()
        response = self.partial()
        self._done = True
        return [*events, Completed(response)] if response is not None else events

    def _ping(self, _event: dict[str, Any]) -> list[LlmStreamEvent]:
        return []

    def _error(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        self._done = True
        error = parse_error(None, event)
        return [StreamFailed(error.message, error)]


_HANDLERS: dict[str, Callable[[MessageStreamDecoder, dict[str, Any]], list[LlmStreamEvent]]] = {
    "message_start": MessageStreamDecoder._message_start,
    "content_block_start": MessageStreamDecoder._content_block_start,
    "content_block_delta": MessageStreamDecoder._content_block_delta,
    "content_block_stop": MessageStreamDecoder._content_block_stop,
    "message_delta": MessageStreamDecoder._message_delta,
    "message_stop": MessageStreamDecoder._message_stop,
    "ping": MessageStreamDecoder._ping,
    "error": MessageStreamDecoder._error,
}


def read_frame(frame: SseFrame) -> dict[str, Any]:
    """Read the JSON object of a frame."""
    event = _json.loads(frame.data)
    if not isinstance(event, dict):
        raise InvalidShapeError(f"expected a JSON object, got {type(event).__name__}")
    return event


def read_start(message: dict[str, Any]) -> ResponseStarted:
    """Read what a ``message_start`` says of the message to come."""
    fields = Fields({name: value for name, value in message.items() if name not in _LATER}, "/message")
    for name, expected in (("type", "message"), ("role", "assistant")):
        if fields.peek(name) == expected:
            fields.take(name)
    return ResponseStarted(fields.text("id"), fields.text("model") or "", PROTOCOL, vendor_extensions=fields.extensions(WIRE))
