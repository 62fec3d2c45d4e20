"""Items of other protocols and of callers written as Messages turns: what becomes of each part, and what is lost."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from anthropic_messages import (
    ASSISTANT,
    CHAT,
    RESPONSES,
    SIGNED,
    THOUGHT,
    WIRE,
    P,
    call,
    gave,
    text,
    used,
    write,
)

import omnillm as o
from omnillm.wire import emit_request_with_losses

USER, TOOL = o.MessageRole.USER, o.MessageRole.TOOL
HI = o.Message.user("Hello")
TEXT_PLAIN = base64.b64encode(b"Hi").decode()


def ext(wire: str, **fields: Any) -> dict[str, Any]:
    """Give extensions that parsing kept of another wire."""
    return {wire: fields}


PARTS: list[tuple[str, Any, Any, list[str]]] = [
    ("text", o.TextPart("Hi"), text("Hi"), []),
    ("empty_text", o.TextPart(""), None, []),
    (
        "text_of_a_caller",
        o.TextPart("Hi", vendor_extensions={"cache_control": {"type": "ephemeral"}}),
        {**text("Hi"), "cache_control": {"type": "ephemeral"}},
        [],
    ),
    (
        "text_of_another_wire",
        o.TextPart("Hi", vendor_extensions=ext("open_ai_responses", logprobs=[1], gone=None)),
        text("Hi"),
        ["/vendor_extensions/open_ai_responses/logprobs"],
    ),
    (
        "foreign_citation",
        o.TextPart("Hi", (o.Annotation("url_citation", url="https://x.example/"),)),
        text("Hi"),
        ["/annotations"],
    ),
    (
        "citation_of_another_kind_than_its_raw_form",
        o.TextPart("Hi", (o.Annotation("page_location", raw={"type": "char_location"}),)),
        text("Hi"),
        ["/annotations"],
    ),
    ("refusal", o.RefusalPart("No."), text("No."), []),
    ("empty_refusal", o.RefusalPart(""), None, []),
    ("json", o.JsonPart({"a": 1}), text('{"a":1}'), []),
    ("audio", o.AudioPart("AA==", "audio/wav"), None, [""]),
    ("audio_said", o.AudioPart("AA==", "audio/wav", "Hi"), text("Hi"), ["/data", "/media_type"]),
    (
        "image_url",
        o.ImageUrlPart("https://x.example/", "high"),
        {"type": "image", "source": {"type": "url", "url": "https://x.example/"}},
        ["/detail"],
    ),
    *(
        (
            f"image_{name}",
            o.ImageBase64Part(data, given),
            {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}},
            [],
        )
        for name, data, given, kind in (
            ("typed", "AA==", "image/webp", "image/webp"),
            ("jpg", "AA==", "image/jpg", "image/jpeg"),
            ("png", "iVBORw0KGgo=", None, "image/png"),
            ("jpeg", "/9j/4AAQ", None, "image/jpeg"),
            ("gif", "R0lGODlh", None, "image/gif"),
            ("webp", "UklGRg==", None, "image/webp"),
            ("unknown", "AA==", None, "image/png"),
        )
    ),
    (
        "file_pdf",
        o.FilePart(None, None, "JVBERi0=", "a.pdf"),
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "a.pdf"},
        [],
    ),
    (
        "file_text",
        o.FilePart(None, "text/plain", TEXT_PLAIN),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}},
        [],
    ),
    (
        "file_markdown",
        o.FilePart(None, "text/markdown", TEXT_PLAIN),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}},
        ["/media_type"],
    ),
    ("file_text_that_is_none", o.FilePart(None, "text/plain", "%%%"), None, [""]),
    ("file_word", o.FilePart(None, "application/msword", "AA=="), None, [""]),
    (
        "file_image",
        o.FilePart(None, "image/png", "iVBORw==", "a.png"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
        ["/filename"],
    ),
    (
        "file_url",
        o.FilePart("file_1", "application/pdf", None, None, "https://x.example/a.pdf"),
        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        ["/file_id", "/media_type"],
    ),
    (
        "file_id",
        o.FilePart("file_1", "application/pdf"),
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ["/media_type"],
    ),
    (
        "file_all_ways",
        o.FilePart("file_1", None, "JVBERi0=", None, "https://x.example/"),
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
        ["/url", "/file_id"],
    ),
    ("file_of_nothing", o.FilePart(), None, [""]),
    ("vendor", o.VendorPart(CHAT, {"type": "video_url", "video_url": {"url": "x"}}), None, [""]),
    ("vendor_that_is_no_block", o.VendorPart(P, "text"), None, [""]),
    ("vendor_own", o.VendorPart(P, {"type": "tomorrow"}), {"type": "tomorrow"}, []),
    ("call", call("t1", a=1), used("t1", a=1), []),
    ("call_of_text", o.ToolCallPart("t1", "f", '{"a": 1}'), used("t1", a=1), []),
    ("call_of_nothing", o.ToolCallPart("t1", "f", ""), used("t1"), []),
    ("call_of_a_quoted_text", o.ToolCallPart("t1", "f", '"x"'), used("t1", input='"x"'), ["/arguments"]),
    ("call_of_a_null_text", o.ToolCallPart("t1", "f", "null"), used("t1"), []),
    ("call_of_null", o.ToolCallPart("t1", "f", None), used("t1"), []),
    ("call_of_a_list", o.ToolCallPart("t1", "f", [1]), used("t1", input=[1]), ["/arguments"]),
    ("call_of_broken_text", o.ToolCallPart.from_text("t1", "f", '{"a": '), used("t1", input='{"a": '), ["/arguments"]),
    ("call_with_a_strange_id", call("functions.f:0"), used("functions_f_0"), []),
    ("result", o.ToolResultPart("t1", "6"), gave("t1", "6"), []),
    ("result_named", o.ToolResultPart("t1", "6", "f", True), {**gave("t1", "6"), "is_error": True}, ["/name"]),
    ("result_json", o.ToolResultPart("t1", {"a": [1]}), gave("t1", '{"a":[1]}'), []),
    ("result_of_nothing", o.ToolResultPart("t1", ""), {"type": "tool_result", "tool_use_id": "t1"}, []),
    (
        "result_of_parts",
        o.ToolResultPart("t1", (o.TextPart("Hi"), o.TextPart(""), o.AudioPart("AA=="), o.JsonPart(1))),
        gave("t1", [text("Hi"), text("1")]),
        ["/output/2"],
    ),
]


@pytest.mark.parametrize(("part", "block", "lost"), [pytest.param(*row, id=name) for name, *row in PARTS])
def test_a_part_becomes_a_block_or_a_loss(part: Any, block: Any, lost: list[str]) -> None:
    """Each part is written, or lost by name; nothing that is written is lost too."""
    found, losses = write(o.Message(USER, (o.TextPart("Look:"), part)))
    blocks = [text("Look:"), block] if block is not None else "Look:"
    assert found["messages"] == [{"role": "user", "content": blocks}]
    assert losses == [f"/input/0/parts/1{pointer}" for pointer in lost]


CITED = {
    "type": "web_search_result_location",
    "cited_text": "a",
    "encrypted_index": "E",
    "title": "t",
    "url": "https://x.example/",
}


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("url", "https://y.example/", "url"),
        ("title", None, "title"),
        ("cited_text", "b", "cited_text"),
        ("file_id", "f", "file_id"),
    ],
)
def test_an_edited_citation_keeps_its_index(field: str, value: Any, name: str) -> None:
    """The canonical fields win, what only the wire knows stays."""
    request = o.parse_request(
        P, {"model": "m", "messages": [{"role": "assistant", "content": [{**text("Hi"), "citations": [CITED]}]}]}
    )
    part: Any = request.input[0].parts[0]  # type: ignore[union-attr]  # a message, by its role
    edited = replace(part, annotations=(replace(part.annotations[0], **{field: value}),))
    found, losses = write(HI, o.Message(ASSISTANT, (edited,)))
    assert found["messages"][1]["content"][0]["citations"] == [{**CITED, name: value}]
    assert losses == []


REASONING: list[tuple[o.ReasoningPart, Any, list[str]]] = [
    (o.ReasoningPart("Hm.", signature="Eq", protocol=P), SIGNED, []),
    (o.ReasoningPart("Hm.", signature="Eq"), SIGNED, []),
    (o.ReasoningPart("Hm.", ("s",), signature="Eq"), SIGNED, ["/summary"]),
    (o.ReasoningPart("Hm.", signature="Eq", encrypted_content="x"), SIGNED, ["/encrypted_content"]),
    (o.ReasoningPart("Hm.", protocol=P), {"type": "thinking", "thinking": "Hm."}, []),
    (o.ReasoningPart(encrypted_content="Em"), {"type": "redacted_thinking", "data": "Em"}, []),
    (o.ReasoningPart("Hm."), None, [""]),
    (o.ReasoningPart("Hm.", signature="x", protocol=o.ProviderProtocol.GEMINI_GENERATE_CONTENT), None, [""]),
    (o.ReasoningPart(encrypted_content="x", protocol=RESPONSES), None, [""]),
    (o.ReasoningPart(protocol=CHAT), None, []),
    (
        o.ReasoningPart(protocol=CHAT, vendor_extensions=ext("open_ai_chat_completions", reasoning_details=[1])),
        None,
        ["/vendor_extensions/open_ai_chat_completions/reasoning_details"],
    ),
]


@pytest.mark.parametrize(("part", "block", "lost"), REASONING)
def test_only_reasoning_that_was_signed_here_is_sent(part: o.ReasoningPart, block: Any, lost: list[str]) -> None:
    """The API refuses unsigned thinking, and another provider's state means nothing to it."""
    found, losses = write(HI, o.Message(ASSISTANT, (part, o.TextPart("Hi"))))
    assert found["messages"][1]["content"] == ("Hi" if block is None else [block, text("Hi")])
    assert losses == [f"/input/1/parts/0{pointer}" for pointer in lost]


def test_calls_and_results_without_an_id_are_paired_by_position() -> None:
    """The nth call and the nth result without one get the same id."""
    calls = (o.ToolCallPart("", "f", {}), call("t1"), o.ToolCallPart("", "g", {}))
    results = [o.ToolResultPart("", "a"), o.ToolResultPart("t1", "b"), o.ToolResultPart("", "c")]
    found, _ = write(HI, o.Message(ASSISTANT, calls), *results)
    assert [block["id"] for block in found["messages"][1]["content"]] == ["call_0", "t1", "call_1"]
    assert [block["tool_use_id"] for block in found["messages"][2]["content"]] == ["call_0", "t1", "call_1"]


def tool(call_id: str, output: str) -> o.Message:
    return o.Message(TOOL, (o.ToolResultPart(call_id, output),))


TURNS: list[tuple[str, list[Any], list[tuple[str, Any]]]] = [
    (
        "messages_of_tools_become_one_turn",
        [HI, o.Message(ASSISTANT, (call("a"), call("b"))), tool("a", "1"), tool("b", "2"), HI],
        [("assistant", [used("a"), used("b")]), ("user", [gave("a", "1"), gave("b", "2")]), ("user", "Hello")],
    ),
    (
        "loose_items_join_the_message_beside_them",
        [HI, THOUGHT, o.Message.assistant("Hi"), call("a"), call("b"), o.ToolResultPart("a", "1"), tool("b", "2")],
        [("assistant", [SIGNED, text("Hi"), used("a"), used("b")]), ("user", [gave("a", "1"), gave("b", "2")])],
    ),
    (
        "messages_of_the_assistant_are_not_joined",
        [HI, o.Message.assistant("a"), o.Message.assistant("b"), call("t")],
        [("assistant", "a"), ("assistant", [text("b"), used("t")])],
    ),
    (
        "a_result_ends_the_turn",
        [HI, call("a"), o.ToolResultPart("a", "1"), call("b")],
        [("assistant", [used("a")]), ("user", [gave("a", "1")]), ("assistant", [used("b")])],
    ),
    (
        "own_blocks_go_to_the_side_that_says_them",
        [HI, o.VendorPart(P, {"type": "server_tool_use"}), o.VendorPart(P, {"type": "container_upload"})],
        [("assistant", [{"type": "server_tool_use"}]), ("user", [{"type": "container_upload"}])],
    ),
    ("an_item_that_is_lost_leaves_no_turn", [HI, o.VendorPart(RESPONSES, {"type": "x"}), o.ReasoningPart("Hm.")], []),
    ("an_empty_message_leaves_no_turn", [HI, o.Message.assistant(""), o.Message(ASSISTANT, ()), HI], [("user", "Hello")]),
    (
        "a_result_in_a_users_message_stays_there",
        [HI, call("a"), o.Message(USER, (o.ToolResultPart("a", "1"), o.TextPart("Go on")))],
        [("assistant", [used("a")]), ("user", [gave("a", "1"), text("Go on")])],
    ),
]


@pytest.mark.parametrize(("items", "turns"), [pytest.param(*row, id=name) for name, *row in TURNS])
def test_items_become_turns(items: list[Any], turns: list[tuple[str, Any]]) -> None:
    """Every placement of calls, results and reasoning gives the turns that the API takes."""
    found, _ = write(*items)
    assert [(message["role"], message["content"]) for message in found["messages"]] == [("user", "Hello"), *turns]


@pytest.mark.parametrize("content", ["mine", 7, [7], [text("a")]])
def test_what_the_caller_lays_over_a_turn_is_not_looked_into(content: Any) -> None:
    """Its content stays what the caller said, and what would have joined it is a turn of its own."""
    first = replace(tool("a", "1"), vendor_extensions={"content": content})
    found, _ = write(HI, first, tool("b", "2"))
    replaced = {"role": "user", "content": "a" if content == [text("a")] else content}
    assert found["messages"][1:] == [replaced, {"role": "user", "content": [gave("b", "2")]}]


def test_the_assistant_never_speaks_first() -> None:
    """The API wants a user's turn before, and the same one is put there every time."""
    found, losses = write(o.Message.assistant("Hi!"), HI)
    assert [message["role"] for message in found["messages"]] == ["user", "assistant", "user"]
    assert found["messages"][0]["content"] == "."
    assert losses == []


SYSTEM, DEVELOPER = o.Message.system("Be kind."), o.Message("developer", "Be brief.")
SYSTEMS: list[tuple[str, list[Any], str | None, Any, list[str]]] = [
    ("none", [HI], None, None, []),
    ("instructions", [HI], "Be kind.", "Be kind.", []),
    ("empty_instructions_beside_a_message", [SYSTEM, HI], "", [text("Be kind.")], []),
    ("messages", [SYSTEM, DEVELOPER, HI], None, [text("Be kind."), text("Be brief.")], []),
    ("both", [SYSTEM, HI], "Obey.", [text("Obey."), text("Be kind.")], []),
    ("an_empty_message", [o.Message.system(""), HI], None, None, []),
    ("a_json_part", [o.Message("system", (o.JsonPart(1),)), HI], None, [text("1")], []),
    (
        "a_picture",
        [o.Message("system", (o.TextPart("See"), o.ImageUrlPart("https://x.example/"))), HI],
        None,
        [text("See")],
        ["/input/0/parts/1"],
    ),
    ("inside_the_conversation", [HI, SYSTEM], None, [text("Be kind.")], ["/input/1/role"]),
    (
        "with_fields",
        [replace(SYSTEM, vendor_extensions={"name": "n", "open_ai_chat_completions": {"name": "n"}}), HI],
        None,
        [text("Be kind.")],
        ["/input/0/vendor_extensions/name", "/input/0/vendor_extensions/open_ai_chat_completions/name"],
    ),
]


@pytest.mark.parametrize(("items", "instructions", "system", "lost"), [pytest.param(*row, id=name) for name, *row in SYSTEMS])
def test_the_system_is_gathered(items: list[Any], instructions: str | None, system: Any, lost: list[str]) -> None:
    """Instructions and system messages go before the conversation; one that has to move there says so."""
    found, losses = write(*items, instructions=instructions)
    assert found.get("system") == system
    assert found["messages"] == [{"role": "user", "content": "Hello"}]
    assert losses == lost


def test_system_messages_alone_make_the_users_turn() -> None:
    """The API refuses a conversation without one: the last system message is sent as it."""
    found, losses = write(SYSTEM, DEVELOPER)
    assert found["system"] == [text("Be kind.")]
    assert found["messages"] == [{"role": "user", "content": "Be brief."}]
    assert losses == ["/input/1/role"]


def test_the_chat_view_is_written_where_there_is_no_input() -> None:
    """Losses point into the field that the messages came from."""
    report = o.emit_api_request(WIRE, o.LlmRequest("m", messages=(o.Message(USER, (o.TextPart("Hi"), o.AudioPart("AA=="))),)))
    assert report.value["messages"] == [{"role": "user", "content": "Hi"}]
    assert [loss.pointer for loss in report.losses] == ["/messages/0/parts/1"]


def test_an_endpoint_may_want_arrays() -> None:
    """A lone text is an array where the endpoint says so."""
    payload, _ = emit_request_with_losses(WIRE, o.LlmRequest("m", "Hi"), text_content="array")
    assert payload["messages"] == [{"role": "user", "content": [text("Hi")]}]


def test_an_answer_of_another_protocol_holds_no_results_of_tools() -> None:
    """Anthropic's clients know the results of its own tools alone: any other is named with all that it held."""
    result = o.ToolResultPart("c7", (o.JsonPart({"city": "Rome"}),), is_error=True)
    answer = o.LlmResponse((o.Message("assistant", (o.TextPart("Hi"), result)),), o.TokenUsage(1, 1), "m", CHAT)
    report = o.emit_api_response(WIRE, answer)
    assert report.value["content"] == [text("Hi")]
    (loss,) = report.losses
    assert loss.pointer == "/output/0/parts/1"
    assert all(name in loss.reason for name in ("call_id", "c7", "output", "city", "is_error"))


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (o.ToolCallPart("c7", "f", {"city": {"zip": 1}}), ("call_id", "c7", "input", "arguments", "city", "zip", "name")),
        (o.ReasoningPart("t", signature="s", encrypted_content="e"), ("text", "signature", "encrypted_content", "data")),
        (o.ImageBase64Part("AA==", "image/png", vendor_extensions={"x": {"y": 1}}), ("data", "media_type", "x", "y")),
        (
            o.ToolResultPart("c7", (o.TextPart("t", (o.Annotation("k", raw={"index": 1}),)),)),
            ("c7", "text", "citations", "index"),
        ),
    ],
)
def test_what_the_system_cannot_hold_is_lost_by_its_names(part: Any, names: tuple[str, ...]) -> None:
    """A part that is lost whole is one loss, which names the fields that it had."""
    report = o.emit_api_request(WIRE, o.LlmRequest("m", (o.Message("system", ("Obey.", part)), HI)))
    (loss,) = report.losses
    assert loss.pointer == "/input/0/parts/1"
    assert set(names) <= set(loss.reason.replace(",", "").split())


def test_what_an_empty_text_or_turn_had_beside_it_is_named() -> None:
    """The API takes neither: their citations and another wire's fields are losses all the same."""
    cited = o.TextPart("", (o.Annotation("k", raw={"index": 1}),), vendor_extensions=ext("open_ai_responses", logprobs=[1]))
    payload, losses = write(HI, o.Message("user", (cited,), vendor_extensions=ext("open_ai_responses", phase="x")))
    assert payload["messages"] == [{"role": "user", "content": "Hello"}]
    assert losses == [
        "/input/1/parts/0/annotations",
        "/input/1/parts/0/vendor_extensions/open_ai_responses/logprobs",
        "/input/1/vendor_extensions/open_ai_responses/phase",
    ]
