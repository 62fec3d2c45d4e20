"""One row per format of an endpoint that does not generate text: where it is served, how it is read and answered."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from .. import _json
from ..types.enums import ProviderProtocol, WireFormat
from ..types.media import AudioSpeechResponse, AudioTranscriptionRequest, AudioTranscriptionResponse, ImageGenerationRequest
from ..types.transport import JsonBody
from ..wire import encode_sse, row_of
from ..wire._endpoint import EndpointCodec
from ..wire._fields import SPELLING, Emission, kept
from ..wire.multipart import read_form
from ..wire.sse import SseFrame
from ._endpoint_answers import ANSWERS
from ._limits import HeaderRule, openai_headers, retry_after_header

_AT_OPENAI = r"/v1|/openai/v1|/openai/deployments/[^/]+"
_AT_GOOGLE = r"/v1(?:alpha|beta)?|/v1(?:beta1)?/projects/[^/]+/locations/[^/]+/publishers/google"
_FORMS = {"embedContent": "single", "batchEmbedContents": "batch", "predict": "predict"}

Body = tuple[str, bytes]  # a content type, and what it is of


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRoute:
    """Serve a format at the paths that match; a group ``model`` is the model, a group ``form`` the form of the body."""

    wire_format: WireFormat
    paths: re.Pattern[str]
    limit_headers: HeaderRule
    id_header: str = "x-request-id"

    @property
    def row(self) -> EndpointCodec:
        """Give the format's codec."""
        row = row_of(self.wire_format)
        assert isinstance(row, EndpointCodec)
        return row

    @property
    def protocol(self) -> ProviderProtocol:
        """Give the protocol whose errors are spoken here."""
        return self.row.protocol

    def read(self, body: bytes, content_type: str, path: str) -> Any:
        """Read a request; raises ``ProtocolError`` where it is none."""
        row = self.row
        form = content_type.startswith("multipart/form-data")
        request = row.read_body(read_form(content_type, body) if form else JsonBody(_json.loads(body)))
        found = self.paths.fullmatch(path)
        if found is None or "model" not in found.groupdict():
            return request
        own = kept(request.vendor_extensions, self.wire_format)
        spelled = {**own.get(SPELLING, {}), "form": _FORMS[found["form"]]}
        extensions = {**request.vendor_extensions, self.wire_format.value: {**own, SPELLING: spelled}}
        return replace(request, model=unquote(found["model"]), vendor_extensions=extensions)

    def answer(self, request: Any, scripted: Any = None) -> Body:
        """Answer a request, or give the answer that was scripted for it."""
        row = self.row
        response = scripted if isinstance(scripted, row.response_type) else ANSWERS[type(request)](request, self.wire_format)
        if isinstance(scripted, str) and isinstance(response, AudioTranscriptionResponse):
            response = replace(response, text=scripted)
        if isinstance(response, AudioSpeechResponse):
            return _speech(request, response)
        payload = row.emit_response(response, Emission(self.wire_format))
        if isinstance(response, AudioTranscriptionResponse):
            return _transcript(request, response, payload)
        if isinstance(request, ImageGenerationRequest) and _said(request, "stream") in (True, "true"):
            kind = "image_edit" if request.images else "image_generation"
            done = [{"type": f"{kind}.completed", **image, "usage": payload.get("usage")} for image in payload["data"]]
            return _events(done)
        return "application/json", _json.dump_bytes(payload)


def _said(request: Any, name: str) -> Any:
    """Give a field of a request's that only its format knows."""
    return next((read.get(name) for read in request.vendor_extensions.values() if isinstance(read, Mapping)), None)


def _events(events: list[dict[str, Any]]) -> Body:
    frames = [encode_sse(SseFrame(event["type"], _json.dumps(event))) for event in events]
    return "text/event-stream", b"".join(frames)


def _speech(request: Any, response: AudioSpeechResponse) -> Body:
    if _said(request, "stream_format") != "sse":
        return response.media_type or "audio/wav", response.audio
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
        return "text/plain; charset=utf-8", written.encode()
    return "application/json", _json.dump_bytes(payload)


def _row(wire_format: WireFormat, at: str, path: str, limit_headers: HeaderRule = openai_headers) -> EndpointRoute:
    return EndpointRoute(wire_format=wire_format, paths=re.compile(f"(?:{at}){path}"), limit_headers=limit_headers)


ENDPOINT_ROUTES = (
    _row(WireFormat.OPENAI_EMBEDDINGS, _AT_OPENAI, "/embeddings"),
    _row(WireFormat.OPENAI_IMAGE_GENERATIONS, _AT_OPENAI, "/images/(?:generations|edits)"),
    _row(WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS, _AT_OPENAI, "/audio/transcriptions"),
    _row(WireFormat.OPENAI_AUDIO_SPEECH, _AT_OPENAI, "/audio/speech"),
    _row(WireFormat.OPENAI_RERANK, _AT_OPENAI, "/rerank"),
    _row(
        WireFormat.GEMINI_EMBED_CONTENT,
        _AT_GOOGLE,
        r"/models/(?P<model>[^/]+):(?P<form>embedContent|batchEmbedContents|predict)",
        retry_after_header,
    ),
    _row(WireFormat.COHERE_EMBED, "/v2", "/embed"),
    _row(WireFormat.COHERE_RERANK, "/v2", "/rerank"),
)


def find_endpoint(path: str) -> EndpointRoute | None:
    """Give the row that serves a path."""
    return next((route for route in ENDPOINT_ROUTES if route.paths.fullmatch(path)), None)
