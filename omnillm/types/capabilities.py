"""What a request asks the model to be able to do: tools, structured output, reasoning, caching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal, Protocol

from ..errors import ConfigurationError
from ._given import (
    FLAG,
    MAYBE_FLAG,
    MAYBE_INTEGER,
    MAYBE_TEXT,
    Kinds,
    check_choice,
    check_types,
    checker,
    member,
    put,
    wrong_type,
)
from ._model import Model
from .enums import BuiltinToolKind, OutputModality, ProviderProtocol
from .parts import hold_protocol
from .prompt_cache import PromptCachePolicy

ToolMode = Literal["auto", "none", "required", "named"]


@dataclass(frozen=True, slots=True)
class ToolDefinition(Model):
    """Describe a function the model may call; ``input_schema`` is a JSON Schema object."""

    name: str
    input_schema: Any
    description: str | None = None
    strict: bool = False
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise wrong_type("name", "a string", self.name)
        if not isinstance(self.description, str | None):
            raise wrong_type("description", "a string or None", self.description)


class HasDefinition(Protocol):
    """What knows the definition of a tool, as a ``Tool`` does."""

    @property
    def definition(self) -> ToolDefinition:
        """Give the definition."""


@dataclass(frozen=True, slots=True)
class ToolChoice(Model):
    """Say whether the model may, must or must not call a tool; ``name`` is the one it must call."""

    mode: ToolMode
    name: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, _CHOICE)
        check_choice(self.mode, ToolMode, "mode")

    @classmethod
    def auto(cls) -> ToolChoice:
        """Leave it to the model."""
        return cls("auto")

    @classmethod
    def none(cls) -> ToolChoice:
        """Forbid tools."""
        return cls("none")

    @classmethod
    def required(cls) -> ToolChoice:
        """Demand some tool."""
        return cls("required")

    @classmethod
    def named(cls, name: str) -> ToolChoice:
        """Demand this tool."""
        return cls("named", name)


@dataclass(frozen=True, slots=True)
class BuiltinTool(Model):
    """Offer a tool that the provider runs.

    ``payload`` is its settings: the wire's own object where ``protocol`` says whose, else fields laid over the target's default.
    ``position`` is its place among all tools where the order is known.
    """

    kind: BuiltinToolKind
    payload: dict[str, Any] = field(default_factory=dict)
    protocol: ProviderProtocol | None = field(default=None, kw_only=True)
    position: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if type(self.kind) is not BuiltinToolKind:
            put(self, "kind", member(self.kind, BuiltinToolKind, "kind"))
        if self.protocol is not None:
            hold_protocol(self, "protocol")


@dataclass(frozen=True, slots=True)
class StructuredOutputConfig(Model):
    """Ask for JSON that fits a schema; ``schema`` ``None`` asks for any JSON object."""

    schema: Any
    name: str | None = None
    strict: bool = False
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, _STRUCTURED)


@dataclass(frozen=True, slots=True)
class ReasoningCapability(Model):
    """Ask for reasoning: how hard (``effort``), shown how (``summary``), with how many tokens at most (``budget_tokens``)."""

    effort: str | None = None
    summary: str | None = None
    budget_tokens: int | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, _REASONING)


@dataclass(frozen=True, slots=True)
class SafetySettings(Model):
    """Carry the provider's safety policy as it takes it."""

    policy: Any = None


@dataclass(frozen=True, slots=True)
class CacheSettings(Model):
    """Ask for caching the old way; read as a best-effort prompt cache."""

    enabled: bool = True


@dataclass(frozen=True, slots=True)
class CapabilitySet(Model):
    """Gather what a request asks for beyond text; collections are taken as any iterable and are tuples afterwards."""

    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    structured_output: StructuredOutputConfig | None = None
    reasoning: ReasoningCapability | None = None
    modalities: tuple[OutputModality, ...] = ()
    safety: SafetySettings | None = None
    cache: CacheSettings | None = None
    prompt_cache: PromptCachePolicy | None = None
    builtin_tools: tuple[BuiltinTool, ...] = ()
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for name, (kind, expected) in _TOOLS.items():
            value = getattr(self, name)
            if type(value) is not tuple or (value and not all(isinstance(tool, kind) for tool in value)):
                object.__setattr__(self, name, _tuple_of(name, value, kind, expected))
        _check_settings(self)
        if type(self.modalities) is not tuple or self.modalities:
            object.__setattr__(self, "modalities", _modalities(self.modalities))

    def cache_policy(self) -> PromptCachePolicy | None:
        """Give the prompt cache policy, the old setting read as best effort."""
        if self.prompt_cache is None and self.cache is not None:
            return PromptCachePolicy.best_effort() if self.cache.enabled else PromptCachePolicy.disabled()
        return self.prompt_cache


_CHOICE: Kinds = {"mode": ((str,), "auto, none, required or named"), "name": MAYBE_TEXT}
_STRUCTURED: Kinds = {"name": MAYBE_TEXT, "strict": FLAG}
_REASONING: Kinds = {"effort": MAYBE_TEXT, "summary": MAYBE_TEXT, "budget_tokens": MAYBE_INTEGER}
_TOOLS: dict[str, tuple[type, str]] = {
    "tools": (ToolDefinition, "ToolDefinition(name, input_schema), and the provider's own among builtin_tools"),
    "builtin_tools": (BuiltinTool, "BuiltinTool(kind, payload)"),
}
_SETTINGS: Kinds = {
    "tool_choice": ((ToolChoice, NoneType), "a ToolChoice such as ToolChoice.auto() or ToolChoice.named(name)"),
    "parallel_tool_calls": MAYBE_FLAG,
    "structured_output": ((StructuredOutputConfig, NoneType), "a StructuredOutputConfig(schema)"),
    "reasoning": ((ReasoningCapability, NoneType), "a ReasoningCapability(effort=…)"),
    "safety": ((SafetySettings, NoneType), "SafetySettings(policy)"),
    "cache": ((CacheSettings, NoneType), "CacheSettings(enabled)"),
    "prompt_cache": ((PromptCachePolicy, NoneType), "a PromptCachePolicy such as PromptCachePolicy.best_effort()"),
}


_check_settings = checker(_SETTINGS)


def _tuple_of(name: str, value: Any, kind: type, expected: str) -> tuple[Any, ...]:
    given = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else (value,)
    for tool in given:
        if not isinstance(tool, kind):
            raise wrong_type(name, expected, tool)
    return given


def _modalities(value: Any) -> tuple[OutputModality, ...]:
    given = (value,) if isinstance(value, str) else value
    try:
        return tuple(OutputModality(modality) for modality in given or ())
    except (ValueError, TypeError):
        choices = ", ".join(modality.value for modality in OutputModality)
        raise ConfigurationError(f"modalities: expected some of {choices}", field="modalities") from None
