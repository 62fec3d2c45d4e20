"""What a call of an endpoint is billed for, before it is made and after: tokens where they are counted, and other units.

Contract: ``expected`` is what is reserved, ``reported`` what is settled; what a provider does not report is what was expected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..policy.pricing import Cost, ModelPrice
from ..types.media import (
    AUDIO_BYTES_PER_SECOND,
    AUDIO_TOKENS_PER_SECOND,
    AudioSpeechRequest,
    AudioSpeechResponse,
    AudioTranscriptionRequest,
    AudioTranscriptionResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageGenerationRequest,
    ImageGenerationResponse,
    RerankRequest,
    RerankResponse,
)
from ..types.usage import NO_DETAILS, TokenUsage, UsageDetails

DOCUMENTS_PER_SEARCH = 100  # Cohere, "Pricing", rerank: a search is a query with up to 100 documents


@dataclass(frozen=True, slots=True)
class Bill:
    """Say what a call takes: tokens of prompt and output, and what else is counted."""

    usage: TokenUsage
    details: UsageDetails


def charge(price: ModelPrice, bill: Bill) -> Cost:
    """Give what a bill comes to."""
    return price.cost(bill.usage, bill.details)


def expected(request: Any, size: int) -> Bill:
    """Give what a request, which is sent as that many bytes, will be billed for, at the most that is likely."""
    return _EXPECTED[type(request)](request, size)


def reported(request: Any, response: Any, estimate: Bill) -> Bill:
    """Give what a call is billed for, by its answer."""
    return _REPORTED[type(response)](request, response, estimate)


def _estimated(prompt: int, output: int = 0) -> TokenUsage:
    return TokenUsage(prompt, output, estimated=True)


def _expect_embeddings(request: EmbeddingRequest, _size: int) -> Bill:
    return Bill(_estimated(request.estimated_prompt_tokens()), NO_DETAILS)


def _expect_images(request: ImageGenerationRequest, _size: int) -> Bill:
    usage = _estimated(request.estimated_prompt_tokens(), request.estimated_output_tokens())
    return Bill(usage, UsageDetails(images=1 if request.n is None else max(request.n, 1)))


def picture_names(request: ImageGenerationRequest, model: str) -> tuple[str, str]:
    """Name what the price list may have in the model's place: its pictures of a quality and size, the usual ones where unset."""
    size = (request.size or "1024x1024").replace("x", "-x-")
    return f"{request.quality or 'standard'}/{size}/{model}", f"{size}/{model}"


def _expect_transcript(request: AudioTranscriptionRequest, size: int) -> Bill:
    seconds = size / AUDIO_BYTES_PER_SECOND
    tokens = round(seconds * AUDIO_TOKENS_PER_SECOND) + 1
    return Bill(_estimated(tokens + len(request.prompt or "") // 4, tokens), UsageDetails(audio_seconds=seconds))


def _expect_speech(request: AudioSpeechRequest, _size: int) -> Bill:
    usage = _estimated(request.estimated_prompt_tokens(), request.estimated_output_tokens())
    return Bill(usage, UsageDetails(characters=len(request.input)))


def _expect_ranking(request: RerankRequest, _size: int) -> Bill:
    searches = -(-len(request.documents) // DOCUMENTS_PER_SEARCH) or 1
    return Bill(_estimated(request.estimated_prompt_tokens()), UsageDetails(searches=searches))


_EXPECTED: dict[type, Callable[[Any, int], Bill]] = {
    EmbeddingRequest: _expect_embeddings,
    ImageGenerationRequest: _expect_images,
    AudioTranscriptionRequest: _expect_transcript,
    AudioSpeechRequest: _expect_speech,
    RerankRequest: _expect_ranking,
}


def _embeddings(_request: Any, response: EmbeddingResponse, estimate: Bill) -> Bill:
    usage = response.usage
    if usage is None or not (usage.prompt_tokens or usage.total()):
        return estimate
    return Bill(TokenUsage(usage.prompt_tokens or usage.total(), 0), NO_DETAILS)


def _images(_request: Any, response: ImageGenerationResponse, estimate: Bill) -> Bill:
    made = sum(image.url is not None or image.b64_json is not None for image in response.data)  # none of those filtered
    return Bill(response.usage or estimate.usage, UsageDetails(images=made))


def _transcript(_request: Any, response: AudioTranscriptionResponse, estimate: Bill) -> Bill:
    seconds = _billed_seconds(response)
    if seconds is None:
        return Bill(response.usage or estimate.usage, estimate.details)
    told = round(seconds * AUDIO_TOKENS_PER_SECOND) + 1
    return Bill(response.usage or _estimated(told, -(-len(response.text) // 4)), UsageDetails(audio_seconds=seconds))


def _billed_seconds(response: AudioTranscriptionResponse) -> float | None:
    """Give the length that was billed, where it was told, or else that of the recording."""
    for kept in response.vendor_extensions.values():
        usage = kept.get("usage") if isinstance(kept, dict) else None
        seconds = usage.get("seconds") if isinstance(usage, dict) else None
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e7:
            return seconds
    return response.duration if response.duration is not None and 0 <= response.duration < 1e7 else None


def _speech(_request: Any, response: AudioSpeechResponse, estimate: Bill) -> Bill:
    return Bill(response.usage or estimate.usage, estimate.details)


def _ranking(_request: Any, response: RerankResponse, estimate: Bill) -> Bill:
    usage = response.usage
    if usage is None:
        return estimate
    tokens = usage.prompt_tokens if usage.prompt_tokens is not None else usage.total_tokens
    searches = estimate.details.searches if usage.search_units is None else usage.search_units
    return Bill(estimate.usage if tokens is None else TokenUsage(tokens, 0), UsageDetails(searches=searches))


_REPORTED: dict[type, Callable[[Any, Any, Bill], Bill]] = {
    EmbeddingResponse: _embeddings,
    ImageGenerationResponse: _images,
    AudioTranscriptionResponse: _transcript,
    AudioSpeechResponse: _speech,
    RerankResponse: _ranking,
}
