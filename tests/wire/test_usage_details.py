"""What else a usage is charged by, read from what each wire keeps of it."""

from __future__ import annotations

from typing import Any

import pytest

from omnillm.types.enums import ProviderProtocol as P
from omnillm.types.usage import NO_DETAILS, TokenUsage, UsageDetails
from omnillm.wire import emit_response, parse_response, usage_details

CHAT: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}
RESPONSE: dict[str, Any] = {"id": "r", "object": "response", "created_at": 0, "model": "m", "status": "completed", "output": []}
MESSAGE: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": "end_turn",
    "stop_sequence": None,
}
CONTENT: dict[str, Any] = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}]
}
CONVERSE: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "metrics": {"latencyMs": 1},
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
}


def search(action: dict[str, Any]) -> dict[str, Any]:
    return {"type": "web_search_call", "id": "ws", "status": "completed", "action": action}


@pytest.mark.parametrize(
    ("protocol", "payload", "expected"),
    [
        (
            P.OPENAI_CHAT_COMPLETIONS,
            {**CHAT, "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}},
            UsageDetails(),
        ),
        (
            P.OPENAI_CHAT_COMPLETIONS,
            {
                **CHAT,
                "service_tier": "priority",
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 9,
                    "total_tokens": 18,
                    "num_search_queries": 2,
                    "citation_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 4, "image_tokens": 2},
                    "completion_tokens_details": {"audio_tokens": 5, "reasoning_tokens": 0},
                },
            },
            UsageDetails(
                audio_input_tokens=4, image_input_tokens=2, audio_output_tokens=5, searches=2, citation_tokens=3, tier="priority"
            ),
        ),
        (
            P.OPENAI_CHAT_COMPLETIONS,
            {
                **CHAT,
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 9,
                    "total_tokens": 18,
                    "prompt_tokens_details": {"audio_tokens": "x"},
                },
            },
            UsageDetails(),
        ),
        (
            P.OPENAI_RESPONSES,
            {
                **RESPONSE,
                "service_tier": "flex",
                "output": [
                    search({"type": "search", "query": "q"}),
                    search({"type": "open_page", "url": "u"}),
                    search({"type": "search"}),
                ],
                "usage": {
                    "input_tokens": 9,
                    "output_tokens": 9,
                    "total_tokens": 18,
                    "input_tokens_details": {
                        "cached_tokens": 3,
                        "audio_tokens": 4,
                        "image_tokens": 1,
                        "cached_tokens_details": {"audio_tokens": 2, "image_tokens": 1},
                    },
                    "output_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 5, "image_tokens": 6},
                },
            },
            UsageDetails(
                audio_input_tokens=4,
                image_input_tokens=1,
                cached_audio_tokens=2,
                cached_image_tokens=1,
                audio_output_tokens=5,
                image_output_tokens=6,
                searches=2,
                tier="flex",
            ),
        ),
        (P.OPENAI_RESPONSES, RESPONSE, UsageDetails()),
        (
            P.CLAUDE_MESSAGES,
            {
                **MESSAGE,
                "usage": {
                    "input_tokens": 1,
                    "output_tokens": 1,
                    "service_tier": "standard",
                    "server_tool_use": {"web_search_requests": 3},
                },
            },
            UsageDetails(searches=3, tier="standard"),
        ),
        (
            P.CLAUDE_MESSAGES,
            {**MESSAGE, "usage": {"input_tokens": 1, "output_tokens": 1, "speed": "fast"}},
            UsageDetails(tier="fast"),
        ),
        (P.CLAUDE_MESSAGES, {**MESSAGE, "usage": {"input_tokens": 1, "output_tokens": 1}}, UsageDetails()),
        (
            P.GEMINI_GENERATE_CONTENT,
            {
                **CONTENT,
                "usageMetadata": {
                    "promptTokenCount": 90,
                    "candidatesTokenCount": 9,
                    "totalTokenCount": 99,
                    "serviceTier": "flex",
                    "promptTokensDetails": [
                        {"modality": "TEXT", "tokenCount": 7},
                        {"modality": "AUDIO", "tokenCount": 5},
                        {"modality": "DOCUMENT", "tokenCount": 3},
                        {"modality": 2, "tokenCount": 1},
                    ],
                    "toolUsePromptTokensDetails": [{"modality": "VIDEO", "tokenCount": 2}],
                    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}, {"modality": 5, "tokenCount": 1}],
                    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 8}, {"modality": 4, "tokenCount": 1}, "?"],
                },
            },
            UsageDetails(
                audio_input_tokens=5,
                image_input_tokens=4,
                video_input_tokens=2,
                cached_audio_tokens=4,
                cached_image_tokens=1,
                image_output_tokens=8,
                audio_output_tokens=1,
                tier="flex",
            ),
        ),
        (
            P.GEMINI_GENERATE_CONTENT,
            {
                **CONTENT,
                "usage_metadata": {
                    "prompt_token_count": 9,
                    "total_token_count": 9,
                    "prompt_tokens_details": [{"modality": "AUDIO", "token_count": 6}],
                },
            },
            UsageDetails(audio_input_tokens=6),
        ),
        (
            P.GEMINI_GENERATE_CONTENT,
            {**CONTENT, "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9, "trafficType": "ON_DEMAND_PRIORITY"}},
            UsageDetails(tier="priority"),
        ),
        (P.BEDROCK_CONVERSE, {**CONVERSE, "serviceTier": {"type": "flex"}}, UsageDetails(tier="flex")),
        (P.BEDROCK_CONVERSE, CONVERSE, UsageDetails()),
    ],
)
def test_details(protocol: P, payload: dict[str, Any], expected: UsageDetails) -> None:
    """Tokens by modality, searches and the tier that answered are read, whichever wire tells them, and lost in no writing."""
    response = parse_response(protocol, payload)
    assert usage_details(response.usage, response) == expected
    assert emit_response(protocol, response) == payload


def test_a_compaction_is_a_pass_of_its_own() -> None:
    """What the provider ran to shorten the conversation is told beside the answer's own usage."""
    counts = {"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0}
    iterations = [{**counts, "type": "compaction"}, {**counts, "type": "message"}, "?"]
    response = parse_response(P.CLAUDE_MESSAGES, {**MESSAGE, "usage": {**counts, "iterations": iterations}})
    (other,) = usage_details(response.usage).passes
    assert (other.prompt_tokens, other.completion_tokens) == (10, 2)


def test_a_usage_alone_tells_what_is_in_it() -> None:
    """Without its response a usage is read by the wire that it names; one that names none tells nothing."""
    assert usage_details(TokenUsage(1, 1)) is NO_DETAILS
    assert usage_details(TokenUsage(1, 1, vendor_extensions={"mine": 1})) is NO_DETAILS
    own = {"open_ai_chat_completions": {"prompt_tokens_details": {"audio_tokens": 4}}}
    assert usage_details(TokenUsage(1, 1, vendor_extensions=own)).audio_input_tokens == 4


@pytest.mark.parametrize(
    ("usage", "completion"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 209,
                "completion_tokens_details": {"reasoning_tokens": 198},
            },
            200,
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 200,
                "total_tokens": 209,
                "completion_tokens_details": {"reasoning_tokens": 198},
            },
            200,
        ),
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "citation_tokens": 3, "reasoning_tokens": 7}, 12),
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "reasoning_tokens": 0}, 5),
    ],
)
def test_reasoning_that_is_counted_apart_is_told(usage: dict[str, Any], completion: int) -> None:
    """Every output token is told, whatever the host's convention, and written back as it came."""
    response = parse_response(P.OPENAI_CHAT_COMPLETIONS, {**CHAT, "usage": usage})
    beside = usage_details(response.usage, response).uncounted_output_tokens
    assert response.usage.completion_tokens + beside == completion
    assert response.usage.completion_tokens == usage["completion_tokens"]
    assert emit_response(P.OPENAI_CHAT_COMPLETIONS, response)["usage"] == usage
