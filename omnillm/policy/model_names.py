"""The names under which a model may be listed, and the provider that a name itself tells.

Providers write a model's id with what does not change the model: the path of a resource, the region of an inference profile, the
day of a snapshot, ``-latest``. Each is taken off by its own exact form, one after the other; what is left is looked up whole.
No name is ever matched by its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# whose models are found without a provider, in this order
MAKERS = (
    "openai", "anthropic", "gemini", "xai", "mistral", "deepseek", "cohere", "perplexity", "voyage", "jina", "moonshot", "zai",
    "minimax", "dashscope",
)  # fmt: skip
# where the prices of a host stand that has none of its own for a model
FALLBACKS = {
    "azure": ("openai", "anthropic", "deepseek", "xai", "mistral", "cohere"),
    "vertex": ("gemini", "anthropic"),
    "gemini": ("vertex",),
}
HOSTS = (
    "avian", "bedrock", "cerebras", "cloudflare", "fireworks", "groq", "novita", "openrouter", "ovhcloud", "together", "zhipu",
)  # fmt: skip
PROVIDERS = frozenset({*MAKERS, *FALLBACKS, *HOSTS})
_ALIASES = {
    "open_ai": "openai", "openai-chat": "openai", "azure_open_ai": "azure", "vertex_ai": "vertex", "google": "gemini",
    "aws": "bedrock", "fireworks_ai": "fireworks", "together_ai": "together", "x-ai": "xai", "mistralai": "mistral",
    "voyageai": "voyage", "jina_ai": "jina", "moonshotai": "moonshot", "z-ai": "zai", "zhipuai": "zhipu",
    "alibaba": "dashscope", "google-gla": "gemini", "google-vertex": "vertex",
    "open_ai_compatible": "", "custom": "",
}  # fmt: skip

_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:([^:/]*):[^/]*/")
_VERTEX = re.compile(r"(?:projects/[^/]+/locations/([^/]+)/)?publishers/[a-z0-9-]+/models/")
_FIREWORKS = re.compile(r"accounts/[^/]+/(?:models|routers)/")
_GEOGRAPHY = re.compile(r"(?:us-gov|us|eu|apac|jp|au|ca|in|global)\.(?=[a-z0-9]+\.)")
_VENDORS = (
    "ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen|stability"
    "|twelvelabs|writer|xai|zai"
)
_BEDROCK = re.compile(rf"(?:(?:us-gov|us|eu|apac|jp|au|ca|in|global)\.)?(?:{_VENDORS})\.(?=[a-z])")
_DAY = r"20[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]"
_SNAPSHOT = re.compile(
    r"-v[0-9]+:[0-9]+(?::[0-9]+k)?$"  # Bedrock: …-v1:0, …-v2:0:200k
    rf"|(?:-v[0-9]+)?@(?:{_DAY}|[0-9]{{3}}|latest|default)$"  # Vertex AI
    rf"|-{_DAY}$|-20[0-9]{{2}}-[01][0-9]-[0-3][0-9]$|-latest$"
)
_GEMINI_REVISION = re.compile(r"(?<=[a-z])-00[1-9]$")


_LONGEST = 512  # of an id that may be one

Place = tuple[str, str, str | None]  # a provider, an id there, and the region that the id tells


def places_in(
    providers: Mapping[str, Mapping[str, Any]], model: str, provider: str | None = None, region: str | None = None
) -> Place | None:
    """Give where a model is listed: the first provider that has it, the id there, and the region."""
    if len(model) > _LONGEST:
        return None
    for there, asked, told in _places(model.lower(), "" if provider is None else provider_named(provider), region):
        rows = providers.get(there) or {}
        for name in names(asked, there) if rows else ():
            if told is not None and f"{told}/{name}" in rows:
                return there, f"{told}/{name}", told
            if name in rows:
                return there, name, told
    return None


def _places(model: str, provider: str, region: str | None) -> Iterator[Place]:
    """Give the providers to search, with the id to search for there."""
    told = told_by(model)
    if not provider and told is not None:
        provider, model, region = told
    elif provider and told is not None and told[0] in (provider, *FALLBACKS.get(provider, ())):
        model, region = told[1], told[2] or region
    split = split_provider(model)
    if provider:
        yield from ((there, model, region) for there in (provider, *FALLBACKS.get(provider, ())))
        if split is not None and split[0] == provider:
            yield provider, split[1], region
        return
    if split is not None:
        yield from _places(split[1], split[0], region)
    else:
        yield from ((maker, model, region) for maker in MAKERS)


def provider_named(name: str) -> str:
    """Give a provider by the name that the price list has for it; ``""`` for one that says nothing of whose the models are."""
    return _ALIASES.get(name, name)


def told_by(model: str) -> Place | None:
    """Give the provider, the id and the region that an id in some provider's own form tells."""
    if (arn := _ARN.match(model)) is not None:
        return "bedrock", model[arn.end() :], arn[1] or None
    if (path := _VERTEX.match(model)) is not None:
        return "vertex", model[path.end() :], path[1]
    if _FIREWORKS.match(model) is not None:
        return "fireworks", model, None
    if _BEDROCK.match(model) is not None:
        return "bedrock", model, None
    return None


def split_provider(model: str) -> tuple[str, str] | None:
    """Take ``openai/gpt-4.1`` apart where what is before the slash is a provider of the list."""
    name, slash, rest = model.partition("/")
    provider = provider_named(name)
    return (provider, rest) if slash and rest and provider in PROVIDERS else None


def names(model: str, provider: str) -> Iterator[str]:
    """Give the names under which a provider may list a model, from the one asked for to the barest."""
    yield from _undated(model)
    if model.startswith("models/"):
        model = model.removeprefix("models/")
        yield from _undated(model)
    if provider == "fireworks":
        bare = _FIREWORKS.sub("", model, count=1)
        yield from _undated(bare if bare != model else f"accounts/fireworks/models/{model}")
    if provider == "bedrock" and (geography := _GEOGRAPHY.match(model)) is not None:
        # a profile that is not listed costs what the model does in its region: the global one less, which is listed
        yield from _undated(model[geography.end() :])
    if model.startswith("claude-") and "." in model:
        yield from _undated(model.replace(".", "-"))


def _undated(model: str) -> Iterator[str]:
    yield model
    while (snapshot := _SNAPSHOT.search(model)) is not None and snapshot.start() > 0:
        model = model[: snapshot.start()]
        yield model
    if model.startswith("gemini-") and (revision := _GEMINI_REVISION.search(model)) is not None:
        yield model[: revision.start()]
