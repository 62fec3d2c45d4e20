"""What the tests of the Messages format share: payloads and values written short."""

from __future__ import annotations

import copy
import json
from typing import Any

import omnillm as o

P = o.ProviderProtocol.CLAUDE_MESSAGES
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
RESPONSES = o.ProviderProtocol.OPENAI_RESPONSES
WIRE = o.WireFormat.ANTHROPIC_MESSAGES
ASSISTANT = o.MessageRole.ASSISTANT
EPHEMERAL = {"type": "ephemeral"}
HELLO = {"role": "user", "content": "Hello"}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "Eq"}
THOUGHT = o.ReasoningPart("Hm.", signature="Eq", protocol=P)


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Give a request's payload."""
    return {"model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": list(messages or (HELLO,)), **fields}


def user(*blocks: Any) -> dict[str, Any]:
    """Give a user's turn."""
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    """Give an assistant's turn."""
    return {"role": "assistant", "content": list(blocks)}


def text(value: str, **fields: Any) -> dict[str, Any]:
    """Give a text block."""
    return {"type": "text", "text": value, **fields}


def used(call_id: str, **arguments: Any) -> dict[str, Any]:
    """Give a block that calls a tool."""
    return {"type": "tool_use", "id": call_id, "name": "f", "input": arguments}


def gave(call_id: str, content: Any) -> dict[str, Any]:
    """Give a block with a tool's result."""
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def call(call_id: str, **arguments: Any) -> o.ToolCallPart:
    """Give the part of a call."""
    return o.ToolCallPart(call_id, "f", arguments)


def own(**fields: Any) -> dict[str, Any]:
    """Give extensions that parsing kept of this wire."""
    return {WIRE.value: fields}


def kept(value: Any) -> dict[str, Any]:
    """Give what parsing kept of this wire."""
    found: dict[str, Any] = value.vendor_extensions.get(WIRE.value, {})
    return found


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


def message(*content: Any, **fields: Any) -> dict[str, Any]:
    """Give a response's body."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5},
        **fields,
    }


def frame(kind: str, **fields: Any) -> o.SseFrame:
    """Give an event's frame."""
    return o.SseFrame(kind, json.dumps({"type": kind, **fields}))


def start(index: int, block: dict[str, Any]) -> o.SseFrame:
    """Give the frame that opens a block."""
    return frame("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> o.SseFrame:
    """Give the frame of a delta."""
    return frame("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index: int) -> o.SseFrame:
    """Give the frame that closes a block."""
    return frame("content_block_stop", index=index)


def streamed(answer: dict[str, Any], size: int = 3) -> list[o.SseFrame]:
    """Give the frames in which the API streams an answer, its texts cut into pieces of a size."""
    later = ("stop_reason", "stop_sequence", "stop_details", "container")
    opening = {
        **answer,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**answer["usage"], "output_tokens": 1},
    }
    frames = [frame("message_start", message=opening), frame("ping")]
    for index, block in enumerate(answer["content"]):
        frames += [start(index, _opened(block)), *_deltas(index, block, size), stop(index)]
    ending = {name: answer[name] for name in later if name in answer}
    return [*frames, frame("message_delta", delta=ending, usage=answer["usage"]), frame("message_stop")]


def _opened(block: dict[str, Any]) -> dict[str, Any]:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items() if name != "citations"}


def _deltas(index: int, block: dict[str, Any], size: int) -> list[o.SseFrame]:
    frames = [delta(index, "citations_delta", citation=citation) for citation in block.get("citations", ())]
    frames += [delta(index, "text_delta", text=piece) for piece in _cut(block.get("text", ""), size)]
    frames += [delta(index, "thinking_delta", thinking=piece) for piece in _cut(block.get("thinking", ""), size)]
    if block.get("signature"):
        frames.append(delta(index, "signature_delta", signature=block["signature"]))
    if block.get("input"):
        frames += [delta(index, "input_json_delta", partial_json=piece) for piece in _cut(json.dumps(block["input"]), size)]
    return frames


def _cut(whole: str, size: int) -> list[str]:
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def parsed(frames: list[o.SseFrame]) -> list[Any]:
    """Give the events of a whole stream."""
    parser = o.StreamParser(P)
    events = [event for each in frames for event in parser.feed(each)]
    return events + parser.finish()


def emitted(events: list[Any]) -> list[dict[str, Any]]:
    """Give what a whole stream's frames say, each named by what it says."""
    emitter = o.StreamEmitter(P)
    frames = [each for event in events for each in emitter.feed(event)] + emitter.finish()
    payloads = [json.loads(each.data) for each in frames]
    assert [each.event for each in frames] == [payload["type"] for payload in payloads]
    return payloads
