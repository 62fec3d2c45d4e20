"""Settings of other protocols and of callers written for Messages: what becomes of each, and what is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from anthropic_messages import ASSISTANT, CHAT, EPHEMERAL, RESPONSES, THOUGHT, P, call, gave, text, used, write

import omnillm as o

HI = o.Message.user("Hello")


def ext(wire: str, **fields: Any) -> dict[str, Any]:
    """Give extensions that parsing kept of another wire."""
    return {wire: fields}


SETTINGS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {"max_tokens": 1024}, []),
    ({"generation": o.GenerationConfig(5)}, {"max_tokens": 5}, []),
    ({"generation": o.GenerationConfig(temperature=1.5)}, {"max_tokens": 1024, "temperature": 1}, ["/generation/temperature"]),
    (
        {"generation": o.GenerationConfig(presence_penalty=0.0, frequency_penalty=1, seed=7)},
        {"max_tokens": 1024},
        ["/generation/presence_penalty", "/generation/frequency_penalty", "/generation/seed"],
    ),
    ({"metadata": {"user_id": "u", "a/b": 1}}, {"max_tokens": 1024, "metadata": {"user_id": "u"}}, ["/metadata/a~1b"]),
    (
        {"vendor_extensions": ext("open_ai_chat_completions", service_tier="flex", n=None)},
        {"max_tokens": 1024},
        ["/vendor_extensions/open_ai_chat_completions/service_tier"],
    ),
]


@pytest.mark.parametrize(("fields", "written", "lost"), SETTINGS)
def test_settings_of_a_request(fields: dict[str, Any], written: dict[str, Any], lost: list[str]) -> None:
    """What the format has is written, what it lacks is lost."""
    found, losses = write(HI, **fields)
    assert found == {"model": "m", "messages": [{"role": "user", "content": "Hello"}], **written}
    assert losses == lost


WEATHER = o.ToolDefinition("weather", {"type": "object", "properties": {}})
WRITTEN_WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
AUTO, NONE = o.ToolChoice.auto(), o.ToolChoice.none()
KIND = o.BuiltinToolKind


def builtin(kind: str, payload: dict[str, Any] | None = None, protocol: Any = None) -> dict[str, Any]:
    return {"builtin_tools": (o.BuiltinTool(KIND(kind), payload or {}, protocol=protocol),)}


SEARCH = {"type": "web_search_20250305", "name": "web_search"}
OSLO = {"type": "approximate", "city": "Oslo"}
CAPABILITIES: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("text", {"modalities": (o.OutputModality.TEXT,)}, {}, []),
    ("image", {"modalities": ("text", "image")}, {}, ["/modalities"]),
    ("safety", {"safety": o.SafetySettings({"a": 1})}, {}, ["/safety/policy"]),
    ("no_safety", {"safety": o.SafetySettings()}, {}, []),
    ("a_schema_less_tool", {"tools": (o.ToolDefinition("t", {}),)}, {"tools": [{**WRITTEN_WEATHER, "name": "t"}]}, []),
    ("no_schema", {"tools": (o.ToolDefinition("t", None),)}, {"tools": [{**WRITTEN_WEATHER, "name": "t"}]}, []),
    (
        "a_bad_schema",
        {"tools": (o.ToolDefinition("t", True),)},
        {"tools": [{**WRITTEN_WEATHER, "name": "t"}]},
        ["/tools/0/input_schema"],
    ),
    (
        "serial",
        {"tools": (WEATHER,), "parallel_tool_calls": False},
        {"tools": [WRITTEN_WEATHER], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        [],
    ),
    ("parallel", {"tools": (WEATHER,), "parallel_tool_calls": True}, {"tools": [WRITTEN_WEATHER]}, []),
    ("serial_without_tools", {"parallel_tool_calls": False}, {}, ["/parallel_tool_calls"]),
    (
        "serial_by_choice",
        {"tool_choice": AUTO, "parallel_tool_calls": False},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        [],
    ),
    (
        "none_at_once",
        {"tool_choice": NONE, "parallel_tool_calls": False},
        {"tool_choice": {"type": "none"}},
        ["/parallel_tool_calls"],
    ),
    ("none_in_parallel", {"tool_choice": NONE, "parallel_tool_calls": True}, {"tool_choice": {"type": "none"}}, []),
    ("named", {"tool_choice": o.ToolChoice.named("f")}, {"tool_choice": {"type": "tool", "name": "f"}}, []),
    ("effort", {"reasoning": o.ReasoningCapability("high")}, {"output_config": {"effort": "high"}}, []),
    (
        "least_effort",
        {"reasoning": o.ReasoningCapability("minimal")},
        {"output_config": {"effort": "low"}},
        ["/reasoning/effort"],
    ),
    ("no_effort", {"reasoning": o.ReasoningCapability("none")}, {"thinking": {"type": "disabled"}}, []),
    ("summary", {"reasoning": o.ReasoningCapability(summary="auto")}, {}, ["/reasoning/summary"]),
    (
        "budget",
        {"reasoning": o.ReasoningCapability(budget_tokens=2000)},
        {"max_tokens": 3024, "thinking": {"type": "enabled", "budget_tokens": 2000}},
        [],
    ),
    (
        "foreign_reasoning",
        {"reasoning": o.ReasoningCapability(vendor_extensions=ext("open_ai_responses", context="all"))},
        {},
        ["/reasoning/vendor_extensions/open_ai_responses/context"],
    ),
    (
        "schema",
        {"structured_output": o.StructuredOutputConfig({"type": "object"})},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        [],
    ),
    (
        "schema_named",
        {"structured_output": o.StructuredOutputConfig({}, "n", True)},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        ["/structured_output/name", "/structured_output/strict"],
    ),
    ("any_json", {"structured_output": o.StructuredOutputConfig(None)}, {}, ["/structured_output/schema"]),
    ("web_search", builtin("web_search", {"max_uses": 3}), {"tools": [{**SEARCH, "max_uses": 3}]}, []),
    (
        "a_newer_web_search",
        builtin("web_search", {"type": "web_search_20260318"}),
        {"tools": [{"type": "web_search_20260318", "name": "web_search"}]},
        [],
    ),
    ("url_context", builtin("url_context"), {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, []),
    ("code", builtin("code_execution"), {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, []),
    (
        "computer",
        builtin("computer_use", {"display_width_px": 1}),
        {"tools": [{"type": "computer_20250124", "name": "computer", "display_width_px": 1}]},
        [],
    ),
    (
        "vendor",
        builtin("vendor", {"type": "bash_20250124", "name": "bash"}),
        {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        [],
    ),
    *(
        (f"no_{kind}", builtin(kind), {}, ["/builtin_tools/0"])
        for kind in ("file_search", "maps", "image_generation", "mcp", "vendor")
    ),
    ("foreign_computer", builtin("computer_use", {"type": "computer"}, RESPONSES), {}, ["/builtin_tools/0"]),
    (
        "web_search_of_chat",
        builtin(
            "web_search",
            {"user_location": {"type": "approximate", "approximate": {"city": "Oslo"}}, "search_context_size": "low"},
            CHAT,
        ),
        {"tools": [{**SEARCH, "user_location": OSLO}]},
        ["/builtin_tools/0/payload/search_context_size"],
    ),
    (
        "web_search_of_responses",
        builtin(
            "web_search",
            {"type": "web_search", "filters": {"allowed_domains": ["x.example"]}, "user_location": OSLO, "x": {}},
            RESPONSES,
        ),
        {"tools": [{**SEARCH, "allowed_domains": ["x.example"], "user_location": OSLO}]},
        [],
    ),
    (
        "code_of_responses",
        builtin("code_execution", {"type": "code_interpreter", "container": {"type": "auto"}}, RESPONSES),
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        ["/builtin_tools/0/payload/container"],
    ),
]


@pytest.mark.parametrize(("fields", "written", "lost"), [pytest.param(*row, id=name) for name, *row in CAPABILITIES])
def test_capabilities(fields: dict[str, Any], written: dict[str, Any], lost: list[str]) -> None:
    """Each capability has its form here, or its loss."""
    found, losses = write(HI, capabilities=o.CapabilitySet(**fields))
    assert found == {"model": "m", "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello"}], **written}
    assert losses == [f"/capabilities{pointer}" for pointer in lost]


def test_builtin_tools_without_a_place_come_last() -> None:
    """Those with one stand at it, whatever is before them."""
    tools = o.CapabilitySet(
        (WEATHER, replace(WEATHER, name="b")),
        builtin_tools=(o.BuiltinTool(KIND.WEB_SEARCH), o.BuiltinTool(KIND.VENDOR, {"type": "x"}, protocol=P, position=1)),
    )
    found, _ = write(HI, capabilities=tools)
    assert [tool.get("name", tool.get("type")) for tool in found["tools"]] == ["weather", "x", "b", "web_search"]


CACHED_HELLO = {"role": "user", "content": [{**text("Hello"), "cache_control": EPHEMERAL}]}
AT = o.CacheBreakpoint
END_OF_INPUT = [HI, o.Message(ASSISTANT, (THOUGHT, call("a"))), o.ToolResultPart("a", "1")]
CACHES: list[tuple[str, o.CacheBreakpoint, dict[str, Any], bool]] = [
    ("auto", AT.auto(), {"cache_control": EPHEMERAL}, True),
    ("tools", AT.end_of_tools(), {"tools": [{**WRITTEN_WEATHER, "cache_control": EPHEMERAL}]}, True),
    ("instructions", AT.end_of_instructions(), {"system": [{**text("Be kind."), "cache_control": EPHEMERAL}]}, True),
    ("message", AT.end_of_message(0), {"messages/0": CACHED_HELLO}, True),
    ("last_that_can", AT.end_of_message(1), {"messages/1/content/1": {**used("a"), "cache_control": EPHEMERAL}}, True),
    ("loose_item", AT.end_of_message(2), {"messages/2/content/0": {**gave("a", "1"), "cache_control": EPHEMERAL}}, True),
    ("block", AT.end_of_content_block(1, 1), {"messages/1/content/1": {**used("a"), "cache_control": EPHEMERAL}}, True),
    ("thinking", AT.end_of_content_block(1, 0), {}, False),
    ("no_such_message", AT.end_of_message(9), {}, False),
    ("no_such_block", AT.end_of_content_block(0, 9), {}, False),
]


@pytest.mark.parametrize(("end", "expected", "placed"), [pytest.param(*row, id=name) for name, *row in CACHES])
def test_the_prompt_cache_ends_where_the_policy_says(end: o.CacheBreakpoint, expected: dict[str, Any], placed: bool) -> None:
    """The block gets the mark; where there is none, that is a loss, or refused where the caller insists."""
    fields: dict[str, Any] = {"instructions": "Be kind."}
    best = o.CapabilitySet((WEATHER,), prompt_cache=o.PromptCachePolicy.best_effort(breakpoint=end))
    plain, _ = write(*END_OF_INPUT, capabilities=replace(best, prompt_cache=None), **fields)
    found, losses = write(*END_OF_INPUT, capabilities=best, **fields)
    for path, value in expected.items():
        place: Any = found
        for step in path.split("/"):
            place = place[int(step) if step.isdigit() else step]
        assert place == value
    assert (found != plain) is placed
    assert losses == ([] if placed else ["/capabilities/prompt_cache/breakpoint"])
    insisting = replace(best, prompt_cache=o.PromptCachePolicy.required(breakpoint=end))
    if placed:
        assert write(*END_OF_INPUT, capabilities=insisting, **fields)[0] == found
    else:
        with pytest.raises(o.UnsupportedFeatureError) as caught:
            write(*END_OF_INPUT, capabilities=insisting, **fields)
        assert caught.value.pointer == "/capabilities/prompt_cache/breakpoint"


@pytest.mark.parametrize(("retention", "ttl"), [("provider_default", {}), ("short", {"ttl": "5m"}), ("long", {"ttl": "1h"})])
def test_how_long_the_cache_is_kept(retention: str, ttl: dict[str, str]) -> None:
    """The two times to live are the two retentions; a key has no place."""
    policy = o.PromptCachePolicy.best_effort(key=o.PromptCacheKey.explicit("k"), retention=o.PromptCacheRetention(retention))
    found, losses = write(HI, capabilities=o.CapabilitySet(prompt_cache=policy))
    assert found["cache_control"] == {**EPHEMERAL, **ttl}
    assert losses == ["/capabilities/prompt_cache/key"]


def test_the_cache_marks_system_messages_and_messages_with_a_raw_form() -> None:
    """A mark counts more than the form a message had, and the given blocks are not changed by it."""
    block = {"type": "document", "source": {"type": "content", "content": []}}
    request = o.parse_request(P, {"model": "m", "system": [text("Be kind.")], "messages": [{"role": "user", "content": [block]}]})
    for index, place in ((0, "system"), (1, "messages")):
        policy = o.PromptCachePolicy.required(breakpoint=AT.end_of_message(index))
        found = o.emit_request(P, replace(request, capabilities=o.CapabilitySet(prompt_cache=policy)))
        blocks = found["system"] if place == "system" else found["messages"][0]["content"]
        assert blocks[0]["cache_control"] == EPHEMERAL
    assert "cache_control" not in block


def test_a_policy_may_forbid_the_cache() -> None:
    """Then nothing is written; the old setting is read as best effort."""
    for cache in ({"prompt_cache": o.PromptCachePolicy.disabled()}, {"cache": o.CacheSettings(False)}):
        assert "cache_control" not in write(HI, capabilities=o.CapabilitySet(**cache))[0]
    assert write(HI, capabilities=o.CapabilitySet(cache=o.CacheSettings()))[0]["cache_control"] == EPHEMERAL
    empty = o.PromptCachePolicy.required(breakpoint=AT.end_of_tools())
    with pytest.raises(o.UnsupportedFeatureError):
        write(HI, capabilities=o.CapabilitySet(prompt_cache=empty))
