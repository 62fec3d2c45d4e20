"""What a request asks the model to be able to do: tools, structured output, reasoning, caching."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import ConfigurationError
from ._model import Model
from .enums import BuiltinToolKind, OutputModality, ProviderProtocol
from .prompt_cache import PromptCachePolicy


@dataclass(frozen=True, slots=True)
class ToolDefinition(Model):
    """Describe a function the model may call; ``input_schema`` is a JSON Schema object."""

    name: str
    input_schema: Any
    description: str | None = None
    strict: bool = False
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for name, value in (("name", self.name), ("description", self.description or "")):
            if not isinstance(value, str):
                raise ConfigurationError(f"{name}: expected a string, got {type(value).__name__}", field=name)


@dataclass(frozen=True, slots=True)
class ToolChoice(Model):
    """Say whether the model may, must or must not call a tool; ``name`` is the one it must call."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

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
            try:
                object.__setattr__(self, "kind", BuiltinToolKind(self.kind))
            except ValueError:
                choices = ", ".join(kind.value for kind in BuiltinToolKind)
                raise ConfigurationError(f"kind: expected one of {choices}, got {self.kind!r:.80}", field="kind") from None


@dataclass(frozen=True, slots=True)
class StructuredOutputConfig(Model):
    """Ask for JSON that fits a schema; ``schema`` ``None`` asks for any JSON object."""

    schema: Any
    name: str | None = None
    strict: bool = False
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class ReasoningCapability(Model):
    """Ask for reasoning: how hard (``effort``), shown how (``summary``), with how many tokens at most (``budget_tokens``)."""

    effort: str | None = None
    summary: str | None = None
    budget_tokens: int | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)


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
        for name in ("tools", "builtin_tools"):
            value = getattr(self, name)
            if type(value) is not tuple:
                object.__setattr__(self, name, _tuple_of(name, value))
        if self.modalities:
            object.__setattr__(self, "modalities", tuple(OutputModality(m) for m in self.modalities))
        elif type(self.modalities) is not tuple:
            object.__setattr__(self, "modalities", ())

    def cache_policy(self) -> PromptCachePolicy | None:
        """Give the prompt cache policy, the old setting read as best effort."""
        if self.prompt_cache is None and self.cache is not None:
            return PromptCachePolicy.best_effort() if self.cache.enabled else PromptCachePolicy.disabled()
        return self.prompt_cache


def _tuple_of(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, ToolDefinition | BuiltinTool):
        return (value,)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{name}: expected tools, got {type(value).__name__}", field=name)
    return tuple(value)
