"""Settings, tools and cache policies of other protocols and callers written as Converse requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bedrock_converse import CHAT, WIRE, P, body, form, write

import omnillm as o
from omnillm.wire import codec

SCHEMA = {"type": "object", "properties": {}}
F = o.ToolDefinition("f", None)
SETTINGS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"generation": o.GenerationConfig(temperature=2.0)}, {"inferenceConfig": {"temperature": 1}}, ["/generation/temperature"]),
    ({"generation": o.GenerationConfig(top_k=3, seed=1)}, {"additionalModelRequestFields": {"top_k": 3}}, ["/generation/seed"]),
    ({"metadata": {"a": "b", "c": 1}}, {"requestMetadata": {"a": "b"}}, ["/metadata/c"]),
    (
        {"capabilities": o.CapabilitySet((F, replace(F, input_schema={}, description=""), replace(F, input_schema=5)))},
        {"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}] * 3}},
        ["/capabilities/tools/2/input_schema"],
    ),
    (
        {"capabilities": o.CapabilitySet((F,), o.ToolChoice.named("f"), False)},
        {
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}],
                "toolChoice": {"tool": {"name": "f"}},
            }
        },
        ["/capabilities/parallel_tool_calls"],
    ),
    ({"capabilities": o.CapabilitySet(tool_choice=o.ToolChoice.none())}, {}, ["/capabilities/tool_choice/mode"]),
    ({"capabilities": o.CapabilitySet(tool_choice=o.ToolChoice.auto())}, {}, ["/capabilities/tool_choice"]),
    (
        {"capabilities": o.CapabilitySet(reasoning=o.ReasoningCapability("high", "auto", 2048))},
        {
            "outputConfig": {"effort": "high"},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        },
        ["/capabilities/reasoning/summary"],
    ),
    (
        {"capabilities": o.CapabilitySet(reasoning=o.ReasoningCapability("none"))},
        {"additionalModelRequestFields": {"thinking": {"type": "disabled"}}},
        [],
    ),
    (
        {"capabilities": o.CapabilitySet(structured_output=o.StructuredOutputConfig({"a": 1}, "n", True))},
        {"outputConfig": form('{"a":1}', name="n")},
        ["/capabilities/structured_output/strict"],
    ),
    (
        {"capabilities": o.CapabilitySet(structured_output=o.StructuredOutputConfig(None))},
        {},
        ["/capabilities/structured_output/schema"],
    ),
    ({"capabilities": o.CapabilitySet(modalities=(o.OutputModality.AUDIO,))}, {}, ["/capabilities/modalities"]),
    ({"capabilities": o.CapabilitySet(safety=o.SafetySettings([1]))}, {}, ["/capabilities/safety/policy"]),
    (
        {"capabilities": o.CapabilitySet(safety=o.SafetySettings({"guardrailIdentifier": "g"}))},
        {"guardrailConfig": {"guardrailIdentifier": "g"}},
        [],
    ),
    (
        {
            "vendor_extensions": {WIRE.value: {"additionalModelRequestFields": {"x": 1}}},
            "generation": o.GenerationConfig(top_k=3),
        },
        {"additionalModelRequestFields": {"top_k": 3, "x": 1}},
        [],
    ),
]


@pytest.mark.parametrize(("fields", "written", "lost"), SETTINGS)
def test_what_a_setting_becomes(fields: dict[str, Any], written: dict[str, Any], lost: list[str]) -> None:
    """A setting is written in this form, or its loss is named."""
    payload, losses = write(o.Message.user("Hello"), **fields)
    assert payload == {"model": "m", **body(), **written}
    assert losses == lost


SEARCH = o.BuiltinToolKind.WEB_SEARCH


@pytest.mark.parametrize(
    ("tool", "model", "written", "lost"),
    [
        (o.BuiltinTool(SEARCH, {"max_uses": 3}, protocol=CHAT), "amazon.nova-pro-v1:0", "nova_grounding", ["/max_uses"]),
        (o.BuiltinTool(SEARCH, {}, protocol=CHAT), "anthropic.claude", None, [""]),
        (o.BuiltinTool(SEARCH), "amazon.nova-pro-v1:0", "nova_grounding", []),
        (o.BuiltinTool(SEARCH), "anthropic.claude", None, [""]),
        (o.BuiltinTool(SEARCH, {"name": "x"}), "anthropic.claude", "x", []),
        (o.BuiltinTool(o.BuiltinToolKind.MAPS, {"systemTool": {"name": "x"}}), "m", "x", []),
    ],
)
def test_what_a_tool_of_a_provider_becomes(tool: o.BuiltinTool, model: str, written: str | None, lost: list[str]) -> None:
    """Amazon's own models have such tools; for every other model they are a loss."""
    payload, losses = write(o.Message.user("Hello"), model=model, capabilities=o.CapabilitySet(builtin_tools=(tool,)))
    tools = payload.get("toolConfig", {}).get("tools", [])
    assert tools == ([] if written is None else [{"systemTool": {"name": written}}])
    assert losses == [f"/capabilities/builtin_tools/0/payload{pointer}" for pointer in lost]


END = o.CacheBreakpoint
LONG = o.PromptCacheRetention.LONG


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (END.auto(), ("messages", 2, "content", 1)),
        (END.end_of_tools(), ("toolConfig", "tools", 1)),
        (END.end_of_instructions(), ("system", 1)),
        (END.end_of_message(0), ("messages", 0, "content", 2)),
        (END.end_of_content_block(0, 0), ("messages", 0, "content", 1)),
        (END.end_of_message(9), None),
    ],
)
def test_where_a_cache_point_goes(place: Any, expected: Any) -> None:
    """The prefix ends with a block of its own, or the loss is named; a required one is refused."""
    items = (o.Message("user", ("a", "b")), o.Message.assistant("c"), o.Message.user("d"))
    for mode in ("best_effort", "required"):
        policy = o.PromptCachePolicy(mode, retention=LONG, breakpoint=place)
        fields: dict[str, Any] = {"instructions": "Obey.", "capabilities": o.CapabilitySet((F,), prompt_cache=policy)}
        if expected is None and mode == "required":
            with pytest.raises(o.UnsupportedFeatureError):
                write(*items, **fields)
            continue
        payload, losses = write(*items, **fields)
        found: Any = payload
        for step in expected or ():
            found = found[step]
        assert expected is None or found == {"cachePoint": {"type": "default", "ttl": "1h"}}
        assert losses == ([] if expected else ["/capabilities/prompt_cache/breakpoint"])


def test_a_policy_without_effect() -> None:
    """A disabled one writes nothing, a key says nothing, and where there are no tools none end a prefix."""
    policy = o.PromptCachePolicy.disabled()
    assert write(o.Message.user("Hello"), capabilities=o.CapabilitySet(prompt_cache=policy)) == ({"model": "m", **body()}, [])
    for place in (END.end_of_tools(), END.end_of_instructions()):
        keyed = o.PromptCachePolicy.best_effort(key=o.PromptCacheKey.explicit("k"), breakpoint=place)
        losses = write(o.Message.user("Hello"), capabilities=o.CapabilitySet(prompt_cache=keyed))[1]
        assert losses == ["/capabilities/prompt_cache/key", "/capabilities/prompt_cache/breakpoint"]


def test_the_model_is_in_the_path_alone() -> None:
    """An ARN is one segment of it; the body that is sent has no model."""
    model = "arn:aws:bedrock:us-east-1:1:inference-profile/x"
    request = o.parse_request(P, body(modelId=model))
    found = codec(WIRE)
    assert found.path(request, False) == "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse"
    assert found.path(replace(request, model="m"), True) == "/model/m/converse-stream"
    assert found.prepare_body(o.emit_request(P, request)) == body()
    assert found.ask_for_usage(body()) == body()
