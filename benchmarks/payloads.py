"""What is measured: one conversation of twenty messages, and a text delta as each provider sends it."""

from __future__ import annotations

import json
from typing import Any

import omnillm as o

PROTOCOLS = {
    "chat": o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS,
    "responses": o.ProviderProtocol.OPENAI_RESPONSES,
    "anthropic": o.ProviderProtocol.CLAUDE_MESSAGES,
    "gemini": o.ProviderProtocol.GEMINI_GENERATE_CONTENT,
    "bedrock": o.ProviderProtocol.BEDROCK_CONVERSE,
}

_SAID = 3 * "The quick brown fox jumps over the lazy dog, and the dog, who has seen it all before, does not get up for it. "
_SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "Where"}}, "required": ["city"]}


def conversation() -> o.LlmRequest:
    """Give a request of twenty messages: instructions, talk, a call of a tool and its result, settings."""
    talk = [o.Message("assistant" if i % 2 else "user", f"{i}. {_SAID}") for i in range(17)]
    call = o.Message("assistant", (o.TextPart("Let me see."), o.ToolCallPart("call_1", "weather", {"city": "Paris"})))
    result = o.Message("tool", o.ToolResultPart("call_1", '{"celsius": 21}', "weather"))
    return o.LlmRequest(
        "a-model",
        (o.Message.system("Be brief."), *talk, call, result),
        capabilities=o.CapabilitySet(tools=(o.ToolDefinition("weather", _SCHEMA, "Tell the weather of a city."),)),
        generation=o.GenerationConfig(max_output_tokens=1024, temperature=0.5),
    )


def _chat_chunk(delta: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion.chunk",
        "created": 1741569952,
        "model": "gpt-4.1-2025-04-14",
        "service_tier": "default",
        "system_fingerprint": "fp_fc9f1d7035",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
        "usage": None,
        "obfuscation": "UZ4n1Up5bG",
    }


def _gemini_chunk() -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": [{"text": " lazy dog"}], "role": "model"}, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 11,
            "candidatesTokenCount": 5,
            "totalTokenCount": 16,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 11}],
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "mAitaLmkHPPlz7IPvtfUqQ4",
    }


def _responses_opening() -> list[dict[str, Any]]:
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "model": "gpt-4.1", "output": []}
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    return [
        {"type": "response.created", "sequence_number": 0, "response": response},
        {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item},
        {
            "type": "response.content_part.added",
            "sequence_number": 2,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "part": part,
        },
    ]


def _anthropic_opening() -> list[dict[str, Any]]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]


_RESPONSES_DELTA = {
    "type": "response.output_text.delta",
    "sequence_number": 4,
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": " lazy dog",
    "logprobs": [],
    "obfuscation": "Vn8mZ0",
}
_ANTHROPIC_DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " lazy dog"}}
_BEDROCK_DELTA = {"contentBlockIndex": 0, "delta": {"text": " lazy dog"}, "p": "abcdefghijklm"}


def stream(name: str) -> tuple[list[o.SseFrame], o.SseFrame]:
    """Give the frames that open a stream, and the frame of a text delta."""
    if name == "chat":
        return [_frame(None, _chat_chunk({"role": "assistant", "content": ""}))], _frame(
            None, _chat_chunk({"content": " lazy dog"})
        )
    if name == "gemini":
        return [], _frame(None, _gemini_chunk())
    if name == "bedrock":
        return [_frame("messageStart", {"role": "assistant"})], _frame("contentBlockDelta", _BEDROCK_DELTA)
    opening, delta = (_responses_opening(), _RESPONSES_DELTA) if name == "responses" else (_anthropic_opening(), _ANTHROPIC_DELTA)
    return [_frame(event["type"], event) for event in opening], _frame(str(delta["type"]), delta)


def _frame(event: str | None, data: dict[str, Any]) -> o.SseFrame:
    return o.SseFrame(event, json.dumps(data, separators=(",", ":")))
