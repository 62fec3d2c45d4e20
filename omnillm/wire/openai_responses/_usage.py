"""Token usage of Responses: ``input_tokens`` and ``output_tokens`` already count everything.

Rules: a count that is no count stays among the rest, counts nothing and makes the usage an estimate. The API's own usage
always has its details, so they are written for every usage that came from elsewhere.
"""

from __future__ import annotations

from typing import Any

from ...types.parts import VendorPart
from ...types.response import LlmResponse
from ...types.usage import NO_DETAILS, PromptCacheUsage, TokenUsage, UsageDetails
from .._fields import Emission, Fields, count_in, fill
from ._own import WIRE, Item, kept, spelled

NO_USAGE = TokenUsage(estimated=True)

_INPUT, _OUTPUT, _WRITES = "input_tokens_details", "output_tokens_details", "cache_write_tokens_details"
_TTLS = {"cache_creation_short_input_tokens": "ttl_30m_tokens", "cache_creation_long_input_tokens": "ttl_12h_tokens"}


def read_usage(value: Any, pointer: str) -> TokenUsage:
    """Read a usage object."""
    if not isinstance(value, dict):
        return TokenUsage(estimated=True)
    fields = Fields(value, pointer)
    absent = [name for name in ("input_tokens", "output_tokens", "total_tokens") if name not in fields]
    if absent:
        fields.spell("absent", absent)
    given, output, total = (fields.maybe_count(name) for name in ("input_tokens", "output_tokens", "total_tokens"))
    (reasoning,) = _counts(fields, _OUTPUT, "reasoning_tokens")
    return TokenUsage(
        given or 0,
        output or 0,
        total,
        reasoning,
        _read_cache(fields),
        estimated=given is None or output is None,
        vendor_extensions=fields.extensions(WIRE),
    )


def _read_cache(fields: Fields) -> PromptCacheUsage | None:
    short = long = None
    details = fields.peek(_INPUT)
    if isinstance(details, dict) and isinstance(details.get(_WRITES), dict):
        inner = Fields(details)
        short, long = _counts(inner, _WRITES, *_TTLS.values())
        fields.keep(_INPUT, inner.rest())
    cached, written = _counts(fields, _INPUT, "cached_tokens", "cache_write_tokens")
    if cached is written is short is long is None:
        return None
    return PromptCacheUsage(cached, None, written, short, long)


def _counts(fields: Fields, name: str, *inner_names: str) -> list[int | None]:
    """Take the counts of a nested object; what else it holds, and an object without them, stays."""
    given = fields.peek(name)
    if not isinstance(given, dict):
        return [None] * len(inner_names)
    inner = Fields(given)
    counts = [inner.maybe_count(inner_name) for inner_name in inner_names]
    fields.take(name)
    if inner.rest() or not given:
        fields.keep(name, inner.rest())
    return counts


def write_usage(usage: TokenUsage, emission: Emission, *, ours: bool) -> Item | None:
    """Write a usage object, or ``None`` where nothing was reported; ``ours`` tells whether this wire reported it."""
    if usage == NO_USAGE:
        return None
    own, absent = kept(usage.vendor_extensions), spelled(usage.vendor_extensions).get("absent", ())
    counts = (
        ("input_tokens", usage.prompt_tokens, bool(usage.prompt_tokens)),
        ("output_tokens", usage.completion_tokens, bool(usage.completion_tokens)),
        ("total_tokens", usage.total(), usage.total_tokens is not None),
    )
    out: Item = {name: count for name, count, told in counts if name not in own and (told or name not in absent)}
    given = _write_cache(usage, emission, ours=ours)
    output: Item = {} if usage.reasoning_tokens is None else {"reasoning_tokens": usage.reasoning_tokens}
    if not ours:
        given = {"cached_tokens": 0, "cache_write_tokens": 0} | given
        output = {"reasoning_tokens": 0} | output
    for name, details in ((_INPUT, given), (_OUTPUT, output)):
        if details:
            out[name] = fill(details, own.get(name))
    return emission.lay(out, usage.vendor_extensions, "/usage")


def _write_cache(usage: TokenUsage, emission: Emission, *, ours: bool) -> Item:
    out: Item = {}
    cache = usage.prompt_cache
    if cache is None:
        return out
    cached = cache.cached_input_tokens if cache.cached_input_tokens is not None else cache.cache_read_input_tokens
    if cached is not None:
        out["cached_tokens"] = cached
    if cache.cache_creation_input_tokens is not None:
        out["cache_write_tokens"] = cache.cache_creation_input_tokens
    writes = {name: getattr(cache, field) for field, name in _TTLS.items() if getattr(cache, field) is not None}
    known = kept(usage.vendor_extensions).get(_INPUT)
    if ours and writes:
        out[_WRITES] = fill(writes, known.get(_WRITES) if isinstance(known, dict) else None)
    elif any(writes.values()):
        for field in _TTLS:
            if getattr(cache, field):
                emission.lose(f"/usage/prompt_cache/{field}", "another provider's times to live are not those of Responses")
    return out


def usage_details(usage: TokenUsage, response: LlmResponse | None) -> UsageDetails:
    """Read what else the usage is charged by: tokens by modality; of the response, its searches and the tier of service."""
    own = kept(usage.vendor_extensions)
    answered: Any = {} if response is None else kept(response.vendor_extensions)
    tier = answered.get("service_tier")
    searches = 0 if response is None else sum(_is_search(item) for item in response.output)
    if not own and not searches and tier is None:
        return NO_DETAILS
    given, output = own.get(_INPUT), own.get(_OUTPUT)
    cached = given.get("cached_tokens_details") if isinstance(given, dict) else None
    return UsageDetails(
        audio_input_tokens=count_in(given, "audio_tokens"),
        cached_audio_tokens=count_in(cached, "audio_tokens"),
        image_input_tokens=count_in(given, "image_tokens"),
        cached_image_tokens=count_in(cached, "image_tokens"),
        audio_output_tokens=count_in(output, "audio_tokens"),
        image_output_tokens=count_in(output, "image_tokens"),
        searches=searches,
        tier=tier if isinstance(tier, str) else None,
    )


def _is_search(item: object) -> bool:
    """Tell whether the provider searched the web: opening a page and finding in it are no searches."""
    if not isinstance(item, VendorPart) or item.payload.get("type") != "web_search_call":
        return False
    action = item.payload.get("action")
    return not isinstance(action, dict) or action.get("type", "search") == "search"
