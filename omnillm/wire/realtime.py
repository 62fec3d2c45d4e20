"""What a session's messages say of its usage, and what they weigh where nothing is said: OpenAI's Realtime, Gemini's Live.

Rules: each report is of one turn, and all of them are charged, as both providers do. The counts are those of Responses and of
generateContent under other names, and are read as those are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..types.usage import TokenUsage, UsageDetails
from .gemini import _usage as gemini
from .openai_responses import _usage as responses

CHARS_PER_TOKEN = 4
AUDIO_CHARS_PER_TOKEN = 1_700  # base64 of 16-bit PCM at 16 kHz, 25 tokens a second (Gemini, "Tokens"); OpenAI's are longer
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


def weight_of(message: Any) -> float:
    """Estimate the tokens of what a message carries: its texts and its media, and not what is around them."""
    if isinstance(message, str):
        return len(message) / CHARS_PER_TOKEN
    if isinstance(message, Mapping):
        return sum(_weight(name, value) for name, value in message.items())
    return sum(map(weight_of, message)) if isinstance(message, list) else 0.0


_CARRIED: dict[str, Callable[[str], float]] = {
    **dict.fromkeys(("text", "transcript", "instructions", "arguments", "output"), lambda text: len(text) / CHARS_PER_TOKEN),
    **dict.fromkeys(("audio", "data"), lambda text: len(text) / AUDIO_CHARS_PER_TOKEN),
}


def _weight(name: str, value: Any) -> float:
    if isinstance(value, str):
        # of a piece, "delta" is the piece: text, or audio in base64, which has no blanks and is long
        weigh = _CARRIED.get(name) or (_delta if name == "delta" else None)
        return 0.0 if weigh is None else weigh(value)
    return weight_of(value) if isinstance(value, Mapping | list) else 0.0


def _delta(piece: str) -> float:
    is_audio = len(piece) > AUDIO_CHARS_PER_TOKEN and " " not in piece
    return len(piece) / (AUDIO_CHARS_PER_TOKEN if is_audio else CHARS_PER_TOKEN)
