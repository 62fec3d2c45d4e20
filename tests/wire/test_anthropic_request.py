"""The fields of Messages requests: what each is read into, and that it is written back as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from anthropic_messages import WIRE, P, again, body, kept, user

import omnillm as o

GENERATION: list[tuple[dict[str, Any], o.GenerationConfig]] = [
    ({}, o.GenerationConfig(1024)),
    ({"max_tokens": 0}, o.GenerationConfig(0)),
    ({"temperature": 1, "top_p": 0.5, "top_k": -1}, o.GenerationConfig(1024, 1, 0.5, -1)),
    ({"stop_sequences": ["END", ""]}, o.GenerationConfig(1024, stop_sequences=("END", ""))),
    ({"stop_sequences": [], "temperature": None}, o.GenerationConfig(1024)),
]


@pytest.mark.parametrize(("fields", "generation"), GENERATION)
def test_generation_settings(fields: dict[str, Any], generation: o.GenerationConfig) -> None:
    """Sampling settings are those of the generation config; empty and null ones ride along."""
    assert o.parse_request(P, body(**fields)).generation == generation
    assert again(body(**fields)) == body(**fields)


OWN_FIELDS: dict[str, Any] = {
    "metadata": {"user_id": "u-1"},
    "service_tier": "standard_only",
    "speed": "fast",
    "inference_geo": "eu",
    "container": {"id": "container_1", "skills": [{"skill_id": "pptx", "type": "anthropic", "version": "latest"}]},
    "diagnostics": {"previous_message_id": "msg_1"},
    "cache_control": {"type": "ephemeral"},
    "user_profile_id": "up_1",
    "workspace_id": "ws_1",
    "betas": ["context-management-2025-06-27"],
    "mcp_servers": [{"type": "url", "url": "https://x.example/mcp", "name": "s", "authorization_token": "t"}],
    "context_management": {"edits": [{"type": "compact_20260112"}]},
    "compaction": {"type": "summarize", "instructions": "short"},
    "fallbacks": [{"model": "claude-haiku-4-5", "max_tokens": 10}],
    "fallback_credit_token": "fct_1",
    "billing_policy": {"bill_to": "self"},
    "thread": {"type": "continue", "previous_message_id": "msg_1"},
    "output_format": {"type": "json_schema", "schema": {}},
    "anthropic_version": "vertex-2023-10-16",
    "anthropic_beta": ["x"],
    "a_field_of_tomorrow": [{"x": None}],
    "a_null": None,
}


@pytest.mark.parametrize("name", OWN_FIELDS)
def test_a_field_that_only_this_wire_knows_rides_along(name: str) -> None:
    """It is kept under the wire's name, written back, and not given to another wire without a word."""
    payload = body(**{name: OWN_FIELDS[name]})
    assert kept(o.parse_request(P, payload)) == {name: OWN_FIELDS[name]}
    assert again(payload) == payload


def test_the_callers_own_extensions_go_over_everything() -> None:
    """What stands at the top of the extensions is written as it is."""
    request = replace(o.parse_request(P, body(speed="fast")), vendor_extensions={"speed": "standard", "max_tokens": 7})
    assert o.emit_request(P, request) | {"speed": "standard", "max_tokens": 7} == o.emit_request(P, request)


def test_a_body_without_a_model_is_that_of_vertex() -> None:
    """The model may be in the URL: read as an empty one, it is not written."""
    payload = body(anthropic_version="vertex-2023-10-16")
    del payload["model"]
    assert o.parse_request(P, payload).model == ""
    assert again(payload) == payload


@pytest.mark.parametrize("stream", [None, False, True])
def test_stream_is_what_the_payload_or_the_caller_says(stream: bool | None) -> None:
    """The payload's word is kept, the caller's goes over it."""
    payload = body() if stream is None else body(stream=stream)
    request = o.parse_request(P, payload)
    assert request.stream is stream
    assert again(payload) == payload
    assert o.emit_request(P, request, stream=True)["stream"] is True
    assert o.emit_request(P, request, stream=False)["stream"] is False


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "weather", "description": "Tell the weather", "input_schema": SCHEMA}
TOOLS: list[tuple[str, dict[str, Any], Any]] = [
    ("plain", WEATHER, o.ToolDefinition("weather", SCHEMA, "Tell the weather")),
    ("undescribed", {"name": "t", "input_schema": SCHEMA}, o.ToolDefinition("t", SCHEMA)),
    ("strict", {**WEATHER, "strict": True}, o.ToolDefinition("weather", SCHEMA, "Tell the weather", strict=True)),
    (
        "not_strict",
        {**WEATHER, "strict": False},
        o.ToolDefinition("weather", SCHEMA, "Tell the weather", vendor_extensions={WIRE.value: {"@spelling": {"strict": False}}}),
    ),
    (
        "custom",
        {**WEATHER, "type": "custom", "cache_control": None},
        o.ToolDefinition(
            "weather",
            SCHEMA,
            "Tell the weather",
            vendor_extensions={WIRE.value: {"cache_control": None, "@spelling": {"type": "custom"}}},
        ),
    ),
    (
        "with_all_its_fields",
        {
            **WEATHER,
            "input_examples": [{"city": "Oslo"}],
            "defer_loading": True,
            "eager_input_streaming": False,
            "allowed_callers": ["direct", "code_execution_20260120"],
        },
        o.ToolDefinition(
            "weather",
            SCHEMA,
            "Tell the weather",
            vendor_extensions={
                WIRE.value: {
                    "input_examples": [{"city": "Oslo"}],
                    "defer_loading": True,
                    "eager_input_streaming": False,
                    "allowed_callers": ["direct", "code_execution_20260120"],
                }
            },
        ),
    ),
]
KINDS = {
    "bash_20250124": "vendor",
    "code_execution_20260521": "code_execution",
    "text_editor_20250728": "vendor",
    "memory_20250818": "vendor",
    "web_search_20260318": "web_search",
    "web_fetch_20260318": "url_context",
    "tool_search_tool_bm25_20251119": "vendor",
    "tool_search_tool_regex_20251119": "vendor",
    "browser_toolset_20260801": "vendor",
    "computer_toolset_20260801": "computer_use",
    "computer_20251124": "computer_use",
    "advisor_20260301": "vendor",
    "mcp_toolset": "mcp",
    "a_tool_of_tomorrow": "vendor",
}


@pytest.mark.parametrize(("tool", "definition"), [pytest.param(tool, found, id=name) for name, tool, found in TOOLS])
def test_a_tool_that_the_caller_runs(tool: dict[str, Any], definition: o.ToolDefinition) -> None:
    """It is a definition, and written back with every field."""
    assert o.parse_request(P, body(tools=[tool])).capabilities.tools == (definition,)
    assert again(body(tools=[tool])) == body(tools=[tool])


@pytest.mark.parametrize(("kind", "builtin"), KINDS.items())
def test_a_tool_that_the_provider_knows(kind: str, builtin: str) -> None:
    """It is held whole, with its kind and its place, and comes back between the same neighbours."""
    tool = {"type": kind, "name": "n", "max_uses": 5, "user_location": {"type": "approximate", "city": "Oslo"}}
    payload = body(tools=[tool, WEATHER, tool, {**WEATHER, "name": "other"}])
    capabilities = o.parse_request(P, payload).capabilities
    assert capabilities.builtin_tools == tuple(
        o.BuiltinTool(o.BuiltinToolKind(builtin), tool, protocol=P, position=position) for position in (0, 2)
    )
    assert [tool.name for tool in capabilities.tools] == ["weather", "other"]
    assert again(payload) == payload


CHOICES: list[tuple[dict[str, Any], o.ToolChoice | None, bool | None]] = [
    ({"type": "auto"}, o.ToolChoice.auto(), None),
    ({"type": "any"}, o.ToolChoice.required(), None),
    ({"type": "none"}, o.ToolChoice.none(), None),
    ({"type": "tool", "name": "weather"}, o.ToolChoice.named("weather"), None),
    ({"type": "auto", "disable_parallel_tool_use": True}, o.ToolChoice.auto(), False),
    ({"type": "any", "disable_parallel_tool_use": False}, o.ToolChoice.required(), True),
    (
        {"type": "auto", "disable_parallel_tool_use": None, "hurry": 1},
        o.ToolChoice("auto", vendor_extensions={WIRE.value: {"disable_parallel_tool_use": None, "hurry": 1}}),
        None,
    ),
    (
        {"type": "none", "disable_parallel_tool_use": True},
        o.ToolChoice("none", vendor_extensions={WIRE.value: {"disable_parallel_tool_use": True}}),
        None,
    ),
    ({"type": "tool"}, None, None),
    ({"type": "whichever"}, None, None),
]


@pytest.mark.parametrize(("given", "choice", "parallel"), CHOICES)
def test_the_choice_of_tools(given: dict[str, Any], choice: o.ToolChoice | None, parallel: bool | None) -> None:
    """Each mode has its canonical one; a choice that nobody knows rides along."""
    payload = body(tools=[WEATHER], tool_choice=given)
    capabilities = o.parse_request(P, payload).capabilities
    assert (capabilities.tool_choice, capabilities.parallel_tool_calls) == (choice, parallel)
    assert again(payload) == payload


REASONING: list[tuple[dict[str, Any], o.ReasoningCapability | None]] = [
    ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, o.ReasoningCapability(budget_tokens=2048)),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}},
        o.ReasoningCapability(budget_tokens=2048, vendor_extensions={WIRE.value: {"thinking": {"display": "omitted"}}}),
    ),
    *(
        ({"thinking": thinking}, o.ReasoningCapability(vendor_extensions={WIRE.value: {"thinking": thinking}}))
        for thinking in (
            {"type": "adaptive", "display": "summarized", "block_binding": {"prefix_mismatch_behavior": "error"}},
            {"type": "disabled"},
            {"type": "between_tools"},
            {"type": "adaptive", "budget_tokens": 5},
            {"type": "enabled"},
            {},
        )
    ),
    ({"output_config": {"effort": "max"}}, o.ReasoningCapability("max")),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low", "task_budget": {"type": "tokens", "total": 9}}},
        o.ReasoningCapability("low", vendor_extensions={WIRE.value: {"thinking": {"type": "adaptive"}}}),
    ),
    ({"output_config": {}}, None),
    ({"output_config": {"effort": None}, "thinking": None}, None),
]


@pytest.mark.parametrize(("fields", "reasoning"), REASONING)
def test_reasoning_settings(fields: dict[str, Any], reasoning: o.ReasoningCapability | None) -> None:
    """A budget and an effort are canonical, every other word about thinking rides along."""
    assert o.parse_request(P, body(**fields)).capabilities.reasoning == reasoning
    assert again(body(**fields)) == body(**fields)


def test_structured_output() -> None:
    """A JSON schema is the structured output, beside the effort in the same object; another form rides along."""
    config = {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA, "cached": True}}
    capabilities = o.parse_request(P, body(output_config=config)).capabilities
    kept_fields = {WIRE.value: {"cached": True}}
    assert capabilities.structured_output == o.StructuredOutputConfig(SCHEMA, vendor_extensions=kept_fields)
    for written in (config, {"format": None}, {"format": {"type": "regex", "schema": "a*"}}, {"format": {"type": "json_schema"}}):
        assert again(body(output_config=written)) == body(output_config=written)


HOSTILE: list[tuple[str, Any, str]] = [
    ("messages", None, "/messages"),
    ("messages", {}, "/messages"),
    ("messages", [None], "/messages/0"),
    ("messages", [{"content": "x"}], "/messages/0/role"),
    ("messages", [{"role": "king", "content": "x"}], "/messages/0/role"),
    ("messages", [{"role": "user"}], "/messages/0/content"),
    ("messages", [{"role": "user", "content": 7}], "/messages/0/content"),
    ("messages", [user("x")], "/messages/0/content/0"),
    ("messages", [user({})], "/messages/0/content/0/type"),
    ("messages", [user({"type": 7})], "/messages/0/content/0/type"),
    ("messages", [user({"type": "text"})], "/messages/0/content/0/text"),
    ("messages", [user({"type": "tool_use", "name": "n"})], "/messages/0/content/0/id"),
    ("messages", [user({"type": "tool_result", "tool_use_id": "t", "content": {"a": 1}})], "/messages/0/content/0/content"),
    ("messages", [user({"type": "tool_result", "tool_use_id": "t", "content": [{}]})], "/messages/0/content/0/content/0/type"),
    ("system", 7, "/system"),
    ("system", [7], "/system/0"),
    ("model", 7, "/model"),
    ("max_tokens", "7", "/max_tokens"),
    ("max_tokens", True, "/max_tokens"),
    ("temperature", "hot", "/temperature"),
    ("stop_sequences", ["a", 7], "/stop_sequences/1"),
    ("stop_sequences", "a", "/stop_sequences"),
    ("tools", {"a": 1}, "/tools"),
    ("tools", [7], "/tools/0"),
    ("tools", [{"input_schema": {}}], "/tools/0/name"),
    ("thinking", "yes", "/thinking"),
    ("output_config", [], "/output_config"),
    ("stream", "yes", "/stream"),
]


@pytest.mark.parametrize(("name", "value", "pointer"), HOSTILE)
def test_what_is_no_request_is_refused_with_its_place(name: str, value: Any, pointer: str) -> None:
    """A field of the wrong form raises a protocol error that points to it."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_request(P, body(**{name: value}))
    assert caught.value.pointer == pointer


def test_the_transport_request() -> None:
    """The path is the same for all, the API's version goes with it, and no credential."""
    request = o.emit_transport_request(WIRE, o.parse_request(P, body(stream=True))).value
    assert (request.path, request.accept) == ("/messages", "text/event-stream")
    assert request.headers == {"content-type": "application/json", "anthropic-version": "2023-06-01"}


def test_a_system_block_that_nobody_knows_is_kept():
    """An unknown block of ``system`` is written back at its place."""
    blocks = [{"type": "text", "text": "a"}, {"type": "brand_new", "x": 1}, {"type": "text", "text": "b"}]
    payload = {"model": "m", "max_tokens": 5, "system": blocks, "messages": [{"role": "user", "content": "hi"}]}
    assert o.emit_request(P, o.parse_request(P, payload)) == payload
