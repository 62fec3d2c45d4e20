"""Usage: ``inputTokens`` excludes what went through the cache here, the canonical count includes it."""

from __future__ import annotations

from typing import Any

from ...types.response import LlmResponse
from ...types.usage import NO_DETAILS, PromptCacheUsage, TokenUsage, UsageDetails
from .._fields import Emission, Fields
from ._own import WIRE, kept, spelled

_TTLS = {"5m": "cache_creation_short_input_tokens", "1h": "cache_creation_long_input_tokens"}
_OLD = {"cacheReadInputTokens": "cacheReadInputTokenCount", "cacheWriteInputTokens": "cacheWriteInputTokenCount"}


def read_usage(given: Any, pointer: str) -> TokenUsage:
    """Read a usage object; a count that is none stays as it was, and the usage is an estimate."""
    if not isinstance(given, dict):
        return TokenUsage(estimated=True)
    fields = Fields(given, pointer)
    plain, output = fields.maybe_count("inputTokens"), fields.maybe_count("outputTokens")
    read, written = _cached(fields, "cacheReadInputTokens"), _cached(fields, "cacheWriteInputTokens")
    by_ttl = {} if written is None else _details(fields)
    total = fields.maybe_count("totalTokens")
    if total is None:
        fields.spell("totalTokens", "")
    cache = None
    if by_ttl or not (read is written is None):
        cache = PromptCacheUsage(None, read, written, by_ttl.get("5m"), by_ttl.get("1h"))
    return TokenUsage(
        (plain or 0) + (read or 0) + (written or 0),
        output or 0,
        total,
        prompt_cache=cache,
        estimated=plain is None or output is None,
        vendor_extensions=fields.extensions(WIRE),
    )


def _cached(fields: Fields, name: str) -> int | None:
    """Take a count of cached tokens; some models have an older name beside the new one, or alone."""
    count = fields.maybe_count(name)
    if count is None and name not in fields:
        count = fields.maybe_count(_OLD[name])
        if count is not None:
            fields.spell(name, _OLD[name])
    return count


def _details(fields: Fields) -> dict[str, int]:
    """Take the counts by time to live, noting which there were and in what order; a list of any other shape stays."""
    given = fields.peek("cacheDetails")
    if not isinstance(given, list) or not given:
        return {}
    counts: dict[str, int] = {}
    for entry in given:
        match entry:
            case {"ttl": "5m" | "1h" as ttl, "inputTokens": int(count)} if len(entry) == 2 and count >= 0 and ttl not in counts:
                if isinstance(count, bool):
                    return {}
                counts[ttl] = count
            case _:
                return {}
    fields.take("cacheDetails")
    if list(counts) != list(_TTLS):
        fields.spell("cacheDetails", list(counts))
    return dict.fromkeys(_TTLS, 0) | counts


def write_usage(usage: TokenUsage, emission: Emission) -> dict[str, Any]:
    """Write a usage object."""
    cache, extensions = usage.prompt_cache or PromptCacheUsage(), usage.vendor_extensions
    read = cache.cached_input_tokens if cache.cache_read_input_tokens is None else cache.cache_read_input_tokens
    counts = _by_ttl(cache, spelled(extensions, "cacheDetails"))
    written = cache.cache_creation_input_tokens
    if written is None and counts:
        written = sum(counts.values())
    out: dict[str, Any] = {}
    if not (usage.estimated and kept(extensions, "inputTokens") is not None):
        out["inputTokens"] = max(0, usage.prompt_tokens - (read or 0) - (written or 0))
    if not (usage.estimated and kept(extensions, "outputTokens") is not None):
        out["outputTokens"] = usage.completion_tokens
    if usage.total_tokens is not None or spelled(extensions, "totalTokens") is None:
        out["totalTokens"] = usage.total()
    for name, count in (("cacheReadInputTokens", read), ("cacheWriteInputTokens", written)):
        if count is not None:
            out[spelled(extensions, name) or name] = count
    if counts:
        out["cacheDetails"] = [{"ttl": ttl, "inputTokens": count} for ttl, count in counts.items()]
    if usage.reasoning_tokens is not None:
        emission.lose("/usage/reasoning_tokens", "what reasoning took of the output is not told apart here")
    return emission.lay(out, extensions, "/usage")


def _by_ttl(cache: PromptCacheUsage, order: Any) -> dict[str, int]:
    """Give the counts by time to live: those there were, in their order, then any other that is not 0."""
    counts = {ttl: getattr(cache, field) for ttl, field in _TTLS.items()}
    named = [ttl for ttl in order if ttl in counts] if isinstance(order, list) else list(counts)
    order = named + [ttl for ttl, count in counts.items() if ttl not in named and count]
    return {ttl: counts[ttl] for ttl in order if counts[ttl] is not None}


def usage_details(_usage: TokenUsage, response: LlmResponse | None) -> UsageDetails:
    """Read what else a response is charged by: its tier of service."""
    given = None if response is None else kept(response.vendor_extensions, "serviceTier")
    tier = given.get("type") if isinstance(given, dict) else None
    return UsageDetails(tier=tier) if isinstance(tier, str) else NO_DETAILS
