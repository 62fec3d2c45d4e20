"""Streams of Responses, read.

Contract: ``Decoder`` gives the events of a stream's frames and ends with one ``Completed`` or one ``StreamFailed``. The
response in the terminal event is the answer; where it has no output, or where a compatible server ends with a bare
``[DONE]``, the answer is put together from the items and deltas that came.
Rules: ``index`` is the item's ``output_index``. An item is announced before its first delta, even where the provider left
that out. An event that only this protocol knows is a ``VendorEvent``; so is the end of an item that only this protocol knows.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import _json
from ...errors import IncompleteStreamError, InvalidShapeError
from ...types.events import (
    AnnotationAdded,
    Completed,
    LlmStreamEvent,
    OutputItemAdded,
    ResponseStarted,
    StreamFailed,
    ToolCallDelta,
    UsageUpdated,
    VendorEvent,
)
from ...types.response import LlmResponse
from ..sse import SseFrame
from ._annotations import is_annotation, read_annotation
from ._own import PROTOCOL, WIRE, Item
from ._stream_item import ARGUMENTS, INPUT, REASONING, REFUSAL, SUMMARY, TEXT, Events, StreamItem
from ._usage import read_usage
from .error import error_inside
from .response import OBJECT, parse_response

DONE = "[DONE]"

_LATER = frozenset({"id", "model", "object", "output", "status", "usage"})  # not among what opens a stream
_PART_FIELDS = {"output_text": TEXT, "refusal": REFUSAL, "reasoning_text": REASONING, "summary_text": SUMMARY}
# event -> the text of an item that it is about, where that text's number is, and the item's type
_ABOUT: dict[str, tuple[str, str, str]] = {
    "response.output_text": (TEXT, "content_index", "message"),
    "response.refusal": (REFUSAL, "content_index", "message"),
    "response.reasoning_text": (REASONING, "content_index", "reasoning"),
    "response.reasoning_summary_text": (SUMMARY, "summary_index", "reasoning"),
    "response.function_call_arguments": (ARGUMENTS, "", "function_call"),
    "response.custom_tool_call_input": (INPUT, "", "custom_tool_call"),
}
_DELTAS = {f"{name}.delta": about for name, about in _ABOUT.items()}
_DONES = {f"{name}.done": about for name, about in _ABOUT.items()}


class Decoder:
    """Read a stream, frame by frame."""

    __slots__ = ("_done", "_ids", "_items", "_response", "_started")

    def __init__(self) -> None:
        self._response: Item = {}
        self._items: dict[int, StreamItem] = {}
        self._ids: dict[str, int] = {}
        self._started = False
        self._done = False

    def feed(self, frame: SseFrame) -> list[LlmStreamEvent]:
        """Give the events of a frame; none after the terminal one."""
        data = frame.data
        if self._done or not data or data.isspace():
            return []
        if data == DONE or data.strip() == DONE:
            return self._close() if self._started else []
        return self.take(*_read(frame))

    def take(self, event: Item, kind: object) -> list[LlmStreamEvent]:
        """Give the events of an event of the wire."""
        if not isinstance(kind, str):
            if event.get("error"):
                return self._on_error(event)
            return [VendorEvent(PROTOCOL, event)]
        about = _DELTAS.get(kind)
        if about is not None:
            return self._on_delta(about, event)
        handler = _HANDLERS.get(kind)
        if handler is not None:
            return handler(self, event if "type" in event else {**event, "type": kind})
        about = _DONES.get(kind)
        if about is not None:
            return self._on_done(about, event)
        return [] if kind in _SILENT else [VendorEvent(PROTOCOL, event)]

    def finish(self) -> list[LlmStreamEvent]:
        """Give nothing more; raises ``IncompleteStreamError`` where the terminal event never came."""
        if self._done:
            return []
        raise IncompleteStreamError("the stream ended without its terminal event", partial_response=self.partial())

    def partial(self) -> LlmResponse | None:
        """Give what has arrived so far, or ``None`` before the first event."""
        return parse_response(self._body()) if self._started else None

    def fragment(self) -> ToolCallDelta | None:
        """Give the fragment of a call that is still waiting for its name."""
        for item in self._items.values():
            payload = item.payload()
            text = payload.get(ARGUMENTS, payload.get(INPUT))
            if item.kind in ("function_call", "custom_tool_call") and isinstance(text, str):
                return ToolCallDelta("", "", text, item.index)
        return None

    # --- the response ---------------------------------------------------------------------------------------------------------

    def _open(self, events: Events) -> None:
        if not self._started:
            self._started = True
            response = self._response
            rest = {name: value for name, value in response.items() if name not in _LATER}
            response_id, model = response.get("id"), response.get("model")
            started = ResponseStarted(
                response_id if isinstance(response_id, str) else None,
                model if isinstance(model, str) else "",
                PROTOCOL,
                vendor_extensions={WIRE.value: rest} if rest else {},
            )
            events.append(started)

    def _on_snapshot(self, event: Item) -> list[LlmStreamEvent]:
        events: Events = []
        self._response = _response_of(event)
        self._open(events)
        return events

    def _on_terminal(self, event: Item) -> list[LlmStreamEvent]:
        events: Events = []
        final = _response_of(event) if event.get("response") is not None else _unwrapped(event)
        for name in ("id", "model", "object", "created_at"):
            if name in self._response:
                final.setdefault(name, self._response[name])
        final.setdefault("status", str(event.get("type")).removeprefix("response."))
        self._response = {**final, "output": []}
        self._open(events)
        output = final.get("output")
        if not output or not isinstance(output, list):
            final["output"] = [self._items[index].payload() for index in sorted(self._items)]
        for index, item in enumerate(final["output"]):
            if isinstance(item, dict):
                self._catch_up(index, item, events)
        return self._complete(final, events)

    def _catch_up(self, index: int, item: Item, events: Events) -> None:
        """Tell what of a final item no event told."""
        at = self._ids.get(item["id"]) if isinstance(item.get("id"), str) else None
        found = self._items.get(index if at is None else at)
        if found is None:
            found = self._add(index, item, events)
        if found.kind == item.get("type"):
            found.finish(item, events)

    def _close(self) -> list[LlmStreamEvent]:
        """End a stream that has no terminal event but ``[DONE]``."""
        return self._complete({**self._body(), "status": "completed"}, [])

    def _complete(self, body: Item, events: Events) -> list[LlmStreamEvent]:
        response = parse_response(body)
        if body.get("usage") is not None:
            events.append(UsageUpdated(read_usage(body["usage"], "/response/usage")))
        self._done = True
        events.append(Completed(response))
        return events

    def _body(self) -> Item:
        output = [self._items[index].payload() for index in sorted(self._items)]
        return {"object": OBJECT, **self._response, "output": output}

    def _on_failed(self, event: Item) -> list[LlmStreamEvent]:
        unwrapped = event.get("response") is None and "error" in event
        return self._on_error(event if unwrapped else _response_of(event))

    def _on_error(self, event: Item) -> list[LlmStreamEvent]:
        self._done = True
        error = error_inside(event)
        return [StreamFailed(error.message, error)]

    # --- items ----------------------------------------------------------------------------------------------------------------

    def _index(self, event: Item) -> int:
        index, item_id = event.get("output_index"), event.get("item_id")
        if type(index) is not int:
            known = self._ids.get(item_id) if isinstance(item_id, str) else None
            index = known if known is not None else max(len(self._items) - (item_id is None), 0)
        return index

    def _item(self, event: Item, kind: str, events: Events) -> StreamItem:
        index = self._index(event)
        found = self._items.get(index)
        if found is None:
            start: Item = {"type": kind, "role": "assistant"} if kind == "message" else {"type": kind}
            item_id = event.get("item_id")
            if isinstance(item_id, str):
                start["id"] = item_id
            found = self._add(index, start, events)
        return found

    def _add(self, index: int, start: Item, events: Events) -> StreamItem:
        self._open(events)
        item = self._items[index] = StreamItem(start, index)
        if isinstance(start.get("id"), str):
            self._ids[start["id"]] = index
        item.announce(events)
        return item

    def _on_added(self, event: Item) -> list[LlmStreamEvent]:
        events: Events = []
        start = event.get("item")
        if isinstance(start, dict):
            index = event.get("output_index")
            self._add(index if type(index) is int else len(self._items), start, events)
        return events

    def _on_item_done(self, event: Item) -> list[LlmStreamEvent]:
        events: Events = []
        whole = event.get("item")
        if not isinstance(whole, dict):
            return events
        index = self._index({"item_id": whole.get("id"), **event})
        item = self._items.get(index) or self._add(index, whole, events)
        item.finish(whole, events)
        if item.is_ours_alone:
            events.append(VendorEvent(PROTOCOL, event))
        return events

    def _on_part_added(self, event: Item) -> list[LlmStreamEvent]:
        events: Events = []
        part = event.get("part")
        field = _PART_FIELDS.get(str(part.get("type"))) if isinstance(part, dict) else None
        if field is not None:
            kind, name = ("message", "content_index") if field in (TEXT, REFUSAL) else ("reasoning", "content_index")
            item = self._item(event, kind, events)
            item.grow(field, _number(event, "summary_index" if field == SUMMARY else name), "", events)
        return events

    def _on_delta(self, about: tuple[str, str, str], event: Item) -> list[LlmStreamEvent]:
        field, number, kind = about
        delta = event.get("delta")
        if not isinstance(delta, str):
            raise InvalidShapeError("delta: expected a string", pointer="/delta")
        events: Events = []
        self._item(event, kind, events).grow(field, _number(event, number), delta, events)
        return events

    def _on_done(self, about: tuple[str, str, str], event: Item) -> list[LlmStreamEvent]:
        field, number, kind = about
        events: Events = []
        text = event.get("text" if field in (TEXT, REASONING, SUMMARY) else field)
        self._item(event, kind, events).complete(field, _number(event, number), text, events)
        return events

    def _on_annotation(self, event: Item) -> list[LlmStreamEvent]:
        events: Events = []
        annotation: Item = event.get("annotation") or {}
        item = self._item(event, "message", events)
        item.annotate(_number(event, "content_index"), annotation)
        if is_annotation(annotation):
            events.append(AnnotationAdded(read_annotation(annotation), item.index))
        return events


def _read(frame: SseFrame) -> tuple[Item, object]:
    event = _json.loads(frame.data)
    if not isinstance(event, dict):
        raise InvalidShapeError("expected a JSON object in the frame")
    return event, event.get("type") or frame.event


def _number(event: Item, name: str) -> int:
    number = event.get(name)
    return number if type(number) is int else 0


def _response_of(event: Item) -> Item:
    response = event.get("response")
    if not isinstance(response, dict):
        raise InvalidShapeError("response: expected an object", pointer="/response")
    return dict(response)


def _unwrapped(event: Item) -> Item:
    """Give what a terminal event without a response says of it."""
    return {name: value for name, value in event.items() if name in _UNWRAPPED}


_UNWRAPPED = frozenset({"id", "model", "output", "usage", "status", "incomplete_details"})
_HANDLERS: dict[str, Callable[[Decoder, Item], list[LlmStreamEvent]]] = {
    "response.created": Decoder._on_snapshot,
    "response.queued": Decoder._on_snapshot,
    "response.in_progress": Decoder._on_snapshot,
    "response.completed": Decoder._on_terminal,
    "response.incomplete": Decoder._on_terminal,
    "response.cancelled": Decoder._on_terminal,
    "response.failed": Decoder._on_failed,
    "error": Decoder._on_error,
    "response.output_item.added": Decoder._on_added,
    "response.output_item.done": Decoder._on_item_done,
    "response.content_part.added": Decoder._on_part_added,
    "response.reasoning_summary_part.added": Decoder._on_part_added,
    "response.output_text.annotation.added": Decoder._on_annotation,
}
_SILENT = frozenset({"response.content_part.done", "response.reasoning_summary_part.done"})


def parse_event(frame: SseFrame) -> LlmStreamEvent | None:
    """Read one frame by itself: its most telling event; ``None`` where it says nothing, or nothing that deltas do not say."""
    if not frame.data or frame.data.isspace() or frame.data.strip() == DONE:
        return None
    event, kind = _read(frame)
    if isinstance(kind, str) and (kind in _DONES or kind in _SILENT):
        return None
    decoder = Decoder()
    events = decoder.take(event, kind)
    if kind == "response.output_item.done":
        return events[-1] if events and isinstance(events[-1], VendorEvent) else None
    if events and isinstance(events[-1], Completed):
        return events[-1]
    telling = (found for found in events if not isinstance(found, ResponseStarted | OutputItemAdded))
    return next(telling, None) or decoder.fragment() or (events[-1] if events else None)
