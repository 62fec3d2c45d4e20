"""The shape of the price data, and which providers it has.

A row has ``prices`` (the last that is in force counts: ``since`` a date, or between ``hours`` of the day in UTC), ``tiers`` of
service that lay rates over them, ``uplift`` per mille by region, and where it is from. A rate is a whole number of
pico-dollars a unit (of an hour, for audio), or a list of it and ``[above, rate]`` for longer prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Rates = dict[str, Any]
Row = dict[str, Any]

PICO = 10**12


@dataclass(frozen=True, slots=True)
class Provider:
    """Say under which names the sources have a provider, and what they write before its ids."""

    genai: tuple[str, ...] = ()
    litellm: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


_VERTEX = "vertex_ai vertex_ai-language-models vertex_ai-anthropic_models vertex_ai-embedding-models vertex_ai-mistral_models"
_VERTEX_MORE = (
    "vertex_ai-llama_models vertex_ai-deepseek_models vertex_ai-qwen_models vertex_ai-openai_models vertex_ai-zai_models"
)

PROVIDERS = {
    "openai": Provider(("openai",), ("openai", "text-completion-openai"), ("openai/",)),
    "anthropic": Provider(("anthropic",), ("anthropic",), ("anthropic/",)),
    "gemini": Provider(("google",), ("gemini",), ("gemini/",)),
    "vertex": Provider(("google",), tuple(_VERTEX.split() + _VERTEX_MORE.split()), ("vertex_ai/",)),
    "azure": Provider(("azure",), ("azure", "azure_ai", "azure_text"), ("azure/", "azure_ai/")),
    "bedrock": Provider(("aws",), ("bedrock", "bedrock_converse", "bedrock_mantle"), ("bedrock/", "bedrock_mantle/")),
    "avian": Provider(("avian",)),
    "cerebras": Provider(("cerebras",), ("cerebras",), ("cerebras/",)),
    "cloudflare": Provider(("cloudflare",), ("cloudflare",), ("cloudflare/",)),
    "cohere": Provider(("cohere",), ("cohere", "cohere_chat"), ("cohere/",)),
    "dashscope": Provider((), ("dashscope",), ("dashscope/",)),
    "deepseek": Provider(("deepseek",), ("deepseek",), ("deepseek/",)),
    "fireworks": Provider(("fireworks",), ("fireworks_ai", "fireworks_ai-embedding-models"), ("fireworks_ai/",)),
    "groq": Provider(("groq",), ("groq",), ("groq/",)),
    "jina": Provider((), ("jina_ai",), ("jina_ai/",)),
    "minimax": Provider(("minimax",), ("minimax",), ("minimax/",)),
    "mistral": Provider(("mistral",), ("mistral", "codestral"), ("mistral/", "codestral/")),
    "moonshot": Provider(("moonshotai",), ("moonshot",), ("moonshot/",)),
    "novita": Provider(("novita",), ("novita",), ("novita/",)),
    "openrouter": Provider(("openrouter",), (), ()),
    "ovhcloud": Provider(("ovhcloud",), ("ovhcloud",), ("ovhcloud/",)),
    "perplexity": Provider(("perplexity",), ("perplexity",), ("perplexity/",)),
    "together": Provider(("together",), ("together_ai",), ("together_ai/",)),
    "voyage": Provider(("voyageai",), ("voyage",), ("voyage/",)),
    "xai": Provider(("x-ai",), ("xai",), ("xai/",)),
    "zai": Provider(("zai",), ("zai",), ("zai/",)),
    "zhipu": Provider(("zhipuai",)),
}


def whole(usd: Fraction) -> int:
    """Give USD as pico-dollars, to the nearest."""
    return round(usd * PICO)
