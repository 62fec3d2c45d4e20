"""Amazon Bedrock Converse: ``POST /model/{modelId}/converse`` and ``/converse-stream``."""

from __future__ import annotations

from urllib.parse import quote

from ...types.enums import EndpointKind, HostFormat
from ...types.request import LlmRequest
from .._codec import Codec, Payload
from .._formats import for_anthropic
from ._own import WIRE
from ._stream_encoder import ConverseStreamEncoder
from ._stream_single import emit_event, parse_event
from ._usage import read_usage, usage_details
from .error import embedded_error, emit_error, parse_error
from .request import emit_request, parse_request
from .response import emit_response, parse_response
from .stream import ConverseStreamDecoder


def _unchanged(body: Payload) -> Payload:
    """Give the body as it is: usage is part of every stream."""
    return body


def _without_model(body: Payload) -> Payload:
    """Give the body without the model, which the URL says."""
    return {name: value for name, value in body.items() if name not in ("model", "modelId")}


def _path(request: LlmRequest, streamed: bool) -> str:
    """Give the path below the base; an ARN has colons and slashes, which are part of its one segment."""
    return f"/model/{quote(request.model, safe='', errors='replace')}/{'converse-stream' if streamed else 'converse'}"


CODEC = Codec(
    wire_format=WIRE,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    parse_error=parse_error,
    emit_error=emit_error,
    embedded_error=embedded_error,
    stream_decoder=ConverseStreamDecoder,
    stream_encoder=ConverseStreamEncoder,
    parse_event=parse_event,
    emit_event=emit_event,
    ask_for_usage=_unchanged,
    prepare_body=_without_model,
    path=_path,
    headers={},
    endpoints={
        EndpointKind.EMBEDDINGS: HostFormat.BEDROCK_EMBEDDINGS,
        EndpointKind.IMAGE_GENERATIONS: HostFormat.BEDROCK_IMAGES,
        EndpointKind.RERANK: HostFormat.BEDROCK_RERANK,
    },
    usage_details=usage_details,
    read_usage=read_usage,
    fit_format=for_anthropic,
)
