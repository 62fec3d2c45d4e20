"""Gemini generateContent: the Gemini API and Vertex AI."""

from __future__ import annotations

from ...types.enums import EndpointKind, HostFormat, WireFormat
from .._codec import Codec, Payload
from .._formats import for_gemini
from ._encoder import ChunkEncoder, emit_event
from ._own import WIRE
from ._usage import read_usage, usage_details
from .error import embedded_error, emit_error, parse_error
from .request import emit_request, parse_request, path, prepare_body
from .response import emit_response, parse_response
from .stream import ChunkDecoder, parse_event


def _unchanged(body: Payload) -> Payload:
    """Give the body as it is: usage is part of every stream."""
    return body


CODEC = Codec(
    wire_format=WIRE,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    parse_error=parse_error,
    emit_error=emit_error,
    embedded_error=embedded_error,
    stream_decoder=ChunkDecoder,
    stream_encoder=ChunkEncoder,
    parse_event=parse_event,
    emit_event=emit_event,
    ask_for_usage=_unchanged,
    prepare_body=prepare_body,
    path=path,
    headers={},
    endpoints={
        EndpointKind.EMBEDDINGS: WireFormat.GEMINI_EMBED_CONTENT,
        EndpointKind.IMAGE_GENERATIONS: HostFormat.GOOGLE_IMAGES,
    },
    usage_details=usage_details,
    usage_field="usageMetadata",
    read_usage=read_usage,
    fit_format=for_gemini,
)
