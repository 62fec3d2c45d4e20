"""Requests of Responses: what is read, and that what was read is written again."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest

import omnillm as o

P = o.ProviderProtocol.OPENAI_RESPONSES
OWN = o.WireFormat.OPENAI_RESPONSES.value

Json = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUg=="
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}


def request(*items: Json, **more: Any) -> Json:
    return {"model": "gpt-test", "input": list(items), **more}


def user(*parts: Json) -> Json:
    return {"role": "user", "content": list(parts)}


def text(words: str = "Hi", kind: str = "input_text", **more: Any) -> Json:
    return {"type": kind, "text": words, **more}


def function(name: str = "look", **more: Any) -> Json:
    return {"type": "function", "name": name, "parameters": WEATHER, "strict": True, **more}


def items(*given: Json) -> tuple[Any, ...]:
    return o.parse_request(P, request(*given)).input


def again(payload: Json) -> Json:
    return o.emit_request(P, o.parse_request(P, copy.deepcopy(payload)))


def kept(value: Any) -> Any:
    return value.vendor_extensions.get(OWN)


CITATIONS = [
    {"type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 0, "end_index": 2},
    {"type": "file_citation", "file_id": "f1", "filename": "a.pdf", "index": 3},
    {"type": "container_file_citation", "container_id": "c", "file_id": "f", "filename": "n", "start_index": 0, "end_index": 1},
    {"type": "file_path", "file_id": "f2", "index": 1},
]
ANSWERED = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "phase": "final_answer",
    "content": [
        text("Hello", "output_text", annotations=CITATIONS, logprobs=[{"token": "Hello", "logprob": -0.1, "top_logprobs": []}]),
        {"type": "refusal", "refusal": "No."},
    ],
}
ITEMS: list[tuple[str, Json]] = [
    ("easy_text", {"role": "user", "content": "Hi"}),
    ("easy_empty_text", {"role": "user", "content": ""}),
    ("easy_with_its_type", {"type": "message", "role": "user", "content": "Hi"}),
    ("easy_no_parts", user()),
    ("easy_one_text", user(text())),
    ("easy_assistant_input_text", {"role": "assistant", "content": [text("x", "input_text")]}),
    ("easy_assistant_refusal", {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}),
    (
        "easy_assistant_cited",
        {
            "type": "message",
            "role": "assistant",
            "content": [text("x", "output_text", annotations=CITATIONS), text("y", "output_text")],
        },
    ),
    ("easy_assistant_cited_strangely", {"role": "assistant", "content": [text("x", "output_text", annotations=[1])]}),
    (
        "answer_partly_cited",
        {**ANSWERED, "content": [text("x", "output_text", annotations=CITATIONS), text("y", "output_text")]},
    ),
    ("easy_assistant_output_text", {"role": "assistant", "content": [text("x", "output_text")]}),
    ("easy_assistant_phase", {"role": "assistant", "content": "Let me see.", "phase": "commentary"}),
    ("easy_text_with_an_id", {"type": "message", "id": "msg_1", "role": "assistant", "content": "x"}),
    ("easy_null_phase", {"role": "assistant", "content": "x", "phase": None}),
    ("system", {"role": "system", "content": "Be brief."}),
    ("developer", {"role": "developer", "content": [text("Be brief."), text("Be kind.")]}),
    ("full", {"type": "message", "role": "user", "status": "completed", "content": [text()]}),
    ("answered", ANSWERED),
    ("answered_without_annotations", {**ANSWERED, "content": [text("x", "output_text")]}),
    ("answered_empty_annotations", {**ANSWERED, "content": [text("x", "output_text", annotations=[], logprobs=[])]}),
    ("answered_strange_annotation", {**ANSWERED, "content": [text("x", "output_text", annotations=[{"type": "new", "n": 1}])]}),
    ("assistant_shows_an_image", {"role": "assistant", "content": [{"type": "input_image", "image_url": "https://x.test/i"}]}),
    ("chat_text", user(text("x", "text"))),
    ("cache_breakpoint", user(text("x", prompt_cache_breakpoint={"mode": "explicit", "ttl": "30m"}))),
    ("image_url", user({"type": "input_image", "image_url": "https://x.test/i.png", "detail": "high"})),
    ("image_data", user({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"})),
    ("image_file", user({"type": "input_image", "file_id": "f1", "image_url": None, "detail": "auto"})),
    ("image_of_nothing", user({"type": "input_image", "image_url": {"url": "x"}})),
    ("file_data", user({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"})),
    ("file_data_without_name", user({"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"})),
    ("file_bare_data", user({"type": "input_file", "filename": "a.pdf", "file_data": "AAAA", "detail": "low"})),
    ("file_id", user({"type": "input_file", "file_id": "f1"})),
    ("file_of_nothing", user({"type": "input_file"})),
    ("file_of_nulls", user({"type": "input_file", "file_id": None, "filename": "n"})),
    ("file_url", user({"type": "input_file", "file_url": "https://x.test/a.pdf"})),
    ("audio", user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3", "new": 1}})),
    ("strange_audio", user({"type": "input_audio", "input_audio": "AAAA"})),
    ("unknown_part", user({"type": "input_smell", "smell": "rose"})),
    ("unknown_role", {"role": "critic", "content": "Meh."}),
    ("call", {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"city":"Oslo"}'}),
    ("call_spaced", {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{ "city" : "Oslo" }'}),
    ("call_broken", {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"city'}),
    ("call_no_arguments", {"type": "function_call", "call_id": "c1", "name": "look", "arguments": ""}),
    ("call_null_arguments", {"type": "function_call", "call_id": "c1", "name": "look", "arguments": None}),
    ("call_object_arguments", {"type": "function_call", "call_id": "c1", "name": "look", "arguments": {"a": 1}}),
    ("call_without_id", {"type": "function_call", "name": "look", "arguments": "{}"}),
    ("call_empty_id", {"type": "function_call", "call_id": "", "name": "look", "arguments": "{}"}),
    ("call_without_name", {"type": "function_call", "call_id": "c1", "arguments": "{}"}),
    (
        "call_all",
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "look",
            "arguments": "{}",
            "id": "fc_1",
            "namespace": "n",
            "status": "completed",
            "caller": {"type": "program", "caller_id": "p"},
            "async": True,
        },
    ),
    ("custom_call", {"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": "ls -l", "id": "ctc_1"}),
    ("custom_call_json", {"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": '{ "a":1}'}),
    ("custom_output", {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"}),
    ("output", {"type": "function_call_output", "call_id": "c1", "output": "15 C", "status": "completed", "id": "fco_1"}),
    ("output_parts", {"type": "function_call_output", "call_id": "c1", "output": [text(), text("two")]}),
    ("output_one_part", {"type": "function_call_output", "call_id": "c1", "output": [text()]}),
    ("output_no_parts", {"type": "function_call_output", "call_id": "c1", "output": []}),
    (
        "output_files",
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_image", "image_url": "https://x.test/i"}, {"type": "input_file", "file_id": "f"}],
        },
    ),
    ("output_null", {"type": "function_call_output", "call_id": "c1", "output": None}),
    ("output_object", {"type": "function_call_output", "call_id": "c1", "output": {"a": 1}}),
    ("output_named", {"type": "function_call_output", "name": "look", "namespace": "n", "output": ""}),
    ("output_empty_id", {"type": "function_call_output", "call_id": "", "output": ""}),
    ("reasoning", {"type": "reasoning", "id": "rs_1", "summary": []}),
    ("reasoning_summary", {"type": "reasoning", "id": "rs_1", "summary": [text("a", "summary_text"), text("b", "summary_text")]}),
    ("reasoning_content", {"type": "reasoning", "id": "rs_1", "summary": [], "content": [text("a", "reasoning_text")]}),
    (
        "reasoning_two_contents",
        {"type": "reasoning", "summary": [], "content": [text("ab", "reasoning_text"), text("c", "reasoning_text")]},
    ),
    ("reasoning_empty_content", {"type": "reasoning", "summary": [], "content": []}),
    ("reasoning_empty_text", {"type": "reasoning", "summary": [], "content": [text("", "reasoning_text")]}),
    ("reasoning_nulls", {"type": "reasoning", "summary": None, "content": None, "encrypted_content": None, "status": None}),
    ("reasoning_without_summary", {"type": "reasoning", "id": "rs_1"}),
    ("reasoning_encrypted", {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA", "status": "completed"}),
    ("reasoning_strange_content", {"type": "reasoning", "summary": [], "content": [{"type": "new"}]}),
    ("item_reference", {"type": "item_reference", "id": "msg_1"}),
    ("compaction", {"type": "compaction", "encrypted_content": "gAAA"}),
    ("compaction_trigger", {"type": "compaction_trigger"}),
    ("additional_tools", {"type": "additional_tools", "role": "developer", "tools": [function()]}),
    ("configuration_update", {"type": "configuration_update", "reasoning": {"effort": "low"}}),
    (
        "web_search_call",
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}},
    ),
    ("file_search_call", {"type": "file_search_call", "id": "fs", "queries": ["q"], "status": "completed", "results": None}),
    ("computer_call", {"type": "computer_call", "id": "cu", "call_id": "c", "action": {"type": "click", "x": 1, "y": 2}}),
    ("computer_call_output", {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}),
    ("image_generation_call", {"type": "image_generation_call", "id": "ig", "result": PNG, "status": "completed"}),
    ("code_interpreter_call", {"type": "code_interpreter_call", "id": "ci", "code": "1", "container_id": "c", "outputs": None}),
    ("local_shell_call", {"type": "local_shell_call", "id": "ls", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}}),
    ("shell_call_output", {"type": "shell_call_output", "call_id": "c", "output": []}),
    ("apply_patch_call", {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}}),
    ("mcp_list_tools", {"type": "mcp_list_tools", "id": "m", "server_label": "s", "tools": []}),
    ("mcp_approval_response", {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True}),
    ("mcp_call", {"type": "mcp_call", "id": "m", "name": "n", "arguments": "{}", "server_label": "s", "output": "x"}),
    ("tool_search_output", {"type": "tool_search_output", "call_id": "c", "tools": [function()], "execution": "client"}),
    ("program", {"type": "program", "id": "p", "code": "x"}),
    ("unknown_item", {"type": "telepathy_call", "id": "t", "thoughts": [1, None]}),
]


@pytest.mark.parametrize("item", [pytest.param(item, id=name) for name, item in ITEMS])
def test_every_item_is_written_as_it_was(item: Json) -> None:
    """An item alone, among others, and after a stay in JSON goes out as it came, and the payload is not touched."""
    payload = request(user(text("before"), text("more")), item, {"role": "user", "content": "after"})
    before = copy.deepcopy(payload)
    assert again(payload) == payload == before
    assert again(request(item)) == request(item)
    read = o.parse_request(P, payload)
    assert o.emit_request(P, o.LlmRequest.from_json(read.to_json())) == payload


SETTINGS: list[tuple[str, Json]] = [
    ("text_input", {"input": "Hi"}),
    ("no_input", {}),
    ("null_input", {"input": None}),
    ("previous_response_alone", {"model": "m", "previous_response_id": "resp_1", "tools": []}),
    ("prompt_alone", {"prompt": {"id": "pmpt_1", "version": "2", "variables": {"x": "y"}}}),
    ("instructions", {"instructions": "Be brief."}),
    ("null_instructions", {"instructions": None}),
    ("instructions_of_items", {"instructions": [{"role": "system", "content": "x"}]}),
    ("sampling", {"temperature": 0.5, "top_p": 1, "max_output_tokens": 100, "top_logprobs": 3}),
    ("null_sampling", {"temperature": None, "top_p": None, "max_output_tokens": None}),
    ("compatible_sampling", {"top_k": 40, "presence_penalty": 0.5, "frequency_penalty": 1, "seed": 7, "stop": ["x"]}),
    ("metadata", {"metadata": {"a": "b"}}),
    ("empty_metadata", {"metadata": {}}),
    ("null_metadata", {"metadata": None}),
    ("state", {"store": False, "previous_response_id": "resp_1", "include": ["reasoning.encrypted_content"]}),
    ("conversation", {"conversation": {"id": "conv_1"}, "background": True, "background_options": {"completion_window": "2h"}}),
    ("context", {"context_management": [{"type": "compaction", "compact_threshold": 9}], "truncation": "auto"}),
    ("cache", {"prompt_cache_key": "k", "prompt_cache_retention": "24h", "prompt_cache_options": {"mode": "explicit"}}),
    ("identity", {"user": "u", "safety_identifier": "s", "service_tier": "flex", "access_programs": {"cyber": "standard"}}),
    ("more", {"moderation": {"model": "m"}, "image": {"context_compression": "auto"}, "max_tool_calls": 3, "generate": False}),
    ("stream", {"stream": True, "stream_options": {"include_obfuscation": False}}),
    ("reasoning", {"reasoning": {"effort": "high", "summary": "auto", "context": "all_turns", "mode": "pro"}}),
    ("null_reasoning", {"reasoning": None}),
    ("empty_reasoning", {"reasoning": {}}),
    ("reasoning_nulls", {"reasoning": {"effort": None, "summary": None, "generate_summary": "concise"}}),
    ("text_format", {"text": {"format": {"type": "text"}}}),
    ("text_verbosity", {"text": {"verbosity": "low"}}),
    ("text_null_verbosity", {"text": {"verbosity": None, "format": None}}),
    ("text_both", {"text": {"format": {"type": "text"}, "verbosity": "high", "new": 1}}),
    ("text_empty", {"text": {}}),
    ("text_null", {"text": None}),
    ("verbosity_elsewhere", {"verbosity": "low"}),
    ("json_object", {"text": {"format": {"type": "json_object"}}}),
    (
        "json_schema",
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": WEATHER, "strict": True, "description": "d"}}},
    ),
    ("json_schema_lax", {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": False}}}),
    ("json_schema_null", {"text": {"format": {"type": "json_schema", "schema": WEATHER, "strict": None}}}),
    ("json_schema_strange", {"text": {"format": {"type": "json_schema", "name": "n"}}}),
    ("grammar", {"text": {"format": {"type": "grammar", "grammar": "x"}}}),
    ("no_tools", {"tools": []}),
    ("null_tools", {"tools": None, "tool_choice": None, "parallel_tool_calls": None}),
    ("parallel", {"parallel_tool_calls": False}),
    ("function", {"tools": [function(description="d", output_schema={}, defer_loading=True, allowed_callers=["direct"])]}),
    ("function_lax", {"tools": [{**function(), "strict": False}]}),
    ("function_null", {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None, "description": None}]}),
    ("function_bare", {"tools": [{"type": "function", "name": "f"}]}),
    ("function_empty", {"tools": [{"type": "function", "name": "f", "parameters": {}}]}),
    ("function_of_chat", {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    (
        "hosted",
        {
            "tools": [
                {"type": "web_search", "search_context_size": "low"},
                function("a"),
                {"type": "file_search", "vector_store_ids": ["v"]},
                {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
                function("b"),
                {"type": "mcp", "server_label": "s"},
                {"type": "image_generation"},
                {"type": "code_interpreter", "container": "c"},
                {"type": "computer"},
                {"type": "namespace", "name": "n", "description": "d", "tools": [function()]},
                {"name": "typeless"},
            ]
        },
    ),
    ("choice_auto", {"tool_choice": "auto"}),
    ("choice_none", {"tool_choice": "none"}),
    ("choice_required", {"tool_choice": "required"}),
    ("choice_strange", {"tool_choice": "any"}),
    ("choice_function", {"tool_choice": {"type": "function", "name": "f"}}),
    ("choice_function_more", {"tool_choice": {"type": "function", "name": "f", "new": 1}}),
    ("choice_allowed", {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}}),
    ("choice_custom", {"tool_choice": {"type": "custom", "name": "c"}}),
    ("choice_mcp", {"tool_choice": {"type": "mcp", "server_label": "s", "name": None}}),
    ("choice_hosted", {"tool_choice": {"type": "web_search_preview"}}),
    ("unknown", {"new_field": {"a": [1, None]}}),
]


@pytest.mark.parametrize("settings", [pytest.param(settings, id=name) for name, settings in SETTINGS])
def test_every_setting_is_written_as_it_was(settings: Json) -> None:
    """Every setting goes out as it came, after a stay in JSON too."""
    payload = {"model": "gpt-test", **settings}
    if not payload.keys() & {"input", "prompt", "previous_response_id"}:
        payload["input"] = [user(text())] if settings else []
    assert again(payload) == payload
    read = o.parse_request(P, payload)
    assert o.emit_request(P, o.LlmRequest.from_json(read.to_json())) == payload


def test_a_request_without_a_model_stays_without() -> None:
    """A stored prompt may bring its own model."""
    assert again({"prompt": {"id": "p"}}) == {"prompt": {"id": "p"}}
    assert again({"input": []}) == {"input": []}


READ: list[tuple[str, Json, Any]] = [
    ("text", {"role": "user", "content": "Hi"}, o.Message.user("Hi")),
    ("one_text", user(text()), o.Message.user("Hi")),
    ("developer", {"role": "developer", "content": "x"}, o.Message.text("developer", "x")),
    ("image", user({"type": "input_image", "image_url": "u", "detail": "low"}), o.Message("user", o.ImageUrlPart("u", "low"))),
    (
        "image_data",
        user({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}),
        o.Message("user", o.ImageBase64Part(PNG, "image/png")),
    ),
    (
        "file",
        user({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}),
        o.Message("user", o.FilePart(None, "application/pdf", "AAAA", "a.pdf")),
    ),
    ("unknown_part", user({"type": "x"}), o.Message("user", o.VendorPart(P, {"type": "x"}))),
    (
        "call",
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'},
        o.ToolCallPart("c1", "look", {"a": 1}),
    ),
    ("output", {"type": "function_call_output", "call_id": "c1", "output": "x"}, o.ToolResultPart("c1", "x")),
    (
        "output_parts",
        {"type": "function_call_output", "call_id": "c1", "output": [text("a"), text("b")]},
        o.ToolResultPart("c1", (o.TextPart("a"), o.TextPart("b"))),
    ),
    (
        "reasoning",
        {
            "type": "reasoning",
            "summary": [text("s", "summary_text")],
            "content": [text("t", "reasoning_text")],
            "encrypted_content": "e",
        },
        o.ReasoningPart("t", ("s",), None, "e"),
    ),
    ("unknown", {"type": "item_reference", "id": "x"}, o.VendorPart(P, {"type": "item_reference", "id": "x"})),
]


@pytest.mark.parametrize(("item", "expected"), [pytest.param(*row, id=name) for name, *row in READ])
def test_what_an_item_is_read_as(item: Json, expected: Any) -> None:
    """Every item has one canonical form, at its place among the items."""
    assert items(item) == (expected,)


def test_an_answer_of_an_earlier_turn_is_read_whole() -> None:
    """Texts, citations and the refusal are parts; id, status and phase are kept."""
    (message,) = items(ANSWERED)
    said, refused = message.parts
    assert (said.text, refused) == ("Hello", o.RefusalPart("No."))
    assert [note.kind for note in said.annotations] == [raw["type"] for raw in CITATIONS]
    assert said.annotations[0] == o.Annotation("url_citation", "https://x.test", "X", 0, 2, raw=CITATIONS[0])
    assert said.annotations[1] == o.Annotation("file_citation", title="a.pdf", file_id="f1", raw=CITATIONS[1])
    assert {name: kept(message)[name] for name in ("id", "status", "phase")} == {
        "id": "msg_1",
        "status": "completed",
        "phase": "final_answer",
    }


def test_a_custom_call_is_a_call_with_text() -> None:
    """The input of a custom tool is any text, never JSON by accident."""
    (call,) = items({"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": "1"})
    assert (call.call_id, call.name, call.arguments) == ("c1", "sh", "1")


def test_what_settings_are_read_as() -> None:
    """What the canonical request has a place for is there."""
    read = o.parse_request(
        P,
        {
            "model": "m",
            "input": "Hi",
            "instructions": "Be brief.",
            "max_output_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "stream": True,
            "metadata": {"a": "b"},
            "parallel_tool_calls": False,
            "tool_choice": {"type": "function", "name": "look"},
            "tools": [function(description="d"), {"type": "web_search_preview"}],
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": WEATHER, "strict": True}, "verbosity": "low"},
        },
    )
    assert read.input == (o.Message.user("Hi"),)
    assert (read.model, read.instructions, read.stream, dict(read.metadata)) == ("m", "Be brief.", True, {"a": "b"})
    assert read.generation == o.GenerationConfig(9, 0.5, 0.9)
    asked = read.capabilities
    assert asked.tools == (o.ToolDefinition("look", WEATHER, "d", True),)
    assert asked.builtin_tools == (
        o.BuiltinTool(o.BuiltinToolKind.WEB_SEARCH, {"type": "web_search_preview"}, protocol=P, position=1),
    )
    assert asked.tool_choice == o.ToolChoice.named("look")
    assert asked.parallel_tool_calls is False
    assert asked.reasoning == o.ReasoningCapability("low", "auto")
    assert asked.structured_output == o.StructuredOutputConfig(WEATHER, "n", True)


EDITS: list[tuple[str, Json, Any, Any]] = [
    ("text", {"role": "user", "content": "Hi"}, (o.TextPart("Ho"),), "Ho"),
    ("array", user(text()), (o.TextPart("Ho"),), [text("Ho")]),
    ("answer", ANSWERED, (o.TextPart("Ho"),), [text("Ho", "output_text")]),
]


@pytest.mark.parametrize(("item", "parts", "content"), [pytest.param(*row, id=name) for name, *row in EDITS])
def test_an_edited_message_says_the_edit_and_nothing_old(item: Json, parts: Any, content: Any) -> None:
    """What the wire's own message said does not survive an edit; what it was keeps its form."""
    read = o.parse_request(P, request(item))
    edited = dataclasses.replace(read.input[0], parts=parts)
    assert o.emit_request(P, dataclasses.replace(read, input=(edited,)))["input"] == [{**item, "content": content}]


def test_a_text_input_that_grew_is_an_array() -> None:
    """A second item needs the array form."""
    read = o.parse_request(P, {"model": "m", "input": "Hi"})
    grown = dataclasses.replace(read, input=[*read.input, o.Message.assistant("Ho")])
    assert o.emit_request(P, grown)["input"] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]


def test_an_edited_citation_and_reasoning_say_the_edit() -> None:
    """What was kept of the wire's form gives way to what the value says."""
    (message,) = items(ANSWERED)
    note = dataclasses.replace(message.parts[0].annotations[0], title="Y", start=1)
    edited = dataclasses.replace(message, parts=(dataclasses.replace(message.parts[0], annotations=(note,)),))
    (written,) = o.emit_request(P, o.LlmRequest("m", edited))["input"]
    assert written["content"][0]["annotations"] == [{**CITATIONS[0], "title": "Y", "start_index": 1}]
    (thought,) = items(dict(ITEMS)["reasoning_two_contents"])
    (written,) = o.emit_request(P, o.LlmRequest("m", dataclasses.replace(thought, text="longer than before")))["input"]
    assert written["content"] == [text("longer than before", "reasoning_text")]


BAD: list[tuple[str, Any, str]] = [
    ("input", {"model": "m", "input": 7}, "/input"),
    ("model", {"model": 7}, "/model"),
    ("item", request(7), "/input/0"),  # type: ignore[arg-type]  # on purpose
    ("item_type", request({"type": 7}), "/input/0/type"),
    ("content", request({"role": "user", "content": 7}), "/input/0/content"),
    ("no_content", request({"role": "user"}), "/input/0/content"),
    ("part", request({"role": "user", "content": [7]}), "/input/0/content/0"),
    ("text", request(user({"type": "input_text"})), "/input/0/content/0/text"),
    ("call_id", request({"type": "function_call", "name": "f", "call_id": 7}), "/input/0/call_id"),
    ("tools", {"model": "m", "tools": {"a": 1}}, "/tools"),
    ("tool", {"model": "m", "tools": [7]}, "/tools/0"),
    ("description", {"model": "m", "tools": [{"type": "function", "name": "f", "description": 7}]}, "/tools/0/description"),
    ("temperature", {"model": "m", "temperature": "hot"}, "/temperature"),
    ("seed", {"model": "m", "seed": 1.5}, "/seed"),
    ("stream", {"model": "m", "stream": "yes"}, "/stream"),
    ("strict", {"model": "m", "text": {"format": {"type": "json_schema", "schema": {}, "strict": "x"}}}, "/text/format/strict"),
]


@pytest.mark.parametrize(("payload", "pointer"), [pytest.param(*row, id=name) for name, *row in BAD])
def test_what_is_of_another_shape_is_refused_by_its_place(payload: Any, pointer: str) -> None:
    """The error names the place, as a JSON Pointer."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_request(P, json.dumps(payload))
    assert caught.value.pointer == pointer


def test_where_a_request_goes() -> None:
    """The path is below the provider's base; the format has no headers of its own."""
    sent = o.emit_transport_request(o.WireFormat.OPENAI_RESPONSES, o.LlmRequest("m", "Hi", stream=True)).value
    assert (sent.path, sent.headers, sent.accept) == ("/responses", {"content-type": "application/json"}, "text/event-stream")
