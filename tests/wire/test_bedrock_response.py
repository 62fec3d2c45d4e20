"""Converse responses and errors: what each field is read into, that it is written back, and what other answers become."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from bedrock_converse import CHAT, CITATION, CLAUDE, REDACTED, SIGNED, WIRE, P, answer, gave, used

import omnillm as o
from omnillm.wire import codec

R = o.FinishReason
SERVER = {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
FIELDS: list[dict[str, Any]] = [
    {},
    {"stopReason": None, "usage": None},
    {"additionalModelResponseFields": {"stop_sequence": "END"}, "performanceConfig": {"latency": "standard"}},
    {"trace": {"promptRouter": {"invokedModelId": "arn"}, "guardrail": {}}, "serviceTier": {"type": "flex"}},
    {"trace": {"promptRouter": None}, "tomorrow": None},
    {"output": {"message": {"role": "user", "content": []}, "tomorrow": 1}},
    {"output": {"message": {"content": [{"text": "Hi"}], "tomorrow": 1}}},
]


def again(payload: dict[str, Any]) -> dict[str, Any]:
    before = copy.deepcopy(payload)
    response = o.parse_response(P, payload)
    report = o.emit_api_response(WIRE, o.LlmResponse.from_json(response.to_json()))
    assert payload == before
    assert report.losses == ()
    assert o.emit_response(P, response) == report.value
    return report.value


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("blocks", [[SIGNED, REDACTED, {"text": "Hi"}, SERVER, gave("s", type="x"), used("t", a=1)], []])
def test_a_response_is_written_back_as_it_was(blocks: list[Any], fields: dict[str, Any]) -> None:
    """Every field and block comes back, nulls and unknown ones too."""
    assert again(answer(*blocks, **fields)) == answer(*blocks, **fields)


def test_what_a_response_says() -> None:
    """Text, cited text, reasoning and calls are where every protocol's are; what the provider ran is no call of a tool."""
    cited = {"citationsContent": {"content": [{"text": "Red."}], "citations": [CITATION]}}
    router = {"promptRouter": {"invokedModelId": "arn"}}
    response = o.parse_response(P, answer(SIGNED, {"text": "Hi. "}, cited, SERVER, used("t", a=1), trace=router))
    assert response.text == "Hi. Red."
    assert response.reasoning_text == "Hm."
    assert [(call.call_id, call.arguments) for call in response.tool_calls] == [("t", {"a": 1})]
    assert (response.model, response.response_id) == ("arn", None)
    (mark,) = response.messages[0].parts[2].annotations
    assert (mark.kind, mark.title, mark.start, mark.end, mark.cited_text) == ("documentChar", "facts", 1, 9, "Ruby is red.")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", R.STOP),
        ("stop_sequence", R.STOP),
        ("max_tokens", R.LENGTH),
        ("model_context_window_exceeded", R.LENGTH),
        ("tool_use", R.TOOL_CALL),
        ("guardrail_intervened", R.CONTENT_FILTER),
        ("content_filtered", R.CONTENT_FILTER),
        ("malformed_model_output", R.ERROR),
        ("malformed_tool_use", R.ERROR),
        ("tomorrow", R.OTHER),
    ],
)
def test_stop_reasons(word: str, reason: o.FinishReason) -> None:
    """Each has its meaning, and comes back as it was until the meaning is edited."""
    response = o.parse_response(P, answer(stopReason=word))
    assert (response.finish_reason, response.raw_finish_reason) == (reason, word)
    assert o.emit_response(P, response)["stopReason"] == word
    edited = replace(response, finish_reason=R.LENGTH if reason is not R.LENGTH else R.STOP)
    assert o.emit_response(P, edited)["stopReason"] == ("max_tokens" if reason is not R.LENGTH else "end_turn")


USAGES: list[tuple[dict[str, Any], o.TokenUsage]] = [
    ({"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}, o.TokenUsage(3, 5, 8)),
    ({"inputTokens": 3, "outputTokens": 5}, o.TokenUsage(3, 5)),
    (
        {"inputTokens": 3, "outputTokens": 5, "totalTokens": 14, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 2},
        o.TokenUsage(9, 5, 14, prompt_cache=o.PromptCacheUsage(None, 4, 2)),
    ),
    (
        {"inputTokens": 3, "outputTokens": 5, "totalTokens": 12, "cacheReadInputTokenCount": 4, "cacheWriteInputTokenCount": 0},
        o.TokenUsage(7, 5, 12, prompt_cache=o.PromptCacheUsage(None, 4, 0)),
    ),
    (
        {
            "inputTokens": 3,
            "outputTokens": 5,
            "totalTokens": 14,
            "cacheWriteInputTokens": 6,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 4}, {"ttl": "5m", "inputTokens": 2}],
        },
        o.TokenUsage(9, 5, 14, prompt_cache=o.PromptCacheUsage(None, None, 6, 2, 4)),
    ),
    (
        {
            "inputTokens": 3,
            "outputTokens": 5,
            "totalTokens": 12,
            "cacheWriteInputTokens": 4,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 4}],
        },
        o.TokenUsage(7, 5, 12, prompt_cache=o.PromptCacheUsage(None, None, 4, 4, 0)),
    ),
    (
        {"inputTokens": -3, "outputTokens": "5", "totalTokens": None, "serverToolUsage": {}},
        o.TokenUsage(0, 0, estimated=True),
    ),
    *(
        ({"inputTokens": 3, "outputTokens": 5, "totalTokens": 8, "cacheWriteInputTokens": 0, "cacheDetails": odd}, None)
        for odd in ([], [{"ttl": "2d", "inputTokens": 1}], [{"ttl": "5m", "inputTokens": True}], [5])
    ),
]


@pytest.mark.parametrize(("given", "expected"), USAGES)
def test_usage(given: dict[str, Any], expected: o.TokenUsage | None) -> None:
    """The prompt counts what went through the cache; every shape comes back as it was."""
    usage = o.parse_response(P, answer(usage=given)).usage
    if expected is not None:
        assert replace(usage, vendor_extensions={}) == expected
    assert again(answer(usage=given))["usage"] == given


def test_the_usage_of_another_protocol() -> None:
    """What was cached is taken from the prompt, and split where the times to live are known; reasoning is a loss."""
    cache = o.PromptCacheUsage(2, None, None, 1, 0)
    usage = o.TokenUsage(9, 5, None, 3, cache)
    report = o.emit_api_response(WIRE, o.LlmResponse((), usage, "", CHAT))
    assert report.value["usage"] == {
        "inputTokens": 6,
        "outputTokens": 5,
        "totalTokens": 14,
        "cacheReadInputTokens": 2,
        "cacheWriteInputTokens": 1,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 1}, {"ttl": "1h", "inputTokens": 0}],
    }
    assert [loss.pointer for loss in report.losses] == ["/usage/reasoning_tokens"]


def test_the_answer_of_another_protocol() -> None:
    """A client is shown the reasoning and the refusal as texts; what only the other provider can read is lost."""
    parts = (
        o.ReasoningPart("Hm.", ("short",), "sig", "enc", protocol=CLAUDE),
        o.ReasoningPart("", ("Short.",), protocol=CHAT),
        o.ReasoningPart(encrypted_content="enc", protocol=CHAT),
        o.RefusalPart("No."),
    )
    output = (o.Message("assistant", parts), o.ToolCallPart("c", "f", {}), o.VendorPart(CHAT, {"type": "x"}))
    response = o.LlmResponse(output, o.TokenUsage(1, 2), "m", CHAT, R.STOP, "stop", "id")
    report = o.emit_api_response(WIRE, response)
    assert report.value["output"]["message"]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm."}}},
        {"reasoningContent": {"reasoningText": {"text": "Short."}}},
        {"text": "No."},
        used("c"),
    ]
    assert (report.value["stopReason"], report.value["metrics"]) == ("content_filtered", {"latencyMs": 0})
    assert [loss.pointer for loss in report.losses] == [
        "/output/0/parts/0/signature",
        "/output/0/parts/0/encrypted_content",
        "/output/0/parts/0/summary",
        "/output/0/parts/2/encrypted_content",
        "/output/2/payload",
        "/model",
        "/response_id",
    ]
    cancelled = o.emit_api_response(WIRE, o.LlmResponse((), o.TokenUsage(), "", CHAT, R.CANCELLED))
    assert (cancelled.value["stopReason"], cancelled.losses[0].pointer) == ("end_turn", "/finish_reason")
    assert o.emit_response(P, o.LlmResponse((), o.TokenUsage(), "", CHAT))["stopReason"] == "end_turn"


ERRORS: list[tuple[int | None, Any, type[o.ProviderError], str | None, str, int | None]] = [
    (400, {"message": "No."}, o.BadRequestError, "400", "No.", 400),
    (
        400,
        {"Message": "No.", "__type": "com.amazon#ValidationException:http://x"},
        o.BadRequestError,
        "ValidationException",
        "No.",
        400,
    ),
    (
        403,
        {"message": "The security token included in the request is invalid."},
        o.PermissionDeniedError,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        403,
    ),
    (
        403,
        {"message": "The security token included in the request is expired"},
        o.PermissionDeniedError,
        "ExpiredTokenException",
        "The security token included in the request is expired",
        403,
    ),
    (404, {"message": "No.", "code": "ResourceNotFoundException"}, o.BadRequestError, "ResourceNotFoundException", "No.", 404),
    (429, {"message": "Slow.", "__type": "ThrottlingException"}, o.RateLimitedError, "ThrottlingException", "Slow.", 429),
    (500, "<html>", o.ServerError, "500", "<html>", 500),
    (503, None, o.OverloadedError, "503", "HTTP status 503", 503),
    (503, "", o.OverloadedError, "503", "HTTP status 503", 503),
    (None, [], o.ServerError, None, "an error without a message", None),
    (None, {"throttlingException": {"message": "Slow."}}, o.RateLimitedError, "throttlingException", "Slow.", 429),
    (None, {"validationException": "No."}, o.BadRequestError, "validationException", "No.", 400),
    (
        200,
        {"Output": {"__type": "a#UnknownOperationException"}},
        o.ServerError,
        "UnknownOperationException",
        "HTTP status 200",
        200,
    ),
    (
        None,
        {"serviceUnavailableException": {}},
        o.OverloadedError,
        "serviceUnavailableException",
        "an error without a message",
        503,
    ),
]


@pytest.mark.parametrize(("status", "given", "cls", "code", "message", "seen"), ERRORS)
def test_an_error_is_read(status: int | None, given: Any, cls: type, code: str | None, message: str, seen: int | None) -> None:
    """Whatever the body is, the class, code, message and status fit; what else it says is kept."""
    error = o.parse_error(P, status, given)
    assert (type(error), error.code, error.message, error.status) == (cls, code, message, seen)


def test_what_else_an_error_says_is_kept() -> None:
    """A model's own error is beside the service's."""
    given = {"modelStreamErrorException": {"originalStatusCode": 500, "originalMessage": "Oh."}}
    error = o.parse_error(P, None, given)
    assert (type(error), error.message, error.status) == (o.ServerError, "Oh.", 424)
    assert error.vendor_extensions == {WIRE.value: {"originalStatusCode": 500, "originalMessage": "Oh."}}
    assert o.emit_error(P, error) == {"__type": "ModelStreamErrorException", "message": "Oh."}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (o.RateLimitedError("No.", protocol=CHAT, status=429), "ThrottlingException"),
        (o.BadRequestError("No.", protocol=CHAT, status=400, code="x"), "ValidationException"),
        (o.OverloadedError("No.", protocol=CHAT, status=529), "ServiceUnavailableException"),
        (o.UnauthorizedError("No.", protocol=CHAT), "UnrecognizedClientException"),
        (o.ProviderError("No.", protocol=CHAT), "InternalServerException"),
        (o.ProviderError("No.", protocol=P, code="ModelTimeoutException"), "ModelTimeoutException"),
    ],
)
def test_an_error_of_another_protocol_is_written(error: o.ProviderError, name: str) -> None:
    """The exception is the one that says the same."""
    assert o.emit_error(P, error) == {"__type": name, "message": "No."}


def test_an_error_is_written_back_as_it_was() -> None:
    """An own body stays; one of success may hold an error instead of an answer."""
    given = {"message": "No.", "resourceName": "x"}
    assert o.emit_error(P, o.parse_error(P, 424, given)) == given
    embedded = codec(WIRE).embedded_error
    assert embedded(answer()) is None
    assert embedded({"tomorrow": 1}) is None
    found = embedded({"internalServerException": {"message": "Oh."}})
    assert found is not None
    assert found.message == "Oh."


def test_a_guarded_text_is_no_text_of_an_answer() -> None:
    """AWS's clients read none of it as the answer; it is kept whole."""
    given = answer({"text": "Hi"}, {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}})
    response = o.parse_response(P, given)
    assert response.text == "Hi"
    assert o.emit_response(P, response) == given
