"""Speech: ``POST /v1/audio/speech``, whose answer is bytes, or a stream of events that carry them."""

from __future__ import annotations

import base64
import binascii

from ...errors import IncompleteStreamError, InvalidShapeError
from ...types.enums import ProviderProtocol, WireFormat
from ...types.media import AudioSpeechRequest, AudioSpeechResponse
from ...types.transport import BinaryBody, ResponseBody
from .._codec import Payload
from .._endpoint import EVENTS, EndpointCodec, lone_text, no_json, read_usage, set_fields, text_of
from .._events import events_in
from .._fields import Emission, Fields, kept, spelling

WIRE = WireFormat.OPENAI_AUDIO_SPEECH
_PROTOCOL = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
_SETTINGS = {name: name for name in ("response_format", "speed", "instructions")}


def parse_request(payload: Payload) -> AudioSpeechRequest:
    """Read a request."""
    fields = Fields(payload)
    model, text = lone_text(fields, "model"), fields.required_text("input")
    given = fields.peek("voice")
    if isinstance(given, dict) and set(given) == {"id"} and isinstance(given["id"], str):
        voice: str = given["id"]
        fields.take("voice")
        fields.spell("voice", "object")
    else:
        voice = fields.required_text("voice")
    form, speed, instructions = fields.text("response_format"), fields.number("speed"), fields.text("instructions")
    return AudioSpeechRequest(model, text, voice, form, speed, instructions, vendor_extensions=fields.extensions(WIRE))


def emit_request(request: AudioSpeechRequest, emission: Emission) -> Payload:
    """Write a request."""
    out: Payload = {"model": request.model} if request.model else {}
    known = spelling(request.vendor_extensions, WIRE).get("voice") == "object"
    out |= {"input": request.input, "voice": {"id": request.voice} if known else request.voice}
    return emission.lay(set_fields(out, request, _SETTINGS), request.vendor_extensions, "")


def parse_response(_payload: Payload) -> AudioSpeechResponse:
    """Refuse JSON: the answer is audio."""
    no_json("an answer that is audio")


def emit_response(_response: AudioSpeechResponse, _emission: Emission) -> Payload:
    """Refuse JSON: the answer is audio."""
    no_json("an answer that is audio")


def parse_answer(body: ResponseBody | None, content_type: str) -> AudioSpeechResponse:
    """Read what came back: bytes, or events."""
    if content_type.startswith(EVENTS):
        return _gathered(text_of(body))
    if not isinstance(body, BinaryBody) or "json" in content_type:
        raise InvalidShapeError("expected audio")
    media_type = body.media_type or content_type.partition(";")[0].strip() or None
    return AudioSpeechResponse(body.data, media_type)


def _gathered(text: str) -> AudioSpeechResponse:
    audio = bytearray()
    for event in events_in(text, _PROTOCOL):
        kind = event.get("type")
        if kind == "speech.audio.delta":
            try:
                audio += base64.b64decode(event.get("audio", ""), validate=True)
            except (binascii.Error, TypeError, ValueError):
                raise InvalidShapeError("expected base64", pointer="/audio") from None
        elif kind == "speech.audio.done":
            fields = Fields({name: value for name, value in event.items() if name != "type"})
            usage = read_usage(fields, WIRE)
            return AudioSpeechResponse(bytes(audio), usage=usage, vendor_extensions=fields.extensions(WIRE))
    raise IncompleteStreamError("the stream ended without speech.audio.done")


def _path(_request: AudioSpeechRequest, _streamed: bool) -> str:
    return "/audio/speech"


def _accepts(request: AudioSpeechRequest) -> str:
    own, read = request.vendor_extensions.get("stream_format"), kept(request.vendor_extensions, WIRE).get("stream_format")
    return EVENTS if "sse" in (own, read) else "*/*"


CODEC = EndpointCodec(
    wire_format=WIRE,
    protocol=_PROTOCOL,
    request_type=AudioSpeechRequest,
    response_type=AudioSpeechResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    parse_answer=parse_answer,
    path=_path,
    accepts=_accepts,
    max_bytes=256 << 20,
)
