"""Responses of Chat Completions: the canonical answer, and the body it came in."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest

from omnillm import (
    Annotation,
    AudioPart,
    FinishReason,
    ImageUrlPart,
    InvalidShapeError,
    JsonPart,
    LlmRequest,
    LlmResponse,
    Message,
    MessageRole,
    MissingFieldError,
    PromptCacheUsage,
    ProtocolError,
    ProviderProtocol,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenUsage,
    ToolCallPart,
    VendorPart,
    emit_api_response,
    emit_request,
    emit_response,
    parse_response,
)
from omnillm.types.enums import WireFormat

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CLAUDE = ProviderProtocol.CLAUDE_MESSAGES
WIRE = WireFormat.OPENAI_CHAT_COMPLETIONS

Json = dict[str, Any]


def choice(finish_reason: Any = "stop", index: Any = 0, **message: Any) -> Json:
    return {"index": index, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": finish_reason}


def body(*choices: Any, **more: Any) -> Json:
    given = list(choices) or [choice(content="hi", refusal=None)]
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "gpt-test", "choices": given, **more}


def call(**more: Any) -> Json:
    return {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}, **more}


CITATION = {"type": "url_citation", "url_citation": {"url": "https://x.test", "title": "t", "start_index": 0, "end_index": 2}}

BODIES: list[Json] = [
    body(),
    body(usage=None, service_tier=None, system_fingerprint="fp", moderation={"a": 1}, metadata={}),
    body(choice(content="hi", annotations=[CITATION], refusal=None)),
    body(choice(content="hi", annotations=[{"type": "file", "file": {"hash": "h"}}, CITATION])),
    body(choice(content="hi", annotations=[{"type": "odd", "odd": 1}])),
    body(choice(content="hi", annotations=None, function_call=None, tool_calls=None, audio=None)),
    body(choice(content=None, refusal="no")),
    body(choice(content="", tool_calls=[])),
    body(choice()),
    body(choice("tool_calls", content=None, tool_calls=[call(), call(id="c2", index=1)])),
    body(choice("tool_calls", tool_calls=[call(id="")])),
    body(choice("tool_calls", tool_calls=[{"function": {"name": "look", "arguments": "{ }"}}])),
    body(
        choice("tool_calls", tool_calls=[{"id": None, "type": "function", "function": {"name": "look", "arguments": {"a": 1}}}])
    ),
    body(choice("tool_calls", tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}])),
    body(choice("tool_calls", tool_calls=[call(extra_content={"google": {"thought_signature": "s"}})])),
    body(choice("function_call", content=None, function_call={"name": "look", "arguments": "{}"})),
    body(choice(content=None, audio={"id": "a", "data": "AA", "expires_at": 9, "transcript": "hi"})),
    body(choice(content=None, audio={"id": "a", "data": "AA"})),
    body(choice(content="hi", reasoning_content="hm")),
    body(choice(content="hi", reasoning="hm", reasoning_details=[{"type": "reasoning.encrypted", "data": "d"}])),
    body(choice(content="hi", reasoning="", reasoning_content=None)),
    body(choice(content="hi", reasoning="hm", reasoning_content="hm")),
    body(choice(content="hi", reasoning="h", reasoning_content="m", reasoning_details=[{"type": "reasoning.encrypted"}])),
    body(choice(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "hi"}])),
    body(choice(content=[{"type": "text", "text": "hi"}, {"type": "reference", "reference_ids": [1]}])),
    body(choice(content={"title": "an object"})),
    body(choice(content="hi"), choice("length", 1, content="ho", tool_calls=[call()])),
    body(choice(content="hi", index=0), choice(index=3, content="ho")),
    body(choice(index=2, content="hi")),
    body(
        {
            **choice(content="hi"),
            "logprobs": {"content": [{"token": "hi"}], "refusal": None},
            "content_filter_results": {"hate": {}},
        }
    ),
    body({**choice(content="hi"), "delta": {"content": ""}, "native_finish_reason": "STOP", "stop_reason": None}),
    body({"message": {"content": "hi"}}),
    body({"index": True, "message": {"role": "model", "content": "hi"}, "finish_reason": None}),
    body({"index": 0, "message": None, "finish_reason": ""}),
    body({"index": 0, "finish_reason": "error", "error": {"code": 502}}),
    {**body(), "choices": []},
    {"choices": [choice(content="hi")]},
    {"id": "", "object": "chat.completion.chunk", "created": None, "model": "", "choices": [], "usage": {}},
    {"id": None, "object": None, "model": None, "choices": [choice(content="hi")], "citations": ["u"], "x_groq": {"id": "r"}},
    body(provider="P", **{"@odd/name": {"a": [1, None, {"b": True}]}}),
    body(usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
    body(
        usage={
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 1, "accepted_prediction_tokens": 0},
            "cost": 0.1,
        }
    ),
    body(usage={"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": None, "completion_tokens_details": {}}),
    body(usage={"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 4}),
    body(usage={"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "cached_tokens": 5, "reasoning_tokens": 2}),
    body(usage={"prompt_tokens": 9, "completion_tokens": None, "total_tokens": None}),
    body(
        usage={
            "prompt_tokens": -1,
            "completion_tokens": "4",
            "total_tokens": 1.5,
            "prompt_tokens_details": {"cached_tokens": "x"},
        }
    ),
    body(usage={"total_tokens": 4}),
]


@pytest.mark.parametrize("payload", BODIES, ids=json.dumps)
def test_every_body_is_written_as_it_was_read(payload: Json) -> None:
    """Bodies of the API and of the servers that speak it come back as they were, also after a rest in JSON, without loss."""
    before = copy.deepcopy(payload)
    parsed = parse_response(CHAT, payload)
    report = emit_api_response(WIRE, parsed)
    assert (report.value, report.losses) == (before, ())
    assert emit_response(CHAT, LlmResponse.from_json(parsed.to_json())) == before
    assert payload == before


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "hi"}, [TextPart("hi")]),
        ({"content": None, "refusal": "no"}, [RefusalPart("no")]),
        ({"content": "hi", "tool_calls": [call()]}, [TextPart("hi"), ToolCallPart("c1", "look", {"a": 1})]),
        ({"content": {"a": 1}}, [JsonPart({"a": 1})]),
        ({"content": [{"type": "new"}]}, [VendorPart(CHAT, {"type": "new"})]),
        (
            {"content": "hi", "annotations": [CITATION]},
            [TextPart("hi", (Annotation("url_citation", "https://x.test", "t", 0, 2, raw=CITATION),))],
        ),
    ],
)
def test_a_message_reads_as_canonical_parts(message: Json, parts: list[Any]) -> None:
    """The first choice's message is the answer."""
    assert parse_response(CHAT, body(choice(**message))).output[0].parts == tuple(parts)


def test_sound_is_a_part_with_its_transcript_and_goes_back_by_its_id() -> None:
    """A spoken reply is an audio part; the next request names it by id, as the API wants."""
    response = parse_response(
        CHAT, body(choice(content=None, audio={"id": "a", "data": "AA", "expires_at": 9, "transcript": "hi"}))
    )
    (message,) = response.messages
    assert isinstance(message.parts[0], AudioPart)
    assert (message.parts[0].data, message.parts[0].transcript) == ("AA", "hi")
    (sent,) = emit_request(CHAT, LlmRequest("m", response.as_input()))["messages"]
    assert sent == {"role": "assistant", "content": None, "audio": {"id": "a"}}


def test_calls_without_an_id_get_one_that_results_can_name() -> None:
    """The id is derived from the position, the body still comes back as it was, and the next request says the id."""
    payload = body(choice("tool_calls", content=None, tool_calls=[call(id=""), {"function": {"name": "f", "arguments": ""}}]))
    response = parse_response(CHAT, payload)
    assert [found.call_id for found in response.tool_calls] == ["call_0", "call_1"]
    assert emit_response(CHAT, response) == payload
    (sent,) = emit_request(CHAT, LlmRequest("m", response.as_input()))["messages"]
    assert [found["id"] for found in sent["tool_calls"]] == ["call_0", "call_1"]


def test_the_answer_goes_back_with_its_reasoning_and_signatures() -> None:
    """``as_input`` keeps what the provider wants to see again, in the fields where it was."""
    message = {
        "content": "hi",
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}],
        "tool_calls": [call(extra_content={"google": {"thought_signature": "s"}})],
    }
    response = parse_response(CHAT, body(choice("tool_calls", **message)))
    (sent,) = emit_request(CHAT, LlmRequest("m", response.as_input()))["messages"]
    assert sent == {"role": "assistant", **message}
    assert response.reasoning_text == "hm"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALL),
        ("function_call", FinishReason.TOOL_CALL),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("error", FinishReason.ERROR),
        ("model_length", FinishReason.LENGTH),
        ("STOP", FinishReason.STOP),
        ("a new one", FinishReason.OTHER),
        ("", None),
        (None, None),
    ],
)
def test_finish_reasons(word: Any, reason: FinishReason | None) -> None:
    """Each word has its meaning, and the provider's own is kept beside it."""
    response = parse_response(CHAT, body(choice(word, content="hi")))
    assert (response.finish_reason, response.raw_finish_reason) == (reason, word or None)


@pytest.mark.parametrize(
    ("reason", "raw", "protocol", "word"),
    [
        (FinishReason.STOP, "eos", CHAT, "eos"),
        (FinishReason.LENGTH, "stop", CHAT, "length"),
        (FinishReason.TOOL_CALL, "tool_use", CLAUDE, "tool_calls"),
        (FinishReason.STOP, "end_turn", CLAUDE, "stop"),
        (None, None, CLAUDE, "stop"),
        (None, None, CHAT, None),
    ],
)
def test_a_finish_reason_is_written_in_the_api_s_words(reason: Any, raw: Any, protocol: Any, word: Any) -> None:
    """The provider's own word serves for as long as it means the reason."""
    response = LlmResponse((Message.assistant("hi"),), TokenUsage(), "m", protocol, reason, raw)
    assert emit_response(CHAT, response)["choices"][0]["finish_reason"] == word


def test_a_reason_without_a_word_is_named() -> None:
    """What the API has no word for is ``stop`` and a loss."""
    response = LlmResponse((Message.assistant("hi"),), TokenUsage(), "m", CLAUDE, FinishReason.OTHER, "pause_turn")
    report = emit_api_response(WIRE, response)
    assert report.value["choices"][0]["finish_reason"] == "stop"
    assert [loss.pointer for loss in report.losses] == ["/finish_reason"]


NOTHING = TokenUsage(0, 0, estimated=True)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, NOTHING),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, TokenUsage(3, 4, 7)),
        (
            {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1}},
            TokenUsage(3, 4, prompt_cache=PromptCacheUsage(2, cache_creation_input_tokens=1)),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 2}},
            TokenUsage(3, 4, reasoning_tokens=2),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 4, "prompt_cache_hit_tokens": 2, "reasoning_tokens": 1},
            TokenUsage(3, 4, reasoning_tokens=1, prompt_cache=PromptCacheUsage(2)),
        ),
        ({"prompt_tokens": 3, "completion_tokens": 4, "cached_tokens": 2}, TokenUsage(3, 4, prompt_cache=PromptCacheUsage(2))),
        ({"prompt_tokens": -3, "completion_tokens": "4"}, NOTHING),
        ({"prompt_tokens": True, "completion_tokens": 4}, TokenUsage(0, 4, estimated=True)),
    ],
)
def test_usage(usage: Any, expected: TokenUsage) -> None:
    """Counts are read from wherever servers put them; what is no count counts nothing and marks an estimate."""
    found = parse_response(CHAT, body(usage=usage)).usage
    assert dataclasses.replace(found, vendor_extensions={}) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (TokenUsage(3, 4), {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
        (
            TokenUsage(3, 4, 9, 2, PromptCacheUsage(cache_read_input_tokens=1, cache_creation_input_tokens=2)),
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "total_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        ),
        (NOTHING, None),
    ],
)
def test_usage_of_another_wire_is_written_in_this_one_s_form(usage: TokenUsage, expected: Any) -> None:
    """All input and all output, the cached and the written in their details, and a total."""
    response = LlmResponse((Message.assistant("hi"),), usage, "m", CLAUDE)
    assert emit_response(CHAT, response).get("usage") == expected


def test_an_edited_usage_is_written_where_it_was_found() -> None:
    """A canonical count wins over what was kept, under the server's own name for it."""
    response = parse_response(CHAT, body(usage={"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 5}))
    usage = dataclasses.replace(response.usage, prompt_tokens=8, prompt_cache=PromptCacheUsage(6))
    assert emit_response(CHAT, dataclasses.replace(response, usage=usage))["usage"] == {
        "prompt_tokens": 8,
        "completion_tokens": 4,
        "prompt_cache_hit_tokens": 6,
    }


def test_an_answer_of_another_wire_is_a_whole_body() -> None:
    """Ids, time and index that the source lacks are fixed; parts of several items are one message."""
    response = LlmResponse(
        (
            ReasoningPart("hm", signature="s", protocol=CLAUDE),
            Message(MessageRole.ASSISTANT, [TextPart("one "), TextPart("two")]),
            ToolCallPart("", "look", {"a": 1}),
        ),
        TokenUsage(1, 2),
        "claude",
        CLAUDE,
        FinishReason.TOOL_CALL,
        "tool_use",
    )
    report = emit_api_response(WIRE, response)
    assert report.value == {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": "claude",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "one two",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    assert [loss.pointer for loss in report.losses] == ["/output/0/signature"]


def test_citations_of_another_wire_cite_the_text_they_hang_on() -> None:
    """A citation with a URL gets offsets into the whole text; one without is named."""
    parts = [
        TextPart("one "),
        TextPart("two", (Annotation("web", "https://x.test", None, cited_text="…"), Annotation("page", start=1))),
        TextPart("three", (Annotation("web", "https://y.test", "t", 1, 3),)),
    ]
    report = emit_api_response(WIRE, LlmResponse((Message(MessageRole.ASSISTANT, parts),), NOTHING, "m", CLAUDE))
    message = report.value["choices"][0]["message"]
    assert [(found["url_citation"]["start_index"], found["url_citation"]["end_index"]) for found in message["annotations"]] == [
        (4, 7),
        (8, 10),
    ]
    assert [loss.pointer for loss in report.losses] == [
        "/output/0/parts/1/annotations/0/cited_text",
        "/output/0/parts/1/annotations/1",
    ]


def test_an_edited_annotation_is_written() -> None:
    """The kept form is laid under what the annotation says now."""
    response = parse_response(CHAT, body(choice(content="hi", annotations=[CITATION])))
    (message,) = response.messages
    (part,) = message.parts
    assert isinstance(part, TextPart)
    edited = dataclasses.replace(
        part, annotations=(dataclasses.replace(part.annotations[0], url="https://new.test", title=None),)
    )
    response = dataclasses.replace(response, output=(dataclasses.replace(message, parts=(edited,)),))
    assert emit_response(CHAT, response)["choices"][0]["message"]["annotations"] == [
        {"type": "url_citation", "url_citation": {"url": "https://new.test", "start_index": 0, "end_index": 2}}
    ]


@pytest.mark.parametrize(
    ("parts", "message", "pointers"),
    [
        ([], {"content": None}, []),
        ([JsonPart([1])], {"content": [1]}, []),
        ([JsonPart(1), TextPart("a")], {"content": "1a"}, []),
        ([ReasoningPart("a"), ReasoningPart("b")], {"content": None, "reasoning_content": "ab"}, []),
        ([ReasoningPart("a", ("b",))], {"content": None, "reasoning_content": "a"}, ["summary"]),
        (
            [AudioPart("AA", "audio/wav", "hi")],
            {"content": None, "audio": {"data": "AA", "id": "audio_0", "expires_at": 0, "transcript": "hi"}},
            ["media_type"],
        ),
        ([ImageUrlPart("u")], {"content": None}, [""]),
        ([VendorPart(CHAT, {"type": "new"})], {"content": [{"type": "new"}]}, []),
    ],
)
def test_parts_of_a_reply_made_by_hand(parts: list[Any], message: Json, pointers: list[str]) -> None:
    """Each part is written in the reply's form, or named."""
    report = emit_api_response(WIRE, LlmResponse((Message(MessageRole.ASSISTANT, parts),), NOTHING, "m", CHAT))
    assert report.value["choices"][0]["message"] == {"role": "assistant", **message}
    assert [loss.pointer for loss in report.losses] == [f"/output/0/parts/0/{pointer}".rstrip("/") for pointer in pointers]


def test_choices_that_a_caller_broke_do_not_break_the_body() -> None:
    """Extensions are the caller's to change: what is no choice there is passed by."""
    response = LlmResponse(
        (Message.assistant("hi"),), NOTHING, "m", CHAT, vendor_extensions={WIRE.value: {"choices": ["odd", choice(content="ho")]}}
    )
    first, second = emit_response(CHAT, response)["choices"]
    assert (first["message"]["content"], second["message"]["content"]) == ("hi", "ho")


def test_a_split_of_cache_writes_is_named() -> None:
    """What only another wire counts is a loss."""
    usage = TokenUsage(
        3, 4, prompt_cache=PromptCacheUsage(cache_creation_short_input_tokens=1, cache_creation_long_input_tokens=0)
    )
    report = emit_api_response(WIRE, LlmResponse((), usage, "m", CLAUDE))
    assert [loss.pointer for loss in report.losses] == ["/usage/prompt_cache/cache_creation_short_input_tokens"]


@pytest.mark.parametrize(
    ("payload", "error", "pointer"),
    [
        ({}, MissingFieldError, "/choices"),
        ({"choices": None}, MissingFieldError, "/choices"),
        ({"choices": {}}, InvalidShapeError, "/choices"),
        ({"choices": ["x"]}, InvalidShapeError, "/choices/0"),
        (body(id=5), InvalidShapeError, "/id"),
        (body({"message": "x"}), InvalidShapeError, "/choices/0/message"),
        (body(choice(content=5)), InvalidShapeError, "/choices/0/message/content"),
        (body(choice(5, content="x")), InvalidShapeError, "/choices/0/finish_reason"),
        (body(choice(tool_calls=[5])), InvalidShapeError, "/choices/0/message/tool_calls/0"),
    ],
)
def test_a_field_of_another_type_is_named_by_its_pointer(payload: Json, error: type[ProtocolError], pointer: str) -> None:
    """What the format does not allow raises with the place."""
    with pytest.raises(error) as caught:
        parse_response(CHAT, payload)
    assert caught.value.pointer == pointer
