"""A whole request, answer, stream and error of every format, with something of everything in them, to be damaged by tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import omnillm as o

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PNG = "iVBORw0KGgo="


@dataclass(frozen=True, slots=True)
class Whole:
    """One of each: what a client sends, what the API answers at once, piece by piece, and when it refuses."""

    protocol: o.ProviderProtocol
    request: dict[str, Any]
    response: dict[str, Any]
    frames: tuple[tuple[str | None, dict[str, Any]], ...]
    error: dict[str, Any]

    @property
    def stream(self) -> list[o.SseFrame]:
        """Give the frames as they come."""
        return [o.SseFrame(event, json.dumps(data)) for event, data in self.frames]


def _named(*events: dict[str, Any]) -> tuple[tuple[str | None, dict[str, Any]], ...]:
    return tuple((event["type"], event) for event in events)


_CHAT_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
_CHAT_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}


def _chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> tuple[None, dict[str, Any]]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    return None, {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **fields}


CHAT = Whole(
    o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS,
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "See"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
                ],
            },
            {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [_CHAT_CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "21"}]},
            {"role": "assistant", "content": None, "function_call": {"name": "g", "arguments": "{}"}},
            {"role": "function", "name": "g", "content": "done"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}},
            {"type": "custom", "custom": {"name": "c"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
        "web_search_options": {
            "search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": {"city": "x"}},
        },
        "reasoning_effort": "low",
        "max_completion_tokens": 10,
        "temperature": 0.5,
        "stop": ["a"],
        "modalities": ["text"],
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "refusal": None,
                    "annotations": [
                        {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}
                    ],
                    "tool_calls": [_CHAT_CALL],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": _CHAT_USAGE,
    },
    (
        _chunk({"role": "assistant", "content": "", "refusal": None}),
        _chunk({"reasoning_content": "Hm."}),
        _chunk({"content": "Hi"}),
        _chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
        _chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        _chunk({}, "tool_calls"),
        _chunk(usage=_CHAT_USAGE),
    ),
    {"error": {"message": "no", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}},
)

_RESPONSE_ITEMS: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "s"}],
        "content": [{"type": "reasoning_text", "text": "r"}],
        "encrypted_content": "E",
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": "Hi",
                "annotations": [{"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}],
                "logprobs": [],
            },
            {"type": "refusal", "refusal": "No."},
        ],
    },
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}", "status": "completed"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
]
_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "m",
    "output": _RESPONSE_ITEMS,
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 14,
    },
}
_OPEN_RESPONSE = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}
_AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSES = Whole(
    o.ProviderProtocol.OPENAI_RESPONSES,
    {
        "model": "m",
        "instructions": "Be kind.",
        "input": [
            {"role": "developer", "content": "d"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See"},
                    {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                    {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                ],
            },
            *_RESPONSE_ITEMS,
            {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "21"}]},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "c", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "y"},
        ],
        "tools": [
            {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
            {"type": "web_search", "search_context_size": "low", "filters": {"allowed_domains": ["x.test"]}},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": True,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "max_output_tokens": 10,
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "stream": True,
    },
    _RESPONSE,
    _named(
        {"type": "response.created", "sequence_number": 0, "response": _OPEN_RESPONSE},
        {"type": "response.output_item.added", "output_index": 0, "item": {**_RESPONSE_ITEMS[1], "content": []}},
        {"type": "response.content_part.added", **_AT, "part": {"type": "output_text", "text": "", "annotations": []}},
        {"type": "response.output_text.delta", **_AT, "delta": "Hi", "logprobs": []},
        {
            "type": "response.output_text.annotation.added",
            **_AT,
            "annotation_index": 0,
            "annotation": {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1},
        },
        {"type": "response.output_text.done", **_AT, "text": "Hi"},
        {"type": "response.content_part.done", **_AT, "part": {"type": "output_text", "text": "Hi", "annotations": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": _RESPONSE_ITEMS[1]},
        {"type": "response.output_item.added", "output_index": 1, "item": {**_RESPONSE_ITEMS[2], "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 1, "delta": "{}"},
        {"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 1, "arguments": "{}"},
        {"type": "response.output_item.done", "output_index": 1, "item": _RESPONSE_ITEMS[2]},
        {"type": "response.completed", "response": {**_RESPONSE, "output": _RESPONSE_ITEMS[1:3]}},
    ),
    {"error": {"message": "no", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}},
)

_CLAUDE_USAGE = {
    "input_tokens": 3,
    "output_tokens": 5,
    "cache_read_input_tokens": 1,
    "cache_creation_input_tokens": 1,
    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 0},
}
_CLAUDE_CITED = {
    "type": "text",
    "text": "Hi",
    "citations": [
        {
            "type": "char_location",
            "cited_text": "x",
            "document_index": 0,
            "document_title": "t",
            "start_char_index": 0,
            "end_char_index": 1,
        }
    ],
}
_CLAUDE_ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "Eq"},
        {"type": "redacted_thinking", "data": "Zz"},
        _CLAUDE_CITED,
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Paris"}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": _CLAUDE_USAGE,
}


def _block(kind: str, index: int, **fields: Any) -> dict[str, Any]:
    return {"type": f"content_block_{kind}", "index": index, **fields}


CLAUDE = Whole(
    o.ProviderProtocol.CLAUDE_MESSAGES,
    {
        "model": "m",
        "max_tokens": 10,
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
                ],
            },
            {"role": "assistant", "content": _CLAUDE_ANSWER["content"]},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": True,
                        "content": [{"type": "text", "text": "21"}],
                    }
                ],
            },
        ],
        "tools": [
            {"name": "f", "description": "d", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["x.test"]},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        "temperature": 0.5,
        "top_k": 3,
        "stop_sequences": ["a"],
        "metadata": {"user_id": "u"},
        "stream": True,
    },
    _CLAUDE_ANSWER,
    _named(
        {"type": "message_start", "message": {**_CLAUDE_ANSWER, "content": [], "stop_reason": None}},
        {"type": "ping"},
        _block("start", 0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
        _block("delta", 0, delta={"type": "thinking_delta", "thinking": "Hm."}),
        _block("delta", 0, delta={"type": "signature_delta", "signature": "Eq"}),
        _block("stop", 0),
        _block("start", 1, content_block={"type": "text", "text": ""}),
        _block("delta", 1, delta={"type": "text_delta", "text": "Hi"}),
        _block("delta", 1, delta={"type": "citations_delta", "citation": _CLAUDE_CITED["citations"][0]}),
        _block("stop", 1),
        _block("start", 2, content_block={"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
        _block("delta", 2, delta={"type": "input_json_delta", "partial_json": "{}"}),
        _block("stop", 2),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": _CLAUDE_USAGE},
        {"type": "message_stop"},
    ),
    {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}, "request_id": "req_1"},
)

_GEMINI_USAGE = {
    "promptTokenCount": 3,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 2,
    "totalTokenCount": 10,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
}
_GEMINI_PARTS = [
    {"text": "Hm.", "thought": True, "thoughtSignature": "Eq=="},
    {"text": "Hi"},
    {"functionCall": {"id": "1", "name": "f", "args": {"city": "Paris"}}, "thoughtSignature": "Eq=="},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
]
_GEMINI_REST = {
    "groundingMetadata": {
        "webSearchQueries": ["q"],
        "groundingChunks": [{"web": {"uri": "u", "title": "t"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 2, "text": "Hi"}, "groundingChunkIndices": [0]}],
    },
    "citationMetadata": {"citationSources": [{"startIndex": 0, "endIndex": 2, "uri": "u"}]},
    "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
}


def _gemini(parts: list[Any], **candidate: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": parts}
    return {
        "candidates": [{"content": content, "index": 0, **candidate}],
        "usageMetadata": _GEMINI_USAGE,
        "modelVersion": "m",
        "responseId": "r1",
    }


GEMINI = Whole(
    o.ProviderProtocol.GEMINI_GENERATE_CONTENT,
    {
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "See"},
                    {"inlineData": {"mimeType": "image/png", "data": PNG}},
                    {"fileData": {"fileUri": "https://x.test/a.pdf", "mimeType": "application/pdf"}},
                ],
            },
            {"role": "model", "parts": _GEMINI_PARTS},
            {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"output": 21}}}]},
        ],
        "tools": [
            {"functionDeclarations": [{"name": "f", "description": "d", "parameters": {"type": "OBJECT"}}]},
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {
            "maxOutputTokens": 10,
            "temperature": 0.5,
            "topK": 3,
            "stopSequences": ["a"],
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT"},
            "responseModalities": ["TEXT"],
            "thinkingConfig": {"thinkingBudget": 10, "includeThoughts": True},
        },
    },
    {**_gemini(_GEMINI_PARTS, finishReason="STOP", **_GEMINI_REST), "promptFeedback": {"safetyRatings": []}},
    (
        (None, _gemini([{"text": "Hm.", "thought": True}])),
        (None, _gemini([{"text": "Hi"}], **_GEMINI_REST)),
        (None, _gemini([_GEMINI_PARTS[2]])),
        (None, _gemini([{"text": ""}], finishReason="STOP")),
    ),
    {
        "error": {
            "code": 400,
            "message": "no",
            "status": "INVALID_ARGUMENT",
            "details": [{"@type": "x", "reason": "API_KEY_INVALID"}],
        }
    },
)

_BEDROCK_USAGE = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8, "cacheReadInputTokens": 1, "cacheWriteInputTokens": 1}
_BEDROCK_CITED = {
    "content": [{"text": "Hi"}],
    "citations": [
        {"title": "t", "sourceContent": [{"text": "x"}], "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 1}}}
    ],
}
_BEDROCK_BLOCKS = [
    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "Eq"}}},
    {"reasoningContent": {"redactedContent": "Zz=="}},
    {"text": "Hi"},
    {"citationsContent": _BEDROCK_CITED},
    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"city": "Paris"}}},
]
BEDROCK = Whole(
    o.ProviderProtocol.BEDROCK_CONVERSE,
    {
        "modelId": "m",
        "system": [{"text": "Be kind."}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "See"},
                    {"image": {"format": "png", "source": {"bytes": PNG}}},
                    {"document": {"format": "pdf", "name": "d", "source": {"bytes": "AAAA"}}},
                    {"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}},
                ],
            },
            {"role": "assistant", "content": _BEDROCK_BLOCKS},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "21"}], "status": "error"}}]},
        ],
        "inferenceConfig": {"maxTokens": 10, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": SCHEMA}}}],
            "toolChoice": {"tool": {"name": "f"}},
        },
        "additionalModelRequestFields": {"top_k": 3, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "requestMetadata": {"a": "b"},
    },
    {
        "output": {"message": {"role": "assistant", "content": _BEDROCK_BLOCKS}},
        "stopReason": "tool_use",
        "usage": _BEDROCK_USAGE,
        "metrics": {"latencyMs": 1},
    },
    (
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm."}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "Eq"}}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Hi"}}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"citation": _BEDROCK_CITED["citations"][0]}}),
        ("contentBlockStop", {"contentBlockIndex": 1}),
        ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": "{}"}}}),
        ("contentBlockStop", {"contentBlockIndex": 2}),
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"usage": _BEDROCK_USAGE, "metrics": {"latencyMs": 1}}),
    ),
    {"message": "no", "__type": "ValidationException"},
)

WHOLE = {"chat": CHAT, "responses": RESPONSES, "anthropic": CLAUDE, "gemini": GEMINI, "bedrock": BEDROCK}
