"""Streams of Chat Completions, written.

Contract: ``Encoder`` writes the frames that the provider's SDK accumulates to the answer that the events tell. Rules: a first
chunk says the role; what no delta carried is taken from the completed response; the finish reason has a chunk of its own, then
usage with no choices, then ``[DONE]``. A failed stream ends with the error's frame. What provider-run tools did has no form here.
"""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import ProviderError
from ...types.events import (
    AnnotationAdded,
    Completed,
    LlmStreamEvent,
    ReasoningDelta,
    RefusalDelta,
    ResponseStarted,
    StreamFailed,
    TextDelta,
    ToolCallDelta,
    UsageUpdated,
    VendorEvent,
)
from ...types.parts import AudioPart
from ...types.response import LlmResponse
from ...types.usage import TokenUsage
from .._fields import SPELLING, Emission, kept
from ..sse import SseFrame
from ._annotations import cited
from ._content import CHAT, WIRE
from ._usage import write_usage
from .error import emit_error
from .response import NO_ID, emit_response, finish_word
from .stream import DONE

_CHUNK = "chat.completion.chunk"


class Encoder:
    """Write a stream, event by event."""

    __slots__ = ("_annotated", "_calls", "_done", "_head", "_reasoning", "_refusal", "_started", "_text", "_usage")

    def __init__(self) -> None:
        self._head: dict[str, Any] = {"id": NO_ID, "object": _CHUNK, "created": 0, "model": ""}
        self._started = False
        self._done = False
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[str, tuple[int, list[str]]] = {}
        self._annotated = False
        self._usage: TokenUsage | None = None

    def feed(self, event: LlmStreamEvent) -> list[SseFrame]:
        """Give the frames of an event; none after the terminal one."""
        if self._done:
            return []
        if isinstance(event, TextDelta):
            self._text.append(event.delta)
            return self._delta({"content": event.delta}) if event.delta else []
        if isinstance(event, ToolCallDelta):
            return self._call(event.call_id, event.name, event.delta)
        if isinstance(event, ReasoningDelta):
            self._reasoning.append(event.delta)
            return self._delta({"reasoning_content": event.delta}) if event.delta else []
        if isinstance(event, RefusalDelta):
            self._refusal.append(event.delta)
            return self._delta({"refusal": event.delta}) if event.delta else []
        if isinstance(event, ResponseStarted):
            return self._start(event)
        if isinstance(event, UsageUpdated):
            self._usage = event.usage
        elif isinstance(event, AnnotationAdded):
            return self._annotation(event)
        elif isinstance(event, Completed):
            return self._complete(event.response)
        elif isinstance(event, StreamFailed):
            return self._fail(event)
        elif isinstance(event, VendorEvent) and event.protocol is CHAT:
            return [SseFrame(None, _json.dumps(event.payload))]
        return []

    def finish(self) -> list[SseFrame]:
        """Give nothing: a stream that was not completed must not look so."""
        return []

    # --- chunks ---------------------------------------------------------------------------------------------------------------

    def _chunk(self, choices: list[Any], **more: Any) -> SseFrame:
        return SseFrame(None, _json.dumps({**self._head, "choices": choices, **more}))

    def _delta(self, delta: dict[str, Any]) -> list[SseFrame]:
        frame = self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])
        return [frame] if self._started else [*self._open(), frame]

    def _open(self) -> list[SseFrame]:
        self._started = True
        return self._delta({"role": "assistant", "content": ""})

    def _start(self, event: ResponseStarted) -> list[SseFrame]:
        self._name(event.response_id, event.model, kept(event.vendor_extensions, WIRE))
        return [] if self._started else self._open()

    def _name(self, response_id: str | None, model: str, own: Any) -> None:
        for name, value in own.items():
            if name not in (SPELLING, "choices", "usage", "object", "id", "model"):
                self._head[name] = value
        if response_id:
            self._head["id"] = response_id
        if model:
            self._head["model"] = model

    def _call(self, call_id: str, name: str, delta: str) -> list[SseFrame]:
        found = self._calls.get(call_id)
        if found is None:
            found = self._calls[call_id] = (len(self._calls), [])
            call = {"index": found[0], "id": call_id, "type": "function", "function": {"name": name, "arguments": delta}}
        else:
            call = {"index": found[0], "function": {"arguments": delta}}
            if not delta:
                return []
        found[1].append(delta)
        return self._delta({"tool_calls": [call]})

    def _annotation(self, event: AnnotationAdded) -> list[SseFrame]:
        written = cited(event.annotation, sum(map(len, self._text)))
        if written is None:
            return []
        self._annotated = True
        return self._delta({"annotations": [written]})

    # --- the end --------------------------------------------------------------------------------------------------------------

    def _complete(self, response: LlmResponse) -> list[SseFrame]:
        if not self._started:
            self._name(response.response_id, response.model, kept(response.vendor_extensions, WIRE))
        body = emit_response(response, Emission(WIRE))
        frames = [] if self._started else self._open()
        frames += self._missing(response, body)
        last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish_word(response) or "stop"}
        frames.append(self._chunk([last]))
        for choice in body["choices"][1:]:
            if isinstance(choice, dict):
                frames.append(self._chunk([_as_delta(choice)]))
        usage = self._usage if response.usage.estimated and self._usage is not None else response.usage
        written = write_usage(usage, Emission(WIRE))
        if written is not None:
            frames.append(self._chunk([], usage=written))
        frames.append(SseFrame(None, DONE))
        self._done = True
        return frames

    def _missing(self, response: LlmResponse, body: dict[str, Any]) -> list[SseFrame]:
        """Give the deltas of what the response says and no delta did."""
        frames: list[SseFrame] = []
        for name, said, told in (
            ("reasoning_content", response.reasoning_text, self._reasoning),
            ("content", response.content_text, self._text),
            ("refusal", response.refusal or "", self._refusal),
        ):
            rest = _remainder(said, "".join(told))
            if rest:
                frames += self._delta({name: rest})
        for call in response.tool_calls:
            found = self._calls.get(call.call_id)
            rest = _remainder(call.arguments_text(), "".join(found[1]) if found else "")
            if rest or found is None:
                frames += self._call(call.call_id, call.name, rest)
        message = body["choices"][0]["message"] if body["choices"] else {}
        if message.get("annotations") and not self._annotated:
            frames += self._delta({"annotations": message["annotations"]})
        if any(isinstance(part, AudioPart) for item in response.messages for part in item.parts) and message.get("audio"):
            frames += self._delta({"audio": message["audio"]})
        return frames

    def _fail(self, event: StreamFailed) -> list[SseFrame]:
        self._done = True
        error = event.error if isinstance(event.error, ProviderError) else ProviderError(event.message)
        return [SseFrame(None, _json.dumps(emit_error(error)))]


def _remainder(whole: str, told: str) -> str:
    return whole[len(told) :] if whole.startswith(told) else ""


def _as_delta(choice: dict[str, Any]) -> dict[str, Any]:
    """Give a whole choice as one delta."""
    message = choice.get("message")
    delta = dict(message) if isinstance(message, dict) else {}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [{**call, "index": i} for i, call in enumerate(calls) if isinstance(call, dict)]
    return {**{name: value for name, value in choice.items() if name != "message"}, "delta": delta}


def emit_event(event: LlmStreamEvent) -> SseFrame | None:
    """Write one event by itself; ``None`` where it has no frame."""
    encoder = Encoder()
    if isinstance(event, ResponseStarted):
        return encoder.feed(event)[0]
    if isinstance(event, Completed):
        return _last(event.response)
    if isinstance(event, UsageUpdated):
        written = write_usage(event.usage, Emission(WIRE))
        return None if written is None else encoder._chunk([], usage=written)
    frames = encoder.feed(event)
    return frames[-1] if frames else None


def _last(response: LlmResponse) -> SseFrame:
    encoder = Encoder()
    encoder._name(response.response_id, response.model, {})
    usage = write_usage(response.usage, Emission(WIRE))
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish_word(response) or "stop"}
    return encoder._chunk([last]) if usage is None else encoder._chunk([last], usage=usage)


__all__ = ["Encoder", "emit_event"]
