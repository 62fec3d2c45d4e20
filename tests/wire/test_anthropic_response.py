"""Messages responses: what each field is read into, that it is written back, and what another protocol's answer becomes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from anthropic_messages import CHAT, RESPONSES, SIGNED, WIRE, P, kept, message, own, text, used

import omnillm as o

R = o.FinishReason
BLOCKS = [
    text("Hi"),
    text("", citations=None),
    SIGNED,
    {"type": "redacted_thinking", "data": "Em"},
    {**used("t1", a=1), "caller": {"type": "direct"}},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "encrypted_content": "E"}]},
    {"type": "compaction", "content": None},
    {"type": "image", "source": {"type": "url", "url": "https://x.example/"}},
    {"type": "document", "source": {"type": "file", "file_id": "f"}},
    {"type": "a_block_of_tomorrow"},
]
FIELDS: list[dict[str, Any]] = [
    {},
    {"stop_sequence": "END", "stop_reason": "stop_sequence"},
    {"stop_reason": None},
    {"stop_details": {"type": "refusal", "category": "cyber", "explanation": "No."}, "stop_reason": "refusal"},
    {"container": {"id": "c", "expires_at": "2026-11-23T00:00:00Z", "skills": []}},
    {"diagnostics": {"cache_miss_reason": "model_changed"}, "context_management": {"applied_edits": []}},
    {"input_transformations": [{"type": "thinking_dropped", "path": "messages.0", "reason": "model_binding_mismatch"}]},
    {"id": None, "usage": None, "a_field_of_tomorrow": {"x": [None]}},
    {"content": [text("")]},
]


def again(answer: dict[str, Any]) -> dict[str, Any]:
    before = copy.deepcopy(answer)
    response = o.parse_response(P, answer)
    report = o.emit_api_response(WIRE, o.LlmResponse.from_json(response.to_json()))
    assert answer == before
    assert o.emit_response(P, response) == report.value
    return report.value


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("blocks", [BLOCKS[2:], [text("Hi")], []])
def test_a_response_is_written_back_as_it_was(blocks: list[Any], fields: dict[str, Any]) -> None:
    """Every field and block comes back, nulls and unknown ones too; an empty text alone is left out."""
    answer = message(*blocks, **fields)
    written = again(answer)
    assert written == (answer if answer["content"] != [text("")] else {**answer, "content": []})


def test_what_a_response_says() -> None:
    """Text, reasoning, calls, id, model and usage are where every protocol's are."""
    response = o.parse_response(P, message(SIGNED, text("Hi "), text("there"), used("t1", a=1)))
    assert str(response) == "Hi there"
    assert response.reasoning_text == "Hm."
    assert response.tool_calls == (o.ToolCallPart("t1", "f", {"a": 1}),)
    assert (response.response_id, response.model, response.provider_protocol) == ("msg_1", "claude-sonnet-4-5", P)
    assert kept(response) == {"stop_sequence": None}
    assert o.emit_request(P, o.LlmRequest("m", (o.Message.user("Hello"), *response.as_input())))["messages"][1]["content"] == [
        SIGNED,
        text("Hi "),
        text("there"),
        used("t1", a=1),
    ]


STOPS = [
    ("end_turn", R.STOP),
    ("stop_sequence", R.STOP),
    ("max_tokens", R.LENGTH),
    ("model_context_window_exceeded", R.LENGTH),
    ("tool_use", R.TOOL_CALL),
    ("refusal", R.CONTENT_FILTER),
    ("pause_turn", R.OTHER),
    ("compaction", R.OTHER),
    ("a_reason_of_tomorrow", R.OTHER),
]


@pytest.mark.parametrize(("word", "reason"), STOPS)
def test_each_stop_reason_has_a_finish_reason(word: str, reason: o.FinishReason) -> None:
    """The provider's word is kept for as long as the finish reason says the same."""
    response = o.parse_response(P, message(stop_reason=word))
    assert (response.finish_reason, response.raw_finish_reason) == (reason, word)
    assert o.emit_response(P, response)["stop_reason"] == word
    edited = replace(response, finish_reason=R.LENGTH)
    assert o.emit_response(P, edited)["stop_reason"] == (word if reason is R.LENGTH else "max_tokens")


USAGES: list[tuple[dict[str, Any], o.TokenUsage]] = [
    ({"input_tokens": 3, "output_tokens": 5}, o.TokenUsage(3, 5)),
    (
        {"input_tokens": 3, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 5},
        o.TokenUsage(113, 5, prompt_cache=o.PromptCacheUsage(None, 100, 10)),
    ),
    (
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
            "output_tokens": 5,
            "output_tokens_details": {"thinking_tokens": 2},
        },
        o.TokenUsage(13, 5, reasoning_tokens=2, prompt_cache=o.PromptCacheUsage(None, 0, 10, 4, 6)),
    ),
    (
        {
            "input_tokens": 3,
            "output_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1, "a": 1},
            "output_tokens_details": {},
        },
        o.TokenUsage(
            3,
            5,
            prompt_cache=o.PromptCacheUsage(cache_creation_short_input_tokens=0, cache_creation_long_input_tokens=1),
            vendor_extensions=own(cache_creation={"a": 1}, output_tokens_details={}),
        ),
    ),
    (
        {
            "input_tokens": 3,
            "output_tokens": 5,
            "cache_read_input_tokens": None,
            "cache_creation": None,
            "server_tool_use": {"web_search_requests": 1},
            "service_tier": "priority",
            "iterations": [{"type": "message", "model": "m", "input_tokens": 3}],
        },
        o.TokenUsage(
            3,
            5,
            vendor_extensions=own(
                cache_read_input_tokens=None,
                cache_creation=None,
                server_tool_use={"web_search_requests": 1},
                service_tier="priority",
                iterations=[{"type": "message", "model": "m", "input_tokens": 3}],
            ),
        ),
    ),
    ({"input_tokens": -1, "output_tokens": 5}, o.TokenUsage(0, 5, estimated=True, vendor_extensions=own(input_tokens=-1))),
    ({"input_tokens": 3, "output_tokens": "5"}, o.TokenUsage(3, 0, estimated=True, vendor_extensions=own(output_tokens="5"))),
]


@pytest.mark.parametrize(("given", "usage"), USAGES)
def test_usage_counts_all_input_and_all_output(given: dict[str, Any], usage: o.TokenUsage) -> None:
    """Cache reads and writes are among the prompt tokens; nonsense is kept, counts nothing and is an estimate."""
    assert o.parse_response(P, message(usage=given)).usage == usage
    assert again(message(usage=given))["usage"] == given


def test_a_response_without_usage_has_an_estimate_of_none() -> None:
    """Nothing is made up on the way back."""
    answer = message(text("Hi"))
    del answer["usage"]
    assert o.parse_response(P, answer).usage == o.TokenUsage(0, 0, estimated=True)
    assert again(answer) == answer


FOREIGN: list[tuple[str, o.LlmResponse, dict[str, Any], list[str]]] = [
    ("nothing", o.LlmResponse((), o.TokenUsage(1, 2), "m", CHAT), {"id": "msg_0", "stop_reason": None}, []),
    ("an_id", o.LlmResponse((), o.TokenUsage(1, 2), "m", CHAT, response_id="chatcmpl-1"), {"id": "msg_chatcmpl-1"}, []),
    ("an_own_id", o.LlmResponse((), o.TokenUsage(1, 2), "m", RESPONSES, response_id="msg_7"), {"id": "msg_7"}, []),
    *(
        (reason.value, o.LlmResponse((), o.TokenUsage(1, 2), "m", CHAT, reason, "its word"), {"stop_reason": word}, lost)
        for reason, word, lost in (
            (R.STOP, "end_turn", []),
            (R.LENGTH, "max_tokens", []),
            (R.TOOL_CALL, "tool_use", []),
            (R.CONTENT_FILTER, "refusal", []),
            (R.ERROR, "end_turn", ["/finish_reason"]),
            (R.CANCELLED, "end_turn", ["/finish_reason"]),
            (R.OTHER, "end_turn", ["/finish_reason"]),
        )
    ),
    (
        "a_cache",
        o.LlmResponse((), o.TokenUsage(10, 2, 13, prompt_cache=o.PromptCacheUsage(4, None, 3, 1, 2)), "m", CHAT),
        {
            "usage": {
                "input_tokens": 3,
                "cache_read_input_tokens": 4,
                "cache_creation_input_tokens": 3,
                "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
                "output_tokens": 2,
            }
        },
        ["/usage/total_tokens"],
    ),
    (
        "loose_items_and_losses",
        o.LlmResponse(
            (
                o.ReasoningPart("Hm.", ("s",), "sig", "enc", protocol=RESPONSES),
                o.Message.assistant("Hi"),
                o.ToolCallPart("c1", "f", "{}"),
                o.VendorPart(RESPONSES, {"type": "web_search_call", "id": "ws_1"}),
            ),
            o.TokenUsage(1, 2),
            "m",
            RESPONSES,
            vendor_extensions={"open_ai_responses": {"store": True}},
        ),
        {"content": [{"type": "thinking", "thinking": "Hm.", "signature": ""}, text("Hi"), used("c1")]},
        [
            "/output/0/signature",
            "/output/0/encrypted_content",
            "/output/0/summary",
            "/output/3",
            "/vendor_extensions/open_ai_responses/store",
        ],
    ),
    (
        "summaries",
        o.LlmResponse((o.ReasoningPart(summary=("a", "b")), o.ReasoningPart()), o.TokenUsage(1, 2), "m", RESPONSES),
        {"content": [{"type": "thinking", "thinking": "a\n\nb", "signature": ""}]},
        [],
    ),
    (
        "signed_here",
        o.LlmResponse((o.ReasoningPart("Hm.", signature="Eq"),), o.TokenUsage(1, 2), "m", CHAT),
        {"content": [SIGNED]},
        [],
    ),
    (
        "a_refusal",
        o.LlmResponse(
            (o.Message("assistant", (o.RefusalPart("I "), o.RefusalPart("won't."))),),
            o.TokenUsage(1, 2),
            "m",
            CHAT,
            R.STOP,
        ),
        {
            "content": [],
            "stop_reason": "refusal",
            "stop_details": {"type": "refusal", "category": None, "explanation": "I won't."},
        },
        [],
    ),
    (
        "media",
        o.LlmResponse(
            (o.Message("assistant", (o.ImageBase64Part("AA=="), o.FilePart("f"), o.TextPart("Hi"))),),
            o.TokenUsage(1, 2, prompt_cache=o.PromptCacheUsage(cache_creation_long_input_tokens=0)),
            "m",
            CHAT,
        ),
        {
            "content": [text("Hi")],
            "usage": {
                "input_tokens": 1,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 2,
            },
        },
        ["/output/0/parts/0", "/output/0/parts/1"],
    ),
    (
        "sound",
        o.LlmResponse((o.Message("assistant", o.AudioPart("AA==", None, "Hi")),), o.TokenUsage(1, 2), "m", CHAT),
        {"content": []},
        ["/output/0/parts/0"],
    ),
]


@pytest.mark.parametrize(("response", "expected", "lost"), [pytest.param(*row, id=name) for name, *row in FOREIGN])
def test_the_answer_of_another_protocol(response: o.LlmResponse, expected: dict[str, Any], lost: list[str]) -> None:
    """It becomes a message as the API sends it; what has no form here is lost by name."""
    report = o.emit_api_response(WIRE, response)
    assert {name: report.value[name] for name in expected} == expected
    assert {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"} <= set(report.value)
    assert [loss.pointer for loss in report.losses] == lost


@pytest.mark.parametrize(
    ("answer", "pointer"),
    [
        ({}, "/content"),
        (message(content="Hi"), "/content"),
        (message(7), "/content/0"),
        (message(id=7), "/id"),
        (message(stop_reason=7), "/stop_reason"),
        ({"type": "error", "error": {"type": "api_error", "message": "x"}}, "/content"),
    ],
)
def test_what_is_no_response_is_refused_with_its_place(answer: dict[str, Any], pointer: str) -> None:
    """A field of the wrong form raises a protocol error that points to it."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_response(P, answer)
    assert caught.value.pointer == pointer
