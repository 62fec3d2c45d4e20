"""Usage: ``input_tokens`` excludes what went through the cache here, the canonical count includes it."""

from __future__ import annotations

from typing import Any

from ...types.response import LlmResponse
from ...types.usage import NO_DETAILS, PromptCacheUsage, TokenUsage, UsageDetails
from .. import _fields
from .._fields import Emission, Fields, count_in, fill
from ._own import WIRE, kept

_TTLS = {
    "cache_creation_short_input_tokens": "ephemeral_5m_input_tokens",
    "cache_creation_long_input_tokens": "ephemeral_1h_input_tokens",
}


def read_usage(given: Any, pointer: str) -> TokenUsage:
    """Read a usage object; a count that is none stays as it was, and the usage is an estimate."""
    if not isinstance(given, dict):
        return TokenUsage(estimated=True)
    fields = Fields(given, pointer)
    plain, output = fields.maybe_count("input_tokens"), fields.maybe_count("output_tokens")
    read, created = fields.maybe_count("cache_read_input_tokens"), fields.maybe_count("cache_creation_input_tokens")
    short, long = _counts(fields, "cache_creation", *_TTLS.values())
    (thinking,) = _counts(fields, "output_tokens_details", "thinking_tokens")
    cache = None
    if not (read is created is short is long is None):
        cache = PromptCacheUsage(None, read, created, short, long)
    return TokenUsage(
        (plain or 0) + (read or 0) + (created or 0),
        output or 0,
        reasoning_tokens=thinking,
        prompt_cache=cache,
        estimated=plain is None or output is None,
        vendor_extensions=fields.extensions(WIRE),
    )


def _counts(fields: Fields, name: str, *inner_names: str) -> list[int | None]:
    """Take the counts of a nested object; what else it holds stays."""
    given = fields.peek(name)
    if not isinstance(given, dict):
        return [None] * len(inner_names)
    inner = Fields(given)
    counts = [inner.maybe_count(inner_name) for inner_name in inner_names]
    rest = inner.rest()
    fields.take(name)
    if rest or not given:
        fields.keep(name, rest)
    return counts


def write_usage(usage: TokenUsage, emission: Emission) -> dict[str, Any]:
    """Write a usage object."""
    cache = usage.prompt_cache or PromptCacheUsage()
    read = cache.cached_input_tokens if cache.cache_read_input_tokens is None else cache.cache_read_input_tokens
    created = cache.cache_creation_input_tokens
    counts = {name: getattr(cache, field) for field, name in _TTLS.items()}
    known = any(count is not None for count in counts.values())
    by_ttl = {name: count or 0 for name, count in counts.items()} if known else {}  # its clients want both
    out: dict[str, Any] = {}
    if not (usage.estimated and kept(usage.vendor_extensions, "input_tokens") is not None):
        out["input_tokens"] = max(0, usage.prompt_tokens - (read or 0) - (created or 0))
    if created is not None:
        out["cache_creation_input_tokens"] = created
    if read is not None:
        out["cache_read_input_tokens"] = read
    _nest(out, "cache_creation", by_ttl, usage)
    if not (usage.estimated and kept(usage.vendor_extensions, "output_tokens") is not None):
        out["output_tokens"] = usage.completion_tokens
    thinking = {} if usage.reasoning_tokens is None else {"thinking_tokens": usage.reasoning_tokens}
    _nest(out, "output_tokens_details", thinking, usage)
    if usage.total_tokens not in (None, usage.prompt_tokens + usage.completion_tokens):
        emission.lose("/usage/total_tokens", "the total is the sum here")
    return emission.lay(out, usage.vendor_extensions, "/usage")


def _nest(out: dict[str, Any], name: str, counts: dict[str, Any], usage: TokenUsage) -> None:
    known = kept(usage.vendor_extensions, name)
    if counts:
        out[name] = fill(counts, known)


_NO_REGION = ("global", "not_available")


def usage_details(usage: TokenUsage, _response: LlmResponse | None) -> UsageDetails:
    """Read what else the usage is charged by: searches, compactions, the tier of service or speed, the region."""
    own = _fields.kept(usage.vendor_extensions, WIRE)
    if not own:
        return NO_DETAILS
    tools, tier, region = own.get("server_tool_use"), own.get("service_tier"), own.get("inference_geo")
    return UsageDetails(
        searches=count_in(tools, "web_search_requests"),
        tier="fast" if own.get("speed") == "fast" else tier if isinstance(tier, str) else None,
        region=region if isinstance(region, str) and region not in _NO_REGION else None,
        passes=_passes(own.get("iterations")),
    )


def _passes(iterations: Any) -> tuple[TokenUsage, ...]:
    """Give what compacting the conversation took: the usage's own counts are those of the other iterations alone."""
    given = iterations if isinstance(iterations, list) else ()
    return tuple(read_usage(each, "") for each in given if isinstance(each, dict) and each.get("type") == "compaction")
