"""What a caller wants of the provider's prompt cache."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import ClassVar, Literal

from ..errors import ConfigurationError
from ._given import MAYBE_TEXT, Kinds, check_choice, check_types, member, put
from ._model import Model
from .enums import PromptCacheRetention

KeyKind = Literal["explicit", "stable_prefix_hash"]
BreakpointKind = Literal["auto", "end_of_tools", "end_of_instructions", "end_of_message", "end_of_content_block"]
CacheMode = Literal["disabled", "best_effort", "required"]


@dataclass(frozen=True, slots=True)
class PromptCacheKey(Model):
    """Name what shares a cached prefix: a value of the caller's, or a hash of the stable prefix within a namespace."""

    kind: KeyKind
    value: str | None = None
    namespace: str | None = None
    tenant_scope: str | None = None

    def __post_init__(self) -> None:
        check_choice(self.kind, KeyKind, "kind")
        check_types(self, dict.fromkeys(("value", "namespace", "tenant_scope"), MAYBE_TEXT))

    @classmethod
    def explicit(cls, value: str) -> PromptCacheKey:
        """Use this very value."""
        return cls("explicit", value=value)

    @classmethod
    def stable_prefix_hash(cls, namespace: str, tenant_scope: str | None = None) -> PromptCacheKey:
        """Use a hash of the request's stable prefix; tenants in different scopes never share one."""
        return cls("stable_prefix_hash", namespace=namespace, tenant_scope=tenant_scope)


@dataclass(frozen=True, slots=True)
class CacheBreakpoint(Model):
    """Say where the cached prefix ends; indices count the request's messages and their parts from 0.

    ``auto`` leaves the place to the provider; those without an index are values, and may be called as the others are.
    """

    auto: ClassVar[CacheBreakpoint]
    end_of_tools: ClassVar[CacheBreakpoint]
    end_of_instructions: ClassVar[CacheBreakpoint]

    kind: BreakpointKind = "auto"
    message_index: int | None = None
    part_index: int | None = None

    def __post_init__(self) -> None:
        check_choice(self.kind, BreakpointKind, "kind")

    def __call__(self) -> CacheBreakpoint:
        """Give itself."""
        return self

    @classmethod
    def end_of_message(cls, index: int) -> CacheBreakpoint:
        """End the prefix after that message."""
        return cls("end_of_message", message_index=_index(index))

    @classmethod
    def end_of_content_block(cls, message_index: int, part_index: int) -> CacheBreakpoint:
        """End the prefix after that part of that message."""
        return cls("end_of_content_block", message_index=_index(message_index), part_index=_index(part_index))


CacheBreakpoint.auto = CacheBreakpoint("auto")
CacheBreakpoint.end_of_tools = CacheBreakpoint("end_of_tools")
CacheBreakpoint.end_of_instructions = CacheBreakpoint("end_of_instructions")


def _index(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"breakpoint: expected an index from 0, got {value!r}", field="breakpoint")
    return value


_POLICY: Kinds = {
    "key": ((PromptCacheKey, NoneType), "a PromptCacheKey such as PromptCacheKey.explicit(value)"),
    "breakpoint": ((CacheBreakpoint,), "a CacheBreakpoint such as CacheBreakpoint.end_of_tools()"),
}


@dataclass(frozen=True, slots=True)
class PromptCachePolicy(Model):
    """Ask for the prompt cache: not at all, where it can be had, or or else."""

    mode: CacheMode = "best_effort"
    key: PromptCacheKey | None = None
    retention: PromptCacheRetention = PromptCacheRetention.PROVIDER_DEFAULT
    breakpoint: CacheBreakpoint = CacheBreakpoint()

    def __post_init__(self) -> None:
        check_choice(self.mode, CacheMode, "mode")
        put(self, "retention", member(self.retention, PromptCacheRetention, "retention"))
        check_types(self, _POLICY)

    @classmethod
    def disabled(cls) -> PromptCachePolicy:
        """Ask for no prompt cache."""
        return cls("disabled")

    @classmethod
    def best_effort(
        cls,
        *,
        key: PromptCacheKey | None = None,
        retention: PromptCacheRetention | str = PromptCacheRetention.PROVIDER_DEFAULT,
        breakpoint: CacheBreakpoint = CacheBreakpoint(),  # it is frozen
    ) -> PromptCachePolicy:
        """Ask for the prompt cache where the protocol has one; what it cannot say is reported as lost."""
        return cls("best_effort", key, retention, breakpoint)  # type: ignore[arg-type]  # by its value, too

    @classmethod
    def required(
        cls,
        *,
        key: PromptCacheKey | None = None,
        retention: PromptCacheRetention | str = PromptCacheRetention.PROVIDER_DEFAULT,
        breakpoint: CacheBreakpoint = CacheBreakpoint(),  # it is frozen
    ) -> PromptCachePolicy:
        """Insist: where the protocol cannot say it, emission raises ``UnsupportedFeatureError``."""
        return cls("required", key, retention, breakpoint)  # type: ignore[arg-type]  # by its value, too
