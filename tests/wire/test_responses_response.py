"""Responses of Responses: what is read, what is written, and the answers of other protocols in this form."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

import omnillm as o

P = o.ProviderProtocol.OPENAI_RESPONSES
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CLAUDE = o.ProviderProtocol.CLAUDE_MESSAGES
WIRE = o.WireFormat.OPENAI_RESPONSES
REASON = o.FinishReason

Json = dict[str, Any]

SAID = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gA"}
CALLED = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}", "status": "completed"}
SEARCHED = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
USED = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 15,
}


def body(*output: Json, status: Any = "completed", **more: Any) -> Json:
    head = {"id": "resp_1", "object": "response", "created_at": 7, "status": status, "model": "gpt-test"}
    return {**head, "output": list(output), "usage": USED, **more}


def read(payload: Json) -> o.LlmResponse:
    return o.parse_response(P, copy.deepcopy(payload))


ECHOED: Json = {
    "error": None,
    "incomplete_details": None,
    "instructions": [{"role": "system", "content": "x"}],
    "metadata": {"a": "b"},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": {"type": "function", "name": "look"},
    "tools": [{"type": "function", "name": "look", "parameters": {}, "strict": True}],
    "top_p": None,
    "background": False,
    "conversation": {"id": "conv_1"},
    "max_output_tokens": 9,
    "max_tool_calls": None,
    "previous_response_id": "resp_0",
    "prompt": None,
    "prompt_cache_key": "k",
    "prompt_cache_diagnostics": {"type": "cache_miss", "reason": "tools_changed", "cache_missed_tokens": 3},
    "reasoning": {"effort": "low", "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "top_logprobs": 0,
    "truncation": "disabled",
    "tool_usage": {"web_search": {"num_requests": 1}},
    "user": None,
    "moderation": None,
    "input_transformations": [],
    "completed_at": 9,
    "billing": {"payer": "developer"},
}
BODIES: list[tuple[str, Json]] = [
    ("plain", body(SAID)),
    ("echoed", body(THOUGHT, SAID, CALLED, SEARCHED, **ECHOED)),
    ("nothing", body()),
    ("bare", {"output": []}),
    ("nulls", {"id": None, "object": None, "model": None, "status": None, "output": [], "usage": None}),
    ("another_object", body(SAID, object="realtime.response")),
    ("strange_status", body(SAID, status=7)),
    ("two_messages", body(SAID, {**SAID, "id": "msg_2", "phase": "final_answer"})),
    ("text_without_annotations", body({**SAID, "content": [{"type": "output_text", "text": "x"}]})),
    ("no_parts", body({**SAID, "content": []})),
    ("incomplete", body(SAID, status="incomplete", incomplete_details={"reason": "max_output_tokens"})),
    ("failed", body(status="failed", error={"code": "server_error", "message": "Oops"})),
    ("queued", body(status="queued", usage=None)),
    ("image", body({"type": "image_generation_call", "id": "ig_1", "result": "AAAA", "status": "completed"})),
    ("usage_empty", body(SAID, usage={})),
    ("usage_bare", body(SAID, usage={"input_tokens": 1, "output_tokens": 2})),
    ("usage_nulls", body(SAID, usage={**USED, "input_tokens_details": None, "output_tokens_details": {}, "total_tokens": None})),
    ("usage_nonsense", body(SAID, usage={"input_tokens": -1, "output_tokens": "many", "total_tokens": 1.5})),
    ("usage_more", body(SAID, usage={**USED, "cost_in_usd_ticks": 7, "input_tokens_details": {"cached_tokens": 1, "new": 2}})),
    (
        "usage_ttls",
        body(
            SAID,
            usage={
                **USED,
                "input_tokens_details": {
                    "cached_tokens": 0,
                    "cache_write_tokens": 3,
                    "cache_write_tokens_details": {"ttl_30m_tokens": 1, "ttl_12h_tokens": 2, "new": 3},
                },
            },
        ),
    ),
    (
        "usage_ttls_alone",
        body(SAID, usage={**USED, "input_tokens_details": {"cache_write_tokens_details": {"ttl_30m_tokens": 1}}}),
    ),
]


@pytest.mark.parametrize("payload", [pytest.param(payload, id=name) for name, payload in BODIES])
def test_a_response_is_written_as_it_was(payload: Json) -> None:
    """A response goes out as it came, after a stay in JSON too."""
    response = read(payload)
    assert o.emit_response(P, response) == payload
    assert o.emit_response(P, o.LlmResponse.from_json(response.to_json())) == payload


def test_what_a_response_is_read_as() -> None:
    """Text, calls, reasoning, ids and usage are where every protocol's are."""
    response = read(body(THOUGHT, SEARCHED, SAID, CALLED, {**SAID, "content": [{"type": "refusal", "refusal": "No."}]}))
    assert (response.text, response.reasoning_text, response.refusal) == ("Hello", "Hm.", "No.")
    assert [(call.call_id, call.name, call.arguments) for call in response.tool_calls] == [("c1", "look", {})]
    assert (response.response_id, response.model, response.raw_finish_reason) == ("resp_1", "gpt-test", "completed")
    assert response.output[1] == o.VendorPart(P, SEARCHED)
    used = response.usage
    assert (used.prompt_tokens, used.completion_tokens, used.total_tokens, used.reasoning_tokens) == (10, 5, 15, 3)
    assert used.prompt_cache == o.PromptCacheUsage(4, None, 2)
    assert not used.estimated


def test_usage_that_is_none_is_an_estimate() -> None:
    """What counts nothing counts as nothing, and says so."""
    for usage in (None, {}, {"input_tokens": -1, "output_tokens": "many"}):
        found = read(body(SAID, usage=usage)).usage
        assert (found.prompt_tokens, found.completion_tokens, found.estimated) == (0, 0, True)


STATUSES: list[tuple[Any, Any, tuple[Json, ...], o.FinishReason | None]] = [
    ("completed", None, (SAID,), REASON.STOP),
    ("completed", None, (SAID, CALLED), REASON.TOOL_CALL),
    ("incomplete", {"reason": "max_output_tokens"}, (CALLED,), REASON.LENGTH),
    ("incomplete", {"reason": "content_filter"}, (), REASON.CONTENT_FILTER),
    ("incomplete", {"reason": "steered"}, (), REASON.OTHER),
    ("incomplete", {"reason": 7}, (), REASON.OTHER),
    ("incomplete", None, (), REASON.OTHER),
    ("failed", None, (), REASON.ERROR),
    ("cancelled", None, (), REASON.CANCELLED),
    ("in_progress", None, (), None),
    ("queued", None, (), None),
    ("sleeping", None, (), REASON.OTHER),
]


@pytest.mark.parametrize(("status", "details", "output", "reason"), STATUSES)
def test_what_a_status_means(status: str, details: Any, output: tuple[Json, ...], reason: o.FinishReason | None) -> None:
    """The status, its details and the calls in the output say why the answer ended."""
    payload = body(*output, status=status, incomplete_details=details)
    response = read(payload)
    assert (response.finish_reason, response.raw_finish_reason) == (reason, status)
    assert o.emit_response(P, response) == payload


ENDINGS: list[tuple[o.FinishReason | None, str, Any]] = [
    (REASON.STOP, "completed", None),
    (REASON.TOOL_CALL, "completed", None),
    (REASON.LENGTH, "incomplete", {"reason": "max_output_tokens"}),
    (REASON.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}),
    (REASON.CANCELLED, "cancelled", None),
    (REASON.ERROR, "failed", None),
    (None, "completed", None),
]


@pytest.mark.parametrize(("reason", "status", "details"), ENDINGS)
def test_another_protocols_ending(reason: Any, status: str, details: Any) -> None:
    """Every finish reason has its status; an answer that failed says so."""
    payload = o.emit_response(P, o.LlmResponse((o.Message.assistant("x"),), o.TokenUsage(1, 2), "m", CHAT, reason))
    assert (payload["status"], payload["incomplete_details"]) == (status, details)
    assert (payload["error"] is not None) == (reason is REASON.ERROR)


def test_an_edited_ending_is_written() -> None:
    """A finish reason that is no longer what the status says wins."""
    edited = dataclasses.replace(read(body(SAID)), finish_reason=REASON.LENGTH)
    payload = o.emit_response(P, edited)
    assert (payload["status"], payload["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    payload = o.emit_response(P, dataclasses.replace(edited, finish_reason=None))
    assert payload["status"] == "in_progress"


def test_a_finish_reason_without_a_status_is_a_loss() -> None:
    """What has no word here is written as completed, and named."""
    report = o.emit_api_response(WIRE, o.LlmResponse((), o.TokenUsage(1, 2), "m", CHAT, REASON.OTHER))
    assert report.value["status"] == "completed"
    assert [loss.pointer for loss in report.losses] == ["/finish_reason"]


def test_another_protocols_answer_becomes_items() -> None:
    """Parts become items with derived ids, and the body has what every body of the API has."""
    parts = [
        o.ReasoningPart("Hm.", (), "sig", "enc", protocol=CLAUDE),
        o.TextPart("Hello", (o.Annotation("web", "https://x.test"),)),
        o.RefusalPart("No."),
        o.ToolCallPart("c1", "look", {"a": 1}),
        o.ImageBase64Part("AAAA", "image/png", "low"),
        o.AudioPart("AAAA", None, "Hi"),
        o.VendorPart(CLAUDE, {"type": "x"}),
    ]
    used = o.TokenUsage(10, 5, None, None, o.PromptCacheUsage(None, 4, 3, 1, 2))
    report = o.emit_api_response(WIRE, o.LlmResponse((o.Message("assistant", parts),), used, "m", CLAUDE, response_id="msg_1"))
    payload = report.value
    assert payload["output"] == [
        {
            "id": "rs_msg_1_0",
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm."}],
        },
        {
            "id": "msg_msg_1_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "Hello",
                    "annotations": [
                        {"type": "url_citation", "url": "https://x.test", "title": "", "start_index": 0, "end_index": 5}
                    ],
                    "logprobs": [],
                },
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {
            "id": "fc_msg_1_2",
            "type": "function_call",
            "call_id": "c1",
            "name": "look",
            "arguments": '{"a":1}',
            "status": "completed",
        },
        {"id": "ig_msg_1_3", "type": "image_generation_call", "status": "completed", "result": "AAAA", "output_format": "png"},
    ]
    assert payload["usage"] == {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    assert {name: payload[name] for name in ("id", "object", "created_at", "status", "model")} == {
        "id": "resp_msg_1",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": "m",
    }
    assert [loss.pointer for loss in report.losses] == [
        "/output/0/parts/0/encrypted_content",
        "/output/0/parts/0/signature",
        "/output/0/parts/4/detail",
        "/output/0/parts/5",
        "/output/0/parts/6",
        "/usage/prompt_cache/cache_creation_short_input_tokens",
        "/usage/prompt_cache/cache_creation_long_input_tokens",
    ]


def test_loose_items_and_an_answer_without_usage() -> None:
    """Items without a message stand by themselves; unreported usage is null."""
    output = (o.ReasoningPart("Hm."), o.ToolCallPart("c1", "look", {}), o.ToolResultPart("c1", "x"), o.Message("assistant", []))
    payload = o.emit_response(P, o.LlmResponse(output, o.TokenUsage(estimated=True), "m", CHAT))
    assert [item["type"] for item in payload["output"]] == ["reasoning", "function_call", "function_call_output", "message"]
    assert payload["output"][2]["status"] == "completed"
    assert (payload["id"], payload["usage"]) == ("resp_0", None)


def test_a_tier_that_the_api_has_not_is_a_loss() -> None:
    """Compatible servers have tiers of their own, which clients of this API refuse."""
    theirs = {"id": "c", "model": "m", "service_tier": "on_demand", "choices": []}
    report = o.transcode_api_response(o.WireFormat.OPENAI_CHAT_COMPLETIONS, WIRE, theirs)
    assert "service_tier" not in report.value
    assert any("on_demand" in loss.reason for loss in report.losses)


def test_an_answer_that_is_still_queued_has_a_reason_in_chat() -> None:
    """Chat Completions knows no answer without one."""
    ours = {"id": "resp_1", "model": "m", "status": "queued", "output": []}
    report = o.transcode_api_response(WIRE, o.WireFormat.OPENAI_CHAT_COMPLETIONS, ours)
    assert report.value["choices"][0]["finish_reason"] == "stop"
    assert [loss.pointer for loss in report.losses] == ["/raw_finish_reason"]


def test_what_moderation_found_does_not_cross() -> None:
    """Each of OpenAI's wires reports it in a form of its own."""
    found = {"input": {"type": "moderation_result", "flagged": False}, "output": {"type": "error", "code": "x", "message": "y"}}
    ours = {"id": "resp_1", "model": "m", "status": "completed", "output": [], "moderation": found}
    report = o.transcode_api_response(WIRE, o.WireFormat.OPENAI_CHAT_COMPLETIONS, ours)
    assert "moderation" not in report.value
    assert "/vendor_extensions/open_ai_responses/moderation" in [loss.pointer for loss in report.losses]


def test_an_answer_goes_back_as_input() -> None:
    """Reasoning, calls and messages of an answer are items of the next request, as they came."""
    response = read(body(THOUGHT, SAID, CALLED, SEARCHED))
    written = o.emit_request(P, o.LlmRequest("m", response.as_input()))
    assert written["input"] == [THOUGHT, SAID, CALLED, SEARCHED]


@pytest.mark.parametrize(
    "payload", [{}, {"output": None}, {"output": 7}, {"output": [7]}, body(SAID, id=7), body(SAID, model=[])]
)
def test_what_is_no_response_is_refused(payload: Json) -> None:
    """A body of another shape raises, it is never half read."""
    with pytest.raises(o.ProtocolError):
        o.parse_response(P, payload)
