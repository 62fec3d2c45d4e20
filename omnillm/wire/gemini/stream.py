"""A generateContent stream read into events.

Purpose: every chunk is a whole ``GenerateContentResponse``; there is no terminal mark.
Contract: the chunks are gathered into the body that the same answer has without a stream, and that is read once, at the end: the
final response and a response without a stream are the same value.
Rules: the end of the stream ends it, where a finish reason or a block of the prompt came before. The last usage counts. A stream
without ``alt=sse`` is one JSON array: its items may come alone, in lists, or with the array's own marks around them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import _json
from ...errors import IncompleteStreamError, InvalidShapeError
from ...types.enums import MessageRole
from ...types.events import (
    AnnotationAdded,
    Completed,
    LlmStreamEvent,
    OutputItemAdded,
    ResponseStarted,
    StreamFailed,
    UsageUpdated,
    VendorEvent,
)
from ...types.message import Message
from ...types.parts import TextPart
from ...types.response import LlmResponse
from ..sse import SseFrame
from ._accumulate import Candidate, Events
from ._own import PROTOCOL, WIRE, fields_of
from ._usage import read_usage
from .error import parse_error
from .response import block_reason, parse_response

_MARKS = frozenset({"", "[", "]", ",", "[DONE]"})
_KNOWN = frozenset({"candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"})
_NOT_KEPT = frozenset({"candidates", "usageMetadata", "@spelling"})


class ChunkDecoder:
    """Read a whole stream."""

    __slots__ = ("_candidates", "_done", "_item_added", "_last", "_started", "_top", "_usage")

    def __init__(self) -> None:
        self._candidates: dict[int, Candidate] = {}
        self._top: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None  # what the last chunk said beside its candidates and its usage
        self._started = self._item_added = self._done = False

    def feed(self, frame: SseFrame) -> list[LlmStreamEvent]:
        """Give the events of a frame."""
        if self._done:
            return []
        events: Events = []
        data = frame.data
        if data[:1] == "{" and data[-1:] == "}":  # one chunk, as nearly always
            self._take(_json.loads(data), events)
            return events
        for chunk in read_chunks(data):
            if not self._done:
                self._take(chunk, events)
        return events

    def finish(self) -> list[LlmStreamEvent]:
        """Give the final event; raises ``IncompleteStreamError`` where no finish reason came."""
        if self._done:
            return []
        if not self.has_ended():
            raise IncompleteStreamError("the stream ended without a finish reason", partial_response=self.partial())
        events: Events = []
        if 0 in self._candidates:
            self._candidates[0].end(events)
        response = parse_response(self._body())
        for part in (part for message in response.messages for part in message.parts):
            if isinstance(part, TextPart):
                events.extend(map(AnnotationAdded, part.annotations))
        self._done = True
        return [*events, Completed(response)]

    def partial(self) -> LlmResponse | None:
        """Give what has arrived so far, or ``None`` before the first event."""
        return parse_response(self._body()) if self._started else None

    def has_ended(self) -> bool:
        """Tell whether every candidate has a finish reason, or the prompt was blocked."""
        if self._candidates:
            return all(candidate.word for candidate in self._candidates.values())
        return block_reason(self._top.get("promptFeedback")) is not None

    def _take(self, chunk: dict[str, Any], events: Events) -> None:
        if chunk.get("error") and not chunk.get("candidates"):
            self._done = True
            error = parse_error(None, chunk)
            events.append(StreamFailed(error.message, error))
            return
        beside = {**chunk, "candidates": None, "usageMetadata": None}
        if beside == self._last:  # as of nearly every chunk
            self._take_again(chunk, events)
            return
        fields = fields_of(chunk)
        if _KNOWN.isdisjoint(fields):
            events.append(VendorEvent(PROTOCOL, chunk))
            return
        for name, value in fields.items():
            if name not in _NOT_KEPT and (value is not None or name not in self._top):
                self._top[name] = value
        if not self._started:
            self._started = True
            events.append(self._start())
        self._take_again(fields, events)
        self._last = beside if fields is chunk else None  # under other names nothing is as before

    def _take_again(self, fields: Mapping[str, Any], events: Events) -> None:
        """Take what comes with every chunk."""
        candidates = fields.get("candidates")
        text, first = _only_text(candidates), self._candidates.get(0)
        if text and first is not None:
            first.grow(text, events)
        else:
            self._take_candidates(candidates, events)
        usage = fields.get("usageMetadata")
        if usage is not None and usage != self._usage:
            events.append(UsageUpdated(read_usage(usage, "/usageMetadata")))
            self._usage = usage

    def _start(self) -> ResponseStarted:
        response = parse_response({"candidates": [], **self._top})
        own = {name: value for name, value in self._top.items() if name not in ("responseId", "modelVersion", "promptFeedback")}
        return ResponseStarted(response.response_id, response.model, PROTOCOL, vendor_extensions={WIRE.value: own} if own else {})

    def _take_candidates(self, candidates: Any, events: Events) -> None:
        if candidates is None:
            return
        if not isinstance(candidates, list):
            raise InvalidShapeError("candidates: expected an array", pointer="/candidates")
        for place, value in enumerate(candidates):
            if not isinstance(value, dict):
                raise InvalidShapeError("candidates: expected objects", pointer="/candidates")
            index = value.get("index")
            index = index if type(index) is int else place
            if index == 0 and not self._item_added:
                self._item_added = True
                events.append(OutputItemAdded(Message(MessageRole.ASSISTANT, ())))
            if index not in self._candidates:
                self._candidates[index] = Candidate()
            self._candidates[index].add(value, events if index == 0 else [])

    def _body(self) -> dict[str, Any]:
        body = dict(self._top)
        if self._candidates:
            body["candidates"] = [{**self._candidates[index].body(), "index": index} for index in sorted(self._candidates)]
        elif "promptFeedback" not in body:
            body["candidates"] = []
        if self._usage is not None:
            body["usageMetadata"] = self._usage
        return body


def _only_text(candidates: Any) -> str | None:
    """Give the text of a single candidate that says nothing else: it goes to its place past all that it might have said."""
    if type(candidates) is not list or len(candidates) != 1:
        return None
    value = candidates[0]
    if type(value) is not dict or len(value) != 2 or value.get("index") != 0:
        return None
    content = value.get("content")
    if type(content) is not dict or len(content) != 2 or content.get("role") != "model":
        return None
    parts = content.get("parts")
    if type(parts) is not list or len(parts) != 1 or type(parts[0]) is not dict or len(parts[0]) != 1:
        return None
    text = parts[0].get("text")
    return text if type(text) is str else None


def read_chunks(data: str) -> list[dict[str, Any]]:
    """Read the chunks of a frame: one, a list of them, or one with the marks of an array around it."""
    text = data.strip()
    if text in _MARKS:
        return []
    if text[0] == ",":
        text = text[1:]
    if text[0] == "[" and text[-1] != "]":
        text = text[1:]
    elif text[0] != "[" and text[-1] == "]":
        text = text[:-1]
    value = _json.loads(text.rstrip(",") if text[-1:] == "," else text)
    chunks = value if isinstance(value, list) else [value]
    for chunk in chunks:
        if not isinstance(chunk, dict):
            raise InvalidShapeError("expected a JSON object in the frame")
    return chunks


def parse_event(frame: SseFrame) -> LlmStreamEvent | None:
    """Read one frame by itself: its most telling event; ``None`` where it says nothing."""
    decoder = ChunkDecoder()
    events = decoder.feed(frame)
    if decoder.has_ended():
        return decoder.finish()[-1]
    for event in events:
        if not isinstance(event, ResponseStarted | OutputItemAdded):
            return event
    return events[0] if events else None
