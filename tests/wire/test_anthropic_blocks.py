"""Blocks and messages of Messages requests: what each is read into, and that it is written back as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from anthropic_messages import HELLO, WIRE, P, again, assistant, body, kept, text, user

import omnillm as o


def vendor(kind: str, /, **fields: Any) -> tuple[dict[str, Any], o.VendorPart]:
    """Give a block that only this wire knows, and the part that holds it."""
    block = {"type": kind, **fields}
    return block, o.VendorPart(P, block)


HOUR = {"type": "ephemeral", "ttl": "1h"}
CHAR = {
    "type": "char_location",
    "cited_text": "It is green.",
    "document_index": 0,
    "document_title": "Grass",
    "start_char_index": 3,
    "end_char_index": 15,
    "file_id": None,
}
SEARCHED = {
    "type": "web_search_result_location",
    "cited_text": "Rain",
    "encrypted_index": "EoA=",
    "title": "Weather",
    "url": "https://weather.example/",
}
FOUND = {
    "type": "search_result_location",
    "cited_text": "Rain",
    "search_result_index": 0,
    "source": "https://kb.example/7",
    "start_block_index": 0,
    "end_block_index": 1,
    "title": None,
}
PAGE = {"type": "page_location", "cited_text": "p", "document_index": 1, "start_page_number": 2, "end_page_number": 3}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}

VENDORED: dict[str, dict[str, Any]] = {
    "search_result": {"source": "kb", "title": "T", "content": [text("Hi")], "citations": {"enabled": True}},
    "server_tool_use": {
        "id": "srvtoolu_1",
        "name": "web_search",
        "input": {"query": "rain"},
        "caller": {"type": "direct"},
    },
    "web_search_tool_result": {
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "url": "https://x.example/", "title": "T", "encrypted_content": "Eo"}],
    },
    "web_fetch_tool_result": {
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "web_fetch_result", "url": "https://x.example/"},
    },
    "code_execution_tool_result": {"tool_use_id": "srvtoolu_1", "content": {"type": "encrypted_code_execution_result"}},
    "bash_code_execution_tool_result": {"tool_use_id": "srvtoolu_1", "content": {"stdout": "1", "return_code": 0}},
    "text_editor_code_execution_tool_result": {"tool_use_id": "srvtoolu_1", "content": {"is_file_update": False}},
    "tool_search_tool_result": {"tool_use_id": "srvtoolu_1", "content": {"tool_references": []}},
    "container_upload": {"file_id": "file_1"},
    "mcp_tool_use": {"id": "mcptoolu_1", "name": "echo", "server_name": "s", "input": {}},
    "mcp_tool_result": {"tool_use_id": "mcptoolu_1", "is_error": False, "content": [text("Hi")]},
    "mcp_tool_listing": {"server_name": "s", "tools": []},
    "advisor_tool_result": {"tool_use_id": "srvtoolu_1", "content": {}},
    "compaction": {"content": "So far: …", "encrypted_content": "Eo", "signature": "Eq", "tool_changes": []},
    "fallback": {"from": {"model": "a"}, "to": {"model": "b"}, "trigger": {"type": "overloaded"}},
    "tool_addition": {"tool": {"type": "tool_reference", "name": "weather"}},
    "tool_removal": {"tool": {"type": "tool_reference", "name": "weather"}},
    "a_block_of_tomorrow": {"and": {"its": ["content", None, 1.5]}},
}
BLOCKS: list[tuple[str, dict[str, Any], Any]] = [
    ("text", text("Hi"), o.TextPart("Hi")),
    (
        "text_cached",
        text("Hi", cache_control=HOUR),
        o.TextPart("Hi", vendor_extensions={WIRE.value: {"cache_control": HOUR}}),
    ),
    ("text_null_citations", text("Hi", citations=None), o.TextPart("Hi", vendor_extensions={WIRE.value: {"citations": None}})),
    ("text_no_citations", text("Hi", citations=[]), o.TextPart("Hi", vendor_extensions={WIRE.value: {"citations": []}})),
    (
        "text_cited",
        text("Hi", citations=[CHAR, SEARCHED, FOUND, PAGE]),
        o.TextPart(
            "Hi",
            (
                o.Annotation("char_location", title="Grass", start=3, end=15, cited_text="It is green.", raw=CHAR),
                o.Annotation(
                    "web_search_result_location", url="https://weather.example/", title="Weather", cited_text="Rain", raw=SEARCHED
                ),
                o.Annotation("search_result_location", url="https://kb.example/7", cited_text="Rain", raw=FOUND),
                o.Annotation("page_location", cited_text="p", raw=PAGE),
            ),
        ),
    ),
    (
        "text_cited_in_an_unknown_way",
        text("Hi", citations=[CHAR, {"type": "hunch"}]),
        o.TextPart("Hi", vendor_extensions={WIRE.value: {"citations": [CHAR, {"type": "hunch"}]}}),
    ),
    (
        "image_base64",
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
        o.ImageBase64Part("iVBORw==", "image/png"),
    ),
    (
        "image_url",
        {
            "type": "image",
            "source": {"type": "url", "url": "https://x.example/a.png"},
            "transformations": {"oversized_image": "error"},
        },
        o.ImageUrlPart(
            "https://x.example/a.png", vendor_extensions={WIRE.value: {"transformations": {"oversized_image": "error"}}}
        ),
    ),
    (
        "image_file",
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        o.FilePart("file_1", vendor_extensions={WIRE.value: {"@spelling": {"type": "image"}}}),
    ),
    ("image_of_an_unknown_source", *vendor("image", source={"type": "satellite", "orbit": 7})),
    ("image_with_more_in_its_source", *vendor("image", source={"type": "url", "url": "https://x.example/", "crop": 1})),
    ("image_without_source", *vendor("image")),
    ("document_pdf", {"type": "document", "source": PDF}, o.FilePart(None, "application/pdf", "JVBERi0=")),
    (
        "document_titled",
        {"type": "document", "source": PDF, "title": "Report", "context": "2026", "citations": {"enabled": True}},
        o.FilePart(
            None,
            "application/pdf",
            "JVBERi0=",
            "Report",
            vendor_extensions={WIRE.value: {"context": "2026", "citations": {"enabled": True}}},
        ),
    ),
    (
        "document_text",
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}, "title": None},
        o.FilePart(None, "text/plain", "R3LDvMOfZQ==", vendor_extensions={WIRE.value: {"title": None}}),
    ),
    (
        "document_url",
        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        o.FilePart(url="https://x.example/a.pdf"),
    ),
    ("document_file", {"type": "document", "source": {"type": "file", "file_id": "file_1"}}, o.FilePart("file_1")),
    ("document_of_content", *vendor("document", source={"type": "content", "content": [text("Hi")]}, title="T")),
    ("document_word", *vendor("document", source={"type": "base64", "media_type": "application/msword", "data": "AA=="})),
    (
        "thinking",
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
        o.ReasoningPart("Hm.", signature="EqQB", protocol=P),
    ),
    ("thinking_omitted", {"type": "thinking", "thinking": "", "signature": "EqQB"}, o.ReasoningPart(signature="EqQB")),
    ("thinking_unsigned", {"type": "thinking", "thinking": "Hm."}, o.ReasoningPart("Hm.")),
    ("redacted_thinking", {"type": "redacted_thinking", "data": "EmwK"}, o.ReasoningPart(encrypted_content="EmwK")),
    ("tool_use", TOOL_USE, o.ToolCallPart("toolu_1", "weather", {"city": "Oslo"})),
    (
        "tool_use_from_code",
        {**TOOL_USE, "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}},
        o.ToolCallPart(
            "toolu_1",
            "weather",
            {"city": "Oslo"},
            vendor_extensions={WIRE.value: {"caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}}},
        ),
    ),
    ("tool_result", {"type": "tool_result", "tool_use_id": "toolu_1", "content": "6 °C"}, o.ToolResultPart("toolu_1", "6 °C")),
    ("tool_result_bare", {"type": "tool_result", "tool_use_id": "toolu_1"}, o.ToolResultPart("toolu_1", "")),
    (
        "tool_result_empty",
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": ""},
        o.ToolResultPart("toolu_1", "", vendor_extensions={WIRE.value: {"content": ""}}),
    ),
    (
        "tool_result_no_blocks",
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": []},
        o.ToolResultPart("toolu_1", "", vendor_extensions={WIRE.value: {"content": []}}),
    ),
    (
        "tool_result_failed",
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no", "is_error": True},
        o.ToolResultPart("toolu_1", "no", is_error=True),
    ),
    (
        "tool_result_not_failed",
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "6", "is_error": False, "cache_control": HOUR},
        o.ToolResultPart(
            "toolu_1",
            "6",
            vendor_extensions={WIRE.value: {"cache_control": HOUR, "@spelling": {"is_error": False}}},
        ),
    ),
    (
        "tool_result_blocks",
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": [
                text("Hi"),
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
                {"type": "document", "source": PDF},
                {"type": "tool_reference", "tool_name": "weather"},
            ],
        },
        o.ToolResultPart(
            "toolu_1",
            (
                o.TextPart("Hi"),
                o.ImageBase64Part("iVBORw==", "image/png"),
                o.FilePart(None, "application/pdf", "JVBERi0="),
                o.VendorPart(P, {"type": "tool_reference", "tool_name": "weather"}),
            ),
        ),
    ),
    *((kind, *vendor(kind, **fields)) for kind, fields in VENDORED.items()),
]


@pytest.mark.parametrize(("block", "part"), [pytest.param(block, part, id=name) for name, block, part in BLOCKS])
def test_a_block_is_read_into_its_part_and_written_back(block: dict[str, Any], part: Any) -> None:
    """Every block has a part, alone in a turn and beside another, and nothing of it is lost on the way back."""
    beside = user(text("Look:", cache_control=HOUR), block)
    assert o.parse_request(P, body(beside)).input[0].parts[1] == part  # type: ignore[union-attr]  # a message, by its role
    for payload in (body(beside), body(user(block)), body(HELLO, assistant(block))):
        assert again(payload) == payload


def test_reasoning_says_whose_it_is() -> None:
    """Thinking that was read from here is marked as this provider's, so that no other is sent its signature."""
    parts = o.parse_request(P, body(HELLO, assistant({"type": "thinking", "thinking": "Hm.", "signature": "Eq"}))).input[1]
    assert isinstance(parts, o.Message)
    assert isinstance(parts.parts[0], o.ReasoningPart)
    assert parts.parts[0].protocol is P


MESSAGES: list[tuple[str, list[dict[str, Any]]]] = [
    ("a_string", [HELLO]),
    ("a_lone_text", [user(text("Hi"))]),
    ("an_empty_string", [HELLO, {"role": "assistant", "content": ""}, HELLO]),
    ("no_blocks", [HELLO, assistant(), HELLO]),
    ("an_empty_text", [user(text(""), text("Hi"))]),
    ("an_empty_text_in_a_result", [user({"type": "tool_result", "tool_use_id": "t", "content": [text("")]}, text("Go on"))]),
    ("turns_of_the_same_role", [HELLO, HELLO, assistant(text("a"), text("b")), {"role": "assistant", "content": "c"}, HELLO]),
    ("an_assistant_first", [{"role": "assistant", "content": "Hi!"}, HELLO]),
    ("nobody", []),
    ("a_prefill", [HELLO, {"role": "assistant", "content": "{"}]),
    ("a_system_in_place", [HELLO, {"role": "system", "content": "Be brief."}, HELLO]),
    ("a_system_in_place_of_blocks", [HELLO, {"role": "system", "content": [text("Be brief.")], "clear_at": "never"}, HELLO]),
    ("a_system_first_among_messages", [{"role": "system", "content": "Be brief."}, HELLO]),
    (
        "tools_added_in_place",
        [
            HELLO,
            {"role": "system", "content": [{"type": "tool_addition", "tool": {"name": "t"}}], "output_config": {"effort": "low"}},
        ],
    ),
    ("fields_of_a_message", [{**HELLO, "priority": None, "tags": ["a"]}]),
]


@pytest.mark.parametrize("messages", [pytest.param(messages, id=name) for name, messages in MESSAGES])
@pytest.mark.parametrize("system", [None, "Be kind.", [text("Be kind.", cache_control=HOUR), text("Be brief.")]])
def test_messages_are_written_back_as_they_were(messages: list[dict[str, Any]], system: Any) -> None:
    """No turn is merged, moved, completed or rewritten, whether the API would take it or not."""
    payload = body(**({} if system is None else {"system": system}))
    payload["messages"] = messages
    assert again(payload) == payload


@pytest.mark.parametrize(
    "messages",
    [pytest.param(messages, id=name) for name, messages in MESSAGES if "empty" not in name and "no_blocks" not in name],
)
def test_only_what_the_api_refuses_needs_the_raw_message(messages: list[dict[str, Any]]) -> None:
    """Without the raw messages the payload is still the same, up to a string for a lone text."""
    payload = body()
    payload["messages"] = messages
    request = o.parse_request(P, payload)
    bare = replace(request, input=tuple(replace(item, raw_message=None) for item in request.input if isinstance(item, o.Message)))
    found = o.emit_request(P, bare)["messages"]
    for message in (message for side in (found, messages) for message in side if message["content"] == [text("Hi")]):
        message["content"] = "Hi"
    assert [m | {"content": as_blocks(m["content"])} for m in found] == [
        m | {"content": as_blocks(m["content"])} for m in messages
    ]


def as_blocks(content: Any) -> Any:
    return [text(content)] if isinstance(content, str) else content


@pytest.mark.parametrize(
    "edit",
    [
        lambda message: replace(message, parts=(o.TextPart("Bye"),)),
        lambda message: replace(message, parts="Bye"),
        lambda message: o.Message(message.role, "Bye", raw_message=message.raw_message),
    ],
)
def test_an_edited_message_is_not_written_as_it_was(edit: Any) -> None:
    """A raw message counts for as long as it says what the message says."""
    request = o.parse_request(P, body(user(text("Hi"))))
    edited = replace(request, input=(edit(request.input[0]),))
    assert o.emit_request(P, edited)["messages"] == [{"role": "user", "content": "Bye"}]


def test_arguments_changed_in_place_are_written() -> None:
    """An edit of a value inside a part counts too."""
    request = o.parse_request(P, body(HELLO, assistant(copy.deepcopy(TOOL_USE), text(""))))
    request.input[1].parts[0].arguments["city"] = "Rome"  # type: ignore[union-attr]  # a call, by the payload
    assert o.emit_request(P, request)["messages"][1]["content"] == [{**TOOL_USE, "input": {"city": "Rome"}}, text("")]


def test_a_raw_message_that_is_none_is_ignored() -> None:
    """A raw message that cannot be read, or of another protocol, is never sent."""
    for raw in (o.RawMessage(P, {"role": "king"}), o.RawMessage(o.ProviderProtocol.OPENAI_RESPONSES, HELLO)):
        request = o.LlmRequest("m", o.Message("user", "Hi", raw_message=raw))
        assert o.emit_request(P, request)["messages"] == [{"role": "user", "content": "Hi"}]


def test_the_system_is_instructions_or_a_system_message() -> None:
    """A string is the instructions, blocks are a message with their fields, and none at all stays none."""
    assert o.parse_request(P, body(system="Be kind.")).instructions == "Be kind."
    request = o.parse_request(P, body(system=[text("Be kind.", cache_control=HOUR)]))
    assert request.instructions is None
    assert isinstance(request.input[0], o.Message)
    assert request.input[0].role is o.MessageRole.SYSTEM
    assert kept(request.input[0].parts[0]) == {"cache_control": HOUR}
    system: Any
    for system in ("", [], None):
        assert again(body(system=system)) == body(system=system)


def test_a_system_message_in_place_stays_there_when_it_is_edited() -> None:
    """What tells it from one that a caller put there is no raw copy, so an edit does not move it."""
    request = o.parse_request(P, body(HELLO, {"role": "system", "content": "Be brief."}, HELLO))
    edited = replace(request.input[1], parts="Be long.")  # type: ignore[arg-type]  # a message; a text is taken
    found = o.emit_api_request(WIRE, replace(request, input=(request.input[0], edited, request.input[2])))
    assert found.value["messages"][1] == {"role": "system", "content": "Be long."}
    assert found.losses == ()
