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
    ContentPartAdded,
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
from ...types.parts import AudioPart, VendorPart
from ...types.response import LlmResponse
from ...types.usage import TokenUsage
from .._fields import SPELLING, Emission, is_hollow, kept
from ..sse import SseFrame
from ._annotations import cited
from ._assistant import REASONING_FIELDS
from ._content import CHAT, WIRE
from ._usage import write_usage
from .error import emit_error
from .response import NO_ID, emit_response, finish_word
from .stream import DONE

_CHUNK = "chat.completion.chunk"
_HEAD = frozenset({"created", "system_fingerprint", "service_tier"})  # what every chunk says again
_NOT_REST = _HEAD | {"id", "object", "model", "choices", "usage", SPELLING}
_TOLD = frozenset({"role", "content", "refusal", "annotations", "audio", "tool_calls", "function_call", *REASONING_FIELDS})
_TOLD_OF_CALLS = frozenset({"id", "type", "index", "function", "custom"})


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
        elif isinstance(event, ContentPartAdded) and isinstance(event.part, VendorPart) and event.part.protocol is CHAT:
            return self._delta({"content": [event.part.payload]})
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
            if name in _HEAD and value is not None:
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
        choices = [choice for choice in body["choices"] if isinstance(choice, dict)]
        message = choices[0].get("message") if choices else None
        frames = [] if self._started else self._open()
        frames += self._missing(response, message if isinstance(message, dict) else {})
        frames.append(self._chunk([_last_choice(response)], **_rest(body, _NOT_REST)))
        frames += [self._chunk([_as_delta(choice)]) for choice in choices[1:]]
        usage = self._usage if response.usage.estimated and self._usage is not None else response.usage
        written = write_usage(usage, Emission(WIRE))
        if written is not None:
            frames.append(self._chunk([], usage=written))
        frames.append(SseFrame(None, DONE))
        self._done = True
        return frames

    def _missing(self, response: LlmResponse, message: dict[str, Any]) -> list[SseFrame]:
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
        for i, call in enumerate(response.tool_calls):
            call_id = call.call_id or f"call_{i}"
            found = self._calls.get(call_id)
            rest = _remainder(call.arguments_text(), "".join(found[1]) if found else "")
            if rest or found is None:
                frames += self._call(call_id, call.name, rest)
        whole = _rest(message, _TOLD)
        if message.get("annotations") and not self._annotated:
            whole["annotations"] = message["annotations"]
        if any(isinstance(part, AudioPart) for item in response.messages for part in item.parts):
            whole["audio"] = message.get("audio")
        calls = self._rest_of_calls(message.get("tool_calls"))
        if calls:
            whole["tool_calls"] = calls
        return frames + self._delta(whole) if whole else frames

    def _rest_of_calls(self, calls: Any) -> list[dict[str, Any]]:
        """Give what rides with calls and no delta can say, such as signatures."""
        found = []
        for call in calls if isinstance(calls, list) else ():
            told = self._calls.get(str(call.get("id"))) if isinstance(call, dict) else None
            rest = _rest(call, _TOLD_OF_CALLS) if told is not None else {}
            if told is not None and rest:
                found.append({"index": told[0], **rest})
        return found

    def _fail(self, event: StreamFailed) -> list[SseFrame]:
        self._done = True
        error = event.error if isinstance(event.error, ProviderError) else ProviderError(event.message)
        return [SseFrame(None, _json.dumps(emit_error(error)))]


def _remainder(whole: str, told: str) -> str:
    return whole[len(told) :] if whole.startswith(told) else ""


def _rest(written: dict[str, Any], told: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in written.items() if name not in told and not is_hollow(value)}


def _last_choice(response: LlmResponse) -> dict[str, Any]:
    return {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish_word(response) or "stop"}


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
    last = _last_choice(response)
    return encoder._chunk([last]) if usage is None else encoder._chunk([last], usage=usage)
