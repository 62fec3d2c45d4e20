"""The typed shorthands of the endpoints that do not generate text, which ``Gateway`` inherits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict, Unpack, overload

from .._cancel import CancellationToken
from .._clock import seconds_of
from .._late import importing
from ..errors import ConfigurationError
from ..types.request import LlmRequest
from .core import Core

if TYPE_CHECKING:
    from ..types.media import (
        ApiRequest,
        ApiResponse,
        AudioInput,
        AudioSpeechRequest,
        AudioSpeechResponse,
        AudioTranscriptionRequest,
        AudioTranscriptionResponse,
        EmbeddingInput,
        EmbeddingRequest,
        EmbeddingResponse,
        ImageGenerationRequest,
        ImageGenerationResponse,
        ImageInput,
        RerankDocument,
        RerankRequest,
        RerankResponse,
    )
    from ..types.response import LlmResponse

Seconds = float | timedelta
File = bytes | Path | str | BinaryIO
DEFAULT_VOICE = "alloy"


class RequestOptions(TypedDict, total=False):
    """Name what every call of an endpoint takes: a deadline (seconds), what ends it, and whose budget it is on."""

    timeout: Seconds | None
    cancel: CancellationToken | None
    tenant: str | None


class Endpoints:
    """Give a gateway its shorthands: each takes its request, or what makes one.

    ``model`` is the gateway's default where it is not given. ``timeout`` (seconds), ``cancel`` and ``tenant`` are as for
    ``call``; so are keys, windows, budgets, retries and fallbacks, of the endpoints that have such a one. Raises
    ``UnsupportedFeatureError``, before anything is sent, where none has.
    """

    __slots__ = ()

    _core: Core
    call: Callable[..., LlmResponse]

    @overload
    def request(self, api_request: LlmRequest, **options: Unpack[RequestOptions]) -> LlmResponse: ...
    @overload
    def request(self, api_request: EmbeddingRequest, **options: Unpack[RequestOptions]) -> EmbeddingResponse: ...
    @overload
    def request(self, api_request: ImageGenerationRequest, **options: Unpack[RequestOptions]) -> ImageGenerationResponse: ...
    @overload
    def request(
        self, api_request: AudioTranscriptionRequest, **options: Unpack[RequestOptions]
    ) -> AudioTranscriptionResponse: ...
    @overload
    def request(self, api_request: AudioSpeechRequest, **options: Unpack[RequestOptions]) -> AudioSpeechResponse: ...
    @overload
    def request(self, api_request: RerankRequest, **options: Unpack[RequestOptions]) -> RerankResponse: ...

    def request(self, api_request: ApiRequest, **options: Unpack[RequestOptions]) -> ApiResponse:
        """Send a request of any kind, and give the answer of that kind."""
        if isinstance(api_request, LlmRequest):
            return self.call(api_request, **options)
        return self._requested(api_request, **options)  # type: ignore[no-any-return]  # the answer of its kind

    def _requested(
        self,
        request: Any,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        batch_size: int | None = None,
    ) -> Any:
        with importing:
            from .endpoints import KINDS, request_endpoint
            from .gateway import checked_token

        core = self._core
        core.check()
        if type(request) not in KINDS:
            raise ConfigurationError(f"api_request: expected an ApiRequest, got {type(request).__name__}", field="api_request")
        seconds = None if timeout is None else seconds_of(timeout, "timeout")
        if cancel is not None:
            checked_token(cancel).raise_if_cancelled()
        if tenant is not None and not isinstance(tenant, str):
            raise ConfigurationError(f"tenant: expected a string, got {type(tenant).__name__}", field="tenant")
        return request_endpoint(core, request, timeout=seconds, cancel=cancel, tenant=tenant, batch_size=batch_size)

    def embed(
        self,
        input: EmbeddingRequest | str | EmbeddingInput | Iterable[str | EmbeddingInput | Iterable[int]],
        *,
        model: str | None = None,
        dimensions: int | None = None,
        encoding_format: str | None = None,
        user: str | None = None,
        vendor_extensions: dict[str, Any] | None = None,
        batch_size: int | None = None,
        **options: Unpack[RequestOptions],
    ) -> EmbeddingResponse:
        """Embed texts, or their token ids.

        More of them than the provider takes in one request, or than ``batch_size``, go out in several: the answer is one, its
        usage their sum, and one that fails is the whole's failure.
        """
        with importing:
            from ..types.media import EmbeddingRequest

        if batch_size is not None and (isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1):
            raise ConfigurationError("batch_size: expected an integer from 1", field="batch_size")
        settings = {"model": model, "dimensions": dimensions, "encoding_format": encoding_format, "user": user}
        request = _made(EmbeddingRequest, "input", input, settings, vendor_extensions)
        return self._requested(request, batch_size=batch_size, **options)  # type: ignore[no-any-return]  # the answer of its kind

    def generate_images(
        self,
        prompt: ImageGenerationRequest | str,
        *,
        model: str | None = None,
        images: ImageInput | File | Iterable[ImageInput | File] | None = None,
        mask: ImageInput | File | None = None,
        size: str | None = None,
        quality: str | None = None,
        style: str | None = None,
        background: str | None = None,
        output_format: str | None = None,
        n: int | None = None,
        vendor_extensions: dict[str, Any] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ImageGenerationResponse:
        """Generate images of a prompt, or edit the ``images``: files by path, bytes or open."""
        with importing:
            from ..types.media import ImageGenerationRequest

        given = images if isinstance(images, list | tuple) or images is None else (images,)
        settings = {
            "model": model,
            "images": None if given is None else tuple(map(_file, given)),
            "mask": _file(mask),
            "size": size,
            "quality": quality,
            "style": style,
            "background": background,
            "output_format": output_format,
            "n": n,
        }
        request = _made(ImageGenerationRequest, "prompt", prompt, settings, vendor_extensions)
        return self._requested(request, **options)  # type: ignore[no-any-return]  # the answer of its kind

    def transcribe(
        self,
        audio: AudioTranscriptionRequest | AudioInput | File,
        *,
        model: str | None = None,
        prompt: str | None = None,
        response_format: str | None = None,
        language: str | None = None,
        temperature: float | None = None,
        timestamp_granularities: Iterable[str] | None = None,
        translate: bool | None = None,
        vendor_extensions: dict[str, Any] | None = None,
        **options: Unpack[RequestOptions],
    ) -> AudioTranscriptionResponse:
        """Write down a recording, a file by its path, bytes or open; one on disk is read while it is sent.

        With ``translate`` it is written down in English, whatever it is in.
        """
        with importing:
            from ..types.media import AudioTranscriptionRequest

        settings = {
            "model": model,
            "prompt": prompt,
            "response_format": response_format,
            "language": language,
            "temperature": temperature,
            "timestamp_granularities": timestamp_granularities,
            "translate": translate,
        }
        request = _made(AudioTranscriptionRequest, "audio", _file(audio), settings, vendor_extensions)
        return self._requested(request, **options)  # type: ignore[no-any-return]  # the answer of its kind

    def speak(
        self,
        input: AudioSpeechRequest | str,
        *,
        voice: str | None = None,
        model: str | None = None,
        response_format: str | None = None,
        speed: float | None = None,
        instructions: str | None = None,
        vendor_extensions: dict[str, Any] | None = None,
        **options: Unpack[RequestOptions],
    ) -> AudioSpeechResponse:
        """Say a text; ``voice`` is ``alloy`` where none is given."""
        with importing:
            from ..types.media import AudioSpeechRequest

        if voice is None and not isinstance(input, AudioSpeechRequest):
            voice = DEFAULT_VOICE
        settings = {
            "voice": voice,
            "model": model,
            "response_format": response_format,
            "speed": speed,
            "instructions": instructions,
        }
        request = _made(AudioSpeechRequest, "input", input, settings, vendor_extensions)
        return self._requested(request, **options)  # type: ignore[no-any-return]  # the answer of its kind

    def rerank(
        self,
        query: RerankRequest | str,
        documents: Iterable[str | RerankDocument | Mapping[str, Any]] | None = None,
        *,
        model: str | None = None,
        top_n: int | None = None,
        return_documents: bool | None = None,
        vendor_extensions: dict[str, Any] | None = None,
        **options: Unpack[RequestOptions],
    ) -> RerankResponse:
        """Order documents by how well they answer the query."""
        with importing:
            from ..types.media import RerankRequest

        if documents is None and not isinstance(query, RerankRequest):
            raise ConfigurationError("documents: expected texts or RerankDocuments", field="documents")
        settings = {"documents": documents, "model": model, "top_n": top_n, "return_documents": return_documents}
        request = _made(RerankRequest, "query", query, settings, vendor_extensions)
        return self._requested(request, **options)  # type: ignore[no-any-return]  # the answer of its kind


def _file(given: Any) -> Any:
    """Take a text for a path."""
    return Path(given) if isinstance(given, str) else given


def _made(kind: Any, name: str, given: Any, settings: dict[str, Any], extensions: dict[str, Any] | None) -> Any:
    """Make the request, or lay what is set over the one given."""
    said = {key: value for key, value in settings.items() if value is not None}
    if extensions is not None:
        said["vendor_extensions"] = extensions
    if isinstance(given, kind):
        return dataclasses.replace(given, **said) if said else given
    return kind(**{"model": "", name: given, **said})
