"""A ConverseStream read into events.

Purpose: ``messageStart``, then per block ``contentBlockStart`` (for tools and images alone), ``contentBlockDelta`` and
``contentBlockStop``, then ``messageStop`` and, after it, ``metadata`` with the usage.
Contract: a frame names its event, or its data is an object of which the event is the one field. The blocks are gathered into the
body that the same answer has without a stream, and that is read once, at the end: both are the same value.
Rules: the stream is over when both of its last events came, and its end is one where a stop reason came. An exception is an event
and the last one. An event or a delta that nobody knows is a ``VendorEvent``; ``p`` is padding.
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
from .._plain import text_delta
from ..sse import SseFrame
from ._own import PROTOCOL, WIRE
from ._stream_block import StreamBlock
from ._usage import read_usage
from .error import STREAM_EXCEPTIONS, parse_error
from .response import parse_response

_PADDING = "p"
_DELTA = "contentBlockDelta"


class ConverseStreamDecoder:
    """Read a whole stream."""

    __slots__ = ("_blocks", "_body", "_current", "_done", "_measured", "_message", "_stopped")

    def __init__(self) -> None:
        self._message: dict[str, Any] | None = None
        self._body: dict[str, Any] = {}  # what the last two events say of the answer
        self._blocks: dict[int, StreamBlock] = {}
        self._current: StreamBlock | None = None  # the last one that something was added to
        self._stopped = self._measured = self._done = False

    def feed(self, frame: SseFrame) -> list[LlmStreamEvent]:
        """Give the events of a frame."""
        if self._done or not frame.data:
            return []
        event = _json.loads(frame.data)
        if frame.event == _DELTA and (text := self._only_text(event)):
            return [text_delta(text)]
        kind, event = read_event(frame.event, event)
        if kind in STREAM_EXCEPTIONS:
            self._done = True
            return [read_exception(kind, event)]
        handler = _HANDLERS.get(kind)
        return [vendor_event(kind, event)] if handler is None else handler(self, event)

    def _only_text(self, event: Any) -> str | None:
        """Add a text to the block that already grows, where the event says no more: it goes past all that it might have said."""
        block = self._current
        if block is None or block.kind != "text" or type(event) is not dict or self._message is None:
            return None
        index, delta = event.get("contentBlockIndex"), event.get("delta")
        if type(delta) is not dict or len(delta) != 1 or type(index) is not int or self._blocks.get(index) is not block:
            return None
        text = delta.get("text")
        if type(text) is not str or not text:
            return None
        block.grow(text)
        return text

    def finish(self) -> list[LlmStreamEvent]:
        """Give the final event where a stop reason came but no ``metadata``."""
        if self._done:
            return []
        if not self._stopped:
            raise IncompleteStreamError("the stream ended without messageStop", partial_response=self.partial())
        return self._complete()

    def partial(self) -> LlmResponse | None:
        """Give what has arrived so far."""
        if self._message is None:
            return None
        blocks = [block.payload() for block in self._blocks.values()]
        message = {**self._message, "content": [block for block in blocks if block is not None]}
        return parse_response({**self._body, "output": {"message": message}})

    def _complete(self) -> list[LlmStreamEvent]:
        """Close the answer; to be called once the message has begun."""
        response = self.partial()
        self._done = True
        return [] if response is None else [Completed(response)]

    def _message_start(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        if self._message is not None:
            return []
        self._message = {"role": "assistant", **event}
        return [read_start(self._message), OutputItemAdded(Message(MessageRole.ASSISTANT, ()))]

    def _started(self) -> list[LlmStreamEvent]:
        """Give what opens the stream where the provider left its start out."""
        return self._message_start({}) if self._message is None else []

    def _block_start(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        events = self._started()
        start = Fields(event).object("start")
        block = self._block(event)
        opened = block.opened(start) if start is not None and block.kind is None else None
        self._current = block
        return events + ([vendor_event("contentBlockStart", event)] if opened is None else opened)

    def _block_delta(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        events = self._started()
        delta = event.get("delta")
        if not isinstance(delta, dict):
            raise InvalidShapeError("delta: expected an object", pointer="/delta")
        block, before = self._block(event), self._current
        added = block.added(delta, after_text=before is not block and before is not None and before.kind == "text")
        self._current = block
        return events + ([vendor_event("contentBlockDelta", event)] if added is None else added)

    def _block_stop(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        return self._started() + self._block(event).closed()

    def _block(self, event: dict[str, Any]) -> StreamBlock:
        index = event.get("contentBlockIndex")
        if isinstance(index, bool) or not isinstance(index, int):
            raise InvalidShapeError(f"no block is numbered {index!r:.40}", pointer="/contentBlockIndex")
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = StreamBlock()
        return block

    def _message_stop(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        events = self._started()
        self._body.update(event)
        self._stopped = True
        return events + self._complete() if self._measured else events

    def _metadata(self, event: dict[str, Any]) -> list[LlmStreamEvent]:
        events = self._started()
        self._body.update(event)
        self._measured = True
        if event.get("usage") is not None:
            events.append(UsageUpdated(read_usage(event["usage"], "/usage")))
        return events + self._complete() if self._stopped else events


_HANDLERS: dict[str, Callable[[ConverseStreamDecoder, dict[str, Any]], list[LlmStreamEvent]]] = {
    "messageStart": ConverseStreamDecoder._message_start,
    "contentBlockStart": ConverseStreamDecoder._block_start,
    "contentBlockDelta": ConverseStreamDecoder._block_delta,
    "contentBlockStop": ConverseStreamDecoder._block_stop,
    "messageStop": ConverseStreamDecoder._message_stop,
    "metadata": ConverseStreamDecoder._metadata,
}
_EVENTS = frozenset(_HANDLERS) | STREAM_EXCEPTIONS


def read_frame(frame: SseFrame) -> tuple[str, dict[str, Any]]:
    """Read the name and the object of a frame's event, without its padding."""
    return read_event(frame.event, _json.loads(frame.data))


def read_event(name: str | None, event: Any) -> tuple[str, dict[str, Any]]:
    """Read the name and the object of an event from a frame's name and its JSON value."""
    if not isinstance(event, dict):
        raise InvalidShapeError(f"expected a JSON object, got {type(event).__name__}")
    kind = name if name in _EVENTS else next((field for field in event if field in _EVENTS), None)
    if kind is None:
        if name is None and len(event) == 1:
            ((field, value),) = event.items()
            return field, value if isinstance(value, dict) else {}
        return name or "", event
    inner = event[kind] if name != kind or event.keys() == {kind} else event
    if not isinstance(inner, dict):
        raise InvalidShapeError(f"{kind}: expected an object, got {type(inner).__name__}", pointer=f"/{kind}")
    if _PADDING in inner:
        inner = {name: value for name, value in inner.items() if name != _PADDING}
    return kind, inner


def vendor_event(kind: str, event: dict[str, Any]) -> VendorEvent:
    """Carry an event that nobody knows, under its name."""
    return VendorEvent(PROTOCOL, {kind: event})


def read_start(event: dict[str, Any]) -> ResponseStarted:
    """Read what a ``messageStart`` says of the message to come."""
    rest = {name: value for name, value in event.items() if name != "role" or value != "assistant"}
    return ResponseStarted(None, "", PROTOCOL, vendor_extensions={WIRE.value: rest} if rest else {})


def read_exception(kind: str, event: dict[str, Any]) -> StreamFailed:
    """Read an exception."""
    error = parse_error(None, {kind: event})
    return StreamFailed(error.message, error)
