"""What models can do: limits, modalities, tools, reasoning, and when they are retired; from the model table of litellm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._litellm import Litellm
from ._rows import PROVIDERS

FORMAT = 1
_FLAGS = {
    "tools": "supports_function_calling",
    "parallel_tools": "supports_parallel_function_calling",
    "structured_output": "supports_response_schema",
    "reasoning": "supports_reasoning",
    "prompt_cache": "supports_prompt_caching",
    "web_search": "supports_web_search",
    "sampling": "supports_sampling_params",
}
_INPUTS = {
    "image": "supports_vision",
    "audio": "supports_audio_input",
    "video": "supports_video_input",
    "file": "supports_pdf_input",
}
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_USUAL_EFFORTS = frozenset({"low", "medium", "high"})
_MODES = {
    "chat": "chat", "responses": "chat", "completion": "completion", "embedding": "embedding", "rerank": "rerank",
    "image_generation": "image", "image_edit": "image", "audio_transcription": "transcription", "audio_speech": "speech",
    "realtime": "realtime",
}  # fmt: skip


def catalogue(litellm: Litellm, as_of: str) -> dict[str, Any]:
    """Give what is known of each model, by provider and id."""
    providers: dict[str, Any] = {}
    for provider in PROVIDERS:
        rows = {}
        for model in litellm.ids(provider):
            facts = litellm.facts(provider, model)
            if facts is not None and facts.get("mode") in _MODES and "-x-" not in model:
                rows[model] = _row(facts, provider)
        providers[provider] = rows
    source = {"litellm": {"version": litellm.version, "as_of": as_of, "credit": "litellm, Berri AI, MIT"}}
    return {"format": FORMAT, "as_of": as_of, "sources": source, "providers": providers}


def _row(facts: Mapping[str, Any], provider: str) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": _MODES[facts["mode"]]}
    for name, key in (("context_window", "max_input_tokens"), ("max_output_tokens", "max_output_tokens")):
        value = facts.get(key)
        if isinstance(value, int | float) and value > 0:
            row[name] = int(value)
    row |= {name: facts[key] for name, key in _FLAGS.items() if isinstance(facts.get(key), bool)}
    row["input"] = _inputs(facts)
    row["output"] = sorted(facts.get("supported_output_modalities") or _output(facts))
    efforts = _efforts(facts)
    if efforts:
        row["efforts"] = efforts
    if isinstance(facts.get("default_reasoning_effort"), str):
        row["default_effort"] = facts["default_reasoning_effort"]
    for name, key in (("deprecated_on", "deprecation_date"), ("successor", "successor_model")):
        value = facts.get(key)
        if isinstance(value, str):
            row[name] = _bare(value, provider)
    return row


def _inputs(facts: Mapping[str, Any]) -> list[str]:
    given = {str(each) for each in facts.get("supported_modalities") or ()}
    told = {name for name, key in _INPUTS.items() if facts.get(key) is True}
    return sorted({"text"} | given | told) if facts.get("mode") != "audio_transcription" else sorted({"audio"} | given)


def _output(facts: Mapping[str, Any]) -> list[str]:
    kind = _MODES[facts["mode"]]
    of_kind = {"image": ["image"], "speech": ["audio"], "embedding": ["embedding"], "rerank": ["score"]}
    more = ["audio"] if facts.get("supports_audio_output") is True else []
    return of_kind.get(kind, ["text", *more])


def _efforts(facts: Mapping[str, Any]) -> list[str]:
    named = facts.get("reasoning_effort_levels")
    if isinstance(named, list):
        return [effort for effort in _EFFORTS if effort in named]
    if facts.get("supports_reasoning") is not True:
        return []
    told = {effort: facts.get(f"supports_{effort}_reasoning_effort") for effort in _EFFORTS}
    if not any(isinstance(value, bool) for value in told.values()):
        return []
    return [effort for effort in _EFFORTS if told[effort] is True or (effort in _USUAL_EFFORTS and told[effort] is not False)]


def _bare(value: str, provider: str) -> str:
    for prefix in PROVIDERS[provider].prefixes:
        value = value.removeprefix(prefix)
    return value
