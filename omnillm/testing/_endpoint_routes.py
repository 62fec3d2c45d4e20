"""One row per format of an endpoint that does not generate text: where it is served, how it is read and answered."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from .. import _json
from ..errors import ProtocolError
from ..types.enums import HostFormat, ProviderProtocol, WireFormat
from ..types.media import (
    AudioSpeechResponse,
    AudioTranscriptionRequest,
    AudioTranscriptionResponse,
    EmbeddingResponse,
    ImageGenerationRequest,
)
from ..types.transport import JsonBody
from ..wire import encode_sse, endpoint_codec
from ..wire._endpoint import EndpointCodec
from ..wire._fields import SPELLING, Emission, Wire, kept
from ..wire.multipart import read_form
from ..wire.sse import SseFrame
from ._endpoint_answers import ANSWERS
from ._limits import HeaderRule, openai_headers, retry_after_header

_AT_OPENAI = r"/v1|/openai/v1|/openai/deployments/(?P<deployment>[^/]+)"
_INVOKED = r"/model/(?P<model>[^/]+)"
_AT_GOOGLE = r"/v1(?:alpha|beta)?|/v1(?:beta1)?/projects/[^/]+/locations/[^/]+/publishers/google"
_FORMS = {"embedContent": "single", "batchEmbedContents": "batch", "predict": "predict"}

Body = tuple[dict[str, str], bytes]  # headers, its content type among them, and what it is of


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRoute:
    """Serve a format at the paths that match; a group ``model`` is the model, a group ``form`` the form of the body.

    ``family`` is whose model is meant, where the host's format depends on that; ``tells`` is whether a body is of this format,
    where others share the path.
    """

    wire_format: Wire
    paths: re.Pattern[str]
    limit_headers: HeaderRule
    id_header: str = "x-request-id"
    family: str = ""
    tells: Callable[[Any], bool] | None = None

    @property
    def row(self) -> EndpointCodec:
        """Give the format's codec."""
        row = endpoint_codec(self.wire_format, self.family)
        assert row is not None
        return row

    @property
    def protocol(self) -> ProviderProtocol:
        """Give the protocol whose errors are spoken here."""
        return self.row.protocol

    def lacks(self, path: str, query: Mapping[str, Any], _body: Any) -> str | None:
        """Say what is missing from a request that reading it does not tell, ``None`` where nothing is."""
        deployed = self._told(path).get("deployment")
        return "Missing required query parameter: api-version" if deployed and not query.get("api-version") else None

    def _told(self, path: str) -> Mapping[str, str | None]:
        found = self.paths.fullmatch(path)
        return {} if found is None else found.groupdict()

    def read(self, body: bytes, content_type: str, path: str) -> Any:
        """Read a request; raises ``ProtocolError`` where it is none."""
        row = self.row
        uploaded = content_type.startswith("multipart/form-data")
        request = row.read_body(read_form(content_type, body) if uploaded else JsonBody(_json.loads(body)))
        told = self._told(path)
        model = told.get("model") or told.get("deployment")
        if path.endswith("/translations"):
            request = replace(request, translate=True)
        if model is None:
            return request
        request = replace(request, model=unquote(model))
        form = told.get("form")
        if form is None:
            return request
        own = kept(request.vendor_extensions, self.wire_format)
        spelled = {**own.get(SPELLING, {}), "form": _FORMS[form]}
        extensions = {**request.vendor_extensions, self.wire_format.value: {**own, SPELLING: spelled}}
        return replace(request, vendor_extensions=extensions)

    def answer(self, request: Any, scripted: Any = None) -> Body:
        """Answer a request, or give the answer that was scripted for it."""
        row = self.row
        response = scripted if isinstance(scripted, row.response_type) else ANSWERS[type(request)](request, row.wire_format)
        if isinstance(scripted, str) and isinstance(response, AudioTranscriptionResponse):
            response = replace(response, text=scripted)
        if isinstance(response, AudioSpeechResponse):
            return _speech(request, response)
        headers = {"content-type": "application/json"}
        if row.usage_header is not None and isinstance(response, EmbeddingResponse) and response.usage is not None:
            headers[row.usage_header] = str(response.usage.prompt_tokens)
        payload = row.emit_response(response, Emission(self.wire_format))
        if isinstance(response, AudioTranscriptionResponse):
            return _transcript(request, response, payload)
        if isinstance(request, ImageGenerationRequest) and _said(request, "stream") in (True, "true"):
            kind = "image_edit" if request.images else "image_generation"
            done = [{"type": f"{kind}.completed", **image, "usage": payload.get("usage")} for image in payload["data"]]
            return _events(done)
        return headers, _json.dump_bytes(payload)


def _said(request: Any, name: str) -> Any:
    """Give a field of a request's that only its format knows."""
    return next((read.get(name) for read in request.vendor_extensions.values() if isinstance(read, Mapping)), None)


def _events(events: list[dict[str, Any]]) -> Body:
    frames = [encode_sse(SseFrame(event["type"], _json.dumps(event))) for event in events]
    return {"content-type": "text/event-stream"}, b"".join(frames)


def _speech(request: Any, response: AudioSpeechResponse) -> Body:
    if _said(request, "stream_format") != "sse":
        return {"content-type": response.media_type or "audio/wav"}, response.audio
    halves = response.audio[: len(response.audio) // 2], response.audio[len(response.audio) // 2 :]
    deltas = [{"type": "speech.audio.delta", "audio": base64.b64encode(half).decode("ascii")} for half in halves]
    usage = response.usage
    told = {} if usage is None else {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    return _events([*deltas, {"type": "speech.audio.done", "usage": told}])


def _transcript(request: AudioTranscriptionRequest, response: AudioTranscriptionResponse, payload: dict[str, Any]) -> Body:
    text = response.text
    if _said(request, "stream") == "true":
        deltas = [{"type": "transcript.text.delta", "delta": word} for word in re.findall(r"\S+\s*", text)]
        return _events([*deltas, {"type": "transcript.text.done", "text": text, "usage": payload.get("usage")}])
    seconds = len(text.split()) // 2
    end = f"00:{seconds // 60:02}:{seconds % 60:02}"
    written = {
        "text": f"{text}\n",
        "srt": f"1\n00:00:00,000 --> {end},000\n{text}\n",
        "vtt": f"WEBVTT\n\n00:00:00.000 --> {end}.000\n{text}\n",
    }.get(request.response_format or "json")
    if written is not None:
        return {"content-type": "text/plain; charset=utf-8"}, written.encode()
    return {"content-type": "application/json"}, _json.dump_bytes(payload)


def _row(wire_format: Wire, at: str, path: str, limit_headers: HeaderRule = openai_headers, **more: Any) -> EndpointRoute:
    return EndpointRoute(wire_format=wire_format, paths=re.compile(f"(?:{at}){path}"), limit_headers=limit_headers, **more)


def _invoked(wire_format: HostFormat, family: str, name: str) -> EndpointRoute:
    """Serve a body of InvokeModel, told by a field that it has."""
    return _row(
        wire_format,
        _INVOKED,
        "/invoke",
        retry_after_header,
        id_header="x-amzn-requestid",
        family=family,
        tells=lambda body: name in body,
    )


ENDPOINT_ROUTES = (
    _row(WireFormat.OPENAI_EMBEDDINGS, _AT_OPENAI, "/embeddings"),
    _row(WireFormat.OPENAI_IMAGE_GENERATIONS, _AT_OPENAI, "/images/(?:generations|edits)"),
    _row(WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS, _AT_OPENAI, "/audio/(?:transcriptions|translations)"),
    _row(WireFormat.OPENAI_AUDIO_SPEECH, _AT_OPENAI, "/audio/speech"),
    _row(WireFormat.OPENAI_RERANK, _AT_OPENAI, "/rerank"),
    _row(
        HostFormat.GOOGLE_IMAGES,
        _AT_GOOGLE,
        r"/models/(?P<model>[^/]+):predict",
        retry_after_header,
        tells=lambda body: "prompt" in (body.get("instances") or [{}])[0],
    ),
    _row(
        WireFormat.GEMINI_EMBED_CONTENT,
        _AT_GOOGLE,
        r"/models/(?P<model>[^/]+):(?P<form>embedContent|batchEmbedContents|predict)",
        retry_after_header,
    ),
    _row(WireFormat.COHERE_EMBED, "/v2", "/embed"),
    _row(WireFormat.COHERE_RERANK, "/v2", "/rerank"),
    _invoked(HostFormat.BEDROCK_EMBEDDINGS, "amazon.titan-embed", "inputText"),
    _invoked(HostFormat.BEDROCK_EMBEDDINGS, "cohere.embed", "texts"),
    _invoked(HostFormat.BEDROCK_RERANK, "cohere.rerank", "documents"),
    _invoked(HostFormat.BEDROCK_IMAGES, "amazon.", "taskType"),
    _invoked(HostFormat.BEDROCK_IMAGES, "stability.", "mode"),
)


def find_endpoint(path: str, body: bytes) -> EndpointRoute | None:
    """Give the row that serves a path, and a body there where several rows share it."""
    return next((route for route in ENDPOINT_ROUTES if route.paths.fullmatch(path) and _takes(route, body)), None)


def _takes(route: EndpointRoute, body: bytes) -> bool:
    if route.tells is None:
        return True
    try:
        return route.tells(_json.loads(body))
    except (ProtocolError, AttributeError, TypeError, IndexError):
        return False
