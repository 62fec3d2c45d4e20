"""What the messages of sessions say of usage, in the ways in which hosts say it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from strategies import json_values

from omnillm.types.usage import PromptCacheUsage, TokenUsage, UsageDetails
from omnillm.wire.realtime import gemini_answer, gemini_report, openai_answer, openai_report, weight_of

COUNTS = {
    "total_tokens": 25,
    "input_tokens": 20,
    "output_tokens": 5,
    "input_token_details": {
        "text_tokens": 12, "audio_tokens": 8, "image_tokens": 0, "cached_tokens": 6,
        "cached_tokens_details": {"text_tokens": 2, "audio_tokens": 4},
    },
    "output_token_details": {"text_tokens": 1, "audio_tokens": 4},
}  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        {"type": "response.done", "response": {"status": "completed", "usage": COUNTS}},
        {"type": "response.done", "response": {"usage": {}}, "usage": COUNTS},
        {"type": "response.done", "response": {"usage": None}, "usage": COUNTS},
    ],
    ids=["OpenAI", "beside it", "null"],
)
def test_openais_usage_is_read(message: dict[str, Any]) -> None:
    """With its audio and its cache, wherever it stands."""
    report = openai_report(message)
    assert report is not None
    usage = report.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (20, 5, 25)
    assert usage.prompt_cache == PromptCacheUsage(cached_input_tokens=6)
    assert report.details == UsageDetails(audio_input_tokens=8, cached_audio_tokens=4, audio_output_tokens=4)
    assert report.raw == COUNTS


@pytest.mark.parametrize("name", ["response", "candidates"])
def test_geminis_usage_is_read(name: str) -> None:
    """Under both of the names that it gives to what the model said."""
    raw = {
        "promptTokenCount": 20,
        f"{name}TokenCount": 5,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 27,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}, {"modality": "AUDIO", "tokenCount": 8}],
        f"{name}TokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
    }
    report = gemini_report({"serverContent": {"turnComplete": True}, "usageMetadata": raw})
    assert report is not None
    usage = report.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens) == (20, 7, 2)
    assert report.details == UsageDetails(audio_input_tokens=8, audio_output_tokens=5)


def test_messages_without_usage_report_none() -> None:
    """An event of another type, a turn in progress, and what is no usage."""
    for message in (
        {"type": "response.created", "usage": COUNTS},
        {"type": "response.done"},
        {"type": "response.done", "usage": 5},
    ):
        assert openai_report(message) is None
    for message in ({}, {"usageMetadata": None}, {"usageMetadata": {}}, {"serverContent": {}}):
        assert gemini_report(message) is None


@pytest.mark.parametrize(
    ("message", "text", "audio"),
    [
        ({"type": "response.output_text.delta", "delta": "four"}, 1, 0),
        ({"type": "response.output_audio.delta", "delta": "A" * 3400}, 0, 2),
        ({"item": {"content": [{"type": "input_text", "text": "four"}, {"type": "input_audio", "audio": "A" * 1700}]}}, 1, 1),
        ({"realtimeInput": {"audio": {"data": "A" * 1700, "mimeType": "audio/pcm"}}}, 0, 1),
        ([1, None, {"id": "something long that is no text"}], 0, 0),
    ],
)
def test_a_message_weighs_what_it_carries(message: Any, text: float, audio: float) -> None:
    """Its texts and its audio, and not what is around them."""
    assert weight_of(message) == (text, audio)


def test_of_an_answer_the_pieces_count_once() -> None:
    """The whole that follows repeats them, and what was said comes back as an item."""
    piece = {"type": "response.output_text.delta", "delta": "x"}
    assert openai_answer(piece) == piece
    assert openai_answer({"type": "response.output_text.done", "text": "x"}) is None
    turn = {"role": "model", "parts": [{"text": "x"}]}
    assert gemini_answer({"serverContent": {"modelTurn": turn, "outputTranscription": {"text": "x"}}}) == [turn]
    assert gemini_answer({"serverContent": None, "toolCall": {"functionCalls": []}}) == [{"functionCalls": []}]


@given(json_values, json_values)
def test_whatever_comes_is_read(message: Any, usage: Any) -> None:
    """A session is not ended by a message that is none."""
    for read in (openai_report, gemini_report):
        for given_ in (
            message,
            {"type": "response.done", "response": message, "usage": usage},
            {"usageMetadata": usage, "serverContent": message},
        ):
            if isinstance(given_, dict):
                report = read(given_)
                assert report is None or isinstance(report.usage, TokenUsage)
                openai_answer(given_), gemini_answer(given_)
    weight_of(message)
