"""What is said beside a request in one call: by field names, laid over it, refused where there is no such name."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import pytest

from omnillm.errors import ConfigurationError
from omnillm.gateway.overlay import CAPABILITIES, GENERATION, PLACES, REFUSED, REQUEST, Overlay, laid_over
from omnillm.testing import LocalProvider
from omnillm.types.capabilities import (
    BuiltinTool,
    CapabilitySet,
    ReasoningCapability,
    SafetySettings,
    StructuredOutputConfig,
    ToolChoice,
    ToolDefinition,
)
from omnillm.types.enums import BuiltinToolKind, OutputModality
from omnillm.types.prompt_cache import PromptCachePolicy
from omnillm.types.request import GenerationConfig, LlmRequest

WEATHER = ToolDefinition("weather", {"type": "object", "properties": {}})
CLOCK = ToolDefinition("clock", {"type": "object", "properties": {}})
BASE = LlmRequest(
    "m",
    "hi",
    instructions="Be kind.",
    generation=GenerationConfig(max_output_tokens=5, temperature=0.5),
    capabilities=CapabilitySet(tools=(CLOCK,), parallel_tool_calls=False),
)


class Weather:
    """What has a definition, as a tool has."""

    definition = WEATHER


def names_of(cls: type) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def test_the_names_are_those_of_the_dataclasses() -> None:
    """Every field of a request, its settings and its capabilities has one place, in the table and in the types alike."""
    assert {name for name, place in PLACES.items() if place == REQUEST} == names_of(LlmRequest) - REFUSED.keys()
    assert {name for name, place in PLACES.items() if place == GENERATION} == names_of(GenerationConfig) - {"vendor_extensions"}
    assert {name for name, place in PLACES.items() if place == CAPABILITIES} == names_of(CapabilitySet) - {"vendor_extensions"}
    assert get_type_hints(Overlay).keys() == PLACES.keys()
    assert Overlay.__required_keys__ == frozenset()


LAID: list[tuple[dict[str, Any], str, str, Any]] = [
    ({"model": "n"}, "", "model", "n"),
    ({"instructions": "Be brief."}, "", "instructions", "Be brief."),
    ({"instructions": None}, "", "instructions", None),
    ({"metadata": {"a": "1"}}, "", "metadata", {"a": "1"}),
    ({"vendor_extensions": {"user": "u"}}, "", "vendor_extensions", {"user": "u"}),
    ({"max_output_tokens": 9}, "generation", "max_output_tokens", 9),
    ({"max_output_tokens": None}, "generation", "max_output_tokens", None),
    ({"temperature": 0}, "generation", "temperature", 0),
    ({"top_p": 0.1}, "generation", "top_p", 0.1),
    ({"top_k": 3}, "generation", "top_k", 3),
    ({"stop_sequences": "END"}, "generation", "stop_sequences", ("END",)),
    ({"presence_penalty": 1.0}, "generation", "presence_penalty", 1.0),
    ({"frequency_penalty": 1.0}, "generation", "frequency_penalty", 1.0),
    ({"seed": 7}, "generation", "seed", 7),
    ({"generation": GenerationConfig(seed=1)}, "generation", "max_output_tokens", None),
    ({"generation": GenerationConfig(seed=1), "top_k": 2}, "", "generation", GenerationConfig(seed=1, top_k=2)),
    ({"tools": WEATHER}, "capabilities", "tools", (WEATHER,)),
    ({"tools": [WEATHER, CLOCK]}, "capabilities", "tools", (WEATHER, CLOCK)),
    ({"tools": Weather()}, "capabilities", "tools", (WEATHER,)),
    ({"tools": (tool for tool in (Weather(), CLOCK))}, "capabilities", "tools", (WEATHER, CLOCK)),
    ({"tools": []}, "capabilities", "tools", ()),
    ({"tool_choice": "required"}, "capabilities", "tool_choice", ToolChoice.required()),
    ({"tool_choice": ToolChoice.named("clock")}, "capabilities", "tool_choice", ToolChoice.named("clock")),
    ({"tool_choice": None}, "capabilities", "tool_choice", None),
    ({"parallel_tool_calls": True}, "capabilities", "parallel_tool_calls", True),
    ({"structured_output": StructuredOutputConfig({})}, "capabilities", "structured_output", StructuredOutputConfig({})),
    ({"reasoning": "high"}, "capabilities", "reasoning", ReasoningCapability(effort="high")),
    ({"reasoning": ReasoningCapability(budget_tokens=9)}, "capabilities", "reasoning", ReasoningCapability(budget_tokens=9)),
    ({"modalities": ["text"]}, "capabilities", "modalities", (OutputModality.TEXT,)),
    ({"safety": SafetySettings("x")}, "capabilities", "safety", SafetySettings("x")),
    ({"prompt_cache": PromptCachePolicy.disabled()}, "capabilities", "prompt_cache", PromptCachePolicy.disabled()),
    (
        {"builtin_tools": BuiltinTool(BuiltinToolKind.WEB_SEARCH)},
        "capabilities",
        "builtin_tools",
        (BuiltinTool(BuiltinToolKind.WEB_SEARCH),),
    ),
    ({"capabilities": CapabilitySet(), "reasoning": "low"}, "capabilities", "tools", ()),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "place", "name", "value"), LAID, ids=lambda value: str(value)[:40])
def test_a_value_takes_the_place_of_the_fields(overlay: dict[str, Any], place: str, name: str, value: Any) -> None:
    """A name replaces its field and nothing else."""
    laid = laid_over(BASE, overlay)
    assert getattr(getattr(laid, place) if place else laid, name) == value
    assert laid.input == BASE.input
    if not overlay.keys() & {"generation", "capabilities"}:
        changed = {GENERATION: BASE.generation, CAPABILITIES: BASE.capabilities, REQUEST: BASE}
        for part, before in changed.items():
            after = laid if part == REQUEST else getattr(laid, part)
            kept = [
                field
                for field, where in PLACES.items()
                if where == part and field not in (*overlay, "generation", "capabilities")
            ]
            assert [getattr(after, field) for field in kept] == [getattr(before, field) for field in kept]


UNKNOWN: list[tuple[str, str]] = [
    ("max_tokens", "did you mean 'max_output_tokens'?"),
    ("max_completion_tokens", "did you mean 'max_output_tokens'?"),
    ("maxOutputTokens", "did you mean 'max_output_tokens'?"),
    ("tempurature", "did you mean 'temperature'?"),
    ("stop", "did you mean 'stop_sequences'?"),
    ("system", "did you mean 'instructions'?"),
    ("response_format", "did you mean 'into'?"),
    ("response_model", "did you mean 'into'?"),
    ("functions", "did you mean 'tools'?"),
    ("function_call", "did you mean 'tool_choice'?"),
    ("toolChoice", "did you mean 'tool_choice'?"),
    ("reasoning_effort", "did you mean 'reasoning'?"),
    ("extra_body", "did you mean 'vendor_extensions'?"),
    ("time_out", "did you mean 'timeout'?"),
    ("zzz", "expected one of model, instructions, "),
    ("input", "it is the request itself: call(text) or call(LlmRequest(model, items))"),
    ("messages", "it is the request itself"),
    ("stream", "stream() a stream"),
]


@pytest.mark.parametrize(("name", "why"), UNKNOWN)
@pytest.mark.parametrize("method", ["call", "stream"])
def test_an_unknown_name_is_answered_with_the_nearest(
    provider: LocalProvider, build: Any, method: str, name: str, why: str
) -> None:
    """Nothing is sent, and the error names what was given and what is meant."""
    gateway = build(provider)
    with pytest.raises(ConfigurationError) as caught:
        getattr(gateway, method)("hi", **{name: 5})
    assert caught.value.field == name
    assert str(caught.value).startswith(f"{name}: ")
    assert why in str(caught.value)
    assert provider.requests == ()


WRONG: list[tuple[str, Any, str]] = [
    ("model", None, "expected a string"),
    ("model", 5, "expected a string"),
    ("instructions", 5, "expected a string or None"),
    ("temperature", "0.5", "expected a number"),
    ("temperature", -1.0, "expected 0 or more"),
    ("max_output_tokens", 1.5, "expected an integer"),
    ("generation", {"seed": 1}, "expected a GenerationConfig"),
    ("capabilities", [], "expected a CapabilitySet"),
    ("tools", "weather", "expected ToolDefinition(name, input_schema) or a Tool"),
    ("tools", {"name": "weather"}, "expected ToolDefinition"),
    ("tools", print, "expected ToolDefinition"),
    ("tools", [WEATHER, 5], "expected ToolDefinition"),
    ("tools", None, "expected ToolDefinition"),
    ("tool_choice", "any", "expected auto, none, required or ToolChoice.named(name), got 'any'"),
    ("tool_choice", 5, "expected a ToolChoice"),
    ("reasoning", 5, "expected a ReasoningCapability"),
    ("modalities", ["smell"], "expected some of text"),
    ("metadata", 5, "expected a mapping"),
]


@pytest.mark.parametrize(("name", "value", "why"), WRONG, ids=lambda value: str(value)[:30])
def test_a_wrong_value_names_its_field(provider: LocalProvider, build: Any, name: str, value: Any, why: str) -> None:
    """A value of the wrong kind is refused before anything is sent, by the name it was given."""
    with pytest.raises(ConfigurationError) as caught:
        build(provider).call(BASE, **{name: value})
    assert caught.value.field == name
    assert why in str(caught.value)
    assert provider.requests == ()


@pytest.mark.parametrize("stream", [False, True], ids=["call", "stream"])
def test_an_overlay_is_what_is_sent(provider: LocalProvider, build: Any, stream: bool) -> None:
    """A text with settings beside it is one request with them, whole or streamed; the request given stays as it was."""
    gateway = build(provider)
    for request in ("hi", BASE):
        if stream:
            list(gateway.stream(request, model="n", temperature=0.25, tools=[Weather()], instructions="Be brief."))
        else:
            gateway.call(request, model="n", temperature=0.25, tools=[Weather()], instructions="Be brief.")
        sent = provider.requests[-1].json
        assert (sent["model"], sent["temperature"]) == ("n", 0.25)
        assert [tool["function"]["name"] for tool in sent["tools"]] == ["weather"]
        assert sent["messages"][0]["content"] == "Be brief."
    assert BASE.instructions == "Be kind."


def test_no_overlay_costs_nothing(provider: LocalProvider, build: Any) -> None:
    """A request alone is the very object that is sent: nothing is copied."""
    gateway = build(provider)
    stream = gateway.stream(BASE)
    assert stream._walk.call.request is BASE
    stream.close()
