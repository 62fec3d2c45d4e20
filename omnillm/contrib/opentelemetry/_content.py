"""Prompts and answers as the conventions write them, within a bound: only for who asked for content."""

from __future__ import annotations

from typing import Any

from ... import _json
from ...types.message import Message
from ...types.parts import (
    AudioPart,
    FilePart,
    ImageBase64Part,
    ImageUrlPart,
    JsonPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ...types.request import LlmRequest
from ...types.response import LlmResponse
from ._names import Attributes

MORE = "…"
FILES = {ImageBase64Part: "image", AudioPart: "audio", FilePart: "file"}


class Room:
    """Give texts for as long as there is room for them (characters)."""

    def __init__(self, chars: int) -> None:
        self._left = chars

    def __bool__(self) -> bool:
        return self._left > 0

    def take(self, text: str) -> str:
        """Give as much of the text as there is room for, and the mark of what is missing."""
        taken = text[: max(self._left, 0)]
        self._left -= len(text)
        return taken if len(taken) == len(text) else taken + MORE


def asked(request: object, chars: int) -> Attributes:
    """Give the attributes of what was asked; of a long history, the newest messages."""
    if not isinstance(request, LlmRequest):
        return {}
    room, messages = Room(chars), []
    found: Attributes = {}
    if request.instructions is not None:
        found["gen_ai.system_instructions"] = _text([{"type": "text", "content": room.take(request.instructions)}])
    for message in reversed(request.normalized_messages()):
        if not room:
            break
        messages.append({"role": str(message.role), "parts": [_part(part, room) for part in message.parts]})
    found["gen_ai.input.messages"] = _text(messages[::-1])
    stops = request.generation.stop_sequences
    return {**found, "gen_ai.request.stop_sequences": stops} if stops else found


def answered(response: object, chars: int) -> Attributes:
    """Give the attributes of what was answered."""
    if not isinstance(response, LlmResponse):
        return {}
    room = Room(chars)
    parts = [part for item in response.output for part in (item.parts if isinstance(item, Message) else (item,))]
    written = [_part(part, room) for part in parts if room]
    message = {"role": "assistant", "parts": written, "finish_reason": str(response.finish_reason or "stop")}
    return {"gen_ai.output.messages": _text([message])}


def _part(part: Any, room: Room) -> dict[str, Any]:
    """Write a part; of files and media no more than what they are."""
    if isinstance(part, TextPart):
        return {"type": "text", "content": room.take(part.text)}
    if isinstance(part, ToolCallPart):
        return {"type": "tool_call", "id": part.call_id, "name": part.name, "arguments": room.take(part.arguments_text())}
    if isinstance(part, ToolResultPart):
        return {"type": "tool_call_response", "id": part.call_id, "response": room.take(part.text())}
    if isinstance(part, ReasoningPart):
        return {"type": "reasoning", "content": room.take("".join(part.summary) + part.text)}
    if isinstance(part, ImageUrlPart) and not part.url.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": room.take(part.url)}
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "content": room.take(part.text)}
    if isinstance(part, JsonPart):
        return {"type": "json", "content": room.take(_text(part.value))}
    return {"type": FILES.get(type(part), "image" if isinstance(part, ImageUrlPart) else "vendor")}


def _text(value: Any) -> str:
    return _json.dumps(value)
