"""Rerank as the hosts beside OpenAI have it: ``POST /v1/rerank`` of Jina, Voyage, Together, vLLM and others."""

from __future__ import annotations

from ...types.enums import ProviderProtocol, WireFormat
from ...types.retrieval import RerankRequest, RerankResponse, RerankUsage
from .._codec import Payload
from .._endpoint import EndpointCodec, set_fields
from .._fields import Emission, Fields, spelling
from ._shared import read_request, read_response, write_request, write_response

WIRE = WireFormat.OPENAI_RERANK


def parse_request(payload: Payload) -> RerankRequest:
    """Read a request."""
    return read_request(Fields(payload), WIRE)


def emit_request(request: RerankRequest, emission: Emission) -> Payload:
    """Write a request."""
    out = set_fields(write_request(request, emission), request, {"return_documents": "return_documents"})
    return emission.lay(out, request.vendor_extensions, "")


def parse_response(payload: Payload) -> RerankResponse:
    """Read a response."""
    fields = Fields(payload)
    return read_response(fields, WIRE, _read_usage(fields))


def _read_usage(fields: Fields) -> RerankUsage | None:
    given = fields.maybe_object("usage")
    if given is None:
        return None
    inner = Fields(given, "/usage")
    counts = [inner.maybe_count(name) for name in ("search_units", "prompt_tokens", "total_tokens")]
    return RerankUsage(*counts, vendor_extensions=inner.extensions(WIRE))


def emit_response(response: RerankResponse, emission: Emission) -> Payload:
    """Write a response."""
    out = write_response(response, emission)
    if response.model or spelling(response.vendor_extensions, WIRE).get("model") is not False:
        out["model"] = response.model
    usage = response.usage
    if usage is not None:
        names = ("search_units", "prompt_tokens", "total_tokens")
        out["usage"] = emission.lay(set_fields({}, usage, {name: name for name in names}), usage.vendor_extensions, "/usage")
    return emission.lay(out, response.vendor_extensions, "")


def _path(_request: RerankRequest, _streamed: bool) -> str:
    return "/rerank"


CODEC = EndpointCodec(
    wire_format=WIRE,
    protocol=ProviderProtocol.OPENAI_CHAT_COMPLETIONS,
    request_type=RerankRequest,
    response_type=RerankResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    path=_path,
)
