"""Converse requests: what each field is read into, that it is written back, and what other values become."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from bedrock_converse import (
    CHAT,
    CITATION,
    CLAUDE,
    HELLO,
    POINT,
    REDACTED,
    SIGNED,
    P,
    again,
    assistant,
    body,
    form,
    gave,
    spec,
    used,
    user,
    write,
)

import omnillm as o

HI = base64.b64encode(b"Hi").decode()
S3 = {"s3Location": {"uri": "s3://bucket/x.png"}}
SCHEMA = {"type": "object", "properties": {}}


BLOCKS: list[tuple[dict[str, Any], Any]] = [
    ({"text": "Hi"}, o.TextPart("Hi")),
    ({"text": ""}, None),
    ({"image": {"format": "jpeg", "source": {"bytes": "AA=="}}}, o.ImageBase64Part("AA==", "image/jpeg")),
    ({"image": {"format": "heic", "source": {"bytes": "AA=="}}}, o.ImageBase64Part("AA==", "image/heic")),
    ({"image": {"format": "png", "source": S3}}, o.VendorPart),
    ({"image": {"format": "png", "error": {"message": "No."}}}, o.VendorPart),
    (
        {"document": {"format": "pdf", "name": "a", "source": {"bytes": "AA=="}}},
        o.FilePart(None, "application/pdf", "AA==", "a"),
    ),
    ({"document": {"name": "a", "source": {"text": "Hi"}, "context": "c", "citations": {"enabled": True}}}, None),
    ({"document": {"format": "md", "name": "a_b.md", "source": {"text": "Hi"}}}, None),
    ({"document": {"name": "a", "source": {"content": [{"text": "Hi"}]}}}, o.VendorPart),
    ({"video": {"format": "mpg", "source": {"bytes": "AA=="}}}, None),
    ({"video": {"format": "three_gp", "source": {"bytes": "AA=="}}}, o.FilePart(None, "video/3gpp", "AA==")),
    ({"video": {"format": "mp4", "source": S3}}, o.VendorPart),
    ({"audio": {"format": "mp3", "source": {"bytes": "AA=="}}}, o.AudioPart("AA==", "audio/mpeg")),
    ({"audio": {"format": "mka", "source": {"bytes": "AA=="}}}, None),
    ({"audio": {"format": "mp3", "source": S3}}, o.VendorPart),
    (used("t1", a=1), o.ToolCallPart("t1", "f", {"a": 1})),
    ({"toolUse": {"toolUseId": "t", "name": "f", "input": "{a", "type": "tool_use"}}, None),
    ({"toolUse": {"toolUseId": "t", "name": "x", "input": {}, "type": "server_tool_use"}}, o.VendorPart),
    (gave("t1", {"text": "x"}, {"json": [1]}, status="error"), None),
    (gave("t1", {"text": ""}, {"image": {"format": "png", "source": {"bytes": "AA=="}}}, status="success"), None),
    (gave("t1", {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}}), None),
    (gave("t1"), None),
    (gave("t1", {"json": {}}, type="x_result", status="success"), o.VendorPart),
    ({"guardContent": {"text": {"text": "x", "qualifiers": ["query", "grounding_source"]}}}, None),
    ({"guardContent": {"image": {"format": "png", "source": {"bytes": "AA=="}}}}, o.VendorPart),
    ({"cachePoint": {"type": "default", "ttl": "1h"}}, o.VendorPart),
    (SIGNED, o.ReasoningPart("Hm.", signature="Eq", protocol=P)),
    ({"reasoningContent": {"reasoningText": {"text": "Hm."}}}, o.ReasoningPart("Hm.", protocol=P)),
    (REDACTED, o.ReasoningPart(encrypted_content="RW0=", protocol=P)),
    ({"reasoningContent": {"tomorrow": 1}}, o.VendorPart),
    ({"citationsContent": {"content": [{"text": "a"}], "citations": [CITATION]}}, None),
    ({"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}}, None),
    ({"citationsContent": {"content": [{"tomorrow": "a"}], "citations": []}}, o.VendorPart),
    ({"citationsContent": {"citations": [{"location": {"web": {"url": "u", "domain": "d"}}}, {"source": "s"}]}}, None),
    ({"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}], "citations": {"enabled": True}}}, o.VendorPart),
    ({"toolAddition": {"tool": {"type": "t", "name": "n"}}}, o.VendorPart),
    ({"toolRemoval": {"tool": {"type": "t", "name": "n"}}}, o.VendorPart),
    ({"tomorrow": None}, o.VendorPart),
    ({"text": "two", "image": {}}, o.VendorPart),
]


@pytest.mark.parametrize(("block", "expected"), BLOCKS)
def test_a_block_is_read_and_written_back(block: dict[str, Any], expected: Any) -> None:
    """Every kind of block comes back as it was; one without a canonical form is kept whole."""
    payload = body(user(block))
    part = o.parse_request(P, payload).input[0].parts[0]
    if isinstance(expected, type):
        assert part == o.VendorPart(P, block)
    elif expected is not None:
        assert part == expected
    assert again(payload) == payload


FIELDS: list[dict[str, Any]] = [
    {"modelId": "arn:aws:bedrock:us-east-1:1:inference-profile/x"},
    {"model": "m"},
    {"system": []},
    {"system": [{"text": "Be kind."}, POINT, {"guardContent": {"text": {"text": "x"}}}]},
    {"inferenceConfig": {}},
    {"inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"], "tomorrow": None}},
    {"inferenceConfig": {"stopSequences": []}},
    {"additionalModelRequestFields": {}},
    {
        "additionalModelRequestFields": {
            "top_k": 3,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "anthropic_beta": ["x"],
        }
    },
    {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high", "x": 1}}},
    {"additionalModelRequestFields": {"reasoning_effort": "low", "top_k": None}},
    {"additionalModelRequestFields": {"thinking": {}}},
    {"outputConfig": {}},
    {"outputConfig": {"effort": "high", **form('{"type": "object"}', name="n", description="d")}},
    {"outputConfig": form('{"type":"object"}')},
    {"outputConfig": form("no JSON")},
    {"outputConfig": form("[]")},
    {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{}"}, "x": 1}}}},
    {"toolConfig": {}},
    {"toolConfig": {"tools": [spec(description="d", strict=True), spec("g", strict=False, description=""), POINT]}},
    {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}, spec(), {"tomorrow": {}}], "toolChoice": {"auto": {}}}},
    {"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}], "toolChoice": {"any": {}}}},
    {
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "inputSchema": {"tomorrow": 1}}}],
            "toolChoice": {"tool": {"name": "f"}},
        }
    },
    {"toolConfig": {"tools": [spec()], "toolChoice": {"tomorrow": {}}}},
    {"toolConfig": {"tools": [spec()], "toolChoice": {"tool": {}}}},
    {
        "guardrailConfig": {
            "guardrailIdentifier": "g",
            "guardrailVersion": "1",
            "trace": "enabled_full",
            "streamProcessingMode": "async",
        }
    },
    {"additionalModelResponseFieldPaths": ["/stop_sequence"], "promptVariables": {"a": {"text": "b"}}},
    {"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"}, "tomorrow": None},
    {"requestMetadata": {"team": "a"}},
    {"requestMetadata": {}},
    {"requestMetadata": {"team": 1}},
    {"messages": []},
    {"messages": [assistant({"text": "Hi"}), HELLO]},
    {"messages": [HELLO, HELLO, assistant({"text": "Hi"}), assistant({"text": "Ho"})]},
    {"messages": [assistant({"text": "Hi"}), assistant({"text": "Ho"})]},
    {"messages": [HELLO, {"role": "system", "content": [{"text": "Be brief."}]}]},
    {"messages": [{"role": "user", "content": []}]},
]


@pytest.mark.parametrize("fields", FIELDS)
def test_a_request_is_written_back_as_it_was(fields: dict[str, Any]) -> None:
    """Every field comes back, nulls, empty ones and unknown ones too, whatever the order of the turns."""
    assert again(body(**fields)) == body(**fields)


def test_a_prompt_of_the_provider_needs_no_messages() -> None:
    """A body may hold variables alone."""
    assert again({"promptVariables": {}}) == {"promptVariables": {}}


def test_what_a_request_says() -> None:
    """Settings are where every protocol's are."""
    request = o.parse_request(
        P,
        body(
            modelId="m",
            inferenceConfig={"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
            additionalModelRequestFields={"top_k": 3, "thinking": {"type": "enabled", "budget_tokens": 1024}},
            outputConfig={"effort": "high", **form('{"type": "object"}', name="n")},
            toolConfig={
                "tools": [POINT, spec(description="d", strict=True), {"systemTool": {"name": "nova_code_interpreter"}}],
                "toolChoice": {"any": {}},
            },
            requestMetadata={"team": "a"},
        ),
    )
    asked = request.capabilities
    assert request.model == "m"
    assert request.metadata == {"team": "a"}
    assert replace(request.generation, vendor_extensions={}) == o.GenerationConfig(5, 0.5, 0.9, 3, ("END",))
    assert asked.tools == (o.ToolDefinition("f", {"type": "object"}, "d", True),)
    assert [(tool.kind, tool.position) for tool in asked.builtin_tools] == [
        (o.BuiltinToolKind.VENDOR, 0),
        (o.BuiltinToolKind.CODE_EXECUTION, 2),
    ]
    assert asked.tool_choice == o.ToolChoice.required()
    assert asked.reasoning == o.ReasoningCapability("high", None, 1024)
    assert asked.structured_output is not None
    assert (asked.structured_output.schema, asked.structured_output.name) == ({"type": "object"}, "n")


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"messages": 5}, "/messages"),
        ({"messages": [{"content": []}]}, "/messages/0/role"),
        ({"messages": [{"role": "robot", "content": []}]}, "/messages/0/role"),
        ({"messages": [{"role": "user"}]}, "/messages/0/content"),
        ({"messages": [user("Hi")]}, "/messages/0/content/0"),
        ({"messages": [user({"text": 5})]}, "/messages/0/content/0/text"),
        ({"messages": [user({"toolUse": {"name": "f"}})]}, "/messages/0/content/0/toolUse/toolUseId"),
        ({"inferenceConfig": {"stopSequences": [5]}}, "/inferenceConfig/stopSequences/0"),
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, "/toolConfig/tools/0/toolSpec/name"),
    ],
)
def test_a_shape_that_is_none_is_refused(payload: dict[str, Any], pointer: str) -> None:
    """The error points to the field."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_request(P, payload)
    assert caught.value.pointer == pointer


PARTS: list[tuple[str, Any, Any, list[str]]] = [
    ("empty", o.TextPart(""), None, []),
    ("caller_s_own", o.TextPart("Hi", vendor_extensions={"x": 1}), {"text": "Hi", "x": 1}, []),
    ("json", o.JsonPart({"a": 1}), {"text": '{"a":1}'}, []),
    ("refusal", o.RefusalPart("No."), {"text": "No."}, []),
    ("cited", o.TextPart("Hi", (o.Annotation("url_citation", "u"),)), {"text": "Hi"}, ["/annotations"]),
    ("image_url", o.ImageUrlPart("https://x.example/a.png"), None, [""]),
    (
        "image_s3",
        o.ImageUrlPart("s3://b/a.jpg", "low"),
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/a.jpg"}}}},
        ["/detail"],
    ),
    ("image_guessed", o.ImageBase64Part("/9j/AA=="), {"image": {"format": "jpeg", "source": {"bytes": "/9j/AA=="}}}, []),
    ("image_jpg", o.ImageBase64Part("AA==", "image/jpg"), {"image": {"format": "jpeg", "source": {"bytes": "AA=="}}}, []),
    (
        "audio",
        o.AudioPart("AA==", "audio/x-wav", "said"),
        {"audio": {"format": "wav", "source": {"bytes": "AA=="}}},
        ["/transcript"],
    ),
    ("audio_l16", o.AudioPart("AA==", "audio/L16;rate=24000"), {"audio": {"format": "pcm", "source": {"bytes": "AA=="}}}, []),
    (
        "pdf",
        o.FilePart("f", "application/pdf", "AA==", "My_report.pdf", "u"),
        {"document": {"format": "pdf", "source": {"bytes": "AA=="}, "name": "My-report"}},
        ["/url", "/file_id", "/filename"],
    ),
    (
        "nameless",
        o.FilePart(None, None, "AA=="),
        {"document": {"format": "pdf", "source": {"bytes": "AA=="}, "name": "document 1"}},
        [],
    ),
    (
        "text",
        o.FilePart(None, "text/x-python", HI, "a"),
        {"document": {"format": "txt", "source": {"bytes": HI}, "name": "a"}},
        ["/media_type"],
    ),
    (
        "unknown",
        o.FilePart(None, "application/zip", HI, "..."),
        {"document": {"format": "pdf", "source": {"bytes": HI}, "name": "document 1"}},
        ["/media_type", "/filename"],
    ),
    (
        "video_s3",
        o.FilePart("f", "video/mp4", None, "n", "s3://b/a"),
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/a"}}}},
        ["/file_id", "/filename"],
    ),
    (
        "file_s3",
        o.FilePart(filename="a", url="s3://b/a.docx"),
        {"document": {"format": "docx", "source": {"s3Location": {"uri": "s3://b/a.docx"}}, "name": "a"}},
        [],
    ),
    ("file_id", o.FilePart("f"), None, [""]),
    ("other_s", o.VendorPart(CHAT, {"type": "x"}), None, ["/payload"]),
    ("call_without_id", o.ToolCallPart("", "f", None), used("call_0"), []),
    ("call_of_another", o.ToolCallPart("a.b|c", "f", '{"a": 1}'), used("a_b_c", a=1), []),
    ("long_id", o.ToolCallPart("x" * 99, "f", {}), used("x" * 64), []),
    ("call_no_json", o.ToolCallPart("c", "f", "{a"), used("c", input="{a"), ["/arguments"]),
    ("result_text", o.ToolResultPart("c", "Hi", "f", True), gave("c", {"text": "Hi"}, status="error"), ["/name"]),
    ("result_json", o.ToolResultPart("c", {"a": 1}), gave("c", {"json": {"a": 1}}), []),
    ("result_list", o.ToolResultPart("c", [1]), gave("c", {"text": "[1]"}), []),
    ("result_empty", o.ToolResultPart("c", ""), gave("c"), []),
    ("result_audio", o.ToolResultPart("c", (o.AudioPart("AA=="), o.TextPart("x"))), gave("c", {"text": "x"}), ["/output/0"]),
    ("thought_of_another", o.ReasoningPart("Hm.", signature="E", protocol=CLAUDE), None, [""]),
    ("nothing_thought", o.ReasoningPart("", protocol=CHAT), None, []),
    ("thought_of_the_caller", o.ReasoningPart("Hm.", signature="Eq"), SIGNED, []),
    ("thought_twice", o.ReasoningPart("Hm.", ("s",), "Eq", "E", protocol=P), SIGNED, ["/summary", "/encrypted_content"]),
]


@pytest.mark.parametrize(("part", "block", "lost"), [case[1:] for case in PARTS], ids=[case[0] for case in PARTS])
def test_what_a_part_becomes(part: Any, block: Any, lost: list[str]) -> None:
    """A part of a caller's or another protocol's is written in this form, or its loss is named."""
    payload, losses = write(o.Message("user", (o.TextPart("a"), part, o.TextPart("z"))))
    assert payload["messages"][0]["content"] == [{"text": "a"}, *([] if block is None else [block]), {"text": "z"}]
    assert losses == [f"/input/0/parts/1{pointer}" for pointer in lost]


def test_an_edited_part_is_written_as_edited() -> None:
    """What parsing noted of a spelling counts only while it says what the value says."""
    payload = body(
        user(
            {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [CITATION]}},
            {"video": {"format": "mpg", "source": {"bytes": "AA=="}}},
            {"document": {"name": "a_b", "source": {"text": "Hi"}}},
        ),
        outputConfig=form('{"type": "object"}'),
    )
    request = o.parse_request(P, payload)
    cited, video, document = request.input[0].parts
    mark = replace(cited.annotations[0], title="t", cited_text="c", start=5)
    parts = (
        replace(cited, text="new", annotations=(mark,)),
        replace(video, media_type="video/webm"),
        replace(document, filename="c"),
    )
    asked = replace(request.capabilities, structured_output=replace(request.capabilities.structured_output, schema=SCHEMA))
    written = o.emit_request(P, replace(request, input=(o.Message("user", parts),), capabilities=asked))
    one, two, three = written["messages"][0]["content"]
    place = {"documentChar": {"documentIndex": 0, "start": 5, "end": 9}}
    assert one["citationsContent"] == {
        "content": [{"text": "new"}],
        "citations": [{"title": "t", "sourceContent": [{"text": "c"}], "location": place}],
    }
    assert two["video"]["format"] == "webm"
    assert three["document"] == {"name": "c", "source": {"text": "Hi"}}
    assert json.loads(written["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]) == SCHEMA


def test_an_edited_source_is_written_as_edited() -> None:
    """A citation of a page of the web keeps its URL in its place, any other beside it; another kind is not made up."""
    web, plain = {"location": {"web": {"url": "u"}}}, {"source": "s"}
    request = o.parse_request(P, body(user({"citationsContent": {"content": [{"text": "a"}], "citations": [web, plain]}})))
    part = request.input[0].parts[0]
    edited = replace(part, annotations=tuple(replace(a, url="new") for a in part.annotations))
    written = o.emit_request(P, replace(request, input=(o.Message("user", (edited,)),)))
    citations = written["messages"][0]["content"][0]["citationsContent"]["citations"]
    assert citations == [{"location": {"web": {"url": "new"}}}, {"source": "new"}]
    other = replace(part, annotations=(replace(part.annotations[0], kind="x"),))
    assert write(o.Message("user", (other,)))[1] == ["/input/0/parts/0/annotations"]


def test_turns_alternate_and_the_user_speaks_first() -> None:
    """What another protocol says in a row is one turn here; calls and results join theirs."""
    payload, losses = write(
        o.Message.system("Be kind."),
        o.Message.assistant("Hi"),
        o.ReasoningPart("Hm.", signature="Eq", protocol=P),
        o.ToolCallPart("a", "f", {}),
        o.ToolCallPart("b", "f", {}),
        o.ToolResultPart("a", "1"),
        o.Message("tool", (o.ToolResultPart("b", "2"),)),
        o.Message.user("Go on"),
        o.Message("user", ()),
        instructions="Obey.",
    )
    assert payload["system"] == [{"text": "Obey."}, {"text": "Be kind."}]
    assert payload["messages"] == [
        user({"text": "."}),
        assistant({"text": "Hi"}, SIGNED, used("a"), used("b")),
        user(gave("a", {"text": "1"}), gave("b", {"text": "2"}), {"text": "Go on"}),
    ]
    assert losses == []


def test_system_messages_have_one_place() -> None:
    """A later one is moved, what is no text is left out, and one alone is the user's: each is reported."""
    image = o.Message("system", (o.TextPart("x"), o.ImageBase64Part("AA==")), vendor_extensions={"name": "n"})
    payload, losses = write(o.Message.user("Hi"), image)
    assert payload == {"model": "m", "messages": [user({"text": "Hi"})], "system": [{"text": "x"}]}
    assert losses == ["/input/1/parts/1", "/input/1/role", "/input/1/vendor_extensions/name"]
    payload, losses = write(o.Message.system("Hi"))
    assert payload == {"model": "m", "messages": [user({"text": "Hi"})]}
    assert losses == ["/input/0/role"]


def test_a_turn_whose_content_a_caller_replaced_stays_replaced() -> None:
    """What would have joined it is a turn of its own."""
    replaced = o.Message("user", ("Hi",), vendor_extensions={"content": "mine"})
    payload, losses = write(replaced, o.Message.user("Go on"))
    assert payload["messages"] == [{"role": "user", "content": "mine"}, user({"text": "Go on"})]
    assert losses == []
