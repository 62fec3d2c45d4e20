"""Usage: thoughts are counted beside the candidates here, and what tools put into the prompt beside the prompt."""

from __future__ import annotations

from typing import Any

from ...types.usage import PromptCacheUsage, TokenUsage
from .. import _fields
from .._fields import Emission
from ._own import WIRE, as_spelled, kept, opened, spelling

NO_USAGE = TokenUsage(estimated=True)

_TOOLS = "toolUsePromptTokenCount"


def read_usage(given: Any, pointer: str) -> TokenUsage:
    """Read a usage object; a count that is none stays as it was, and the usage is an estimate."""
    if not isinstance(given, dict):
        return TokenUsage(estimated=True)
    fields = opened(given, pointer)
    total, answered = fields.maybe_count("totalTokenCount"), fields.maybe_count("candidatesTokenCount")
    thoughts, cached = fields.maybe_count("thoughtsTokenCount"), fields.maybe_count("cachedContentTokenCount")
    told = fields.maybe_count("promptTokenCount")
    completion = (answered or 0) + (thoughts or 0)
    prompt = _prompt(told or 0, _count(fields.peek(_TOOLS)), total, completion)
    if told is not None:
        if prompt - _count(fields.peek(_TOOLS)) != told:
            fields.spell("promptTokenCount", told)
    elif "promptTokenCount" not in fields:
        fields.spell("promptTokenCount", None)
    for name, count in (("candidatesTokenCount", answered), ("totalTokenCount", total)):
        if count is None and name not in fields:
            fields.spell(name, None)
    return TokenUsage(
        prompt,
        completion,
        total,
        thoughts,
        None if cached is None else PromptCacheUsage(cached),
        estimated=told is None,
        vendor_extensions=fields.extensions(WIRE),
    )


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _prompt(told: int, tools: int, total: int | None, completion: int) -> int:
    """Count all input: what is left of the total is the prompt's, as some models report the prompt of tools there alone."""
    return told + tools if total is None else max(told, total - completion)


def write_usage(usage: TokenUsage, emission: Emission) -> dict[str, Any] | None:
    """Write a usage object, or ``None`` where nothing was reported."""
    if usage == NO_USAGE:
        return None
    out: dict[str, Any] = {}
    prompt = _write_prompt(usage)
    if prompt is not None:
        out["promptTokenCount"] = prompt
    cache = usage.prompt_cache
    if cache is not None:
        cached = cache.cached_input_tokens if cache.cached_input_tokens is not None else cache.cache_read_input_tokens
        if cached is not None:
            out["cachedContentTokenCount"] = cached
        for name in ("creation_input", "creation_short_input", "creation_long_input"):
            if getattr(cache, f"cache_{name}_tokens"):
                emission.lose(f"/usage/prompt_cache/cache_{name}_tokens", "what was written to the cache is not counted here")
    answered = max(0, usage.completion_tokens - (usage.reasoning_tokens or 0))
    if answered or not _is_left_out(usage, "candidatesTokenCount"):
        out["candidatesTokenCount"] = answered
    if usage.reasoning_tokens is not None:
        out["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.total_tokens is not None or not _is_left_out(usage, "totalTokenCount"):
        out["totalTokenCount"] = usage.total()
    return as_spelled(emission.lay(out, usage.vendor_extensions, "/usage"), usage.vendor_extensions)


def _is_left_out(usage: TokenUsage, name: str) -> bool:
    """Tell whether this wire itself left a count out, or gave what is none."""
    own = usage.vendor_extensions
    return name in spelling(own) or name in _fields.kept(own, WIRE)


def _write_prompt(usage: TokenUsage) -> Any:
    """Give the prompt's own count: as it was told where that still amounts to the same."""
    own, tools = usage.vendor_extensions, _count(kept(usage.vendor_extensions, _TOOLS))
    spelled = spelling(own)
    told = spelled.get("promptTokenCount")
    again = _prompt(told or 0, tools, usage.total_tokens, usage.completion_tokens)
    if _is_left_out(usage, "promptTokenCount") and again == usage.prompt_tokens:
        return told
    return max(0, usage.prompt_tokens - tools)
