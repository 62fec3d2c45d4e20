"""What a session's messages say of its usage, and what they weigh where nothing is said: OpenAI's Realtime, Gemini's Live.

Rules: each report is of one turn, and all of them are charged, as both providers do. The counts are those of Responses and of
generateContent under other names, and are read as those are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..types.usage import TokenUsage, UsageDetails
from .gemini import _usage as gemini
from .openai_responses import _usage as responses

CHARS_PER_TOKEN = 4
SHORTEST_AUDIO = 256  # characters of a piece: some milliseconds
AUDIO_CHARS_PER_TOKEN = 1_700  # base64 of 16-bit PCM at 16 kHz, 25 tokens a second (Gemini, "Tokens"); OpenAI's are longer
_TEXTS = frozenset({"text", "transcript", "instructions", "arguments", "output"})
_AUDIO = frozenset({"audio", "data"})
_RESPONSES = {"input_token_details": "input_tokens_details", "output_token_details": "output_tokens_details"}
_GEMINI = {"responseTokenCount": "candidatesTokenCount", "responseTokensDetails": "candidatesTokensDetails"}


@dataclass(frozen=True, slots=True)
class Report:
    """Hold what a message reports: the counts, what else is charged by them, and the report as it stands there."""

    usage: TokenUsage
    details: UsageDetails
    raw: dict[str, Any]


def openai_report(message: Mapping[str, Any]) -> Report | None:
    """Read the usage of a ``response.done``, ``None`` for any other event; some hosts have it beside the response."""
    if message.get("type") != "response.done":
        return None
    response = message.get("response")
    within = response.get("usage") if isinstance(response, dict) else None
    raw = next((found for found in (within, message.get("usage")) if isinstance(found, dict) and found), None)
    if raw is None:
        return None
    usage = responses.read_usage({_RESPONSES.get(name, name): value for name, value in raw.items()}, "/usage")
    return Report(usage, responses.usage_details(usage, None), raw)


def gemini_report(message: Mapping[str, Any]) -> Report | None:
    """Read the ``usageMetadata`` of a message, ``None`` where it has none."""
    raw = message.get("usageMetadata")
    if not isinstance(raw, dict) or not raw:
        return None
    usage = gemini.read_usage({_GEMINI.get(name, name): value for name, value in raw.items()}, "/usageMetadata")
    return Report(usage, gemini.usage_details(usage, None), raw)


def openai_answer(message: Mapping[str, Any]) -> Any:
    """Give what an event has of an answer: the pieces alone, for the whole repeats them; a transcript of the user's is none."""
    kind = str(message.get("type", ""))
    return message if kind.startswith("response.") and kind.endswith(".delta") else None


def gemini_answer(message: Mapping[str, Any]) -> Any:
    """Give what a message has of an answer: what the model says, and the tools that it calls."""
    content = message.get("serverContent")
    turn = content.get("modelTurn") if isinstance(content, dict) else None
    return [part for part in (turn, message.get("toolCall")) if part is not None]


def weight_of(message: Any) -> tuple[float, float]:
    """Estimate the tokens of what a message carries, those of its texts and those of its audio, and not what is around them."""
    text = audio = 0.0
    for name, value in _leaves(message):
        if name in _TEXTS or (name == "delta" and not _is_audio(value)):
            text += len(value) / CHARS_PER_TOKEN
        elif name in _AUDIO or name == "delta":
            audio += len(value) / AUDIO_CHARS_PER_TOKEN
    return text, audio


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)


def _is_audio(piece: str) -> bool:
    """Tell a piece of audio in base64, which is long and has no blanks, from one of a text."""
    return len(piece) > SHORTEST_AUDIO and " " not in piece
