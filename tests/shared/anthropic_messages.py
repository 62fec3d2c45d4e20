"""What the tests of the Messages format share: payloads and values written short."""

from __future__ import annotations

import copy
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
