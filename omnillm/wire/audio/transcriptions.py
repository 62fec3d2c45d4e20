"""Transcription: ``POST /v1/audio/transcriptions``, a form to upload; into English: ``POST /v1/audio/translations``.

Contract: the answer is JSON (``json``, ``verbose_json``, ``diarized_json``), a text (``text``, ``srt``, ``vtt``), or a stream
that adds up to one. The text of subtitles is their file's, and its cues are the segments.
"""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import IncompleteStreamError, InvalidShapeError, MissingFieldError
from ...types.enums import ProviderProtocol, WireFormat
from ...types.media import AudioInput, AudioSegment, AudioTranscriptionRequest, AudioTranscriptionResponse, TranscribedWord
from ...types.transport import JsonBody, MultipartBody, MultipartField, MultipartFile, RequestBody, ResponseBody
from .._codec import Payload, value_of
from .._endpoint import (
    EVENTS,
    JSON,
    EndpointCodec,
    form_of,
    no_json,
    objects,
    read_usage,
    set_fields,
    text_of,
    write_usage,
)
from .._events import events_in
from .._fields import Emission, Fields
from .._forms import as_number, settings_of, text_fields
from ._cues import cues

WIRE = WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS
_PROTOCOL = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
_SETTINGS = {name: name for name in ("model", "prompt", "response_format", "language", "temperature")}
_TEXT_FORMATS = ("text", "srt", "vtt")


# --- requests -----------------------------------------------------------------------------------------------------------------


def parse_request(_payload: Payload) -> AudioTranscriptionRequest:
    """Refuse JSON: the recording is uploaded."""
    no_json("a request that uploads a recording")


def emit_request(_request: AudioTranscriptionRequest, _emission: Emission) -> Payload:
    """Refuse JSON: the recording is uploaded."""
    no_json("a request that uploads a recording")


def parse_body(body: RequestBody) -> AudioTranscriptionRequest:
    """Read a request from its form."""
    settings, files = settings_of(form_of(body))
    as_number(settings, "temperature")
    recording = next((file for name, file in files if name == "file"), None)
    if recording is None:
        raise MissingFieldError("file: required, and not there", pointer="/file")
    fields = Fields(settings)
    stamps = fields.peek("timestamp_granularities")
    if isinstance(stamps, list):
        fields.take("timestamp_granularities")
    return AudioTranscriptionRequest(
        fields.text("model") or "",
        AudioInput(recording.filename, recording.data, recording.media_type),
        fields.text("prompt"),
        fields.text("response_format"),
        fields.text("language"),
        fields.number("temperature"),
        tuple(stamps) if isinstance(stamps, list) else (),
        vendor_extensions=fields.extensions(WIRE),
    )


def emit_body(request: AudioTranscriptionRequest, emission: Emission) -> MultipartBody:
    """Write a request as the form that is sent."""
    audio = request.audio
    settings = set_fields({}, request, _SETTINGS)
    if request.translate and request.language is not None:
        del settings["language"]
        emission.lose("/language", "a translation is into English, and finds out from what")
    if request.timestamp_granularities:
        settings["timestamp_granularities"] = list(request.timestamp_granularities)
    emission.lay(settings, request.vendor_extensions, "")
    if not request.model:
        del settings["model"]
    emission.forfeit(audio.vendor_extensions, "/audio", "a file of a form is its name, its type and its bytes")
    file = MultipartFile(audio.filename or "audio", audio.data, audio.media_type)
    return MultipartBody((MultipartField("file", file), *text_fields(settings)))


# --- responses ----------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> AudioTranscriptionResponse:
    """Read a response."""
    fields = Fields(payload)
    text, language = fields.required_text("text"), fields.text("language")
    duration = None if isinstance(fields.peek("duration"), str) else fields.number("duration")
    return AudioTranscriptionResponse(
        text,
        language,
        duration,
        _read_pieces(fields, "segments", _read_segment),
        _read_pieces(fields, "words", _read_word),
        usage=read_usage(fields, WIRE),
        vendor_extensions=fields.extensions(WIRE),
    )


def _read_pieces(fields: Fields, name: str, read: Any) -> tuple[Any, ...]:
    if not fields.peek(name):  # an empty array stays where it is
        return ()
    return tuple(read(item) for item in objects(fields.required_array(name), f"/{name}"))


def _time(fields: Fields, name: str) -> float:
    value = fields.number(name)
    if value is None:
        raise MissingFieldError(f"{name}: required, and not there", pointer=fields.at(name))
    return value


def _read_segment(fields: Fields) -> AudioSegment:
    start, end, text = _time(fields, "start"), _time(fields, "end"), fields.required_text("text")
    return AudioSegment(start, end, text, fields.maybe_text("speaker"), vendor_extensions=fields.extensions(WIRE))


def _read_word(fields: Fields) -> TranscribedWord:
    word, start, end = fields.required_text("word"), _time(fields, "start"), _time(fields, "end")
    return TranscribedWord(word, start, end, vendor_extensions=fields.extensions(WIRE))


def emit_response(response: AudioTranscriptionResponse, emission: Emission) -> Payload:
    """Write a response as JSON."""
    out = set_fields({"text": response.text}, response, {"language": "language", "duration": "duration"})
    for name, names in (("segments", ("start", "end", "text", "speaker")), ("words", ("word", "start", "end"))):
        pieces = getattr(response, name)
        if pieces:
            out[name] = [_write_piece(piece, names, emission, f"/{name}/{i}") for i, piece in enumerate(pieces)]
    write_usage(out, response.usage, emission)
    return emission.lay(out, response.vendor_extensions, "")


def _write_piece(piece: Any, names: tuple[str, ...], emission: Emission, pointer: str) -> Payload:
    out = set_fields({}, piece, {name: name for name in names})
    return emission.lay(out, piece.vendor_extensions, pointer)


def parse_answer(body: ResponseBody | None, content_type: str) -> AudioTranscriptionResponse:
    """Read what came back: JSON, a text, or a stream."""
    if content_type.startswith(EVENTS):
        return parse_response(_gathered(text_of(body)))
    value = value_of(body)
    if not isinstance(body, JsonBody) and "json" in content_type:
        value = _json.loads(value)
    if isinstance(value, dict):
        return parse_response(value)
    if isinstance(body, JsonBody) and not isinstance(value, str):
        raise InvalidShapeError("expected an object or a text")
    text = value if isinstance(value, str) else text_of(body)
    segments = cues(text)
    return AudioTranscriptionResponse(text, None, segments[-1].end if segments else None, segments)


def _gathered(text: str) -> Payload:
    segments = []
    for event in events_in(text, _PROTOCOL):
        kind = event.get("type")
        if kind == "transcript.text.segment":
            segments.append(event)
        elif kind == "transcript.text.done":
            done = {name: value for name, value in event.items() if name != "type"}
            return {**done, "segments": segments} if segments else done
    raise IncompleteStreamError("the stream ended without transcript.text.done")


def _path(request: AudioTranscriptionRequest, _streamed: bool) -> str:
    return "/audio/translations" if request.translate else "/audio/transcriptions"


def _accepts(request: AudioTranscriptionRequest) -> str:
    if request.vendor_extensions.get("stream") is True:
        return EVENTS
    return "text/plain" if request.response_format in _TEXT_FORMATS else JSON


CODEC = EndpointCodec(
    wire_format=WIRE,
    protocol=_PROTOCOL,
    request_type=AudioTranscriptionRequest,
    response_type=AudioTranscriptionResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    emit_body=emit_body,
    parse_body=parse_body,
    parse_answer=parse_answer,
    path=_path,
    accepts=_accepts,
)
