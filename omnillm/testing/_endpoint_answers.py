"""What the local provider answers at the endpoints that do not generate text: derived from what it was sent, the same every time.

An embedding is the sum of its words' directions, so that texts with words in common are near each other; a ranking goes by shared
words; speech is silence whose file says what was spoken, which its transcription gives back.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

from ..types._content import read_content
from ..types.enums import HostFormat, WireFormat
from ..types.media import (
    AudioSegment,
    AudioSpeechRequest,
    AudioSpeechResponse,
    AudioTranscriptionRequest,
    AudioTranscriptionResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    EmbeddingUsage,
    EmbeddingVector,
    GeneratedImage,
    ImageGenerationRequest,
    ImageGenerationResponse,
    RerankDocument,
    RerankRequest,
    RerankResponse,
    RerankResult,
    RerankUsage,
    TranscribedWord,
)
from ..types.usage import TokenUsage
from ..wire._fields import SPELLING, Wire, spelling

DIMENSIONS = 8
SECONDS_PER_WORD = 0.5
_RATE = 8_000  # samples a second
_SAID = b"ICMT"  # the comment of a RIFF file
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Give the words of a text, in small letters."""
    return _WORD.findall(text.lower())


# --- embeddings ---------------------------------------------------------------------------------------------------------------


def vector_of(text: str, dimensions: int) -> tuple[float, ...]:
    """Give a text's direction, in numbers that single precision holds."""
    sums = [0.0] * dimensions
    for word in words_of(text) or [text]:
        for i in range(dimensions):
            digest = hashlib.sha256(f"{i} {word}".encode()).digest()
            sums[i] += int.from_bytes(digest[:4], "little") / 2**31 - 1
    length = math.sqrt(sum(value * value for value in sums)) or 1.0
    packed = struct.pack(f"<{dimensions}f", *(value / length for value in sums))
    return struct.unpack(f"<{dimensions}f", packed)


def embeddings(request: EmbeddingRequest, wire: Wire) -> EmbeddingResponse:
    """Embed the inputs, in the form that was asked for."""
    dimensions = request.dimensions or DIMENSIONS
    asked = request.encoding_format or "float"
    spelled: dict[str, Any] = {"embedding": "f"} if asked == "base64" else {}
    extensions = {wire.value: {SPELLING: spelled}} if spelled else {}
    texts = [item.text if item.text is not None else str(item.tokens) for item in request.input]
    vectors = [EmbeddingVector(i, vector_of(text, dimensions), vendor_extensions=extensions) for i, text in enumerate(texts)]
    tokens = sum(len(words_of(text)) for text in texts)
    form = {"form": spelling(request.vendor_extensions, wire).get("form"), "embeddings": asked}
    kept = {wire.value: {SPELLING: form}}
    return EmbeddingResponse(request.model, tuple(vectors), EmbeddingUsage(tokens, tokens), vendor_extensions=kept)


# --- images -------------------------------------------------------------------------------------------------------------------


def picture(text: str) -> bytes:
    """Draw one dot in the text's colour, as PNG."""
    colour = hashlib.sha256(text.encode()).digest()[:3]
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + colour)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def images(request: ImageGenerationRequest, wire: Wire) -> ImageGenerationResponse:
    """Draw what the prompt says, and each a little otherwise."""
    count = request.n or 1
    drawn = [base64.b64encode(picture(f"{i} {request.prompt}")).decode("ascii") for i in range(count)]
    prompt = len(words_of(request.prompt)) + 100 * len(request.images)
    usage = TokenUsage(prompt, 272 * count, prompt + 272 * count)
    kind = "image/png" if wire is HostFormat.GOOGLE_IMAGES else None
    return ImageGenerationResponse(0, tuple(GeneratedImage(b64_json=data, media_type=kind) for data in drawn), usage=usage)


# --- audio --------------------------------------------------------------------------------------------------------------------


def recording(text: str) -> bytes:
    """Give silence as long as it takes to say the text, with the text as the file's comment, as WAV."""
    samples = bytes(2 * round(_RATE * SECONDS_PER_WORD * len(words_of(text))))
    said = text.encode() + b"\0" * (1 + (len(text.encode()) + 1) % 2)
    info = b"INFO" + _SAID + struct.pack("<I", len(said)) + said
    form = struct.pack("<HHIIHH", 1, 1, _RATE, 2 * _RATE, 2, 16)
    chunks = ((b"fmt ", form), (b"LIST", info), (b"data", samples))
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def heard(data: bytes, filename: str) -> str:
    """Give what a recording says: what it was made of, or what is known of it."""
    at = data.find(_SAID)
    if not data.startswith(b"RIFF") or at < 0 or len(data) < at + 8:
        return f"{len(data)} bytes of {filename}"
    size = struct.unpack_from("<I", data, at + 4)[0]
    return data[at + 8 : at + 8 + size].rstrip(b"\0").decode("utf-8", "replace")


def transcript(request: AudioTranscriptionRequest, _wire: Wire) -> AudioTranscriptionResponse:
    """Write down a recording, with times where they were asked for."""
    text = heard(read_content(request.audio.data), request.audio.filename or "audio")
    if request.translate:
        text = f"in English: {text}"
    words = text.split()
    duration = SECONDS_PER_WORD * len(words)
    usage = TokenUsage(max(round(duration * 10), 1), len(words), max(round(duration * 10), 1) + len(words))
    asked, stamps = request.response_format or "json", request.timestamp_granularities
    if asked not in ("verbose_json", "diarized_json"):
        return AudioTranscriptionResponse(text, usage=usage)
    segment = AudioSegment(0.0, duration, text, "A" if asked == "diarized_json" else None)
    timed = [TranscribedWord(word, SECONDS_PER_WORD * i, SECONDS_PER_WORD * (i + 1)) for i, word in enumerate(words)]
    return AudioTranscriptionResponse(
        text,
        request.language or "english",
        duration,
        (segment,) if "segment" in stamps or not stamps else (),
        tuple(timed) if "word" in stamps else (),
        usage=usage,
    )


def speech(request: AudioSpeechRequest, _wire: Wire) -> AudioSpeechResponse:
    """Say a text."""
    count = len(words_of(request.input))
    return AudioSpeechResponse(recording(request.input), "audio/wav", usage=TokenUsage(count, 10 * count, 11 * count))


# --- rerank -------------------------------------------------------------------------------------------------------------------


def ranking(request: RerankRequest, wire: Wire) -> RerankResponse:
    """Order the documents by the share of the query's words that they have."""
    asked = set(words_of(request.query))
    texts = [document.text or str(document.vendor_extensions) for document in request.documents]
    scores = [len(asked & set(words_of(text))) / max(len(asked), 1) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: (-scores[i], i))[: request.top_n]
    gives = request.return_documents
    results = [RerankResult(i, scores[i], RerankDocument(texts[i]) if gives else None) for i in order]
    if wire is WireFormat.COHERE_RERANK:
        return RerankResponse("", tuple(results), RerankUsage(search_units=1))
    tokens = sum(len(words_of(text)) + len(asked) for text in texts)
    return RerankResponse(request.model, tuple(results), RerankUsage(total_tokens=tokens))


ANSWERS: dict[type, Callable[[Any, Wire], Any]] = {
    EmbeddingRequest: embeddings,
    ImageGenerationRequest: images,
    AudioTranscriptionRequest: transcript,
    AudioSpeechRequest: speech,
    RerankRequest: ranking,
}
