"""Streams of Chat Completions, read.

Contract: ``Decoder`` gives the events of a stream's frames and ends with one ``Completed``, at ``[DONE]`` or in ``finish()``
(usage may follow the finish reason), or one ``StreamFailed``. Rules: the choice with index 0 is told, the others are kept; the
whole response is the body that the same answer would have had without streaming, read by ``parse_response``.
"""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import IncompleteStreamError, InvalidShapeError
from ...types.events import (
    Completed,
    ContentPartAdded,
    LlmStreamEvent,
    OutputItemAdded,
    ResponseStarted,
    StreamFailed,
    ToolCallDelta,
    UsageUpdated,
    VendorEvent,
)
from ...types.message import Message
from ...types.parts import AudioPart
from ...types.response import LlmResponse
from .._plain import text_delta
from ..sse import SseFrame
from ._accumulate import Choice
from ._calls import Events
from ._content import CHAT, WIRE
from ._usage import read_usage
from .error import embedded_status, parse_error
from .response import OBJECT, parse_response

DONE = "[DONE]"
_SHORT = 16  # no chunk is as short as that
_NOT_KEPT = frozenset({"choices", "usage", "object", "obfuscation", "id", "model"})


class Decoder:
    """Read a stream, frame by frame."""

    __slots__ = ("_choices", "_done", "_id", "_last", "_model", "_started", "_top", "_usage")

    def __init__(self) -> None:
        self._choices: dict[int, Choice] = {}
        self._top: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None  # what the last chunk said beside its choices
        self._id = ""
        self._model = ""
        self._started = False
        self._done = False

    def feed(self, frame: SseFrame) -> list[LlmStreamEvent]:
        """Give the events of a frame; none after the terminal one."""
        if self._done:
            return []
        data = frame.data
        if len(data) < _SHORT and data.strip() == DONE:
            return self._complete()
        if not data or data.isspace():
            return []
        chunk = _json.loads(data)
        if not isinstance(chunk, dict):
            raise InvalidShapeError("expected a JSON object in the frame")
        if chunk.get("error") or frame.event == "error":
            return self._fail(chunk)
        events: Events = []
        choices = chunk.get("choices")
        if choices is None and "choices" not in chunk and "usage" not in chunk:
            events.append(VendorEvent(CHAT, chunk))
            return events
        beside = {**chunk, "choices": None, "obfuscation": None}
        if beside == self._last:  # as of nearly every chunk: nothing new but the choices
            text = _only_text(choices)
            if text and (choice := self._choices.get(0)) is not None and choice.started:
                choice.grow(text)
                return [text_delta(text)]
        else:
            self._take_top(chunk)
            self._last = beside
        if not self._started and (choices or self._id or self._model):
            events.append(self._start())
        if choices:
            self._take_choices(choices, events)
        usage = chunk.get("usage")
        if usage and usage != self._usage:
            events.append(UsageUpdated(read_usage(usage, "/usage")))
            self._usage = usage
        return events

    def finish(self) -> list[LlmStreamEvent]:
        """Give the terminal event where it is still due; raises ``IncompleteStreamError`` where the terminal mark never came."""
        if self._done:
            return []
        if self._choices and all(choice.word for choice in self._choices.values()):
            return self._complete()
        raise IncompleteStreamError(
            "the stream ended without [DONE] and without a finish reason", partial_response=self.partial()
        )

    def partial(self) -> LlmResponse | None:
        """Give what has arrived so far, or ``None`` before the first event."""
        return parse_response(self._body()) if self._started else None

    def has_ended(self) -> bool:
        """Tell whether a finish reason came."""
        return any(choice.word for choice in self._choices.values())

    def fragment(self) -> ToolCallDelta | None:
        """Give the fragment of a call that is still waiting for its id or name."""
        choice = self._choices.get(0)
        return None if choice is None else choice.calls.last()

    # --- chunks ---------------------------------------------------------------------------------------------------------------

    def _take_top(self, chunk: dict[str, Any]) -> None:
        top = self._top
        for name, value in chunk.items():
            if name not in _NOT_KEPT and (value is not None or name not in top):
                top[name] = value
        if not self._id and isinstance(chunk.get("id"), str):
            self._id = chunk["id"]
        if not self._model and isinstance(chunk.get("model"), str):
            self._model = chunk["model"]

    def _start(self) -> LlmStreamEvent:
        self._started = True
        own = {WIRE.value: dict(self._top)} if self._top else {}
        return ResponseStarted(self._id or None, self._model, CHAT, vendor_extensions=own)

    def _take_choices(self, choices: Any, events: Events) -> None:
        if not isinstance(choices, list):
            raise InvalidShapeError("choices: expected an array", pointer="/choices")
        for value in choices:
            if not isinstance(value, dict):
                raise InvalidShapeError("choices: expected objects", pointer="/choices")
            index = value.get("index")
            if type(index) is not int:
                index = 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = Choice()
            _take_choice(choice, value, events if index == 0 else [])

    def _fail(self, chunk: dict[str, Any]) -> list[LlmStreamEvent]:
        self._done = True
        error = parse_error(embedded_status(chunk), chunk)
        return [StreamFailed(error.message, error)]

    # --- the whole ------------------------------------------------------------------------------------------------------------

    def _complete(self) -> list[LlmStreamEvent]:
        events: Events = [] if self._started else [self._start()]
        first = self._choices.get(0)
        if first is not None:
            first.calls.flush(events)
        response = parse_response(self._body())
        for item in response.output:
            if isinstance(item, Message):
                events.extend(ContentPartAdded(part) for part in item.parts if isinstance(part, AudioPart))
        self._done = True
        events.append(Completed(response))
        return events

    def _body(self) -> dict[str, Any]:
        body = {"object": OBJECT, "created": 0, "model": self._model, **self._top}
        if self._id:
            body["id"] = self._id
        body["choices"] = [self._choices[index].body(index) for index in sorted(self._choices)]
        usage = self._usage
        if usage is None:
            groq = self._top.get("x_groq")  # without include_usage Groq reports it there alone
            usage = groq.get("usage") if isinstance(groq, dict) else None
        if isinstance(usage, dict):
            body["usage"] = usage
        return body


def _only_text(choices: Any) -> str | None:
    """Give the text of a single choice that says nothing else: it goes to its place past all that it might have said."""
    if type(choices) is not list or len(choices) != 1:
        return None
    value = choices[0]
    if type(value) is not dict or not _USUAL.issuperset(value) or value.get("index") != 0 or value.get("finish_reason"):
        return None
    delta = value.get("delta")
    if type(delta) is not dict or len(delta) != 1 or value.get("logprobs") is not None:
        return None
    text = delta.get("content")
    return text if type(text) is str else None


_USUAL = frozenset({"index", "delta", "logprobs", "finish_reason"})


def _take_choice(choice: Choice, value: dict[str, Any], events: Events) -> None:
    for name, item in value.items():
        if name == "logprobs":
            choice.add_logprobs(item)
        elif name not in ("index", "delta", "message", "finish_reason") and (item is not None or name not in choice.rest):
            choice.rest[name] = item
    delta = value["delta"] if "delta" in value else value.get("message")
    if delta is not None:
        if not isinstance(delta, dict):
            raise InvalidShapeError("delta: expected an object", pointer="/choices/0/delta")
        choice.add(delta, events)
    word = value.get("finish_reason")
    if word and isinstance(word, str):
        choice.word = word
        choice.calls.flush(events)


def parse_event(frame: SseFrame) -> LlmStreamEvent | None:
    """Read one frame by itself: its most telling event; ``None`` where it says nothing."""
    decoder = Decoder()
    if frame.data.strip() == DONE:
        return None
    events = decoder.feed(frame)
    if decoder.has_ended():
        partial = decoder.partial()
        return None if partial is None else Completed(partial)
    for event in events:
        if not isinstance(event, ResponseStarted | OutputItemAdded):
            return event
    return decoder.fragment() or (events[0] if events else None)
