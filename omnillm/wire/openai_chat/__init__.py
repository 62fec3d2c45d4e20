"""OpenAI Chat Completions, and the many servers that speak it."""

from __future__ import annotations

from ...types.enums import WireFormat
from .._beside import OPENAI_ENDPOINTS
from .._codec import Codec
from .._formats import for_strict_openai
from ._encoder import Encoder, emit_event
from ._usage import read_usage, usage_details
from .error import embedded_error, emit_error, parse_error
from .request import ask_for_usage, emit_request, parse_request, path
from .response import emit_response, parse_response
from .stream import Decoder, parse_event

CODEC = Codec(
    wire_format=WireFormat.OPENAI_CHAT_COMPLETIONS,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    parse_error=parse_error,
    emit_error=emit_error,
    embedded_error=embedded_error,
    stream_decoder=Decoder,
    stream_encoder=Encoder,
    parse_event=parse_event,
    emit_event=emit_event,
    ask_for_usage=ask_for_usage,
    path=path,
    headers={},
    endpoints=OPENAI_ENDPOINTS,
    usage_details=usage_details,
    read_usage=read_usage,
    fit_format=for_strict_openai,
)
