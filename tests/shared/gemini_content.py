"""What the tests of generateContent share: payloads and values written short."""

from __future__ import annotations

import copy
import json
from typing import Any

import omnillm as o

P = o.ProviderProtocol.GEMINI_GENERATE_CONTENT
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CLAUDE = o.ProviderProtocol.CLAUDE_MESSAGES
WIRE = o.WireFormat.GEMINI_GENERATE_CONTENT
HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
SIGNED = {"text": "Hm.", "thought": True, "thoughtSignature": "Eq=="}


def body(*contents: Any, **fields: Any) -> dict[str, Any]:
    """Give a request's payload."""
    return {"contents": list(contents or (HELLO,)), **fields}


def user(*parts: Any) -> dict[str, Any]:
    """Give a user's turn."""
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:
    """Give a model's turn."""
    return {"role": "model", "parts": list(parts)}


def called(name: str = "f", **fields: Any) -> dict[str, Any]:
    """Give a part that calls a function."""
    return {"functionCall": {"name": name, "args": {}, **fields}}


def gave(response: Any, name: str = "f", **fields: Any) -> dict[str, Any]:
    """Give a part with a function's result."""
    return {"functionResponse": {"name": name, "response": response, **fields}}


def own(**fields: Any) -> dict[str, Any]:
    """Give extensions that parsing kept of this wire."""
    return {WIRE.value: fields}


def kept(value: Any) -> dict[str, Any]:
    """Give what parsing kept of this wire, without how it was spelled."""
    found: dict[str, Any] = value.vendor_extensions.get(WIRE.value, {})
    return {name: item for name, item in found.items() if name != "@spelling"}


def again(payload: dict[str, Any]) -> dict[str, Any]:
    """Read and write a payload, through JSON at rest, and without changing it on the way."""
    before = copy.deepcopy(payload)
    request = o.parse_request(P, payload)
    report = o.emit_api_request(WIRE, o.LlmRequest.from_json(request.to_json()))
    assert payload == before
    assert report.losses == ()
    assert o.emit_request(P, request) == report.value
    return report.value


def write(*items: Any, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """Write a request; give the payload, and the pointers of its losses."""
    report = o.emit_api_request(WIRE, o.LlmRequest("m", items, **fields))
    assert all(loss.reason for loss in report.losses)
    return report.value, [loss.pointer for loss in report.losses]


def answer(*parts: Any, candidate: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Give a response's body; ``candidate`` is laid over its candidate."""
    return {
        "candidates": [{"content": model(*parts), "finishReason": "STOP", "index": 0, **(candidate or {})}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
        **fields,
    }


def back(payload: dict[str, Any]) -> dict[str, Any]:
    """Read and write a response, through JSON at rest, and without changing it on the way."""
    before = copy.deepcopy(payload)
    response = o.parse_response(P, payload)
    report = o.emit_api_response(WIRE, o.LlmResponse.from_json(response.to_json()))
    assert payload == before
    assert report.losses == ()
    assert o.emit_response(P, response) == report.value
    return report.value


def chunk(*parts: Any, candidate: dict[str, Any] | None = None, **fields: Any) -> o.SseFrame:
    """Give a chunk's frame; without parts its candidate has no content."""
    said = {"content": model(*parts)} if parts else {}
    found: dict[str, Any] = {"candidates": [{**said, "index": 0, **(candidate or {})}], "responseId": "r1", **fields}
    return frame({"modelVersion": "gemini-2.5-flash", **found})


def frame(value: Any) -> o.SseFrame:
    """Give the frame of a value."""
    return o.SseFrame(None, json.dumps(value))


END = chunk(candidate={"finishReason": "STOP"})


def streamed(whole: dict[str, Any], size: int = 3) -> list[o.SseFrame]:
    """Give the frames in which the API streams an answer, its plain texts cut into pieces of a size."""
    top = {name: value for name, value in whole.items() if name not in ("candidates", "usageMetadata")}
    candidate = whole["candidates"][0]
    frames = [
        frame({"candidates": [{"content": model(piece), "index": 0}], "usageMetadata": {"promptTokenCount": 3}, **top})
        for part in candidate["content"]["parts"]
        for piece in _pieces(part, size)
    ]
    ending = {name: value for name, value in candidate.items() if name != "content"}
    return [*frames, frame({"candidates": [ending], "usageMetadata": whole["usageMetadata"], **top})]


def _pieces(part: dict[str, Any], size: int) -> list[dict[str, Any]]:
    if not part.keys() <= {"text", "thought"}:
        return [part]
    return [{**part, "text": part["text"][at : at + size]} for at in range(0, len(part["text"]), size)]


def parsed(frames: list[o.SseFrame]) -> list[Any]:
    """Give the events of a whole stream."""
    parser = o.StreamParser(P)
    events = [event for each in frames for event in parser.feed(each)]
    return events + parser.finish()


def emitted(events: list[Any]) -> list[dict[str, Any]]:
    """Give what a whole stream's frames say."""
    emitter = o.StreamEmitter(P)
    frames = [each for event in events for each in emitter.feed(event)] + emitter.finish()
    assert all(each.event is None for each in frames)
    return [json.loads(each.data) for each in frames]
