"""What is known of each native format: where it is, which of the house's formats its usage is read as, and what a POST makes.

A template's ``{model}`` is the request's model, ``{base}`` the path of the endpoint's base. Vertex AI has Google's models below
their publisher.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..providers.primitive_endpoint import PrimitiveProviderEndpoint, path_part
from ..types.enums import HttpMethod, WireFormat
from ..types.primitive import PrimitiveProviderKind, PrimitiveStreamMode
from ..types.primitive import ProviderPrimitiveWireFormat as Native
from .request import PrimitiveRequest

ANYTHING = "*/*"
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """Describe a native format.

    ``post`` is where a POST goes, where that is elsewhere, and ``vertex_path`` where it is at Vertex AI. ``creates``: a POST
    makes something that is there twice where it is sent twice. ``ends`` are the events of which a stream must have had one.
    ``supplied`` are fields that the house's own format needs and this one has not.
    """

    path: str | None = None
    vertex_path: str | None = None
    post: str | None = None
    stream_path: str | None = None
    measured_as: WireFormat | None = None
    creates: bool = False
    accept: str = JSON
    ends: tuple[str, ...] = ()
    supplied: tuple[str, ...] = ()


_GENERATE, _STREAM = "/models/{model}:generateContent", "/models/{model}:streamGenerateContent?alt=sse"
_LIVE = "google.ai.generativelanguage.v1beta.GenerativeService"
_VERTEX_LIVE = "google.cloud.aiplatform.v1beta1.LlmBidiService"
_DRAWN = ("image_generation.completed", "image_edit.completed")

FORMATS: dict[Native, Format] = {
    Native.OPENAI_RESPONSES: Format(path="/responses", measured_as=WireFormat.OPENAI_RESPONSES),
    Native.OPENAI_CHAT_COMPLETIONS: Format(path="/chat/completions", measured_as=WireFormat.OPENAI_CHAT_COMPLETIONS),
    Native.OPENAI_COMPATIBLE_CHAT_COMPLETIONS: Format(path="/chat/completions", measured_as=WireFormat.OPENAI_CHAT_COMPLETIONS),
    Native.OPENAI_IMAGES: Format(path="/images/generations", measured_as=WireFormat.OPENAI_IMAGE_GENERATIONS, ends=_DRAWN),
    Native.OPENAI_IMAGE_EDITS: Format(path="/images/edits", measured_as=WireFormat.OPENAI_IMAGE_GENERATIONS, ends=_DRAWN),
    Native.OPENAI_IMAGE_VARIATIONS: Format(
        path="/images/variations", measured_as=WireFormat.OPENAI_IMAGE_GENERATIONS, supplied=("prompt",)
    ),
    Native.OPENAI_AUDIO_TRANSCRIPTIONS: Format(
        path="/audio/transcriptions",
        measured_as=WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS,
        accept=ANYTHING,
        ends=("transcript.text.done",),
    ),
    Native.OPENAI_AUDIO_TRANSLATIONS: Format(
        path="/audio/translations", measured_as=WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS, accept=ANYTHING
    ),
    Native.OPENAI_AUDIO_SPEECH: Format(
        path="/audio/speech", measured_as=WireFormat.OPENAI_AUDIO_SPEECH, accept=ANYTHING, ends=("speech.audio.done",)
    ),
    Native.OPENAI_EMBEDDINGS: Format(path="/embeddings", measured_as=WireFormat.OPENAI_EMBEDDINGS),
    Native.OPENAI_RERANK: Format(path="/rerank", measured_as=WireFormat.OPENAI_RERANK),
    Native.OPENAI_FILES: Format(path="/files", creates=True, accept=ANYTHING),
    Native.OPENAI_UPLOADS: Format(path="/uploads", creates=True),
    Native.OPENAI_MODELS: Format(path="/models"),
    Native.OPENAI_BATCHES: Format(path="/batches", creates=True, accept=ANYTHING),
    Native.OPENAI_REALTIME: Format(path="/realtime?model={model}"),
    Native.ANTHROPIC_MESSAGES: Format(path="/messages", measured_as=WireFormat.ANTHROPIC_MESSAGES),
    Native.ANTHROPIC_COUNT_TOKENS: Format(path="/messages/count_tokens"),
    Native.ANTHROPIC_MESSAGE_BATCHES: Format(path="/messages/batches", creates=True, accept=ANYTHING),
    Native.ANTHROPIC_FILES: Format(path="/files", creates=True, accept=ANYTHING),
    Native.ANTHROPIC_MODELS: Format(path="/models"),
    Native.GEMINI_GENERATE_CONTENT: Format(path=_GENERATE, stream_path=_STREAM, measured_as=WireFormat.GEMINI_GENERATE_CONTENT),
    Native.GEMINI_STREAM_GENERATE_CONTENT: Format(
        path=_STREAM.partition("?")[0], stream_path=_STREAM, measured_as=WireFormat.GEMINI_GENERATE_CONTENT
    ),
    Native.GEMINI_COUNT_TOKENS: Format(path="/models/{model}:countTokens"),
    Native.GEMINI_EMBED_CONTENT: Format(path="/models/{model}:{verb}", measured_as=WireFormat.GEMINI_EMBED_CONTENT),
    Native.GEMINI_FILES: Format(path="/files", post="/upload{base}/files", creates=True, accept=ANYTHING),
    Native.GEMINI_CACHES: Format(path="/cachedContents", creates=True),
    Native.GEMINI_MODELS: Format(path="/models"),
    Native.GEMINI_OPERATIONS: Format(path="/operations", creates=True),
    Native.GEMINI_BATCHES: Format(path="/batches", post="/models/{model}:batchGenerateContent", creates=True, accept=ANYTHING),
    Native.GEMINI_LIVE: Format(path=f"/ws/{_LIVE}.BidiGenerateContent", vertex_path=f"/ws/{_VERTEX_LIVE}/BidiGenerateContent"),
    Native.VERTEX_OPERATIONS: Format(path="/operations", creates=True),
    Native.BEDROCK_CONVERSE: Format(
        path="/model/{model}/converse",
        stream_path="/model/{model}/converse-stream",
        measured_as=WireFormat.BEDROCK_CONVERSE,
    ),
    Native.BEDROCK_INVOKE_MODEL: Format(
        path="/model/{model}/invoke", stream_path="/model/{model}/invoke-with-response-stream", accept=ANYTHING
    ),
    Native.CUSTOM_HTTP: Format(creates=True, accept=ANYTHING),
}
_CONTROLS = ("cancel", "wait", "fetchPredictOperation")
_NOTHING = Format(accept=ANYTHING)


def format_of(request: PrimitiveRequest) -> Format:
    """Give what is known of a request's format."""
    return FORMATS.get(request.wire_format, _NOTHING)


def url_of(request: PrimitiveRequest, endpoint: PrimitiveProviderEndpoint) -> str:
    """Give the URL of a request; raises ``ConfigurationError`` where neither it nor its format says the path."""
    return endpoint.url(request.path or _own_path(request, endpoint), request.query)


def _own_path(request: PrimitiveRequest, endpoint: PrimitiveProviderEndpoint) -> str:
    known = format_of(request)
    template = known.post if known.post is not None and request.method is HttpMethod.POST else known.path
    if request.stream is PrimitiveStreamMode.SSE and known.stream_path is not None:
        template = known.stream_path
    if known.vertex_path is not None and endpoint.provider is PrimitiveProviderKind.VERTEX_AI:
        template = known.vertex_path
    if template is None:
        raise ConfigurationError(f"path: {request.wire_format.value} has none of its own: with_path(…)", field="path")
    if "{model}" in template:
        template = template.replace("{model}", _model_part(request)).replace("{verb}", _embedding_verb(request))
    if endpoint.provider is PrimitiveProviderKind.VERTEX_AI and template.startswith("/models/"):
        template = f"/publishers/google{template}"
    return template.replace("{base}", urlsplit(endpoint.base_url).path)


def _model_part(request: PrimitiveRequest) -> str:
    if not request.model:
        raise ConfigurationError(f"model: {request.wire_format.value} has it in the path", field="model")
    return path_part(request.model.removeprefix("models/"), "model")


def _embedding_verb(request: PrimitiveRequest) -> str:
    """Give the name of the call that takes such a body: one content, several, or Vertex AI's instances."""
    body = request.json_body()
    given = body if isinstance(body, dict) else {}
    return "batchEmbedContents" if "requests" in given else "predict" if "instances" in given else "embedContent"


def is_control(request: PrimitiveRequest) -> bool:
    """Tell whether a request only asks after what there is, or ends it, as Google does by a POST."""
    return (request.path or "").partition("?")[0].replace(":", "/").rpartition("/")[2] in _CONTROLS


def may_repeat(request: PrimitiveRequest) -> bool:
    """Tell whether a request that may have been received may be sent again."""
    idempotent = request.method in (HttpMethod.GET, HttpMethod.DELETE, HttpMethod.PUT)
    idempotent = idempotent or (is_control(request) and request.wire_format is not Native.CUSTOM_HTTP)
    return idempotent or request.idempotency_key is not None or not format_of(request).creates
