"""Laying a prompt out for the cache: what stays the same first, what changes last, and a key made of the former alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from types import NoneType
from typing import Any, Self, TypeVar

from .. import _json
from ..errors import ConfigurationError
from ._given import wrong_type
from .capabilities import BuiltinTool, CapabilitySet, HasDefinition, ToolDefinition
from .enums import PromptCacheRetention
from .message import ITEM_TYPES, Message, RequestItem
from .prompt_cache import CacheBreakpoint, PromptCacheKey, PromptCachePolicy
from .request import GenerationConfig, LlmRequest

Tool = ToolDefinition | BuiltinTool
T = TypeVar("T")


def stable_prefix_hash(
    key: PromptCacheKey, *, model: str, instructions: str | None, tools: Iterable[Tool], items: Iterable[RequestItem]
) -> str:
    """Give the hash of a stable prefix within the key's namespace and tenant scope: SHA-256 of its canonical JSON, in hex."""
    prefix = [key.namespace, key.tenant_scope, model, instructions, tuple(tools), tuple(items)]
    return hashlib.sha256(_json.dump_bytes(_plain(prefix))).hexdigest()


def _plain(value: Any) -> Any:
    """Give a value as JSON with its objects' fields in order, so that equal values are the same text."""
    if is_dataclass(value):
        held = {f.name: getattr(value, f.name) for f in fields(value) if f.compare}
        return [type(value).__name__, _plain(held)]
    if isinstance(value, Mapping):
        return {name: _plain(value[name]) for name in sorted(value, key=str)}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


class PromptLayoutBuilder:
    """Build a request whose stable parts come first, whatever the order of the calls.

    Stable are the model, the instructions, the tools and the stable messages; the rest follows in the order of the calls. A text
    given for a message is the user's. ``build`` may be called again and again.
    """

    def __init__(self, model: str) -> None:
        self._model = _of(model, (str,), "model", "a string")
        self._instructions: str | None = None
        self._tools: list[ToolDefinition] = []
        self._builtin_tools: list[BuiltinTool] = []
        self._stable: list[RequestItem] = []
        self._dynamic: list[RequestItem] = []
        self._generation = GenerationConfig()
        self._policy: PromptCachePolicy | None = None
        self._keyed: PromptCachePolicy | None = None

    # --- stable ---------------------------------------------------------------------------------------------------------------

    def instructions(self, text: str) -> Self:
        """Set the instructions."""
        self._instructions = _of(text, (str, NoneType), "instructions", "a string or None")
        return self

    def tool(self, tool: Tool | HasDefinition) -> Self:
        """Add a tool: a definition, what ``@tool`` made, or one of the provider's."""
        if isinstance(tool, BuiltinTool):
            self._builtin_tools.append(tool)
        else:
            definition: Any = tool if isinstance(tool, ToolDefinition) else getattr(tool, "definition", tool)
            self._tools.append(_of(definition, (ToolDefinition,), "tool", "a ToolDefinition, a Tool or a BuiltinTool"))
        return self

    def stable_message(self, message: RequestItem | str) -> Self:
        """Add what every request begins with: examples, a document."""
        self._stable.append(_item(message, "stable_message"))
        return self

    # --- dynamic --------------------------------------------------------------------------------------------------------------

    def dynamic_message(self, message: RequestItem | str) -> Self:
        """Add a message of this very conversation."""
        self._dynamic.append(_item(message, "dynamic_message"))
        return self

    def dynamic_rag_context(self, context: RequestItem | str) -> Self:
        """Add what was looked up for this question."""
        self._dynamic.append(_item(context, "dynamic_rag_context"))
        return self

    def user_input(self, text: RequestItem | str) -> Self:
        """Add what the user says."""
        self._dynamic.append(_item(text, "user_input"))
        return self

    def generation(self, generation: GenerationConfig) -> Self:
        """Set how the model generates."""
        self._generation = _of(generation, (GenerationConfig,), "generation", "a GenerationConfig")
        return self

    # --- the cache ------------------------------------------------------------------------------------------------------------

    def prompt_cache(self, policy: PromptCachePolicy) -> Self:
        """Set the policy; a key that is a hash of the stable prefix is made of this layout's."""
        self._policy = _of(policy, (PromptCachePolicy,), "prompt_cache", "a PromptCachePolicy")
        return self

    def stable_prefix_cache_key(
        self,
        namespace: str,
        tenant_scope: str | None = None,
        retention: PromptCacheRetention = PromptCacheRetention.PROVIDER_DEFAULT,
        required: bool = False,  # noqa: FBT002  # the order of the four is public
    ) -> Self:
        """Ask for the cache under a key made of the stable prefix; tenants in different scopes never share one.

        The prefix ends where the policy says. Where that leaves it open, it ends with the stable parts, unless the key is
        ``required``: only the formats that find the end themselves take keys.
        """
        for name, value in (("namespace", namespace), ("tenant_scope", "-" if tenant_scope is None else tenant_scope)):
            if not isinstance(value, str) or not value:
                raise ConfigurationError(f"{name}: expected a text that is not empty, got {value!r:.80}", field=name)
        make = PromptCachePolicy.required if required else PromptCachePolicy.best_effort
        self._keyed = make(key=PromptCacheKey.stable_prefix_hash(namespace, tenant_scope), retention=retention)
        return self

    def build(self) -> LlmRequest:
        """Give the request."""
        having = CapabilitySet(tuple(self._tools), builtin_tools=tuple(self._builtin_tools), prompt_cache=self._cache_policy())
        return LlmRequest(
            self._model,
            (*self._stable, *self._dynamic),
            instructions=self._instructions,
            capabilities=having,
            generation=self._generation,
        )

    def _cache_policy(self) -> PromptCachePolicy | None:
        policy = self._policy
        if self._keyed is not None and (policy is None or policy.mode != "disabled"):
            policy = self._joined(self._keyed, policy or PromptCachePolicy())
        if policy is None or policy.key is None or policy.key.kind != "stable_prefix_hash":
            return policy
        value = stable_prefix_hash(
            policy.key,
            model=self._model,
            instructions=self._instructions,
            tools=(*self._tools, *self._builtin_tools),
            items=self._stable,
        )
        return replace(policy, key=replace(policy.key, value=value))

    def _joined(self, keyed: PromptCachePolicy, policy: PromptCachePolicy) -> PromptCachePolicy:
        """Lay the asked-for key over the policy."""
        required = "required" in (keyed.mode, policy.mode)
        retention = policy.retention if keyed.retention == PromptCacheRetention.PROVIDER_DEFAULT else keyed.retention
        end = policy.breakpoint
        if end.kind == "auto" and not required:
            end = self._stable_end()
        return PromptCachePolicy("required" if required else "best_effort", keyed.key, retention, end)

    def _stable_end(self) -> CacheBreakpoint:
        if self._stable:
            return CacheBreakpoint.end_of_message(len(self._stable) - 1)
        if self._instructions:
            return CacheBreakpoint.end_of_instructions()
        return CacheBreakpoint.end_of_tools() if self._tools or self._builtin_tools else CacheBreakpoint.auto()


def _of(value: T, kinds: tuple[type, ...], name: str, expected: str) -> T:
    if not isinstance(value, kinds):
        raise wrong_type(name, expected, value)
    return value


def _item(value: RequestItem | str, name: str) -> RequestItem:
    if isinstance(value, str):
        return Message.user(value)
    if not isinstance(value, ITEM_TYPES):
        raise ConfigurationError(f"{name}: expected a text or an item, got {type(value).__name__}", field=name)
    return value
