"""Canonical requests, the caller's own and those of other protocols, written for Responses: what goes where, and what is lost."""

from __future__ import annotations

from typing import Any

import pytest

import omnillm as o
from omnillm.wire import emit_request_with_losses

P = o.ProviderProtocol.OPENAI_RESPONSES
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CLAUDE = o.ProviderProtocol.CLAUDE_MESSAGES
WIRE = o.WireFormat.OPENAI_RESPONSES

Json = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUg=="
CALL = o.ToolCallPart("c1", "look", {"a": 1})
CALLED = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'}
GAVE = {"type": "function_call_output", "call_id": "c1", "output": "15 C"}
OUTPUT = {"type": "message", "id": "msg_0", "status": "completed", "role": "assistant"}
NOTE = o.Annotation("web", "https://x.test", cited_text="x")
OF_CHAT = {o.WireFormat.OPENAI_CHAT_COMPLETIONS.value: {"name": "Ann"}}


def write(*items: Any, text_content: str = "string", **more: Any) -> tuple[Json, list[str]]:
    payload, losses = emit_request_with_losses(WIRE, o.LlmRequest("m", items, **more), text_content=text_content)
    return payload, [loss.pointer for loss in losses]


ITEMS: list[tuple[str, list[Any], Any, list[str]]] = [
    ("text", [o.Message.user("Hi")], [{"role": "user", "content": "Hi"}], []),
    ("system_in_place", [o.Message.user("Hi"), o.Message.system("Brief.")], None, []),
    (
        "answer_and_call",
        [o.Message("assistant", [o.ReasoningPart("Hm."), o.TextPart("I look."), CALL, o.TextPart("Done.")])],
        [
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
            {"role": "assistant", "content": "I look."},
            CALLED,
            {"role": "assistant", "content": "Done."},
        ],
        [],
    ),
    ("loose", [CALL, o.ToolResultPart("c1", "15 C")], [CALLED, GAVE], []),
    ("tool_message", [o.Message("tool", [o.ToolResultPart("c1", "15 C"), o.ToolResultPart("c1", "15 C")])], [GAVE, GAVE], []),
    (
        "result_in_a_user_message",
        [o.Message("user", [o.ToolResultPart("c1", "15 C"), o.TextPart("And?")])],
        [GAVE, {"role": "user", "content": "And?"}],
        [],
    ),
    (
        "ids_by_position",
        [o.ToolCallPart("", "a", {}), o.ToolCallPart("", "b", {}), o.ToolResultPart("", "x"), o.ToolResultPart("", "y")],
        [
            {"type": "function_call", "call_id": "call_0", "name": "a", "arguments": "{}"},
            {"type": "function_call", "call_id": "call_1", "name": "b", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_0", "output": "x"},
            {"type": "function_call_output", "call_id": "call_1", "output": "y"},
        ],
        [],
    ),
    (
        "refusal",
        [o.Message("assistant", o.RefusalPart("No."))],
        [{**OUTPUT, "content": [{"type": "refusal", "refusal": "No."}]}],
        [],
    ),
    (
        "refusal_beside_a_text",
        [
            o.Message("assistant", [o.TextPart("Hm."), o.RefusalPart("No.")]),
            o.Message("assistant", [o.TextPart("Hi"), o.TextPart("Ho", (o.Annotation("f", file_id="f1"),)), CALL]),
            o.Message("assistant", [o.TextPart("Hi"), o.TextPart("Ho", (o.Annotation("nothing"),))]),
        ],
        [
            {
                **OUTPUT,
                "content": [
                    {"type": "output_text", "text": "Hm.", "annotations": []},
                    {"type": "refusal", "refusal": "No."},
                ],
            },
            {
                **OUTPUT,
                "id": "msg_1",
                "content": [
                    {"type": "output_text", "text": "Hi", "annotations": []},
                    {
                        "type": "output_text",
                        "text": "Ho",
                        "annotations": [{"type": "file_citation", "file_id": "f1", "filename": "", "index": 0}],
                    },
                ],
            },
            CALLED,
            {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}, {"type": "output_text", "text": "Ho"}]},
        ],
        ["/input/2/parts/1/annotations/0"],
    ),
    ("refusal_of_the_user", [o.Message("user", o.RefusalPart("No."))], [{"role": "user", "content": "No."}], []),
    ("json", [o.Message("user", o.JsonPart({"a": 1}))], [{"role": "user", "content": '{"a":1}'}], []),
    (
        "citation",
        [o.Message("assistant", o.TextPart("Hi", (NOTE, o.Annotation("f", file_id="f1"), o.Annotation("nothing"))))],
        [
            {
                **OUTPUT,
                "content": [
                    {
                        "type": "output_text",
                        "text": "Hi",
                        "annotations": [
                            {"type": "url_citation", "url": "https://x.test", "title": "", "start_index": 0, "end_index": 2},
                            {"type": "file_citation", "file_id": "f1", "filename": "", "index": 0},
                        ],
                    }
                ],
            }
        ],
        ["/input/0/parts/0/annotations/0/cited_text", "/input/0/parts/0/annotations/2"],
    ),
    (
        "citation_of_the_user",
        [o.Message("user", o.TextPart("Hi", (NOTE,)))],
        [{"role": "user", "content": "Hi"}],
        ["/input/0/parts/0/annotations"],
    ),
    ("no_file", [o.Message("user", ["Hi", o.FilePart(filename="n")])], [{"role": "user", "content": "Hi"}], ["/input/0/parts/1"]),
    (
        "images",
        [
            o.Message(
                "user", [o.ImageUrlPart("u", "low"), o.ImageBase64Part("R0lGAAAA"), o.FilePart("f", "image/png", filename="n")]
            )
        ],
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": "u", "detail": "low"},
                    {"type": "input_image", "image_url": "data:image/gif;base64,R0lGAAAA"},
                    {"type": "input_image", "file_id": "f"},
                ],
            }
        ],
        ["/input/0/parts/2/filename", "/input/0/parts/2/media_type"],
    ),
    (
        "image_files",
        [o.Message("user", [o.FilePart(None, "image/png", PNG, url="u"), o.FilePart(None, "image/png", url="u")])],
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                    {"type": "input_image", "image_url": "u"},
                ],
            }
        ],
        ["/input/0/parts/0/url", "/input/0/parts/1/media_type"],
    ),
    (
        "files",
        [
            o.Message(
                "user", [o.FilePart(None, "text/plain", "AAAA"), o.FilePart(data="AAAA"), o.FilePart("f", "text/csv", url="u")]
            )
        ],
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_file", "file_data": "data:text/plain;base64,AAAA", "filename": "document.txt"},
                    {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "document.pdf"},
                    {"type": "input_file", "file_id": "f", "file_url": "u"},
                ],
            }
        ],
        ["/input/0/parts/2/media_type"],
    ),
    (
        "sound",
        [o.Message("user", [o.AudioPart("AAAA"), o.AudioPart("AAAA", "audio/wav", "Hi")])],
        [{"role": "user", "content": "Hi"}],
        ["/input/0/parts/0", "/input/0/parts/1/data", "/input/0/parts/1/media_type"],
    ),
    (
        "image_of_the_assistant",
        [o.Message("assistant", [o.ImageUrlPart("u"), o.TextPart("x")])],
        [{"role": "assistant", "content": "x"}],
        ["/input/0/parts/0"],
    ),
    ("text_of_a_tool", [o.Message("tool", o.TextPart("x"))], [], ["/input/0/parts/0"]),
    ("no_parts", [o.Message("user", [])], [{"role": "user", "content": []}], []),
    ("result_parts", [o.ToolResultPart("c1", (o.TextPart("15 C"),))], [GAVE], []),
    ("result_json", [o.ToolResultPart("c1", {"a": 1})], [{**GAVE, "output": '{"a":1}'}], []),
    ("result_of_nothing", [o.ToolResultPart("c1", (o.AudioPart("AAAA"),))], [{**GAVE, "output": []}], ["/input/0/output/0"]),
    (
        "failed",
        [o.ToolResultPart("c1", "15 C", "look", is_error=True)],
        [GAVE],
        ["/input/0/name", "/input/0/is_error"],
    ),
    (
        "signed",
        [o.ReasoningPart("", ("s",), "sig")],
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]}],
        ["/input/0/signature"],
    ),
    ("foreign_reasoning", [o.ReasoningPart("t", (), "sig", protocol=CLAUDE)], [], ["/input/0"]),
    (
        "foreign_part",
        [o.Message("user", [o.VendorPart(CLAUDE, {"type": "x"}), o.TextPart("x")])],
        [{"role": "user", "content": "x"}],
        ["/input/0/parts/0"],
    ),
    ("foreign_item", [o.VendorPart(CLAUDE, [])], [], ["/input/0"]),
    (
        "own_items_in_a_message",
        [
            o.Message(
                "assistant", [o.TextPart("x"), o.VendorPart(P, {"type": "web_search_call"}), o.VendorPart(P, {"type": "new"})]
            )
        ],
        [{"role": "assistant", "content": "x"}, {"type": "web_search_call"}, {"role": "assistant", "content": [{"type": "new"}]}],
        [],
    ),
    (
        "foreign_extensions",
        [o.Message.user("x"), o.Message("user", o.TextPart("x"), vendor_extensions=OF_CHAT)],
        [{"role": "user", "content": "x"}] * 2,
        ["/input/1/vendor_extensions/open_ai_chat_completions/name"],
    ),
    (
        "callers_extensions",
        [o.Message("user", o.TextPart("x", vendor_extensions={"a": 1}))],
        [{"role": "user", "content": [{"type": "input_text", "text": "x", "a": 1}]}],
        [],
    ),
    (
        "foreign_raw_message",
        [o.Message("user", "x", raw_message=o.RawMessage(CHAT, {"role": "user", "content": "y"}))],
        [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        [],
    ),
    (
        "stale_raw_message",
        [o.Message("user", "x", raw_message=o.RawMessage(P, {"role": "user"}))],
        [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        [],
    ),
]


@pytest.mark.parametrize(("items", "expected", "lost"), [pytest.param(*row, id=name) for name, *row in ITEMS])
def test_what_becomes_of_items(items: list[Any], expected: Any, lost: list[str]) -> None:
    """Every placement of a part is accepted, in order; what has no form here is named."""
    payload, pointers = write(*items)
    if expected is not None:
        assert payload["input"] == expected
    assert pointers == lost


def test_an_endpoint_may_want_arrays() -> None:
    """Some servers take content as an array only."""
    payload, _ = write(o.Message.user("Hi"), text_content="array")
    assert payload["input"] == [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]


def asked(**more: Any) -> Json:
    return {"capabilities": o.CapabilitySet(**more)}


def generation(**more: Any) -> Json:
    return {"generation": o.GenerationConfig(**more)}


def builtin(kind: str, payload: Json | None = None, protocol: Any = None) -> Json:
    return asked(builtin_tools=[o.BuiltinTool(o.BuiltinToolKind(kind), payload or {}, protocol=protocol)])


def cache(policy: o.PromptCachePolicy) -> Json:
    return asked(prompt_cache=policy)


KEYED = o.PromptCachePolicy.best_effort(key=o.PromptCacheKey.explicit("k"), retention=o.PromptCacheRetention.LONG)
MARKED = o.CacheBreakpoint.end_of_tools()
TOOL = o.BuiltinToolKind
PLACE = {"type": "approximate", "city": "Oslo"}

SETTINGS: list[tuple[str, Json, Json, list[str]]] = [
    ("instructions", {"instructions": "Brief."}, {"instructions": "Brief."}, []),
    ("metadata", {"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}, []),
    (
        "sampling",
        generation(temperature=0.5, top_p=0.9, max_output_tokens=5),
        {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 5},
        [],
    ),
    ("top_k", generation(top_k=4), {}, ["/generation/top_k"]),
    (
        "penalties",
        generation(presence_penalty=1, frequency_penalty=1),
        {},
        ["/generation/presence_penalty", "/generation/frequency_penalty"],
    ),
    ("seed", generation(seed=4), {}, ["/generation/seed"]),
    ("stops", generation(stop_sequences=["x"]), {}, ["/generation/stop_sequences"]),
    ("parallel", asked(parallel_tool_calls=False), {"parallel_tool_calls": False}, []),
    (
        "tool",
        asked(tools=[o.ToolDefinition("f", {})]),
        {"tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}]},
        [],
    ),
    ("choice", asked(tool_choice=o.ToolChoice.required()), {"tool_choice": "required"}, []),
    ("choice_named", asked(tool_choice=o.ToolChoice.named("f")), {"tool_choice": {"type": "function", "name": "f"}}, []),
    ("search", builtin("web_search"), {"tools": [{"type": "web_search"}]}, []),
    (
        "own_settings",
        builtin("web_search", {"search_context_size": "low"}),
        {"tools": [{"type": "web_search", "search_context_size": "low"}]},
        [],
    ),
    ("own_vendor", builtin("vendor", {"type": "local_shell"}), {"tools": [{"type": "local_shell"}]}, []),
    ("vendor_of_nothing", builtin("vendor"), {}, ["/capabilities/builtin_tools/0/payload"]),
    (
        "search_of_anthropic",
        builtin(
            "web_search",
            {
                "type": "web_search_20250305",
                "name": "web_search",
                "max_uses": 3,
                "allowed_domains": ["x"],
                "user_location": PLACE,
            },
            CLAUDE,
        ),
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["x"]}, "user_location": PLACE}]},
        ["/capabilities/builtin_tools/0/payload/max_uses"],
    ),
    (
        "search_of_chat",
        builtin(
            "web_search",
            {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Oslo", "planet": "Earth"}},
            },
            CHAT,
        ),
        {"tools": [{"type": "web_search", "search_context_size": "low", "user_location": PLACE}]},
        ["/capabilities/builtin_tools/0/payload/user_location/planet"],
    ),
    (
        "custom_of_chat",
        builtin(
            "vendor",
            {
                "type": "custom",
                "custom": {"name": "c", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
                "new": 1,
            },
            CHAT,
        ),
        {"tools": [{"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}]},
        ["/capabilities/builtin_tools/0/payload/new"],
    ),
    (
        "code",
        builtin("code_execution", {"type": "code_execution_20250825", "name": "code_execution"}, CLAUDE),
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        [],
    ),
    (
        "computer_of_anthropic",
        builtin("computer_use", {"type": "computer_20250124"}, CLAUDE),
        {},
        ["/capabilities/builtin_tools/0/payload"],
    ),
    (
        "url_context",
        builtin("url_context", {"type": "web_fetch_20250910"}, CLAUDE),
        {},
        ["/capabilities/builtin_tools/0/payload"],
    ),
    (
        "schema",
        asked(structured_output=o.StructuredOutputConfig({"a": 1})),
        {"text": {"format": {"type": "json_schema", "name": "response", "schema": {"a": 1}}}},
        [],
    ),
    (
        "any_json",
        asked(structured_output=o.StructuredOutputConfig(None, "n", strict=True)),
        {"text": {"format": {"type": "json_object"}}},
        ["/capabilities/structured_output/name", "/capabilities/structured_output/strict"],
    ),
    ("effort", asked(reasoning=o.ReasoningCapability("low", "auto")), {"reasoning": {"effort": "low", "summary": "auto"}}, []),
    (
        "budget",
        asked(reasoning=o.ReasoningCapability(budget_tokens=4096)),
        {"reasoning": {"effort": "medium"}},
        ["/capabilities/reasoning/budget_tokens"],
    ),
    (
        "big_budget",
        asked(reasoning=o.ReasoningCapability(budget_tokens=40960)),
        {"reasoning": {"effort": "xhigh"}},
        ["/capabilities/reasoning/budget_tokens"],
    ),
    ("no_reasoning", asked(reasoning=o.ReasoningCapability()), {}, []),
    ("json_modality", asked(modalities=["json", "text"]), {"text": {"format": {"type": "json_object"}}}, []),
    ("sound_modality", asked(modalities=["audio", "image"]), {}, ["/capabilities/modalities"] * 2),
    ("safety", asked(safety=o.SafetySettings({"a": 1})), {}, ["/capabilities/safety/policy"]),
    ("cache", cache(KEYED), {"prompt_cache_key": "k", "prompt_cache_options": {"ttl": "12h"}}, []),
    ("cache_mark", cache(o.PromptCachePolicy.best_effort(breakpoint=MARKED)), {}, ["/capabilities/prompt_cache/breakpoint"]),
    ("no_cache", cache(o.PromptCachePolicy.disabled()), {}, []),
    (
        "callers_extensions",
        {"vendor_extensions": {"background": True, "verbosity": "low"}},
        {"background": True, "text": {"verbosity": "low"}},
        [],
    ),
]


@pytest.mark.parametrize(("settings", "expected", "lost"), [pytest.param(*row, id=name) for name, *row in SETTINGS])
def test_what_becomes_of_settings(settings: Json, expected: Json, lost: list[str]) -> None:
    """Every setting is written, or named among the losses."""
    payload, pointers = write(**settings)
    assert payload == {"model": "m", "input": [], **expected}
    assert pointers == lost


def test_a_cache_mark_that_is_required_cannot_be_had() -> None:
    """The API finds the end of a prefix itself."""
    with pytest.raises(o.UnsupportedFeatureError):
        write(**cache(o.PromptCachePolicy.required(breakpoint=MARKED)))


def test_the_key_of_a_stable_prefix_follows_the_tools() -> None:
    """The same prefix has the same key, another one has another."""
    policy = o.PromptCachePolicy.best_effort(key=o.PromptCacheKey.stable_prefix_hash("app"))
    keys = [
        write(o.Message.user(words), capabilities=o.CapabilitySet(tools=tools, prompt_cache=policy))[0]["prompt_cache_key"]
        for words, tools in (("a", ()), ("b", ()), ("a", [o.ToolDefinition("f", {})]))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_streaming_is_as_asked_for() -> None:
    """What the caller wants of streaming counts; options of a stream go with it."""
    read = o.parse_request(P, {"model": "m", "input": "Hi", "stream": True, "stream_options": {"include_obfuscation": False}})
    assert o.emit_request(P, read, stream=False) == {"model": "m", "input": "Hi", "stream": False}


def test_hosted_tools_keep_their_place() -> None:
    """Tools of this wire stand where they stood; the others come last."""
    own = o.BuiltinTool(TOOL.VENDOR, {"type": "shell"}, protocol=P, position=0)
    tools = [o.ToolDefinition("f", {})]
    payload, _ = write(capabilities=o.CapabilitySet(tools=tools, builtin_tools=[o.BuiltinTool(TOOL.WEB_SEARCH), own]))
    assert [tool["type"] for tool in payload["tools"]] == ["shell", "function", "web_search"]
