"""Several turns added up."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterable, Sequence

from ..policy.pricing import Cost
from ..types.response import LlmResponse
from ..types.usage import PromptCacheUsage, TokenUsage


def usage_in_all(usages: Iterable[TokenUsage]) -> TokenUsage:
    """Add token counts up; ``estimated`` where one of them is."""
    return functools.reduce(_both, usages, TokenUsage())


def cost_in_all(responses: Sequence[LlmResponse]) -> Cost | None:
    """Add costs up; ``None`` where one of them is not known."""
    costs = [response.cost for response in responses]
    return None if None in costs else functools.reduce(operator.add, costs, Cost())


def _both(one: TokenUsage, other: TokenUsage) -> TokenUsage:
    return TokenUsage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.total() + other.total(),
        reasoning_tokens=_sum(one.reasoning_tokens, other.reasoning_tokens),
        prompt_cache=_both_caches(one.prompt_cache, other.prompt_cache),
        estimated=one.estimated or other.estimated,
    )


def _both_caches(one: PromptCacheUsage | None, other: PromptCacheUsage | None) -> PromptCacheUsage | None:
    if one is None or other is None:
        return one or other
    names = [field.name for field in dataclasses.fields(PromptCacheUsage)]
    return PromptCacheUsage(**{name: _sum(getattr(one, name), getattr(other, name)) for name in names})


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
