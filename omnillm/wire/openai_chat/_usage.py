"""Token usage of Chat Completions: ``prompt_tokens`` and ``completion_tokens`` already count everything.

Rules: a count that is no count stays among the rest, counts nothing and makes the usage an estimate. DeepSeek and others say what
was cached in fields of their own; the usage's spelling says where it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.response import LlmResponse
from ...types.usage import NO_DETAILS, PromptCacheUsage, TokenUsage, UsageDetails
from .._fields import Emission, Fields, count_in, fill, kept, spelling
from ._content import WIRE, inner

NO_USAGE = TokenUsage(0, 0, estimated=True)

_PROMPT, _COMPLETION = "prompt_tokens_details", "completion_tokens_details"
_CACHED_ELSEWHERE = ("prompt_cache_hit_tokens", "cached_tokens")


def read_usage(value: Any, pointer: str) -> TokenUsage:
    """Read a usage object."""
    if not isinstance(value, dict):
        return TokenUsage(estimated=True)
    fields = Fields(value, pointer)
    prompt, completion, total = (fields.maybe_count(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    absent = [name for name in ("prompt_tokens", "completion_tokens", "total_tokens") if name not in value]
    cached, written, reasoning = _take_detail(fields)
    for name in _CACHED_ELSEWHERE:
        if cached is None:
            cached = fields.maybe_count(name)
            if cached is not None:
                fields.spell("cached_input_tokens", name)
    if reasoning is None:
        reasoning = fields.maybe_count("reasoning_tokens")
        if reasoning is not None:
            fields.spell("reasoning_tokens", "reasoning_tokens")
    apart = _apart(prompt, completion, total, reasoning, value)
    if apart:
        fields.spell("apart", apart)
    if absent:
        fields.spell("absent", absent)
    cache = None if cached is None and written is None else PromptCacheUsage(cached, cache_creation_input_tokens=written)
    return TokenUsage(
        prompt or 0,
        completion or 0,  # as the SDK and the wire say; ``usage_details`` tells what is beside it
        total,
        reasoning,
        cache,
        estimated=prompt is None or completion is None,
        vendor_extensions=fields.extensions(WIRE),
    )


def _apart(prompt: int | None, completion: int | None, total: int | None, reasoning: int | None, value: Mapping[str, Any]) -> int:
    """Give the tokens of reasoning that are not among the completion's: xAI's total tells, Perplexity counts citations too."""
    if not reasoning or prompt is None or completion is None:
        return 0
    counted_apart = total == prompt + completion + reasoning or "citation_tokens" in value
    return reasoning if counted_apart else 0


def _take_detail(fields: Fields) -> tuple[int | None, int | None, int | None]:
    cached = written = reasoning = None
    if isinstance(fields.peek(_PROMPT), dict):
        detail = Fields(fields.take(_PROMPT))
        cached, written = detail.maybe_count("cached_tokens"), detail.maybe_count("cache_write_tokens")
        if detail.rest() or (cached is None and written is None):
            fields.keep(_PROMPT, detail.rest())
    if isinstance(fields.peek(_COMPLETION), dict):
        detail = Fields(fields.take(_COMPLETION))
        reasoning = detail.maybe_count("reasoning_tokens")
        if detail.rest() or reasoning is None:
            fields.keep(_COMPLETION, detail.rest())
    return cached, written, reasoning


def write_usage(usage: TokenUsage, emission: Emission) -> dict[str, Any] | None:
    """Write a usage object, or ``None`` where nothing was reported."""
    if usage == NO_USAGE:
        return None
    own, spelled = kept(usage.vendor_extensions, WIRE), spelling(usage.vendor_extensions, WIRE)
    absent = spelled.get("absent", ())
    counts = (
        ("prompt_tokens", usage.prompt_tokens, usage.prompt_tokens > 0),
        ("completion_tokens", usage.completion_tokens, usage.completion_tokens > 0),
        ("total_tokens", usage.total(), usage.total_tokens is not None),
    )
    out: dict[str, Any] = {name: count for name, count, said in counts if said or (name not in absent and name not in own)}
    prompt, completion = _write_details(usage, out, emission)
    fill(prompt, inner(usage.vendor_extensions, _PROMPT))
    fill(completion, inner(usage.vendor_extensions, _COMPLETION))
    if prompt:
        out[_PROMPT] = prompt
    if completion:
        out[_COMPLETION] = completion
    return emission.lay(out, usage.vendor_extensions, "/usage")


def _write_details(usage: TokenUsage, out: dict[str, Any], emission: Emission) -> tuple[dict[str, Any], dict[str, Any]]:
    spelled = spelling(usage.vendor_extensions, WIRE)
    prompt: dict[str, Any] = {}
    completion: dict[str, Any] = {}
    cache = usage.prompt_cache
    if cache is not None:
        cached = cache.cached_input_tokens if cache.cached_input_tokens is not None else cache.cache_read_input_tokens
        if cached is not None:
            elsewhere = spelled.get("cached_input_tokens")
            (out if elsewhere in _CACHED_ELSEWHERE else prompt)[elsewhere or "cached_tokens"] = cached
        if cache.cache_creation_input_tokens is not None:
            prompt["cache_write_tokens"] = cache.cache_creation_input_tokens
        for name in ("cache_creation_short_input_tokens", "cache_creation_long_input_tokens"):
            if getattr(cache, name):
                emission.lose(f"/usage/prompt_cache/{name}", "Chat Completions does not split cache writes by their time to live")
    if usage.reasoning_tokens is not None:
        (out if "reasoning_tokens" in spelled else completion)["reasoning_tokens"] = usage.reasoning_tokens
    return prompt, completion


def usage_details(usage: TokenUsage, response: LlmResponse | None) -> UsageDetails:
    """Read what else the usage is charged by: tokens by modality, searches, citations, and the tier of service."""
    own = kept(usage.vendor_extensions, WIRE)
    answered = {} if response is None else kept(response.vendor_extensions, WIRE)
    tier = answered.get("service_tier") or own.get("service_tier")
    if not own and tier is None:
        return NO_DETAILS
    prompt, completion = own.get(_PROMPT), own.get(_COMPLETION)
    return UsageDetails(
        audio_input_tokens=count_in(prompt, "audio_tokens"),
        image_input_tokens=count_in(prompt, "image_tokens"),
        video_input_tokens=count_in(prompt, "video_tokens"),
        audio_output_tokens=count_in(completion, "audio_tokens"),
        image_output_tokens=count_in(completion, "image_tokens"),
        citation_tokens=count_in(own, "citation_tokens"),
        uncounted_output_tokens=count_in(spelling(usage.vendor_extensions, WIRE), "apart"),
        searches=count_in(own, "num_search_queries"),
        tier=tier if isinstance(tier, str) else None,
    )
