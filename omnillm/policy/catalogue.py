"""What models can do, as data: limits, modalities, tools, reasoning, which parameters they refuse, when they are retired."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from ..types._given import wrong_type
from ..types.enums import ProviderKind
from .model_names import places_in
from .snapshot import Rows

SAMPLING_PARAMETERS = ("temperature", "top_p", "top_k")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Tell what a model can do, as of the list's day; ``None`` where the list does not say.

    ``kind`` is ``chat``, ``embedding``, ``image``, ``speech``, ``transcription``, ``rerank``, ``realtime`` or ``completion``.
    ``sampling`` is false for one that refuses ``temperature`` and its like. ``deprecated_on`` is the day it is, or was, retired.
    """

    model: str
    provider: str
    kind: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    tools: bool | None = None
    parallel_tools: bool | None = None
    structured_output: bool | None = None
    reasoning: bool | None = None
    reasoning_efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    sampling: bool | None = None
    prompt_cache: bool | None = None
    web_search: bool | None = None
    deprecated_on: str | None = None
    successor: str | None = None
    as_of: str

    def refuses(self, parameter: str) -> bool:
        """Tell whether the model is known to refuse a parameter of the generation config."""
        return self.sampling is False and parameter in SAMPLING_PARAMETERS


@cache
def _shipped() -> Rows:
    return Rows("models.jsonl.gz")


def model_info(model: str, provider: str | ProviderKind | None = None) -> ModelInfo | None:
    """Give what is known of a model, by any name that providers write it with; ``None`` for one that is not listed.

    ``provider`` is who serves it: without one, its maker.
    """
    if not isinstance(model, str):
        raise wrong_type("model", "a model's name", model)
    return _found(model, provider)


@lru_cache(maxsize=1024)
def _found(model: str, provider: str | ProviderKind | None) -> ModelInfo | None:
    found = places_in(_shipped(), model, None if provider is None else str(provider))
    return None if found is None else _info(*found[:2])


def models(pattern: str = "*") -> Iterator[ModelInfo]:
    """Give the models whose ``provider/model`` fits the pattern (``bedrock/*claude*``); a plain text is a part of it."""
    wanted = pattern.lower() if any(sign in pattern for sign in "*?[") else f"*{pattern.lower()}*"
    for provider, rows in _shipped().items():
        for name in rows:
            if fnmatch.fnmatchcase(f"{provider}/{name}", wanted):
                yield _info(provider, name)


def _info(provider: str, model: str) -> ModelInfo:
    row = dict(_shipped()[provider][model])
    return ModelInfo(
        model=model,
        provider=provider,
        input_modalities=tuple(row.pop("input")),
        output_modalities=tuple(row.pop("output")),
        reasoning_efforts=tuple(row.pop("efforts", ())),
        as_of=_shipped().head["as_of"],
        **row,
    )
