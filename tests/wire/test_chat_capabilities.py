"""Capabilities in requests of Chat Completions, and the account of what it cannot carry."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from omnillm import (
    Annotation,
    AudioPart,
    BuiltinTool,
    BuiltinToolKind,
    CacheBreakpoint,
    CacheSettings,
    CapabilitySet,
    FilePart,
    GenerationConfig,
    ImageUrlPart,
    JsonPart,
    LlmRequest,
    Message,
    MessageRole,
    OutputModality,
    PromptCacheKey,
    PromptCachePolicy,
    PromptCacheRetention,
    ProviderProtocol,
    ReasoningCapability,
    ReasoningPart,
    RefusalPart,
    SafetySettings,
    StructuredOutputConfig,
    TextPart,
    ToolCallPart,
    ToolChoice,
    ToolDefinition,
    ToolResultPart,
    UnsupportedFeatureError,
    VendorPart,
    emit_request,
    parse_request,
)
from omnillm.types.enums import WireFormat
from omnillm.wire import emit_request_with_losses

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CLAUDE = ProviderProtocol.CLAUDE_MESSAGES
RESPONSES = ProviderProtocol.OPENAI_RESPONSES
WIRE = WireFormat.OPENAI_CHAT_COMPLETIONS
OWN = WIRE.value
FOREIGN = WireFormat.ANTHROPIC_MESSAGES.value

Json = dict[str, Any]

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}


def capabilities(**fields: Any) -> CapabilitySet:
    return parse_request(CHAT, {"model": "m", "messages": [], **fields}).capabilities


def emitted(**fields: Any) -> tuple[Json, list[str]]:
    """Give what capabilities add to a request, and the pointers of the losses."""
    payload, losses = emit_request_with_losses(WIRE, LlmRequest("m", "hi", capabilities=CapabilitySet(**fields)))
    del payload["model"], payload["messages"]
    return payload, [loss.pointer for loss in losses]


def function(name: str = "look", **more: Any) -> Json:
    return {"type": "function", "function": {"name": name, **more}}


# --- reading ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (function(), ToolDefinition("look", {})),
        (function(parameters=CITY, description="d", strict=True), ToolDefinition("look", CITY, "d", True)),
        (function(parameters=None), ToolDefinition("look", {}, vendor_extensions={OWN: {"function": {"parameters": None}}})),
    ],
)
def test_a_function_is_a_tool_definition(tool: Json, expected: ToolDefinition) -> None:
    """Name, parameters, description and strictness are canonical; the rest is kept."""
    assert capabilities(tools=[tool]).tools == (expected,)


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ({"type": "custom", "custom": {"name": "sh"}}, "vendor"),
        ({"type": "web_search"}, "web_search"),
        ({"type": "openrouter:web_search", "parameters": {}}, "web_search"),
        ({"type": "browser_search"}, "web_search"),
        ({"type": "code_interpreter"}, "code_execution"),
        ({"type": "file_search"}, "file_search"),
        ({"type": "mcp"}, "mcp"),
        ({"type": "function", "function": "odd"}, "vendor"),
        ({}, "vendor"),
    ],
)
def test_every_other_tool_is_kept_whole_at_its_place(tool: Json, kind: str) -> None:
    """A tool that is no function is a builtin tool with the wire's object and its position."""
    found = capabilities(tools=[function(), tool])
    assert found.builtin_tools == (BuiltinTool(BuiltinToolKind(kind), tool, protocol=CHAT, position=1),)
    assert len(found.tools) == 1


@pytest.mark.parametrize(
    ("given", "mode", "name"),
    [
        ("auto", "auto", None),
        ("none", "none", None),
        ("required", "required", None),
        ("any", "required", None),
        ({"type": "function", "function": {"name": "f"}}, "named", "f"),
    ],
)
def test_a_tool_choice_is_canonical(given: Any, mode: str, name: str | None) -> None:
    """The API's choices, and Mistral's word for ``required``, are canonical."""
    found = capabilities(tool_choice=given).tool_choice
    assert found is not None
    assert (found.mode, found.name) == (mode, name)


def test_the_deprecated_functions_are_tools_too() -> None:
    """``functions`` and ``function_call`` read as tools and choice, and an edit is written in the same fields."""
    parsed = parse_request(
        CHAT, {"model": "m", "messages": [], "functions": [{"name": "f", "parameters": CITY}], "function_call": {"name": "f"}}
    )
    assert [(tool.name, tool.input_schema) for tool in parsed.capabilities.tools] == [("f", CITY)]
    assert parsed.capabilities.tool_choice is not None
    assert parsed.capabilities.tool_choice.name == "f"
    renamed = dataclasses.replace(parsed.capabilities.tools[0], name="g")
    edited = dataclasses.replace(parsed, capabilities=dataclasses.replace(parsed.capabilities, tools=(renamed,)))
    assert emit_request(CHAT, edited)["functions"] == [{"name": "g", "parameters": CITY}]


def test_other_settings_are_canonical() -> None:
    """Structured output, effort, modalities, parallel calls and web search have their canonical fields."""
    found = capabilities(
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": CITY, "strict": True}},
        reasoning_effort="low",
        modalities=["text", "audio"],
        parallel_tool_calls=False,
        web_search_options={"search_context_size": "low"},
    )
    assert found == CapabilitySet(
        structured_output=StructuredOutputConfig(CITY, "a", True),
        reasoning=ReasoningCapability("low"),
        modalities=(OutputModality.TEXT, OutputModality.AUDIO),
        parallel_tool_calls=False,
        builtin_tools=(BuiltinTool(BuiltinToolKind.WEB_SEARCH, {"search_context_size": "low"}, protocol=CHAT),),
    )
    assert capabilities(response_format={"type": "json_object"}).structured_output == StructuredOutputConfig(None)
    assert capabilities(response_format={"type": "text"}).structured_output is None


# --- writing ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"tools": [ToolDefinition("look", {})]}, {"tools": [function()]}),
        (
            {"tools": [ToolDefinition("look", CITY, "d", True, vendor_extensions={"cache_control": {}})]},
            {"tools": [{**function(description="d", parameters=CITY, strict=True), "cache_control": {}}]},
        ),
        ({"tool_choice": ToolChoice.auto()}, {"tool_choice": "auto"}),
        ({"tool_choice": ToolChoice.none()}, {"tool_choice": "none"}),
        ({"tool_choice": ToolChoice.required()}, {"tool_choice": "required"}),
        ({"tool_choice": ToolChoice.named("look")}, {"tool_choice": function()}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        (
            {"structured_output": StructuredOutputConfig(CITY)},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": CITY}}},
        ),
        (
            {"structured_output": StructuredOutputConfig(CITY, "trip", True)},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "trip", "schema": CITY, "strict": True}}},
        ),
        ({"structured_output": StructuredOutputConfig(None)}, {"response_format": {"type": "json_object"}}),
        ({"modalities": [OutputModality.JSON]}, {"response_format": {"type": "json_object"}}),
        ({"modalities": ["text", "image"]}, {"modalities": ["text", "image"]}),
        ({"reasoning": ReasoningCapability("high")}, {"reasoning_effort": "high"}),
        ({"safety": SafetySettings()}, {}),
        ({"cache": CacheSettings()}, {}),
        ({"cache": CacheSettings(False)}, {}),
        ({"prompt_cache": PromptCachePolicy.disabled()}, {}),
        ({"prompt_cache": PromptCachePolicy.required(key=PromptCacheKey.explicit("k"))}, {"prompt_cache_key": "k"}),
        (
            {"prompt_cache": PromptCachePolicy.best_effort(retention=PromptCacheRetention.LONG)},
            {"prompt_cache_retention": "24h"},
        ),
        (
            {"prompt_cache": PromptCachePolicy.best_effort(retention=PromptCacheRetention.SHORT)},
            {"prompt_cache_options": {"ttl": "30m"}},
        ),
        ({"builtin_tools": [BuiltinTool(BuiltinToolKind.WEB_SEARCH)]}, {"web_search_options": {}}),
        (
            {
                "builtin_tools": [
                    BuiltinTool(BuiltinToolKind.WEB_SEARCH, {"user_location": {"type": "approximate", "city": "Bonn"}})
                ]
            },
            {"web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "Bonn"}}}},
        ),
        (
            {"builtin_tools": [BuiltinTool(BuiltinToolKind.VENDOR, {"type": "custom", "custom": {"name": "sh"}})]},
            {"tools": [{"type": "custom", "custom": {"name": "sh"}}]},
        ),
        (
            {
                "tools": [ToolDefinition("f", {}), ToolDefinition("g", {})],
                "builtin_tools": [
                    BuiltinTool(BuiltinToolKind.VENDOR, {"type": "c"}),
                    BuiltinTool(BuiltinToolKind.VENDOR, {"type": "b"}, protocol=CHAT, position=2),
                    BuiltinTool(BuiltinToolKind.VENDOR, {"type": "a"}, protocol=CHAT, position=0),
                ],
            },
            {"tools": [{"type": "a"}, function("f"), {"type": "b"}, function("g"), {"type": "c"}]},
        ),
        ({"vendor_extensions": {"verbosity": "low"}}, {"verbosity": "low"}),
    ],
)
def test_a_capability_made_by_hand_has_its_form(fields: Json, expected: Json) -> None:
    """Each capability is written in the API's own form, without loss."""
    assert emitted(**fields) == (expected, [])


def test_a_prefix_key_depends_on_the_stable_prefix_alone() -> None:
    """The hash changes with namespace, tenant, instructions and tools, not with what is asked."""

    def key(ask: str = "hi", instructions: str = "i", tool: str = "f", **parts: Any) -> str:
        policy = PromptCachePolicy.best_effort(
            key=PromptCacheKey.stable_prefix_hash(parts.get("space", "n"), parts.get("tenant"))
        )
        having = CapabilitySet(tools=[ToolDefinition(tool, {})], prompt_cache=policy)
        found: str = emit_request(CHAT, LlmRequest("m", ask, instructions=instructions, capabilities=having))["prompt_cache_key"]
        return found

    assert key() == key(ask="other")
    assert len({key(), key(instructions="j"), key(tool="g"), key(space="o"), key(tenant="t")}) == 5


def test_a_required_breakpoint_is_refused() -> None:
    """Where the policy insists on what the format cannot say, nothing is sent."""
    policy = PromptCachePolicy.required(breakpoint=CacheBreakpoint.end_of_tools())
    with pytest.raises(UnsupportedFeatureError) as caught:
        emitted(prompt_cache=policy)
    assert caught.value.pointer == "/capabilities/prompt_cache/breakpoint"


@pytest.mark.parametrize(("tokens", "effort"), [(0, "low"), (1024, "low"), (4096, "medium"), (16384, "high"), (16385, "xhigh")])
def test_a_budget_of_reasoning_becomes_an_effort(tokens: int, effort: str) -> None:
    """The nearest effort is asked for, and the number is named as lost; an effort of its own wins."""
    at = "/capabilities/reasoning/budget_tokens"
    assert emitted(reasoning=ReasoningCapability(budget_tokens=tokens)) == ({"reasoning_effort": effort}, [at])
    assert emitted(reasoning=ReasoningCapability("minimal", budget_tokens=tokens)) == ({"reasoning_effort": "minimal"}, [at])


# --- losses -------------------------------------------------------------------------------------------------------------------

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "a/b": 1, "search_context_size": "low"}


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({"reasoning": ReasoningCapability(summary="auto")}, ["/capabilities/reasoning/summary"]),
        ({"safety": SafetySettings({"level": 1})}, ["/capabilities/safety"]),
        (
            {"structured_output": StructuredOutputConfig(None, "a", True)},
            ["/capabilities/structured_output/name", "/capabilities/structured_output/strict"],
        ),
        (
            {"prompt_cache": PromptCachePolicy.best_effort(breakpoint=CacheBreakpoint.end_of_message(9))},
            ["/capabilities/prompt_cache/breakpoint"],
        ),
        (
            {"builtin_tools": [BuiltinTool(BuiltinToolKind.COMPUTER_USE, {"type": "computer", "width": 1}, protocol=CLAUDE)]},
            ["/capabilities/builtin_tools/0/kind"],
        ),
        ({"builtin_tools": [BuiltinTool(BuiltinToolKind.MAPS)]}, ["/capabilities/builtin_tools/0/kind"]),
        (
            {"builtin_tools": [BuiltinTool(BuiltinToolKind.WEB_SEARCH, SEARCH, protocol=CLAUDE)] * 2},
            [
                "/capabilities/builtin_tools/0/payload/type",
                "/capabilities/builtin_tools/0/payload/max_uses",
                "/capabilities/builtin_tools/0/payload/a~1b",
                "/capabilities/builtin_tools/1/kind",
            ],
        ),
        (
            {"tool_choice": ToolChoice("auto", vendor_extensions={"x": 1, FOREIGN: {"y": 2}})},
            ["/capabilities/tool_choice/vendor_extensions/x", "/capabilities/tool_choice/vendor_extensions/anthropic_messages/y"],
        ),
        (
            {"tools": [ToolDefinition("f", {}, vendor_extensions={FOREIGN: {"defer": True, "none": None}})]},
            ["/capabilities/tools/0/vendor_extensions/anthropic_messages/defer"],
        ),
        ({"vendor_extensions": {FOREIGN: {"y": 2}}}, ["/capabilities/vendor_extensions/anthropic_messages/y"]),
    ],
)
def test_a_capability_that_has_no_form_is_named(fields: Json, pointers: list[str]) -> None:
    """What the format cannot say is a loss with the pointer of that field."""
    assert emitted(**fields)[1] == pointers


GRAMMAR = {"syntax": "lark", "definition": "start: /a+/"}


@pytest.mark.parametrize(
    ("tool", "custom"),
    [
        ({"type": "custom", "name": "sh"}, {"name": "sh"}),
        ({"type": "custom", "name": "sh", "description": "d", "format": {"type": "text"}}, None),
        (
            {"type": "custom", "name": "sh", "format": {"type": "grammar", **GRAMMAR}},
            {"name": "sh", "format": {"type": "grammar", "grammar": GRAMMAR}},
        ),
    ],
)
def test_a_custom_tool_of_responses_is_one_here(tool: Json, custom: Json | None) -> None:
    """Responses and Chat both have tools that take free text; only how deep their fields lie differs."""
    given = BuiltinTool(BuiltinToolKind.VENDOR, tool, protocol=RESPONSES)
    expected = custom or {name: value for name, value in tool.items() if name != "type"}
    assert emitted(builtin_tools=[given]) == ({"tools": [{"type": "custom", "custom": expected}]}, [])


def test_a_dropped_tool_names_its_settings() -> None:
    """The reason says what the caller's settings were, so that no change of one goes unseen."""
    tool = BuiltinTool(BuiltinToolKind.MCP, {"type": "mcp", "server_url": "u", "deep": {"deeper": 1}}, protocol=CLAUDE)
    _, (loss,) = emit_request_with_losses(WIRE, LlmRequest("m", "hi", capabilities=CapabilitySet(builtin_tools=[tool])))
    assert all(name in loss.reason for name in ("mcp", "server_url", "deeper"))


FOREIGN_EXTRA: Json = {"vendor_extensions": {FOREIGN: {"extra": 1}}}


@pytest.mark.parametrize(
    ("item", "pointers"),
    [
        (Message(MessageRole.USER, AudioPart("AA", "audio/wav", "words")), ["parts/0/transcript"]),
        (Message(MessageRole.USER, AudioPart("AA", "audio/flac")), ["parts/0"]),
        (Message(MessageRole.USER, AudioPart("AA", "audio/flac", "words")), ["parts/0/data", "parts/0/media_type"]),
        (Message(MessageRole.SYSTEM, AudioPart("AA", "audio/wav", "words")), ["parts/0/data", "parts/0/media_type"]),
        (Message(MessageRole.ASSISTANT, AudioPart("AA", None, "words")), ["parts/0/data"]),
        (ToolResultPart("c", (AudioPart("AA", "audio/wav", "words"),)), ["output/0/data", "output/0/media_type"]),
        (Message(MessageRole.USER, TextPart("a", (Annotation("x", url="u"),))), ["parts/0/annotations"]),
        (Message(MessageRole.SYSTEM, TextPart("a", (Annotation("x", url="u"),))), ["parts/0/annotations"]),
        (ToolResultPart("c", (TextPart("a", (Annotation("x", url="u"),)),)), ["output/0/annotations"]),
        (Message(MessageRole.USER, FilePart(url="https://x.test")), ["parts/0"]),
        (Message(MessageRole.USER, FilePart(filename="n")), ["parts/0"]),
        (Message(MessageRole.USER, FilePart("f", media_type="a/b")), ["parts/0/media_type"]),
        (Message(MessageRole.USER, TextPart("a", **FOREIGN_EXTRA)), ["parts/0/vendor_extensions/anthropic_messages/extra"]),
        (Message(MessageRole.USER, VendorPart(CLAUDE, {"type": "new"})), ["parts/0/payload"]),
        (Message(MessageRole.USER, [ToolCallPart("c", "f", {}), ReasoningPart("hm")]), ["parts/0", "parts/1"]),
        (Message(MessageRole.SYSTEM, ImageUrlPart("u")), ["parts/0"]),
        (
            Message(MessageRole.ASSISTANT, [ImageUrlPart("u"), FilePart("f"), AudioPart("AA")]),
            ["parts/0", "parts/1", "parts/2"],
        ),
        (Message(MessageRole.ASSISTANT, ReasoningPart("hm", signature="s", protocol=CLAUDE)), ["parts/0"]),
        (
            Message(MessageRole.ASSISTANT, ReasoningPart("hm", ("sum",), "s", "e")),
            ["parts/0/summary", "parts/0/signature", "parts/0/encrypted_content"],
        ),
        (
            Message(MessageRole.ASSISTANT, RefusalPart("no", **FOREIGN_EXTRA)),
            ["parts/0/vendor_extensions/anthropic_messages/extra"],
        ),
        (Message(MessageRole.ASSISTANT, TextPart("a", (Annotation("x", url="u"),))), ["parts/0/annotations"]),
        (Message(MessageRole.ASSISTANT, VendorPart(CLAUDE, {"id": 1})), ["parts/0/payload"]),
        (Message(MessageRole.TOOL, [ToolResultPart("c", "1"), TextPart("a")]), ["parts/1"]),
        (Message(MessageRole.TOOL, (), **FOREIGN_EXTRA), ["vendor_extensions/anthropic_messages/extra"]),
        (ToolResultPart("c", "1", is_error=True), ["is_error"]),
        (ToolResultPart("c", (ImageUrlPart("u"), TextPart("a"), VendorPart(CLAUDE, {}))), ["output/0", "output/2/payload"]),
        (VendorPart(CLAUDE, {"type": "new"}), ["payload"]),
        (ReasoningPart("hm", protocol=CLAUDE), [""]),
        (ToolCallPart("c", "f", {}, **FOREIGN_EXTRA), ["vendor_extensions/anthropic_messages/extra"]),
    ],
)
def test_what_a_message_cannot_hold_is_named(item: Any, pointers: list[str]) -> None:
    """Every field that is left out is a loss with its pointer, and nothing else is."""
    _, losses = emit_request_with_losses(WIRE, LlmRequest("m", item))
    assert [loss.pointer for loss in losses] == [f"/input/0/{pointer}".rstrip("/") for pointer in pointers]


def test_the_rest_of_a_request_is_accounted_for() -> None:
    """A sampling setting without a field, and what only another wire knows, are losses; shared names cross."""
    made = LlmRequest(
        "m",
        "hi",
        generation=GenerationConfig(top_k=3, vendor_extensions={FOREIGN: {"a": 1}}),
        vendor_extensions={
            FOREIGN: {"container": "c", "empty": [], "none": None, "hollow": {"a": None}},
            WireFormat.OPENAI_RESPONSES.value: {"service_tier": "flex", "background": True},
        },
    )
    payload, losses = emit_request_with_losses(WIRE, made)
    assert payload["service_tier"] == "flex"
    assert [loss.pointer for loss in losses] == [
        "/generation/top_k",
        "/generation/vendor_extensions/anthropic_messages/a",
        "/vendor_extensions/anthropic_messages/container",
        "/vendor_extensions/open_ai_responses/background",
    ]


def test_dropped_reasoning_names_what_it_held() -> None:
    """The reason of a dropped part names each field that it had, opaque state included."""
    part = ReasoningPart("hm", signature="s", protocol=CLAUDE, vendor_extensions={FOREIGN: {"kept_too": 1}})
    _, (loss,) = emit_request_with_losses(WIRE, LlmRequest("m", Message(MessageRole.ASSISTANT, [part, JsonPart(1)])))
    assert all(name in loss.reason for name in ("thinking", "text", "signature", "kept_too"))
