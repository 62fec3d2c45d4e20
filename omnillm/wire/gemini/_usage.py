"""Usage: thoughts are counted beside the candidates here, and what tools put into the prompt beside the prompt."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ...types.response import LlmResponse
from ...types.usage import NO_DETAILS, PromptCacheUsage, TokenUsage, UsageDetails
from .. import _fields
from .._fields import Emission, count_in
from ._own import WIRE, as_spelled, kept, opened, spelling

NO_USAGE = TokenUsage(estimated=True)

_TOOLS = "toolUsePromptTokenCount"
_SNAKE = {
    "promptTokensDetails": "prompt_tokens_details",
    "toolUsePromptTokensDetails": "tool_use_prompt_tokens_details",
    "cacheTokensDetails": "cache_tokens_details",
    "candidatesTokensDetails": "candidates_tokens_details",
}


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


# what the numbers of the modality's enum mean; a document is seen page by page
_MODALITIES = {2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
_TIERS = {"ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}


def usage_details(usage: TokenUsage, _response: LlmResponse | None) -> UsageDetails:
    """Read what else the usage is charged by: tokens by modality, and the tier of service."""
    own = _fields.kept(usage.vendor_extensions, WIRE)
    if not own:
        return NO_DETAILS
    prompt, tools = _by_modality(own, "promptTokensDetails"), _by_modality(own, "toolUsePromptTokensDetails")
    cached, output = _by_modality(own, "cacheTokensDetails"), _by_modality(own, "candidatesTokensDetails")
    tier = own.get("serviceTier", own.get("service_tier")) or _TIERS.get(own.get("trafficType", ""))
    return UsageDetails(
        audio_input_tokens=prompt["AUDIO"] + tools["AUDIO"],
        cached_audio_tokens=cached["AUDIO"],
        image_input_tokens=sum(counts[kind] for counts in (prompt, tools) for kind in ("IMAGE", "DOCUMENT")),
        cached_image_tokens=cached["IMAGE"] + cached["DOCUMENT"],
        video_input_tokens=prompt["VIDEO"] + tools["VIDEO"],
        audio_output_tokens=output["AUDIO"],
        image_output_tokens=output["IMAGE"] + output["DOCUMENT"],
        video_output_tokens=output["VIDEO"],
        tier=tier.lower() if isinstance(tier, str) else None,
    )


def _by_modality(own: Any, name: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    given = own.get(name, own.get(_SNAKE[name]))
    for entry in given if isinstance(given, list) else ():
        if isinstance(entry, dict):
            modality = entry.get("modality")
            counts[_MODALITIES.get(modality, "") if type(modality) is int else str(modality)] += max(
                count_in(entry, "tokenCount"), count_in(entry, "token_count")
            )
    return counts
