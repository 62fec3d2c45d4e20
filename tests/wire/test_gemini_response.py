"""generateContent responses: what they say, that they are written back, and how other wires' answers are written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gemini_content import CHAT, CLAUDE, SIGNED, WIRE, P, answer, back, called, model, own

import omnillm as o

R = o.FinishReason
REASONS = {
    "STOP": R.STOP,
    "MAX_TOKENS": R.LENGTH,
    "SAFETY": R.CONTENT_FILTER,
    "RECITATION": R.CONTENT_FILTER,
    "LANGUAGE": R.OTHER,
    "OTHER": R.OTHER,
    "BLOCKLIST": R.CONTENT_FILTER,
    "PROHIBITED_CONTENT": R.CONTENT_FILTER,
    "SPII": R.CONTENT_FILTER,
    "MALFORMED_FUNCTION_CALL": R.ERROR,
    "IMAGE_SAFETY": R.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": R.CONTENT_FILTER,
    "IMAGE_OTHER": R.OTHER,
    "NO_IMAGE": R.OTHER,
    "IMAGE_RECITATION": R.CONTENT_FILTER,
    "UNEXPECTED_TOOL_CALL": R.ERROR,
    "TOO_MANY_TOOL_CALLS": R.ERROR,
    "MISSING_THOUGHT_SIGNATURE": R.ERROR,
    "MALFORMED_RESPONSE": R.ERROR,
    "ESCALATION": R.OTHER,
    "PUP_LIMITED_DISABLED": R.OTHER,
    "CONTINUATION": R.OTHER,
    "MODEL_ARMOR": R.CONTENT_FILTER,
    "FINISH_REASON_UNSPECIFIED": R.OTHER,
    "TOMORROW": R.OTHER,
}


@pytest.mark.parametrize("word", REASONS)
def test_every_finish_reason(word: str) -> None:
    """It has its canonical meaning; the provider's own word is kept and written back."""
    payload = answer({"text": "Hi"}, candidate={"finishReason": word})
    response = o.parse_response(P, payload)
    assert (response.finish_reason, response.raw_finish_reason) == (REASONS[word], word)
    assert back(payload) == payload


@pytest.mark.parametrize(("number", "word"), [(0, "FINISH_REASON_UNSPECIFIED"), (1, "STOP"), (2, "MAX_TOKENS"), (99, "99")])
def test_a_finish_reason_may_be_a_number(number: int, word: str) -> None:
    """It is named, and written back as a number."""
    payload = answer({"text": "Hi"}, candidate={"finishReason": number})
    assert o.parse_response(P, payload).raw_finish_reason == word
    assert back(payload) == payload


def test_an_answer_with_a_call_ended_for_it() -> None:
    """The API reports STOP; the canonical reason is the call."""
    response = o.parse_response(P, answer(called(args={"a": 1})))
    assert (response.finish_reason, response.raw_finish_reason) == (R.TOOL_CALL, "STOP")
    assert response.tool_calls[0].call_id == "call_0"


def test_what_an_answer_says() -> None:
    """Text, reasoning, calls, ids, model and usage."""
    response = o.parse_response(P, answer(SIGNED, {"text": "Hi"}, called(id="c")))
    assert (response.text, response.reasoning_text, response.tool_calls[0].call_id) == ("Hi", "Hm.", "c")
    assert (response.model, response.response_id) == ("gemini-2.5-flash", "r1")
    assert (response.usage.prompt_tokens, response.usage.completion_tokens, response.usage.total_tokens) == (3, 5, 8)


BODIES: list[dict[str, Any]] = [
    answer(SIGNED, {"text": "Hi"}, called(id="c"), {"executableCode": {"code": "1"}}),
    answer({"text": "a"}, candidate={"index": 1, "tokenCount": 5, "avgLogprobs": -0.1, "safetyRatings": [{"category": 7}]}),
    answer({"text": "a"}, candidate={"logprobsResult": {"chosenCandidates": []}, "finishMessage": "m", "content": model()}),
    {
        **answer({"text": "a"}),
        "candidates": [answer({"text": "a"})["candidates"][0], {"content": model({"text": "b"}), "index": 1}],
    },
    answer({"text": "a"}, createTime="t", modelStatus={}, promptFeedback={}, automaticFunctionCallingHistory=None),
    {"candidates": [{"finishReason": "SAFETY"}]},
    {"candidates": [{"content": {}, "finishReason": "STOP", "index": 0}], "modelVersion": ""},
    {"candidates": [{"content": {"role": "model"}}]},
    {"candidates": [{"content": None}]},
    {"candidates": [{"content": {"parts": {"text": "a"}, "x": 1}}]},
    {"candidates": [{"content": {"parts": [{"text": "a"}], "role": "user"}}]},
    {
        "candidates": [{"content": {"parts": [{"text": "a"}]}, "finish_reason": "STOP"}],
        "usage_metadata": {"prompt_token_count": 1},
    },
    {"candidates": []},
    {"candidates": None, "usageMetadata": {"trafficType": "ON_DEMAND"}},
    {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": []}, "responseId": "r"},
    {"promptFeedback": {"blockReason": 1}, "candidates": []},
    {"promptFeedback": {}},
]


@pytest.mark.parametrize("payload", BODIES, ids=str)
def test_a_response_is_written_back(payload: dict[str, Any]) -> None:
    """Whatever it leaves out, and whatever else it says."""
    assert back(payload) == payload


USAGES: list[tuple[dict[str, Any], o.TokenUsage]] = [
    ({"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8}, o.TokenUsage(3, 5, 8)),
    (
        {"promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 15},
        o.TokenUsage(3, 12, 15, 7),
    ),
    (
        {"promptTokenCount": 3, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 5, "totalTokenCount": 12},
        o.TokenUsage(7, 5, 12),
    ),
    ({"promptTokenCount": 3, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 5}, o.TokenUsage(7, 5)),
    ({"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 20}, o.TokenUsage(15, 5, 20)),
    (
        {"promptTokenCount": 3, "cachedContentTokenCount": 2, "totalTokenCount": 3},
        o.TokenUsage(3, 0, 3, prompt_cache=o.PromptCacheUsage(2)),
    ),
    ({"trafficType": "ON_DEMAND"}, o.TokenUsage(estimated=True)),
    ({"promptTokenCount": "x", "candidatesTokenCount": -1, "totalTokenCount": None}, o.TokenUsage(estimated=True)),
    ({"promptTokenCount": 0, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 0}]}, o.TokenUsage()),
    ({}, o.TokenUsage(estimated=True)),
]


@pytest.mark.parametrize(("given", "usage"), USAGES)
def test_usage_counts_everything(given: dict[str, Any], usage: o.TokenUsage) -> None:
    """Thoughts are output, the prompt of tools is input; every count is written back."""
    payload = {**answer({"text": "Hi"}), "usageMetadata": given}
    assert replace(o.parse_response(P, payload).usage, vendor_extensions={}) == usage
    assert back(payload) == payload


def test_an_edited_usage_is_written() -> None:
    """A count that was changed is told, not the one that came."""
    response = o.parse_response(P, {**answer(), "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 20}})
    edited = replace(response, usage=replace(response.usage, prompt_tokens=9))
    assert o.emit_response(P, edited)["usageMetadata"]["promptTokenCount"] == 9


@pytest.mark.parametrize(
    "reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"]
)
def test_a_blocked_prompt_is_a_refusal(reason: str) -> None:
    """It has no candidate, and is no empty success."""
    payload = {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 3}}
    response = o.parse_response(P, payload)
    assert (response.finish_reason, response.raw_finish_reason) == (R.CONTENT_FILTER, reason)
    assert response.refusal == f"prompt_blocked:{reason}"
    assert back(payload) == payload
    assert o.emit_response(CHAT, response)["choices"][0]["finish_reason"] == "content_filter"


GROUNDING = {
    "groundingChunks": [
        {"web": {"uri": "https://a.example/", "title": "a"}},
        {"retrievedContext": {"uri": "b", "text": "quoted"}},
        {"of_tomorrow": 1},
    ],
    "groundingSupports": [
        {"segment": {"endIndex": 3, "text": "hé"}, "groundingChunkIndices": [0, 2, 9]},
        {"segment": {"partIndex": 2, "startIndex": 1, "endIndex": 99}, "groundingChunkIndices": [1]},
        {"segment": {"partIndex": 0}, "groundingChunkIndices": [0]},
        {"segment": {"partIndex": 9}, "groundingChunkIndices": [0]},
        {},
        "x",
    ],
}


def test_grounding_is_hung_on_the_texts() -> None:
    """Offsets count bytes of a part, and are told in characters; the metadata stay whole."""
    payload = answer(SIGNED, {"text": "hé!"}, {"text": "you"}, candidate={"groundingMetadata": GROUNDING})
    parts = o.parse_response(P, payload).messages[0].parts
    found = [[replace(item, raw=None) for item in part.annotations] for part in parts if isinstance(part, o.TextPart)]
    assert found == [
        [o.Annotation("url_citation", "https://a.example/", "a", 0, 2)],
        [o.Annotation("url_citation", "b", None, 1, None, "quoted")],
    ]
    assert back(payload) == payload


def test_citations_are_hung_on_the_texts() -> None:
    """Offsets count the bytes of the whole answer."""
    citations = [{"startIndex": 4, "endIndex": 6, "uri": "u", "title": "t"}, {"uri": "v"}, {"startIndex": 99, "uri": "w"}]
    payload = answer({"text": "hé!"}, {"text": "you"}, candidate={"citationMetadata": {"citations": citations}})
    parts = o.parse_response(P, payload).messages[0].parts
    found = [[replace(item, raw=None) for item in part.annotations] for part in parts if isinstance(part, o.TextPart)]
    assert found == [
        [o.Annotation("url_citation", "v", start=0), o.Annotation("url_citation", "w")],
        [o.Annotation("url_citation", "u", "t", 0, 2)],
    ]
    assert back(payload) == payload


@pytest.mark.parametrize("strange", ["x", {"groundingChunks": 1}, {"groundingSupports": [{"segment": 1}], "groundingChunks": []}])
def test_strange_metadata_ride_along(strange: Any) -> None:
    """What is none of the form cites nothing."""
    payload = answer({"text": "a"}, candidate={"groundingMetadata": strange, "citationMetadata": strange})
    assert back(payload) == payload


def foreign(*parts: Any, **fields: Any) -> o.LlmResponse:
    """Give an answer of another wire."""
    made = o.LlmResponse((o.Message("assistant", parts),), o.TokenUsage(3, 5, 8), "m", CHAT, R.STOP, "stop", "id1")
    return replace(made, **fields)


def test_an_answer_of_another_wire() -> None:
    """It is a whole response, as the API gives one."""
    assert o.emit_response(P, foreign(o.TextPart("Hi"))) == {
        "candidates": [{"content": model({"text": "Hi"}), "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8},
        "modelVersion": "m",
        "responseId": "id1",
    }


PARTS: list[tuple[Any, dict[str, Any], list[str]]] = [
    (o.RefusalPart("No."), {"content": model(), "finishReason": "SAFETY", "finishMessage": "No."}, []),
    (
        o.ReasoningPart("Hm.", ("s",), "sig", "enc", protocol=CLAUDE),
        {"content": model({"text": "Hm.", "thought": True})},
        ["signature", "encrypted_content", "summary"],
    ),
    (o.ReasoningPart(encrypted_content="enc", protocol=CLAUDE), {"content": model()}, ["encrypted_content"]),
    (
        o.TextPart("hé!", (o.Annotation("url_citation", "u", "t", 1, 2, "c"), o.Annotation("file"), o.Annotation("k", "v"))),
        {
            "content": model({"text": "hé!"}),
            "citationMetadata": {
                "citations": [
                    {"startIndex": 1, "endIndex": 3, "uri": "u", "title": "t"},
                    {"startIndex": 0, "endIndex": 4, "uri": "v"},
                ]
            },
        },
        ["annotations/0/cited_text", "annotations/1"],
    ),
]


@pytest.mark.parametrize(("part", "candidate", "losses"), PARTS)
def test_a_part_of_another_wires_answer(part: Any, candidate: dict[str, Any], losses: list[str]) -> None:
    """Refusals are the finish message, citations the candidate's; another provider's state is left out."""
    report = o.emit_api_response(WIRE, foreign(part))
    assert report.value["candidates"] == [{"finishReason": "STOP", "index": 0, **candidate}]
    assert [loss.pointer for loss in report.losses] == [f"/output/0/parts/0/{name}" for name in losses]


@pytest.mark.parametrize(
    ("reason", "word", "losses"),
    [
        (R.LENGTH, "MAX_TOKENS", []),
        (R.TOOL_CALL, "STOP", []),
        (R.CONTENT_FILTER, "SAFETY", []),
        (R.OTHER, "OTHER", []),
        (R.CANCELLED, "OTHER", ["/finish_reason"]),
        (R.ERROR, "OTHER", ["/finish_reason"]),
        (None, None, []),
    ],
)
def test_a_finish_reason_of_another_wire(reason: o.FinishReason | None, word: str | None, losses: list[str]) -> None:
    """It has the API's own word, or is lost."""
    report = o.emit_api_response(WIRE, foreign(finish_reason=reason))
    assert report.value["candidates"][0].get("finishReason") == word
    assert [loss.pointer for loss in report.losses] == losses


def test_usage_of_another_wire() -> None:
    """What was read from the cache is told, what was written is not."""
    cache = o.PromptCacheUsage(None, 2, 4)
    report = o.emit_api_response(WIRE, foreign(usage=o.TokenUsage(9, 5, None, 7, cache)))
    assert report.value["usageMetadata"] == {
        "promptTokenCount": 9,
        "cachedContentTokenCount": 2,
        "candidatesTokenCount": 0,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 14,
    }
    assert [loss.pointer for loss in report.losses] == ["/usage/prompt_cache/cache_creation_input_tokens"]
    assert "usageMetadata" not in o.emit_response(P, foreign(usage=o.TokenUsage(estimated=True)))


def test_loose_output_items() -> None:
    """Items without a message are parts of the one content."""
    response = foreign(output=(o.ReasoningPart("Hm."), o.Message.assistant("Hi"), o.ToolCallPart("c", "f", {})))
    candidate = o.emit_response(P, response)["candidates"][0]
    assert candidate["content"] == model({"text": "Hm.", "thought": True}, {"text": "Hi"}, called(id="c"))


@pytest.mark.parametrize("payload", [{}, {"x": 1}, {"candidates": "x"}, {"candidates": ["x"]}, {"candidates": [{"content": 1}]}])
def test_a_body_that_is_no_response(payload: dict[str, Any]) -> None:
    """It is a protocol error."""
    with pytest.raises(o.ProtocolError):
        o.parse_response(P, payload)


def test_what_a_candidate_keeps() -> None:
    """What has no canonical place rides in the response's extensions."""
    response = o.parse_response(P, answer({"text": "a"}, candidate={"avgLogprobs": -1.5}, createTime="t"))
    assert response.vendor_extensions == own(createTime="t", candidates=[{"avgLogprobs": -1.5}])
