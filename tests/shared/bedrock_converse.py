"""What the tests of the Converse format share: payloads and values written short."""

from __future__ import annotations

import copy
import json
from typing import Any

import omnillm as o

P = o.ProviderProtocol.BEDROCK_CONVERSE
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CLAUDE = o.ProviderProtocol.CLAUDE_MESSAGES
WIRE = o.WireFormat.BEDROCK_CONVERSE
HELLO = {"role": "user", "content": [{"text": "Hello"}]}
SIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "Eq"}}}
REDACTED = {"reasoningContent": {"redactedContent": "RW0="}}
CITATION = {
    "title": "facts",
    "sourceContent": [{"text": "Ruby is "}, {"text": "red."}],
    "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 9}},
}
POINT = {"cachePoint": {"type": "default"}}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Give a request's payload."""
    return {"messages": list(messages or (HELLO,)), **fields}


def user(*blocks: Any) -> dict[str, Any]:
    """Give a user's turn."""
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    """Give an assistant's turn."""
    return {"role": "assistant", "content": list(blocks)}


def used(call_id: str, **arguments: Any) -> dict[str, Any]:
    """Give a block that calls a tool."""
    return {"toolUse": {"toolUseId": call_id, "name": "f", "input": arguments}}


def gave(call_id: str, *content: Any, **fields: Any) -> dict[str, Any]:
    """Give a block with a tool's result."""
    return {"toolResult": {"toolUseId": call_id, "content": list(content), **fields}}


def spec(name: str = "f", **fields: Any) -> dict[str, Any]:
    """Give a tool of the caller's."""
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}, **fields}}


def form(schema: str, **fields: Any) -> dict[str, Any]:
    """Give the form of an answer that a schema asks for."""
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema, **fields}}}}


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
    report = o.emit_api_request(WIRE, o.LlmRequest(fields.pop("model", "m"), items, **fields))
    assert all(loss.reason for loss in report.losses)
    return report.value, [loss.pointer for loss in report.losses]


def answer(*content: Any, **fields: Any) -> dict[str, Any]:
    """Give a response's body."""
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
        "metrics": {"latencyMs": 7},
        **fields,
    }


def frame(kind: str, **fields: Any) -> o.SseFrame:
    """Give an event's frame."""
    return o.SseFrame(kind, json.dumps({**fields, "p": "abcdef"}))


def delta(index: int, **fields: Any) -> o.SseFrame:
    """Give the frame of a delta."""
    return frame("contentBlockDelta", contentBlockIndex=index, delta=fields)


def start(index: int, **fields: Any) -> o.SseFrame:
    """Give the frame that opens a block."""
    return frame("contentBlockStart", contentBlockIndex=index, start=fields)


def stop(index: int) -> o.SseFrame:
    """Give the frame that closes a block."""
    return frame("contentBlockStop", contentBlockIndex=index)


START = frame("messageStart", role="assistant")
METADATA = frame("metadata", usage={"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}, metrics={"latencyMs": 7})


def ended(reason: str = "end_turn", **fields: Any) -> list[o.SseFrame]:
    """Give the frames that end a stream."""
    return [frame("messageStop", stopReason=reason, **fields), METADATA]


def parsed(frames: list[o.SseFrame]) -> list[Any]:
    """Give the events of a whole stream."""
    parser = o.StreamParser(P)
    events = [event for item in frames for event in parser.feed(item)]
    return events + parser.finish()


def emitted(*events: Any) -> list[tuple[str | None, Any]]:
    """Give the names and objects of the frames that events become."""
    emitter = o.StreamEmitter(P)
    frames = [item for event in events for item in emitter.feed(event)] + emitter.finish()
    return [(item.event, json.loads(item.data)) for item in frames]
