"""What the upstream answers, rendered once: a body, and a stream of text deltas, as each provider sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .payloads import stream

STAMP = b"@stamp@"
_SAID = (
    3 * "A token bucket allows short bursts, a sliding window bounds what any minute sees; keep both, and settle what was used. "
)

# as many as providers send, and no cookie, which would only make requests slower
_HEADERS = (
    "Date: Sun, 22 Nov 2026 00:00:00 GMT",
    "Server: benchmark",
    "Access-Control-Expose-Headers: X-Request-ID",
    "OpenAI-Organization: org-benchmark",
    "OpenAI-Processing-Ms: 312",
    "OpenAI-Project: proj_benchmark",
    "OpenAI-Version: 2020-10-01",
    "X-Envoy-Upstream-Service-Time: 316",
    "X-RateLimit-Limit-Requests: 1000000000",
    "X-RateLimit-Limit-Tokens: 1000000000000",
    "X-Request-ID: req_0123456789abcdef0123456789abcdef",
    "CF-Cache-Status: DYNAMIC",
    "CF-Ray: 0123456789abcdef-FRA",
    "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload",
    "X-Content-Type-Options: nosniff",
    'Alt-Svc: h3=":443"; ma=86400',
    "Via: 1.1 edge",
    "Vary: Origin",
)

_CHAT: dict[str, Any] = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion",
    "created": 1741569952,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": _SAID, "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 312,
        "completion_tokens": 128,
        "total_tokens": 440,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default",
    "system_fingerprint": "fp_fc9f1d7035",
}


def _message(text: str | None) -> dict[str, Any]:
    content = [] if text is None else [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]
    status = "in_progress" if text is None else "completed"
    return {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": content}


def _responses(text: str) -> dict[str, Any]:
    return {
        "id": "resp_68b1f2c3d4e5f60718293a4b5c6d7e8f",
        "object": "response",
        "created_at": 1741569952,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": 512,
        "model": "gpt-4o-mini-2024-07-18",
        "output": [_message(text)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 312,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 128,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 440,
        },
        "user": None,
        "metadata": {},
    }


_ANTHROPIC_USAGE = {"input_tokens": 312, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 128}
_GEMINI_USAGE = {"promptTokenCount": 312, "candidatesTokenCount": 128, "totalTokenCount": 440}
BODIES: dict[str, dict[str, Any]] = {
    "chat": _CHAT,
    "responses": _responses(_SAID),
    "anthropic": {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": _SAID}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {**_ANTHROPIC_USAGE, "service_tier": "standard"},
    },
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": _SAID}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": _GEMINI_USAGE,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "mAitaLmkHPPlz7IPvtfUqQ4",
    },
}


def protocol_of(path: str) -> str:
    """Name the protocol by the path of a request."""
    path = path.split("?", 1)[0]
    ends = {"/chat/completions": "chat", "/responses": "responses", "/messages": "anthropic"}
    return next((name for end, name in ends.items() if path.endswith(end)), "gemini")


def body(protocol: str) -> bytes:
    """Render a whole answer, with its head."""
    text = json.dumps(BODIES[protocol], separators=(",", ":")).encode()
    return head("application/json", f"Content-Length: {len(text)}") + text


def head(kind: str, *framing: str) -> bytes:
    """Render the head of an answer."""
    return "\r\n".join(["HTTP/1.1 200 OK", *_HEADERS, f"Content-Type: {kind}", *framing, "", ""]).encode()


def events(protocol: str, deltas: int) -> Iterator[bytes]:
    """Give the events of a stream, one by one; its text is ``deltas`` times the delta's."""
    opening, delta = stream(protocol)
    for frame in opening:
        yield _event(protocol, frame.event, frame.data)
    one = _event(protocol, delta.event, delta.data)
    for _ in range(deltas):
        yield one
    for name, data in _closing(protocol, deltas):
        yield _event(protocol, name, data if isinstance(data, str) else json.dumps(data, separators=(",", ":")))


def stamped(protocol: str) -> bytes:
    """Give the event of a text delta whose text is ``STAMP``, for the time at which it goes out."""
    delta = stream(protocol)[1]
    return _event(protocol, delta.event, delta.data.replace(" lazy dog", STAMP.decode()))


def _event(protocol: str, name: str | None, data: str) -> bytes:
    line = "" if name is None else f"event: {name}\n"
    text = f"{line}data: {data}\n\n"
    return (text.replace("\n", "\r\n") if protocol == "gemini" else text).encode()  # Gemini's lines end so


def _closing(protocol: str, deltas: int) -> list[tuple[str | None, Any]]:
    if protocol == "chat":
        chunk = {**_CHAT, "object": "chat.completion.chunk", "usage": None}
        last = {**chunk, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]}
        return [(None, last), (None, {**chunk, "choices": [], "usage": _CHAT["usage"]}), (None, "[DONE]")]
    if protocol == "gemini":
        return [(None, BODIES["gemini"])]
    if protocol == "anthropic":
        told = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": _ANTHROPIC_USAGE}
        stop = {"type": "content_block_stop", "index": 0}
        return [("content_block_stop", stop), ("message_delta", told), ("message_stop", {"type": "message_stop"})]
    text, place = deltas * " lazy dog", {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = _message(text)
    found: list[tuple[str, dict[str, Any]]] = [
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": item["content"][0]}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": _responses(text)}),
    ]
    return [(name, {"type": name, "sequence_number": deltas + at, **rest}) for at, (name, rest) in enumerate(found, 4)]
