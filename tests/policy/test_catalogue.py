"""What models can do: found by any name, listed by a pattern."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

import omnillm
from omnillm.errors import ConfigurationError
from omnillm.policy.catalogue import ModelInfo, model_info, models

KINDS = {"chat", "completion", "embedding", "rerank", "image", "transcription", "speech", "realtime"}
ALL = list(models())


def known(model: str, provider: str | None = None) -> ModelInfo:
    info = model_info(model, provider)
    assert info is not None
    return info


def test_limits_and_abilities() -> None:
    """A model's row says how much it takes and gives, of what, and with which settings."""
    info = known("gpt-5.4")
    assert (info.context_window, info.max_output_tokens) == (1_050_000, 128_000)
    assert (info.tools, info.structured_output, info.reasoning) == (True, True, True)
    assert info.reasoning_efforts == ("none", "low", "medium", "high", "xhigh")
    assert info.default_effort == "none"
    assert {"text", "image"} <= set(info.input_modalities)
    assert info.output_modalities == ("text",)


@pytest.mark.parametrize(
    ("written", "provider", "there", "model"),
    [
        ("gpt-5.4", None, "openai", "gpt-5.4"),
        ("openai/gpt-5.4", None, "openai", "gpt-5.4"),
        ("gpt-5.4", omnillm.ProviderKind.AZURE_OPENAI, "azure", "gpt-5.4"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", None, "bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("models/gemini-2.5-pro", None, "gemini", "gemini-2.5-pro"),
        ("whisper-1", None, "openai", "whisper-1"),
    ],
)
def test_names(written: str, provider: str | None, there: str, model: str) -> None:
    """A model is found as its price is: by any name, where it is served."""
    info = known(written, provider)
    assert (info.provider, info.model) == (there, model)


def test_an_unknown_model_is_none() -> None:
    """Nothing is made up for a model that is not listed."""
    assert model_info("nobody-knows-it") is None
    assert model_info("gpt-5.4", "groq") is None


@pytest.mark.parametrize("model", [None, 4])
def test_a_model_is_named_by_a_text(model: Any) -> None:
    """What is none is refused by its name."""
    with pytest.raises(ConfigurationError, match=r"^model: expected a model's name, got "):
        model_info(model)


def test_settings_that_a_model_refuses() -> None:
    """A refusal is known, or it is not; other settings are no matter of sampling."""
    info = known("claude-opus-4-7", "bedrock" if model_info("claude-opus-4-7") is None else None)
    assert [info.refuses(name) for name in ("temperature", "top_p", "seed")] == [True, True, False]
    assert not known("gpt-4.1").refuses("temperature")


def test_retirement() -> None:
    """A model that is to be retired says when, and what comes after it."""
    retired = [info for info in ALL if info.deprecated_on is not None]
    assert retired
    assert all(dt.date.fromisoformat(info.deprecated_on or "") for info in retired)
    assert known("gpt-4.1").successor is not None


def test_every_row_is_plausible() -> None:
    """Counts are positive, kinds are those that are documented, and nothing is listed twice."""
    assert len({(info.provider, info.model) for info in ALL}) == len(ALL) > 1_500
    for info in ALL:
        assert info.kind in KINDS
        assert info.input_modalities
        assert info.output_modalities
        assert min(info.context_window or 1, info.max_output_tokens or 1) > 0


@pytest.mark.parametrize(
    ("pattern", "some", "others"),
    [
        ("openai/gpt-5.4", "gpt-5.4", ()),
        ("GPT-5.4-mini", "gpt-5.4-mini", ()),
        ("bedrock/*claude*", "anthropic.claude-haiku-4-5-20251001-v1:0", ("gpt-5.4",)),
    ],
)
def test_models_by_pattern(pattern: str, some: str, others: tuple[str, ...]) -> None:
    """A plain text is looked for anywhere, a pattern fits the whole of ``provider/model``."""
    found = {info.model for info in models(pattern)}
    assert some in found
    assert not found & set(others)
    assert not list(models("no-such-model"))


def test_the_names_at_the_root() -> None:
    """The catalogue is public."""
    assert omnillm.model_info is model_info
    assert omnillm.models is models
    assert omnillm.ModelInfo is ModelInfo
