"""Streams of Responses, written.

Contract: ``Encoder`` writes the frames that the provider's SDK accumulates to the answer that the events tell: the response,
then each item with its parts, deltas and end, then the whole response. What no delta carried is written from the completed
response.
Rules: an item of text or reasoning ends when another one begins, a call ends with the stream, so that calls may take turns.
What goes on after another item began is a new item; where this protocol's own stream is written again, its items keep their ids
and places, and such a one is taken up again. Another protocol's events have no form here.
"""

from __future__ import annotations

from collections import deque
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
from ...types.parts import ReasoningPart
from .._codec import Payload
from .._fields import SPELLING, Emission
from ..sse import SseFrame
from ._annotations import write_annotation
from ._encoder_item import CALLS, REASONING, REFUSAL, SUMMARY, TEXT, Frames, WrittenItem, texts_of
from ._own import PROTOCOL, WIRE, Item, kept, type_of
from ._usage import write_usage
from ._write import AnswerWriter
from .error import error_of_response
from .response import OBJECT, as_response_id, emit_response, item_id, with_defaults

_STARTS: dict[str, Item] = {
    "message": {"status": "in_progress", "role": "assistant", "content": []},
    "reasoning": {"summary": []},
    "function_call": {"status": "in_progress", "arguments": ""},
    "custom_tool_call": {"input": ""},
}
_TOLD = frozenset({"message", "reasoning"})  # what ends where the next item begins


class Encoder:
    """Write a stream, event by event."""

    __slots__ = (
        "_calls",
        "_current",
        "_done",
        "_first",
        "_id",
        "_items",
        "_ours",
        "_out",
        "_sequence",
        "_sources",
        "_started",
        "_usage",
    )

    def __init__(self, first: int = 0) -> None:
        self._out: Frames = []
        self._first = first  # the place of the first item
        self._sequence = 0
        self._started = self._done = False
        self._ours = False
        self._id: str | None = None
        self._items: list[WrittenItem] = []
        self._current: WrittenItem | None = None
        self._sources: dict[int, WrittenItem] = {}  # of this protocol's own events, by their index
        self._calls: dict[str, WrittenItem] = {}
        self._usage: Any = None

    def feed(self, event: LlmStreamEvent) -> list[SseFrame]:
        """Give the frames of an event; none after the terminal one."""
        if self._done:
            return []
        self._out = []
        if not self._started and not isinstance(event, ResponseStarted | Completed | StreamFailed | UsageUpdated):
            self._begin(ResponseStarted())
        _HANDLERS[type(event)](self, event)
        return [self._frame(kind, fields) for kind, fields in self._out]

    def finish(self) -> list[SseFrame]:
        """Give nothing: a stream that was not completed must not look so."""
        return []

    def _frame(self, kind: str, fields: Item) -> SseFrame:
        data = {"type": kind, **fields, "sequence_number": self._sequence}
        self._sequence += 1
        return SseFrame(kind, _json.dumps(data))

    # --- the response ---------------------------------------------------------------------------------------------------------

    def _begin(self, started: ResponseStarted) -> None:
        if self._started:
            return
        self._started = True
        self._ours = started.provider_protocol is PROTOCOL
        self._id = as_response_id(started.response_id, ours=self._ours and started.response_id is not None)
        head: Payload = {"id": self._id, "object": OBJECT, "status": "in_progress", "model": started.model, "output": []}
        for name, value in kept(started.vendor_extensions).items():
            if name != SPELLING:
                head.setdefault(name, value)
        head = with_defaults(head)
        self._out.append(("response.created", {"response": head}))
        self._out.append(("response.in_progress", {"response": head}))

    def _on_completed(self, event: Completed) -> None:
        response = event.response
        self._begin(ResponseStarted(response.response_id, response.model, response.provider_protocol))
        emission = Emission(WIRE)
        body = with_defaults(emit_response(response, emission))
        body["id"] = self._id
        if response.usage.estimated and self._usage is not None:
            body["usage"] = write_usage(self._usage, emission, ours=self._ours)
        body["output"] = self._close(body["output"])
        end = body["status"] if body.get("status") in ("failed", "incomplete") else "completed"
        self._out.append((f"response.{end}", {"response": body}))
        self._done = True

    def _close(self, final: list[Item]) -> list[Item]:
        """End every item; give the output, in which each item that was streamed stands where it was streamed."""
        places: dict[tuple[str, str], deque[int]] = {}
        scattered = self._scattered(final)
        left = {place: last for place, last in enumerate(final) if type_of(last) not in scattered}
        for place, last in left.items():
            places.setdefault(_key(type_of(last), last.get("call_id")), deque()).append(place)
        output = []
        for item in self._items:
            found = places.get(_key(item.kind, item.call_id))
            whole = left.pop(found.popleft()) if found else None
            if whole is not None and not (self._ours and "id" in whole):
                whole = {**whole, "id": item.id}
            output.append(item.close(self._out, whole))
        for last in left.values():
            payload = last if self._ours and "id" in last else {**last, "id": self._next_id(type_of(last))}
            output.append(self._add(payload).close(self._out, payload))
        return final if self._ours and all("id" in whole for whole in final) else output

    def _scattered(self, final: list[Item]) -> set[str]:
        """Give the kinds of items that were cut into more by what came between than the answer has, and say the same."""
        found = set()
        for kind in _TOLD:
            told = [item.told() for item in self._items if item.kind == kind]
            said = [item for item in final if type_of(item) == kind]
            if len(told) > len(said) and "".join(told) == "".join(text for item in said for _, text in texts_of(item)):
                found.add(kind)
        return found

    def _on_failed(self, event: StreamFailed) -> None:
        self._done = True
        error = event.error if isinstance(event.error, ProviderError) else ProviderError(event.message)
        self._out.append(("error", {**error_of_response(error), "param": None}))

    # --- items ----------------------------------------------------------------------------------------------------------------

    def _add(self, item: Item) -> WrittenItem:
        """Announce an item, an open one of text or reasoning being closed."""
        current = self._current
        if current is not None and current.kind in _TOLD:
            current.close(self._out)
        kind = type_of(item)
        start = {**item, **_STARTS.get(kind, {})}
        if kind == "reasoning":
            start = {name: value for name, value in start.items() if name not in ("content", "encrypted_content")}
        added = self._current = WrittenItem(start, self._first + len(self._items), self._out)
        self._items.append(added)
        return added

    def _new(self, kind: str, **fields: Any) -> WrittenItem:
        return self._add({"id": self._next_id(kind), "type": kind, **fields})

    def _next_id(self, kind: str) -> str:
        return item_id(kind, self._id, self._first + len(self._items))

    def _source(self, kind: str, index: int) -> WrittenItem | None:
        """Give the item of that kind that an event is about, where it is there."""
        found = self._sources.get(index)
        if found is None or found.kind != kind:  # made by hand: its index says nothing
            found = self._current
        return found if found is not None and found.kind == kind else None

    def _target(self, kind: str, index: int) -> WrittenItem:
        found = self._source(kind, index)
        if found is None or (found.is_closed and index not in self._sources):
            return self._new(kind)
        found.reopen()
        return found

    def _on_item(self, event: OutputItemAdded) -> None:
        if not self._ours:
            return  # what it holds comes in deltas, in the order in which they come
        written = AnswerWriter(Emission(WIRE)).write(event.item, "")
        if len(written) != 1 or not isinstance(written[0].get("type"), str):
            return
        payload = written[0] if "id" in written[0] else {"id": self._next_id(written[0]["type"]), **written[0]}
        added = self._sources[event.index] = self._add(payload)
        if added.kind in CALLS:
            self._calls[str(added.call_id)] = added

    def _on_part(self, event: ContentPartAdded) -> None:
        part = event.part
        if isinstance(part, ReasoningPart):
            item = self._target("reasoning", event.index)
            item.close_text(self._out)
            item.field = SUMMARY if part.summary else REASONING
        elif (message := self._source("message", event.index)) is not None:
            message.close_text(self._out)  # a part behind it: a text that follows is another one

    def _on_text(self, event: TextDelta) -> None:
        if event.delta:
            self._target("message", event.index).grow(TEXT, event.delta, self._out)

    def _on_refusal(self, event: RefusalDelta) -> None:
        if event.delta:
            self._target("message", event.index).grow(REFUSAL, event.delta, self._out)

    def _on_reasoning(self, event: ReasoningDelta) -> None:
        if event.delta:
            item = self._target("reasoning", event.index)
            item.grow(item.field, event.delta, self._out)
        if event.encrypted_content is not None and self._ours:
            self._target("reasoning", event.index).state = event.encrypted_content

    def _on_call(self, event: ToolCallDelta) -> None:
        item = self._calls.get(event.call_id)
        if item is None:
            item = self._calls[event.call_id] = self._new("function_call", call_id=event.call_id, name=event.name)
        if event.delta:
            item.grow(item.field, event.delta, self._out)

    def _on_annotation(self, event: AnnotationAdded) -> None:
        item = self._source("message", event.index)
        length = None if item is None else item.open_length()
        if item is None or length is None:
            return
        written = write_annotation(event.annotation, length)
        if written is not None:
            item.annotate(written, self._out)

    def _on_usage(self, event: UsageUpdated) -> None:
        self._usage = event.usage

    def _on_vendor(self, event: VendorEvent) -> None:
        payload = event.payload
        if event.protocol is not PROTOCOL or not isinstance(payload, dict) or not isinstance(payload.get("type"), str):
            return
        index = payload.get("output_index")
        if payload["type"] == "response.output_item.done" and type(index) is int and index in self._sources:
            self._sources[index].is_closed = True
        self._out.append((payload["type"], {name: value for name, value in payload.items() if name != "type"}))

    def _on_result(self, event: ToolResultAdded) -> None:
        """Write nothing: the result is an item of the completed response."""


def _key(kind: str, call_id: object) -> tuple[str, str]:
    """Give what an item that was streamed has in common with its final form."""
    return kind, str(call_id) if kind in CALLS else ""


_HANDLERS: dict[type, Callable[[Encoder, Any], None]] = {
    ResponseStarted: Encoder._begin,
    OutputItemAdded: Encoder._on_item,
    ContentPartAdded: Encoder._on_part,
    TextDelta: Encoder._on_text,
    RefusalDelta: Encoder._on_refusal,
    ReasoningDelta: Encoder._on_reasoning,
    ToolCallDelta: Encoder._on_call,
    ToolResultAdded: Encoder._on_result,
    AnnotationAdded: Encoder._on_annotation,
    UsageUpdated: Encoder._on_usage,
    VendorEvent: Encoder._on_vendor,
    Completed: Encoder._on_completed,
    StreamFailed: Encoder._on_failed,
}


def emit_event(event: LlmStreamEvent) -> SseFrame | None:
    """Write one event by itself; ``None`` where it has no frame."""
    encoder = Encoder(getattr(event, "index", 0))
    if isinstance(event, ResponseStarted):
        return encoder.feed(event)[0]
    if not isinstance(event, Completed | StreamFailed):
        encoder.feed(ResponseStarted(provider_protocol=PROTOCOL))
    if isinstance(event, AnnotationAdded):
        encoder.feed(TextDelta(" ", event.index))
    frames = encoder.feed(event)
    return frames[-1] if frames else None
