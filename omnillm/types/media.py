"""Images and audio: what is asked and what is answered, whatever the provider's form of it; and every request of every endpoint.

Bytes, a path or an open file stand wherever a file is expected; after construction the fields hold what their annotations name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import ConfigurationError
from ._content import Content, ContentField, checked_content, named
from ._given import FLAG, MAPPING, MAYBE_INTEGER, MAYBE_NUMBER, MAYBE_TEXT, TEXT, Kinds, check_types, each_of, put
from ._model import Model
from .request import LlmRequest
from .response import NO_META, LlmResponse, Metered, ResponseMeta
from .retrieval import (
    EmbeddingInput,
    EmbeddingRequest,
    EmbeddingResponse,
    EmbeddingUsage,
    EmbeddingVector,
    RerankDocument,
    RerankRequest,
    RerankResponse,
    RerankResult,
    RerankUsage,
    text_tokens,
)
from .usage import TokenUsage

IMAGE_OUTPUT_TOKENS = {"low": 408, "medium": 1_584, "high": 6_240}  # of the largest size (OpenAI, "Image generation", cost)
AUDIO_BYTES_PER_SECOND = 4_000  # 32 kbit/s: what is compressed less is shorter than it is taken for
AUDIO_TOKENS_PER_SECOND = 13  # 375 tokens for 29 s of speech (Mistral), 37 for 3.7 s (OpenAI)
SPOKEN_CHARACTERS_PER_SECOND = 15
SPEECH_TOKENS_PER_SECOND = 21  # 1 250 a minute (OpenAI, gpt-4o-mini-tts: 12 USD a million tokens, about 0.015 USD a minute)


# --- images ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImageInput(Model):
    """Be an image to edit: bytes, a path or an open file; or where the provider finds it, by ``url`` or ``file_id``."""

    filename: str | None = None
    data: ContentField | None = None
    media_type: str | None = None
    url: str | None = field(default=None, kw_only=True)
    file_id: str | None = field(default=None, kw_only=True)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        texts = dict.fromkeys(("filename", "media_type", "url", "file_id"), MAYBE_TEXT)
        check_types(self, {**texts, "vendor_extensions": MAPPING})
        if self.data is not None:
            _name_content(self, "image")
        elif self.url is None and self.file_id is None and not self.vendor_extensions:
            raise ConfigurationError("data: expected bytes, a Path, an open file, or a url or file_id", field="data")

    @classmethod
    def of(cls, content: Content) -> ImageInput:
        """Make one of bytes, a path or an open file, named by what it is."""
        return cls(data=content)


def _name_content(value: Any, fallback: str) -> None:
    """Hold the content as it is kept, and fill in the name and the media type that it tells."""
    content = checked_content("data", value.data)
    name, media_type = named(content, fallback)
    put(value, "data", content)
    if value.filename is None:
        put(value, "filename", name)
    if value.media_type is None:
        put(value, "media_type", media_type)


def _image_input(value: Any) -> ImageInput | None:
    try:
        return ImageInput.of(checked_content("images", value))
    except ConfigurationError:
        return None


@dataclass(frozen=True, slots=True)
class ImageGenerationRequest(Model):
    """Ask for images of a prompt; with ``images``, for edits of them, within the transparent part of ``mask``."""

    prompt: str
    model: str | None = None
    size: str | None = None
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    output_format: str | None = None
    n: int | None = None
    images: tuple[ImageInput, ...] = field(default=(), kw_only=True)
    mask: ImageInput | None = field(default=None, kw_only=True)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    if TYPE_CHECKING:

        def __init__(  # noqa: PLR0917  # in the order of the fields
            self,
            prompt: str,
            model: str | None = None,
            size: str | None = None,
            quality: str | None = None,
            style: str | None = None,
            background: str | None = None,
            output_format: str | None = None,
            n: int | None = None,
            *,
            images: ImageInput | Content | Iterable[ImageInput | Content] = (),
            mask: ImageInput | Content | None = None,
            vendor_extensions: dict[str, Any] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        check_types(self, _IMAGE_FIELDS)
        put(self, "images", each_of(_one_or_more(self.images), "images", ImageInput, _image_input, _FILES))
        if self.mask is not None and not isinstance(self.mask, ImageInput):
            put(self, "mask", ImageInput.of(checked_content("mask", self.mask)))

    def estimated_prompt_tokens(self) -> int:
        """Estimate the tokens of the prompt and of the images that are edited."""
        return text_tokens(self.prompt) + 1_000 * (len(self.images) + (self.mask is not None))

    def estimated_output_tokens(self) -> int:
        """Estimate the tokens of the images to come, at their largest."""
        each = IMAGE_OUTPUT_TOKENS.get(self.quality or "", IMAGE_OUTPUT_TOKENS["high"])
        return each * (1 if self.n is None else max(self.n, 1))

    def estimated_tokens(self) -> int:
        """Estimate the tokens of prompt and output."""
        return self.estimated_prompt_tokens() + self.estimated_output_tokens()


_FILES = "ImageInputs, bytes, Paths or open files"


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


_IMAGE_FIELDS: Kinds = {
    "prompt": TEXT,
    **dict.fromkeys(("model", "size", "quality", "style", "background", "output_format"), MAYBE_TEXT),
    "n": MAYBE_INTEGER,
    "vendor_extensions": MAPPING,
}


@dataclass(frozen=True, slots=True)
class GeneratedImage(Model):
    """Be one image: where it is, or its bytes in base64."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None
    media_type: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class ImageGenerationResponse(Metered, Model):
    """Hold the images; ``created`` is Unix time, 0 where the provider said none."""

    _not_in_json: ClassVar[frozenset[str]] = frozenset({"meta"})

    created: int
    data: tuple[GeneratedImage, ...]
    usage: TokenUsage | None = field(default=None, kw_only=True)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)
    meta: ResponseMeta = field(default=NO_META, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if type(self.data) is not tuple:
            put(self, "data", tuple(self.data))


# --- audio --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AudioInput(Model):
    """Be a recording: its name, by which providers know its format, and bytes, a path or an open file."""

    filename: str | None = None
    data: ContentField = None
    media_type: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, {"filename": MAYBE_TEXT, "media_type": MAYBE_TEXT, "vendor_extensions": MAPPING})
        _name_content(self, "audio")

    @classmethod
    def of(cls, content: Content) -> AudioInput:
        """Make one of bytes, a path or an open file, named by what it is."""
        return cls(data=content)


@dataclass(frozen=True, slots=True)
class AudioTranscriptionRequest(Model):
    """Ask for the words of a recording, or, where it should ``translate``, for what they mean in English.

    ``audio`` takes bytes, a path or an open file too.
    """

    model: str
    audio: AudioInput
    prompt: str | None = None
    response_format: str | None = None
    language: str | None = None
    temperature: float | None = None
    timestamp_granularities: tuple[str, ...] = ()
    translate: bool = field(default=False, kw_only=True)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    if TYPE_CHECKING:

        def __init__(  # noqa: PLR0917  # in the order of the fields
            self,
            model: str,
            audio: AudioInput | Content,
            prompt: str | None = None,
            response_format: str | None = None,
            language: str | None = None,
            temperature: float | None = None,
            timestamp_granularities: Iterable[str] = (),
            *,
            translate: bool = False,
            vendor_extensions: dict[str, Any] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        check_types(self, _TRANSCRIPTION_FIELDS)
        if not isinstance(self.audio, AudioInput):
            put(self, "audio", AudioInput.of(checked_content("audio", self.audio)))
        stamps = each_of(self.timestamp_granularities, "timestamp_granularities", str, expected="texts", lone=True)
        put(self, "timestamp_granularities", stamps)

    def estimated_prompt_tokens(self) -> int:
        """Estimate the tokens of the prompt and, of a recording given as bytes, those of its length."""
        data = self.audio.data
        seconds = len(data) / AUDIO_BYTES_PER_SECOND if isinstance(data, bytes) else 0
        return text_tokens(self.prompt or "") + round(seconds * AUDIO_TOKENS_PER_SECOND)

    def estimated_tokens(self) -> int:
        """Estimate the tokens of recording and words."""
        return 2 * self.estimated_prompt_tokens()


_TRANSCRIPTION_FIELDS: Kinds = {
    "model": TEXT,
    "prompt": MAYBE_TEXT,
    "response_format": MAYBE_TEXT,
    "language": MAYBE_TEXT,
    "temperature": MAYBE_NUMBER,
    "translate": FLAG,
    "vendor_extensions": MAPPING,
}


@dataclass(frozen=True, slots=True)
class AudioSegment(Model):
    """Be a stretch of a transcript, in seconds from the beginning."""

    start: float
    end: float
    text: str
    speaker: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class TranscribedWord(Model):
    """Be a word of a transcript, in seconds from the beginning."""

    word: str
    start: float
    end: float
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class AudioTranscriptionResponse(Metered, Model):
    """Hold the words of a recording; ``text`` of a transcript that was asked for as SRT or VTT is that file's."""

    _not_in_json: ClassVar[frozenset[str]] = frozenset({"meta"})

    text: str
    language: str | None = None
    duration: float | None = None
    segments: tuple[AudioSegment, ...] = ()
    words: tuple[TranscribedWord, ...] = ()
    usage: TokenUsage | None = field(default=None, kw_only=True)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)
    meta: ResponseMeta = field(default=NO_META, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("segments", "words"):
            if type(getattr(self, name)) is not tuple:
                put(self, name, tuple(getattr(self, name)))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class AudioSpeechRequest(Model):
    """Ask for a text to be spoken."""

    model: str
    input: str
    voice: str
    response_format: str | None = None
    speed: float | None = None
    instructions: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, _SPEECH_FIELDS)

    def estimated_prompt_tokens(self) -> int:
        """Estimate the tokens of the text."""
        return text_tokens(self.input) + text_tokens(self.instructions or "")

    def estimated_output_tokens(self) -> int:
        """Estimate the tokens of the audio, by the time that it takes to say it."""
        seconds = len(self.input) / SPOKEN_CHARACTERS_PER_SECOND / max(self.speed or 1.0, 0.25)
        return round(seconds * SPEECH_TOKENS_PER_SECOND)

    def estimated_tokens(self) -> int:
        """Estimate the tokens of text and audio."""
        return self.estimated_prompt_tokens() + self.estimated_output_tokens()


_SPEECH_FIELDS: Kinds = {
    "model": TEXT,
    "input": TEXT,
    "voice": TEXT,
    "response_format": MAYBE_TEXT,
    "speed": MAYBE_NUMBER,
    "instructions": MAYBE_TEXT,
    "vendor_extensions": MAPPING,
}


@dataclass(frozen=True, slots=True)
class AudioSpeechResponse(Metered, Model):
    """Hold what was spoken."""

    _not_in_json: ClassVar[frozenset[str]] = frozenset({"meta"})

    audio: bytes
    media_type: str | None = None
    usage: TokenUsage | None = field(default=None, kw_only=True)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)
    meta: ResponseMeta = field(default=NO_META, compare=False, repr=False, kw_only=True)

    def __repr__(self) -> str:
        return f"AudioSpeechResponse({len(self.audio)} bytes, media_type={self.media_type!r})"


ApiRequest = (
    LlmRequest | EmbeddingRequest | ImageGenerationRequest | AudioTranscriptionRequest | AudioSpeechRequest | RerankRequest
)
ApiResponse = (
    LlmResponse | EmbeddingResponse | ImageGenerationResponse | AudioTranscriptionResponse | AudioSpeechResponse | RerankResponse
)

__all__ = [
    "ApiRequest",
    "ApiResponse",
    "AudioInput",
    "AudioSegment",
    "AudioSpeechRequest",
    "AudioSpeechResponse",
    "AudioTranscriptionRequest",
    "AudioTranscriptionResponse",
    "EmbeddingInput",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "EmbeddingUsage",
    "EmbeddingVector",
    "GeneratedImage",
    "ImageGenerationRequest",
    "ImageGenerationResponse",
    "ImageInput",
    "RerankDocument",
    "RerankRequest",
    "RerankResponse",
    "RerankResult",
    "RerankUsage",
    "TranscribedWord",
]
