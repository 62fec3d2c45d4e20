"""Overlays: what is said beside a request in one call, by the names of the request's, its settings' and its capabilities' fields.

A value that is laid over replaces the field's. The names and where they belong stand in one table, which the types of ``Overlay``
mirror for editors and type checkers; a test holds both against the dataclasses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from .._names import closest
from ..errors import ConfigurationError
from ..types._given import wrong_type
from ..types.capabilities import (
    BuiltinTool,
    CacheSettings,
    CapabilitySet,
    HasDefinition,
    ReasoningCapability,
    SafetySettings,
    StructuredOutputConfig,
    ToolChoice,
    ToolDefinition,
)
from ..types.enums import OutputModality
from ..types.prompt_cache import PromptCachePolicy
from ..types.request import GenerationConfig, LlmRequest


class Settings(TypedDict, total=False):
    """Name what may be laid over a request wherever its tools are given apart: ``gateway.run_tools(request, tools, …)``."""

    model: str
    instructions: str | None
    metadata: Mapping[str, Any]
    vendor_extensions: dict[str, Any]
    capabilities: CapabilitySet
    generation: GenerationConfig

    max_output_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: float | None
    stop_sequences: Iterable[str]
    presence_penalty: float | None
    frequency_penalty: float | None
    seed: int | None

    tool_choice: ToolChoice | Literal["auto", "none", "required"] | None
    parallel_tool_calls: bool | None
    structured_output: StructuredOutputConfig | None
    reasoning: ReasoningCapability | str | None
    modalities: Iterable[OutputModality | str]
    safety: SafetySettings | None
    cache: CacheSettings | None
    prompt_cache: PromptCachePolicy | None
    builtin_tools: Iterable[BuiltinTool] | BuiltinTool


class Overlay(Settings, total=False):
    """Name what may be laid over a request by ``call`` and ``stream``: ``gateway.call(request, temperature=0)``."""

    tools: Iterable[ToolDefinition | HasDefinition] | ToolDefinition | HasDefinition


REQUEST, GENERATION, CAPABILITIES = "request", "generation", "capabilities"
_NAMES = {
    REQUEST: "model instructions metadata vendor_extensions capabilities generation",
    GENERATION: "max_output_tokens temperature top_p top_k stop_sequences presence_penalty frequency_penalty seed",
    CAPABILITIES: "tools tool_choice parallel_tool_calls structured_output reasoning modalities safety cache prompt_cache"
    " builtin_tools",
}
_WHOLES: dict[str, type[GenerationConfig | CapabilitySet]] = {GENERATION: GenerationConfig, CAPABILITIES: CapabilitySet}
PLACES = {name: place for place, names in _NAMES.items() for name in names.split()}

_INPUT = "it is the request itself: call(text) or call(LlmRequest(model, items))"
REFUSED = {
    "input": _INPUT,
    "messages": _INPUT,
    "stream": "call() gives the whole answer and stream() a stream, whatever the request says",
}
_OPTIONS = ("timeout", "cancel", "tenant", "into")
_ALIASES = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "max_new_tokens": "max_output_tokens",
    "stop": "stop_sequences",
    "system": "instructions",
    "system_prompt": "instructions",
    "system_instruction": "instructions",
    "developer": "instructions",
    "response_format": "into",
    "response_model": "into",
    "response_schema": "into",
    "output_format": "into",
    "output_type": "into",
    "text_format": "into",
    "schema": "into",
    "functions": "tools",
    "function_call": "tool_choice",
    "reasoning_effort": "reasoning",
    "effort": "reasoning",
    "thinking": "reasoning",
    "model_name": "model",
    "engine": "model",
    "extra_body": "vendor_extensions",
    "request_timeout": "timeout",
    "deadline": "timeout",
    "cancellation": "cancel",
    "user": "vendor_extensions",
}
_MODES = {"auto": ToolChoice.auto(), "none": ToolChoice.none(), "required": ToolChoice.required()}


def laid_over(request: LlmRequest, overlay: Mapping[str, Any]) -> LlmRequest:
    """Give the request with the overlay's values in the place of its own; raises ``ConfigurationError`` naming what is wrong."""
    parts: dict[str, dict[str, Any]] = {REQUEST: {}, GENERATION: {}, CAPABILITIES: {}}
    for name, value in overlay.items():
        place = PLACES.get(name)
        if place is None:
            raise _unknown(name)
        read = _READ.get(name)
        parts[place][name] = value if read is None else read(value)
    changed = parts[REQUEST]
    for name, kind in _WHOLES.items():
        whole = changed.get(name, getattr(request, name))
        if not isinstance(whole, kind):
            raise wrong_type(name, f"a {kind.__name__}", whole)
        if parts[name]:
            changed[name] = dataclasses.replace(whole, **parts[name])
    return dataclasses.replace(request, **changed)


def _unknown(name: str) -> ConfigurationError:
    if name in REFUSED:
        return ConfigurationError(f"{name}: not taken here: {REFUSED[name]}", field=name)
    meant = _ALIASES.get(name) or closest(name, (*PLACES, *_OPTIONS, *_ALIASES))
    known = _ALIASES.get(meant, meant) if meant is not None else None
    words = f"did you mean {known!r}?" if known else f"expected one of {', '.join((*PLACES, *_OPTIONS))}"
    return ConfigurationError(f"{name}: there is no such setting of a call: {words}", field=name)


# --- values that are taken in more than one form --------------------------------------------------------------------------------


def _tools(value: Any) -> tuple[ToolDefinition, ...]:
    one = isinstance(value, ToolDefinition | str | Mapping) or hasattr(value, "definition") or not isinstance(value, Iterable)
    return tuple(_tool(tool) for tool in ((value,) if one else value))


def _tool(value: Any) -> ToolDefinition:
    definition = value if isinstance(value, ToolDefinition) else getattr(value, "definition", None)
    if not isinstance(definition, ToolDefinition):
        raise wrong_type(
            "tools", "ToolDefinition(name, input_schema) or a Tool, and the provider's own among builtin_tools", value
        )
    return definition


def _tool_choice(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in _MODES:
        raise ConfigurationError(
            f"tool_choice: expected auto, none, required or ToolChoice.named(name), got {value!r:.80}", field="tool_choice"
        )
    return _MODES[value]


def _reasoning(value: Any) -> Any:
    return ReasoningCapability(effort=value) if isinstance(value, str) else value


_READ = {"tools": _tools, "tool_choice": _tool_choice, "reasoning": _reasoning}
