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


def streamed(whole: dict[str, Any], size: int = 3) -> list[o.SseFrame]:
    """Give the frames in which the API streams an answer, its texts cut into pieces of a size."""
    frames = [START]
    for index, block in enumerate(whole["output"]["message"]["content"]):
        ((kind, value),) = block.items()
        frames += [*_opening(index, kind, value), *(delta(index, **each) for each in _deltas(kind, value, size)), stop(index)]
    later = {name: value for name, value in whole.items() if name not in ("output", "stopReason")}
    return [*frames, frame("messageStop", stopReason=whole["stopReason"]), frame("metadata", **later)]


def _opening(index: int, kind: str, value: Any) -> list[o.SseFrame]:
    if kind not in ("toolUse", "toolResult", "image"):
        return []
    return [start(index, **{kind: {name: item for name, item in value.items() if name not in ("input", "content", "source")}})]


def _deltas(kind: str, value: Any, size: int) -> list[dict[str, Any]]:
    if kind == "text":
        return [{"text": piece} for piece in _cut(value, size)]
    if kind == "toolUse":
        return [{kind: {"input": piece}} for piece in _cut(json.dumps(value["input"]), size)]
    if kind == "toolResult":
        return [{kind: [block]} for block in value["content"]]
    if kind == "image":
        return [{kind: {"source": value["source"]}}]
    if kind == "citationsContent":
        text = "".join(piece["text"] for piece in value["content"])
        return [*_deltas("text", text, size), *({"citation": citation} for citation in value["citations"])]
    if "redactedContent" in value:
        return [{kind: value}]
    thought = value["reasoningText"]
    return [*({kind: {"text": piece}} for piece in _cut(thought["text"], size)), {kind: {"signature": thought["signature"]}}]


def _cut(whole: str, size: int) -> list[str]:
    return [whole[at : at + size] for at in range(0, len(whole), size)]


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
